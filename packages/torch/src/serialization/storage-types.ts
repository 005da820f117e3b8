import type { DType } from "../dtype.js";

/** Whether the type's elements are integers that stand for other numbers. */
export function isQuantized(dtype: DType): boolean {
  return dtype.startsWith("q");
}

/** The type of the integers that a quantized tensor consists of; any other type itself. */
export function plainDType(dtype: DType): DType {
  return isQuantized(dtype) ? (dtype.slice(1) as DType) : dtype;
}

/** PyTorch's classes of storages; types that came later than these have storages without a type. */
export const storageTypes: ReadonlyMap<string, DType> = new Map<string, DType>([
  ["DoubleStorage", "float64"],
  ["FloatStorage", "float32"],
  ["HalfStorage", "float16"],
  ["LongStorage", "int64"],
  ["IntStorage", "int32"],
  ["ShortStorage", "int16"],
  ["CharStorage", "int8"],
  ["ByteStorage", "uint8"],
  ["BoolStorage", "bool"],
  ["BFloat16Storage", "bfloat16"],
  ["ComplexDoubleStorage", "complex128"],
  ["ComplexFloatStorage", "complex64"],
  ["QUInt8Storage", "quint8"],
  ["QInt8Storage", "qint8"],
  ["QInt32Storage", "qint32"],
]);

const classes = new Map([...storageTypes].map(([name, dtype]) => [dtype, name]));

/** PyTorch's class for storages of the type, undefined where it has none. */
export function storageClass(dtype: DType): string | undefined {
  return classes.get(dtype);
}
