import { Callback } from "../callback.js";
import { type Duration, milliseconds } from "../duration.js";
import { MisconfigurationError } from "../errors.js";
import { note } from "../messages.js";
import type { LightningModule } from "../module.js";
import type { Trainer } from "../trainer.js";

/** The stages a timer knows. */
export type TimedStage = "train" | "validate" | "test";

/** Options of {@link Timer}. */
export interface TimerOptions {
  /** How long training may take. Default: without a limit. */
  duration?: Duration | null;
  /** Whether the time is looked at after each batch or each epoch. Default: "step". */
  interval?: "step" | "epoch";
  /** Whether it reports that the time is over. Default: true. */
  verbose?: boolean;
}

/** Measures how long training, validation and testing take, and ends a fit after a given time. */
export class Timer extends Callback {
  readonly #duration: number | null;
  readonly #interval: "step" | "epoch";
  readonly #verbose: boolean;
  readonly #start: Partial<Record<TimedStage, number>> = {};
  readonly #end: Partial<Record<TimedStage, number>> = {};
  /** The time of a run that this one goes on from, in seconds. */
  #offset = 0;

  constructor(options: TimerOptions = {}) {
    super();
    this.#duration =
      options.duration == null ? null : milliseconds(options.duration, "Timer({ duration })") / 1000;
    this.#interval = options.interval ?? "step";
    if (this.#interval !== "step" && this.#interval !== "epoch") {
      throw new MisconfigurationError(
        `Timer: interval was given "${String(this.#interval)}"; it is "step" or "epoch".`,
      );
    }
    this.#verbose = options.verbose ?? true;
  }

  /** When a stage began, in seconds of the process's clock. */
  startTime(stage: TimedStage = "train"): number | null {
    return this.#start[stage] ?? null;
  }

  /** When a stage ended, in seconds of the process's clock. */
  endTime(stage: TimedStage = "train"): number | null {
    return this.#end[stage] ?? null;
  }

  /** How long a stage took, in seconds. */
  timeElapsed(stage: TimedStage = "train"): number {
    const offset = stage === "train" ? this.#offset : 0;
    const start = this.#start[stage];
    return start === undefined ? offset : (this.#end[stage] ?? now()) - start + offset;
  }

  /** How much time is left, in seconds; null without a limit. */
  timeRemaining(stage: TimedStage = "train"): number | null {
    return this.#duration === null ? null : this.#duration - this.timeElapsed(stage);
  }

  override onTrainStart(): void {
    this.#start.train = now();
  }
  override onTrainEnd(): void {
    this.#end.train = now();
  }
  override onValidationStart(): void {
    this.#start.validate = now();
  }
  override onValidationEnd(): void {
    this.#end.validate = now();
  }
  override onTestStart(): void {
    this.#start.test = now();
  }
  override onTestEnd(): void {
    this.#end.test = now();
  }
  override onFitStart(trainer: Trainer, _module: LightningModule): void {
    this.#check(trainer);
  }
  override onTrainBatchEnd(trainer: Trainer): void {
    if (this.#interval === "step") this.#check(trainer);
  }
  override onTrainEpochEnd(trainer: Trainer): void {
    if (this.#interval === "epoch") this.#check(trainer);
  }

  override stateDict(): Record<string, unknown> {
    const stages = {
      train: "train",
      sanity_check: null,
      validate: "validate",
      test: "test",
      predict: null,
    } as const;
    return {
      time_elapsed: Object.fromEntries(
        Object.entries(stages).map(([key, stage]) => [key, stage ? this.timeElapsed(stage) : 0]),
      ),
    };
  }

  override loadStateDict(state: Record<string, unknown>): void {
    this.#offset = Number((state.time_elapsed as Record<string, number> | undefined)?.train ?? 0);
  }

  #check(trainer: Trainer): void {
    if (this.#duration === null) return;
    const stop = trainer.strategy.broadcast(this.timeElapsed() >= this.#duration);
    trainer.shouldStop ||= stop;
    if (stop && this.#verbose)
      note(`The time is over after ${Math.floor(this.timeElapsed())} s: the fit is ended.`);
  }
}

function now(): number {
  return performance.now() / 1000;
}
