import { join } from "node:path";
import { FolderLogger, type FolderLoggerOptions } from "./folder-logger.js";
import { writeHyperparameters } from "./hyperparameters.js";
import { LogFile } from "./log-file.js";
import type { LoggerStatus, Metrics } from "./logger.js";

/** What {@link JSONLLogger} may be told. */
export type JSONLLoggerOptions = FolderLoggerOptions;

/**
 * Logs metrics to `saveDir/name/version_N/metrics.jsonl`, a line of JSON for each time that something is logged, and
 * hyperparameters to `hparams.yaml` beside it.
 *
 * ```json
 * {"step":10,"time":1767225600.5,"loss":0.25,"epoch":0}
 * ```
 *
 * JSON has no numbers for NaN and the infinities: they are the strings `"NaN"`, `"Infinity"` and `"-Infinity"`. A file that is there is
 * appended to. Lines are written soon after, without making a step wait, and at the end of the run.
 */
export class JSONLLogger extends FolderLogger {
  readonly #hparams: Record<string, unknown> = {};
  #file: LogFile | null = null;

  /** @param saveDir the folder under which experiments are saved */
  constructor(saveDir: string, options: JSONLLoggerOptions = {}) {
    super(saveDir, options);
  }

  override logMetrics(metrics: Metrics, step?: number): void {
    this.#open().append(`${metricsLine(this.withPrefix(metrics), step)}\n`);
  }

  override logHyperparams(params: Record<string, unknown>): void {
    this.#open();
    Object.assign(this.#hparams, params);
    writeHyperparameters(join(this.logDir, "hparams.yaml"), this.#hparams);
  }

  override finalize(_status: LoggerStatus): void {
    this.#file?.close();
    this.#file = null;
  }

  #open(): LogFile {
    this.#file ??= new LogFile(join(this.logDir, "metrics.jsonl"));
    return this.#file;
  }
}

/** Metrics as JSON, with the step and the time in seconds since 1970. */
export function metricsLine(metrics: Metrics, step?: number): string {
  return JSON.stringify({ step, time: Date.now() / 1000, ...metrics }, (_, value) =>
    typeof value === "number" && !Number.isFinite(value) ? String(value) : value,
  );
}
