import { ArgumentError } from "../errors.js";
import { Tensor } from "../tensor.js";
import { checkBetas, checkLearningRate, isRecorded, nonNegative, rateOf } from "./arguments.js";
import * as foreach from "./foreach.js";
import { fusedAdam, fusedAdamW, runFused, wantsFused } from "./fused.js";
import {
  type CapturableOptions,
  type CountingState,
  checkImplementation,
  countStep,
  type FusedOptions,
  newStep,
  realViews,
  recorded,
  refuseSparse,
  scalarState,
  slopesOf,
  stepsOf,
  zerosLike,
} from "./implementation.js";
import type { Kind } from "./kinds.js";
import { Optimizer } from "./optimizer.js";
import type { ParamGroup, Params } from "./param-group.js";
import { power } from "./power.js";

/** Options of {@link Adam}. */
export interface AdamOptions extends FusedOptions, CapturableOptions {
  /** Learning rate. Default: 1e-3. */
  lr?: number | Tensor;
  /** How much stays of the running means of gradients and of their squares. Default: [0.9, 0.999]. */
  betas?: readonly [number, number];
  /** Added to the divisor. Default: 1e-8. */
  eps?: number;
  /** L2 penalty; with `decoupledWeightDecay` a decay of the parameters themselves. Default: 0. */
  weightDecay?: number;
  /** Divides by the largest mean of squares so far. Default: false. */
  amsgrad?: boolean;
  /** Climbs instead of descending. Default: false. */
  maximize?: boolean;
  /** Whether this is AdamW: weight decay that does not go into the running means. Default: false. */
  decoupledWeightDecay?: boolean;
}

/** What Adam keeps of a parameter. */
interface AdamState extends CountingState {
  expAvg: Tensor;
  expAvgSq: Tensor;
  maxExpAvgSq?: Tensor;
}

/**
 * Adam: steps by the running mean of the gradients, divided by the root of the running mean of their squares.
 *
 * ```ts
 * const optimizer = new optim.Adam(model.parameters(), { lr: 1e-3 });
 * ```
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.Adam.html
 * @see https://arxiv.org/abs/1412.6980
 */
export class Adam extends Optimizer<AdamOptions> {
  /** @throws ArgumentError where an option is out of its range */
  constructor(params: Params<AdamOptions>, options: AdamOptions = {}) {
    const {
      lr = 1e-3,
      betas = [0.9, 0.999],
      eps = 1e-8,
      weightDecay = 0,
      amsgrad = false,
      maximize = false,
    } = options;
    const {
      foreach = null,
      capturable = false,
      differentiable = false,
      fused = null,
      decoupledWeightDecay = false,
    } = options;
    if (lr instanceof Tensor && foreach && !capturable) {
      throw new ArgumentError("lr as a Tensor is not supported for capturable=false and foreach=true");
    }
    checkLearningRate(lr);
    nonNegative(eps, "epsilon value");
    checkBetas(betas);
    nonNegative(weightDecay, "weightDecay value");
    checkImplementation({ foreach, fused, differentiable });
    super(params, {
      lr,
      betas,
      eps,
      weightDecay,
      amsgrad,
      maximize,
      foreach,
      capturable,
      differentiable,
      fused,
      decoupledWeightDecay,
    });
    this.stepSupportsAmpScaling = fused === true;
  }

  protected override update(
    group: ParamGroup<AdamOptions>,
    params: Tensor[],
    grads: Tensor[],
    kind: Kind,
  ): void {
    const fused = wantsFused(group, kind, true);
    const states = params.map((param, i) => this.#state(group, param, grads[i] as Tensor, kind, fused));
    if (!fused || !this.#updateFused(group, params, grads, states, kind)) {
      updateLists(group, params, grads, states, kind);
    }
  }

  #state(group: ParamGroup<AdamOptions>, param: Tensor, grad: Tensor, kind: Kind, fused: boolean): AdamState {
    const state = this.stateOf(param) as AdamState;
    if (state.expAvg === undefined) {
      refuseSparse(grad, this.constructor.name, ", please consider SparseAdam instead");
      state.step = fused ? scalarState(kind, 0, { onDevice: true, fused }) : newStep(kind, group.capturable);
      state.expAvg = zerosLike(param);
      state.expAvgSq = zerosLike(param);
    }
    if (group.amsgrad) state.maxExpAvgSq ??= zerosLike(param);
    return state;
  }

  #updateFused(
    group: ParamGroup<AdamOptions>,
    params: Tensor[],
    grads: Tensor[],
    states: AdamState[],
    kind: Kind,
  ): boolean {
    const { lr, betas, weightDecay, eps, amsgrad, maximize } = group;
    let steps = stepsOf(states, kind);
    if (kind.deviceType !== "cpu" && steps.some((step) => step.device !== kind.device)) {
      for (const state of states) state.step = state.step.to({ dtype: "float32", device: kind.device });
      steps = stepsOf(states, kind);
    }
    const lists = [params, grads, states.map((state) => state.expAvg), states.map((state) => state.expAvgSq)];
    if (amsgrad) lists.push(states.map((state) => state.maxExpAvgSq as Tensor));
    const kernel = group.decoupledWeightDecay ? fusedAdamW : fusedAdam;
    const options = {
      lr: lr instanceof Tensor && kind.deviceType !== "cpu" ? lr.to(kind.device) : lr,
      beta1: betas[0],
      beta2: betas[1],
      weightDecay,
      eps,
      amsgrad,
      maximize,
    };
    const withoutLargest: typeof kernel = (p, g, means, squares, ...rest) =>
      kernel(p, g, means, squares, [], ...rest);
    return runFused(amsgrad ? kernel : withoutLargest, { lists, steps }, kind, options, this.scaling);
  }
}

/** Adam's step by operators over lists, in the order of PyTorch's. */
function updateLists(
  group: ParamGroup<AdamOptions>,
  params: Tensor[],
  grads: Tensor[],
  states: AdamState[],
  kind: Kind,
): void {
  const { betas, weightDecay, eps, amsgrad, maximize, differentiable, decoupledWeightDecay } = group;
  const [beta1, beta2] = betas;
  const counts = countStep(states, kind);
  if (decoupledWeightDecay && weightDecay !== 0) decay(params, group.lr, weightDecay);
  const real = realViews(kind);
  const slopes = real(
    slopesOf(params, grads, { maximize, weightDecay: decoupledWeightDecay ? 0 : weightDecay }),
  );
  const means = real(states.map((state) => state.expAvg));
  const squares = real(states.map((state) => state.expAvgSq));
  foreach.lerp_(means, slopes, 1 - beta1);
  foreach.mul_(squares, beta2);
  foreach.addcmul_(squares, slopes, slopes, 1 - beta2);
  let scales = squares;
  if (amsgrad) {
    scales = real(states.map((state) => state.maxExpAvgSq as Tensor));
    foreach.maximum_(scales, recorded(squares, differentiable));
  }
  const divisors = recorded(foreach.sqrt(scales), differentiable);
  const roots = counts.map((count) => Math.sqrt(1 - power(beta2, count)));
  foreach.div_(divisors, roots);
  foreach.add_(divisors, eps);
  const corrections = counts.map((count) => 1 - power(beta1, count));
  const steps = recorded(means, differentiable);
  if (isRecorded(group.lr)) {
    const quotients = foreach.div(foreach.div(steps, divisors), corrections);
    for (const [i, value] of real(params).entries())
      value.addcmul_(quotients[i] as Tensor, group.lr, { value: -1 });
  } else {
    const lr = rateOf(group.lr);
    const sizes = corrections.map((correction) => -(lr / correction));
    foreach.addcdiv_(real(params), steps, divisors, sizes);
  }
}

function decay(params: Tensor[], lr: number | Tensor, weightDecay: number): void {
  if (isRecorded(lr)) for (const param of params) param.mul_(lr.mul(-weightDecay).add(1));
  else foreach.mul_(params, 1 - rateOf(lr) * weightDecay);
}
