import { requireOptions, shown } from "./checks.js";
import { Complex, type Scalar } from "./complex.js";
import { type Device, defaultDevice } from "./device.js";
import {
  type DType,
  dtypes,
  getDefaultDtype,
  isComplexDType,
  isDType,
  isFloatingDType,
  itemSize,
  type Layout,
} from "./dtype.js";
import { ArgumentError } from "./errors.js";
import { native } from "./native.js";
import { call } from "./operator.js";
import { Tensor } from "./tensor.js";
import { dtypeOf, flatten } from "./values.js";

/** What {@link tensor} takes: numbers, nested arrays of numbers, typed arrays. */
export type TensorData =
  | number
  | bigint
  | boolean
  | Complex
  | ArrayBufferView
  | readonly TensorData[]
  | Tensor;

/** How a new tensor is made. */
export interface TensorOptions {
  /** Default: by the data. */
  dtype?: DType;
  /** Default: the default device, the CPU unless it was set. */
  device?: Device;
  /** Default: false. */
  requiresGrad?: boolean;
}

/** The type for values of several kinds is that of the most general one: boolean, bigint, number, Complex. */
function typeOfValues(values: readonly unknown[], name: string): DType {
  const standard = getDefaultDtype();
  const types: readonly DType[] = [
    "bool",
    "int64",
    standard,
    standard === "float64" ? "complex128" : "complex64",
  ];
  let most = -1;
  for (const value of values) {
    let kind: number;
    if (typeof value === "number") kind = 2;
    else if (typeof value === "bigint") kind = 1;
    else if (typeof value === "boolean") kind = 0;
    else if (value instanceof Complex) kind = 3;
    else
      throw new ArgumentError(
        `${name}: data must be numbers, bigints, booleans or nested arrays of these, got ${shown(value)}`,
      );
    if (kind > most) most = kind;
  }
  return most < 0 ? standard : (types[most] as DType);
}

function requireDType(dtype: unknown, name: string): void {
  if (dtype === undefined || isDType(dtype)) return;
  throw new ArgumentError(`${name}: dtype must be one of ${dtypes.join(", ")}, got ${shown(dtype)}`);
}

/** The values in an array of the type in which they are exact, with that type. */
function exactArray(values: readonly unknown[], dtype: DType): [ArrayBufferView, DType] {
  typeOfValues(values, "tensor"); // refuses what is no number
  const isComplex = isComplexDType(dtype);
  if (isComplex) {
    const pairs = values.flatMap((v) => (v instanceof Complex ? [v.re, v.im] : [Number(v), 0]));
    return [Float64Array.from(pairs), "complex128"];
  }
  if (values.some((v) => v instanceof Complex))
    throw new ArgumentError(`tensor: complex numbers cannot become ${dtype}; give a complex dtype`);
  if (dtype === "bool") return [Uint8Array.from(values, (v) => (Number(v) === 0 ? 0 : 1)), "bool"];
  if (dtype === "float32") return [Float32Array.from(values, Number), "float32"];
  if (isFloatingDType(dtype)) return [Float64Array.from(values, Number), "float64"];
  if (dtype.startsWith("q"))
    throw new ArgumentError(`tensor: a tensor of ${dtype} is made by quantizePerTensor, not from numbers`);
  const [least, most] = integerRange(dtype);
  const whole = (value: unknown): bigint => {
    if (typeof value === "number" && !Number.isFinite(value))
      throw new ArgumentError(`tensor: ${value} cannot become ${dtype}`);
    const integer = typeof value === "bigint" ? value : BigInt(Math.trunc(Number(value)));
    if (integer >= least && integer <= most) return integer;
    throw new ArgumentError(`tensor: ${integer} does not fit into ${dtype}, which takes ${least} to ${most}`);
  };
  if (dtype === "uint64") return [BigUint64Array.from(values, whole), "uint64"];
  return [BigInt64Array.from(values, whole), "int64"];
}

/** The integers that a type takes; as in PyTorch, the small unsigned ones take a negative number for its bits. */
function integerRange(dtype: DType): [bigint, bigint] {
  const bits = BigInt(itemSize(dtype) * 8);
  if (!dtype.startsWith("u")) return [-(2n ** (bits - 1n)), 2n ** (bits - 1n) - 1n];
  return [dtype === "uint64" ? 0n : 1n - 2n ** bits, 2n ** bits - 1n];
}

/**
 * A tensor with a copy of the data.
 *
 * Without `dtype`, numbers become the default type (`float32`), bigints `int64`, booleans `bool`, typed arrays keep their type:
 * the type of the tensor follows from the types in the program, not from whether a value happens to be whole.
 *
 * ```ts
 * torch.tensor([[1, 2], [3, 4]])                    // float32, shape [2, 2]
 * torch.tensor([3, 1, 2], { dtype: "int64" })       // class labels
 * ```
 *
 * @throws ArgumentError where nested arrays are not rectangular or hold anything but numbers
 * @see https://pytorch.org/docs/stable/generated/torch.tensor.html
 */
export function tensor(data: TensorData, options: TensorOptions = {}): Tensor {
  requireOptions(options, "tensor");
  const { dtype, requiresGrad = false } = options;
  requireDType(dtype, "tensor");
  let device = options.device ?? defaultDevice ?? "cpu";
  let made: Tensor;
  let wanted = dtype;
  if (data instanceof Tensor) {
    made = data.detach().clone();
    wanted ??= data.dtype;
    device = options.device ?? data.device;
  } else if (ArrayBuffer.isView(data)) {
    made = fromTypedArray(data);
    wanted ??= made.dtype;
  } else {
    const { shape, values } = flatten(data);
    wanted ??= typeOfValues(values, "tensor");
    const [array, exact] = exactArray(values, wanted);
    made = Tensor.fromTypedArray(array, shape, exact);
  }
  const result =
    wanted === made.dtype && device === "cpu" && !(data instanceof Tensor)
      ? made
      : made.to({ dtype: wanted, device });
  if (requiresGrad) result.requiresGrad = true;
  return result;
}

/**
 * A tensor on the CPU with a copy of a typed array's values, in row-major order.
 *
 * @param shape default: one dimension
 * @param options `dtype`: reads the bytes as this type, for types without a typed array of their own
 * @throws ArgumentError where the shape does not fit the number of bytes
 */
export function fromTypedArray(
  array: ArrayBufferView,
  shape?: readonly number[],
  options: { dtype?: DType } = {},
): Tensor {
  requireOptions(options, "fromTypedArray");
  const dtype = options.dtype ?? dtypeOf(array);
  const length = Math.floor(array.byteLength / itemSize(dtype));
  return Tensor.fromTypedArray(array, shape ?? [length], dtype);
}

/**
 * A tensor over the storage of another one: of any type, shape and stride that stays inside it.
 *
 * @param offset of the first element, in elements of `dtype`
 * @throws ArgumentError where an element would lie outside the storage
 */
export function viewStorage(
  storage: Tensor,
  dtype: DType,
  shape: readonly number[],
  stride: readonly number[],
  offset = 0,
): Tensor {
  return Tensor.wrap(
    native.viewStorage(Tensor.unwrap(storage, "viewStorage: storage"), dtype, shape, stride, offset),
  );
}

/**
 * A tensor filled with one value. Without `dtype`, a number gives the default type, a bigint `int64`, a boolean `bool`.
 *
 * @see https://pytorch.org/docs/stable/generated/torch.full.html
 */
export function full(
  size: readonly number[],
  fillValue: Scalar,
  options: TensorOptions & { layout?: Layout; pinMemory?: boolean } = {},
): Tensor {
  requireOptions(options, "full");
  const { requiresGrad, ...more } = options;
  const result = call("aten::full", size, fillValue, {
    ...more,
    dtype: options.dtype ?? typeOfValues([fillValue], "full"),
    device: options.device ?? defaultDevice,
  }) as Tensor;
  if (requiresGrad) result.requiresGrad = true;
  return result;
}

/**
 * The data as a tensor: a tensor as it is where type and device fit, anything else as by {@link tensor}.
 *
 * @see https://pytorch.org/docs/stable/generated/torch.as_tensor.html
 */
export function asTensor(data: TensorData, options: { dtype?: DType; device?: Device } = {}): Tensor {
  return data instanceof Tensor ? data.to(options) : tensor(data, options);
}

/** Options of {@link asarray}. */
export interface AsarrayOptions extends TensorOptions {
  /** Whether a tensor is copied even where nothing changes. Default: false. */
  copy?: boolean;
}

/**
 * The data as a tensor outside any graph; a tensor is copied only where type or device change, or `copy` is set.
 *
 * @see https://pytorch.org/docs/stable/generated/torch.asarray.html
 */
export function asarray(data: TensorData, options: AsarrayOptions = {}): Tensor {
  requireOptions(options, "asarray");
  const { copy = false, requiresGrad = false, ...place } = options;
  if (!(data instanceof Tensor)) return tensor(data, { ...place, requiresGrad });
  return data
    .detach()
    .to({ ...place, copy })
    .requiresGrad_(requiresGrad);
}

/** Options of {@link frombuffer}. */
export interface FromBufferOptions {
  /** What the bytes are read as. */
  dtype: DType;
  /** How many elements. Default: all that follow. */
  count?: number;
  /** How many bytes are skipped. Default: 0. */
  offset?: number;
  /** Default: false. */
  requiresGrad?: boolean;
}

/**
 * A one-dimensional tensor with a copy of raw bytes. (PyTorch's shares the memory; a JavaScript buffer may be taken away from under
 * a tensor.)
 *
 * @throws ArgumentError where offset and count reach beyond the buffer
 * @see https://pytorch.org/docs/stable/generated/torch.frombuffer.html
 */
export function frombuffer(buffer: ArrayBufferLike | ArrayBufferView, options: FromBufferOptions): Tensor {
  requireOptions(options, "frombuffer");
  const { dtype, offset = 0, requiresGrad = false } = options;
  const bytes = ArrayBuffer.isView(buffer)
    ? new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength)
    : new Uint8Array(buffer);
  const width = itemSize(dtype);
  const count = options.count ?? Math.floor((bytes.length - offset) / width);
  if (!(offset >= 0 && count >= 0 && offset + count * width <= bytes.length)) {
    throw new ArgumentError(
      `frombuffer: ${count} elements of ${width} bytes from offset ${offset} reach outside the buffer's ${bytes.length} bytes`,
    );
  }
  const result = Tensor.fromTypedArray(bytes.slice(offset, offset + count * width), [count], dtype);
  return requiresGrad ? result.requiresGrad_() : result;
}
