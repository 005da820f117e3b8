import { Tensor } from "../tensor.js";
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
  scalarState,
  slopesOf,
  zerosLike,
} from "./implementation.js";
import type { Kind } from "./kinds.js";
import { Optimizer } from "./optimizer.js";
import type { ParamGroup, Params } from "./param-group.js";
import { power } from "./power.js";

/** Options of {@link NAdam}. */
export interface NAdamOptions extends CapturableOptions {
  /** Learning rate. Default: 2e-3. */
  lr?: number | Tensor;
  /** How much stays of the running means of gradients and of their squares. Default: [0.9, 0.999]. */
  betas?: readonly [number, number];
  /** Added to the divisor. Default: 1e-8. */
  eps?: number;
  /** L2 penalty; with `decoupledWeightDecay` a decay of the parameters themselves. Default: 0. */
  weightDecay?: number;
  /** How fast the momentum comes to its full size. Default: 4e-3. */
  momentumDecay?: number;
  /** Whether weight decay does not go into the running means, as in AdamW. Default: false. */
  decoupledWeightDecay?: boolean;
  /** Climbs instead of descending. Default: false. */
  maximize?: boolean;
}

/** What NAdam keeps of a parameter. */
interface NAdamState extends CountingState {
  muProduct: Tensor;
  expAvg: Tensor;
  expAvgSq: Tensor;
}

/**
 * NAdam: Adam with Nesterov's momentum.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.NAdam.html
 * @see https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ
 */
export class NAdam extends Optimizer<NAdamOptions> {
  /** @throws ArgumentError where an option is out of its range */
  constructor(params: Params<NAdamOptions>, options: NAdamOptions = {}) {
    const { lr = 2e-3, betas = [0.9, 0.999], eps = 1e-8, weightDecay = 0, momentumDecay = 4e-3 } = options;
    const {
      decoupledWeightDecay = false,
      foreach = null,
      maximize = false,
      capturable = false,
      differentiable = false,
    } = options;
    checkLearningRate(lr);
    nonNegative(eps, "epsilon value");
    checkBetas(betas);
    nonNegative(weightDecay, "weightDecay value");
    nonNegative(momentumDecay, "momentumDecay value");
    super(params, {
      lr,
      betas,
      eps,
      weightDecay,
      momentumDecay,
      decoupledWeightDecay,
      maximize,
      foreach,
      capturable,
      differentiable,
    });
  }

  #state(group: ParamGroup<NAdamOptions>, param: Tensor, grad: Tensor, kind: Kind): NAdamState {
    const state = this.stateOf(param) as NAdamState;
    if (state.expAvg === undefined) {
      refuseSparse(grad, "NAdam");
      state.step = newStep(kind, group.capturable);
      state.muProduct = scalarState(kind, 1, { onDevice: group.capturable });
      state.expAvg = zerosLike(param);
      state.expAvgSq = zerosLike(param);
    }
    if (!(state.muProduct instanceof Tensor)) state.muProduct = scalarState(kind, Number(state.muProduct));
    return state;
  }

  protected override update(
    group: ParamGroup<NAdamOptions>,
    params: Tensor[],
    grads: Tensor[],
    kind: Kind,
  ): void {
    const states = params.map((param, i) => this.#state(group, param, grads[i] as Tensor, kind));
    const { betas, weightDecay, momentumDecay, eps, maximize, differentiable, decoupledWeightDecay } = group;
    const [beta1, beta2] = betas;
    const lr = rateOf(group.lr);
    const counts = countStep(states, kind);
    if (decoupledWeightDecay && weightDecay !== 0) foreach.mul_(params, 1 - lr * weightDecay);
    const real = realViews(kind);
    const slopes = slopesOf(real(params), real(grads), {
      maximize,
      weightDecay: decoupledWeightDecay ? 0 : weightDecay,
    });

    const momentum = (step: number) => beta1 * (1 - 0.5 * power(0.96, step * momentumDecay));
    const products = states.map((state) => state.muProduct);
    foreach.mul_(products, counts.map(momentum));

    const means = real(states.map((state) => state.expAvg));
    const squares = real(states.map((state) => state.expAvgSq));
    foreach.lerp_(means, slopes, 1 - beta1);
    foreach.mul_(squares, beta2);
    foreach.addcmul_(squares, slopes, slopes, 1 - beta2);
    const divisors = foreach.div(
      squares,
      counts.map((count) => 1 - power(beta2, count)),
    );
    foreach.sqrt_(divisors);
    const shifted = recorded(divisors, differentiable);
    foreach.add_(shifted, eps);

    const values = products.map((product) => product.item());
    const ofSlopes = counts.map((count, i) => (-lr * (1 - momentum(count))) / (1 - (values[i] as number)));
    const ofMeans = counts.map((count, i) => {
      const next = momentum(count + 1);
      return (-lr * next) / (1 - (values[i] as number) * next);
    });
    foreach.addcdiv_(real(params), slopes, shifted, ofSlopes);
    foreach.addcdiv_(real(params), recorded(means, differentiable), shifted, ofMeans);
  }
}
