import { native } from "./native.js";

/** The types that tensor elements can have, by PyTorch's names. */
export type DType =
  | "float32"
  | "float64"
  | "float16"
  | "bfloat16"
  | "uint8"
  | "int8"
  | "int16"
  | "int32"
  | "int64"
  | "bool"
  | "complex32"
  | "complex64"
  | "complex128"
  | "uint16"
  | "uint32"
  | "uint64"
  | "float8_e4m3fn"
  | "float8_e5m2"
  | "float8_e4m3fnuz"
  | "float8_e5m2fnuz"
  | "float8_e8m0fnu"
  | "quint8"
  | "qint8"
  | "qint32";

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
export const complex64 = "complex64";
export const complex128 = "complex128";

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

/** Whether the type holds real floating point numbers. */
export function isFloatingDType(dtype: DType): boolean {
  return floating.has(dtype);
}

/** Whether the type holds complex numbers. */
export function isComplexDType(dtype: DType): boolean {
  return dtype.startsWith("complex");
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
