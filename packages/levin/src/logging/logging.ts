import { Tensor } from "@levin/torch";
import { MisconfigurationError } from "../errors.js";
import type { Logger } from "../loggers/logger.js";
import type { MetricsByUse, Results } from "./results.js";

/** What the logging needs to know of the trainer. */
export interface LoggingContext {
  readonly loggers: readonly Logger[];
  readonly currentEpoch: number;
  readonly sanityChecking: boolean;
  /** The number of batches that ended with an optimizer step. */
  readonly loggedStep: number;
  /** What `log` collects at the moment, if it may be called. */
  readonly results: Results | null;
}

/**
 * The way from `log` to the metric dictionaries and the loggers. The dictionaries are brought up to date when somebody
 * reads them, or when what they are made of is about to change.
 */
export class Logging {
  /** The hook that logged last. */
  lastHook: string | null = null;
  /** Where the loop is: before its first batch, in its first batch, or later. */
  #iteration: "none" | "first" | "later" = "none";
  /** Whether a batch has ended that the dictionaries do not show yet. */
  #stale = false;
  #callbackMetrics: Record<string, Tensor> = {};
  #loggedMetrics: Record<string, Tensor> = {};
  #progressBarMetrics: Record<string, Tensor> = {};

  constructor(readonly context: LoggingContext) {}

  get callbackMetrics(): Record<string, Tensor> {
    return Object.assign(this.#callbackMetrics, this.#current()?.callback);
  }

  get loggedMetrics(): Record<string, Tensor> {
    return Object.assign(this.#loggedMetrics, this.#current()?.log);
  }

  /** The metrics of the progress bar, as numbers. */
  get progressBarMetrics(): Record<string, number> {
    return toNumbers(Object.assign(this.#progressBarMetrics, this.#current()?.progressBar));
  }

  /** Whether the values that a hook collected belong to an epoch that is over. */
  startsAnew(hook: string): boolean {
    return this.lastHook !== hook && this.#iteration !== "later";
  }

  /** The place in the loop, to come back to after a validation in the middle of training. */
  get place(): "none" | "first" | "later" {
    return this.#iteration;
  }

  set place(place: "none" | "first" | "later") {
    this.#iteration = place;
  }

  startBatch(batch: unknown, dataloaderIdx: number | null): void {
    this.#iteration = this.#iteration === "none" ? "first" : "later";
    this.context.results!.startBatch(batch, dataloaderIdx);
  }

  endBatch(): void {
    this.#stale = true;
    this.context.results!.endBatch();
  }

  /** Logs the values of a step. */
  logStep(step?: number): void {
    if (this.context.loggers.length === 0 || this.context.results!.isEmpty) return;
    this.logMetrics(this.#metrics().log, step);
  }

  /** From now on the metrics are those of the epoch. */
  endOfEpochReached(): void {
    this.flush();
    this.#iteration = "none";
  }

  /** After the hooks at the end of an epoch. */
  endEpoch(): void {
    this.#take(this.#metrics());
    this.lastHook = null;
  }

  /** Logs the values of a training epoch. */
  logEpoch(): void {
    this.logMetrics(this.#metrics().log);
    this.resetResults();
  }

  /** The values of an evaluation epoch, of one loader. */
  evaluationEpochMetrics(): Record<string, Tensor> {
    if (this.context.sanityChecking) return {};
    const metrics = this.#metrics();
    this.#take(metrics);
    return metrics.log;
  }

  /** Hands metrics to the loggers; a metric named "step" says at which step. */
  logMetrics(metrics: Record<string, Tensor>, step?: number): void {
    const loggers = this.context.loggers;
    if (loggers.length === 0 || isEmpty(metrics)) return;
    Object.assign(this.#loggedMetrics, metrics);
    const numbers = toNumbers(metrics);
    let at = step;
    if (at === undefined) {
      if (numbers.step !== undefined) {
        at = Math.trunc(numbers.step);
        if (!Number.isFinite(at)) {
          throw new MisconfigurationError(
            `The metric "step" says at which step the others are logged, but it is ${numbers.step}. Log a finite number, or use another name.`,
          );
        }
        delete numbers.step;
      } else {
        numbers.epoch ??= this.context.currentEpoch;
        at = this.context.loggedStep;
      }
    }
    for (const logger of loggers) {
      logger.logMetrics(numbers, at);
      logger.save();
    }
  }

  /** Brings the dictionaries up to date with the last batch, before what they are made of changes. */
  flush(): void {
    if (!this.#stale) return;
    this.#stale = false;
    const results = this.context.results;
    if (results && !results.isEmpty) this.#take(results.metrics(true, true));
  }

  resetResults(): void {
    this.flush();
    this.context.results?.reset();
    this.#iteration = "none";
    this.lastHook = null;
  }

  resetMetrics(): void {
    this.#stale = false;
    this.#callbackMetrics = {};
    this.#loggedMetrics = {};
    this.#progressBarMetrics = {};
  }

  #metrics(): MetricsByUse {
    return this.context.results!.metrics(this.#iteration !== "none");
  }

  /** What the running loop has logged so far, on top of what the dictionaries hold. */
  #current(): MetricsByUse | null {
    this.flush();
    const results = this.context.results;
    return results && !results.isEmpty ? this.#metrics() : null;
  }

  #take(metrics: MetricsByUse): void {
    Object.assign(this.#callbackMetrics, metrics.callback);
    Object.assign(this.#loggedMetrics, metrics.log);
    Object.assign(this.#progressBarMetrics, metrics.progressBar);
  }
}

function isEmpty(object: object): boolean {
  for (const _ in object) return false;
  return true;
}

/** The values of one-element tensors. */
export function toNumbers(metrics: Record<string, Tensor | number>): Record<string, number> {
  const numbers: Record<string, number> = {};
  for (const [name, value] of Object.entries(metrics)) {
    if (value instanceof Tensor && value.numel() !== 1) {
      throw new MisconfigurationError(
        `The metric "${name}" has the shape [${value.shape.join(", ")}], but only a single element can be logged as a number. ` +
          "Log a mean of it, or its parts under names of their own.",
      );
    }
    numbers[name] = value instanceof Tensor ? Number(value.item()) : value;
  }
  return numbers;
}
