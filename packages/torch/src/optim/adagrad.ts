import { Complex } from "../complex.js";
import { isComplexDType } from "../dtype.js";
import { ArgumentError } from "../errors.js";
import { call } from "../operator.js";
import type { Tensor } from "../tensor.js";
import { checkLearningRate, nonNegative, rateOf } from "./arguments.js";
import * as foreach from "./foreach.js";
import { fusedAdagrad, runFused, wantsFused } from "./fused.js";
import {
  type CountingState,
  checkImplementation,
  countStep,
  type FusedOptions,
  realViews,
  recorded,
  scalarState,
  slopesOf,
  stepsOf,
} from "./implementation.js";
import { type Kind, kindOf } from "./kinds.js";
import { Optimizer } from "./optimizer.js";
import type { ParamGroup, Params } from "./param-group.js";
import { sparseLike } from "./sparse.js";

/** Options of {@link Adagrad}. */
export interface AdagradOptions extends FusedOptions {
  /** Learning rate. Default: 1e-2. */
  lr?: number | Tensor;
  /** How fast the learning rate falls: it is divided by one plus this times the number of steps. Default: 0. */
  lrDecay?: number;
  /** L2 penalty; not with sparse gradients. Default: 0. */
  weightDecay?: number;
  /** What the sums of squares begin with. Default: 0. */
  initialAccumulatorValue?: number;
  /** Added to the divisor. Default: 1e-10. */
  eps?: number;
  /** Climbs instead of descending. Default: false. */
  maximize?: boolean;
}

/** What Adagrad keeps of a parameter. */
interface AdagradState extends CountingState {
  sum: Tensor;
}

/**
 * Adagrad: divides the gradients by the root of the sum of all their squares. Takes sparse gradients.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.Adagrad.html
 * @see https://jmlr.org/papers/v12/duchi11a.html
 */
export class Adagrad extends Optimizer<AdagradOptions> {
  /** @throws ArgumentError where an option is out of its range */
  constructor(params: Params<AdagradOptions>, options: AdagradOptions = {}) {
    const { lr = 1e-2, lrDecay = 0, weightDecay = 0, initialAccumulatorValue = 0, eps = 1e-10 } = options;
    const { foreach = null, maximize = false, differentiable = false, fused = null } = options;
    checkLearningRate(lr);
    nonNegative(lrDecay, "lrDecay value");
    nonNegative(weightDecay, "weightDecay value");
    nonNegative(initialAccumulatorValue, "initialAccumulatorValue value");
    nonNegative(eps, "epsilon value");
    checkImplementation({ foreach, fused, differentiable });
    super(params, {
      lr,
      lrDecay,
      eps,
      weightDecay,
      initialAccumulatorValue,
      foreach,
      maximize,
      differentiable,
      fused,
    });
    this.stepSupportsAmpScaling = fused === true;
    for (const group of this.paramGroups)
      for (const param of group.params) this.#state(group, param, kindOf(param));
  }

  #state(group: ParamGroup<AdagradOptions>, param: Tensor, kind: Kind): AdagradState {
    const state = this.stateOf(param) as AdagradState;
    if (state.sum === undefined) {
      const fused = group.fused === true;
      const initial = this.defaults.initialAccumulatorValue;
      const value = isComplexDType(kind.dtype) ? new Complex(initial, initial) : initial;
      state.step = scalarState(kind, 0, { onDevice: fused, fused });
      state.sum = call("aten::full_like", param, value, { memoryFormat: "preserve_format" }) as Tensor;
    }
    return state;
  }

  protected override update(
    group: ParamGroup<AdagradOptions>,
    params: Tensor[],
    grads: Tensor[],
    kind: Kind,
  ): void {
    const states = params.map((param) => this.#state(group, param, kind));
    if (wantsFused(group, kind, false) && this.#updateFused(group, params, grads, states, kind)) return;
    const isDense = grads.map((grad) => grad.layout === "strided");
    if (isDense.every((dense) => dense)) {
      updateLists(group, params, grads, states, kind);
      return;
    }
    for (const [i, param] of params.entries()) {
      const [grad, state] = [grads[i] as Tensor, states[i] as AdagradState];
      if (isDense[i]) updateLists(group, [param], [grad], [state], kind);
      else updateSparse(group, param, grad, state, kind);
    }
  }

  #updateFused(
    group: ParamGroup<AdagradOptions>,
    params: Tensor[],
    grads: Tensor[],
    states: AdagradState[],
    kind: Kind,
  ): boolean {
    const { lrDecay, weightDecay, eps, maximize } = group;
    const lists = [params, grads, states.map((state) => state.sum)];
    const options = { lr: rateOf(group.lr), lrDecay, weightDecay, eps, maximize };
    return runFused(fusedAdagrad, { lists, steps: stepsOf(states, kind) }, kind, options, this.scaling);
  }
}

const rateAt = (group: ParamGroup<AdagradOptions>, count: number) =>
  rateOf(group.lr) / (1 + (count - 1) * group.lrDecay);

/** Adagrad's step by operators over lists, in the order of PyTorch's. */
function updateLists(
  group: ParamGroup<AdagradOptions>,
  params: Tensor[],
  grads: Tensor[],
  states: AdagradState[],
  kind: Kind,
): void {
  const counts = countStep(states, kind);
  const real = realViews(kind);
  const slopes = real(slopesOf(params, grads, group));
  const sums = real(states.map((state) => state.sum));
  foreach.addcmul_(sums, slopes, slopes, 1);
  const divisors = recorded(foreach.sqrt(sums), group.differentiable);
  foreach.add_(divisors, group.eps);
  foreach.addcdiv_(
    real(params),
    slopes,
    divisors,
    counts.map((count) => -rateAt(group, count)),
  );
}

/** The step of one parameter whose gradient has few rows. */
function updateSparse(
  group: ParamGroup<AdagradOptions>,
  param: Tensor,
  grad: Tensor,
  state: AdagradState,
  kind: Kind,
): void {
  if (group.weightDecay !== 0) {
    throw new ArgumentError("weightDecay option is not compatible with sparse gradients");
  }
  const [count] = countStep([state], kind) as [number];
  // the step is not linear in the gradient, so that each index may be there only once
  const unique = (group.maximize ? grad.neg() : grad).coalesce();
  const values = call("aten::_values", unique) as Tensor;
  state.sum.add_(sparseLike(unique, values.pow(2)));
  const sums = call("aten::_values", state.sum.sparseMask(unique)) as Tensor;
  const divisors = sums.sqrt().add(group.eps);
  param.add_(sparseLike(unique, values.div(divisors)), { alpha: -rateAt(group, count) });
}
