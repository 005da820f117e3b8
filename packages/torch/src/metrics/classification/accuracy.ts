import type { Tensor } from "../../tensor.js";
import { StatScores } from "./stat-scores.js";
import { safeDivide } from "./task.js";

/**
 * The share of right decisions.
 *
 * With the average "macro" or "weighted" it is that of each class, averaged: for the task "multiclass" the share of a class
 * that was found. See {@link StatScores} for what `update` takes.
 *
 * ```ts
 * const accuracy = new metrics.Accuracy("multiclass", { numClasses: 10 });
 * accuracy.update(logits, labels);
 * accuracy.compute().item();
 * ```
 *
 * @see https://lightning.ai/docs/torchmetrics/stable/classification/accuracy.html
 */
export class Accuracy extends StatScores {
  override readonly higherIsBetter: boolean = true;

  override compute(): Tensor {
    const scores = this.averagedScores();
    const { tp, fp, tn, fn } = scores;
    if (this.task === "multiclass") return this.averageOf(safeDivide(tp, tp.add(fn)), scores, this.topK);
    const right = tp.add(tn);
    return this.averageOf(safeDivide(right, right.add(fp).add(fn)), scores);
  }
}
