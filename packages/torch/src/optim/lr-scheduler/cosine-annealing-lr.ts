import type { Optimizer } from "../optimizer.js";
import { LRScheduler, type LRSchedulerOptions } from "./lr-scheduler.js";
import { required, valuesOf } from "./scheduler-base.js";

/** Options of {@link CosineAnnealingLR}. */
export interface CosineAnnealingLROptions extends LRSchedulerOptions {
  /** The minimum. Default: 0. */
  etaMin?: number;
}

/**
 * Takes the learning rate down to `etaMin` along half a cosine in `TMax` epochs, and up again in as many.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.CosineAnnealingLR.html
 * @see https://arxiv.org/abs/1608.03983
 */
export class CosineAnnealingLR extends LRScheduler {
  TMax: number;
  etaMin: number;

  /**
   * @param TMax after how many epochs the learning rate is at its minimum.
   */
  constructor(optimizer: Optimizer, TMax: number, options: CosineAnnealingLROptions = {}) {
    required("CosineAnnealingLR", { TMax });
    super(optimizer, options);
    this.TMax = TMax;
    this.etaMin = options.etaMin ?? 0;
    this.initialStep();
  }

  protected override getLr(): number[] {
    const { TMax, etaMin, lastEpoch } = this;
    const rates = valuesOf(this.optimizer, "lr");
    if (this._isInitial) return rates;
    if (this._stepCount === 1 && lastEpoch > 0) return this.getClosedFormLr();
    if ((lastEpoch - 1 - TMax) % (2 * TMax) === 0) {
      const rise = (1 - Math.cos(Math.PI / TMax)) / 2;
      return rates.map((rate, i) => rate + ((this.baseLrs[i] as number) - etaMin) * rise);
    }
    const ratio =
      (1 + Math.cos((Math.PI * lastEpoch) / TMax)) / (1 + Math.cos((Math.PI * (lastEpoch - 1)) / TMax));
    return rates.map((rate) => ratio * (rate - etaMin) + etaMin);
  }

  protected override getClosedFormLr(): number[] {
    const height = (1 + Math.cos((Math.PI * this.lastEpoch) / this.TMax)) / 2;
    return this.baseLrs.map((rate) => this.etaMin + (rate - this.etaMin) * height);
  }
}
