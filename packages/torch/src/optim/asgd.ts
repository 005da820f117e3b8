import { Tensor } from "../tensor.js";
import { checkLearningRate, nonNegative, rateOf } from "./arguments.js";
import {
  type CapturableOptions,
  type CountingState,
  countStep,
  newStep,
  realViews,
  refuseSparse,
  scalarState,
  slopesOf,
  zerosLike,
} from "./implementation.js";
import type { Kind } from "./kinds.js";
import { Optimizer } from "./optimizer.js";
import type { ParamGroup, Params } from "./param-group.js";
import { power } from "./power.js";

/** Options of {@link ASGD}. */
export interface ASGDOptions extends CapturableOptions {
  /** Learning rate. Default: 1e-2. */
  lr?: number | Tensor;
  /** How fast parameters and the learning rate fall. Default: 1e-4. */
  lambd?: number;
  /** The power by which the learning rate falls. Default: 0.75. */
  alpha?: number;
  /** The step from which on the parameters are averaged. Default: 1e6. */
  t0?: number;
  /** L2 penalty. Default: 0. */
  weightDecay?: number;
  /** Climbs instead of descending. Default: false. */
  maximize?: boolean;
}

/** What ASGD keeps of a parameter. */
interface ASGDState extends CountingState {
  /** The learning rate of the next step. */
  eta: Tensor;
  /** How much of the next parameters goes into their average. */
  mu: Tensor;
  /** The average of the parameters. */
  ax: Tensor;
}

/**
 * Averaged stochastic gradient descent: the state of each parameter has the average of its values as `ax`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.ASGD.html
 * @see https://meyn.ece.ufl.edu/wp-content/uploads/sites/77/archive/spm_files/Courses/ECE555-2011/555media/poljud92.pdf
 */
export class ASGD extends Optimizer<ASGDOptions> {
  /** @throws ArgumentError where an option is out of its range */
  constructor(params: Params<ASGDOptions>, options: ASGDOptions = {}) {
    const { lr = 1e-2, lambd = 1e-4, alpha = 0.75, t0 = 1e6, weightDecay = 0, maximize = false } = options;
    const { foreach = null, differentiable = false, capturable = false } = options;
    checkLearningRate(lr);
    nonNegative(lambd, "lambd value");
    nonNegative(alpha, "alpha value");
    nonNegative(weightDecay, "weightDecay value");
    super(params, { lr, lambd, alpha, t0, weightDecay, foreach, maximize, differentiable, capturable });
  }

  #state(group: ParamGroup<ASGDOptions>, param: Tensor, grad: Tensor, kind: Kind): ASGDState {
    const state = this.stateOf(param) as ASGDState;
    if (state.ax === undefined) {
      refuseSparse(grad, "ASGD");
      state.step = newStep(kind, group.capturable).to(kind.device);
      state.eta = scalarState(kind, rateOf(group.lr), { onDevice: true });
      state.mu = scalarState(kind, 1, { onDevice: true });
      state.ax = zerosLike(param);
    }
    for (const key of ["eta", "mu"] as const) {
      if (!(state[key] instanceof Tensor))
        state[key] = scalarState(kind, Number(state[key]), { onDevice: true });
    }
    return state;
  }

  protected override update(
    group: ParamGroup<ASGDOptions>,
    params: Tensor[],
    grads: Tensor[],
    kind: Kind,
  ): void {
    const states = params.map((param, i) => this.#state(group, param, grads[i] as Tensor, kind));
    const { lambd, alpha, t0 } = group;
    const lr = rateOf(group.lr);
    const counts = countStep(states, kind);
    const real = realViews(kind);
    const values = real(params);
    const slopes = slopesOf(values, real(grads), group);
    const averages = real(states.map((state) => state.ax));
    for (const [i, { eta, mu }] of states.entries()) {
      const [value, average, count] = [values[i] as Tensor, averages[i] as Tensor, counts[i] as number];
      const rate = eta.item();
      value.mul_(1 - lambd * rate).add_(slopes[i] as Tensor, { alpha: -rate });
      if (mu.item() === 1) average.copy_(value);
      else average.add_(value.sub(average).mul(mu));
      eta.fill_(lr / power(1 + lambd * lr * count, alpha));
      mu.fill_(1 / Math.max(1, count - t0));
    }
  }
}
