import type { DType } from "../dtype.js";
import { SerializationError } from "./errors.js";

/** NumPy's codes of types, kind and bytes, and what they are here. */
const dtypes: ReadonlyMap<string, DType> = new Map<string, DType>([
  ["b1", "bool"],
  ["i1", "int8"],
  ["i2", "int16"],
  ["i4", "int32"],
  ["i8", "int64"],
  ["u1", "uint8"],
  ["u2", "uint16"],
  ["u4", "uint32"],
  ["u8", "uint64"],
  ["f2", "float16"],
  ["f4", "float32"],
  ["f8", "float64"],
  ["c8", "complex64"],
  ["c16", "complex128"],
]);
const codes = new Map([...dtypes].map(([code, dtype]) => [dtype, code]));

/** The type for a code of NumPy such as `f4`. */
export function dtypeOfNumpy(code: string): DType {
  const dtype = dtypes.get(code);
  if (dtype !== undefined) return dtype;
  throw new SerializationError(
    `the array has elements of the type ${JSON.stringify(code.slice(0, 100))}; ` +
      "only booleans, integers, floats and complex numbers can become tensors",
  );
}

/** NumPy's code for a type, undefined where it has none. */
export function numpyCode(dtype: DType): string | undefined {
  return codes.get(dtype);
}
