import { type DType, isComplexDType } from "../dtype.js";
import { ArgumentError } from "../errors.js";
import { call } from "../operator.js";
import { zeros } from "../ops.js";
import type { Tensor } from "../tensor.js";
import { checkLearningRate, invalid, nonNegative, rateOf } from "./arguments.js";
import { type CountingState, countStep, newStep, refuseSparse, zerosLike } from "./implementation.js";
import type { Kind } from "./kinds.js";
import { Optimizer } from "./optimizer.js";
import type { ParamGroup, Params } from "./param-group.js";
import { power } from "./power.js";

/** Options of {@link Adafactor}. */
export interface AdafactorOptions {
  /** Learning rate: the largest relative step. Default: 1e-2. */
  lr?: number | Tensor;
  /** The power by which the running means become longer; at most 0. Default: -0.8. */
  beta2Decay?: number;
  /** The smallest divisor (null: the smallest difference from one in the parameters' type) and the smallest size of parameters. Default: [null, 1e-3]. */
  eps?: readonly [number | null, number];
  /** Larger steps are cut to this size; at least 1. Default: 1. */
  d?: number;
  /** Decay of the parameters themselves. Default: 0. */
  weightDecay?: number;
  /** See {@link ForeachOptions}. Default: null. */
  foreach?: boolean | null;
  /** Climbs instead of descending. Default: false. */
  maximize?: boolean;
}

/** What Adafactor keeps of a parameter: one number for each row and column of a matrix. */
interface AdafactorState extends CountingState {
  rowVar?: Tensor;
  colVar?: Tensor;
  variance?: Tensor;
}

/** The smallest difference from one. */
const epsilons: Partial<Record<DType, number>> = {
  float64: 2 ** -52,
  float32: 2 ** -23,
  float16: 2 ** -10,
  bfloat16: 2 ** -7,
};

/**
 * Adafactor: like Adam, with a mean of squares for the rows and columns of a matrix only, so that it needs little memory.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.Adafactor.html
 * @see https://arxiv.org/abs/1804.04235
 */
export class Adafactor extends Optimizer<AdafactorOptions> {
  /** @throws ArgumentError where an option is out of its range */
  constructor(params: Params<AdafactorOptions>, options: AdafactorOptions = {}) {
    const { lr = 1e-2, beta2Decay = -0.8, eps = [null, 1e-3], d = 1, weightDecay = 0 } = options;
    const { foreach = null, maximize = false } = options;
    checkLearningRate(lr);
    if (!(beta2Decay <= 0)) throw invalid(beta2Decay, "beta2Decay", "a number of at most 0");
    if (eps[0] !== null) nonNegative(eps[0], "epsilon1");
    nonNegative(eps[1], "epsilon2");
    if (!(d >= 1)) throw invalid(d, "clipping threshold d", "a number of at least 1");
    nonNegative(weightDecay, "weightDecay");
    super(params, { lr, beta2Decay, eps, d, weightDecay, foreach, maximize });
  }

  #state(param: Tensor, grad: Tensor, kind: Kind): AdafactorState {
    const state = this.stateOf(param) as AdafactorState;
    if (state.step !== undefined) return state;
    if (isComplexDType(kind.dtype)) throw new ArgumentError("Adafactor does not support complex parameters");
    refuseSparse(grad, "Adafactor");
    state.step = newStep(kind, false);
    const { shape } = grad;
    const options = { dtype: kind.dtype, device: kind.device };
    if (shape.length > 1) {
      state.rowVar = zeros([...shape.slice(0, -1), 1], options);
      state.colVar = zeros([...shape.slice(0, -2), 1, shape.at(-1) as number], options);
    } else {
      state.variance = zerosLike(grad);
    }
    return state;
  }

  protected override update(
    group: ParamGroup<AdafactorOptions>,
    params: Tensor[],
    grads: Tensor[],
    kind: Kind,
  ): void {
    const states = params.map((param, i) => this.#state(param, grads[i] as Tensor, kind));
    const { beta2Decay, d, weightDecay, maximize } = group;
    const lr = rateOf(group.lr);
    const [smallestDivisor = null, smallestSize] = group.eps;
    const eps = smallestDivisor ?? (epsilons[kind.dtype] as number);
    const counts = countStep(states, kind);
    for (const [i, param] of params.entries()) {
      const [state, count] = [states[i] as AdafactorState, counts[i] as number];
      const grad = maximize ? (grads[i] as Tensor).neg() : (grads[i] as Tensor);
      const size = Math.max(smallestSize, rootMeanSquare(param)) * Math.min(lr, 1 / Math.sqrt(count));
      if (weightDecay !== 0) param.mul_(1 - lr * weightDecay);
      const step = estimateVariance(state, grad, power(count, beta2Decay), eps)
        .clampMin(eps * eps)
        .rsqrt()
        .mul(grad);
      param.add_(step, { alpha: -size / Math.max(1, rootMeanSquare(step, d)) });
    }
  }
}

/** The running means of squares, with the new gradient in them. */
function estimateVariance(state: AdafactorState, grad: Tensor, share: number, eps: number): Tensor {
  const { rowVar, colVar, variance } = state;
  if (variance !== undefined) {
    variance.lerp_(grad.mul(grad), share);
    return variance;
  }
  const [rows, columns] = [rowVar as Tensor, colVar as Tensor];
  rows.lerp_(meanSquare(grad, -1), share);
  columns.lerp_(meanSquare(grad, -2), share);
  return rows.matmul(columns).div(rows.mean([-2], { keepdim: true }).clampMin(eps));
}

function meanSquare(grad: Tensor, dim: number): Tensor {
  const norm = call("aten::linalg_vector_norm", grad, 2, [dim], true) as Tensor;
  return norm.square().div(grad.size(dim));
}

/** The root of the mean of the squares, as a part of `unit`. */
function rootMeanSquare(tensor: Tensor, unit = 1): number {
  return (tensor.norm(2) as Tensor).item<number>() / (Math.sqrt(tensor.numel()) * unit);
}
