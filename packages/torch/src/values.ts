import { inspect } from "node:util";
import { Complex } from "./complex.js";
import { type DType, itemSize } from "./dtype.js";
import { ArgumentError, OperatorError } from "./errors.js";
import { native } from "./native.js";
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

/** A copy of the values of a tensor in row-major order; of a quantized one, the integers. */
export function copyOut(tensor: Tensor): TypedArray {
  if (tensor.isQuantized) return copyOut(tensor.intRepr());
  const { dtype } = tensor;
  const bytes = tensor.numel() * itemSize(dtype);
  let buffer: ArrayBuffer;
  try {
    buffer = new ArrayBuffer(bytes);
  } catch (cause) {
    throw new OperatorError(
      `there is no memory for a copy of ${bytes} bytes: ${(cause as Error).message}`,
      "OutOfMemoryError",
    );
  }
  native.toBytes(tensor.handle, new Uint8Array(buffer));
  return typedArrayOver(buffer, dtype);
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
  throw new ArgumentError(
    `a typed array of numbers is required, got ${inspect(array, { depth: 0, breakLength: 80 })}`,
  );
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
      return Array.from(
        { length: pairs.length / 2 },
        (_, i) => new Complex(pairs[2 * i] ?? 0, pairs[2 * i + 1] ?? 0),
      );
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

/** More arrays and values than this are not made at once: the engine would end the process for want of memory. */
const MOST_VALUES = 2 ** 24;
/** Nested arrays deeper than this are taken for a mistake, such as an array that holds itself. */
const MOST_DIMENSIONS = 64;

/** The values of a tensor as nested arrays. */
export function toNested(tensor: Tensor, asBigint: boolean): NestedArray {
  const shape = tensor.shape;
  let made = 1;
  for (const size of shape) {
    made *= size;
    if (made > MOST_VALUES) {
      throw new ArgumentError(
        `toArray: a tensor of shape [${shape}] is too large for nested arrays; use toTypedArray(), or a part of it`,
      );
    }
  }
  const values = flatValues(tensor, asBigint);
  let at = 0;
  const build = (depth: number): NestedArray => {
    if (depth === shape.length) return values[at++] as NestedArray;
    return Array.from({ length: shape[depth] ?? 0 }, () => build(depth + 1));
  };
  return build(0);
}

const isList = (part: unknown): part is ArrayLike<unknown> =>
  Array.isArray(part) || (ArrayBuffer.isView(part) && !(part instanceof DataView));

/** Nested arrays as one flat list with the shape they had. */
export function flatten(data: unknown): { shape: number[]; values: unknown[] } {
  const shape: number[] = [];
  for (let level = data; isList(level); level = level[0]) {
    shape.push(level.length);
    if (shape.length > MOST_DIMENSIONS) {
      throw new ArgumentError(`tensor: data is nested more than ${MOST_DIMENSIONS} arrays deep`);
    }
    if (level.length === 0) break;
  }
  const values: unknown[] = [];
  const place: number[] = [];
  const here = () => `data${place.map((i) => `[${i}]`).join("")}`;
  const visit = (part: unknown): void => {
    if (place.length === shape.length) {
      if (isList(part))
        throw new ArgumentError(
          `tensor: ${here()} is an array where a number is expected; nested arrays must be rectangular`,
        );
      values.push(part);
      return;
    }
    const size = shape[place.length];
    if (!isList(part))
      throw new ArgumentError(
        `tensor: ${here()} must be an array of length ${size}, got ${inspect(part, { depth: 0 })}`,
      );
    if (part.length !== size) {
      throw new ArgumentError(
        `tensor: ${here()} must have length ${size} like the parts before it, got ${part.length}`,
      );
    }
    const depth = place.length;
    for (let i = 0; i < part.length; i++) {
      place[depth] = i;
      visit(part[i]);
      place.length = depth;
    }
  };
  visit(data);
  return { shape, values };
}
