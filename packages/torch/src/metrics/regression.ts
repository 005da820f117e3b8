import { ArgumentError } from "../errors.js";
import { integer, oneOf } from "../nn/arguments.js";
import * as ops from "../ops.js";
import type { Tensor } from "../tensor.js";
import { Metric, type MetricOptions } from "./metric.js";

/** Options of {@link MeanAbsoluteError}. */
export interface MeanAbsoluteErrorOptions extends MetricOptions {
  /** The number of outputs, each with an error of its own: the second dimension of `(N, numOutputs)`. Default: 1, for all together. */
  numOutputs?: number;
}

/** Options of {@link MeanSquaredError}. */
export interface MeanSquaredErrorOptions extends MeanAbsoluteErrorOptions {
  /** If false, the value is the root of the mean. Default: true. */
  squared?: boolean;
}

/** The number of targets, as it is counted in a state. */
const zero = (): Tensor => ops.tensor(0, { dtype: "int64" });

function checkShapes(metric: string, preds: Tensor, target: Tensor): void {
  const [a, b] = [preds.shape.join(", "), target.shape.join(", ")];
  if (a !== b)
    throw new ArgumentError(
      `${metric}: preds and target must have the same shape, but got [${a}] and [${b}].`,
    );
}

/** Makes both flat where there is one output. */
function byOutput(metric: string, preds: Tensor, target: Tensor, numOutputs: number): [Tensor, Tensor] {
  checkShapes(metric, preds, target);
  return numOutputs === 1 ? [preds.flatten(), target.flatten()] : [preds, target];
}

/**
 * The mean of squared errors, or its root. `update(preds, target)` takes two tensors of one shape.
 *
 * @see https://lightning.ai/docs/torchmetrics/stable/regression/mean_squared_error.html
 */
export class MeanSquaredError extends Metric<[preds: Tensor, target: Tensor]> {
  static override readonly stateNames = { sumSquaredError: "sum_squared_error" };
  override readonly fullStateUpdate: boolean = false;
  override readonly higherIsBetter: boolean = false;
  override readonly isDifferentiable: boolean = true;
  readonly squared: boolean;
  readonly numOutputs: number;
  sumSquaredError: Tensor;
  total: Tensor;

  constructor(options: MeanSquaredErrorOptions = {}) {
    super(options);
    const { squared = true, numOutputs = 1 } = options;
    this.squared = squared;
    this.numOutputs = integer(numOutputs, "MeanSquaredError: numOutputs", 1);
    this.sumSquaredError = this.addState("sumSquaredError", ops.zeros([numOutputs]), { distReduceFx: "sum" });
    this.total = this.addState("total", zero(), { distReduceFx: "sum" });
  }

  override get computeGroup(): string {
    return `MeanSquaredError ${this.numOutputs}`;
  }

  override update(preds: Tensor, target: Tensor): void {
    const [left, right] = byOutput("MeanSquaredError", preds, target, this.numOutputs);
    this.sumSquaredError.add_(left.sub(right).square().sum(0));
    this.total.add_(right.size(0));
  }

  override compute(): Tensor {
    const mean = this.sumSquaredError.div(this.total);
    return this.squared ? mean : mean.sqrt();
  }
}

/**
 * The mean of absolute errors. `update(preds, target)` takes two tensors of one shape.
 *
 * @see https://lightning.ai/docs/torchmetrics/stable/regression/mean_absolute_error.html
 */
export class MeanAbsoluteError extends Metric<[preds: Tensor, target: Tensor]> {
  static override readonly stateNames = { sumAbsError: "sum_abs_error" };
  override readonly fullStateUpdate: boolean = false;
  override readonly higherIsBetter: boolean = false;
  override readonly isDifferentiable: boolean = true;
  readonly numOutputs: number;
  sumAbsError: Tensor;
  total: Tensor;

  constructor(options: MeanAbsoluteErrorOptions = {}) {
    super(options);
    const { numOutputs = 1 } = options;
    this.numOutputs = integer(numOutputs, "MeanAbsoluteError: numOutputs", 1);
    this.sumAbsError = this.addState("sumAbsError", ops.zeros([numOutputs]), { distReduceFx: "sum" });
    this.total = this.addState("total", zero(), { distReduceFx: "sum" });
  }

  override update(preds: Tensor, target: Tensor): void {
    const [left, right] = byOutput("MeanAbsoluteError", preds, target, this.numOutputs);
    this.sumAbsError.add_(left.sub(right).abs().sum(0));
    this.total.add_(right.size(0));
  }

  override compute(): Tensor {
    return this.sumAbsError.div(this.total);
  }
}

/** Options of {@link R2Score}. */
export interface R2ScoreOptions extends MetricOptions {
  /** The number of independent variables, by which the score is adjusted. Default: 0, for no adjustment. */
  adjusted?: number;
  /** How the scores of several outputs become one. Default: `"uniform_average"`. */
  multioutput?: "raw_values" | "uniform_average" | "variance_weighted";
}

/**
 * The share of the target's variance that the predictions explain. `update(preds, target)` takes two tensors `(N)` or
 * `(N, outputs)`.
 *
 * @see https://lightning.ai/docs/torchmetrics/stable/regression/r2_score.html
 */
export class R2Score extends Metric<[preds: Tensor, target: Tensor]> {
  static override readonly stateNames = { sumSquaredError: "sum_squared_error", sumError: "sum_error" };
  override readonly fullStateUpdate: boolean = false;
  override readonly higherIsBetter: boolean = true;
  override readonly isDifferentiable: boolean = true;
  readonly adjusted: number;
  readonly multioutput: "raw_values" | "uniform_average" | "variance_weighted";
  sumSquaredError = this.addState("sumSquaredError", ops.tensor(0), { distReduceFx: "sum" });
  sumError = this.addState("sumError", ops.tensor(0), { distReduceFx: "sum" });
  residual = this.addState("residual", ops.tensor(0), { distReduceFx: "sum" });
  total = this.addState("total", zero(), { distReduceFx: "sum" });

  constructor(options: R2ScoreOptions = {}) {
    super(options);
    const { adjusted = 0, multioutput = "uniform_average" } = options;
    this.adjusted = integer(adjusted, "R2Score: adjusted");
    const allowed = ["raw_values", "uniform_average", "variance_weighted"] as const;
    this.multioutput = oneOf(multioutput, allowed, "R2Score: multioutput");
  }

  override update(preds: Tensor, target: Tensor): void {
    checkShapes("R2Score", preds, target);
    if (target.ndim !== 1 && target.ndim !== 2) {
      throw new ArgumentError(
        `R2Score: preds and target must have the shape (N) or (N, outputs), but have ${target.ndim} dimensions.`,
      );
    }
    this.sumSquaredError = this.sumSquaredError.add(target.square().sum(0));
    this.sumError = this.sumError.add(target.sum(0));
    this.residual = this.residual.add(target.sub(preds).square().sum(0));
    this.total.add_(target.size(0));
  }

  override compute(): Tensor {
    const { residual, sumError, total } = this;
    const count = total.item();
    if (count < 2)
      throw new ArgumentError(`R2Score: at least two samples are needed, but there were ${count}.`);
    const variation = this.sumSquaredError.sub(sumError.mul(sumError.div(total)));
    const isZero = (tensor: Tensor): Tensor => tensor.isclose(ops.zerosLike(tensor), { atol: 1e-4 });
    // Predictions without error score 1, also where the target is constant; others of a constant target score 0.
    const scores = ops.where(
      isZero(residual),
      1,
      ops.where(isZero(variation), 0, residual.div(variation).neg().add(1)),
    );
    return this.adjust(this.average(scores, variation), count);
  }

  private average(scores: Tensor, variation: Tensor): Tensor {
    if (this.multioutput === "raw_values") return scores;
    if (this.multioutput === "uniform_average") return scores.mean();
    return variation.div(variation.sum()).mul(scores).sum();
  }

  private adjust(score: Tensor, count: number): Tensor {
    const { adjusted } = this;
    if (adjusted === 0) return score;
    if (adjusted >= count - 1) {
      process.emitWarning(
        `R2Score: with adjusted ${adjusted}, more than ${adjusted + 1} samples are needed, but there were ${count}: the score is not adjusted.`,
      );
      return score;
    }
    return score
      .neg()
      .add(1)
      .mul((count - 1) / (count - adjusted - 1))
      .neg()
      .add(1);
  }
}
