import { Function as AutogradFunction, type FunctionContext } from "../autograd.js";
import type { DType } from "../dtype.js";
import { ArgumentError } from "../errors.js";
import { isGradEnabled } from "../grad-mode.js";
import * as ops from "../ops.js";
import type { Tensor } from "../tensor.js";
import { type FactoryOptions, factory, integer } from "./arguments.js";
import { Linear } from "./linear.js";
import { crossEntropy, type LossOptions, type Reduction, WeightedLoss } from "./loss.js";
import { floatRepr, repr } from "./repr.js";

/** How many examples {@link linearCrossEntropy} takes at a time, so that the logits of all are never in memory at once. */
export interface LinearCrossEntropyOptions {
  /** Examples of a chunk; null for all at once, unless `chunkingMethod` says otherwise. Default: null. */
  batchChunkSize?: number | null;
  /**
   * How the size of a chunk is found: `"aspect_ratio"` makes its logits as large as the whole input, `"aspect_ratio:N"` N times
   * smaller, null takes `batchChunkSize`. Default: `"auto"`, which is `"aspect_ratio"` unless `batchChunkSize` is given.
   */
  chunkingMethod?: "auto" | "aspect_ratio" | `aspect_ratio:${number}` | null;
  /** Whether backward may run several times; costs a copy of the gradients. Default: false. */
  allowRetainGraph?: boolean;
}

/** Options of {@link linearCrossEntropy}. */
export interface LinearCrossEntropyFunctionOptions extends LossOptions {
  /** Added to the logits, `(C, ...)`. */
  linearBias?: Tensor | null;
  /** A factor for each class, `(C)`. */
  weight?: Tensor | null;
  /** A class that does not count; only for targets that are classes. Default: -100. */
  ignoreIndex?: number | null;
  /** Share of the target that is spread evenly over all classes. Default: 0. */
  labelSmoothing?: number;
  /** Computes in chunks; without it, all logits at once. */
  options?: LinearCrossEntropyOptions | null;
}

/**
 * The cross entropy of logits that are a linear map of the input; see {@link LinearCrossEntropyLoss}.
 *
 * Shapes: input `(N, F)` or `(F)`, linearWeight `(C, F)` or `(C, ..., F)`, target as that of {@link crossEntropy} for logits
 * `(N, C, ...)`.
 *
 * @throws ArgumentError where shapes do not fit
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.linear_cross_entropy.html
 */
export function linearCrossEntropy(
  input: Tensor,
  linearWeight: Tensor,
  target: Tensor,
  options: LinearCrossEntropyFunctionOptions = {},
): Tensor {
  const { linearBias = null, weight = null, reduction = "mean", labelSmoothing = 0 } = options;
  const inputShape = input.shape;
  const weightShape = linearWeight.shape;
  const features = inputShape.at(-1);
  if (
    inputShape.length < 1 ||
    inputShape.length > 2 ||
    weightShape.length < 2 ||
    weightShape.at(-1) !== features
  ) {
    throw new ArgumentError(
      `linearCrossEntropy: input must be (N, F) or (F) and linearWeight (C, ..., F), but they have shape [${inputShape}] and [${weightShape}].`,
    );
  }
  const outputShape = weightShape.slice(0, -1);
  if (linearBias !== null && linearBias.shape.join() !== outputShape.join()) {
    throw new ArgumentError(
      `linearCrossEntropy: linearBias must have shape [${outputShape}], but has [${linearBias.shape}].`,
    );
  }
  if (outputShape.length > 1 && inputShape.length === 1) {
    throw new ArgumentError(
      "linearCrossEntropy: a linearWeight of more than two dimensions needs an input with a batch, (N, F).",
    );
  }
  const logitsShape = [...inputShape.slice(0, -1), ...outputShape];
  const targetIsProbabilities = target.shape.join() === logitsShape.join();
  if (targetIsProbabilities && options.ignoreIndex !== null && options.ignoreIndex !== undefined) {
    throw new ArgumentError(
      "linearCrossEntropy: ignoreIndex cannot be given where the target contains probabilities.",
    );
  }
  const ignoreIndex = options.ignoreIndex ?? -100;
  if (options.options) {
    const given = { linearBias, weight, reduction, ignoreIndex };
    if (canBeChunked(input, target, outputShape, labelSmoothing, targetIsProbabilities)) {
      return inChunks(input, linearWeight, target, given, options.options);
    }
    process.emitWarning(
      "linearCrossEntropy: options are not used; chunks need targets of int64 classes, or probabilities of the input's type without gradient, no labelSmoothing, and a linearWeight of two dimensions.",
    );
  }
  const flat = linearWeight.reshape([-1, features as number]);
  const logits = ops.linear(input, flat, linearBias?.reshape([-1]) ?? null).reshape(logitsShape);
  return crossEntropy(logits, target, { weight, reduction, ignoreIndex, labelSmoothing });
}

function canBeChunked(
  input: Tensor,
  target: Tensor,
  outputShape: readonly number[],
  labelSmoothing: number,
  targetIsProbabilities: boolean,
): boolean {
  if (outputShape.length > 1 || labelSmoothing !== 0) return false;
  if (!targetIsProbabilities) return target.dtype === "int64";
  return target.dtype === input.dtype && !(target.requiresGrad && isGradEnabled());
}

interface Settings {
  weight: Tensor | null;
  reduction: Reduction;
  ignoreIndex: number;
}

function inChunks(
  input: Tensor,
  linearWeight: Tensor,
  target: Tensor,
  { linearBias, ...settings }: Settings & { linearBias: Tensor | null },
  options: LinearCrossEntropyOptions,
): Tensor {
  const batched = input.ndim === 2;
  const inputs = batched ? input : input.unsqueeze(0);
  const targets = batched ? target : target.unsqueeze(0);
  const size = chunkSize(inputs, linearWeight, targets, options);
  const recording = isGradEnabled();
  const problem = new Problem(inputs, linearWeight, linearBias, targets, settings, size, recording);
  const loss = ChunkedLoss.apply(
    problem,
    options.allowRetainGraph ?? false,
    inputs,
    linearWeight,
    linearBias,
  );
  return batched || settings.reduction !== "none" ? loss : loss.squeeze(0);
}

/** The smallest power of two that is at least `n`. */
const powerAbove = (n: number): number => 2 ** Math.ceil(Math.log2(Math.max(n, 1)));

function chunkSize(
  input: Tensor,
  linearWeight: Tensor,
  target: Tensor,
  options: LinearCrossEntropyOptions,
): number {
  const { batchChunkSize = null } = options;
  const count = Math.max(input.size(0), 1);
  if (batchChunkSize !== null) integer(batchChunkSize, "batchChunkSize", 1);
  let method = options.chunkingMethod === undefined ? "auto" : options.chunkingMethod;
  const automatic = method === "auto";
  if (automatic) method = batchChunkSize === null ? "aspect_ratio" : null;
  if (method === null) return Math.min(batchChunkSize ?? count, count);
  const [, factor = "1"] = /^aspect_ratio(?::([1-9]\d*))?$/.exec(method) ?? [];
  if (!method.startsWith("aspect_ratio")) throw new ArgumentError(`chunkingMethod "${method}" is not known.`);
  const [classes, features] = linearWeight.shape as [number, number];
  const ratio = powerAbove(Math.ceil(count / Math.ceil(classes / features)));
  let size = Math.min(Math.floor(ratio / Number(factor)), count);
  if (automatic) {
    // No more than what keeps chunks below the memory of all logits at once.
    const bound = Math.floor(target.isFloatingPoint() ? count / 2 : (count * classes) / (4 * features));
    size = Math.min(size, 2 ** Math.floor(Math.log2(Math.max(bound, 1))));
  }
  size = Math.max(size, 1);
  if (batchChunkSize !== null && batchChunkSize !== size) {
    throw new ArgumentError(
      `batchChunkSize ${batchChunkSize} and chunkingMethod "${method}", which gives ${size}, do not agree: give only one of them.`,
    );
  }
  return size;
}

/** The gradients of input, weight and bias, null where one is not wanted. */
type Gradients = [Tensor | null, Tensor | null, Tensor | null];

/** A loss with what it is computed from, chunk by chunk. */
class Problem {
  private readonly wanted: boolean[];
  /** Half precision is accumulated in single precision. */
  private readonly dtype: DType;

  constructor(
    private readonly input: Tensor,
    private readonly linearWeight: Tensor,
    private readonly linearBias: Tensor | null,
    private readonly target: Tensor,
    readonly settings: Settings,
    private readonly size: number,
    recording: boolean,
  ) {
    this.wanted = [input, linearWeight, linearBias].map(
      (tensor) => recording && (tensor?.requiresGrad ?? false),
    );
    this.dtype = input.dtype === "float16" || input.dtype === "bfloat16" ? "float32" : input.dtype;
  }

  /** What the loss of each example is multiplied by. */
  private factors(scale: Tensor | null): Tensor {
    const { weight, reduction, ignoreIndex } = this.settings;
    const count = this.input.size(0);
    const one = this.input.newOnes([count], { dtype: this.dtype });
    let factors = one;
    let total: Tensor | number = count;
    if (!this.target.isFloatingPoint()) {
      const counts = this.target.ne(ignoreIndex);
      const classes = this.target.mul(counts);
      factors = counts.to(this.dtype);
      if (weight !== null) factors = factors.mul(weight.to(this.dtype).indexSelect(0, classes));
      total = factors.sum();
    }
    if (reduction === "mean") factors = factors.div(total as Tensor);
    return scale === null ? factors : factors.mul(scale.to(this.dtype));
  }

  /** The losses of the examples and, if wanted, the gradients of their sum; `scale` multiplies the loss of each. */
  solve(scale: Tensor | null, withGradients: boolean): [losses: Tensor, gradients: Gradients] {
    const { dtype, target, input, size } = this;
    const { weight, ignoreIndex } = this.settings;
    const count = input.size(0);
    const linearWeight = this.linearWeight.to(dtype);
    const linearBias = this.linearBias?.to(dtype) ?? null;
    const factors = this.factors(scale);
    const [ofInput, ofWeight, ofBias] = this.wanted.map((wanted) => wanted && withGradients);
    const inputGradients: Tensor[] = [];
    const weightGradient = ofWeight ? ops.zerosLike(linearWeight) : null;
    const biasGradient = ofBias && linearBias !== null ? ops.zerosLike(linearBias) : null;
    const losses: Tensor[] = [];
    for (let start = 0; start < count; start += size) {
      const length = Math.min(size, count - start);
      const x = input.narrow(0, start, length).to(dtype);
      const factor = factors.narrow(0, start, length).unsqueeze(1);
      const given = target.narrow(0, start, length);
      const logProb = ops.linear(x, linearWeight, linearBias).logSoftmax(1);
      // The loss is -sum(share * logProb); its gradient by the logits, softmax * sum(share) - share.
      let share: Tensor;
      if (given.isFloatingPoint()) {
        share = given.to(dtype).mul(factor);
        if (weight !== null) share = share.mul(weight.to(dtype));
        losses.push(share.mul(logProb).sum([1]).neg());
      } else {
        const classes = given.mul(given.ne(ignoreIndex)).unsqueeze(1);
        losses.push(logProb.gather(1, classes).mul(factor).squeeze(1).neg());
        if (!ofInput && !ofWeight && !ofBias) continue;
        share = ops.zerosLike(logProb).scatter_(1, classes, factor);
      }
      if (!ofInput && !ofWeight && !ofBias) continue;
      const gradient = logProb
        .exp_()
        .mul_(share.sum([1], true))
        .sub_(share);
      if (ofInput) inputGradients.push(gradient.mm(linearWeight).to(input.dtype));
      weightGradient?.addmm_(gradient.t(), x);
      biasGradient?.add_(gradient.sum([0]));
    }
    return [
      losses.length > 0 ? ops.cat(losses) : input.newZeros([0], { dtype }),
      [
        ofInput ? ops.cat(inputGradients) : null,
        weightGradient?.to(this.linearWeight.dtype) ?? null,
        biasGradient?.to((this.linearBias as Tensor).dtype) ?? null,
      ],
    ];
  }
}

class ChunkedLoss extends AutogradFunction {
  static override forward(
    ctx: FunctionContext,
    problem: Problem,
    retain: boolean,
    input: Tensor,
    _linearWeight: Tensor,
    _linearBias: Tensor | null,
  ): Tensor {
    const single = problem.settings.reduction !== "none";
    // For one loss the gradients are known but for a factor; for many, backward computes them again.
    const [losses, gradients] = problem.solve(null, single);
    ctx.problem = problem;
    ctx.retain = retain;
    ctx.gradients = single ? gradients : null;
    return (single ? losses.sum() : losses).to(input.dtype);
  }

  static override backward(ctx: FunctionContext, gradient: Tensor): (Tensor | null)[] {
    const problem = ctx.problem as Problem;
    if (problem.settings.reduction === "none") return [null, null, ...problem.solve(gradient, true)[1]];
    const gradients = ctx.gradients as Gradients | null;
    if (gradients === null) {
      throw new ArgumentError(
        "linearCrossEntropy: backward has run already and used up its gradients; give options: { allowRetainGraph: true } to run it again.",
      );
    }
    if (ctx.retain) return [null, null, ...gradients.map((part) => part?.mul(gradient) ?? null)];
    ctx.gradients = null;
    return [null, null, ...gradients.map((part) => part?.mul_(gradient) ?? null)];
  }
}

/** Options of {@link LinearCrossEntropyLoss}. */
export interface LinearCrossEntropyLossOptions
  extends FactoryOptions,
    Omit<LinearCrossEntropyFunctionOptions, "linearBias"> {
  /** Further dimensions of the logits, behind the classes. Default: none. */
  outFeatures?: readonly number[];
  /** Whether a bias is learned. Default: false. */
  bias?: boolean;
}

/**
 * A linear layer with the cross entropy of its outputs: the loss at the head of a language model, which can be computed in
 * chunks to save memory.
 *
 * Shapes: input `(N, inFeatures)` or `(inFeatures)`; target the classes `(N, ...outFeatures)`, or probabilities
 * `(N, numClasses, ...outFeatures)`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LinearCrossEntropyLoss.html
 */
export class LinearCrossEntropyLoss extends WeightedLoss {
  readonly numClasses: number;
  readonly outFeatures: number[];
  readonly ignoreIndex: number | null;
  readonly labelSmoothing: number;
  readonly options: LinearCrossEntropyOptions | null;
  linear: Linear;

  constructor(inFeatures: number, numClasses: number, options: LinearCrossEntropyLossOptions = {}) {
    const { weight = null, labelSmoothing = 0, bias = false } = options;
    if (weight !== null && (weight.ndim !== 1 || weight.size(0) !== numClasses)) {
      throw new ArgumentError(`weight must have shape [${numClasses}], but has [${weight.shape}].`);
    }
    if (!(labelSmoothing >= 0 && labelSmoothing <= 1)) {
      throw new ArgumentError(`labelSmoothing must be in [0, 1], but got ${String(labelSmoothing)}.`);
    }
    super(options);
    this.numClasses = integer(numClasses, "numClasses", 1);
    this.outFeatures = [...(options.outFeatures ?? [])];
    this.ignoreIndex = options.ignoreIndex ?? null;
    this.labelSmoothing = labelSmoothing;
    this.options = options.options ?? null;
    const outputs = this.outFeatures.reduce((product, n) => product * n, numClasses);
    this.linear = new Linear(inFeatures, outputs, { ...factory(options), bias });
  }

  override forward(input: Tensor, target: Tensor): Tensor {
    const { numClasses, outFeatures, linear } = this;
    const shape = [numClasses, ...outFeatures];
    const linearWeight = linear.weight.reshape([...shape, linear.inFeatures]);
    const linearBias = linear.bias?.reshape(shape) ?? null;
    const { weight, reduction, ignoreIndex, labelSmoothing, options } = this;
    return linearCrossEntropy(input, linearWeight, target, {
      linearBias,
      weight,
      reduction,
      ignoreIndex,
      labelSmoothing,
      options,
    });
  }

  override extraRepr(): string {
    const { linear, numClasses, outFeatures, reduction, ignoreIndex, labelSmoothing } = this;
    return `in_features=${linear.inFeatures}, num_classes=${numClasses}, out_features=${repr(outFeatures)}, bias=${repr(linear.bias !== null)}, reduction=${reduction}, ignore_index=${repr(ignoreIndex)}, label_smoothing=${floatRepr(labelSmoothing)}, options=${optionsRepr(this.options)}`;
  }
}

function optionsRepr(options: LinearCrossEntropyOptions | null): string {
  if (options === null) return "None";
  const { allowRetainGraph = false, batchChunkSize = null, chunkingMethod = "auto" } = options;
  return `LinearCrossEntropyOptions(allow_retain_graph=${repr(allowRetainGraph)}, batch_chunk_size=${repr(batchChunkSize)}, chunking_method=${repr(chunkingMethod)}, acc_policy='auto', acc_dtype=None)`;
}
