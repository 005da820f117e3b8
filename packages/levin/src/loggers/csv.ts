import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ArgumentError } from "@levin/torch";
import { checkStrings } from "../argument-checks.js";
import { warn } from "../messages.js";
import { formatFloat } from "../python-format.js";
import { atExit } from "./exit.js";
import { writeHyperparameters } from "./hyperparameters.js";
import { LogFile } from "./log-file.js";
import { addPrefix, Logger, type LoggerStatus, type Metrics } from "./logger.js";
import { nextVersion, versionFolder } from "./versions.js";

/** What {@link CSVLogger} may be told. */
export interface CSVLoggerOptions {
  /** The experiment's folder; "" or null for none. Default: `"lightning_logs"`. */
  name?: string | null;
  /** The run's folder: a name, or N for `version_N`. Default: the next number that is free. */
  version?: string | number;
  /** Put before the names of metrics, with a dash. Default: none. */
  prefix?: string;
  /** How many steps at most lie between two times that metrics are written. Default: 100. */
  flushLogsEveryNSteps?: number;
}

/**
 * Logs metrics to `saveDir/name/version_N/metrics.csv` and hyperparameters to `hparams.yaml` beside it.
 *
 * There is a column for each metric, sorted by name; a new metric rewrites the file with a column more. Metrics are written
 * soon after {@link Logger.save}, without making a step wait, and at the end of the run.
 *
 * @see https://lightning.ai/docs/pytorch/stable/extensions/generated/lightning.pytorch.loggers.CSVLogger.html
 */
export class CSVLogger extends Logger {
  readonly #saveDir: string;
  readonly #name: string;
  readonly #prefix: string;
  readonly #flushEvery: number;
  #version: string | number | undefined;
  #experiment: ExperimentWriter | null = null;

  /** @param saveDir the folder under which experiments are saved */
  constructor(saveDir: string, options: CSVLoggerOptions = {}) {
    super();
    const { name = "lightning_logs", version, prefix = "", flushLogsEveryNSteps = 100 } = options;
    if (typeof saveDir !== "string") {
      throw new ArgumentError(`CSVLogger: saveDir must be the path of a folder, got ${String(saveDir)}.`);
    }
    if (!Number.isInteger(flushLogsEveryNSteps) || flushLogsEveryNSteps < 1) {
      throw new ArgumentError(
        `CSVLogger: flushLogsEveryNSteps must be a positive integer, got ${String(flushLogsEveryNSteps)}.`,
      );
    }
    checkStrings("CSVLogger", { name: name ?? "" });
    this.#saveDir = saveDir;
    this.#name = name ?? "";
    this.#version = version;
    this.#prefix = prefix;
    this.#flushEvery = flushLogsEveryNSteps;
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

  /** What writes the files. */
  get experiment(): ExperimentWriter {
    this.#experiment ??= new ExperimentWriter(this.logDir);
    return this.#experiment;
  }

  override logMetrics(metrics: Metrics, step?: number): void {
    const at = step ?? this.experiment.metrics.length;
    this.experiment.logMetrics(addPrefix(metrics, this.#prefix), at);
    if ((at + 1) % this.#flushEvery === 0) this.save();
  }

  override logHyperparams(params: Record<string, unknown>): void {
    this.experiment.logHparams(params);
  }

  override save(): void {
    this.experiment.save();
  }

  override finalize(_status: LoggerStatus): void {
    this.#experiment?.close();
  }
}

/** As Python's csv module ends lines. */
const lineEnd = "\r\n";

/** Writes the files of a {@link CSVLogger}. */
export class ExperimentWriter {
  /** The rows that are not written yet. */
  metrics: Metrics[] = [];
  readonly hparams: Record<string, unknown> = {};
  readonly metricsFilePath: string;
  #columns: readonly string[] = [];
  #known = new Set<string>();
  #file: LogFile | null = null;
  #forget: (() => void) | null = null;

  /** @param logDir the folder of the run */
  constructor(readonly logDir: string) {
    this.metricsFilePath = join(logDir, "metrics.csv");
    if (existsSync(this.metricsFilePath)) {
      warn(`CSVLogger: ${this.metricsFilePath} is there already. It is replaced.`);
      rmSync(this.metricsFilePath);
    }
    mkdirSync(logDir, { recursive: true });
  }

  /** Adds a row. */
  logMetrics(metrics: Metrics, step: number = this.metrics.length): void {
    this.#forget ??= atExit(() => this.close());
    this.metrics.push({ ...metrics, step });
  }

  /** Writes hyperparameters, beside those from before. */
  logHparams(params: Record<string, unknown>): void {
    Object.assign(this.hparams, params);
    writeHyperparameters(join(this.logDir, "hparams.yaml"), this.hparams);
  }

  /** Writes the rows, in the background. */
  save(): void {
    if (this.metrics.length === 0) return;
    this.#file ??= new LogFile(this.metricsFilePath);
    for (const row of this.metrics) for (const name in row) this.#known.add(name);
    if (this.#known.size > this.#columns.length) this.#addColumns(this.#file);
    let text = "";
    for (const row of this.metrics) {
      let separator = "";
      for (const name of this.#columns) {
        text += separator + format(name, row[name]);
        separator = ",";
      }
      text += lineEnd;
    }
    this.#file.append(text);
    this.metrics = [];
  }

  /** Writes at once what is left. Another run with the same logger goes on with the file. */
  close(): void {
    this.#forget?.();
    this.#forget = null;
    this.save();
    this.#file?.close();
    this.#file = null;
  }

  /** Gives the rows in the file the new columns. Values are numbers, so a comma always separates two. */
  #addColumns(file: LogFile): void {
    const before = this.#columns;
    this.#columns = [...this.#known].sort();
    file.flush();
    const text = readFileSync(this.metricsFilePath, "utf8");
    const headerLines = before.map(quote).join(",").split(lineEnd).length;
    const rows = text === "" ? [] : text.trimEnd().split(lineEnd).slice(headerLines);
    const places = this.#columns.map((name) => before.indexOf(name));
    const moved = rows.map((row) => {
      const values = row.split(",");
      return places.map((place) => (place < 0 ? "" : values[place])).join(",");
    });
    const lines = [this.#columns.map(quote).join(","), ...moved];
    file.replace(lines.map((line) => line + lineEnd).join(""));
  }
}

/** Metrics are floats, but for the counts that the trainer adds. */
function format(name: string, value: number | undefined): string {
  if (value === undefined) return "";
  return (name === "step" || name === "epoch") && Number.isInteger(value)
    ? String(value)
    : formatFloat(value);
}

function quote(name: string): string {
  return /[",\n\r]/.test(name) ? `"${name.replaceAll('"', '""')}"` : name;
}
