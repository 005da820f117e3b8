import { inspect } from "node:util";
import { requireFunction, requireOptions, shown } from "./checks.js";
import { Complex, type Scalar } from "./complex.js";
import type { Device } from "./device.js";
import { type DType, dtypes, isDType, itemSize, type Layout, type MemoryFormat } from "./dtype.js";
import { ArgumentError } from "./errors.js";
import { getIndex, type Index, setIndex } from "./indexing.js";
import { type Handle, native } from "./native.js";
import { call, makeFunction } from "./operator.js";
import type { TensorMethods } from "./ops.generated.js";
import { format } from "./printing.js";
import type { TensorMembers } from "./tensor-members.js";
import { copyOut, type NestedArray, type TypedArray, toNested, typedArrayOver } from "./values.js";

/** Something that can be taken back: a hook that was registered. */
export interface RemovableHandle {
  /** Takes the hook away; a second call does nothing. */
  remove(): void;
}

/** What {@link Tensor.to} may change. */
export interface ToOptions {
  /** Default: the tensor's own. */
  dtype?: DType;
  /** Default: the tensor's own. */
  device?: Device;
  /** A new tensor even where nothing changes. Default: false. */
  copy?: boolean;
  /** Does not wait for copies between pinned memory and an accelerator. Default: false. */
  nonBlocking?: boolean;
  /** How the result lies in memory. Default: as the tensor does. */
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

interface Kind {
  readonly dtype: DType;
  readonly device: Device;
  readonly layout: Layout;
}

const kinds = new Map<number, Kind>();

/** What a tensor is; the strings are made once for each kind. */
function kindOf(handle: Handle): Kind {
  const number = native.kindNumber(handle);
  let kind = kinds.get(number);
  if (kind === undefined) {
    const [dtype, device, layout] = native.kindNames(handle);
    kind = { dtype, device, layout } as Kind;
    kinds.set(number, kind);
  }
  return kind;
}

// The methods of all operators are installed by ops.generated.ts.
export interface Tensor extends TensorMethods, TensorMembers {}

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
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the interface has the methods that are installed later
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
    if (!(value instanceof Tensor)) throw new ArgumentError(`${what} must be a Tensor, got ${shown(value)}`);
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
    return kindOf(this.handle).dtype;
  }

  /** The device on which the tensor lives. */
  get device(): Device {
    return kindOf(this.handle).device;
  }

  /** How the elements are laid out; `"strided"` for dense tensors. */
  get layout(): Layout {
    return kindOf(this.handle).layout;
  }

  /** Whether it is a list of tensors of different shapes, made by PyTorch's operators for nested tensors. */
  get isNested(): boolean {
    return native.isNested(this.handle);
  }

  /** Whether the elements are integers that stand for real numbers, as made by `quantizePerTensor`. */
  get isQuantized(): boolean {
    return this.dtype.startsWith("q");
  }

  /** Whether it is a sparse tensor in coordinate format. */
  get isSparse(): boolean {
    return this.layout === "sparse_coo";
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

  /** The conjugate of the matrix with its two dimensions swapped. */
  get H(): Tensor {
    return call("aten::matrix_H", this) as Tensor;
  }

  /** The conjugate of the tensor with its last two dimensions swapped. */
  get mH(): Tensor {
    return this.mT.conj();
  }

  /** The real part, in the same memory; the tensor itself where it is not complex. */
  get real(): Tensor {
    return call("aten::real", this) as Tensor;
  }

  set real(value: Tensor) {
    this.real.copy_(value);
  }

  /** The imaginary part of a complex tensor, in the same memory. */
  get imag(): Tensor {
    return call("aten::imag", this) as Tensor;
  }

  set imag(value: Tensor) {
    this.imag.copy_(value);
  }

  /** Bytes of one element. */
  get itemsize(): number {
    return itemSize(this.dtype);
  }

  /** Bytes of all elements. */
  get nbytes(): number {
    return this.numel() * this.itemsize;
  }

  // ------------------------------------------------------------- values

  /**
   * The value of a tensor with one element: a number, a boolean for `bool`, a {@link Complex} for complex types.
   *
   * @param options `bigint`: gives integers as bigint
   * @throws ArgumentError where there is not exactly one element, or an integer is beyond 2^53 and `bigint` is not set
   */
  item<T = number>(options: { bigint?: boolean } = {}): T {
    requireOptions(options, "item");
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
   * @throws ArgumentError where an integer is beyond 2^53 and `bigint` is not set, or where there are more than 2^24 values
   */
  toArray<T = NestedArray>(options: { bigint?: boolean } = {}): T {
    requireOptions(options, "toArray");
    return toNested(this, options.bigint ?? false) as T;
  }

  /** A copy of the values in row-major order. `float16` and `bfloat16` come as their bits in a `Uint16Array`, complex numbers as pairs. */
  toTypedArray<T extends TypedArray = TypedArray>(): T {
    return copyOut(this) as T;
  }

  /**
   * The tensor's own memory as a typed array, without a copy: a change of one is a change of the other. The memory can no
   * longer be resized, and is freed after the array was collected and the event loop has turned.
   *
   * @throws ArgumentError where the tensor is not contiguous or not on the CPU
   */
  asTypedArray<T extends TypedArray = TypedArray>(): T {
    return typedArrayOver(native.viewBytes(this.handle), this.dtype) as T;
  }

  /** The parts along the first dimension. */
  *[Symbol.iterator](): IterableIterator<Tensor> {
    if (this.ndim === 0) throw new ArgumentError("a tensor without dimensions cannot be iterated over");
    const length = this.size(0);
    if (length <= ITERATED_AT_ONCE) return yield* this.unbind(0);
    for (let start = 0; start < length; start += ITERATED_AT_ONCE) {
      yield* this.narrow(0, start, Math.min(ITERATED_AT_ONCE, length - start)).unbind(0);
    }
  }

  /** The text that PyTorch prints for it; see {@link setPrintoptions}. */
  toString(): string {
    return format(this);
  }

  /** `Number(x)` is the value of a tensor with one element, as Python's `float(x)`; everywhere else it is text. */
  [Symbol.toPrimitive](hint: "string" | "number" | "default"): string | number {
    return hint === "number" ? this.item() : this.toString();
  }

  [inspect.custom](): string {
    return this.toString();
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
  set(index: Index | readonly Index[], value: Tensor | Scalar): this {
    setIndex(this, index, value);
    return this;
  }

  // ------------------------------------------------------------- conversion

  /**
   * The tensor with another type, on another device, or both; itself where nothing changes.
   *
   * @throws ArgumentError where the type is not known or the device cannot be used here
   * @see https://pytorch.org/docs/stable/generated/torch.Tensor.to.html
   */
  to(options: ToOptions): Tensor;
  to(target: DType | Device | Tensor, options?: ToOptions): Tensor;
  to(target: DType | Device | Tensor | ToOptions, options: ToOptions = {}): Tensor {
    let wanted: ToOptions;
    if (target instanceof Tensor) wanted = { dtype: target.dtype, device: target.device, ...options };
    else if (typeof target === "object" && target !== null) wanted = target;
    else if (isDType(target)) wanted = { ...options, dtype: target };
    else wanted = { ...options, device: target };
    const { dtype, device, nonBlocking = false, copy = false, memoryFormat } = wanted;
    if (dtype !== undefined && !isDType(dtype))
      throw new ArgumentError(`to: dtype must be one of ${dtypes.join(", ")}, got ${shown(dtype)}`);
    const more = { nonBlocking, copy, memoryFormat };
    if (device !== undefined) {
      if (typeof device !== "string" || !/^(cpu|cuda|mps|xpu|meta|hpu|mtia)(:\d+)?$/.test(device)) {
        throw new ArgumentError(
          `to: a dtype such as "float32" or a device such as "cpu" or "cuda:0" is required, got ${shown(device)}`,
        );
      }
      const result = toDevice(this, device, dtype ?? this.dtype, more);
      return result.isSame(this) ? this : result;
    }
    const own = this.dtype;
    const type = dtype ?? own;
    const plain = memoryFormat === undefined && !copy;
    if (plain && type === own) return this;
    const result = plain && !nonBlocking ? toDtype(this, type) : toDtype(this, type, more);
    return type === own && result.isSame(this) ? this : result;
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
    runBackward(
      [this.handle],
      gradient === null ? null : [Tensor.unwrap(gradient, "backward: gradient")],
      options,
    );
  }

  /** Keeps the gradient of a tensor that is not a leaf in its `grad`. */
  retainGrad(): void {
    call("aten::retain_grad", this);
  }

  /**
   * Calls a function with the gradient of this tensor whenever one is computed; what it returns, if anything, replaces it.
   *
   * The function lives as long as the tensor's graph. Where it refers to the tensor itself, neither is collected until the
   * hook is removed.
   *
   * @see https://pytorch.org/docs/stable/generated/torch.Tensor.register_hook.html
   */
  registerHook(hook: (gradient: Tensor) => Tensor | null | undefined | void): RemovableHandle {
    const id = native.addHook(this.handle, gradientHook(hook));
    return new HookHandle(this.handle, id, native.removeHook);
  }

  /**
   * Calls a function with this leaf each time a gradient has been added to its `grad`.
   *
   * @see https://pytorch.org/docs/stable/generated/torch.Tensor.register_post_accumulate_grad_hook.html
   */
  registerPostAccumulateGradHook(hook: (tensor: this) => void): RemovableHandle {
    const id = native.addAccumulateHook<this>(this.handle, accumulateHook(hook), this);
    return new HookHandle(this.handle, id, native.removeAccumulateHook);
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

type Conversion = { nonBlocking: boolean; copy: boolean; memoryFormat: MemoryFormat | undefined };
const toDtype = makeFunction("aten::to") as (tensor: Tensor, dtype: DType, options?: Conversion) => Tensor;
const toDevice = makeFunction("aten::to") as (
  tensor: Tensor,
  device: Device,
  dtype: DType,
  options: Conversion,
) => Tensor;

/** How many parts of a tensor an iteration makes at a time: each is a tensor of its own. */
const ITERATED_AT_ONCE = 65_536;

/** Runs a backward pass from handles; see {@link Tensor.backward}. */
export function runBackward(
  tensors: Handle[],
  gradients: (Handle | null)[] | null,
  options: BackwardOptions,
): void {
  requireOptions(options, "backward");
  const { retainGraph = null, createGraph = false, inputs } = options;
  if (inputs === undefined) {
    native.backward(tensors, gradients, retainGraph, createGraph, null);
    return;
  }
  if (!Array.isArray(inputs) || inputs.length === 0) {
    throw new ArgumentError(`backward: inputs must be an array of at least one Tensor, got ${shown(inputs)}`);
  }
  const handles = inputs.map((input) => Tensor.unwrap(input, "backward: inputs"));
  native.backward(tensors, gradients, retainGraph, createGraph, handles);
}

/** A hook that can be taken back. */
class HookHandle implements RemovableHandle {
  #tensor: Handle | undefined;
  readonly #id: number;
  readonly #remove: (tensor: Handle, id: number) => void;

  constructor(tensor: Handle, id: number, remove: (tensor: Handle, id: number) => void) {
    this.#tensor = tensor;
    this.#id = id;
    this.#remove = remove;
  }

  remove(): void {
    const tensor = this.#tensor;
    this.#tensor = undefined;
    if (tensor !== undefined && !native.isDisposed(tensor)) this.#remove(tensor, this.#id);
  }
}

// The graph holds these closures, and the collector cannot see through the graph: they must not hold the tensor whose graph it is.

function gradientHook(hook: (gradient: Tensor) => unknown): (gradient: Handle) => Handle | null {
  requireFunction(hook, "registerHook");
  return (gradient) => {
    const result = hook(new Tensor(gradient));
    return result instanceof Tensor ? result.handle : refuseOther(result, "a gradient hook");
  };
}

function accumulateHook<T extends Tensor>(hook: (tensor: T) => void): (tensor: Handle, owner?: T) => void {
  requireFunction(hook, "registerPostAccumulateGradHook");
  return (tensor, owner) => hook(owner ?? (new Tensor(tensor) as T));
}

function refuseOther(result: unknown, what: string): null {
  if (result === undefined || result === null) return null;
  throw new ArgumentError(`the result of ${what} must be a Tensor or nothing, got ${shown(result)}`);
}

function at(values: number[], dim: number, what: string): number {
  const value = Number.isInteger(dim) ? values.at(dim) : undefined;
  if (value === undefined) {
    throw new ArgumentError(
      `${what}: dim must be an integer from ${-values.length} to ${values.length - 1} for a tensor with ${values.length} dimensions, got ${shown(dim)}`,
    );
  }
  return value;
}
