import { isComplexDType } from "../dtype.js";
import { call } from "../operator.js";
import type { Tensor } from "../tensor.js";
import { checkLearningRate, invalid, nonNegative, rateOf } from "./arguments.js";
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

/** Options of {@link Adadelta}. */
export interface AdadeltaOptions extends CapturableOptions {
  /** What the steps are multiplied by. Default: 1. */
  lr?: number | Tensor;
  /** How much stays of the running means of squares, from 0 to 1. Default: 0.9. */
  rho?: number;
  /** Added to divisors. Default: 1e-6. */
  eps?: number;
  /** L2 penalty. Default: 0. */
  weightDecay?: number;
  /** Climbs instead of descending. Default: false. */
  maximize?: boolean;
}

/** What Adadelta keeps of a parameter. */
interface AdadeltaState extends CountingState {
  squareAvg: Tensor;
  accDelta: Tensor;
}

/**
 * Adadelta: divides the gradients by the root of the running mean of their squares, and multiplies them by that of the steps.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.Adadelta.html
 * @see https://arxiv.org/abs/1212.5701
 */
export class Adadelta extends Optimizer<AdadeltaOptions> {
  /** @throws ArgumentError where an option is out of its range */
  constructor(params: Params<AdadeltaOptions>, options: AdadeltaOptions = {}) {
    const { lr = 1, rho = 0.9, eps = 1e-6, weightDecay = 0, maximize = false } = options;
    const { foreach = null, capturable = false, differentiable = false } = options;
    checkLearningRate(lr);
    if (!(rho >= 0 && rho <= 1)) throw invalid(rho, "rho value", "a number from 0 to 1");
    nonNegative(eps, "epsilon value");
    nonNegative(weightDecay, "weightDecay value");
    super(params, { lr, rho, eps, weightDecay, maximize, capturable, foreach, differentiable });
  }

  #state(group: ParamGroup<AdadeltaOptions>, param: Tensor, grad: Tensor, kind: Kind): AdadeltaState {
    const state = this.stateOf(param) as AdadeltaState;
    if (state.squareAvg === undefined) {
      refuseSparse(grad, "Adadelta");
      state.step = newStep(kind, group.capturable);
      state.squareAvg = zerosLike(param);
      state.accDelta = zerosLike(param);
    }
    return state;
  }

  protected override update(
    group: ParamGroup<AdadeltaOptions>,
    params: Tensor[],
    grads: Tensor[],
    kind: Kind,
  ): void {
    const states = params.map((param, i) => this.#state(group, param, grads[i] as Tensor, kind));
    const { rho, eps, differentiable } = group;
    foreach.add_(stepsOf(states, kind), 1);
    const real = realViews(kind);
    const slopes = real(slopesOf(params, grads, group));
    const squares = real(states.map((state) => state.squareAvg));
    const deltas = real(states.map((state) => state.accDelta));
    foreach.mul_(squares, rho);
    foreach.addcmul_(squares, slopes, slopes, 1 - rho);
    const divisors = foreach.sqrt(foreach.add(squares, eps));
    const factors = foreach.sqrt(foreach.add(deltas, eps));
    const steps = foreach.div(factors, divisors);
    foreach.mul_(steps, slopes);
    foreach.mul_(deltas, rho);
    const kept = recorded(steps, differentiable);
    foreach.addcmul_(deltas, kept, kept, 1 - rho);
    const complex = isComplexDType(kind.dtype);
    foreach.add_(
      params,
      complex ? steps.map((step) => call("aten::view_as_complex", step) as Tensor) : steps,
      {
        alpha: -rateOf(group.lr),
      },
    );
  }
}
