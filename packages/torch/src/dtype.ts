import { native } from "./native.js";

const sizes = {
  float32: 4,
  float64: 8,
  float16: 2,
  bfloat16: 2,
  uint8: 1,
  int8: 1,
  int16: 2,
  int32: 4,
  int64: 8,
  bool: 1,
  complex32: 4,
  complex64: 8,
  complex128: 16,
  uint16: 2,
  uint32: 4,
  uint64: 8,
  float8_e4m3fn: 1,
  float8_e5m2: 1,
  float8_e4m3fnuz: 1,
  float8_e5m2fnuz: 1,
  float8_e8m0fnu: 1,
  quint8: 1,
  qint8: 1,
  qint32: 4,
} as const;

/** The types that tensor elements can have, by PyTorch's names. */
export type DType = keyof typeof sizes;

/** Whether a value names a type of tensor elements. */
export function isDType(value: unknown): value is DType {
  return typeof value === "string" && Object.hasOwn(sizes, value);
}

/** Bytes of one element. */
export function itemSize(dtype: DType): number {
  return sizes[dtype];
}

/** The names of all types. */
export const dtypes = Object.keys(sizes) as readonly DType[];

// the types as constants, and their other names
export const float32 = "float32";
export const float64 = "float64";
export const float16 = "float16";
export const bfloat16 = "bfloat16";
export const uint8 = "uint8";
export const int8 = "int8";
export const int16 = "int16";
export const int32 = "int32";
export const int64 = "int64";
export const bool = "bool";
export const complex32 = "complex32";
export const complex64 = "complex64";
export const complex128 = "complex128";
export const uint16 = "uint16";
export const uint32 = "uint32";
export const uint64 = "uint64";
export const float8_e4m3fn = "float8_e4m3fn";
export const float8_e5m2 = "float8_e5m2";
export const float8_e4m3fnuz = "float8_e4m3fnuz";
export const float8_e5m2fnuz = "float8_e5m2fnuz";
export const float8_e8m0fnu = "float8_e8m0fnu";
export const quint8 = "quint8";
export const qint8 = "qint8";
export const qint32 = "qint32";
export const half = "float16";
export const float = "float32";
export const double = "float64";
export const short = "int16";
export const int = "int32";
export const long = "int64";
export const chalf = "complex32";
export const cfloat = "complex64";
export const cdouble = "complex128";

/** How the elements of a tensor are laid out in memory. */
export type Layout =
  | "strided"
  | "sparse_coo"
  | "sparse_csr"
  | "sparse_csc"
  | "sparse_bsr"
  | "sparse_bsc"
  | "mkldnn"
  | "jagged";

/** In which order a dense tensor keeps its dimensions in memory. */
export type MemoryFormat = "contiguous_format" | "preserve_format" | "channels_last" | "channels_last_3d";

const floating: ReadonlySet<string> = new Set<DType>([
  "float32",
  "float64",
  "float16",
  "bfloat16",
  "float8_e4m3fn",
  "float8_e5m2",
  "float8_e4m3fnuz",
  "float8_e5m2fnuz",
  "float8_e8m0fnu",
]);

const complex: ReadonlySet<string> = new Set<DType>(["complex32", "complex64", "complex128"]);

/** Whether the type holds real floating point numbers. */
export function isFloatingDType(dtype: DType): boolean {
  return floating.has(dtype);
}

/** Whether the type holds complex numbers. */
export function isComplexDType(dtype: DType): boolean {
  return complex.has(dtype);
}

/**
 * Sets the type of tensors made from numbers where none is named; `"float32"` until then.
 *
 * @throws ArgumentError where it is not a floating point type
 * @see https://pytorch.org/docs/stable/generated/torch.set_default_dtype.html
 */
export function setDefaultDtype(dtype: DType): void {
  native.setDefaultDtype(dtype);
}

/** The type of tensors made from numbers where none is named. */
export function getDefaultDtype(): DType {
  return native.getDefaultDtype() as DType;
}
