import type { Tensor } from "../tensor.js";
import { checkLearningRate, nonNegative, rateOf } from "./arguments.js";
import * as foreach from "./foreach.js";
import {
  type CapturableOptions,
  type CountingState,
  newStep,
  realViews,
  recorded,
  refuseSparse,
  slopesOf,
  stepsOf,
  zerosLike,
} from "./implementation.js";
import type { Kind } from "./kinds.js";
import { Optimizer } from "./optimizer.js";
import type { ParamGroup, Params } from "./param-group.js";

/** Options of {@link RMSprop}. */
export interface RMSpropOptions extends CapturableOptions {
  /** Learning rate. Default: 1e-2. */
  lr?: number | Tensor;
  /** How much stays of the running mean of squares. Default: 0.99. */
  alpha?: number;
  /** Added to the divisor. Default: 1e-8. */
  eps?: number;
  /** L2 penalty. Default: 0. */
  weightDecay?: number;
  /** Default: 0. */
  momentum?: number;
  /** Divides by the standard deviation of the gradients instead of the root of their mean square. Default: false. */
  centered?: boolean;
  /** Climbs instead of descending. Default: false. */
  maximize?: boolean;
}

/** What RMSprop keeps of a parameter. */
interface RMSpropState extends CountingState {
  squareAvg: Tensor;
  momentumBuffer?: Tensor;
  gradAvg?: Tensor;
}

/**
 * RMSprop: steps by the gradients, divided by the root of the running mean of their squares.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.RMSprop.html
 */
export class RMSprop extends Optimizer<RMSpropOptions> {
  /** @throws ArgumentError where an option is out of its range */
  constructor(params: Params<RMSpropOptions>, options: RMSpropOptions = {}) {
    const { lr = 1e-2, alpha = 0.99, eps = 1e-8, weightDecay = 0, momentum = 0, centered = false } = options;
    const { capturable = false, foreach = null, maximize = false, differentiable = false } = options;
    checkLearningRate(lr);
    nonNegative(eps, "epsilon value");
    nonNegative(momentum, "momentum value");
    nonNegative(weightDecay, "weightDecay value");
    nonNegative(alpha, "alpha value");
    super(params, {
      lr,
      momentum,
      alpha,
      eps,
      centered,
      weightDecay,
      capturable,
      foreach,
      maximize,
      differentiable,
    });
  }

  #state(group: ParamGroup<RMSpropOptions>, param: Tensor, grad: Tensor, kind: Kind): RMSpropState {
    const state = this.stateOf(param) as RMSpropState;
    if (state.squareAvg === undefined) {
      refuseSparse(grad, "RMSprop");
      state.step = newStep(kind, group.capturable);
      state.squareAvg = zerosLike(param);
    }
    if (group.momentum > 0) state.momentumBuffer ??= zerosLike(param);
    if (group.centered) state.gradAvg ??= zerosLike(param);
    return state;
  }

  protected override update(
    group: ParamGroup<RMSpropOptions>,
    params: Tensor[],
    grads: Tensor[],
    kind: Kind,
  ): void {
    const states = params.map((param, i) => this.#state(group, param, grads[i] as Tensor, kind));
    const { alpha, eps, momentum, centered, differentiable } = group;
    const lr = rateOf(group.lr);
    foreach.add_(stepsOf(states, kind), 1);
    const real = realViews(kind);
    const slopes = real(slopesOf(params, grads, group));
    const squares = real(states.map((state) => state.squareAvg));
    foreach.mul_(squares, alpha);
    foreach.addcmul_(squares, slopes, slopes, 1 - alpha);
    let divisors: Tensor[];
    if (centered) {
      const means = real(states.map((state) => state.gradAvg as Tensor));
      foreach.lerp_(means, slopes, 1 - alpha);
      const recordedMeans = recorded(means, differentiable);
      divisors = foreach.sqrt(foreach.addcmul(squares, recordedMeans, recordedMeans, -1));
    } else {
      divisors = foreach.sqrt(squares);
    }
    divisors = recorded(divisors, differentiable);
    foreach.add_(divisors, eps);
    if (momentum > 0) {
      const buffers = real(states.map((state) => state.momentumBuffer as Tensor));
      foreach.mul_(buffers, momentum);
      foreach.addcdiv_(buffers, slopes, divisors, 1);
      foreach.add_(real(params), buffers, { alpha: -lr });
    } else {
      foreach.addcdiv_(real(params), slopes, divisors, -lr);
    }
  }
}
