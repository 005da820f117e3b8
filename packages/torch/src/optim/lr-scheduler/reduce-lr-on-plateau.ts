import { ArgumentError } from "../../errors.js";
import { Tensor } from "../../tensor.js";
import { numberOf } from "../arguments.js";
import type { Optimizer } from "../optimizer.js";
import { groupsOf, SchedulerBase, setValue, valuesOf } from "./scheduler-base.js";

/** Options of {@link ReduceLROnPlateau}. */
export interface ReduceLROnPlateauOptions {
  /** Whether the metric should become smaller or larger. Default: `"min"`. */
  mode?: "min" | "max";
  /** What the learning rate is multiplied by, below 1. Default: 0.1. */
  factor?: number;
  /** How many epochs without improvement are allowed. Default: 10. */
  patience?: number;
  /** How much better a metric must be to count. Default: 1e-4. */
  threshold?: number;
  /** Whether the threshold is a part of the best metric, or a difference. Default: `"rel"`. */
  thresholdMode?: "rel" | "abs";
  /** How many epochs after a change do not count. Default: 0. */
  cooldown?: number;
  /** The lowest learning rate: for all groups, or one for each. Default: 0. */
  minLr?: number | readonly number[];
  /** Smaller changes are not made. Default: 1e-8. */
  eps?: number;
}

/**
 * Lowers the learning rate when a metric has stopped to improve: give it to {@link step} after each epoch.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.ReduceLROnPlateau.html
 */
export class ReduceLROnPlateau extends SchedulerBase {
  factor: number;
  defaultMinLr: number | null;
  minLrs: number[];
  patience: number;
  cooldown: number;
  eps: number;
  lastEpoch = 0;
  mode: "min" | "max";
  threshold: number;
  thresholdMode: "rel" | "abs";
  /** The best metric so far. */
  best: number;
  /** What every metric is better than. */
  modeWorse: number;
  cooldownCounter = 0;
  numBadEpochs = 0;

  /** @throws ArgumentError where an option is out of its range */
  constructor(optimizer: Optimizer, options: ReduceLROnPlateauOptions = {}) {
    const { mode = "min", factor = 0.1, patience = 10, threshold = 1e-4, thresholdMode = "rel" } = options;
    const { cooldown = 0, minLr = 0, eps = 1e-8 } = options;
    if (!(factor < 1)) throw new ArgumentError(`Factor should be < 1.0, got ${factor}.`);
    if (mode !== "min" && mode !== "max")
      throw new ArgumentError(`mode ${String(mode)} is unknown; it is "min" or "max"`);
    if (thresholdMode !== "rel" && thresholdMode !== "abs") {
      throw new ArgumentError(`threshold mode ${String(thresholdMode)} is unknown; it is "rel" or "abs"`);
    }
    super(optimizer);
    const count = optimizer.paramGroups.length;
    if (typeof minLr !== "number" && minLr.length !== count) {
      throw new ArgumentError(`expected ${count} minLrs, got ${minLr.length}`);
    }
    this.factor = factor;
    this.defaultMinLr = typeof minLr === "number" ? minLr : null;
    this.minLrs = typeof minLr === "number" ? Array<number>(count).fill(minLr) : [...minLr];
    this.patience = patience;
    this.cooldown = cooldown;
    this.eps = eps;
    this.mode = mode;
    this.threshold = threshold;
    this.thresholdMode = thresholdMode;
    this.modeWorse = mode === "min" ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
    this.best = this.modeWorse;
    this._lastLr = valuesOf(optimizer, "lr");
  }

  /** Looks at the metric of an epoch, and lowers the learning rates where it is time. */
  override step(metrics: number | Tensor, epoch: number = this.lastEpoch + 1): void {
    if (typeof metrics !== "number" && !(metrics instanceof Tensor)) {
      throw new ArgumentError("ReduceLROnPlateau needs the metric of the epoch: scheduler.step(metric)");
    }
    const current = numberOf(metrics);
    this.lastEpoch = epoch;
    if (this.#isBetter(current)) {
      this.best = current;
      this.numBadEpochs = 0;
    } else {
      this.numBadEpochs += 1;
    }
    if (this.inCooldown) {
      this.cooldownCounter -= 1;
      this.numBadEpochs = 0;
    }
    if (this.numBadEpochs > this.patience) {
      this.#reduceLr();
      this.cooldownCounter = this.cooldown;
      this.numBadEpochs = 0;
    }
    this._lastLr = valuesOf(this.optimizer, "lr");
  }

  /** Whether epochs do not count at the moment, after a change. */
  get inCooldown(): boolean {
    return this.cooldownCounter > 0;
  }

  #isBetter(metric: number): boolean {
    const { best, threshold } = this;
    const relative = this.thresholdMode === "rel";
    if (this.mode === "min") return metric < (relative ? best * (1 - threshold) : best - threshold);
    return metric > (relative ? best * (threshold + 1) : best + threshold);
  }

  #reduceLr(): void {
    const groups = groupsOf(this.optimizer);
    if (groups.length !== this.minLrs.length) {
      if (this.defaultMinLr === null) {
        throw new ArgumentError(
          `The number of param groups in the optimizer (${groups.length}) differs from when ReduceLROnPlateau was initialized ` +
            `(${this.minLrs.length}), usually due to a new param group being added to the optimizer. Please modify the minLrs ` +
            "field to match the length of the optimizer param groups.",
        );
      }
      this.minLrs = Array<number>(groups.length).fill(this.defaultMinLr);
    }
    for (const [i, group] of groups.entries()) {
      const old = numberOf(group.lr);
      const lower = Math.max(old * this.factor, this.minLrs[i] as number);
      if (old - lower > this.eps) setValue(group, "lr", lower);
    }
  }
}
