import type { Tensor } from "@levin/torch";
import * as torch from "@levin/torch";
import { checkNumbers, checkStrings } from "../argument-checks.js";
import { Callback } from "../callback.js";
import { MisconfigurationError } from "../errors.js";
import { note, warn } from "../messages.js";
import type { LightningModule } from "../module.js";
import type { Trainer } from "../trainer.js";

/** Why {@link EarlyStopping} ended a fit. */
export type EarlyStoppingReason =
  | "not_stopped"
  | "stopping_threshold"
  | "divergence_threshold"
  | "patience_exhausted"
  | "non_finite_metric";

/** The reasons in the order of Lightning's numbers, by which checkpoints keep them. */
const reasons: readonly EarlyStoppingReason[] = [
  "not_stopped",
  "stopping_threshold",
  "divergence_threshold",
  "patience_exhausted",
  "non_finite_metric",
];

/** Options of {@link EarlyStopping}. */
export interface EarlyStoppingOptions {
  /** The least change that counts as an improvement. Default: 0. */
  minDelta?: number;
  /** After how many checks without improvement the fit ends. Default: 3. */
  patience?: number;
  /** Whether it reports what it sees. Default: false. */
  verbose?: boolean;
  /** Whether the metric should get smaller or larger. Default: "min". */
  mode?: "min" | "max";
  /** Whether a missing metric is an error. Default: true. */
  strict?: boolean;
  /** Whether the fit ends when the metric becomes NaN or infinite. Default: true. */
  checkFinite?: boolean;
  /** Ends the fit as soon as the metric is better than this. */
  stoppingThreshold?: number | null;
  /** Ends the fit as soon as the metric is worse than this. */
  divergenceThreshold?: number | null;
  /** Whether it checks at the end of training epochs, else at the end of validation. Default: as the trainer validates. */
  checkOnTrainEpochEnd?: boolean | null;
  /** Whether only the first process reports. Default: false. */
  logRankZeroOnly?: boolean;
}

/** Ends a fit when a metric stops getting better. */
export class EarlyStopping extends Callback {
  readonly monitor: string;
  readonly mode: "min" | "max";
  patience: number;
  minDelta: number;
  waitCount = 0;
  /** The epoch in which the fit was ended; 0 if it wasn't. */
  stoppedEpoch = 0;
  stoppingReason: EarlyStoppingReason = "not_stopped";
  stoppingReasonMessage: string | null = null;
  bestScore: Tensor;
  readonly #options: EarlyStoppingOptions;
  #atTrainEpochEnd: boolean | null;

  /**
   * @param monitor the metric to watch
   */
  constructor(monitor: string, options: EarlyStoppingOptions = {}) {
    super();
    checkStrings("EarlyStopping", { monitor });
    this.monitor = monitor;
    this.mode = options.mode ?? "min";
    if (this.mode !== "min" && this.mode !== "max") {
      throw new MisconfigurationError(
        `EarlyStopping: mode was given "${String(this.mode)}"; it is "min" or "max".`,
      );
    }
    const { patience = 3, minDelta = 0, stoppingThreshold, divergenceThreshold } = options;
    checkNumbers("EarlyStopping", {
      patience,
      minDelta,
      stoppingThreshold: stoppingThreshold ?? 0,
      divergenceThreshold: divergenceThreshold ?? 0,
    });
    this.patience = patience;
    this.minDelta = minDelta === 0 ? 0 : minDelta * (this.mode === "max" ? 1 : -1);
    this.bestScore = torch.tensor(this.mode === "min" ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY);
    this.#options = options;
    this.#atTrainEpochEnd = options.checkOnTrainEpochEnd ?? null;
  }

  override get monitors(): boolean {
    return true;
  }

  /** Whether the first of two values is better. */
  get monitorOp(): (value: number, other: number) => boolean {
    return this.mode === "min" ? (value, other) => value < other : (value, other) => value > other;
  }

  override get stateKey(): string {
    return this.generateStateKey({ monitor: this.monitor, mode: this.mode });
  }

  override setup(trainer: Trainer): void {
    const { valCheckInterval } = trainer;
    this.#atTrainEpochEnd ??=
      (valCheckInterval.count ?? valCheckInterval.fraction) === 1 &&
      trainer.valCheckTimeInterval === null &&
      trainer.checkValEveryNEpoch === 1;
  }

  override onTrainEpochEnd(trainer: Trainer, _module: LightningModule): void {
    if (this.#atTrainEpochEnd && this.#applies(trainer)) this.#check(trainer);
  }

  override onValidationEnd(trainer: Trainer, _module: LightningModule): void {
    if (!this.#atTrainEpochEnd && this.#applies(trainer)) this.#check(trainer);
  }

  #applies(trainer: Trainer): boolean {
    return trainer.state.fn === "fit" && !trainer.sanityChecking;
  }

  #check(trainer: Trainer): void {
    if (trainer.fastDevRun) return;
    const metrics = trainer.callbackMetrics;
    const metric = metrics[this.monitor];
    if (metric === undefined) {
      const message =
        `EarlyStopping monitors the metric "${this.monitor}", which is not available. ` +
        `Available are: ${Object.keys(metrics).join(", ") || "none"}. Log it with this.log("${this.monitor}", ...).`;
      if (this.#options.strict ?? true) throw new MisconfigurationError(message);
      if (this.#options.verbose) warn(message);
      return;
    }
    const [stop, reason] = this.#judge(metric);
    const stops = trainer.strategy.reduceBoolean(stop, false);
    trainer.shouldStop ||= stops;
    if (stops) {
      this.stoppedEpoch = trainer.currentEpoch;
      this.stoppingReasonMessage = reason;
    }
    if (reason && this.#options.verbose) note(reason);
  }

  #judge(metric: Tensor): [stop: boolean, reason: string | null] {
    const current = Number(metric.item());
    const best = Number(this.bestScore.item());
    const { checkFinite = true, stoppingThreshold = null, divergenceThreshold = null } = this.#options;
    const better = this.monitorOp;
    const shown = `${this.monitor} = ${current}`;
    if (checkFinite && !Number.isFinite(current)) {
      this.stoppingReason = "non_finite_metric";
      return [
        true,
        `The metric ${shown} is not finite. The best value was ${best.toFixed(3)}. The fit is ended.`,
      ];
    }
    if (stoppingThreshold !== null && better(current, stoppingThreshold)) {
      this.stoppingReason = "stopping_threshold";
      return [true, `The threshold is reached: ${shown}. The fit is ended.`];
    }
    if (divergenceThreshold !== null && better(-current, -divergenceThreshold)) {
      this.stoppingReason = "divergence_threshold";
      return [true, `The metric diverged: ${shown}. The fit is ended.`];
    }
    if (better(Math.fround(current - this.minDelta), best)) {
      const by = Number.isFinite(best) ? ` by ${Math.abs(best - current).toFixed(3)}` : "";
      this.bestScore = metric.detach().clone();
      this.waitCount = 0;
      return [false, `The metric ${this.monitor} improved${by} to ${current.toFixed(3)}.`];
    }
    this.waitCount++;
    if (this.waitCount < this.patience) return [false, null];
    this.stoppingReason = "patience_exhausted";
    return [
      true,
      `The metric ${this.monitor} did not improve in the last ${this.waitCount} checks; the best was ${best.toFixed(3)}. The fit is ended.`,
    ];
  }

  override stateDict(): Record<string, unknown> {
    return {
      wait_count: this.waitCount,
      stopped_epoch: this.stoppedEpoch,
      best_score: this.bestScore,
      patience: this.patience,
      stopping_reason: reasons.indexOf(this.stoppingReason),
      stopping_reason_message: this.stoppingReasonMessage,
    };
  }

  override loadStateDict(state: Record<string, unknown>): void {
    this.waitCount = Number(state.wait_count);
    this.stoppedEpoch = Number(state.stopped_epoch);
    this.bestScore = state.best_score as Tensor;
    this.patience = Number(state.patience);
    this.stoppingReason = reasons[Number(state.stopping_reason ?? 0)] ?? "not_stopped";
    this.stoppingReasonMessage = (state.stopping_reason_message as string | null | undefined) ?? null;
  }
}
