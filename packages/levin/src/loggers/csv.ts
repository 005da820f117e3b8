import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ArgumentError } from "@levin/torch";
import { warn } from "../messages.js";
import { formatFloat } from "../python-format.js";
import { FlushTimer } from "./flush.js";
import { writeHyperparameters } from "./hyperparameters.js";
import { Logger, type Metrics } from "./logger.js";
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
  #table: CsvTable | null = null;
  #hparams: Record<string, unknown> = {};

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
    this.#saveDir = saveDir;
    this.#name = name ?? "";
    this.#version = version;
    this.#prefix = prefix === "" ? "" : `${prefix}-`;
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

  override logMetrics(metrics: Metrics, step?: number): void {
    const table = this.#open();
    const at = step ?? table.pending;
    table.add(metrics, this.#prefix, at);
    if ((at + 1) % this.#flushEvery === 0) this.save();
  }

  override logHyperparams(params: Record<string, unknown>): void {
    this.#open();
    Object.assign(this.#hparams, params);
    writeHyperparameters(join(this.logDir, "hparams.yaml"), this.#hparams);
  }

  override save(): void {
    this.#open().timer.soon();
  }

  override finalize(): void {
    this.#table?.timer.close();
    this.#table = null;
  }

  #open(): CsvTable {
    this.#table ??= new CsvTable(this.logDir, this.#columns);
    return this.#table;
  }

  /** The columns so far, which outlive a finished run: another one with the same logger goes on with the file. */
  readonly #columns: string[] = [];
}

/** As Python's csv module ends lines. */
const lineEnd = "\r\n";

/** Rows of metrics on their way to a file. */
class CsvTable {
  readonly timer = new FlushTimer(() => this.#write());
  readonly #path: string;
  readonly #columns: string[];
  #rows: Metrics[] = [];

  constructor(folder: string, columns: string[]) {
    this.#columns = columns;
    this.#path = join(folder, "metrics.csv");
    if (columns.length === 0 && existsSync(this.#path)) {
      warn(`CSVLogger: ${this.#path} is there already. It is replaced.`);
      rmSync(this.#path);
    }
    mkdirSync(folder, { recursive: true });
  }

  /** The number of rows that are not written yet. */
  get pending(): number {
    return this.#rows.length;
  }

  add(metrics: Metrics, prefix: string, step: number): void {
    const row: Metrics = {};
    for (const name in metrics) row[prefix + name] = metrics[name]!;
    row.step = step;
    this.#rows.push(row);
  }

  #write(): void {
    if (this.#rows.length === 0) return;
    const before = [...this.#columns];
    const known = new Set(before);
    for (const row of this.#rows) for (const name in row) known.add(name);
    if (known.size > before.length) {
      this.#columns.splice(0, before.length, ...[...known].sort());
      this.#rewrite(before);
    }
    const lines = this.#rows.map((row) => this.#columns.map((name) => format(name, row[name])).join(","));
    appendFileSync(this.#path, lines.map((line) => line + lineEnd).join(""));
    this.#rows = [];
  }

  /** Gives the rows in the file the new columns. Values are numbers, so a comma always separates two. */
  #rewrite(before: string[]): void {
    const text = before.length > 0 && existsSync(this.#path) ? readFileSync(this.#path, "utf8") : "";
    const headerLines = before.map(quote).join(",").split(lineEnd).length;
    const rows = text === "" ? [] : text.trimEnd().split(lineEnd).slice(headerLines);
    const places = this.#columns.map((name) => before.indexOf(name));
    const moved = rows.map((row) => {
      const values = row.split(",");
      return places.map((place) => (place < 0 ? "" : values[place])).join(",");
    });
    const lines = [this.#columns.map(quote).join(","), ...moved];
    writeFileSync(this.#path, lines.map((line) => line + lineEnd).join(""));
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
