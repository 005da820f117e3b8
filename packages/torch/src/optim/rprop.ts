import { Complex } from "../complex.js";
import { isComplexDType } from "../dtype.js";
import { call } from "../operator.js";
import type { Tensor } from "../tensor.js";
import { checkLearningRate, invalid, rateOf } from "./arguments.js";
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

/** Options of {@link Rprop}. */
export interface RpropOptions extends CapturableOptions {
  /** The size of the first steps. Default: 1e-2. */
  lr?: number | Tensor;
  /** What a step is multiplied by where the gradient's sign has changed, and where not. Default: [0.5, 1.2]. */
  etas?: readonly [number, number];
  /** The smallest and the largest step. Default: [1e-6, 50]. */
  stepSizes?: readonly [number, number];
  /** Climbs instead of descending. Default: false. */
  maximize?: boolean;
}

/** What Rprop keeps of a parameter. */
interface RpropState extends CountingState {
  prev: Tensor;
  stepSize: Tensor;
}

/**
 * Rprop: goes by the signs of the gradients only, with steps that grow as long as the sign stays. For gradients of all data.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.Rprop.html
 */
export class Rprop extends Optimizer<RpropOptions> {
  /** @throws ArgumentError where an option is out of its range */
  constructor(params: Params<RpropOptions>, options: RpropOptions = {}) {
    const { lr = 1e-2, etas = [0.5, 1.2], stepSizes = [1e-6, 50], maximize = false } = options;
    const { capturable = false, foreach = null, differentiable = false } = options;
    checkLearningRate(lr);
    const [minus, plus] = etas;
    if (!(0 < minus && minus < 1 && 1 < plus))
      throw invalid(etas, "eta values", "a number between 0 and 1, and one above 1");
    super(params, { lr, etas, stepSizes, foreach, maximize, differentiable, capturable });
  }

  #state(group: ParamGroup<RpropOptions>, param: Tensor, grad: Tensor, kind: Kind): RpropState {
    const state = this.stateOf(param) as RpropState;
    if (state.prev === undefined) {
      refuseSparse(grad, "Rprop");
      const lr = rateOf(group.lr);
      state.step = newStep(kind, group.capturable);
      state.prev = zerosLike(param);
      state.stepSize = call(
        "aten::full_like",
        grad,
        isComplexDType(kind.dtype) ? new Complex(lr, lr) : lr,
      ) as Tensor;
    }
    return state;
  }

  protected override update(
    group: ParamGroup<RpropOptions>,
    params: Tensor[],
    grads: Tensor[],
    kind: Kind,
  ): void {
    const states = params.map((param, i) => this.#state(group, param, grads[i] as Tensor, kind));
    const { etas, stepSizes, maximize, differentiable } = group;
    const [minus, plus] = etas;
    foreach.add_(stepsOf(states, kind), 1);
    const real = realViews(kind);
    const slopes = real(slopesOf(params, grads, { maximize, weightDecay: 0 }));
    const before = real(states.map((state) => state.prev));
    const sizes = real(states.map((state) => state.stepSize));
    const values = real(params);
    const products = foreach.mul(slopes, recorded(before, differentiable));
    for (const [i, product] of products.entries()) {
      const sign = product.sign();
      const factor = sign
        .maskedFill(sign.gt(0), plus)
        .maskedFill(sign.lt(0), minus)
        .maskedFill(sign.eq(0), 1);
      const size = sizes[i] as Tensor;
      size.mul_(factor).clamp_(stepSizes[0], stepSizes[1]);
      // where the sign has changed, this step is left out
      const slope = (slopes[i] as Tensor).maskedFill(factor.eq(minus), 0);
      (values[i] as Tensor).addcmul_(slope.sign(), differentiable ? size.clone() : size, { value: -1 });
      (before[i] as Tensor).copy_(slope);
    }
  }
}
