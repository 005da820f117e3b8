import type { Optimizer } from "../optimizer.js";
import { LRScheduler, type LRSchedulerOptions } from "./lr-scheduler.js";
import { required, valuesOf } from "./scheduler-base.js";

/** Options of {@link StepLR}. */
export interface StepLROptions extends LRSchedulerOptions {
  /** What the learning rate is multiplied by. Default: 0.1. */
  gamma?: number;
}

/**
 * Multiplies the learning rate by `gamma` every `stepSize` epochs.
 *
 * ```ts
 * const scheduler = new optim.lrScheduler.StepLR(optimizer, 30);
 * ```
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.StepLR.html
 */
export class StepLR extends LRScheduler {
  stepSize: number;
  gamma: number;

  /**
   * @param stepSize how many epochs lie between two changes.
   */
  constructor(optimizer: Optimizer, stepSize: number, options: StepLROptions = {}) {
    required("StepLR", { stepSize });
    super(optimizer, options);
    this.stepSize = stepSize;
    this.gamma = options.gamma ?? 0.1;
    this.initialStep();
  }

  protected override getLr(): number[] {
    const rates = valuesOf(this.optimizer, "lr");
    if (this.lastEpoch === 0 || this.lastEpoch % this.stepSize !== 0) return rates;
    return rates.map((rate) => rate * this.gamma);
  }

  protected override getClosedFormLr(): number[] {
    return this.baseLrs.map((rate) => rate * this.gamma ** Math.floor(this.lastEpoch / this.stepSize));
  }
}
