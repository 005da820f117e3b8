/** Modules that find out the number of their inputs from the first input, and are then the ordinary ones. */
import { ArgumentError } from "../errors.js";
import * as ops from "../ops.js";
import type { Tensor } from "../tensor.js";
import { factory, integer, type Size } from "./arguments.js";
import {
  Conv1d,
  Conv2d,
  Conv3d,
  type ConvBase,
  type ConvOptions,
  ConvTranspose1d,
  ConvTranspose2d,
  ConvTranspose3d,
  type ConvTransposeForwardOptions,
  type ConvTransposeOptions,
} from "./conv.js";
import { Linear, type LinearOptions } from "./linear.js";
import type { Module } from "./module.js";
import {
  BatchNorm1d,
  BatchNorm2d,
  BatchNorm3d,
  type BatchNormOptions,
  InstanceNorm1d,
  InstanceNorm2d,
  InstanceNorm3d,
  type InstanceNormOptions,
  type NormBase,
} from "./norm.js";
import { isLazy, UninitializedBuffer, UninitializedParameter } from "./parameter.js";

/** Whether a parameter or buffer of the module itself has no shape yet. */
function hasUninitialized(module: Module): boolean {
  return module.parameters(false).some(isLazy) || module.buffers(false).some(isLazy);
}

/** Gives those of the tensors that have no shape yet the one they are to have. */
function materialize(shapes: readonly (readonly [tensor: Tensor | null, shape: readonly number[]])[]): void {
  for (const [tensor, shape] of shapes) if (isLazy(tensor)) tensor.materialize(shape);
}

/** Makes a lazy module, whose tensors have their shapes, the ordinary one. */
function become(module: Module, ordinary: { prototype: Module }): void {
  Object.setPrototypeOf(module, ordinary.prototype);
}

/**
 * {@link Linear} whose `inFeatures` is the last size of the first input.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LazyLinear.html
 */
export class LazyLinear extends Linear {
  constructor(outFeatures: number, options: LinearOptions = {}) {
    super(0, 0, { ...options, bias: false });
    this.outFeatures = integer(outFeatures, "outFeatures");
    this.weight = new UninitializedParameter(factory(options));
    if (options.bias ?? true) this.bias = new UninitializedParameter(factory(options));
  }

  override resetParameters(): void {
    if (this.inFeatures !== 0 && !hasUninitialized(this)) super.resetParameters();
  }

  override forward(input: Tensor): Tensor {
    if (this instanceof LazyLinear) {
      const { weight, bias, outFeatures } = this;
      const fresh = hasUninitialized(this);
      this.inFeatures = input.size(-1);
      materialize([
        [weight, [outFeatures, this.inFeatures]],
        [bias, [outFeatures]],
      ]);
      if (fresh) this.resetParameters();
      become(this, Linear);
    }
    return super.forward(input);
  }
}

/** Puts parameters without shape into a convolution made for no channels. */
function postponeConv(
  conv: ConvBase,
  outChannels: number,
  options: ConvOptions | ConvTransposeOptions,
): void {
  conv.outChannels = integer(outChannels, "outChannels");
  if (outChannels % conv.groups !== 0) {
    throw new ArgumentError(
      `outChannels must be divisible by groups, but ${outChannels} is not divisible by ${conv.groups}.`,
    );
  }
  conv.weight = new UninitializedParameter(factory(options));
  if (options.bias ?? true) conv.bias = new UninitializedParameter(factory(options));
}

function settleConv(
  conv: ConvBase,
  input: Tensor,
  transposed: boolean,
  ordinary: { prototype: Module },
): void {
  const { weight, bias, groups, outChannels, kernelSize } = conv;
  const dims = kernelSize.length;
  const shape = input.shape;
  if (shape.length !== dims + 1 && shape.length !== dims + 2) {
    throw new ArgumentError(
      `${conv.constructor.name}: expected ${dims + 1}D (unbatched) or ${dims + 2}D (batched) input, but got input of size [${shape}].`,
    );
  }
  const inChannels = shape[shape.length - dims - 1] as number;
  if (inChannels % groups !== 0) {
    throw new ArgumentError(
      `inChannels must be divisible by groups, but ${inChannels} is not divisible by ${groups}.`,
    );
  }
  const fresh = hasUninitialized(conv);
  const channels = transposed ? [inChannels, outChannels / groups] : [outChannels, inChannels / groups];
  conv.inChannels = inChannels;
  materialize([
    [weight, [...channels, ...kernelSize]],
    [bias, [outChannels]],
  ]);
  if (fresh) conv.resetParameters();
  become(conv, ordinary);
}

/**
 * {@link Conv1d} whose `inChannels` is that of the first input.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LazyConv1d.html
 */
export class LazyConv1d extends Conv1d {
  constructor(outChannels: number, kernelSize: Size, options: ConvOptions = {}) {
    super(0, 0, kernelSize, { ...options, bias: false });
    postponeConv(this, outChannels, options);
  }

  override resetParameters(): void {
    if (this.inChannels !== 0 && !hasUninitialized(this)) super.resetParameters();
  }

  override forward(input: Tensor): Tensor {
    if (this instanceof LazyConv1d) settleConv(this, input, false, Conv1d);
    return super.forward(input);
  }
}

/**
 * {@link Conv2d} whose `inChannels` is that of the first input.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LazyConv2d.html
 */
export class LazyConv2d extends Conv2d {
  constructor(outChannels: number, kernelSize: Size, options: ConvOptions = {}) {
    super(0, 0, kernelSize, { ...options, bias: false });
    postponeConv(this, outChannels, options);
  }

  override resetParameters(): void {
    if (this.inChannels !== 0 && !hasUninitialized(this)) super.resetParameters();
  }

  override forward(input: Tensor): Tensor {
    if (this instanceof LazyConv2d) settleConv(this, input, false, Conv2d);
    return super.forward(input);
  }
}

/**
 * {@link Conv3d} whose `inChannels` is that of the first input.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LazyConv3d.html
 */
export class LazyConv3d extends Conv3d {
  constructor(outChannels: number, kernelSize: Size, options: ConvOptions = {}) {
    super(0, 0, kernelSize, { ...options, bias: false });
    postponeConv(this, outChannels, options);
  }

  override resetParameters(): void {
    if (this.inChannels !== 0 && !hasUninitialized(this)) super.resetParameters();
  }

  override forward(input: Tensor): Tensor {
    if (this instanceof LazyConv3d) settleConv(this, input, false, Conv3d);
    return super.forward(input);
  }
}

/**
 * {@link ConvTranspose1d} whose `inChannels` is that of the first input.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LazyConvTranspose1d.html
 */
export class LazyConvTranspose1d extends ConvTranspose1d {
  constructor(outChannels: number, kernelSize: Size, options: ConvTransposeOptions = {}) {
    super(0, 0, kernelSize, { ...options, bias: false });
    postponeConv(this, outChannels, options);
  }

  override resetParameters(): void {
    if (this.inChannels !== 0 && !hasUninitialized(this)) super.resetParameters();
  }

  override forward(input: Tensor, options: ConvTransposeForwardOptions = {}): Tensor {
    if (this instanceof LazyConvTranspose1d) settleConv(this, input, true, ConvTranspose1d);
    return super.forward(input, options);
  }
}

/**
 * {@link ConvTranspose2d} whose `inChannels` is that of the first input.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LazyConvTranspose2d.html
 */
export class LazyConvTranspose2d extends ConvTranspose2d {
  constructor(outChannels: number, kernelSize: Size, options: ConvTransposeOptions = {}) {
    super(0, 0, kernelSize, { ...options, bias: false });
    postponeConv(this, outChannels, options);
  }

  override resetParameters(): void {
    if (this.inChannels !== 0 && !hasUninitialized(this)) super.resetParameters();
  }

  override forward(input: Tensor, options: ConvTransposeForwardOptions = {}): Tensor {
    if (this instanceof LazyConvTranspose2d) settleConv(this, input, true, ConvTranspose2d);
    return super.forward(input, options);
  }
}

/**
 * {@link ConvTranspose3d} whose `inChannels` is that of the first input.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LazyConvTranspose3d.html
 */
export class LazyConvTranspose3d extends ConvTranspose3d {
  constructor(outChannels: number, kernelSize: Size, options: ConvTransposeOptions = {}) {
    super(0, 0, kernelSize, { ...options, bias: false });
    postponeConv(this, outChannels, options);
  }

  override resetParameters(): void {
    if (this.inChannels !== 0 && !hasUninitialized(this)) super.resetParameters();
  }

  override forward(input: Tensor, options: ConvTransposeForwardOptions = {}): Tensor {
    if (this instanceof LazyConvTranspose3d) settleConv(this, input, true, ConvTranspose3d);
    return super.forward(input, options);
  }
}

/** Puts parameters and buffers without shape into a normalisation made for no features. */
function postponeNorm(
  norm: NormBase,
  affine: boolean,
  trackRunningStats: boolean,
  options: BatchNormOptions,
): void {
  const made = factory(options);
  norm.affine = affine;
  norm.trackRunningStats = trackRunningStats;
  if (affine) norm.weight = new UninitializedParameter(made);
  if (affine && (options.bias ?? true)) norm.bias = new UninitializedParameter(made);
  if (!trackRunningStats) return;
  norm.runningMean = new UninitializedBuffer(made);
  norm.runningVar = new UninitializedBuffer(made);
  norm.numBatchesTracked = ops.zeros([], { ...made, dtype: "int64" });
}

function settleNorm(norm: NormBase, features: number, ordinary: { prototype: Module }): void {
  const fresh = hasUninitialized(norm);
  norm.numFeatures = features;
  const { weight, bias, runningMean, runningVar } = norm;
  materialize([weight, bias, runningMean, runningVar].map((tensor) => [tensor, [features]]));
  if (fresh) norm.resetParameters();
  become(norm, ordinary);
}

/**
 * {@link BatchNorm1d} whose `numFeatures` is that of the first input.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LazyBatchNorm1d.html
 */
export class LazyBatchNorm1d extends BatchNorm1d {
  constructor(options: BatchNormOptions = {}) {
    super(0, { ...options, affine: false, trackRunningStats: false });
    postponeNorm(this, options.affine ?? true, options.trackRunningStats ?? true, options);
  }

  override resetParameters(): void {
    if (this.numFeatures !== 0 && !hasUninitialized(this)) super.resetParameters();
  }

  override forward(input: Tensor): Tensor {
    if (this instanceof LazyBatchNorm1d) settleNorm(this, input.size(1), BatchNorm1d);
    return super.forward(input);
  }
}

/**
 * {@link BatchNorm2d} whose `numFeatures` is that of the first input.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LazyBatchNorm2d.html
 */
export class LazyBatchNorm2d extends BatchNorm2d {
  constructor(options: BatchNormOptions = {}) {
    super(0, { ...options, affine: false, trackRunningStats: false });
    postponeNorm(this, options.affine ?? true, options.trackRunningStats ?? true, options);
  }

  override resetParameters(): void {
    if (this.numFeatures !== 0 && !hasUninitialized(this)) super.resetParameters();
  }

  override forward(input: Tensor): Tensor {
    if (this instanceof LazyBatchNorm2d) settleNorm(this, input.size(1), BatchNorm2d);
    return super.forward(input);
  }
}

/**
 * {@link BatchNorm3d} whose `numFeatures` is that of the first input.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LazyBatchNorm3d.html
 */
export class LazyBatchNorm3d extends BatchNorm3d {
  constructor(options: BatchNormOptions = {}) {
    super(0, { ...options, affine: false, trackRunningStats: false });
    postponeNorm(this, options.affine ?? true, options.trackRunningStats ?? true, options);
  }

  override resetParameters(): void {
    if (this.numFeatures !== 0 && !hasUninitialized(this)) super.resetParameters();
  }

  override forward(input: Tensor): Tensor {
    if (this instanceof LazyBatchNorm3d) settleNorm(this, input.size(1), BatchNorm3d);
    return super.forward(input);
  }
}

/**
 * {@link InstanceNorm1d} whose `numFeatures` is that of the first input.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LazyInstanceNorm1d.html
 */
export class LazyInstanceNorm1d extends InstanceNorm1d {
  constructor(options: InstanceNormOptions = {}) {
    super(0, { ...options, affine: false, trackRunningStats: false });
    postponeNorm(this, options.affine ?? true, options.trackRunningStats ?? true, options);
  }

  override resetParameters(): void {
    if (this.numFeatures !== 0 && !hasUninitialized(this)) super.resetParameters();
  }

  override forward(input: Tensor): Tensor {
    if (this instanceof LazyInstanceNorm1d) settleNorm(this, input.size(input.ndim - 2), InstanceNorm1d);
    return super.forward(input);
  }
}

/**
 * {@link InstanceNorm2d} whose `numFeatures` is that of the first input.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LazyInstanceNorm2d.html
 */
export class LazyInstanceNorm2d extends InstanceNorm2d {
  constructor(options: InstanceNormOptions = {}) {
    super(0, { ...options, affine: false, trackRunningStats: false });
    postponeNorm(this, options.affine ?? true, options.trackRunningStats ?? true, options);
  }

  override resetParameters(): void {
    if (this.numFeatures !== 0 && !hasUninitialized(this)) super.resetParameters();
  }

  override forward(input: Tensor): Tensor {
    if (this instanceof LazyInstanceNorm2d) settleNorm(this, input.size(input.ndim - 3), InstanceNorm2d);
    return super.forward(input);
  }
}

/**
 * {@link InstanceNorm3d} whose `numFeatures` is that of the first input.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LazyInstanceNorm3d.html
 */
export class LazyInstanceNorm3d extends InstanceNorm3d {
  constructor(options: InstanceNormOptions = {}) {
    super(0, { ...options, affine: false, trackRunningStats: false });
    postponeNorm(this, options.affine ?? true, options.trackRunningStats ?? true, options);
  }

  override resetParameters(): void {
    if (this.numFeatures !== 0 && !hasUninitialized(this)) super.resetParameters();
  }

  override forward(input: Tensor): Tensor {
    if (this instanceof LazyInstanceNorm3d) settleNorm(this, input.size(input.ndim - 4), InstanceNorm3d);
    return super.forward(input);
  }
}
