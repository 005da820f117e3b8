import { Tensor } from "../tensor.js";

/**
 * A tensor that a {@link Module} trains: assigned to a field of a module it is listed by `parameters()`.
 *
 * A parameter shares the memory of the tensor it is made of, but not its history.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.parameter.Parameter.html
 */
export class Parameter extends Tensor {
  /**
   * @param data the values, shared and not copied
   * @param requiresGrad whether gradients are computed for it; needs a floating point or complex type
   */
  constructor(data: Tensor, requiresGrad = true) {
    super(data.detach().handle);
    if (requiresGrad) this.requiresGrad_(true);
  }
}
