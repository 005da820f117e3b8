import type { DType } from "../dtype.js";
import { ArgumentError } from "../errors.js";
import * as ops from "../ops.js";
import type { Tensor } from "../tensor.js";
import { type FactoryOptions, factory, integer } from "./arguments.js";
import * as init from "./init.js";
import { Module } from "./module.js";
import { Parameter } from "./parameter.js";
import { floatRepr, repr } from "./repr.js";

/** Options of activations that can work in place. */
export interface InplaceOptions {
  /** Whether the input itself is changed. Default: false. */
  inplace?: boolean;
}

/** Options of {@link leakyRelu} and {@link LeakyReLU}, in the order of PyTorch's positional arguments. */
export interface LeakyReLUOptions extends InplaceOptions {
  /** Slope below zero. Default: 0.01. */
  negativeSlope?: number;
}

/** Options of activations with a scale `alpha`, in the order of PyTorch's positional arguments. */
export interface AlphaOptions extends InplaceOptions {
  /** Scale of the part below zero. Default: 1. */
  alpha?: number;
}

/** Options of {@link hardtanh} and {@link Hardtanh}, in the order of PyTorch's positional arguments. */
export interface HardtanhOptions extends InplaceOptions {
  /** Default: -1. */
  minVal?: number;
  /** Default: 1. */
  maxVal?: number;
}

/** Options of {@link rrelu} and {@link RReLU}, in the order of PyTorch's positional arguments. */
export interface RReLUOptions extends InplaceOptions {
  /** Smallest slope. Default: 1/8. */
  lower?: number;
  /** Largest slope. Default: 1/3. */
  upper?: number;
}

/** Options of {@link softplus} and {@link Softplus}, in the order of PyTorch's positional arguments. */
export interface SoftplusOptions {
  /** Steepness. Default: 1. */
  beta?: number;
  /** Above this value of `beta * x` the function is linear. Default: 20. */
  threshold?: number;
}

/** Options of the softmax functions. */
export interface SoftmaxOptions {
  /** The dimension along which the values sum to one. Default, but deprecated: 0 for inputs of 0, 1 or 3 dimensions, else 1. */
  dim?: number | null;
  /** The type in which it is computed and returned. Default: the input's. */
  dtype?: DType;
}

// Functional forms

/** `max(0, x)`. */
export function relu(input: Tensor, { inplace = false }: InplaceOptions = {}): Tensor {
  return inplace ? input.relu_() : input.relu();
}

/** `min(max(0, x), 6)`. */
export function relu6(input: Tensor, { inplace = false }: InplaceOptions = {}): Tensor {
  return hardtanh(input, { minVal: 0, maxVal: 6, inplace });
}

/** See {@link LeakyReLU}. */
export function leakyRelu(
  input: Tensor,
  { negativeSlope = 0.01, inplace = false }: LeakyReLUOptions = {},
): Tensor {
  return inplace ? ops.leakyRelu_(input, negativeSlope) : ops.leakyRelu(input, negativeSlope);
}

/** See {@link PReLU}. */
export function prelu(input: Tensor, weight: Tensor): Tensor {
  return input.prelu(weight);
}

/** See {@link RReLU}. */
export function rrelu(input: Tensor, options: RReLUOptions & { training?: boolean } = {}): Tensor {
  const { lower = 1 / 8, upper = 1 / 3, training = false, inplace = false } = options;
  return inplace ? ops.rrelu_(input, lower, upper, training) : ops.rrelu(input, lower, upper, training);
}

/** See {@link ELU}. */
export function elu(input: Tensor, { alpha = 1, inplace = false }: AlphaOptions = {}): Tensor {
  return inplace ? ops.elu_(input, alpha) : ops.elu(input, alpha);
}

/** See {@link SELU}. */
export function selu(input: Tensor, { inplace = false }: InplaceOptions = {}): Tensor {
  return inplace ? ops.selu_(input) : ops.selu(input);
}

/** See {@link CELU}. */
export function celu(input: Tensor, { alpha = 1, inplace = false }: AlphaOptions = {}): Tensor {
  return inplace ? ops.celu_(input, alpha) : ops.celu(input, alpha);
}

/** See {@link GELU}. */
export function gelu(input: Tensor, { approximate = "none" }: GELUOptions = {}): Tensor {
  return ops.gelu(input, { approximate });
}

/** See {@link SiLU}. */
export function silu(input: Tensor, { inplace = false }: InplaceOptions = {}): Tensor {
  return inplace ? ops.silu_(input) : ops.silu(input);
}

/** See {@link Mish}. */
export function mish(input: Tensor, { inplace = false }: InplaceOptions = {}): Tensor {
  return inplace ? ops.mish_(input) : ops.mish(input);
}

/** See {@link Sigmoid}. */
export function sigmoid(input: Tensor): Tensor {
  return input.sigmoid();
}

/** See {@link LogSigmoid}. */
export function logsigmoid(input: Tensor): Tensor {
  return ops.logSigmoid(input);
}

/** See {@link Tanh}. */
export function tanh(input: Tensor): Tensor {
  return input.tanh();
}

/** See {@link Tanhshrink}. */
export function tanhshrink(input: Tensor): Tensor {
  return input.sub(input.tanh());
}

/** See {@link Hardtanh}. */
export function hardtanh(
  input: Tensor,
  { minVal = -1, maxVal = 1, inplace = false }: HardtanhOptions = {},
): Tensor {
  if (minVal > maxVal) {
    throw new ArgumentError(
      `hardtanh: minVal cannot be greater than maxVal, but they are ${minVal} and ${maxVal}.`,
    );
  }
  return inplace ? ops.hardtanh_(input, minVal, maxVal) : ops.hardtanh(input, minVal, maxVal);
}

/** See {@link Hardsigmoid}. */
export function hardsigmoid(input: Tensor, { inplace = false }: InplaceOptions = {}): Tensor {
  return inplace ? ops.hardsigmoid_(input) : ops.hardsigmoid(input);
}

/** See {@link Hardswish}. */
export function hardswish(input: Tensor, { inplace = false }: InplaceOptions = {}): Tensor {
  return inplace ? ops.hardswish_(input) : ops.hardswish(input);
}

/** See {@link Softplus}. */
export function softplus(input: Tensor, { beta = 1, threshold = 20 }: SoftplusOptions = {}): Tensor {
  return ops.softplus(input, beta, threshold);
}

/** See {@link Softsign}. */
export function softsign(input: Tensor): Tensor {
  return input.div(input.abs().add(1));
}

/** See {@link Softshrink}. */
export function softshrink(input: Tensor, { lambd = 0.5 }: ShrinkOptions = {}): Tensor {
  return ops.softshrink(input, lambd);
}

/** See {@link Hardshrink}. */
export function hardshrink(input: Tensor, { lambd = 0.5 }: ShrinkOptions = {}): Tensor {
  return ops.hardshrink(input, lambd);
}

/** See {@link Threshold}. */
export function threshold(
  input: Tensor,
  limit: number,
  value: number,
  { inplace = false }: InplaceOptions = {},
): Tensor {
  return inplace ? ops.threshold_(input, limit, value) : ops.threshold(input, limit, value);
}

/** See {@link GLU}. */
export function glu(input: Tensor, { dim = -1 }: { dim?: number } = {}): Tensor {
  if (input.dim() === 0) {
    throw new ArgumentError(
      "glu does not support scalars because halving size must be even: give a tensor with dimensions.",
    );
  }
  return ops.glu(input, dim);
}

function softmaxDim(name: string, input: Tensor, dim: number | null | undefined): number {
  if (dim !== null && dim !== undefined) return dim;
  process.emitWarning(
    `Implicit dimension choice for ${name} has been deprecated: give { dim }.`,
    "DeprecationWarning",
  );
  const dims = input.dim();
  return dims === 0 || dims === 1 || dims === 3 ? 0 : 1;
}

function typed({ dtype }: SoftmaxOptions): { dtype?: DType } {
  return dtype === undefined ? {} : { dtype };
}

/** See {@link Softmax}. */
export function softmax(input: Tensor, options: SoftmaxOptions = {}): Tensor {
  return input.softmax(softmaxDim("softmax", input, options.dim), typed(options));
}

/** See {@link LogSoftmax}. */
export function logSoftmax(input: Tensor, options: SoftmaxOptions = {}): Tensor {
  return input.logSoftmax(softmaxDim("logSoftmax", input, options.dim), typed(options));
}

/** See {@link Softmin}. */
export function softmin(input: Tensor, options: SoftmaxOptions = {}): Tensor {
  return input.neg().softmax(softmaxDim("softmin", input, options.dim), typed(options));
}

/** Options of {@link gumbelSoftmax}. */
export interface GumbelSoftmaxOptions {
  /** Temperature. Default: 1. */
  tau?: number;
  /** Whether the samples are one-hot, with the gradients of the soft ones. Default: false. */
  hard?: boolean;
  /** Default: -1. */
  dim?: number;
}

/**
 * Samples of the Gumbel-softmax distribution.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.gumbel_softmax.html
 */
export function gumbelSoftmax(logits: Tensor, options: GumbelSoftmaxOptions = {}): Tensor {
  const { tau = 1, hard = false, dim = -1 } = options;
  const gumbels = ops.emptyLike(logits).exponential_().log().neg();
  const soft = logits.add(gumbels).div(tau).softmax(dim);
  if (!hard) return soft;
  const index = soft.argmax(dim, true);
  return ops.zerosLike(logits).scatter_(dim, index, 1).sub(soft.detach()).add(soft);
}

// Modules

abstract class InplaceActivation extends Module {
  readonly inplace: boolean;

  constructor(options: InplaceOptions = {}) {
    super();
    this.inplace = options.inplace ?? false;
  }

  override extraRepr(): string {
    return this.inplace ? "inplace=True" : "";
  }
}

/** What an activation prints: its parameters, and whether it works in place. */
function inplaceRepr(parameters: string, inplace: boolean): string {
  return inplace ? `${parameters}, inplace=True` : parameters;
}

/**
 * `max(0, x)`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ReLU.html
 */
export class ReLU extends InplaceActivation {
  override forward(input: Tensor): Tensor {
    return this.inplace ? input.relu_() : input.relu();
  }
}

/**
 * `x` above zero; below, `x` times a slope, drawn uniformly in training and the mean of its range otherwise.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.RReLU.html
 */
export class RReLU extends InplaceActivation {
  readonly lower: number;
  readonly upper: number;

  constructor(options: RReLUOptions = {}) {
    super(options);
    this.lower = options.lower ?? 1 / 8;
    this.upper = options.upper ?? 1 / 3;
  }

  override forward(input: Tensor): Tensor {
    return rrelu(input, this);
  }

  override extraRepr(): string {
    return inplaceRepr(`lower=${floatRepr(this.lower)}, upper=${floatRepr(this.upper)}`, this.inplace);
  }
}

/**
 * `x` between two bounds, which are taken outside of them.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Hardtanh.html
 */
export class Hardtanh extends InplaceActivation {
  readonly minVal: number;
  readonly maxVal: number;

  constructor(options: HardtanhOptions = {}) {
    super(options);
    this.minVal = options.minVal ?? -1;
    this.maxVal = options.maxVal ?? 1;
    if (this.maxVal <= this.minVal) {
      throw new ArgumentError(
        `maxVal must be larger than minVal, but they are ${this.maxVal} and ${this.minVal}.`,
      );
    }
  }

  override forward(input: Tensor): Tensor {
    return hardtanh(input, this);
  }

  override extraRepr(): string {
    return inplaceRepr(`min_val=${floatRepr(this.minVal)}, max_val=${floatRepr(this.maxVal)}`, this.inplace);
  }
}

/**
 * `min(max(0, x), 6)`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ReLU6.html
 */
export class ReLU6 extends Hardtanh {
  constructor(options: InplaceOptions = {}) {
    super({ ...options, minVal: 0, maxVal: 6 });
  }

  override extraRepr(): string {
    return this.inplace ? "inplace=True" : "";
  }
}

/**
 * The logistic function.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Sigmoid.html
 */
export class Sigmoid extends Module {
  override forward(input: Tensor): Tensor {
    return input.sigmoid();
  }
}

/**
 * `clamp(x / 6 + 1 / 2, 0, 1)`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Hardsigmoid.html
 */
export class Hardsigmoid extends InplaceActivation {
  override forward(input: Tensor): Tensor {
    return hardsigmoid(input, this);
  }

  override extraRepr(): string {
    return "";
  }
}

/**
 * The hyperbolic tangent.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Tanh.html
 */
export class Tanh extends Module {
  override forward(input: Tensor): Tensor {
    return input.tanh();
  }
}

/**
 * `x sigmoid(x)`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.SiLU.html
 */
export class SiLU extends InplaceActivation {
  override forward(input: Tensor): Tensor {
    return silu(input, this);
  }
}

/**
 * `x tanh(softplus(x))`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Mish.html
 */
export class Mish extends InplaceActivation {
  override forward(input: Tensor): Tensor {
    return mish(input, this);
  }
}

/**
 * `x hardsigmoid(x)`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Hardswish.html
 */
export class Hardswish extends InplaceActivation {
  override forward(input: Tensor): Tensor {
    return hardswish(input, this);
  }

  override extraRepr(): string {
    return "";
  }
}

/**
 * `x` above zero, `alpha (exp(x) - 1)` below.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ELU.html
 */
export class ELU extends InplaceActivation {
  readonly alpha: number;

  constructor(alpha: number | AlphaOptions = {}, options: InplaceOptions = {}) {
    super(typeof alpha === "number" ? options : alpha);
    this.alpha = typeof alpha === "number" ? alpha : (alpha.alpha ?? 1);
  }

  override forward(input: Tensor): Tensor {
    return elu(input, this);
  }

  override extraRepr(): string {
    return inplaceRepr(`alpha=${floatRepr(this.alpha)}`, this.inplace);
  }
}

/**
 * `max(0, x) + min(0, alpha (exp(x / alpha) - 1))`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.CELU.html
 */
export class CELU extends InplaceActivation {
  readonly alpha: number;

  constructor(alpha: number | AlphaOptions = {}, options: InplaceOptions = {}) {
    super(typeof alpha === "number" ? options : alpha);
    this.alpha = typeof alpha === "number" ? alpha : (alpha.alpha ?? 1);
  }

  override forward(input: Tensor): Tensor {
    return celu(input, this);
  }

  override extraRepr(): string {
    return inplaceRepr(`alpha=${floatRepr(this.alpha)}`, this.inplace);
  }
}

/**
 * A scaled {@link ELU} under which networks normalise themselves.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.SELU.html
 */
export class SELU extends InplaceActivation {
  override forward(input: Tensor): Tensor {
    return selu(input, this);
  }
}

/**
 * `a sigmoid(b)`, where `a` and `b` are the halves of the input along a dimension.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.GLU.html
 */
export class GLU extends Module {
  readonly dim: number;

  constructor(dim: number | { dim?: number } = {}) {
    super();
    this.dim = typeof dim === "number" ? dim : (dim.dim ?? -1);
  }

  override forward(input: Tensor): Tensor {
    return glu(input, this);
  }

  override extraRepr(): string {
    return `dim=${this.dim}`;
  }
}

/** Options of {@link GELU}. */
export interface GELUOptions {
  /** `"tanh"` for the approximation by the hyperbolic tangent. Default: `"none"`. */
  approximate?: "none" | "tanh";
}

/**
 * `x` times the normal distribution function of `x`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.GELU.html
 */
export class GELU extends Module {
  readonly approximate: "none" | "tanh";

  constructor(options: GELUOptions = {}) {
    super();
    this.approximate = options.approximate ?? "none";
  }

  override forward(input: Tensor): Tensor {
    return gelu(input, this);
  }

  override extraRepr(): string {
    return `approximate=${repr(this.approximate)}`;
  }
}

/** Options of the shrinking functions. */
export interface ShrinkOptions {
  /** Half width of the interval that becomes zero. Default: 0.5. */
  lambd?: number;
}

abstract class Shrink extends Module {
  readonly lambd: number;

  constructor(lambd: number | ShrinkOptions = {}) {
    super();
    this.lambd = typeof lambd === "number" ? lambd : (lambd.lambd ?? 0.5);
  }

  override extraRepr(): string {
    return repr(this.lambd);
  }
}

/**
 * `x` outside of an interval around zero, zero inside.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Hardshrink.html
 */
export class Hardshrink extends Shrink {
  override forward(input: Tensor): Tensor {
    return hardshrink(input, this);
  }
}

/**
 * `x` moved towards zero by `lambd`, zero where that would cross it.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Softshrink.html
 */
export class Softshrink extends Shrink {
  override forward(input: Tensor): Tensor {
    return softshrink(input, this);
  }
}

/**
 * `x` above zero, `negativeSlope x` below.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LeakyReLU.html
 */
export class LeakyReLU extends InplaceActivation {
  readonly negativeSlope: number;

  constructor(negativeSlope: number | LeakyReLUOptions = {}, options: InplaceOptions = {}) {
    super(typeof negativeSlope === "number" ? options : negativeSlope);
    this.negativeSlope =
      typeof negativeSlope === "number" ? negativeSlope : (negativeSlope.negativeSlope ?? 0.01);
  }

  override forward(input: Tensor): Tensor {
    return leakyRelu(input, this);
  }

  override extraRepr(): string {
    return inplaceRepr(`negative_slope=${repr(this.negativeSlope)}`, this.inplace);
  }
}

/**
 * `log(sigmoid(x))`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LogSigmoid.html
 */
export class LogSigmoid extends Module {
  override forward(input: Tensor): Tensor {
    return logsigmoid(input);
  }
}

/**
 * `log(1 + exp(beta x)) / beta`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Softplus.html
 */
export class Softplus extends Module {
  readonly beta: number;
  readonly threshold: number;

  constructor(options: SoftplusOptions = {}) {
    super();
    this.beta = options.beta ?? 1;
    this.threshold = options.threshold ?? 20;
  }

  override forward(input: Tensor): Tensor {
    return softplus(input, this);
  }

  override extraRepr(): string {
    return `beta=${floatRepr(this.beta)}, threshold=${floatRepr(this.threshold)}`;
  }
}

/** Options of {@link PReLU}, in the order of PyTorch's positional arguments. */
export interface PReLUOptions extends FactoryOptions {
  /** One slope for all channels, or one for each. Default: 1. */
  numParameters?: number;
  /** Initial slope. Default: 0.25. */
  init?: number;
}

/**
 * {@link LeakyReLU} whose slope is learned. Channels are the second dimension.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.PReLU.html
 */
export class PReLU extends Module {
  readonly numParameters: number;
  readonly init: number;
  weight: Parameter;

  constructor(numParameters: number | PReLUOptions = {}, options: PReLUOptions = {}) {
    super();
    const given = typeof numParameters === "number" ? { ...options, numParameters } : numParameters;
    this.numParameters = integer(given.numParameters ?? 1, "numParameters", 1);
    this.init = given.init ?? 0.25;
    this.weight = new Parameter(ops.empty([this.numParameters], factory(given)));
    this.resetParameters();
  }

  /** Sets the slopes to their initial value. */
  resetParameters(): void {
    init.constant_(this.weight, this.init);
  }

  override forward(input: Tensor): Tensor {
    return input.prelu(this.weight);
  }

  override extraRepr(): string {
    return `num_parameters=${this.numParameters}`;
  }
}

/**
 * `x / (1 + |x|)`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Softsign.html
 */
export class Softsign extends Module {
  override forward(input: Tensor): Tensor {
    return softsign(input);
  }
}

/**
 * `x - tanh(x)`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Tanhshrink.html
 */
export class Tanhshrink extends Module {
  override forward(input: Tensor): Tensor {
    return tanhshrink(input);
  }
}

/**
 * `x` above a limit, a constant elsewhere.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Threshold.html
 */
export class Threshold extends InplaceActivation {
  readonly threshold: number;
  readonly value: number;

  constructor(limit: number, value: number, options: InplaceOptions = {}) {
    super(options);
    this.threshold = limit;
    this.value = value;
  }

  override forward(input: Tensor): Tensor {
    return threshold(input, this.threshold, this.value, this);
  }

  override extraRepr(): string {
    return inplaceRepr(`threshold=${repr(this.threshold)}, value=${repr(this.value)}`, this.inplace);
  }
}

abstract class SoftmaxBase extends Module {
  readonly dim: number | null;

  constructor(dim: number | { dim?: number | null } = {}) {
    super();
    this.dim = typeof dim === "number" ? dim : (dim.dim ?? null);
  }

  override extraRepr(): string {
    return `dim=${repr(this.dim)}`;
  }
}

/**
 * `exp(x)`, divided by its sum along a dimension.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Softmax.html
 */
export class Softmax extends SoftmaxBase {
  override forward(input: Tensor): Tensor {
    return softmax(input, { dim: this.dim });
  }
}

/**
 * {@link Softmax} of `-x`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Softmin.html
 */
export class Softmin extends SoftmaxBase {
  override forward(input: Tensor): Tensor {
    return softmin(input, { dim: this.dim });
  }
}

/**
 * The logarithm of {@link Softmax}.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LogSoftmax.html
 */
export class LogSoftmax extends SoftmaxBase {
  override forward(input: Tensor): Tensor {
    return logSoftmax(input, { dim: this.dim });
  }
}

/**
 * {@link Softmax} over the channels of images. Shapes: `(N, C, H, W)` or `(C, H, W)`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Softmax2d.html
 */
export class Softmax2d extends Module {
  override forward(input: Tensor): Tensor {
    const dims = input.dim();
    if (dims !== 3 && dims !== 4) {
      throw new ArgumentError(`Softmax2d: expected input to be 3D or 4D, got ${dims}D instead.`);
    }
    return input.softmax(-3);
  }
}
