import { ArgumentError } from "../errors.js";
import { noGrad } from "../grad-mode.js";
import { native } from "../native.js";
import * as ops from "../ops.js";
import type { Tensor } from "../tensor.js";
import { logsigmoid } from "./activation.js";
import { PairwiseDistance, pairwiseDistance } from "./distance.js";
import { Module } from "./module.js";

/** What becomes of the losses of single elements: kept, averaged or added. */
export type Reduction = "none" | "mean" | "sum";

/** Options that all losses have. */
export interface LossOptions {
  /** Default: `"mean"`. */
  reduction?: Reduction;
}

const reductions: readonly string[] = ["none", "mean", "sum"];

/** The operators' number of a reduction. */
function reductionNumber(reduction: Reduction): number {
  const number = reductions.indexOf(reduction);
  if (number >= 0) return number;
  throw new ArgumentError(
    `"${String(reduction)}" is not a valid value for reduction: it is "none", "mean" or "sum".`,
  );
}

function reduce(loss: Tensor, reduction: Reduction): Tensor {
  reductionNumber(reduction);
  return reduction === "mean" ? loss.mean() : reduction === "sum" ? loss.sum() : loss;
}

function sameShape(a: Tensor, b: Tensor): boolean {
  return native.sameSizes(a.handle, b.handle);
}

function sizeText(tensor: Tensor): string {
  return `[${tensor.shape.join(", ")}]`;
}

/** Input and target of one shape; a mismatch is broadcast, with a warning, since it is seldom meant. */
function broadcast(input: Tensor, target: Tensor): [Tensor, Tensor] {
  if (sameShape(input, target)) return [input, target];
  process.emitWarning(
    `Using a target size (${sizeText(target)}) that is different to the input size (${sizeText(input)}). This will likely lead to incorrect results due to broadcasting: ensure they have the same size.`,
  );
  return ops.broadcastTensors([input, target]) as [Tensor, Tensor];
}

function checkWeight(name: string, weight: Tensor, input: Tensor): void {
  if (!sameShape(weight, input)) {
    throw new ArgumentError(
      `${name}: weight and input must have the same size, but they have ${sizeText(weight)} and ${sizeText(input)}.`,
    );
  }
}

// Functional forms

/** Options of {@link l1Loss} and {@link mseLoss}. */
export interface WeightedLossOptions extends LossOptions {
  /** A factor for each element; with `"mean"` the loss is divided by their sum. */
  weight?: Tensor | null;
}

function weighted(errors: Tensor, weight: Tensor, reduction: Reduction): Tensor {
  const losses = errors.mul(weight);
  return reduction === "mean" ? losses.sum().div(weight.sum()) : reduce(losses, reduction);
}

/** See {@link L1Loss}. */
export function l1Loss(input: Tensor, target: Tensor, options: WeightedLossOptions = {}): Tensor {
  const { reduction = "mean", weight = null } = options;
  const [x, y] = broadcast(input, target);
  if (weight === null) return ops.l1Loss(x, y, reductionNumber(reduction));
  checkWeight("l1Loss", weight, input);
  return weighted(x.sub(y).abs(), weight, reduction);
}

/** See {@link MSELoss}. */
export function mseLoss(input: Tensor, target: Tensor, options: WeightedLossOptions = {}): Tensor {
  const { reduction = "mean", weight = null } = options;
  const [x, y] = broadcast(input, target);
  if (weight === null) return ops.mseLoss(x, y, reductionNumber(reduction));
  checkWeight("mseLoss", weight, input);
  return weighted(x.sub(y).pow(2), weight, reduction);
}

/** Options of {@link smoothL1Loss}. */
export interface SmoothL1LossOptions extends LossOptions {
  /** Below this difference the loss is quadratic. Default: 1. */
  beta?: number;
}

/** See {@link SmoothL1Loss}. */
export function smoothL1Loss(input: Tensor, target: Tensor, options: SmoothL1LossOptions = {}): Tensor {
  const { reduction = "mean", beta = 1 } = options;
  const [x, y] = broadcast(input, target);
  if (beta === 0) return ops.l1Loss(x, y, reductionNumber(reduction));
  return ops.smoothL1Loss(x, y, reductionNumber(reduction), beta);
}

/** Options of {@link huberLoss}. */
export interface HuberLossOptions extends LossOptions {
  /** Below this difference the loss is quadratic. Default: 1. */
  delta?: number;
}

/** See {@link HuberLoss}. */
export function huberLoss(
  input: Tensor,
  target: Tensor,
  options: HuberLossOptions & { weight?: Tensor | null } = {},
): Tensor {
  const { reduction = "mean", delta = 1, weight = null } = options;
  const [x, y] = broadcast(input, target);
  if (weight === null) return ops.huberLoss(x, y, reductionNumber(reduction), delta);
  checkWeight("huberLoss", weight, input);
  return reduce(ops.huberLoss(x, y, reductionNumber("none"), delta).mul(weight), reduction);
}

/** Options of {@link crossEntropy} and {@link CrossEntropyLoss}. */
export interface CrossEntropyOptions extends LossOptions {
  /** A factor for each class, shape `(C)`. */
  weight?: Tensor | null;
  /** A class that does not count; only for targets that are classes. Default: -100. */
  ignoreIndex?: number;
  /** Share of the target that is spread evenly over all classes. Default: 0. */
  labelSmoothing?: number;
}

/** See {@link CrossEntropyLoss}. */
export function crossEntropy(input: Tensor, target: Tensor, options: CrossEntropyOptions = {}): Tensor {
  const { weight = null, ignoreIndex = -100, reduction = "mean", labelSmoothing = 0 } = options;
  return ops.crossEntropyLoss(input, target, weight, reductionNumber(reduction), ignoreIndex, labelSmoothing);
}

/** Options of {@link nllLoss} and {@link NLLLoss}. */
export interface NLLLossOptions extends LossOptions {
  /** A factor for each class, shape `(C)`. */
  weight?: Tensor | null;
  /** A class that does not count. Default: -100. */
  ignoreIndex?: number;
}

/** See {@link NLLLoss}. */
export function nllLoss(input: Tensor, target: Tensor, options: NLLLossOptions = {}): Tensor {
  const { weight = null, ignoreIndex = -100, reduction = "mean" } = options;
  return ops.nllLossNd(input, target, weight, reductionNumber(reduction), ignoreIndex);
}

/** Options of {@link binaryCrossEntropy}. */
export interface BCELossOptions extends LossOptions {
  /** A factor for each element; broadcast to the target's shape. */
  weight?: Tensor | null;
}

/** See {@link BCELoss}. */
export function binaryCrossEntropy(input: Tensor, target: Tensor, options: BCELossOptions = {}): Tensor {
  const { weight = null, reduction = "mean" } = options;
  if (!sameShape(input, target)) {
    throw new ArgumentError(
      `binaryCrossEntropy: using a target size (${sizeText(target)}) that is different to the input size (${sizeText(input)}) is not allowed: ensure they have the same size.`,
    );
  }
  const factors = weight === null || sameShape(weight, target) ? weight : weight.expandAs(target);
  return ops.binaryCrossEntropy(input, target, factors, reductionNumber(reduction));
}

/** Options of {@link binaryCrossEntropyWithLogits}. */
export interface BCEWithLogitsLossOptions extends BCELossOptions {
  /** A factor for the positive examples of each class. */
  posWeight?: Tensor | null;
}

/** See {@link BCEWithLogitsLoss}. */
export function binaryCrossEntropyWithLogits(
  input: Tensor,
  target: Tensor,
  options: BCEWithLogitsLossOptions = {},
): Tensor {
  const { weight = null, posWeight = null, reduction = "mean" } = options;
  if (!sameShape(input, target)) {
    throw new ArgumentError(
      `binaryCrossEntropyWithLogits: target size (${sizeText(target)}) must be the same as input size (${sizeText(input)}).`,
    );
  }
  return ops.binaryCrossEntropyWithLogits(input, target, weight, posWeight, reductionNumber(reduction));
}

/** Options of {@link klDiv} and {@link KLDivLoss}. */
export interface KLDivLossOptions {
  /** `"batchmean"` divides the sum by the size of the batch, as the definition does. Default: `"mean"`. */
  reduction?: Reduction | "batchmean";
  /** Whether the target is in logarithms, as the input. Default: false. */
  logTarget?: boolean;
}

/** See {@link KLDivLoss}. */
export function klDiv(input: Tensor, target: Tensor, options: KLDivLossOptions = {}): Tensor {
  const { reduction = "mean", logTarget = false } = options;
  if (reduction !== "batchmean") return ops.klDiv(input, target, reductionNumber(reduction), { logTarget });
  const sum = ops.klDiv(input, target, reductionNumber("sum"), { logTarget });
  return input.dim() === 0 ? sum : sum.div(input.size(0));
}

/** Options of {@link poissonNllLoss} and {@link PoissonNLLLoss}. */
export interface PoissonNLLLossOptions extends LossOptions {
  /** Whether the input is the logarithm of the rate. Default: true. */
  logInput?: boolean;
  /** Whether Stirling's approximation is added. Default: false. */
  full?: boolean;
  /** Added to rates before their logarithm. Default: 1e-8. */
  eps?: number;
}

/** See {@link PoissonNLLLoss}. */
export function poissonNllLoss(input: Tensor, target: Tensor, options: PoissonNLLLossOptions = {}): Tensor {
  const { logInput = true, full = false, eps = 1e-8, reduction = "mean" } = options;
  return ops.poissonNllLoss(input, target, logInput, full, eps, reductionNumber(reduction));
}

/** Options of {@link gaussianNllLoss} and {@link GaussianNLLLoss}. */
export interface GaussianNLLLossOptions extends LossOptions {
  /** Whether the constant term is added. Default: false. */
  full?: boolean;
  /** Smallest variance. Default: 1e-6. */
  eps?: number;
}

/** See {@link GaussianNLLLoss}. */
export function gaussianNllLoss(
  input: Tensor,
  target: Tensor,
  variance: Tensor | number,
  options: GaussianNLLLossOptions = {},
): Tensor {
  const { full = false, eps = 1e-6, reduction = "mean" } = options;
  reductionNumber(reduction);
  let spread: Tensor;
  if (typeof variance === "number") {
    if (variance < 0) throw new ArgumentError(`gaussianNllLoss: the variance is negative: ${variance}.`);
    spread = ops.onesLike(input).mul(variance);
  } else {
    if (variance.lt(0).any().item<boolean>()) {
      throw new ArgumentError("gaussianNllLoss: the variance has negative entries.");
    }
    spread = fitVariance(variance, input).clone();
  }
  // The bound takes no part in the gradient.
  noGrad(() => spread.clampMin_(eps));
  let loss = spread.log().add(input.sub(target).pow(2).div(spread)).mul(0.5);
  if (full) loss = loss.add(0.5 * Math.log(2 * Math.PI));
  return reduce(loss, reduction);
}

/** A variance with one value for each row of the input becomes one that broadcasts. */
function fitVariance(variance: Tensor, input: Tensor): Tensor {
  if (sameShape(variance, input)) return variance;
  const shape = input.shape;
  const given = variance.shape;
  if (given.length === shape.length - 1 && given.every((size, i) => size === shape[i]))
    return variance.unsqueeze(-1);
  const different = given.filter((size, i) => size !== shape[i]);
  if (given.length === shape.length && different.length === 1 && different[0] === 1) return variance;
  throw new ArgumentError(
    `gaussianNllLoss: the variance has shape ${sizeText(variance)}, which does not fit an input of shape ${sizeText(input)}: give the input's shape, or one with the last dimension 1 or left out.`,
  );
}

/** Options of losses with a margin. */
export interface MarginLossOptions extends LossOptions {
  /** Default: 0; of `hingeEmbeddingLoss` 1. */
  margin?: number;
}

/** See {@link MarginRankingLoss}. */
export function marginRankingLoss(
  input1: Tensor,
  input2: Tensor,
  target: Tensor,
  { margin = 0, reduction = "mean" }: MarginLossOptions = {},
): Tensor {
  if (input1.dim() !== input2.dim() || input1.dim() !== target.dim()) {
    throw new ArgumentError(
      `marginRankingLoss: all input tensors should have the same number of dimensions, but got sizes ${sizeText(input1)}, ${sizeText(input2)} and target ${sizeText(target)}.`,
    );
  }
  return ops.marginRankingLoss(input1, input2, target, margin, reductionNumber(reduction));
}

/** See {@link HingeEmbeddingLoss}. */
export function hingeEmbeddingLoss(
  input: Tensor,
  target: Tensor,
  { margin = 1, reduction = "mean" }: MarginLossOptions = {},
): Tensor {
  return ops.hingeEmbeddingLoss(input, target, margin, reductionNumber(reduction));
}

/** See {@link CosineEmbeddingLoss}. */
export function cosineEmbeddingLoss(
  input1: Tensor,
  input2: Tensor,
  target: Tensor,
  { margin = 0, reduction = "mean" }: MarginLossOptions = {},
): Tensor {
  return ops.cosineEmbeddingLoss(input1, input2, target, margin, reductionNumber(reduction));
}

/** See {@link SoftMarginLoss}. */
export function softMarginLoss(
  input: Tensor,
  target: Tensor,
  { reduction = "mean" }: LossOptions = {},
): Tensor {
  return ops.softMarginLoss(input, target, reductionNumber(reduction));
}

/** Options of {@link multiMarginLoss} and {@link MultiMarginLoss}. */
export interface MultiMarginLossOptions extends LossOptions {
  /** 1 or 2. Default: 1. */
  p?: number;
  /** Default: 1. */
  margin?: number;
  /** A factor for each class. */
  weight?: Tensor | null;
}

/** See {@link MultiMarginLoss}. */
export function multiMarginLoss(input: Tensor, target: Tensor, options: MultiMarginLossOptions = {}): Tensor {
  const { p = 1, margin = 1, weight = null, reduction = "mean" } = options;
  if (p !== 1 && p !== 2)
    throw new ArgumentError(`multiMarginLoss: only p == 1 and p == 2 supported, but got ${p}.`);
  if (weight !== null && weight.dim() !== 1) {
    throw new ArgumentError(
      `multiMarginLoss: weight must be one-dimensional, but has shape ${sizeText(weight)}.`,
    );
  }
  return ops.multiMarginLoss(input, target, p, margin, weight, reductionNumber(reduction));
}

/** See {@link MultiLabelMarginLoss}. */
export function multilabelMarginLoss(
  input: Tensor,
  target: Tensor,
  { reduction = "mean" }: LossOptions = {},
): Tensor {
  return ops.multilabelMarginLoss(input, target, reductionNumber(reduction));
}

/** See {@link MultiLabelSoftMarginLoss}. */
export function multilabelSoftMarginLoss(
  input: Tensor,
  target: Tensor,
  options: WeightedLossOptions = {},
): Tensor {
  const { weight = null, reduction = "mean" } = options;
  const positive = target.mul(logsigmoid(input));
  let loss = positive.add(ops.rsub(target, 1).mul(logsigmoid(input.neg()))).neg();
  if (weight !== null) loss = loss.mul(weight);
  const classes = input.dim() - 1;
  return reduce(loss.sum([classes]).div(input.size(classes)), reduction);
}

/** Options of {@link tripletMarginLoss} and {@link TripletMarginLoss}. */
export interface TripletMarginLossOptions extends MarginLossOptions {
  /** Which norm. Default: 2. */
  p?: number;
  /** Added to distances. Default: 1e-6. */
  eps?: number;
  /** Whether the distance of positive and negative counts where it is smaller. Default: false. */
  swap?: boolean;
}

function positiveMargin(margin: number): number {
  if (margin > 0) return margin;
  throw new ArgumentError(`margin must be greater than 0, got ${String(margin)}.`);
}

/** See {@link TripletMarginLoss}. */
export function tripletMarginLoss(
  anchor: Tensor,
  positive: Tensor,
  negative: Tensor,
  options: TripletMarginLossOptions = {},
): Tensor {
  const { margin = 1, p = 2, eps = 1e-6, swap = false, reduction = "mean" } = options;
  positiveMargin(margin);
  return ops.tripletMarginLoss(anchor, positive, negative, margin, p, eps, swap, reductionNumber(reduction));
}

/** The distance of two tensors: a function or a module. */
export type Distance =
  | ((a: Tensor, b: Tensor) => Tensor)
  | (Module & { forward(a: Tensor, b: Tensor): Tensor });

/** Options of {@link tripletMarginWithDistanceLoss} and {@link TripletMarginWithDistanceLoss}. */
export interface TripletMarginWithDistanceLossOptions extends MarginLossOptions {
  /** Default: the 2-norm of the difference. */
  distanceFunction?: Distance | null;
  /** Whether the distance of positive and negative counts where it is smaller. Default: false. */
  swap?: boolean;
}

/** See {@link TripletMarginWithDistanceLoss}. */
export function tripletMarginWithDistanceLoss(
  anchor: Tensor,
  positive: Tensor,
  negative: Tensor,
  options: TripletMarginWithDistanceLossOptions = {},
): Tensor {
  const { margin = 1, swap = false, reduction = "mean" } = options;
  const given = options.distanceFunction ?? pairwiseDistance;
  const distance = (a: Tensor, b: Tensor) => (given instanceof Module ? given.forward(a, b) : given(a, b));
  positiveMargin(margin);
  if (anchor.dim() !== positive.dim() || anchor.dim() !== negative.dim()) {
    throw new ArgumentError(
      `tripletMarginWithDistanceLoss: anchor, positive, and negative are expected to have the same number of dimensions, but got ${anchor.dim()}D, ${positive.dim()}D and ${negative.dim()}D.`,
    );
  }
  const near = distance(anchor, positive);
  let far = distance(anchor, negative);
  if (swap) far = ops.minimum(far, distance(positive, negative));
  return reduce(near.sub(far).add(margin).clampMin(0), reduction);
}

/** Options of {@link ctcLoss} and {@link CTCLoss}. */
export interface CTCLossOptions extends LossOptions {
  /** The class of the blank. Default: 0. */
  blank?: number;
  /** Whether infinite losses (targets longer than the input) count as zero. Default: false. */
  zeroInfinity?: boolean;
}

/** See {@link CTCLoss}. */
export function ctcLoss(
  logProbs: Tensor,
  targets: Tensor,
  inputLengths: Tensor | readonly number[],
  targetLengths: Tensor | readonly number[],
  options: CTCLossOptions = {},
): Tensor {
  const { blank = 0, reduction = "mean", zeroInfinity = false } = options;
  return ops.call(
    "aten::ctc_loss",
    logProbs,
    targets,
    inputLengths,
    targetLengths,
    blank,
    reductionNumber(reduction),
    zeroInfinity,
  ) as Tensor;
}

// Modules

abstract class Loss extends Module {
  readonly reduction: Reduction;

  constructor(options: LossOptions = {}) {
    super();
    this.reduction = options.reduction ?? "mean";
    reductionNumber(this.reduction);
  }
}

/** A loss with factors, which are a buffer: they move with the module. */
export abstract class WeightedLoss extends Loss {
  declare weight: Tensor | null;

  constructor(options: WeightedLossOptions) {
    super(options);
    this.registerBuffer("weight", options.weight ?? null);
  }
}

/**
 * The absolute difference.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.L1Loss.html
 */
export class L1Loss extends Loss {
  override forward(input: Tensor, target: Tensor): Tensor {
    return l1Loss(input, target, this);
  }
}

/**
 * The squared difference.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.MSELoss.html
 */
export class MSELoss extends Loss {
  override forward(input: Tensor, target: Tensor): Tensor {
    return mseLoss(input, target, this);
  }
}

/**
 * The squared difference where it is small, the absolute one elsewhere.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.SmoothL1Loss.html
 */
export class SmoothL1Loss extends Loss {
  readonly beta: number;

  constructor(options: SmoothL1LossOptions = {}) {
    super(options);
    this.beta = options.beta ?? 1;
  }

  override forward(input: Tensor, target: Tensor): Tensor {
    return smoothL1Loss(input, target, this);
  }
}

/**
 * {@link SmoothL1Loss} times `delta`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.HuberLoss.html
 */
export class HuberLoss extends Loss {
  readonly delta: number;

  constructor(options: HuberLossOptions = {}) {
    super(options);
    this.delta = options.delta ?? 1;
  }

  override forward(input: Tensor, target: Tensor): Tensor {
    return huberLoss(input, target, this);
  }
}

/**
 * The cross entropy of logits and targets.
 *
 * Shapes: input `(C)`, `(N, C)` or `(N, C, ...)`; target the same without `C` as int64 classes, or the same with
 * probabilities of the classes.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html
 */
export class CrossEntropyLoss extends WeightedLoss {
  readonly ignoreIndex: number;
  readonly labelSmoothing: number;

  constructor(options: CrossEntropyOptions = {}) {
    super(options);
    this.ignoreIndex = options.ignoreIndex ?? -100;
    this.labelSmoothing = options.labelSmoothing ?? 0;
  }

  override forward(input: Tensor, target: Tensor): Tensor {
    return crossEntropy(input, target, this);
  }
}

/**
 * The negative log likelihood of classes, from log probabilities.
 *
 * Shapes: input `(C)`, `(N, C)` or `(N, C, ...)`; target the same without `C`, int64.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.NLLLoss.html
 */
export class NLLLoss extends WeightedLoss {
  readonly ignoreIndex: number;

  constructor(options: NLLLossOptions = {}) {
    super(options);
    this.ignoreIndex = options.ignoreIndex ?? -100;
  }

  override forward(input: Tensor, target: Tensor): Tensor {
    return nllLoss(input, target, this);
  }
}

/** The same as {@link NLLLoss}, under its older name. */
export class NLLLoss2d extends NLLLoss {}

/**
 * The cross entropy of probabilities of one class against none.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.BCELoss.html
 */
export class BCELoss extends WeightedLoss {
  constructor(options: BCELossOptions = {}) {
    super(options);
  }

  override forward(input: Tensor, target: Tensor): Tensor {
    return binaryCrossEntropy(input, target, this);
  }
}

/**
 * The cross entropy of one class against none, from logits; more accurate than a sigmoid with {@link BCELoss}.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.BCEWithLogitsLoss.html
 */
export class BCEWithLogitsLoss extends WeightedLoss {
  static override readonly stateNames: Readonly<Record<string, string>> = { posWeight: "pos_weight" };
  declare posWeight: Tensor | null;

  constructor(options: BCEWithLogitsLossOptions = {}) {
    super(options);
    this.registerBuffer("posWeight", options.posWeight ?? null);
  }

  override forward(input: Tensor, target: Tensor): Tensor {
    return binaryCrossEntropyWithLogits(input, target, this);
  }
}

/**
 * The Kullback-Leibler divergence; the input is in logarithms.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.KLDivLoss.html
 */
export class KLDivLoss extends Module {
  readonly reduction: Reduction | "batchmean";
  readonly logTarget: boolean;

  constructor(options: KLDivLossOptions = {}) {
    super();
    this.reduction = options.reduction ?? "mean";
    this.logTarget = options.logTarget ?? false;
    if (this.reduction !== "batchmean") reductionNumber(this.reduction);
  }

  override forward(input: Tensor, target: Tensor): Tensor {
    return klDiv(input, target, this);
  }
}

/**
 * The negative log likelihood of counts of a Poisson distribution.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.PoissonNLLLoss.html
 */
export class PoissonNLLLoss extends Loss {
  readonly logInput: boolean;
  readonly full: boolean;
  readonly eps: number;

  constructor(options: PoissonNLLLossOptions = {}) {
    super(options);
    this.logInput = options.logInput ?? true;
    this.full = options.full ?? false;
    this.eps = options.eps ?? 1e-8;
  }

  override forward(logInput: Tensor, target: Tensor): Tensor {
    return poissonNllLoss(logInput, target, this);
  }
}

/**
 * The negative log likelihood of a normal distribution with a given variance.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.GaussianNLLLoss.html
 */
export class GaussianNLLLoss extends Loss {
  readonly full: boolean;
  readonly eps: number;

  constructor(options: GaussianNLLLossOptions = {}) {
    super(options);
    this.full = options.full ?? false;
    this.eps = options.eps ?? 1e-6;
  }

  override forward(input: Tensor, target: Tensor, variance: Tensor | number): Tensor {
    return gaussianNllLoss(input, target, variance, this);
  }
}

abstract class MarginLoss extends Loss {
  readonly margin: number;

  constructor(options: MarginLossOptions, margin: number) {
    super(options);
    this.margin = options.margin ?? margin;
  }
}

/**
 * `max(0, -y (x1 - x2) + margin)`: which of two is to be ranked higher.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.MarginRankingLoss.html
 */
export class MarginRankingLoss extends MarginLoss {
  /** @param options `margin` is 0 by default */
  constructor(options: MarginLossOptions = {}) {
    super(options, 0);
  }

  override forward(input1: Tensor, input2: Tensor, target: Tensor): Tensor {
    return marginRankingLoss(input1, input2, target, this);
  }
}

/**
 * `x` for targets 1, `max(0, margin - x)` for targets -1.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.HingeEmbeddingLoss.html
 */
export class HingeEmbeddingLoss extends MarginLoss {
  /** @param options `margin` is 1 by default */
  constructor(options: MarginLossOptions = {}) {
    super(options, 1);
  }

  override forward(input: Tensor, target: Tensor): Tensor {
    return hingeEmbeddingLoss(input, target, this);
  }
}

/**
 * One minus the cosine for targets 1, `max(0, cosine - margin)` for targets -1.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.CosineEmbeddingLoss.html
 */
export class CosineEmbeddingLoss extends MarginLoss {
  /** @param options `margin` is 0 by default */
  constructor(options: MarginLossOptions = {}) {
    super(options, 0);
  }

  override forward(input1: Tensor, input2: Tensor, target: Tensor): Tensor {
    return cosineEmbeddingLoss(input1, input2, target, this);
  }
}

/**
 * `log(1 + exp(-y x))` for targets 1 and -1.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.SoftMarginLoss.html
 */
export class SoftMarginLoss extends Loss {
  override forward(input: Tensor, target: Tensor): Tensor {
    return softMarginLoss(input, target, this);
  }
}

/**
 * The hinge loss of several classes.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiMarginLoss.html
 */
export class MultiMarginLoss extends WeightedLoss {
  readonly p: number;
  readonly margin: number;

  constructor(options: MultiMarginLossOptions = {}) {
    super(options);
    this.p = options.p ?? 1;
    this.margin = options.margin ?? 1;
    if (this.p !== 1 && this.p !== 2) {
      throw new ArgumentError(`MultiMarginLoss: only p == 1 and p == 2 supported, but got ${this.p}.`);
    }
  }

  override forward(input: Tensor, target: Tensor): Tensor {
    return multiMarginLoss(input, target, this);
  }
}

/**
 * The hinge loss of several classes at once; targets are lists of classes ended by -1.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiLabelMarginLoss.html
 */
export class MultiLabelMarginLoss extends Loss {
  override forward(input: Tensor, target: Tensor): Tensor {
    return multilabelMarginLoss(input, target, this);
  }
}

/**
 * {@link BCEWithLogitsLoss} averaged over the classes.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiLabelSoftMarginLoss.html
 */
export class MultiLabelSoftMarginLoss extends WeightedLoss {
  constructor(options: WeightedLossOptions = {}) {
    super(options);
  }

  override forward(input: Tensor, target: Tensor): Tensor {
    return multilabelSoftMarginLoss(input, target, this);
  }
}

/**
 * By how much an anchor is nearer to a positive than to a negative example, short of a margin.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.TripletMarginLoss.html
 */
export class TripletMarginLoss extends MarginLoss {
  readonly p: number;
  readonly eps: number;
  readonly swap: boolean;

  /** @param options `margin` is 1 by default */
  constructor(options: TripletMarginLossOptions = {}) {
    super(options, 1);
    positiveMargin(this.margin);
    this.p = options.p ?? 2;
    this.eps = options.eps ?? 1e-6;
    this.swap = options.swap ?? false;
  }

  override forward(anchor: Tensor, positive: Tensor, negative: Tensor): Tensor {
    return tripletMarginLoss(anchor, positive, negative, this);
  }
}

/**
 * {@link TripletMarginLoss} with any distance.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.TripletMarginWithDistanceLoss.html
 */
export class TripletMarginWithDistanceLoss extends MarginLoss {
  static override readonly stateNames: Readonly<Record<string, string>> = {
    distanceFunction: "distance_function",
  };
  readonly distanceFunction: Distance;
  readonly swap: boolean;

  /** @param options `margin` is 1 by default */
  constructor(options: TripletMarginWithDistanceLossOptions = {}) {
    super(options, 1);
    positiveMargin(this.margin);
    this.distanceFunction = options.distanceFunction ?? new PairwiseDistance();
    this.swap = options.swap ?? false;
  }

  override forward(anchor: Tensor, positive: Tensor, negative: Tensor): Tensor {
    return tripletMarginWithDistanceLoss(anchor, positive, negative, this);
  }
}

/**
 * The loss of a sequence whose alignment with the input is not known.
 *
 * Shapes: log probabilities `(T, N, C)` or `(T, C)`; targets `(N, S)` or all in one; lengths `(N)`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.CTCLoss.html
 */
export class CTCLoss extends Loss {
  readonly blank: number;
  readonly zeroInfinity: boolean;

  constructor(options: CTCLossOptions = {}) {
    super(options);
    this.blank = options.blank ?? 0;
    this.zeroInfinity = options.zeroInfinity ?? false;
  }

  override forward(
    logProbs: Tensor,
    targets: Tensor,
    inputLengths: Tensor | readonly number[],
    targetLengths: Tensor | readonly number[],
  ): Tensor {
    return ctcLoss(logProbs, targets, inputLengths, targetLengths, this);
  }
}
