import type { Tensor } from "@levin/torch";
import type { Checkpoint } from "../callbacks/checkpoint.js";
import type { Awaitable } from "../hooks.js";
import type { LightningModule } from "../module.js";

/** How a run ended, as a logger is told. */
export type LoggerStatus = "success" | "failed" | "finished";

/** Values that are logged together, by name. */
export type Metrics = Record<string, number>;

/**
 * Where metrics go. A logger receives plain numbers. No method but {@link Logger.finalize} makes the program wait: what is logged
 * is written in the background, and is in storage when `finalize` has returned (or what it returned is fulfilled), and at the
 * end of the process at the latest.
 */
export abstract class Logger {
  /** The name of the experiment: a folder, for loggers that write files. */
  abstract readonly name: string | undefined;

  /** The run's name or number below the experiment's. */
  abstract readonly version: string | number | undefined;

  /** What stands between the parts of a metric's name. */
  get groupSeparator(): string {
    return "/";
  }

  /** The folder of the experiment, if this logger writes files. */
  get rootDir(): string | undefined {
    return undefined;
  }

  /** The folder of this run, if this logger writes files. */
  get logDir(): string | undefined {
    return undefined;
  }

  /** The folder under which all experiments are saved, if this logger writes files. */
  get saveDir(): string | undefined {
    return undefined;
  }

  /** Called at every log step and at the end of epochs; `step` is the number of optimizer steps (per loader, in evaluation). */
  abstract logMetrics(metrics: Metrics, step?: number): void;

  /** Called once per run with the hyperparameters of module and data module. */
  abstract logHyperparams(params: Record<string, unknown>, metrics?: Metrics): void;

  /**
   * Called once per run with the module.
   *
   * @param inputArray what `forward` takes; default: the module's `exampleInputArray`
   */
  logGraph(_model: LightningModule, _inputArray?: Tensor | readonly unknown[] | null): void {}

  /** Called after each time that something was logged: writes out what is buffered, in the background. */
  save(): void {}

  /** Called when the run ends, however it ends; the trainer waits for it. */
  finalize(_status: LoggerStatus): Awaitable<void> {
    this.save();
  }

  /** Called when a checkpoint was written. */
  afterSaveCheckpoint(_checkpointCallback: Checkpoint): void {}
}

/** Tells all loggers that the run has ended; what the first failing one throws is thrown after the others were told. */
export async function finalizeLoggers(loggers: readonly Logger[], status: LoggerStatus): Promise<void> {
  const ends = await Promise.allSettled(loggers.map(async (logger) => logger.finalize(status)));
  const failed = ends.find((end) => end.status === "rejected");
  if (failed) throw failed.reason;
}

/** Metrics with a prefix before their names, joined by a dash; the same ones where it is empty. */
export function addPrefix<T>(metrics: Record<string, T>, prefix: string): Record<string, T> {
  if (prefix === "") return metrics;
  const prefixed: Record<string, T> = {};
  for (const name in metrics) prefixed[`${prefix}-${name}`] = metrics[name]!;
  return prefixed;
}
