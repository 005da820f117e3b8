import { ArgumentError } from "../../errors.js";
import { oneOf } from "../../nn/arguments.js";
import * as ops from "../../ops.js";
import type { Tensor } from "../../tensor.js";
import {
  ClassificationMetric,
  type ClassificationOptions,
  countIndices,
  floating,
  probabilities,
  sigmoid,
  type Task,
} from "./task.js";

/** Options of {@link ConfusionMatrix}. */
export interface ConfusionMatrixOptions extends ClassificationOptions {
  /** The probability above which a score is a yes, for the tasks "binary" and "multilabel". Default: 0.5. */
  threshold?: number;
  /** Divides by the sums over the true classes, the predicted ones, or all. Default: `"none"`. */
  normalize?: "true" | "pred" | "all" | "none" | null;
}

const normalizations = ["true", "pred", "all", "none"] as const;

/**
 * How often each class (row) was taken for each class (column).
 *
 * `update(preds, target)` takes scores or classes, as {@link StatScores} does. The value has the shape `(C, C)`, `(2, 2)`
 * for the task "binary", `(L, 2, 2)` for "multilabel".
 *
 * @see https://lightning.ai/docs/torchmetrics/stable/classification/confusion_matrix.html
 */
export class ConfusionMatrix extends ClassificationMetric {
  readonly threshold: number;
  readonly normalize: (typeof normalizations)[number];
  confmat: Tensor;

  constructor(task: Task, options: ConfusionMatrixOptions = {}) {
    super(task, options);
    const { threshold = 0.5, normalize = "none" } = options;
    if (!(threshold >= 0 && threshold <= 1)) {
      throw new ArgumentError(
        `ConfusionMatrix: threshold was given ${threshold}; it is a number from 0 to 1.`,
      );
    }
    this.threshold = threshold;
    this.normalize = oneOf(normalize ?? "none", normalizations, "ConfusionMatrix: normalize");
    const shape = task === "multilabel" ? [this.numClasses, 2, 2] : [this.numClasses, this.numClasses];
    this.confmat = this.addState("confmat", ops.zeros(shape, { dtype: "int64" }), { distReduceFx: "sum" });
  }

  override update(preds: Tensor, target: Tensor): void {
    const areScores = this.task === "multiclass" ? this.checkClasses(preds, target) : preds.isFloatingPoint();
    if (this.task === "multilabel") this.checkLabels(preds, target);
    if (this.task === "binary") this.checkSameShape(preds, target);
    this.checkTarget(target);
    if (!areScores) this.checkLabelsOfPreds(preds);
    const counted = this.countable(target, areScores ? null : preds);
    let classes = preds;
    if (areScores) classes = this.task === "multiclass" ? preds.argmax(1) : this.decide(preds, counted);
    const size = this.task === "multiclass" ? this.numClasses : 2;
    const pairs = target.to("int64").mul(size).add(classes);
    // One more bin takes all that does not count.
    const indices = counted === null ? pairs : ops.where(counted, pairs, size * size);
    const lists = this.task === "multilabel" ? indices.transpose(0, 1).flatten(1) : indices.flatten();
    const counts = countIndices(lists, size * size + 1).narrow(-1, 0, size * size);
    this.confmat.add_(counts.reshape(this.confmat.shape));
  }

  override compute(): Tensor {
    const { confmat, normalize } = this;
    if (normalize === "none") return confmat;
    const dims = { true: [-1], pred: [-2], all: [-2, -1] }[normalize];
    return floating(confmat).div(confmat.sum(dims, true)).nanToNum(0);
  }

  private decide(scores: Tensor, counted: Tensor | null): Tensor {
    // As in torchmetrics, for yes and no the ignored scores do not tell whether they are logits.
    return probabilities(scores, sigmoid, this.task === "binary" ? counted : null).gt(this.threshold);
  }
}
