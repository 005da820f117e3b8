import { inspect } from "node:util";
import { Complex } from "./complex.js";
import type { Device } from "./device.js";
import type { DType, Layout, MemoryFormat } from "./dtype.js";
import { ArgumentError } from "./errors.js";
import { getIndex, type Index, setIndex } from "./indexing.js";
import { type Handle, native } from "./native.js";
import { call } from "./operator.js";
import type { TensorMethods } from "./ops.generated.js";
import { format } from "./printing.js";
import { type NestedArray, toNested, type TypedArray, typedArrayOver } from "./values.js";

/** Something that can be taken back: a hook that was registered. */
export interface RemovableHandle {
  /** Takes the hook away; a second call does nothing. */
  remove(): void;
}

/** What {@link Tensor.to} may change. */
export interface ToOptions {
  dtype?: DType;
  device?: Device;
  /** A new tensor even where nothing changes. Default: false. */
  copy?: boolean;
  /** Does not wait for copies between pinned memory and an accelerator. Default: false. */
  nonBlocking?: boolean;
  memoryFormat?: MemoryFormat;
}

/** What a backward pass may be told. */
export interface BackwardOptions {
  /** Keeps the saved values for another backward pass. Default: the value of `createGraph`. */
  retainGraph?: boolean;
  /** Records the backward pass itself, for derivatives of higher order. Default: false. */
  createGraph?: boolean;
  /** Accumulates gradients into these tensors only. Default: all leaves. */
  inputs?: readonly Tensor[];
}

// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the methods of all operators are installed by ops.generated.ts
export interface Tensor extends TensorMethods {}

/**
 * A multi-dimensional array of numbers of one type, with automatic differentiation: PyTorch's tensor.
 *
 * Made by functions such as `torch.tensor`, `torch.zeros`, `torch.randn`. Memory is freed when the object is no longer
 * reachable; nothing needs to be disposed.
 *
 * ```ts
 * const x = torch.tensor([[1, 2], [3, 4]], { requiresGrad: true });
 * x.mul(x).sum().backward();
 * x.grad?.toArray(); // [[2, 4], [6, 8]]
 * ```
 *
 * @see https://pytorch.org/docs/stable/tensors.html
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: see above
export class Tensor {
  /** @internal */
  readonly handle: Handle;

  /** @internal Tensors are made by functions, not by this constructor. */
  constructor(handle: Handle) {
    this.handle = handle;
  }

  /** @internal */
  static wrap(handle: Handle): Tensor {
    return new Tensor(handle);
  }

  /** @internal */
  static unwrap(value: Tensor, what: string): Handle {
    if (!(value instanceof Tensor)) throw new ArgumentError(`${what} must be a Tensor, got ${inspect(value, { depth: 0 })}`);
    return value.handle;
  }

  /** @internal A new tensor with a copy of the values. */
  static fromTypedArray(array: ArrayBufferView, shape: readonly number[], dtype: DType): Tensor {
    return new Tensor(native.fromBytes(array, dtype, shape));
  }

  // ------------------------------------------------------------- shape and type

  /** The size of each dimension. */
  get shape(): number[] {
    return native.sizes(this.handle);
  }

  /** The sizes of all dimensions, or of one. Negative dimensions count from the end. */
  size(): number[];
  size(dim: number): number;
  size(dim?: number): number | number[] {
    const sizes = native.sizes(this.handle);
    return dim === undefined ? sizes : at(sizes, dim, "size");
  }

  /** The distance in elements between neighbours along each dimension, or along one. */
  stride(): number[];
  stride(dim: number): number;
  stride(dim?: number): number | number[] {
    const strides = native.strides(this.handle);
    return dim === undefined ? strides : at(strides, dim, "stride");
  }

  /** The number of dimensions. */
  get ndim(): number {
    return native.dim(this.handle);
  }

  /** The number of dimensions. */
  dim(): number {
    return native.dim(this.handle);
  }

  /** The number of elements. */
  numel(): number {
    return native.numel(this.handle);
  }

  /** Where the first element lies in the storage, in elements. */
  storageOffset(): number {
    return native.storageOffset(this.handle);
  }

  /** The type of the elements. */
  get dtype(): DType {
    return native.dtype(this.handle) as DType;
  }

  /** The device on which the tensor lives. */
  get device(): Device {
    return native.device(this.handle) as Device;
  }

  /** How the elements are laid out; `"strided"` for dense tensors. */
  get layout(): Layout {
    return native.layout(this.handle) as Layout;
  }

  /** Whether the elements lie in row-major order without gaps. */
  isContiguous(): boolean {
    return native.isContiguous(this.handle);
  }

  /** Whether this is a view of another tensor as far as autograd is concerned. */
  get isView(): boolean {
    return native.isView(this.handle);
  }

  /** Whether both are the same tensor (not: equal values). */
  isSame(other: Tensor): boolean {
    return native.isSame(this.handle, Tensor.unwrap(other, "isSame: other"));
  }

  /** Equal for tensors that share memory. */
  get storageId(): bigint {
    return native.storageId(this.handle);
  }

  /** The bytes of the whole storage that this tensor, on the CPU, looks into, without a copy. The storage can no longer be resized then. */
  storageBytes(): Uint8Array {
    return new Uint8Array(native.storageBytes(this.handle));
  }

  /** The matrix with its two dimensions swapped; for other ranks all dimensions reversed. */
  get T(): Tensor {
    return this.permute(Array.from({ length: this.ndim }, (_, i) => this.ndim - 1 - i));
  }

  /** The tensor with its last two dimensions swapped. */
  get mT(): Tensor {
    return this.transpose(-2, -1);
  }

  // ------------------------------------------------------------- values

  /**
   * The value of a tensor with one element: a number, a boolean for `bool`, a {@link Complex} for complex types.
   *
   * @param options `bigint`: gives integers as bigint
   * @throws ArgumentError where there is not exactly one element, or an integer is beyond 2^53 and `bigint` is not set
   */
  item<T = number>(options: { bigint?: boolean } = {}): T {
    const value = native.item(this.handle);
    if (typeof value === "object") return new Complex(value.re, value.im) as T;
    if (options.bigint === true && typeof value === "number") return BigInt(value) as T;
    if (typeof value === "bigint" && options.bigint !== true) {
      throw new ArgumentError(`item: ${value} is not exact as a number; use item({ bigint: true })`);
    }
    return value as T;
  }

  /**
   * The values as nested arrays, a plain value for a tensor without dimensions.
   *
   * @param options `bigint`: gives 64-bit integers as bigint
   * @throws ArgumentError where an integer is beyond 2^53 and `bigint` is not set
   */
  toArray<T = NestedArray>(options: { bigint?: boolean } = {}): T {
    return toNested(this, options.bigint ?? false) as T;
  }

  /** A copy of the values in row-major order. `float16` and `bfloat16` come as their bits in a `Uint16Array`, complex numbers as pairs. */
  toTypedArray(): TypedArray {
    return typedArrayOver(native.toBytes(this.handle), this.dtype);
  }

  /**
   * The tensor's own memory as a typed array, without a copy: a change of one is a change of the other.
   *
   * @throws ArgumentError where the tensor is not contiguous or not on the CPU
   */
  asTypedArray(): TypedArray {
    return typedArrayOver(native.viewBytes(this.handle), this.dtype);
  }

  /** The parts along the first dimension. */
  *[Symbol.iterator](): IterableIterator<Tensor> {
    if (this.ndim === 0) throw new ArgumentError("a tensor without dimensions cannot be iterated over");
    yield* this.unbind(0);
  }

  toString(): string {
    return format(this);
  }

  [inspect.custom](): string {
    return format(this);
  }

  // ------------------------------------------------------------- indexing

  /**
   * A part of the tensor, by Python's rules of indexing.
   *
   * ```ts
   * x.get(0)                        // x[0]
   * x.get([0, slice(1, null)])      // x[0, 1:]
   * x.get(["...", null])            // x[..., None]
   * x.get(x.gt(0))                  // x[x > 0]
   * ```
   *
   * @param index a number, `slice(start, stop, step)`, `null` (a new dimension), `"..."`, a boolean, a tensor (mask or indices),
   * or an array of these, one for each dimension
   */
  get(index: Index | readonly Index[]): Tensor {
    return getIndex(this, index);
  }

  /** Writes a value into the part that `get` with the same index gives. */
  set(index: Index | readonly Index[], value: Tensor | number | bigint | boolean): this {
    setIndex(this, index, value);
    return this;
  }

  // ------------------------------------------------------------- conversion

  /** The tensor with another type, on another device, or both; itself where nothing changes. */
  to(options: ToOptions): Tensor;
  to(target: DType | Device | Tensor, options?: ToOptions): Tensor;
  to(target: DType | Device | Tensor | ToOptions, options: ToOptions = {}): Tensor {
    let wanted: ToOptions = options;
    if (target instanceof Tensor) wanted = { dtype: target.dtype, device: target.device, ...options };
    else if (typeof target === "object" && target !== null) wanted = target;
    else if (isDevice(target)) wanted = { ...options, device: target };
    else wanted = { ...options, dtype: target as DType };
    const more = { nonBlocking: wanted.nonBlocking ?? false, copy: wanted.copy ?? false, memoryFormat: wanted.memoryFormat };
    const { dtype, device } = wanted;
    if (device !== undefined) return call("aten::to", this, device, dtype ?? this.dtype, more) as Tensor;
    if (dtype !== undefined) return call("aten::to", this, dtype, more) as Tensor;
    return more.copy ? this.clone() : this;
  }

  cpu(): Tensor {
    return this.to("cpu");
  }

  cuda(device: Device = "cuda"): Tensor {
    return this.to(device);
  }

  float(): Tensor {
    return this.to("float32");
  }

  double(): Tensor {
    return this.to("float64");
  }

  half(): Tensor {
    return this.to("float16");
  }

  bfloat16(): Tensor {
    return this.to("bfloat16");
  }

  int(): Tensor {
    return this.to("int32");
  }

  long(): Tensor {
    return this.to("int64");
  }

  short(): Tensor {
    return this.to("int16");
  }

  char(): Tensor {
    return this.to("int8");
  }

  byte(): Tensor {
    return this.to("uint8");
  }

  bool(): Tensor {
    return this.to("bool");
  }

  // ------------------------------------------------------------- autograd

  /** Whether gradients are computed for this tensor. Can be set on leaf tensors of floating point or complex type. */
  get requiresGrad(): boolean {
    return native.requiresGrad(this.handle);
  }

  set requiresGrad(value: boolean) {
    native.setRequiresGrad(this.handle, value);
  }

  /** Sets {@link requiresGrad} and returns the tensor. */
  requiresGrad_(value = true): this {
    native.setRequiresGrad(this.handle, value);
    return this;
  }

  /** The gradient that backward passes have accumulated, null before the first. */
  get grad(): Tensor | null {
    const handle = native.grad(this.handle);
    return handle === null ? null : new Tensor(handle);
  }

  set grad(value: Tensor | null) {
    native.setGrad(this.handle, value === null ? null : Tensor.unwrap(value, "grad"));
  }

  /** The same memory without history; assigning replaces the tensor's memory, type and shape. */
  get data(): Tensor {
    return new Tensor(native.data(this.handle));
  }

  set data(value: Tensor) {
    native.setData(this.handle, Tensor.unwrap(value, "data"));
  }

  /** Whether it was made by the user rather than by an operator that is recorded. */
  get isLeaf(): boolean {
    return native.isLeaf(this.handle);
  }

  /** The function of the graph that made this tensor, null for leaves. */
  get gradFn(): { readonly name: string } | null {
    const name = native.gradFunctionName(this.handle);
    return name === null ? null : { name };
  }

  /** How often the tensor was changed in place. */
  get version(): number {
    return native.version(this.handle);
  }

  /**
   * Computes gradients of this tensor with respect to the leaves and adds them to their `grad`.
   *
   * @param gradient what the gradients are multiplied by; only needed where this tensor has more than one element
   * @see https://pytorch.org/docs/stable/generated/torch.Tensor.backward.html
   */
  backward(gradient: Tensor | null = null, options: BackwardOptions = {}): void {
    native.backward(
      [this.handle],
      gradient === null ? null : [Tensor.unwrap(gradient, "backward: gradient")],
      options.retainGraph ?? null,
      options.createGraph ?? false,
      options.inputs === undefined ? null : options.inputs.map((input) => Tensor.unwrap(input, "backward: inputs")),
    );
  }

  /** Keeps the gradient of a tensor that is not a leaf in its `grad`. */
  retainGrad(): void {
    call("aten::retain_grad", this);
  }

  /**
   * Calls a function with the gradient of this tensor whenever one is computed; what it returns, if anything, replaces it.
   *
   * @see https://pytorch.org/docs/stable/generated/torch.Tensor.register_hook.html
   */
  registerHook(hook: (gradient: Tensor) => Tensor | null | undefined | void): RemovableHandle {
    const { handle } = this;
    const id = native.addHook(handle, (gradient) => {
      const result = hook(new Tensor(gradient));
      return result instanceof Tensor ? result.handle : refuseOther(result, "a gradient hook");
    });
    return removable(() => native.removeHook(handle, id));
  }

  /**
   * Calls a function each time a gradient has been added to this leaf's `grad`.
   *
   * @see https://pytorch.org/docs/stable/generated/torch.Tensor.register_post_accumulate_grad_hook.html
   */
  registerPostAccumulateGradHook(hook: (tensor: Tensor) => void): RemovableHandle {
    const { handle } = this;
    const id = native.addAccumulateHook(handle, () => {
      hook(this);
    });
    return removable(() => native.removeAccumulateHook(handle, id));
  }

  // ------------------------------------------------------------- lifetime

  /** Frees the memory at once instead of when the object is collected. Using the tensor afterwards is a {@link DisposedError}. */
  dispose(): void {
    native.dispose(this.handle);
  }

  get isDisposed(): boolean {
    return native.isDisposed(this.handle);
  }

  [Symbol.dispose](): void {
    native.dispose(this.handle);
  }
}

function removable(remove: () => void): RemovableHandle {
  let removed = false;
  return {
    remove() {
      if (!removed) remove();
      removed = true;
    },
  };
}

function refuseOther(result: unknown, what: string): null {
  if (result === undefined || result === null) return null;
  throw new ArgumentError(`the result of ${what} must be a Tensor or nothing, got ${inspect(result, { depth: 0 })}`);
}

function at(values: number[], dim: number, what: string): number {
  const value = values[dim < 0 ? dim + values.length : dim];
  if (value === undefined) {
    throw new ArgumentError(
      `${what}: dim must be an integer from ${-values.length} to ${values.length - 1} for a tensor with ${values.length} dimensions, got ${dim}`,
    );
  }
  return value;
}

function isDevice(target: string): target is Device {
  return /^(cpu|cuda|mps|xpu|meta|hpu|mtia)(:\d+)?$/.test(target);
}
