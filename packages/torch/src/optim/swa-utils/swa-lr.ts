import { ArgumentError } from "../../errors.js";
import { LRScheduler, type LRSchedulerOptions } from "../lr-scheduler/lr-scheduler.js";
import { checkOptimizer, groupsOf, perGroup, required, valuesOf } from "../lr-scheduler/scheduler-base.js";
import type { Optimizer } from "../optimizer.js";

/** Options of {@link SWALR}. */
export interface SWALROptions extends LRSchedulerOptions {
  /** In how many epochs it is reached. Default: 10. */
  annealEpochs?: number;
  /** The form of the curve. Default: `"cos"`. */
  annealStrategy?: "cos" | "linear";
}

/**
 * Brings the learning rate to a constant, at which weights are averaged.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.swa_utils.SWALR.html
 */
export class SWALR extends LRScheduler {
  annealEpochs: number;
  protected _annealStrategy: "cos" | "linear";

  /**
   * @param swaLr the learning rate at the end: for all groups, or one for each.
   */
  constructor(optimizer: Optimizer, swaLr: number | readonly number[], options: SWALROptions = {}) {
    required("SWALR", { swaLr });
    const { annealEpochs = 10, annealStrategy = "cos" } = options;
    checkOptimizer(optimizer);
    const swaLrs = perGroup("swaLr", optimizer, swaLr);
    if (annealStrategy !== "cos" && annealStrategy !== "linear") {
      throw new ArgumentError(
        `annealStrategy must be one of 'cos' or 'linear', instead got ${String(annealStrategy)}`,
      );
    }
    if (!Number.isInteger(annealEpochs) || annealEpochs < 0) {
      throw new ArgumentError(`annealEpochs must be equal or greater than 0, got ${annealEpochs}`);
    }
    for (const [i, group] of groupsOf(optimizer).entries()) Object.assign(group, { swaLr: swaLrs[i] });
    super(optimizer, options);
    this.annealEpochs = annealEpochs;
    this._annealStrategy = annealStrategy;
    this.initialStep();
  }

  protected override getLr(): number[] {
    const { annealEpochs } = this;
    const step = annealEpochs === 0 ? Math.max(1, this._stepCount - 1) : this._stepCount - 1;
    const before = this.#done((step - 1) / Math.max(1, annealEpochs));
    const now = this.#done(step / Math.max(1, annealEpochs));
    const ends = valuesOf(this.optimizer, "swaLr");
    return valuesOf(this.optimizer, "lr").map((rate, i) => {
      const end = ends[i] as number;
      const start = before === 1 ? end : (rate - before * end) / (1 - before);
      return end * now + start * (1 - now);
    });
  }

  /** Which part of the way is behind. */
  #done(time: number): number {
    const t = Math.max(0, Math.min(1, time));
    return this._annealStrategy === "cos" ? (1 - Math.cos(Math.PI * t)) / 2 : t;
  }
}
