import type { DType } from "./dtype.js";
import { ArgumentError } from "./errors.js";
import { call } from "./operator.js";
import { linalg } from "./ops.generated.js";
import { optional, tensorList } from "./optional.js";
import type { Tensor } from "./tensor.js";

/**
 * Sums of products of tensors' elements, written as indices: `"bij,bjk->bik"` is a batch of matrix products.
 *
 * The operands are contracted from left to right.
 *
 * @see https://pytorch.org/docs/stable/generated/torch.einsum.html
 */
export function einsum(equation: string, operands: readonly Tensor[]): Tensor;
export function einsum(equation: string, ...operands: Tensor[]): Tensor;
export function einsum(equation: string, ...operands: (Tensor | readonly Tensor[])[]): Tensor {
  return call("aten::einsum", equation, tensorList("einsum", operands)) as Tensor;
}

/** Which dimensions of both are summed over: the last of one and the first of the other, or those of each. */
export type ContractedDims = number | readonly [readonly number[], readonly number[]];

/**
 * The product of two tensors, summed over some dimensions of both.
 *
 * @param dims how many of `a`'s last and `b`'s first dimensions, or which of each. Default: 2
 * @see https://pytorch.org/docs/stable/generated/torch.tensordot.html
 */
export function tensordot(a: Tensor, b: Tensor, dims?: ContractedDims): Tensor;
export function tensordot(a: Tensor, b: Tensor, options?: { dims?: ContractedDims }): Tensor;
export function tensordot(a: Tensor, b: Tensor, ...args: unknown[]): Tensor {
  const { dims = 2 } = optional<{ dims: ContractedDims }>("tensordot", ["dims"], args);
  if (typeof dims === "number") {
    if (!Number.isInteger(dims) || dims < 0)
      throw new ArgumentError(`tensordot: dims must be a whole number from 0, got ${dims}`);
    const range = Array.from({ length: dims }, (_, i) => i);
    return call(
      "aten::tensordot",
      a,
      b,
      range.map((i) => i - dims),
      range,
    ) as Tensor;
  }
  return call("aten::tensordot", a, b, dims[0], dims[1]) as Tensor;
}

/**
 * The product of several matrices, multiplied in the order that takes the least work.
 *
 * @see https://pytorch.org/docs/stable/generated/torch.chain_matmul.html
 */
export function chainMatmul(matrices: readonly Tensor[]): Tensor;
export function chainMatmul(...matrices: Tensor[]): Tensor;
export function chainMatmul(...matrices: (Tensor | readonly Tensor[])[]): Tensor {
  return call("aten::chain_matmul", tensorList("chainMatmul", matrices)) as Tensor;
}

/** Options of {@link cdist}. */
export interface CdistOptions {
  /** Which norm. Default: 2. */
  p?: number;
  /** Whether matrix products compute distances for p = 2. Default: where one side has more than 25 rows. */
  computeMode?:
    | "use_mm_for_euclid_dist_if_necessary"
    | "use_mm_for_euclid_dist"
    | "donot_use_mm_for_euclid_dist";
}

const computeModes = [
  "use_mm_for_euclid_dist_if_necessary",
  "use_mm_for_euclid_dist",
  "donot_use_mm_for_euclid_dist",
];

/**
 * The distances between all rows of one batch of matrices and all rows of another: `(*, P, M)` and `(*, R, M)` give `(*, P, R)`.
 *
 * @see https://pytorch.org/docs/stable/generated/torch.cdist.html
 */
export function cdist(x1: Tensor, x2: Tensor, p?: number): Tensor;
export function cdist(x1: Tensor, x2: Tensor, options?: CdistOptions): Tensor;
export function cdist(x1: Tensor, x2: Tensor, ...args: unknown[]): Tensor {
  const { p = 2, computeMode = computeModes[0] } = optional<CdistOptions>(
    "cdist",
    ["p", "computeMode"],
    args,
  );
  const mode = computeModes.indexOf(computeMode as string);
  if (mode < 0)
    throw new ArgumentError(
      `cdist: computeMode must be one of ${computeModes.map((m) => `"${m}"`).join(", ")}, got ${String(computeMode)}`,
    );
  return call("aten::cdist", x1, x2, p, mode === 0 ? null : mode) as Tensor;
}

/** Which norm: a number, the Frobenius norm or the nuclear norm. */
export type NormOrder = number | "fro" | "nuc";

/** Options of {@link norm}. */
export interface NormOptions {
  /** Default: `"fro"`. */
  p?: NormOrder | null;
  /** The dimensions to reduce. Default: all. */
  dim?: number | readonly number[] | null;
  /** Whether they are kept with size one. Default: false. */
  keepdim?: boolean;
  /** The type in which it is computed. Default: the tensor's. */
  dtype?: DType;
}

/**
 * The norm of a tensor or of its parts along some dimensions. `linalg.vectorNorm` and `linalg.matrixNorm` say which is meant.
 *
 * @see https://pytorch.org/docs/stable/generated/torch.norm.html
 */
export function norm(
  input: Tensor,
  p?: NormOrder | null,
  dim?: number | readonly number[] | null,
  keepdim?: boolean,
): Tensor;
export function norm(input: Tensor, p: NormOrder | null, options: Omit<NormOptions, "p">): Tensor;
export function norm(input: Tensor, options?: NormOptions): Tensor;
export function norm(input: Tensor, ...args: unknown[]): Tensor {
  const given = optional<NormOptions>("norm", ["p", "dim", "keepdim", "dtype"], args);
  const { keepdim = false, dtype } = given;
  const p = given.p ?? (given.p === null ? 2 : "fro");
  const dims = typeof given.dim === "number" ? [given.dim] : (given.dim ?? null);
  if (p === "nuc" || (p === "fro" && dims !== null && dims.length > 2)) {
    return linalg.matrixNorm(input, p, dims ?? [0, 1], keepdim, { dtype: dtype ?? null });
  }
  if (typeof p === "string" && p !== "fro")
    throw new ArgumentError(`norm: p must be a number, "fro" or "nuc", got "${String(p)}"`);
  return linalg.vectorNorm(input, p === "fro" ? 2 : p, dims, keepdim, { dtype: dtype ?? null });
}

/** Options of {@link lu}. */
export interface LuOptions {
  /** Whether rows are swapped for accuracy. Default: true. */
  pivot?: boolean;
  /** Also gives `infos`, zero for each matrix that was factorized, instead of an error for one that was not. Default: false. */
  getInfos?: boolean;
}

/**
 * The LU factorization of a batch of matrices in one tensor, with the rows that were swapped; see `linalg.luFactor`.
 *
 * @see https://pytorch.org/docs/stable/generated/torch.lu.html
 */
export function lu(
  A: Tensor,
  options: LuOptions & { getInfos: true },
): { LU: Tensor; pivots: Tensor; infos: Tensor };
export function lu(A: Tensor, options?: LuOptions): { LU: Tensor; pivots: Tensor };
export function lu(A: Tensor, ...args: unknown[]): { LU: Tensor; pivots: Tensor; infos?: Tensor } {
  const { pivot = true, getInfos = false } = optional<LuOptions>("lu", ["pivot", "getInfos"], args);
  const { LU, pivots, info } = linalg.luFactorEx(A, { pivot, checkErrors: !getInfos });
  return getInfos ? { LU, pivots, infos: info } : { LU, pivots };
}
