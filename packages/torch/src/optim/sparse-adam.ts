import { isComplexDType } from "../dtype.js";
import { ArgumentError } from "../errors.js";
import { call } from "../operator.js";
import type { Tensor } from "../tensor.js";
import { checkBetas, checkLearningRate, invalid, numberOf, rateOf } from "./arguments.js";
import { zerosLike } from "./implementation.js";
import { Optimizer } from "./optimizer.js";
import type { ParamGroup, Params } from "./param-group.js";
import { power } from "./power.js";
import { sparseLike } from "./sparse.js";

/** Options of {@link SparseAdam}. */
export interface SparseAdamOptions {
  /** Learning rate, above 0. Default: 1e-3. */
  lr?: number | Tensor;
  /** How much stays of the running means of gradients and of their squares. Default: [0.9, 0.999]. */
  betas?: readonly [number, number];
  /** Added to the divisor; above 0. Default: 1e-8. */
  eps?: number;
  /** Climbs instead of descending. Default: false. */
  maximize?: boolean;
}

/** What SparseAdam keeps of a parameter. */
interface SparseAdamState extends Record<string, unknown> {
  step: number;
  expAvg: Tensor;
  expAvgSq: Tensor;
}

/**
 * Adam for sparse gradients, such as those of `new nn.Embedding(..., { sparse: true })`: only what is in a gradient changes.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.SparseAdam.html
 */
export class SparseAdam extends Optimizer<SparseAdamOptions> {
  /** @throws ArgumentError where an option is out of its range, or a parameter is sparse or complex */
  constructor(params: Params<SparseAdamOptions>, options: SparseAdamOptions = {}) {
    const { lr = 1e-3, betas = [0.9, 0.999], eps = 1e-8, maximize = false } = options;
    checkLearningRate(lr);
    if (numberOf(lr) === 0) throw invalid(lr, "learning rate", "a number above 0");
    if (!(eps > 0)) throw invalid(eps, "epsilon value", "a number above 0");
    checkBetas(betas);
    super(params, { lr, betas, eps, maximize });
    for (const [g, group] of this.paramGroups.entries()) {
      for (const [i, param] of group.params.entries()) {
        if (param.layout !== "strided") {
          throw new ArgumentError(
            `Sparse params at indices [${g}, ${i}]: SparseAdam requires dense parameter tensors`,
          );
        }
        if (isComplexDType(param.dtype)) {
          throw new ArgumentError(
            `Complex params at indices [${g}, ${i}]: SparseAdam does not support complex parameters`,
          );
        }
      }
    }
  }

  #state(param: Tensor, grad: Tensor): SparseAdamState {
    if (grad.layout === "strided") {
      throw new ArgumentError("SparseAdam does not support dense gradients, please consider Adam instead");
    }
    const state = this.stateOf(param) as SparseAdamState;
    if (state.expAvg === undefined) {
      state.step = 0;
      state.expAvg = zerosLike(param);
      state.expAvgSq = zerosLike(param);
    }
    return state;
  }

  protected override update(group: ParamGroup<SparseAdamOptions>, params: Tensor[], grads: Tensor[]): void {
    const states = params.map((param, i) => this.#state(param, grads[i] as Tensor));
    const [beta1, beta2] = group.betas;
    for (const [i, param] of params.entries()) {
      const [given, state] = [grads[i] as Tensor, states[i] as SparseAdamState];
      state.step += 1;
      // the step is not linear in the gradient, so that each index may be there only once
      const grad = (group.maximize ? given.neg() : given).coalesce();
      const values = valuesOf(grad);
      if (values.numel() === 0) continue;

      const oldMeans = valuesOf(state.expAvg.sparseMask(grad));
      const meanChanges = values.sub(oldMeans).mul(1 - beta1);
      state.expAvg.add_(sparseLike(grad, meanChanges));
      const oldSquares = valuesOf(state.expAvgSq.sparseMask(grad));
      const squareChanges = values
        .pow(2)
        .sub(oldSquares)
        .mul(1 - beta2);
      state.expAvgSq.add_(sparseLike(grad, squareChanges));

      const means = meanChanges.add(oldMeans);
      const divisors = squareChanges.add(oldSquares).sqrt().add(group.eps);
      const size =
        (rateOf(group.lr) * Math.sqrt(1 - power(beta2, state.step))) / (1 - power(beta1, state.step));
      param.add_(sparseLike(grad, means.div(divisors).mul(-size)));
    }
  }
}

function valuesOf(tensor: Tensor): Tensor {
  return call("aten::_values", tensor) as Tensor;
}
