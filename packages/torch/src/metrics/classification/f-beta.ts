import { ArgumentError } from "../../errors.js";
import type { Tensor } from "../../tensor.js";
import { PositiveScore, type PositiveScoreOptions } from "./precision-recall.js";
import { safeDivide, type Task } from "./task.js";

/** Options of {@link FBetaScore}. */
export interface FBetaScoreOptions extends PositiveScoreOptions {
  /** The weight of recall against precision. Default: 1. */
  beta?: number;
}

/**
 * The weighted harmonic mean of precision and recall. See {@link StatScores} for what `update` takes.
 *
 * @see https://lightning.ai/docs/torchmetrics/stable/classification/fbeta_score.html
 */
export class FBetaScore extends PositiveScore {
  readonly beta: number;

  constructor(task: Task, options: FBetaScoreOptions = {}) {
    super(task, options);
    const { beta = 1 } = options;
    if (!(beta > 0))
      throw new ArgumentError(`${this.constructor.name}: beta was given ${beta}; it is a number above 0.`);
    this.beta = beta;
  }

  override compute(): Tensor {
    const scores = this.averagedScores();
    const { tp, fp, fn } = scores;
    const square = this.beta ** 2;
    const weighted = tp.float().mul(1 + square);
    const all = weighted.add(fn.float().mul(square)).add(fp);
    return this.averageOf(safeDivide(weighted, all, this.zeroDivision), scores);
  }
}

/**
 * The harmonic mean of precision and recall. See {@link StatScores} for what `update` takes.
 *
 * @see https://lightning.ai/docs/torchmetrics/stable/classification/f1_score.html
 */
export class F1Score extends FBetaScore {
  constructor(task: Task, options: PositiveScoreOptions = {}) {
    super(task, { ...options, beta: 1 });
  }
}
