import { ArgumentError } from "../../errors.js";
import type { Tensor } from "../../tensor.js";
import { StatScores, type StatScoresOptions } from "./stat-scores.js";
import { safeDivide, type Task } from "./task.js";

/** Options of the scores that divide by a number of positives. */
export interface PositiveScoreOptions extends StatScoresOptions {
  /** The score of a class where there is nothing to divide by: 0 or 1. Default: 0. */
  zeroDivision?: 0 | 1;
}

/** A score that divides by a number of positives. */
export abstract class PositiveScore extends StatScores {
  override readonly higherIsBetter: boolean = true;
  readonly zeroDivision: 0 | 1;

  constructor(task: Task, options: PositiveScoreOptions = {}) {
    super(task, options);
    const { zeroDivision = 0 } = options;
    if (zeroDivision !== 0 && zeroDivision !== 1) {
      throw new ArgumentError(
        `${this.constructor.name}: zeroDivision was given ${zeroDivision}; it is 0 or 1.`,
      );
    }
    this.zeroDivision = zeroDivision;
  }
}

/**
 * The share of positive decisions that are right. See {@link StatScores} for what `update` takes.
 *
 * @see https://lightning.ai/docs/torchmetrics/stable/classification/precision.html
 */
export class Precision extends PositiveScore {
  override compute(): Tensor {
    const scores = this.averagedScores();
    const { tp, fp } = scores;
    return this.averageOf(safeDivide(tp, tp.add(fp), this.zeroDivision), scores, this.topK);
  }
}

/**
 * The share of positives that were found. See {@link StatScores} for what `update` takes.
 *
 * @see https://lightning.ai/docs/torchmetrics/stable/classification/recall.html
 */
export class Recall extends PositiveScore {
  override compute(): Tensor {
    const scores = this.averagedScores();
    const { tp, fn } = scores;
    return this.averageOf(safeDivide(tp, tp.add(fn), this.zeroDivision), scores, this.topK);
  }
}
