import type { Scalar } from "./complex.js";
import { Complex } from "./complex.js";
import type { Device } from "./device.js";
import { type DType, getDefaultDtype, isFloatingDType, type Layout } from "./dtype.js";
import { ArgumentError } from "./errors.js";
import { type Handle, native } from "./native.js";
import { call } from "./operator.js";
import { Tensor } from "./tensor.js";
import { dtypeOf, flatten } from "./values.js";

export { call } from "./operator.js";
export * from "./ops.generated.js";

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
  /** Default: `"cpu"`. */
  device?: Device;
  /** Default: false. */
  requiresGrad?: boolean;
}

function typeOfValues(values: readonly unknown[]): DType {
  let type: DType | undefined;
  for (const value of values) {
    if (typeof value === "number") type = type === "complex64" ? type : getDefaultDtype();
    else if (value instanceof Complex) type = "complex64";
    else if (typeof value === "bigint") type ??= "int64";
    else if (typeof value === "boolean") type ??= "bool";
    else throw new ArgumentError(`tensor: data must be numbers, bigints, booleans or nested arrays of these, got ${String(value)}`);
    if (type === "bool" && typeof value !== "boolean") type = typeof value === "bigint" ? "int64" : getDefaultDtype();
  }
  return type ?? getDefaultDtype();
}

/** The values in an array of the type in which they are exact, with that type. */
function exactArray(values: readonly unknown[], dtype: DType): [ArrayBufferView, DType] {
  if (dtype === "bool") return [Uint8Array.from(values as boolean[], (v) => (v ? 1 : 0)), "bool"];
  if (dtype.startsWith("complex")) {
    const pairs = values.flatMap((v) => (v instanceof Complex ? [v.re, v.im] : [Number(v), 0]));
    return [Float64Array.from(pairs), "complex128"];
  }
  if (values.some((v) => v instanceof Complex)) throw new ArgumentError(`tensor: complex numbers cannot become ${dtype}; give a complex dtype`);
  if (dtype === "float32") return [Float32Array.from(values as number[], Number), "float32"];
  if (isFloatingDType(dtype)) return [Float64Array.from(values as number[], Number), "float64"];
  return [
    BigInt64Array.from(values as number[], (v) => {
      if (typeof v === "number" && !Number.isFinite(v)) throw new ArgumentError(`tensor: ${v} cannot become ${dtype}`);
      return typeof v === "bigint" ? v : BigInt(Math.trunc(Number(v)));
    }),
    "int64",
  ];
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
  const { dtype, device = "cpu", requiresGrad = false } = options;
  let result: Tensor;
  if (data instanceof Tensor) {
    result = data.detach().clone().to({ dtype: dtype ?? data.dtype, device });
  } else {
    let made: Tensor;
    let wanted: DType;
    if (ArrayBuffer.isView(data)) {
      const own = dtypeOf(data);
      made = Tensor.fromTypedArray(data, [(data as unknown as ArrayLike<number>).length], own);
      wanted = dtype ?? own;
    } else {
      const { shape, values } = flatten(data);
      wanted = dtype ?? typeOfValues(values);
      const [array, exact] = exactArray(values, wanted);
      made = Tensor.fromTypedArray(array, shape, exact);
    }
    result = made.to({ dtype: wanted, device });
  }
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
  const length = (array as unknown as { length?: number }).length ?? 0;
  return Tensor.fromTypedArray(array, shape ?? [length], options.dtype ?? dtypeOf(array));
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
  return Tensor.wrap(native.viewStorage(Tensor.unwrap(storage, "viewStorage: storage"), dtype, shape, stride, offset));
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
  const { requiresGrad, ...more } = options;
  const result = call("aten::full", size, fillValue, { ...more, dtype: options.dtype ?? typeOfValues([fillValue]) }) as Tensor;
  if (requiresGrad) result.requiresGrad = true;
  return result;
}

/** The gradients of many tensors at once, null where there is none. */
export function grads(tensors: readonly Tensor[]): (Tensor | null)[] {
  const handles: Handle[] = tensors.map((t) => t.handle);
  return native.grads(handles).map((handle) => (handle === null ? null : Tensor.wrap(handle)));
}

/**
 * Clears the gradients of many tensors at once.
 *
 * @param setToNone frees them (default) instead of filling them with zeros
 */
export function zeroGrad(tensors: readonly Tensor[], setToNone = true): void {
  native.zeroGrad(
    tensors.map((t) => t.handle),
    setToNone,
  );
}
