import type { Optimizer } from "../optimizer.js";
import { LRScheduler, type LRSchedulerOptions } from "./lr-scheduler.js";
import { valuesOf } from "./scheduler-base.js";

/** Options of {@link PolynomialLR}. */
export interface PolynomialLROptions extends LRSchedulerOptions {
  /** After how many epochs the learning rate is 0. Default: 5. */
  totalIters?: number;
  /** The power of what is left. Default: 1. */
  power?: number;
}

/**
 * Takes the learning rate down to 0 in `totalIters` epochs, as a power of what is left of them.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.PolynomialLR.html
 */
export class PolynomialLR extends LRScheduler {
  totalIters: number;
  power: number;

  constructor(optimizer: Optimizer, options: PolynomialLROptions = {}) {
    super(optimizer, options);
    this.totalIters = options.totalIters ?? 5;
    this.power = options.power ?? 1;
    this.initialStep();
  }

  protected override getLr(): number[] {
    const { totalIters, lastEpoch } = this;
    const rates = valuesOf(this.optimizer, "lr");
    if (this._isInitial || lastEpoch > totalIters) return rates;
    const factor = ((1 - lastEpoch / totalIters) / (1 - (lastEpoch - 1) / totalIters)) ** this.power;
    return rates.map((rate) => rate * factor);
  }

  protected override getClosedFormLr(): number[] {
    const left = 1 - Math.min(this.totalIters, this.lastEpoch) / this.totalIters;
    return this.baseLrs.map((rate) => rate * left ** this.power);
  }
}
