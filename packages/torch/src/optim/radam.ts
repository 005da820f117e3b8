import type { Tensor } from "../tensor.js";
import { checkBetas, checkLearningRate, nonNegative, rateOf } from "./arguments.js";
import * as foreach from "./foreach.js";
import {
  type CapturableOptions,
  type CountingState,
  countStep,
  newStep,
  realViews,
  refuseSparse,
  slopesOf,
  zerosLike,
} from "./implementation.js";
import type { Kind } from "./kinds.js";
import { Optimizer } from "./optimizer.js";
import type { ParamGroup, Params } from "./param-group.js";
import { power } from "./power.js";

/** Options of {@link RAdam}. */
export interface RAdamOptions extends CapturableOptions {
  /** Learning rate. Default: 1e-3. */
  lr?: number | Tensor;
  /** How much stays of the running means of gradients and of their squares. Default: [0.9, 0.999]. */
  betas?: readonly [number, number];
  /** Added to the divisor. Default: 1e-8. */
  eps?: number;
  /** L2 penalty; with `decoupledWeightDecay` a decay of the parameters themselves. Default: 0. */
  weightDecay?: number;
  /** Whether weight decay does not go into the running means, as in AdamW. Default: false. */
  decoupledWeightDecay?: boolean;
  /** Climbs instead of descending. Default: false. */
  maximize?: boolean;
}

/** What RAdam keeps of a parameter. */
interface RAdamState extends CountingState {
  expAvg: Tensor;
  expAvgSq: Tensor;
}

/**
 * RAdam: Adam that divides by the root of the mean of squares only once enough gradients are in that mean.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.RAdam.html
 * @see https://arxiv.org/abs/1908.03265
 */
export class RAdam extends Optimizer<RAdamOptions> {
  /** @throws ArgumentError where an option is out of its range */
  constructor(params: Params<RAdamOptions>, options: RAdamOptions = {}) {
    const {
      lr = 1e-3,
      betas = [0.9, 0.999],
      eps = 1e-8,
      weightDecay = 0,
      decoupledWeightDecay = false,
    } = options;
    const { foreach = null, maximize = false, capturable = false, differentiable = false } = options;
    checkLearningRate(lr);
    nonNegative(eps, "epsilon value");
    checkBetas(betas);
    nonNegative(weightDecay, "weightDecay value");
    super(params, {
      lr,
      betas,
      eps,
      weightDecay,
      maximize,
      foreach,
      capturable,
      decoupledWeightDecay,
      differentiable,
    });
  }

  #state(group: ParamGroup<RAdamOptions>, param: Tensor, grad: Tensor, kind: Kind): RAdamState {
    const state = this.stateOf(param) as RAdamState;
    if (state.expAvg === undefined) {
      refuseSparse(grad, "RAdam");
      state.step = newStep(kind, group.capturable);
      state.expAvg = zerosLike(param);
      state.expAvgSq = zerosLike(param);
    }
    return state;
  }

  protected override update(
    group: ParamGroup<RAdamOptions>,
    params: Tensor[],
    grads: Tensor[],
    kind: Kind,
  ): void {
    const states = params.map((param, i) => this.#state(group, param, grads[i] as Tensor, kind));
    const { betas, weightDecay, eps, maximize, decoupledWeightDecay } = group;
    const [beta1, beta2] = betas;
    const lr = rateOf(group.lr);
    const counts = countStep(states, kind);
    if (decoupledWeightDecay && weightDecay !== 0) foreach.mul_(params, 1 - lr * weightDecay);
    const real = realViews(kind);
    const slopes = slopesOf(real(params), real(grads), {
      maximize,
      weightDecay: decoupledWeightDecay ? 0 : weightDecay,
    });
    const means = real(states.map((state) => state.expAvg));
    const squares = real(states.map((state) => state.expAvgSq));
    foreach.lerp_(means, slopes, 1 - beta1);
    foreach.mul_(squares, beta2);
    foreach.addcmul_(squares, slopes, slopes, 1 - beta2);

    const steps = foreach.div(
      means,
      counts.map((count) => 1 - power(beta1, count)),
    );
    foreach.mul_(steps, lr);
    const rectified = counts.map((count) => rectification(count, beta2));
    const isRectified = (_: unknown, i: number) => rectified[i] !== null;
    const adaptive = steps.filter(isRectified);
    if (adaptive.length > 0) {
      const roots = foreach.sqrt(squares.filter(isRectified));
      const rates = foreach.reciprocal(foreach.add(roots, eps));
      const correction = (count: number) => Math.sqrt(1 - power(beta2, count));
      foreach.mul_(rates, counts.filter(isRectified).map(correction));
      foreach.mul_(adaptive, rates);
      foreach.mul_(
        adaptive,
        rectified.filter((factor) => factor !== null),
      );
    }
    foreach.add_(real(params), steps, { alpha: -1 });
  }
}

/** The factor for the variance of the mean of squares; null as long as it cannot be told. */
function rectification(step: number, beta2: number): number | null {
  const limit = 2 / (1 - beta2) - 1;
  const length = limit - (2 * step * power(beta2, step)) / (1 - power(beta2, step));
  if (length <= 5) return null;
  return Math.sqrt(((length - 4) * (length - 2) * limit) / ((limit - 4) * (limit - 2) * length));
}
