import { ArgumentError } from "../../errors.js";
import type { Optimizer } from "../optimizer.js";
import { LRScheduler, type LRSchedulerOptions } from "./lr-scheduler.js";
import { required } from "./scheduler-base.js";

/** Options of {@link CosineAnnealingWarmRestarts}. */
export interface CosineAnnealingWarmRestartsOptions extends LRSchedulerOptions {
  /** How many times longer each run is than the one before. Default: 1. */
  TMult?: number;
  /** The minimum. Default: 0. */
  etaMin?: number;
}

/**
 * Takes the learning rate down to `etaMin` along half a cosine, then starts again from the top.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.CosineAnnealingWarmRestarts.html
 * @see https://arxiv.org/abs/1608.03983
 */
export class CosineAnnealingWarmRestarts extends LRScheduler {
  T0: number;
  /** The length of the run that goes on. */
  TI: number;
  TMult: number;
  etaMin: number;
  /** The epoch in the run that goes on. */
  TCur: number;

  /**
   * @param T0 after how many epochs the first restart is.
   */
  constructor(optimizer: Optimizer, T0: number, options: CosineAnnealingWarmRestartsOptions = {}) {
    required("CosineAnnealingWarmRestarts", { T0 });
    const { TMult = 1, etaMin = 0, lastEpoch = -1 } = options;
    if (!Number.isInteger(T0) || T0 <= 0)
      throw new ArgumentError(`Expected positive integer T0, but got ${T0}`);
    if (!Number.isInteger(TMult) || TMult < 1)
      throw new ArgumentError(`Expected integer TMult >= 1, but got ${TMult}`);
    if (typeof etaMin !== "number")
      throw new ArgumentError(`Expected a number for etaMin, but got ${String(etaMin)}`);
    super(optimizer, options);
    this.T0 = T0;
    this.TI = T0;
    this.TMult = TMult;
    this.etaMin = etaMin;
    this.TCur = lastEpoch;
    this.initialStep();
  }

  protected override getLr(): number[] {
    const height = (1 + Math.cos((Math.PI * this.TCur) / this.TI)) / 2;
    return this.baseLrs.map((rate) => this.etaMin + (rate - this.etaMin) * height);
  }

  /**
   * Goes on to the next epoch, or to any one: a fraction of an epoch gives the learning rate between two.
   *
   * @throws ArgumentError where `epoch` is negative
   */
  override step(epoch?: number): void {
    let now = epoch ?? (this.lastEpoch < 0 ? 0 : undefined);
    if (now === undefined) {
      now = this.lastEpoch + 1;
      this.TCur += 1;
      if (this.TCur >= this.TI) {
        this.TCur %= this.TI;
        this.TI *= this.TMult;
      }
    } else {
      this.#goTo(now);
    }
    this.lastEpoch = Math.floor(now);
    this.setRates(this.getLr());
  }

  #goTo(epoch: number): void {
    const { T0, TMult } = this;
    if (!(epoch >= 0)) throw new ArgumentError(`Expected non-negative epoch, but got ${epoch}`);
    if (epoch < T0) {
      this.TI = T0;
      this.TCur = epoch;
    } else if (TMult === 1) {
      this.TCur = epoch % T0;
    } else {
      const restarts = Math.trunc(Math.log((epoch / T0) * (TMult - 1) + 1) / Math.log(TMult));
      this.TCur = epoch - (T0 * (TMult ** restarts - 1)) / (TMult - 1);
      this.TI = T0 * TMult ** restarts;
    }
  }
}
