import type { Optimizer } from "../optimizer.js";
import { LRScheduler, type LRSchedulerOptions } from "./lr-scheduler.js";
import { reached, required, type SchedulerStateDict, valuesOf } from "./scheduler-base.js";

/** Options of {@link MultiStepLR}. */
export interface MultiStepLROptions extends LRSchedulerOptions {
  /** What the learning rate is multiplied by. Default: 0.1. */
  gamma?: number;
}

/**
 * Multiplies the learning rate by `gamma` at each of the milestones.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.MultiStepLR.html
 */
export class MultiStepLR extends LRScheduler {
  /** How often each milestone was given. */
  milestones: Map<number, number>;
  gamma: number;

  /**
   * @param milestones the epochs at which the learning rate changes; one that is given twice counts twice.
   */
  constructor(optimizer: Optimizer, milestones: Iterable<number>, options: MultiStepLROptions = {}) {
    required("MultiStepLR", { milestones });
    super(optimizer, options);
    this.milestones = new Map();
    for (const epoch of milestones) this.milestones.set(epoch, (this.milestones.get(epoch) ?? 0) + 1);
    this.gamma = options.gamma ?? 0.1;
    this.initialStep();
  }

  protected override getLr(): number[] {
    const rates = valuesOf(this.optimizer, "lr");
    const times = this.milestones.get(this.lastEpoch);
    if (times === undefined) return rates;
    return rates.map((rate) => rate * this.gamma ** times);
  }

  protected override getClosedFormLr(): number[] {
    const all = [...this.milestones].flatMap(([epoch, times]) => Array<number>(times).fill(epoch));
    const times = reached(
      all.sort((a, b) => a - b),
      this.lastEpoch,
    );
    return this.baseLrs.map((rate) => rate * this.gamma ** times);
  }

  override loadStateDict({ milestones, ...state }: SchedulerStateDict): void {
    super.loadStateDict(state);
    if (milestones === undefined) return;
    const entries: Iterable<[unknown, unknown]> =
      milestones instanceof Map ? milestones : Object.entries(milestones as object);
    this.milestones = new Map([...entries].map(([epoch, times]) => [Number(epoch), Number(times)]));
  }
}
