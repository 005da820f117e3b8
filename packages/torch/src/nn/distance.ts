import * as ops from "../ops.js";
import type { Tensor } from "../tensor.js";
import { Module } from "./module.js";

/** Options of {@link CosineSimilarity}, in the order of PyTorch's positional arguments. */
export interface CosineSimilarityOptions {
  /** Default: 1. */
  dim?: number;
  /** Smallest norm that is divided by. Default: 1e-8. */
  eps?: number;
}

/** Options of {@link PairwiseDistance}, in the order of PyTorch's positional arguments. */
export interface PairwiseDistanceOptions {
  /** Which norm. Default: 2. */
  p?: number;
  /** Added to the difference. Default: 1e-6. */
  eps?: number;
  /** Whether the last dimension is kept. Default: false. */
  keepdim?: boolean;
}

/** See {@link CosineSimilarity}. */
export function cosineSimilarity(
  x1: Tensor,
  x2: Tensor,
  { dim = 1, eps = 1e-8 }: CosineSimilarityOptions = {},
): Tensor {
  return ops.cosineSimilarity(x1, x2, dim, eps);
}

/** See {@link PairwiseDistance}. */
export function pairwiseDistance(x1: Tensor, x2: Tensor, options: PairwiseDistanceOptions = {}): Tensor {
  const { p = 2, eps = 1e-6, keepdim = false } = options;
  return ops.pairwiseDistance(x1, x2, p, eps, keepdim);
}

/**
 * The cosine of the angle between two tensors' vectors along a dimension.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.CosineSimilarity.html
 */
export class CosineSimilarity extends Module {
  readonly dim: number;
  readonly eps: number;

  constructor(options: CosineSimilarityOptions = {}) {
    super();
    this.dim = options.dim ?? 1;
    this.eps = options.eps ?? 1e-8;
  }

  override forward(x1: Tensor, x2: Tensor): Tensor {
    return cosineSimilarity(x1, x2, this);
  }
}

/**
 * The p-norm of the difference of two tensors' vectors along the last dimension.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.PairwiseDistance.html
 */
export class PairwiseDistance extends Module {
  readonly p: number;
  readonly eps: number;
  readonly keepdim: boolean;

  constructor(options: PairwiseDistanceOptions = {}) {
    super();
    this.p = options.p ?? 2;
    this.eps = options.eps ?? 1e-6;
    this.keepdim = options.keepdim ?? false;
  }

  override forward(x1: Tensor, x2: Tensor): Tensor {
    return pairwiseDistance(x1, x2, this);
  }
}
