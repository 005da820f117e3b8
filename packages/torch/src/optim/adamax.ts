import type { Tensor } from "../tensor.js";
import { checkBetas, checkLearningRate, nonNegative, rateOf } from "./arguments.js";
import * as foreach from "./foreach.js";
import {
  type CapturableOptions,
  type CountingState,
  countStep,
  newStep,
  realViews,
  recorded,
  refuseSparse,
  slopesOf,
  zerosLike,
} from "./implementation.js";
import type { Kind } from "./kinds.js";
import { Optimizer } from "./optimizer.js";
import type { ParamGroup, Params } from "./param-group.js";
import { power } from "./power.js";

/** Options of {@link Adamax}. */
export interface AdamaxOptions extends CapturableOptions {
  /** Learning rate. Default: 2e-3. */
  lr?: number | Tensor;
  /** How much stays of the running mean of gradients, and of the largest one. Default: [0.9, 0.999]. */
  betas?: readonly [number, number];
  /** Added to the divisor. Default: 1e-8. */
  eps?: number;
  /** L2 penalty. Default: 0. */
  weightDecay?: number;
  /** Climbs instead of descending. Default: false. */
  maximize?: boolean;
}

/** What Adamax keeps of a parameter. */
interface AdamaxState extends CountingState {
  expAvg: Tensor;
  expInf: Tensor;
}

/**
 * Adamax: Adam with the largest gradient, which fades, in place of the root of the mean of squares.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.Adamax.html
 * @see https://arxiv.org/abs/1412.6980
 */
export class Adamax extends Optimizer<AdamaxOptions> {
  /** @throws ArgumentError where an option is out of its range */
  constructor(params: Params<AdamaxOptions>, options: AdamaxOptions = {}) {
    const { lr = 2e-3, betas = [0.9, 0.999], eps = 1e-8, weightDecay = 0, maximize = false } = options;
    const { foreach = null, differentiable = false, capturable = false } = options;
    checkLearningRate(lr);
    nonNegative(eps, "epsilon value");
    checkBetas(betas);
    nonNegative(weightDecay, "weightDecay value");
    super(params, { lr, betas, eps, weightDecay, foreach, maximize, differentiable, capturable });
  }

  #state(group: ParamGroup<AdamaxOptions>, param: Tensor, grad: Tensor, kind: Kind): AdamaxState {
    const state = this.stateOf(param) as AdamaxState;
    if (state.expAvg === undefined) {
      refuseSparse(grad, "Adamax");
      state.step = newStep(kind, group.capturable);
      state.expAvg = zerosLike(param);
      state.expInf = zerosLike(param);
    }
    return state;
  }

  protected override update(
    group: ParamGroup<AdamaxOptions>,
    params: Tensor[],
    grads: Tensor[],
    kind: Kind,
  ): void {
    const states = params.map((param, i) => this.#state(group, param, grads[i] as Tensor, kind));
    const { betas, eps, differentiable } = group;
    const [beta1, beta2] = betas;
    const lr = rateOf(group.lr);
    const counts = countStep(states, kind);
    const real = realViews(kind);
    const slopes = real(slopesOf(params, grads, group));
    const means = real(states.map((state) => state.expAvg));
    const largest = real(states.map((state) => state.expInf));
    foreach.lerp_(means, slopes, 1 - beta1);
    foreach.mul_(largest, beta2);
    const sizes = foreach.abs(slopes);
    foreach.add_(sizes, eps);
    foreach.maximum_(largest, sizes);
    foreach.addcdiv_(
      real(params),
      recorded(means, differentiable),
      recorded(largest, differentiable),
      counts.map((count) => -(lr / (1 - power(beta1, count)))),
    );
  }
}
