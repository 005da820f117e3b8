import type { Optimizer } from "../optimizer.js";
import { LRScheduler, type LRSchedulerOptions } from "./lr-scheduler.js";
import { required, valuesOf } from "./scheduler-base.js";

/** Options of {@link ExponentialLR}. */
export type ExponentialLROptions = LRSchedulerOptions;

/**
 * Multiplies the learning rate by `gamma` every epoch.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.ExponentialLR.html
 */
export class ExponentialLR extends LRScheduler {
  gamma: number;

  /**
   * @param gamma what the learning rate is multiplied by.
   */
  constructor(optimizer: Optimizer, gamma: number, options: ExponentialLROptions = {}) {
    required("ExponentialLR", { gamma });
    super(optimizer, options);
    this.gamma = gamma;
    this.initialStep();
  }

  protected override getLr(): number[] {
    const rates = valuesOf(this.optimizer, "lr");
    return this._isInitial ? rates : rates.map((rate) => rate * this.gamma);
  }

  protected override getClosedFormLr(): number[] {
    return this.baseLrs.map((rate) => rate * this.gamma ** this.lastEpoch);
  }
}
