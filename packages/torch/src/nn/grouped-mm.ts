import type { DType } from "../dtype.js";
import { call } from "../operator.js";
import type { Tensor } from "../tensor.js";

/** Options of {@link groupedMm}. */
export interface GroupedMmOptions {
  /** Where each group of rows (or columns) ends, int32, for matrices whose groups differ in size. */
  offs?: Tensor | null;
  /** Not supported by libtorch yet. */
  bias?: Tensor | null;
  /** The type of the result. Default: that of the matrices. */
  outDtype?: DType | null;
}

/**
 * Products of several matrices at once, which may differ in size: the experts of a mixture.
 *
 * Shapes: `(G, M, K)` and `(G, K, N)`; or, with offsets, `(M, K)` and `(G, K, N)` where the rows are in groups.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.grouped_mm.html
 */
export function groupedMm(matA: Tensor, matB: Tensor, options: GroupedMmOptions = {}): Tensor {
  const { offs = null, bias = null, outDtype = null } = options;
  return call("aten::_grouped_mm", matA, matB, offs, bias, outDtype) as Tensor;
}
