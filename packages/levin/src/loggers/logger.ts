import type { Checkpoint } from "../callbacks/checkpoint.js";
import type { LightningModule } from "../module.js";

/** How a run ended, as a logger is told. */
export type LoggerStatus = "success" | "failed" | "finished";

/** Values that are logged together, by name. */
export type Metrics = Record<string, number>;

/**
 * Where metrics go. A logger receives plain numbers; writing may be buffered, but what was logged before
 * {@link Logger.save} or {@link Logger.finalize} must be on its way to storage when they return.
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

  /** Called once per run with the module. */
  logGraph(_module: LightningModule): void {}

  /** Writes out what is buffered. */
  save(): void {}

  /** Called when the run ends, however it ends. */
  finalize(_status: LoggerStatus): void {
    this.save();
  }

  /** Called when a checkpoint was saved. */
  afterSaveCheckpoint(_checkpoint: Checkpoint): void {}
}
