import { ArgumentError } from "../errors.js";
import { call } from "../operator.js";
import type { Tensor } from "../tensor.js";
import { checkLearningRate, isRecorded, nonNegative, rateOf } from "./arguments.js";
import * as foreach from "./foreach.js";
import { fusedSGD, runFused, wantsFused } from "./fused.js";
import { checkImplementation, type FusedOptions, slopesOf } from "./implementation.js";
import type { Kind } from "./kinds.js";
import { Optimizer } from "./optimizer.js";
import type { ParamGroup, Params } from "./param-group.js";

/** Options of {@link SGD}. */
export interface SGDOptions extends FusedOptions {
  /** Learning rate. Default: 1e-3. */
  lr?: number | Tensor;
  /** Default: 0. */
  momentum?: number;
  /** What of a new gradient does not go into the momentum. Default: 0. */
  dampening?: number;
  /** L2 penalty. Default: 0. */
  weightDecay?: number;
  /** Looks ahead by the momentum. Default: false. */
  nesterov?: boolean;
  /** Climbs instead of descending. Default: false. */
  maximize?: boolean;
}

/** What SGD with momentum keeps of a parameter. */
interface SGDState extends Record<string, unknown> {
  momentumBuffer?: Tensor | null;
}

/**
 * Stochastic gradient descent, optionally with momentum.
 *
 * ```ts
 * const optimizer = new optim.SGD(model.parameters(), { lr: 0.1, momentum: 0.9 });
 * ```
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.SGD.html
 */
export class SGD extends Optimizer<SGDOptions> {
  /** @throws ArgumentError where an option is out of its range */
  constructor(params: Params<SGDOptions>, options: SGDOptions = {}) {
    const {
      lr = 1e-3,
      momentum = 0,
      dampening = 0,
      weightDecay = 0,
      nesterov = false,
      maximize = false,
    } = options;
    const { foreach = null, differentiable = false, fused = null } = options;
    checkLearningRate(lr);
    nonNegative(momentum, "momentum value");
    nonNegative(weightDecay, "weightDecay value");
    if (nesterov && (momentum <= 0 || dampening !== 0)) {
      throw new ArgumentError("Nesterov momentum requires a momentum and zero dampening");
    }
    checkImplementation({ foreach, fused, differentiable });
    super(params, {
      lr,
      momentum,
      dampening,
      weightDecay,
      nesterov,
      maximize,
      foreach,
      differentiable,
      fused,
    });
    this.stepSupportsAmpScaling = fused === true;
  }

  protected override update(
    group: ParamGroup<SGDOptions>,
    params: Tensor[],
    grads: Tensor[],
    kind: Kind,
  ): void {
    const states = group.momentum === 0 ? [] : params.map((param) => this.stateOf(param) as SGDState);
    const fused = wantsFused(group, kind, false);
    if (!fused || !this.#updateFused(group, params, grads, states, kind))
      updateLists(group, params, grads, states);
  }

  #updateFused(
    group: ParamGroup<SGDOptions>,
    params: Tensor[],
    grads: Tensor[],
    states: SGDState[],
    kind: Kind,
  ): boolean {
    const { weightDecay, momentum, dampening, nesterov, maximize } = group;
    const isFirstStep = states.length > 0 && states.every((state) => !state.momentumBuffer);
    // the kernel has one first step for all
    if (!isFirstStep && states.some((state) => !state.momentumBuffer)) return false;
    const buffers = states.map(
      (state, i) => state.momentumBuffer ?? (call("aten::empty_like", grads[i]) as Tensor),
    );
    const options = {
      weightDecay,
      momentum,
      lr: rateOf(group.lr),
      dampening,
      nesterov,
      maximize,
      isFirstStep,
    };
    const lists = states.length === 0 ? [params, grads] : [params, grads, buffers];
    const kernel: typeof fusedSGD = states.length === 0 ? (p, g, more) => fusedSGD(p, g, [], more) : fusedSGD;
    if (!runFused(kernel, { lists, steps: [] }, kind, options, this.scaling)) return false;
    for (const [i, state] of states.entries()) state.momentumBuffer = buffers[i] as Tensor;
    return true;
  }
}

/** SGD's step by operators over lists, in the order of PyTorch's. */
function updateLists(
  group: ParamGroup<SGDOptions>,
  params: Tensor[],
  grads: Tensor[],
  states: SGDState[],
): void {
  const { momentum, lr, dampening, nesterov } = group;
  let steps = slopesOf(params, grads, group);
  if (momentum !== 0) {
    const buffers = updateMomentum(states, steps, momentum, 1 - dampening);
    steps = nesterov ? foreach.add(steps, buffers, { alpha: momentum }) : buffers;
  }
  if (isRecorded(lr)) {
    for (const [i, param] of params.entries()) param.addcmul_(steps[i] as Tensor, lr, { value: -1 });
  } else {
    foreach.add_(params, steps, { alpha: -rateOf(lr) });
  }
}

/** The momentum of each parameter with the new steps in it; the first step is all of it. */
function updateMomentum(states: SGDState[], steps: Tensor[], momentum: number, share: number): Tensor[] {
  const old = states.flatMap((state) => state.momentumBuffer ?? []);
  if (old.length > 0) {
    const added = old.length === steps.length ? steps : steps.filter((_, i) => states[i]?.momentumBuffer);
    foreach.mul_(old, momentum);
    foreach.add_(old, added, { alpha: share });
    if (old.length === steps.length) return old;
  }
  for (const [i, state] of states.entries()) state.momentumBuffer ??= (steps[i] as Tensor).detach().clone();
  return states.map((state) => state.momentumBuffer as Tensor);
}
