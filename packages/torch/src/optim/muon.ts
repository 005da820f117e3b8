import { isComplexDType } from "../dtype.js";
import { ArgumentError } from "../errors.js";
import { addmm } from "../ops.js";
import type { Tensor } from "../tensor.js";
import { checkLearningRate, nonNegative, rateOf } from "./arguments.js";
import { refuseSparse, zerosLike } from "./implementation.js";
import type { Kind } from "./kinds.js";
import { Optimizer } from "./optimizer.js";
import type { ParamGroup, Params } from "./param-group.js";

/** How the learning rate depends on the shape of a matrix. */
export type AdjustLrFn = "original" | "match_rms_adamw" | "spectral_unclamped";

/** Options of {@link Muon}. */
export interface MuonOptions {
  /** Learning rate. Default: 1e-3. */
  lr?: number | Tensor;
  /** Decay of the parameters themselves. Default: 0.1. */
  weightDecay?: number;
  /** Default: 0.95. */
  momentum?: number;
  /** Looks ahead by the momentum. Default: true. */
  nesterov?: boolean;
  /** The coefficients of the Newton-Schulz iteration. Default: [3.4445, -4.775, 2.0315]. */
  nsCoefficients?: readonly [number, number, number];
  /** The smallest norm that is divided by. Default: 1e-7. */
  eps?: number;
  /** The number of iterations, below 100. Default: 5. */
  nsSteps?: number;
  /**
   * `"original"`: by the root of the ratio of rows to columns, if above one; `"match_rms_adamw"`: so that AdamW's learning rates
   * fit; `"spectral_unclamped"`: by the root of the ratio. Default: null, as `"original"`.
   */
  adjustLrFn?: AdjustLrFn | null;
}

/** What Muon keeps of a parameter. */
interface MuonState extends Record<string, unknown> {
  momentumBuffer: Tensor;
}

/**
 * Muon: steps by the momentum with all its singular values brought near one. For the matrices of hidden layers only; the other
 * parameters need another optimizer, such as AdamW.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.Muon.html
 * @see https://kellerjordan.github.io/posts/muon/
 */
export class Muon extends Optimizer<MuonOptions> {
  /** @throws ArgumentError where an option is out of its range, or a parameter is no matrix */
  constructor(params: Params<MuonOptions>, options: MuonOptions = {}) {
    const {
      lr = 1e-3,
      weightDecay = 0.1,
      momentum = 0.95,
      nesterov = true,
      eps = 1e-7,
      nsSteps = 5,
    } = options;
    const { nsCoefficients = [3.4445, -4.775, 2.0315], adjustLrFn = null } = options;
    checkLearningRate(lr);
    nonNegative(momentum, "momentum");
    nonNegative(weightDecay, "weightDecay");
    if (adjustLrFn !== null && !["original", "match_rms_adamw", "spectral_unclamped"].includes(adjustLrFn)) {
      throw new ArgumentError(
        `Adjust learning rate function ${adjustLrFn} is not supported; it is "original", "match_rms_adamw" or "spectral_unclamped"`,
      );
    }
    if (nsCoefficients.length !== 3) throw new ArgumentError("nsCoefficients must be exactly 3 values");
    if (!(nsSteps < 100))
      throw new ArgumentError(`nsSteps must be less than 100 for computational efficiency, got ${nsSteps}`);
    super(params, { lr, weightDecay, momentum, nesterov, nsCoefficients, eps, nsSteps, adjustLrFn });
    for (const param of this.paramGroups.flatMap((group) => group.params)) {
      if (param.ndim !== 2) {
        throw new ArgumentError(
          `Muon only supports 2D parameters whereas we found a parameter with size: [${param.shape}]`,
        );
      }
    }
  }

  #state(param: Tensor, grad: Tensor, kind: Kind): MuonState {
    const state = this.stateOf(param) as MuonState;
    if (state.momentumBuffer === undefined) {
      if (isComplexDType(kind.dtype)) throw new ArgumentError("Muon does not support complex parameters");
      refuseSparse(grad, "Muon");
      state.momentumBuffer = zerosLike(grad);
    }
    return state;
  }

  protected override update(
    group: ParamGroup<MuonOptions>,
    params: Tensor[],
    grads: Tensor[],
    kind: Kind,
  ): void {
    const states = params.map((param, i) => this.#state(param, grads[i] as Tensor, kind));
    const { momentum, weightDecay, nesterov } = group;
    const lr = rateOf(group.lr);
    for (const [i, param] of params.entries()) {
      const grad = grads[i] as Tensor;
      const { momentumBuffer } = states[i] as MuonState;
      momentumBuffer.lerp_(grad, 1 - momentum);
      const step = orthogonalized(nesterov ? grad.lerp(momentumBuffer, momentum) : momentumBuffer, group);
      param.mul_(1 - lr * weightDecay);
      param.add_(step, { alpha: -lr * rateFactor(group.adjustLrFn, param.size(0), param.size(1)) });
    }
  }
}

/** The matrix with singular values near one, by a Newton-Schulz iteration in few digits. */
function orthogonalized(matrix: Tensor, { nsCoefficients, nsSteps, eps }: ParamGroup<MuonOptions>): Tensor {
  const [a, b, c] = nsCoefficients;
  const isTall = matrix.size(0) > matrix.size(1);
  let x = matrix.to({ dtype: "bfloat16", copy: true });
  if (isTall) x = x.T;
  x = x.div((x.norm() as Tensor).clampMin(eps));
  for (let i = 0; i < nsSteps; i++) {
    const gram = x.matmul(x.T);
    const update = addmm(gram, gram, gram, { beta: b, alpha: c });
    x = addmm(x, update, x, { beta: a });
  }
  return isTall ? x.T : x;
}

function rateFactor(how: AdjustLrFn | null, rows: number, columns: number): number {
  if (how === "match_rms_adamw") return 0.2 * Math.sqrt(Math.max(rows, columns));
  return Math.sqrt(how === "spectral_unclamped" ? rows / columns : Math.max(1, rows / columns));
}
