/**
 * Operators on sparse tensors whose gradients are sparse too.
 *
 * @see https://pytorch.org/docs/stable/sparse.html
 */
import type { Scalar } from "./complex.js";
import type { DType, Layout } from "./dtype.js";
import { call } from "./operator.js";
import type { Tensor } from "./tensor.js";

/** The product of a sparse matrix with a sparse or dense one; with `reduce`, how products are brought together: for CSR on the CPU. */
export function mm(
  mat1: Tensor,
  mat2: Tensor,
  options: { reduce?: "sum" | "mean" | "amax" | "amin" } = {},
): Tensor {
  const { reduce } = options;
  return call("aten::_sparse_mm", mat1, mat2, ...(reduce === undefined ? [] : [reduce])) as Tensor;
}

/** `beta * input + alpha * (mat1 @ mat2)` with a sparse first matrix. */
export function addmm(
  input: Tensor,
  mat1: Tensor,
  mat2: Tensor,
  options: { beta?: Scalar; alpha?: Scalar } = {},
): Tensor {
  return call("aten::_sparse_addmm", input, mat1, mat2, options) as Tensor;
}

/** `alpha * (mat1 @ mat2) + beta * input`, computed only where the sparse input has values. */
export function sampledAddmm(
  input: Tensor,
  mat1: Tensor,
  mat2: Tensor,
  options: { beta?: Scalar; alpha?: Scalar } = {},
): Tensor {
  return call("aten::sparse_sampled_addmm", input, mat1, mat2, options) as Tensor;
}

/** The sum over some dimensions, or over all; sparse while a sparse dimension is left. */
export function sum(
  input: Tensor,
  options: { dim?: number | readonly number[] | null; dtype?: DType | null } = {},
): Tensor {
  const { dim, dtype } = options;
  const args = dim === undefined || dim === null ? [] : [typeof dim === "number" ? [dim] : dim];
  return call("aten::_sparse_sum", input, ...args, dtype ? { dtype } : {}) as Tensor;
}

/** The softmax along a dimension, in which what is not stored counts as minus infinity. */
export function softmax(input: Tensor, dim: number, options: { dtype?: DType | null } = {}): Tensor {
  return call("aten::_sparse_softmax", input, dim, { dtype: options.dtype ?? null }) as Tensor;
}

/** The logarithm of {@link softmax}. */
export function logSoftmax(input: Tensor, dim: number, options: { dtype?: DType | null } = {}): Tensor {
  return call("aten::_sparse_log_softmax", input, dim, { dtype: options.dtype ?? null }) as Tensor;
}

/** A sparse matrix with the rows of a tensor along its diagonals. */
export function spdiags(
  diagonals: Tensor,
  offsets: Tensor,
  shape: readonly number[],
  options: { layout?: Layout | null } = {},
): Tensor {
  return call("aten::_spdiags", diagonals, offsets, shape, { layout: options.layout ?? null }) as Tensor;
}

/** The solution of a system of linear equations with a sparse CSR matrix; on accelerators only. */
export function spsolve(input: Tensor, other: Tensor, options: { left?: boolean } = {}): Tensor {
  return call("aten::_spsolve", input, other, options) as Tensor;
}
