import { ArgumentError } from "../../errors.js";
import type { Optimizer } from "../optimizer.js";
import { LRScheduler, type LRSchedulerOptions } from "./lr-scheduler.js";
import { valuesOf } from "./scheduler-base.js";

/** Options of {@link ConstantLR}. */
export interface ConstantLROptions extends LRSchedulerOptions {
  /** What the learning rate is multiplied by, at most 1. Default: 1/3. */
  factor?: number;
  /** For how many epochs. Default: 5. */
  totalIters?: number;
}

/**
 * Multiplies the learning rate by `factor` for the first `totalIters` epochs.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.ConstantLR.html
 */
export class ConstantLR extends LRScheduler {
  factor: number;
  totalIters: number;

  constructor(optimizer: Optimizer, options: ConstantLROptions = {}) {
    const { factor = 1 / 3, totalIters = 5 } = options;
    if (!(factor >= 0 && factor <= 1)) {
      throw new ArgumentError(
        `Constant multiplicative factor expected to be between 0 and 1, got ${factor}.`,
      );
    }
    super(optimizer, options);
    this.factor = factor;
    this.totalIters = totalIters;
    this.initialStep();
  }

  protected override getLr(): number[] {
    const rates = valuesOf(this.optimizer, "lr");
    if (this.lastEpoch === 0) return rates.map((rate) => rate * this.factor);
    if (this.lastEpoch !== this.totalIters) return rates;
    return rates.map((rate) => rate * (1 / this.factor));
  }

  protected override getClosedFormLr(): number[] {
    const ended = this.lastEpoch >= this.totalIters ? 1 : 0;
    return this.baseLrs.map((rate) => rate * (this.factor + ended * (1 - this.factor)));
  }
}
