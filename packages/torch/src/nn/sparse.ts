import { ArgumentError } from "../errors.js";
import { noGrad } from "../grad-mode.js";
import * as ops from "../ops.js";
import type { Tensor } from "../tensor.js";
import { type FactoryOptions, factory, integer } from "./arguments.js";
import * as init from "./init.js";
import { Module } from "./module.js";
import { Parameter } from "./parameter.js";
import { floatRepr, repr } from "./repr.js";

// Functional forms

/** Options of {@link embedding}. */
export interface EmbeddingFunctionOptions {
  /** The entry whose gradient is always zero. */
  paddingIdx?: number | null;
  /** Entries that are looked up are first scaled down (in place) to this norm at most. */
  maxNorm?: number | null;
  /** Which norm. Default: 2. */
  normType?: number;
  /** Whether gradients are divided by how often an entry occurs in the batch. Default: false. */
  scaleGradByFreq?: boolean;
  /** Whether the gradient of the weight is a sparse tensor. Default: false. */
  sparse?: boolean;
}

/** See {@link Embedding}. */
export function embedding(input: Tensor, weight: Tensor, options: EmbeddingFunctionOptions = {}): Tensor {
  const { maxNorm = null, normType = 2, scaleGradByFreq = false, sparse = false } = options;
  const paddingIdx = paddingIndex(options.paddingIdx ?? null, weight.size(0)) ?? -1;
  let indices = input;
  if (maxNorm !== null) {
    indices = input.contiguous();
    renorm(weight, indices, maxNorm, normType);
  }
  return ops.embedding(weight, indices, paddingIdx, scaleGradByFreq, sparse);
}

function renorm(weight: Tensor, indices: Tensor, maxNorm: number, normType: number): void {
  noGrad(() => ops.call("aten::embedding_renorm_", weight, indices, maxNorm, normType));
}

/** The index counted from the start, checked. */
function paddingIndex(index: number | null, count: number): number | null {
  if (index === null) return null;
  if (!Number.isInteger(index) || index >= count || index < -count) {
    throw new ArgumentError(`paddingIdx must be within numEmbeddings (${count}), but got ${String(index)}.`);
  }
  return index < 0 ? count + index : index;
}

/** How the entries of a bag are put together. */
export type EmbeddingBagMode = "sum" | "mean" | "max";

/** Options of {@link embeddingBag}. */
export interface EmbeddingBagFunctionOptions {
  /** Where each bag begins, for an input of one dimension. */
  offsets?: Tensor | null;
  /** Rows with a larger norm are scaled down to it, in place. Default: none. */
  maxNorm?: number | null;
  /** The p of that norm. Default: 2. */
  normType?: number;
  /** Whether gradients are divided by how often a row is used. Default: false. */
  scaleGradByFreq?: boolean;
  /** Default: `"mean"`. */
  mode?: EmbeddingBagMode;
  /** Whether the gradient of the weight is sparse. Default: false. */
  sparse?: boolean;
  /** Factors of the entries, for `"sum"`; of the input's shape. */
  perSampleWeights?: Tensor | null;
  /** Whether the last offset is the end of the last bag. Default: false. */
  includeLastOffset?: boolean;
  /** An entry that is left out of the bags. */
  paddingIdx?: number | null;
}

/** See {@link EmbeddingBag}. */
export function embeddingBag(
  input: Tensor,
  weight: Tensor,
  options: EmbeddingBagFunctionOptions = {},
): Tensor {
  const { maxNorm = null, normType = 2, scaleGradByFreq = false, mode = "mean", sparse = false } = options;
  let { offsets = null, perSampleWeights = null, includeLastOffset = false } = options;
  let indices = input;
  if (perSampleWeights !== null && perSampleWeights.shape.join() !== input.shape.join()) {
    throw new ArgumentError(
      `embeddingBag: perSampleWeights has shape [${perSampleWeights.shape}]; it must have the same shape as the input, [${input.shape}].`,
    );
  }
  if (weight.dim() !== 2) {
    throw new ArgumentError(
      `embeddingBag: weight has to be a 2D Tensor, but got Tensor of dimension ${weight.dim()}.`,
    );
  }
  if (input.dim() === 2) {
    if (offsets !== null) {
      throw new ArgumentError(
        "embeddingBag: if input is 2D, then offsets has to be null, as input is treated as a mini-batch of fixed length sequences.",
      );
    }
    offsets = ops.arange(0, input.numel(), input.size(1), { dtype: input.dtype, device: input.device });
    includeLastOffset = false;
    indices = input.reshape([-1]);
    perSampleWeights = perSampleWeights?.reshape([-1]) ?? null;
  } else if (input.dim() !== 1) {
    throw new ArgumentError(
      `embeddingBag: input has to be 1D or 2D Tensor, but got Tensor of dimension ${input.dim()}.`,
    );
  } else if (offsets === null || offsets.dim() !== 1) {
    throw new ArgumentError(
      `embeddingBag: offsets has to be a 1D Tensor but got ${offsets === null ? "null" : `${offsets.dim()}D`}.`,
    );
  }
  const modes: Record<EmbeddingBagMode, number> = { sum: 0, mean: 1, max: 2 };
  if (!Object.hasOwn(modes, mode)) {
    throw new ArgumentError(
      `embeddingBag: mode has to be one of sum, mean or max, but got "${String(mode)}".`,
    );
  }
  if (mode === "max" && scaleGradByFreq) {
    throw new ArgumentError("embeddingBag: max mode does not support scaling the gradient by the frequency.");
  }
  if (mode === "max" && sparse)
    throw new ArgumentError("embeddingBag: max mode does not support sparse weights.");
  if (perSampleWeights !== null && mode !== "sum") {
    throw new ArgumentError(
      `embeddingBag: perSampleWeights is only supported for mode "sum" (got mode "${mode}").`,
    );
  }
  if (maxNorm !== null) renorm(weight, indices, maxNorm, normType);
  const results = ops.call(
    "aten::embedding_bag",
    weight,
    indices,
    offsets,
    scaleGradByFreq,
    modes[mode],
    sparse,
    perSampleWeights,
    includeLastOffset,
    options.paddingIdx ?? null,
  ) as Tensor[];
  return results[0] as Tensor;
}

/** Options of {@link oneHot}. */
export interface OneHotOptions {
  /** Default: one more than the largest class there is. */
  numClasses?: number;
}

/**
 * Classes as vectors of zeros and a one. Shapes: input `(*)` of int64, output `(*, numClasses)`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.one_hot.html
 */
export function oneHot(input: Tensor, options: OneHotOptions = {}): Tensor {
  return ops.oneHot(input, options.numClasses ?? -1);
}

// Modules

/** Options of {@link Embedding}, in the order of PyTorch's positional arguments. */
export interface EmbeddingOptions extends EmbeddingFunctionOptions, FactoryOptions {}

/**
 * A table of vectors that are looked up by number.
 *
 * Shapes: input `(*)` of integers, output `(*, embeddingDim)`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Embedding.html
 */
export class Embedding extends Module {
  readonly numEmbeddings: number;
  readonly embeddingDim: number;
  readonly paddingIdx: number | null;
  readonly maxNorm: number | null;
  readonly normType: number;
  readonly scaleGradByFreq: boolean;
  readonly sparse: boolean;
  weight: Parameter;

  constructor(numEmbeddings: number, embeddingDim: number, options: EmbeddingOptions = {}) {
    super();
    this.numEmbeddings = integer(numEmbeddings, "numEmbeddings");
    this.embeddingDim = integer(embeddingDim, "embeddingDim");
    this.paddingIdx = paddingIndex(options.paddingIdx ?? null, numEmbeddings);
    this.maxNorm = options.maxNorm ?? null;
    this.normType = options.normType ?? 2;
    this.scaleGradByFreq = options.scaleGradByFreq ?? false;
    this.sparse = options.sparse ?? false;
    this.weight = new Parameter(ops.empty([numEmbeddings, embeddingDim], factory(options)));
    this.resetParameters();
  }

  /** A table that begins with given vectors, which are not trained unless `freeze` is false. */
  static fromPretrained(
    embeddings: Tensor,
    options: EmbeddingFunctionOptions & { freeze?: boolean } = {},
  ): Embedding {
    const module = pretrained(
      embeddings,
      (rows, columns) => new Embedding(rows, columns, { ...options, device: "meta" }),
    );
    module.weight = new Parameter(embeddings, { requiresGrad: !(options.freeze ?? true) });
    return module;
  }

  /** Draws the vectors from the normal distribution; the padding entry is zero. */
  resetParameters(): void {
    init.normal_(this.weight);
    const { paddingIdx } = this;
    if (paddingIdx !== null) noGrad(() => this.weight.select(0, paddingIdx).fill_(0));
  }

  override forward(input: Tensor): Tensor {
    if (this.maxNorm !== null) return embedding(input, this.weight, this);
    return ops.embedding(this.weight, input, this.paddingIdx ?? -1, this.scaleGradByFreq, this.sparse);
  }

  override extraRepr(): string {
    const parts = [`${this.numEmbeddings}, ${this.embeddingDim}`];
    if (this.paddingIdx !== null) parts.push(`padding_idx=${this.paddingIdx}`);
    if (this.maxNorm !== null) parts.push(`max_norm=${floatRepr(this.maxNorm)}`);
    if (this.normType !== 2) parts.push(`norm_type=${floatRepr(this.normType)}`);
    if (this.scaleGradByFreq) parts.push("scale_grad_by_freq=True");
    if (this.sparse) parts.push("sparse=True");
    return parts.join(", ");
  }
}

function pretrained<M>(embeddings: Tensor, make: (rows: number, columns: number) => M): M {
  if (embeddings.dim() !== 2) {
    throw new ArgumentError(
      `fromPretrained: embeddings is expected to be 2-dimensional, but it has ${embeddings.dim()} dimension(s).`,
    );
  }
  return make(embeddings.size(0), embeddings.size(1));
}

/** Options of {@link EmbeddingBag}, in the order of PyTorch's positional arguments. */
export interface EmbeddingBagOptions
  extends Omit<EmbeddingBagFunctionOptions, "offsets" | "perSampleWeights">,
    FactoryOptions {}

/** What {@link EmbeddingBag.forward} may be given besides the indices. */
export interface EmbeddingBagForwardOptions {
  /** Where each bag begins, for an input of one dimension. */
  offsets?: Tensor | null;
  /** Factors of the entries, for `"sum"`; of the input's shape. Default: none. */
  perSampleWeights?: Tensor | null;
}

/**
 * Sums, means or maxima of bags of vectors of a table.
 *
 * Shapes: input `(B, N)`, or `(N)` with offsets `(B)`; output `(B, embeddingDim)`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.EmbeddingBag.html
 */
export class EmbeddingBag extends Module {
  readonly numEmbeddings: number;
  readonly embeddingDim: number;
  readonly maxNorm: number | null;
  readonly normType: number;
  readonly scaleGradByFreq: boolean;
  readonly mode: EmbeddingBagMode;
  readonly sparse: boolean;
  readonly includeLastOffset: boolean;
  readonly paddingIdx: number | null;
  weight: Parameter;

  constructor(numEmbeddings: number, embeddingDim: number, options: EmbeddingBagOptions = {}) {
    super();
    this.numEmbeddings = integer(numEmbeddings, "numEmbeddings");
    this.embeddingDim = integer(embeddingDim, "embeddingDim");
    this.maxNorm = options.maxNorm ?? null;
    this.normType = options.normType ?? 2;
    this.scaleGradByFreq = options.scaleGradByFreq ?? false;
    this.mode = options.mode ?? "mean";
    this.sparse = options.sparse ?? false;
    this.includeLastOffset = options.includeLastOffset ?? false;
    this.paddingIdx = paddingIndex(options.paddingIdx ?? null, numEmbeddings);
    this.weight = new Parameter(ops.empty([numEmbeddings, embeddingDim], factory(options)));
    this.resetParameters();
  }

  /** A table that begins with given vectors, which are not trained unless `freeze` is false. */
  static fromPretrained(
    embeddings: Tensor,
    options: EmbeddingBagOptions & { freeze?: boolean } = {},
  ): EmbeddingBag {
    const module = pretrained(
      embeddings,
      (rows, columns) => new EmbeddingBag(rows, columns, { ...options, device: "meta" }),
    );
    module.weight = new Parameter(embeddings, { requiresGrad: !(options.freeze ?? true) });
    return module;
  }

  /** Draws the vectors from the normal distribution; the padding entry is zero. */
  resetParameters(): void {
    init.normal_(this.weight);
    const { paddingIdx } = this;
    if (paddingIdx !== null) noGrad(() => this.weight.select(0, paddingIdx).fill_(0));
  }

  /** @param offsets where each bag begins, or options */
  override forward(
    input: Tensor,
    offsets?: Tensor | null | EmbeddingBagForwardOptions,
    perSampleWeights?: Tensor | null,
  ): Tensor {
    const isOptions = offsets !== null && offsets !== undefined && !("shape" in offsets);
    const given: EmbeddingBagForwardOptions = isOptions
      ? offsets
      : {
          offsets: (offsets as Tensor | null | undefined) ?? null,
          perSampleWeights: perSampleWeights ?? null,
        };
    const { maxNorm, normType, scaleGradByFreq, mode, sparse, includeLastOffset, paddingIdx } = this;
    const options = { maxNorm, normType, scaleGradByFreq, mode, sparse, includeLastOffset, paddingIdx };
    return embeddingBag(input, this.weight, { ...options, ...given });
  }

  override extraRepr(): string {
    const parts = [`${this.numEmbeddings}, ${this.embeddingDim}`];
    if (this.maxNorm !== null) parts.push(`max_norm=${floatRepr(this.maxNorm)}`);
    if (this.normType !== 2) parts.push(`norm_type=${floatRepr(this.normType)}`);
    if (this.scaleGradByFreq) parts.push("scale_grad_by_freq=True");
    parts.push(`mode=${repr(this.mode)}`);
    if (this.paddingIdx !== null) parts.push(`padding_idx=${this.paddingIdx}`);
    return parts.join(", ");
  }
}
