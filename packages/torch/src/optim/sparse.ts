import { call } from "../operator.js";
import type { Tensor } from "../tensor.js";

/** A sparse tensor with the indices of another one, and other values. */
export function sparseLike(tensor: Tensor, values: Tensor): Tensor {
  const indices = call("aten::_indices", tensor) as Tensor;
  const { dtype, device } = values;
  return call("aten::sparse_coo_tensor", indices, values, tensor.shape, { dtype, device }) as Tensor;
}
