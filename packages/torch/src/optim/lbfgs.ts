import { isComplexDType } from "../dtype.js";
import { ArgumentError, LevinError } from "../errors.js";
import { native } from "../native.js";
import { call } from "../operator.js";
import { cat, grads as gradientsOf, zeros } from "../ops.js";
import type { Tensor } from "../tensor.js";
import { checkLearningRate, numberOf, rateOf } from "./arguments.js";
import { type Closure, type Loss, Optimizer } from "./optimizer.js";
import type { ParamGroup, Params } from "./param-group.js";
import { double, type Point, type Scalar, strongWolfe } from "./strong-wolfe.js";

/** Options of {@link LBFGS}. */
export interface LBFGSOptions {
  /** Learning rate. Default: 1. */
  lr?: number | Tensor;
  /** The most iterations in one step. Default: 20. */
  maxIter?: number;
  /** The most calls of the closure in one step. Default: 1.25 times `maxIter`. */
  maxEval?: number | null;
  /** Ends where no gradient is larger. Default: 1e-7. */
  toleranceGrad?: number;
  /** Ends where parameters or loss change less. Default: 1e-9. */
  toleranceChange?: number;
  /** How many changes are remembered. Default: 100. */
  historySize?: number;
  /** How far to go: `"strong_wolfe"` searches, null goes by the learning rate. Default: null. */
  lineSearchFn?: "strong_wolfe" | null;
  /** Climbs instead of descending. Default: false. */
  maximize?: boolean;
}

/** What LBFGS keeps, as the state of its first parameter. */
interface LBFGSState extends Record<string, unknown> {
  funcEvals: number;
  nIter: number;
  /** The direction, and how far it was gone. */
  d?: Tensor;
  t?: number | Tensor;
  /** Changes of the gradients and of the parameters, with one over the products of both. */
  oldDirs?: Tensor[];
  oldStps?: Tensor[];
  ro?: Tensor[];
  al?: (Tensor | null)[];
  HDiag?: Tensor | number;
  prevFlatGrad?: Tensor;
  prevLoss?: number;
}

/**
 * L-BFGS: goes by an estimate of the second derivatives from the latest changes. For problems with little data; each step calls
 * the closure several times.
 *
 * ```ts
 * optimizer.step(() => {
 *   optimizer.zeroGrad();
 *   const loss = lossOf(model.forward(x), y);
 *   loss.backward();
 *   return loss;
 * });
 * ```
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.LBFGS.html
 */
export class LBFGS extends Optimizer<LBFGSOptions> {
  /** @throws ArgumentError where an option is out of its range, or there are several parameter groups */
  constructor(params: Params<LBFGSOptions>, options: LBFGSOptions = {}) {
    const { lr = 1, maxIter = 20, toleranceGrad = 1e-7, toleranceChange = 1e-9, historySize = 100 } = options;
    const { lineSearchFn = null, maximize = false } = options;
    checkLearningRate(lr);
    if (lineSearchFn !== null && lineSearchFn !== "strong_wolfe") {
      throw new ArgumentError(`lineSearchFn: only "strong_wolfe" is supported, got ${String(lineSearchFn)}`);
    }
    const maxEval = options.maxEval ?? Math.floor((maxIter * 5) / 4);
    super(params, {
      lr,
      maxIter,
      maxEval,
      toleranceGrad,
      toleranceChange,
      historySize,
      lineSearchFn,
      maximize,
    });
    if (this.paramGroups.length !== 1) {
      throw new ArgumentError("LBFGS doesn't support per-parameter options (parameter groups)");
    }
  }

  /**
   * Takes up to `maxIter` iterations.
   *
   * @param closure clears the gradients, computes the loss and its gradients, and returns it; it must be given
   * @returns the loss before the first iteration
   */
  override step(closure?: Closure): Loss {
    if (typeof closure !== "function")
      throw new ArgumentError("LBFGS needs a closure: optimizer.step(() => loss)");
    return super.step(closure);
  }

  protected override run(closure: Closure): Loss {
    const group = this.paramGroups[0] as ParamGroup<LBFGSOptions>;
    const { params, maximize } = group;
    const evaluate = (): Loss => {
      native.setGradEnabled(true);
      const loss = closure();
      native.setGradEnabled(false);
      return loss;
    };
    if (params.length === 0) return evaluate();
    const lossOf = (loss: Loss): number => {
      if (loss === null || loss === undefined)
        throw new LevinError("LBFGS: the closure must return the loss");
      return maximize ? -numberOf(loss) : numberOf(loss);
    };
    const first = evaluate();
    const here = { loss: lossOf(first), grad: flatGradient(params, maximize) };
    this.#iterate(group, here, () => ({ loss: lossOf(evaluate()), grad: flatGradient(params, maximize) }));
    return first;
  }

  // every iteration changes the parameters itself
  protected override update(): void {}

  #iterate(group: ParamGroup<LBFGSOptions>, start: Point, evaluate: () => Point): void {
    const { params, maxIter, toleranceGrad, toleranceChange, historySize, lineSearchFn } = group;
    const maxEval = group.maxEval as number;
    const lr = rateOf(group.lr);
    const state = this.stateOf(params[0] as Tensor) as LBFGSState;
    state.funcEvals = (state.funcEvals ?? 0) + 1;
    state.nIter ??= 0;
    let { loss, grad } = start;
    let evaluations = 1;
    if (largest(grad) <= toleranceGrad) return;

    for (let iteration = 1; iteration <= maxIter; iteration++) {
      state.nIter += 1;
      const isFirst = state.nIter === 1;
      if (isFirst) {
        Object.assign(state, { d: grad.neg(), oldDirs: [], oldStps: [], ro: [], HDiag: 1 });
      } else {
        remember(state, grad, historySize);
        state.d = direction(state, grad, historySize);
      }
      const d = state.d as Tensor;
      if (state.prevFlatGrad === undefined) state.prevFlatGrad = grad.clone();
      else state.prevFlatGrad.copy_(grad);
      const lossBefore = loss;
      state.prevLoss = loss;

      let t = isFirst ? firstDistance(grad, lr) : double(lr);
      state.t = t.value;
      if ((grad.dot(d) as Tensor).item<number>() > -toleranceChange) break;

      let used = 0;
      if (lineSearchFn === "strong_wolfe") {
        const before = params.map((param) => param.clone());
        const at = (distance: number): Point => {
          move(params, distance, d);
          const point = evaluate();
          for (const [i, param] of params.entries()) param.copy_(before[i] as Tensor);
          return point;
        };
        const found = strongWolfe(
          at,
          { t, d, loss, grad },
          { toleranceChange, maxIterations: maxEval - evaluations },
        );
        ({ loss, grad, t, evaluations: used } = found);
        state.t = t.value;
        move(params, t.value, d);
      } else {
        move(params, t.value, d);
        // after the last iteration nobody needs the loss
        if (iteration !== maxIter) {
          ({ loss, grad } = evaluate());
          used = 1;
        }
      }
      evaluations += used;
      state.funcEvals += used;
      if (evaluations >= maxEval || largest(grad) <= toleranceGrad) break;
      if (largest(d.mul(t.value)) <= toleranceChange || Math.abs(loss - lossBefore) < toleranceChange) break;
    }
  }
}

/** All gradients in one vector, the real and imaginary parts of complex ones in turn. */
function flatGradient(params: readonly Tensor[], maximize: boolean): Tensor {
  const views = gradientsOf(params).map((grad, i) => {
    const { dtype, device } = params[i] as Tensor;
    const dense =
      grad === null
        ? zeros([(params[i] as Tensor).numel()], { dtype, device })
        : grad.layout === "strided"
          ? grad
          : grad.toDense();
    const flat = dense.reshape([-1]);
    return isComplexDType(dtype) ? (call("aten::view_as_real", flat) as Tensor).reshape([-1]) : flat;
  });
  const all = cat(views);
  return maximize ? all.neg() : all;
}

/** Moves the parameters along a direction. */
function move(params: readonly Tensor[], distance: number, direction: Tensor): void {
  let offset = 0;
  for (const param of params) {
    const real = isComplexDType(param.dtype) ? (call("aten::view_as_real", param) as Tensor) : param;
    const count = real.numel();
    real.add_(direction.narrow(0, offset, count).viewAs(real), { alpha: distance });
    offset += count;
  }
}

/** Adds the latest change to those that are remembered, if the loss is curved upwards along it. */
function remember(state: LBFGSState, grad: Tensor, historySize: number): void {
  const { oldDirs = [], oldStps = [], ro = [] } = state;
  const y = grad.sub(state.prevFlatGrad as Tensor);
  const s = (state.d as Tensor).mul(numberOf(state.t as number | Tensor));
  const ys = y.dot(s) as Tensor;
  if (ys.item<number>() > 1e-10) {
    if (oldDirs.length === historySize) for (const list of [oldDirs, oldStps, ro]) list.shift();
    oldDirs.push(y);
    oldStps.push(s);
    ro.push(ys.reciprocal());
    state.HDiag = ys.div(y.dot(y) as Tensor);
  }
  Object.assign(state, { oldDirs, oldStps, ro });
}

/** The direction to go: the gradients, times what is known of the inverse of the second derivatives. */
function direction(state: LBFGSState, grad: Tensor, historySize: number): Tensor {
  const dirs = state.oldDirs as Tensor[];
  const steps = state.oldStps as Tensor[];
  const ro = state.ro as Tensor[];
  state.al ??= Array<Tensor | null>(historySize).fill(null);
  const { al } = state;
  const q = grad.neg();
  for (let i = dirs.length - 1; i >= 0; i--) {
    const part = ((steps[i] as Tensor).dot(q) as Tensor).mul(ro[i] as Tensor);
    al[i] = part;
    q.add_(dirs[i] as Tensor, { alpha: -part.item<number>() });
  }
  const { HDiag = 1 } = state;
  const d = typeof HDiag === "number" ? q.mul(HDiag) : q.mul(HDiag);
  for (let i = 0; i < dirs.length; i++) {
    const part = ((dirs[i] as Tensor).dot(d) as Tensor).mul(ro[i] as Tensor);
    d.add_(steps[i] as Tensor, { alpha: (al[i] as Tensor).sub(part).item<number>() });
  }
  return d;
}

/** How far to go first, when nothing is known of the second derivatives. */
function firstDistance(grad: Tensor, lr: number): Scalar {
  const inverse = (grad.abs().sum() as Tensor).reciprocal();
  if (!(inverse.item<number>() < 1)) return double(lr);
  return { value: inverse.mul(lr).item<number>(), single: grad.dtype !== "float64" };
}

function largest(tensor: Tensor): number {
  return (tensor.abs().max() as Tensor).item<number>();
}
