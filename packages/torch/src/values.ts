import { Complex } from "./complex.js";
import type { DType } from "./dtype.js";
import { ArgumentError } from "./errors.js";
import type { Tensor } from "./tensor.js";

/** The typed arrays that values of tensors come in. */
export type TypedArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

/** Values of a tensor as nested arrays, one level for each dimension. */
export type NestedArray = number | bigint | boolean | Complex | NestedArray[];

/** An array over a buffer with elements of the type; half precision as bits, complex numbers as pairs, bool as bytes. */
export function typedArrayOver(buffer: ArrayBuffer, dtype: DType): TypedArray {
  switch (dtype) {
    case "float32":
    case "complex64":
      return new Float32Array(buffer);
    case "float64":
    case "complex128":
      return new Float64Array(buffer);
    case "int8":
    case "qint8":
      return new Int8Array(buffer);
    case "int16":
      return new Int16Array(buffer);
    case "float16":
    case "bfloat16":
    case "uint16":
    case "complex32":
      return new Uint16Array(buffer);
    case "int32":
    case "qint32":
      return new Int32Array(buffer);
    case "uint32":
      return new Uint32Array(buffer);
    case "int64":
      return new BigInt64Array(buffer);
    case "uint64":
      return new BigUint64Array(buffer);
    default:
      return new Uint8Array(buffer);
  }
}

/** The type of tensor that a typed array becomes. */
export function dtypeOf(array: ArrayBufferView): DType {
  if (array instanceof Float32Array) return "float32";
  if (array instanceof Float64Array) return "float64";
  if (array instanceof Int8Array) return "int8";
  if (array instanceof Uint8Array || array instanceof Uint8ClampedArray) return "uint8";
  if (array instanceof Int16Array) return "int16";
  if (array instanceof Uint16Array) return "uint16";
  if (array instanceof Int32Array) return "int32";
  if (array instanceof Uint32Array) return "uint32";
  if (array instanceof BigInt64Array) return "int64";
  if (array instanceof BigUint64Array) return "uint64";
  throw new ArgumentError("a typed array of numbers is required, got a DataView");
}

function numberFrom(value: bigint, asBigint: boolean): number | bigint {
  if (asBigint) return value;
  const number = Number(value);
  if (!Number.isSafeInteger(number)) {
    throw new ArgumentError(`toArray: ${value} is not exact as a number; use toArray({ bigint: true })`);
  }
  return number;
}

/** The values of a tensor in row-major order, each as JavaScript has it. */
export function flatValues(tensor: Tensor, asBigint: boolean): (number | bigint | boolean | Complex)[] {
  const dtype = tensor.dtype;
  switch (dtype) {
    case "bool":
      return Array.from(tensor.toTypedArray() as Uint8Array, (v) => v !== 0);
    case "int64":
    case "uint64":
      return Array.from(tensor.toTypedArray() as BigInt64Array, (v) => numberFrom(v, asBigint));
    case "float32":
    case "float64":
    case "int8":
    case "uint8":
    case "int16":
    case "uint16":
    case "int32":
    case "uint32":
      return Array.from(tensor.toTypedArray() as Float64Array);
    case "complex64":
    case "complex128": {
      const pairs = tensor.toTypedArray() as Float64Array;
      return Array.from({ length: pairs.length / 2 }, (_, i) => new Complex(pairs[2 * i] ?? 0, pairs[2 * i + 1] ?? 0));
    }
    case "complex32":
      return flatValues(tensor.detach().to("complex64"), asBigint);
    case "quint8":
    case "qint8":
    case "qint32":
      return flatValues(tensor.dequantize(), asBigint);
    default:
      return flatValues(tensor.detach().to("float32"), asBigint);
  }
}

/** The values of a tensor as nested arrays. */
export function toNested(tensor: Tensor, asBigint: boolean): NestedArray {
  const values = flatValues(tensor, asBigint);
  const shape = tensor.shape;
  let at = 0;
  const build = (depth: number): NestedArray => {
    if (depth === shape.length) return values[at++] as NestedArray;
    return Array.from({ length: shape[depth] ?? 0 }, () => build(depth + 1));
  };
  return build(0);
}

/** Nested arrays as one flat list with the shape they had. */
export function flatten(data: unknown): { shape: number[]; values: unknown[] } {
  const shape: number[] = [];
  for (let level = data; Array.isArray(level) || ArrayBuffer.isView(level); level = (level as unknown[])[0]) {
    const length = (level as ArrayLike<unknown>).length;
    shape.push(length);
    if (length === 0) break;
  }
  const values: unknown[] = [];
  const visit = (part: unknown, depth: number, path: string): void => {
    const isList = Array.isArray(part) || ArrayBuffer.isView(part);
    if (depth === shape.length) {
      if (isList) throw new ArgumentError(`tensor: data${path} is an array where a number is expected; nested arrays must be rectangular`);
      values.push(part);
      return;
    }
    if (!isList) throw new ArgumentError(`tensor: data${path} must be an array of length ${shape[depth]}, got ${String(part)}`);
    const list = part as ArrayLike<unknown>;
    if (list.length !== shape[depth]) {
      throw new ArgumentError(`tensor: data${path} must have length ${shape[depth]} like the parts before it, got ${list.length}`);
    }
    for (let i = 0; i < list.length; i++) visit(list[i], depth + 1, `${path}[${i}]`);
  };
  visit(data, 0, "");
  return { shape, values };
}
