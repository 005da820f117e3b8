import { requireFunction } from "./checks.js";
import type { Complex, Scalar } from "./complex.js";
import { type TensorData, type TensorOptions, tensor } from "./creation.js";
import type { Device } from "./device.js";
import type { DType } from "./dtype.js";
import { ArgumentError } from "./errors.js";
import { nonzero } from "./indices.js";
import { typename } from "./inspect.js";
import { type LuOptions, lu, type NormOptions, type NormOrder, norm } from "./linear-algebra.js";
import { native } from "./native.js";
import { call } from "./operator.js";
import { type StftOptions, stft } from "./spectral.js";
import { Tensor } from "./tensor.js";
import {
  type UniqueConsecutiveOptions,
  type UniqueOptions,
  type UniqueResult,
  unique,
  uniqueConsecutive,
} from "./unique.js";
import { flatValues } from "./values.js";

/** A value of a tensor as JavaScript has it. */
type Value = number | bigint | boolean | Complex;

const qschemes = [
  "per_tensor_affine",
  "per_channel_affine",
  "per_tensor_symmetric",
  "per_channel_symmetric",
  "per_channel_affine_float_qparams",
] as const;

/** How the values of a quantized tensor are made of integers. */
export type QScheme = (typeof qschemes)[number];

/** Members of {@link Tensor} that are made of others. */
export interface TensorMembers {
  // ------------------------------------------------------------- what it is

  /** How many bytes one element takes. */
  elementSize(): number;
  /** The number of dimensions. */
  ndimension(): number;
  /** The number of elements. */
  nelement(): number;
  /** The address of the first element; only of use to compare. */
  dataPtr(): bigint;
  /** The address of the first element; only of use to compare. */
  constDataPtr(): bigint;
  /** The dimensions from the outermost in memory to the innermost. */
  dimOrder(): number[];
  /** Which of its function's results this tensor is; 0 for leaves. */
  readonly outputNr: number;
  /** Whether `grad` is kept although this is not a leaf. */
  readonly retainsGrad: boolean;
  /** The type that `grad` must have, to which gradients are cast; null for any. Default: the tensor's own. Can be set on leaves. */
  gradDtype: DType | null;
  readonly isCpu: boolean;
  readonly isCuda: boolean;
  readonly isIpu: boolean;
  readonly isMaia: boolean;
  readonly isMeta: boolean;
  readonly isMps: boolean;
  readonly isMtia: boolean;
  readonly isVulkan: boolean;
  readonly isXla: boolean;
  readonly isXpu: boolean;
  /** Whether the layout is `"sparse_csr"`. */
  readonly isSparseCsr: boolean;
  readonly isMkldnn: boolean;
  /** How a quantized tensor's values are made of integers. */
  qscheme(): QScheme;

  // ------------------------------------------------------------- other types and places

  /** The name of its class in PyTorch, such as `torch.FloatTensor`; with a type, the tensor in that type. */
  type(): string;
  type(dtype: DType): Tensor;
  cfloat(): Tensor;
  cdouble(): Tensor;
  ipu(device?: Device): Tensor;
  mtia(device?: Device): Tensor;
  xpu(device?: Device): Tensor;
  /** A tensor with a copy of the data, by default of this tensor's type and on its device. */
  newTensor(data: TensorData, options?: TensorOptions): Tensor;
  /** The tensor in the coordinate format for sparse tensors. */
  toSparseCoo(): Tensor;

  // ------------------------------------------------------------- values

  /** Replaces each value by a function of it. Slow; for tensors on the CPU. */
  apply_(callable: (value: never) => Value): this;
  /** Replaces each value by a function of it and of the other tensor's value at the same place. Slow; for tensors on the CPU. */
  map_(tensor: Tensor, callable: (a: never, b: never) => Value): this;
  /** Replaces each value by a function of it and of two other tensors' values. Slow; for tensors on the CPU. */
  map2_(x: Tensor, y: Tensor, callable: (a: never, x: never, y: never) => Value): this;

  // ------------------------------------------------------------- functions as methods

  /** See `torch.lu`. */
  lu(options: LuOptions & { getInfos: true }): { LU: Tensor; pivots: Tensor; infos: Tensor };
  lu(options?: LuOptions): { LU: Tensor; pivots: Tensor };
  /** See `torch.nonzero`. */
  nonzero(options: { asTuple: true }): Tensor[];
  nonzero(options?: { asTuple?: false }): Tensor;
  /** The n-th derivative of the digamma function. */
  polygamma(n: number): Tensor;
  /** This tensor's values where the condition is true, the other's elsewhere. */
  where(condition: Tensor, other: Tensor | Scalar): Tensor;
  /** See `torch.norm`. */
  norm(p?: NormOrder | null, dim?: number | readonly number[] | null, keepdim?: boolean): Tensor;
  norm(p: NormOrder | null, options: Omit<NormOptions, "p">): Tensor;
  norm(options?: NormOptions): Tensor;
  /** See `torch.stft`. */
  stft(nFft: number, options?: StftOptions): Tensor;
  stft(options: StftOptions & { nFft: number }): Tensor;
  /** See `torch.unique`. */
  unique<const O extends UniqueOptions = object>(options?: O): UniqueResult<O>;
  /** See `torch.uniqueConsecutive`. */
  uniqueConsecutive<const O extends UniqueConsecutiveOptions = object>(options?: O): UniqueResult<O>;
}

/** The values of a function of several tensors' values, written back into the first. */
function mapValues(
  name: string,
  target: Tensor,
  others: readonly Tensor[],
  callable: (...values: never[]) => Value,
): void {
  requireFunction(callable, name);
  for (const other of others) Tensor.unwrap(other, `${name}: the other tensor`);
  if (!target.isCpu)
    throw new ArgumentError(
      `${name}: only tensors on the CPU can be changed value by value, this one is on ${target.device}`,
    );
  if (target.requiresGrad)
    throw new ArgumentError(
      `${name}: a tensor that requires gradients cannot be changed value by value; use detach()`,
    );
  const wide = target.dtype === "int64" || target.dtype === "uint64";
  const columns = [target, ...others.map((other) => other.expand(target.shape))].map((part) =>
    flatValues(part, wide),
  );
  const values = (columns[0] as Value[]).map((_, i) =>
    callable(...(columns.map((column) => column[i]) as never[])),
  );
  target.copy_(tensor(values, { dtype: target.dtype }).view(target.shape));
}

const members: TensorMembers & ThisType<Tensor> = {
  elementSize() {
    return this.itemsize;
  },
  ndimension() {
    return this.ndim;
  },
  nelement() {
    return this.numel();
  },
  dataPtr() {
    return native.dataPointer(this.handle);
  },
  constDataPtr() {
    return native.dataPointer(this.handle);
  },
  dimOrder() {
    const strides = this.stride();
    // Of dimensions with equal strides, the one of size one is the outer: its stride says nothing.
    return strides
      .map((_, dim) => dim)
      .sort((a, b) => (strides[b] as number) - (strides[a] as number) || a - b);
  },
  get outputNr() {
    return call("aten::output_nr", this) as number;
  },
  get retainsGrad() {
    return call("aten::retains_grad", this) as boolean;
  },
  get gradDtype() {
    return native.gradDtype(this.handle) as DType | null;
  },
  set gradDtype(dtype: DType | null) {
    native.setGradDtype(this.handle, dtype);
  },
  get isCpu() {
    return isOn(this, "cpu");
  },
  get isCuda() {
    return isOn(this, "cuda");
  },
  get isIpu() {
    return isOn(this, "ipu");
  },
  get isMaia() {
    return isOn(this, "maia");
  },
  get isMeta() {
    return isOn(this, "meta");
  },
  get isMps() {
    return isOn(this, "mps");
  },
  get isMtia() {
    return isOn(this, "mtia");
  },
  get isVulkan() {
    return isOn(this, "vulkan");
  },
  get isXla() {
    return isOn(this, "xla");
  },
  get isXpu() {
    return isOn(this, "xpu");
  },
  get isSparseCsr() {
    return this.layout === "sparse_csr";
  },
  get isMkldnn() {
    return this.layout === "mkldnn";
  },

  qscheme() {
    const scheme = qschemes[call("aten::qscheme", this) as number];
    if (scheme === undefined)
      throw new ArgumentError("qscheme: the tensor is not quantized in a way that is known here");
    return scheme;
  },

  type: function (this: Tensor, dtype?: DType) {
    return dtype === undefined ? typename(this) : this.to(dtype);
  } as TensorMembers["type"],
  cfloat() {
    return this.to("complex64");
  },
  cdouble() {
    return this.to("complex128");
  },
  ipu(device = "ipu" as Device) {
    return this.to({ device });
  },
  mtia(device = "mtia" as Device) {
    return this.to({ device });
  },
  xpu(device = "xpu") {
    return this.to({ device });
  },
  newTensor(data, options = {}) {
    return tensor(data, {
      ...options,
      dtype: options.dtype ?? this.dtype,
      device: options.device ?? this.device,
    });
  },
  toSparseCoo() {
    return this.toSparse();
  },

  apply_(callable) {
    mapValues("apply_", this as Tensor, [], callable);
    return this as never;
  },
  map_(other, callable) {
    mapValues("map_", this as Tensor, [other], callable);
    return this as never;
  },
  map2_(x, y, callable) {
    mapValues("map2_", this as Tensor, [x, y], callable);
    return this as never;
  },

  lu: function (this: Tensor, ...args: [LuOptions?]) {
    return lu(this, ...args);
  } as TensorMembers["lu"],
  norm: function (this: Tensor, ...args: [NormOptions?]) {
    return norm(this, ...args);
  } as TensorMembers["norm"],
  nonzero: function (this: Tensor, ...args: [{ asTuple?: false }?]) {
    return nonzero(this, ...args);
  } as TensorMembers["nonzero"],
  polygamma(n) {
    return call("aten::polygamma", n, this) as Tensor;
  },
  where(condition, other) {
    return call("aten::where", condition, this, other) as Tensor;
  },
  stft: function (this: Tensor, ...args: [number, StftOptions?]) {
    return stft(this, ...args);
  } as TensorMembers["stft"],
  unique(...args) {
    return unique(this, ...args);
  },
  uniqueConsecutive(...args) {
    return uniqueConsecutive(this, ...args);
  },
};

function isOn(tensor: Tensor, type: string): boolean {
  return tensor.device.split(":")[0] === type;
}

/** Adds the members to {@link Tensor}. */
export function installMembers(): void {
  Object.defineProperties(Tensor.prototype, Object.getOwnPropertyDescriptors(members));
}
