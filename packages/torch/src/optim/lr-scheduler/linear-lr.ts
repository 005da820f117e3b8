import { ArgumentError } from "../../errors.js";
import type { Optimizer } from "../optimizer.js";
import { LRScheduler, type LRSchedulerOptions } from "./lr-scheduler.js";
import { valuesOf } from "./scheduler-base.js";

/** Options of {@link LinearLR}. */
export interface LinearLROptions extends LRSchedulerOptions {
  /** What the learning rate is multiplied by in the first epoch: above 0, at most 1. Default: 1/3. */
  startFactor?: number;
  /** What it is multiplied by at the end: from 0 to 1. Default: 1. */
  endFactor?: number;
  /** In how many epochs the end is reached. Default: 5. */
  totalIters?: number;
}

/**
 * Multiplies the learning rate by a factor that goes from `startFactor` to `endFactor` in equal steps: a warm-up.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.LinearLR.html
 */
export class LinearLR extends LRScheduler {
  startFactor: number;
  endFactor: number;
  totalIters: number;

  constructor(optimizer: Optimizer, options: LinearLROptions = {}) {
    const { startFactor = 1 / 3, endFactor = 1, totalIters = 5 } = options;
    if (!(startFactor > 0 && startFactor <= 1)) {
      throw new ArgumentError(
        `Starting multiplicative factor expected to be greater than 0 and less or equal to 1, got ${startFactor}.`,
      );
    }
    if (!(endFactor >= 0 && endFactor <= 1)) {
      throw new ArgumentError(
        `Ending multiplicative factor expected to be between 0 and 1, got ${endFactor}.`,
      );
    }
    super(optimizer, options);
    this.startFactor = startFactor;
    this.endFactor = endFactor;
    this.totalIters = totalIters;
    this.initialStep();
  }

  protected override getLr(): number[] {
    const { startFactor, totalIters, lastEpoch } = this;
    const rates = valuesOf(this.optimizer, "lr");
    if (lastEpoch === 0) return rates.map((rate) => rate * startFactor);
    if (this._isInitial || lastEpoch > totalIters) return rates;
    const rise = this.endFactor - startFactor;
    return rates.map((rate) => rate * (1 + rise / (totalIters * startFactor + (lastEpoch - 1) * rise)));
  }

  protected override getClosedFormLr(): number[] {
    const { startFactor, endFactor, totalIters } = this;
    const done = Math.min(totalIters, this.lastEpoch);
    return this.baseLrs.map((rate) => rate * (startFactor + ((endFactor - startFactor) * done) / totalIters));
  }
}
