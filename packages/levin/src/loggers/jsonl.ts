import { join } from "node:path";
import { ArgumentError } from "@levin/torch";
import { checkStrings } from "../argument-checks.js";
import { writeHyperparameters } from "./hyperparameters.js";
import { LogFile } from "./log-file.js";
import { addPrefix, Logger, type LoggerStatus, type Metrics } from "./logger.js";
import { nextVersion, versionFolder } from "./versions.js";

/** What {@link JSONLLogger} may be told. */
export interface JSONLLoggerOptions {
  /** The experiment's folder; "" or null for none. Default: `"lightning_logs"`. */
  name?: string | null;
  /** The run's folder: a name, or N for `version_N`. Default: the next number that is free. */
  version?: string | number;
  /** Put before the names of metrics, with a dash. Default: none. */
  prefix?: string;
}

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
export class JSONLLogger extends Logger {
  readonly #saveDir: string;
  readonly #name: string;
  readonly #prefix: string;
  readonly #hparams: Record<string, unknown> = {};
  #version: string | number | undefined;
  #file: LogFile | null = null;

  /** @param saveDir the folder under which experiments are saved */
  constructor(saveDir: string, options: JSONLLoggerOptions = {}) {
    super();
    const { name = "lightning_logs", version, prefix = "" } = options;
    if (typeof saveDir !== "string") {
      throw new ArgumentError(`JSONLLogger: saveDir must be the path of a folder, got ${String(saveDir)}.`);
    }
    checkStrings("JSONLLogger", { name: name ?? "" });
    this.#saveDir = saveDir;
    this.#name = name ?? "";
    this.#version = version;
    this.#prefix = prefix;
  }

  get name(): string {
    return this.#name;
  }

  get version(): string | number {
    this.#version ??= nextVersion(this.rootDir);
    return this.#version;
  }

  override get saveDir(): string {
    return this.#saveDir;
  }

  override get rootDir(): string {
    return join(this.#saveDir, this.#name);
  }

  override get logDir(): string {
    return join(this.rootDir, versionFolder(this.version));
  }

  override logMetrics(metrics: Metrics, step?: number): void {
    this.#open().append(`${metricsLine(addPrefix(metrics, this.#prefix), step)}\n`);
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
