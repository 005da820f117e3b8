import { ArgumentError } from "../errors.js";
import * as ops from "../ops.js";
import type { Tensor } from "../tensor.js";
import { type FactoryOptions, factory, integer, type Size } from "./arguments.js";
import * as init from "./init.js";
import { Module } from "./module.js";
import type { LoadTask, StateDict } from "./module-state.js";
import { pad } from "./padding.js";
import { Parameter } from "./parameter.js";
import { avgPool2d, avgPool3d } from "./pooling.js";
import { floatRepr, repr } from "./repr.js";

// Functional forms

/** Options of {@link batchNorm}. */
export interface BatchNormFunctionOptions {
  /** Factors of the channels, `(C)`. Default: none. */
  weight?: Tensor | null;
  /** Added to the channels, `(C)`. Default: none. */
  bias?: Tensor | null;
  /** Whether the batch's own statistics are used, and the running ones updated. Default: false. */
  training?: boolean;
  /** Share of the batch in the running statistics. Default: 0.1. */
  momentum?: number;
  /** Added to the variance. Default: 1e-5. */
  eps?: number;
}

function moreThanOneValue(shape: readonly number[], perChannel: number): void {
  if (perChannel === 1) {
    throw new ArgumentError(
      `Expected more than 1 value per channel when training, got input size torch.Size([${shape.join(", ")}]).`,
    );
  }
}

/** Product of all sizes but the second. */
function valuesPerChannel(shape: readonly number[]): number {
  return shape.reduce((product, size, i) => (i === 1 ? product : product * size), 1);
}

/** See {@link BatchNorm2d}. */
export function batchNorm(
  input: Tensor,
  runningMean: Tensor | null,
  runningVar: Tensor | null,
  options: BatchNormFunctionOptions = {},
): Tensor {
  const { weight = null, bias = null, training = false, momentum = 0.1, eps = 1e-5 } = options;
  if (training) {
    const shape = input.shape;
    moreThanOneValue(shape, valuesPerChannel(shape));
    if (eps <= 0) throw new ArgumentError(`batchNorm: eps must be positive during training, but got ${eps}.`);
  } else if (eps < 0) {
    throw new ArgumentError(`batchNorm: eps must be non-negative, but got ${eps}.`);
  }
  return ops.batchNorm(input, weight, bias, runningMean, runningVar, training, momentum, eps, true);
}

/** Options of {@link instanceNorm}. */
export interface InstanceNormFunctionOptions {
  /** Running means of the channels, `(C)`. Default: none. */
  runningMean?: Tensor | null;
  /** Running variances of the channels, `(C)`. Default: none. */
  runningVar?: Tensor | null;
  /** Factors of the channels, `(C)`. Default: none. */
  weight?: Tensor | null;
  /** Added to the channels, `(C)`. Default: none. */
  bias?: Tensor | null;
  /** Whether each instance's own statistics are used. Default: true. */
  useInputStats?: boolean;
  /** Share of the batch in the running statistics. Default: 0.1. */
  momentum?: number;
  /** Added to the variance. Default: 1e-5. */
  eps?: number;
}

/** See {@link InstanceNorm2d}. */
export function instanceNorm(input: Tensor, options: InstanceNormFunctionOptions = {}): Tensor {
  const { weight = null, bias = null, runningMean = null, runningVar = null } = options;
  const { useInputStats = true, momentum = 0.1, eps = 1e-5 } = options;
  if (useInputStats) {
    const shape = input.shape;
    if (shape.slice(2).reduce((product, size) => product * size, 1) === 1) {
      throw new ArgumentError(
        `Expected more than 1 spatial element when training, got input size torch.Size([${shape.join(", ")}]).`,
      );
    }
  }
  return ops.instanceNorm(input, weight, bias, runningMean, runningVar, useInputStats, momentum, eps, true);
}

/** What a normalisation may scale and shift by. */
export interface AffineFunctionOptions {
  /** Factors of what is normalized. Default: none. */
  weight?: Tensor | null;
  /** Added to what is normalized. Default: none. */
  bias?: Tensor | null;
  /** Added to the variance. Default: 1e-5. */
  eps?: number;
}

/** See {@link LayerNorm}. */
export function layerNorm(
  input: Tensor,
  normalizedShape: readonly number[],
  { weight = null, bias = null, eps = 1e-5 }: AffineFunctionOptions = {},
): Tensor {
  return ops.layerNorm(input, [...normalizedShape], weight, bias, eps, true);
}

/** See {@link GroupNorm}. */
export function groupNorm(
  input: Tensor,
  numGroups: number,
  { weight = null, bias = null, eps = 1e-5 }: AffineFunctionOptions = {},
): Tensor {
  const shape = input.shape;
  if (shape.length < 2) {
    throw new ArgumentError(
      `groupNorm: expected at least 2 dimensions for input tensor but received ${shape.length}.`,
    );
  }
  const [batch = 0, channels = 0, ...rest] = shape;
  moreThanOneValue(
    shape,
    rest.reduce((product, size) => product * size, Math.floor((batch * channels) / numGroups)),
  );
  return ops.groupNorm(input, numGroups, weight, bias, eps, true);
}

/** See {@link RMSNorm}. */
export function rmsNorm(
  input: Tensor,
  normalizedShape: readonly number[],
  { weight = null, eps = null }: { weight?: Tensor | null; eps?: number | null } = {},
): Tensor {
  return ops.rmsNorm(input, [...normalizedShape], weight, eps);
}

/** Options of {@link LocalResponseNorm}, in the order of PyTorch's positional arguments. */
export interface LocalResponseNormOptions {
  /** Default: 1e-4. */
  alpha?: number;
  /** Default: 0.75. */
  beta?: number;
  /** Default: 1. */
  k?: number;
}

/** See {@link LocalResponseNorm}. */
export function localResponseNorm(
  input: Tensor,
  size: number,
  options: LocalResponseNormOptions = {},
): Tensor {
  const { alpha = 1e-4, beta = 0.75, k = 1 } = options;
  const shape = input.shape;
  if (shape.length < 3) {
    throw new ArgumentError(
      `localResponseNorm: expected 3D or higher dimensionality input (got ${shape.length} dimensions).`,
    );
  }
  if (input.numel() === 0) return input;
  const before = Math.floor(size / 2);
  const after = Math.floor((size - 1) / 2);
  const squares = input.mul(input);
  let sums: Tensor;
  if (shape.length === 3) {
    sums = pad(squares.unsqueeze(1), [0, 0, before, after]);
    sums = avgPool2d(sums, [size, 1], { stride: 1 }).squeeze(1);
  } else {
    const [batch = 0, channels = 0, height = 0] = shape;
    sums = pad(squares.view([batch, 1, channels, height, -1]), [0, 0, 0, 0, before, after]);
    sums = avgPool3d(sums, [size, 1, 1], { stride: 1 }).squeeze(1).view(shape);
  }
  return input.div(sums.mul(alpha).add(k).pow(beta));
}

/** Options of {@link normalize}. */
export interface NormalizeOptions {
  /** Which norm. Default: 2. */
  p?: number;
  /** Over which dimension. Default: 1. */
  dim?: number | readonly number[];
  /** Smallest norm that is divided by. Default: 1e-12. */
  eps?: number;
}

/**
 * Divides by the p-norm over a dimension.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.normalize.html
 */
export function normalize(input: Tensor, options: NormalizeOptions = {}): Tensor {
  const { p = 2, dim = 1, eps = 1e-12 } = options;
  const norm = input.norm(p, typeof dim === "number" ? [dim] : [...dim], true);
  return input.div(norm.clampMin(eps).expandAs(input));
}

// Modules

/** Options of batch normalisation, in the order of PyTorch's positional arguments. */
export interface BatchNormOptions extends FactoryOptions {
  /** Added to the variance. Default: 1e-5. */
  eps?: number;
  /** Share of each batch in the running statistics; null for the plain average of all batches. Default: 0.1. */
  momentum?: number | null;
  /** Whether a scale and a shift are learned. Default: true. */
  affine?: boolean;
  /** Whether running statistics are kept, for evaluation. Default: true. */
  trackRunningStats?: boolean;
  /** Whether a shift is learned, if `affine`. Default: true. */
  bias?: boolean;
}

/** What batch and instance normalisation have in common. */
export abstract class NormBase extends Module {
  static override readonly stateNames = {
    runningMean: "running_mean",
    runningVar: "running_var",
    numBatchesTracked: "num_batches_tracked",
  };

  numFeatures: number;
  readonly eps: number;
  momentum: number | null;
  affine: boolean;
  trackRunningStats: boolean;
  weight: Parameter | null;
  bias: Parameter | null;
  declare runningMean: Tensor | null;
  declare runningVar: Tensor | null;
  declare numBatchesTracked: Tensor | null;

  constructor(numFeatures: number, options: BatchNormOptions) {
    super();
    const { eps = 1e-5, momentum = 0.1, affine = true, trackRunningStats = true, bias = true } = options;
    this.numFeatures = integer(numFeatures, "numFeatures");
    this.eps = eps;
    this.momentum = momentum;
    this.affine = affine;
    this.trackRunningStats = trackRunningStats;
    const made = factory(options);
    this.weight = affine ? new Parameter(ops.empty([numFeatures], made)) : null;
    this.bias = affine && bias ? new Parameter(ops.empty([numFeatures], made)) : null;
    const tracked = trackRunningStats;
    this.registerBuffer("runningMean", tracked ? ops.zeros([numFeatures], made) : null);
    this.registerBuffer("runningVar", tracked ? ops.ones([numFeatures], made) : null);
    this.registerBuffer("numBatchesTracked", tracked ? ops.zeros([], { ...made, dtype: "int64" }) : null);
    this.resetParameters();
  }

  /** Forgets the running statistics. */
  resetRunningStats(): void {
    this.runningMean?.zero_();
    this.runningVar?.fill_(1);
    this.numBatchesTracked?.zero_();
  }

  /** Sets scale to one, shift to zero, and forgets the running statistics. */
  resetParameters(): void {
    this.resetRunningStats();
    if (this.weight !== null) init.ones_(this.weight);
    if (this.bias !== null) init.zeros_(this.bias);
  }

  override extraRepr(): string {
    return `${this.numFeatures}, eps=${floatRepr(this.eps)}, momentum=${repr(this.momentum)}, affine=${repr(this.affine)}, bias=${repr(this.bias !== null)}, track_running_stats=${repr(this.trackRunningStats)}`;
  }

  protected override loadFromStateDict(dict: StateDict, prefix: string, task: LoadTask): void {
    // Old checkpoints have no count of batches.
    const key = `${prefix}num_batches_tracked`;
    if (this.trackRunningStats && !(key in dict))
      dict[key] = this.numBatchesTracked ?? ops.zeros([], { dtype: "int64" });
    super.loadFromStateDict(dict, prefix, task);
  }
}

/** What batch normalisation for all shapes has in common. */
export abstract class BatchNorm extends NormBase {
  protected abstract checkInput(input: Tensor): void;

  override forward(input: Tensor): Tensor {
    this.checkInput(input);
    const { training, trackRunningStats, runningMean, runningVar, weight, bias, eps } = this;
    let momentum = this.momentum ?? 0;
    if (training && trackRunningStats && this.numBatchesTracked !== null) {
      this.numBatchesTracked.add_(1);
      if (this.momentum === null) momentum = 1 / this.numBatchesTracked.item();
    }
    const passStatistics = !training || trackRunningStats;
    return batchNorm(input, passStatistics ? runningMean : null, passStatistics ? runningVar : null, {
      weight,
      bias,
      training: training || (runningMean === null && runningVar === null),
      momentum,
      eps,
    });
  }
}

function expectDims(input: Tensor, allowed: readonly number[]): void {
  const dims = input.dim();
  if (!allowed.includes(dims)) {
    throw new ArgumentError(
      `expected ${allowed.map((n) => `${n}D`).join(" or ")} input (got ${dims}D input).`,
    );
  }
}

/**
 * Normalises each channel over the batch, then scales and shifts it.
 *
 * Shapes: input and output `(N, C)` or `(N, C, L)`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm1d.html
 */
export class BatchNorm1d extends BatchNorm {
  constructor(numFeatures: number, options: BatchNormOptions = {}) {
    super(numFeatures, options);
  }

  protected override checkInput(input: Tensor): void {
    expectDims(input, [2, 3]);
  }
}

/**
 * Normalises each channel over batch and image, then scales and shifts it.
 *
 * Shapes: input and output `(N, C, H, W)`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm2d.html
 */
export class BatchNorm2d extends BatchNorm {
  constructor(numFeatures: number, options: BatchNormOptions = {}) {
    super(numFeatures, options);
  }

  protected override checkInput(input: Tensor): void {
    expectDims(input, [4]);
  }
}

/**
 * Normalises each channel over batch and volume, then scales and shifts it.
 *
 * Shapes: input and output `(N, C, D, H, W)`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm3d.html
 */
export class BatchNorm3d extends BatchNorm {
  constructor(numFeatures: number, options: BatchNormOptions = {}) {
    super(numFeatures, options);
  }

  protected override checkInput(input: Tensor): void {
    expectDims(input, [5]);
  }
}

/** Options of instance normalisation, in the order of PyTorch's positional arguments. */
export interface InstanceNormOptions extends FactoryOptions {
  /** Added to the variance. Default: 1e-5. */
  eps?: number;
  /** Share of each batch in the running statistics. Default: 0.1. */
  momentum?: number | null;
  /** Whether a scale and a shift are learned. Default: false. */
  affine?: boolean;
  /** Whether running statistics are kept, for evaluation. Default: false. */
  trackRunningStats?: boolean;
  /** Whether a shift is learned, if `affine`. Default: true. */
  bias?: boolean;
}

abstract class InstanceNorm extends NormBase {
  constructor(
    /** Dimensions of an input without a batch. */
    private readonly dims: number,
    numFeatures: number,
    options: InstanceNormOptions,
  ) {
    super(numFeatures, { affine: false, trackRunningStats: false, ...options });
  }

  override forward(input: Tensor): Tensor {
    expectDims(input, [this.dims, this.dims + 1]);
    const featureDim = input.dim() - this.dims;
    const features = input.size(featureDim);
    if (features !== this.numFeatures) {
      const message = `expected input's size at dim=${featureDim} to match numFeatures (${this.numFeatures}), but got: ${features}.`;
      if (this.affine) throw new ArgumentError(message);
      process.emitWarning(`${message} It is not used, because affine is false.`);
    }
    const batched = featureDim === 1 ? input : input.unsqueeze(0);
    const output = instanceNorm(batched, {
      runningMean: this.runningMean,
      runningVar: this.runningVar,
      weight: this.weight,
      bias: this.bias,
      useInputStats: this.training || !this.trackRunningStats,
      momentum: this.momentum ?? 0,
      eps: this.eps,
    });
    return featureDim === 1 ? output : output.squeeze(0);
  }

  protected override loadFromStateDict(dict: StateDict, prefix: string, task: LoadTask): void {
    const keys = ["running_mean", "running_var"].map((name) => prefix + name).filter((key) => key in dict);
    if (!this.trackRunningStats && keys.length > 0) {
      const name = this.constructor.name;
      task.errors.push(
        `Unexpected running stats buffer(s) ${keys.map((key) => `"${key}"`).join(" and ")} for ${name} with track_running_stats=False: remove these keys from the state dict, or make ${name} with trackRunningStats.`,
      );
      for (const key of keys) delete dict[key];
    }
    super.loadFromStateDict(dict, prefix, task);
  }
}

/**
 * Normalises each channel of each instance. Shapes: input and output `(N, C, L)` or `(C, L)`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.InstanceNorm1d.html
 */
export class InstanceNorm1d extends InstanceNorm {
  constructor(numFeatures: number, options: InstanceNormOptions = {}) {
    super(2, numFeatures, options);
  }
}

/**
 * Normalises each channel of each instance. Shapes: input and output `(N, C, H, W)` or `(C, H, W)`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.InstanceNorm2d.html
 */
export class InstanceNorm2d extends InstanceNorm {
  constructor(numFeatures: number, options: InstanceNormOptions = {}) {
    super(3, numFeatures, options);
  }
}

/**
 * Normalises each channel of each instance. Shapes: input and output `(N, C, D, H, W)` or `(C, D, H, W)`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.InstanceNorm3d.html
 */
export class InstanceNorm3d extends InstanceNorm {
  constructor(numFeatures: number, options: InstanceNormOptions = {}) {
    super(4, numFeatures, options);
  }
}

/** Options of {@link LayerNorm}, in the order of PyTorch's positional arguments. */
export interface LayerNormOptions extends FactoryOptions {
  /** Added to the variance. Default: 1e-5. */
  eps?: number;
  /** Whether a scale and a shift are learned. Default: true. */
  elementwiseAffine?: boolean;
  /** Whether a shift is learned, if `elementwiseAffine`. Default: true. */
  bias?: boolean;
}

/**
 * Normalises over the last dimensions, then scales and shifts each element.
 *
 * Shapes: input and output `(*, ...normalizedShape)`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LayerNorm.html
 */
export class LayerNorm extends Module {
  readonly normalizedShape: number[];
  readonly eps: number;
  readonly elementwiseAffine: boolean;
  weight: Parameter | null;
  bias: Parameter | null;

  constructor(normalizedShape: Size, options: LayerNormOptions = {}) {
    super();
    const { eps = 1e-5, elementwiseAffine = true, bias = true } = options;
    this.normalizedShape = shapeOf(normalizedShape);
    this.eps = eps;
    this.elementwiseAffine = elementwiseAffine;
    this.weight = elementwiseAffine ? new Parameter(ops.empty(this.normalizedShape, factory(options))) : null;
    this.bias =
      elementwiseAffine && bias ? new Parameter(ops.empty(this.normalizedShape, factory(options))) : null;
    this.resetParameters();
  }

  /** Sets scale to one and shift to zero. */
  resetParameters(): void {
    if (this.weight !== null) init.ones_(this.weight);
    if (this.bias !== null) init.zeros_(this.bias);
  }

  override forward(input: Tensor): Tensor {
    return ops.layerNorm(input, this.normalizedShape, this.weight, this.bias, this.eps, true);
  }

  override extraRepr(): string {
    return `${repr(this.normalizedShape)}, eps=${floatRepr(this.eps)}, elementwise_affine=${repr(this.elementwiseAffine)}, bias=${repr(this.bias !== null)}`;
  }
}

function shapeOf(value: Size): number[] {
  const shape = typeof value === "number" ? [value] : [...value];
  for (const size of shape) integer(size, "normalizedShape");
  return shape;
}

/** Options of {@link GroupNorm}, in the order of PyTorch's positional arguments. */
export interface GroupNormOptions extends FactoryOptions {
  /** Added to the variance. Default: 1e-5. */
  eps?: number;
  /** Whether a scale and a shift are learned for each channel. Default: true. */
  affine?: boolean;
  /** Whether a shift is learned, if `affine`. Default: true. */
  bias?: boolean;
}

/**
 * Normalises each group of channels of each instance.
 *
 * Shapes: input and output `(N, C, *)`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.GroupNorm.html
 */
export class GroupNorm extends Module {
  readonly numGroups: number;
  readonly numChannels: number;
  readonly eps: number;
  readonly affine: boolean;
  weight: Parameter | null;
  bias: Parameter | null;

  constructor(numGroups: number, numChannels: number, options: GroupNormOptions = {}) {
    super();
    integer(numGroups, "numGroups", 1);
    integer(numChannels, "numChannels");
    if (numChannels % numGroups !== 0) {
      throw new ArgumentError(
        `numChannels must be divisible by numGroups, but ${numChannels} is not divisible by ${numGroups}.`,
      );
    }
    const { eps = 1e-5, affine = true, bias = true } = options;
    this.numGroups = numGroups;
    this.numChannels = numChannels;
    this.eps = eps;
    this.affine = affine;
    this.weight = affine ? new Parameter(ops.empty([numChannels], factory(options))) : null;
    this.bias = affine && bias ? new Parameter(ops.empty([numChannels], factory(options))) : null;
    this.resetParameters();
  }

  /** Sets scale to one and shift to zero. */
  resetParameters(): void {
    if (this.weight !== null) init.ones_(this.weight);
    if (this.bias !== null) init.zeros_(this.bias);
  }

  override forward(input: Tensor): Tensor {
    return groupNorm(input, this.numGroups, this);
  }

  override extraRepr(): string {
    return `${this.numGroups}, ${this.numChannels}, eps=${floatRepr(this.eps)}, affine=${repr(this.affine)}, bias=${repr(this.bias !== null)}`;
  }
}

/** Options of {@link RMSNorm}, in the order of PyTorch's positional arguments. */
export interface RMSNormOptions extends FactoryOptions {
  /** Added to the mean square. Default: the smallest step of the type. */
  eps?: number | null;
  /** Whether a scale is learned. Default: true. */
  elementwiseAffine?: boolean;
}

/**
 * Divides by the root of the mean square over the last dimensions, then scales each element.
 *
 * Shapes: input and output `(*, ...normalizedShape)`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.RMSNorm.html
 */
export class RMSNorm extends Module {
  readonly normalizedShape: number[];
  readonly eps: number | null;
  readonly elementwiseAffine: boolean;
  weight: Parameter | null;

  constructor(normalizedShape: Size, options: RMSNormOptions = {}) {
    super();
    const { eps = null, elementwiseAffine = true } = options;
    this.normalizedShape = shapeOf(normalizedShape);
    this.eps = eps;
    this.elementwiseAffine = elementwiseAffine;
    this.weight = elementwiseAffine ? new Parameter(ops.empty(this.normalizedShape, factory(options))) : null;
    this.resetParameters();
  }

  /** Sets the scale to one. */
  resetParameters(): void {
    if (this.weight !== null) init.ones_(this.weight);
  }

  override forward(input: Tensor): Tensor {
    return rmsNorm(input, this.normalizedShape, this);
  }

  override extraRepr(): string {
    return `${repr(this.normalizedShape)}, eps=${repr(this.eps)}, elementwise_affine=${repr(this.elementwiseAffine)}`;
  }
}

/**
 * Divides each value by a power of the sum of squares of the neighbouring channels.
 *
 * Shapes: input and output `(N, C, *)`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LocalResponseNorm.html
 */
export class LocalResponseNorm extends Module {
  readonly size: number;
  readonly alpha: number;
  readonly beta: number;
  readonly k: number;

  constructor(size: number, options: LocalResponseNormOptions = {}) {
    super();
    this.size = integer(size, "size", 1);
    this.alpha = options.alpha ?? 1e-4;
    this.beta = options.beta ?? 0.75;
    this.k = options.k ?? 1;
  }

  override forward(input: Tensor): Tensor {
    return localResponseNorm(input, this.size, this);
  }

  override extraRepr(): string {
    return `${this.size}, alpha=${floatRepr(this.alpha)}, beta=${floatRepr(this.beta)}, k=${floatRepr(this.k)}`;
  }
}
