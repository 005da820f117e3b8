import { randomInt } from "node:crypto";
import { mkdirSync, rmSync, symlinkSync } from "node:fs";
import { hostname, platform, release, userInfo } from "node:os";
import { join, resolve } from "node:path";
import { LightningError } from "../../errors.js";
import { isPlainObject } from "../../tree.js";
import { BackgroundFiles } from "../background-files.js";
import { atExit } from "../exit.js";
import { toPlain } from "../hyperparameters.js";
import { encode, type Fields, type MessageWriter } from "../protobuf.js";
import { toJson } from "./json.js";
import type { MediaStore } from "./media.js";
import { TransactionLog } from "./transaction-log.js";

/** What {@link WandbRun} may be told. */
export interface WandbRunOptions {
  /** The folder in which `wandb` is made. Default: `"."`. */
  dir?: string;
  /** Default: eight random letters and digits. */
  id?: string;
  /** The run's name. Default: the server makes one up. */
  name?: string;
  /** Default: none, which the server calls "uncategorized". */
  project?: string;
  /** Who owns the project: a user or a team. Default: the one who uploads the run. */
  entity?: string;
  /** The group of runs that this one belongs to. Default: none. */
  group?: string;
  /** What kind of run it is, within its group. Default: none. */
  jobType?: string;
  /** Labels of the run. Default: none. */
  tags?: readonly string[];
  /** What there is to say of the run. Default: none. */
  notes?: string;
  /** Hyperparameters. Default: none. */
  config?: Record<string, unknown>;
}

/** What {@link WandbRun.defineMetric} may be told. */
export interface DefineMetricOptions {
  /** The metric that is the x-axis. */
  stepMetric?: string;
  /** Whether the x-axis' last value is logged where a row lacks it. Default: false. */
  stepSync?: boolean;
  /** Whether no chart is made by itself. Default: false. */
  hidden?: boolean;
}

/** The numbers of records' kinds in wandb_internal.proto. */
const kinds = {
  history: 2,
  summary: 3,
  config: 5,
  files: 6,
  telemetry: 11,
  metric: 12,
  run: 17,
  exit: 18,
  header: 21,
  environment: 26,
} as const;
/** The version of W&B whose form the records have, and the oldest that reads them. */
const VERSION = "0.31.0";
const OLDEST_READER = "0.70.0";
/** The numbers of things in telemetry. */
const FEATURES = 3;
const OFFLINE = 4;
/** The type of a file that shows something. */
const MEDIA = 2;

/** Values that are kept beside the rows of a run. */
export interface WandbValues {
  /** Adds values, or changes them. */
  update(values: Record<string, unknown>): void;
  /** The values as they are now. */
  readonly current: Readonly<Record<string, unknown>>;
}

/**
 * A run of W&B in a folder, `DIR/wandb/offline-run-DATE_TIME-ID`, from where `wandb sync FOLDER` uploads it.
 *
 * What is logged is written in the background. The run ends with {@link WandbRun.finish}, at the end of the process at the latest.
 */
export class WandbRun {
  readonly id: string;
  readonly name: string | undefined;
  readonly project: string | undefined;
  /** The folder of the run. */
  readonly dir: string;
  readonly config: WandbValues;
  readonly summary: WandbValues;
  readonly #log: TransactionLog;
  readonly #files = new BackgroundFiles();
  readonly #started = Date.now();
  #records = 0;
  #step = 0;
  /** What is logged with the next row. */
  #partial: Record<string, unknown> = {};
  #finished = false;
  readonly #forget = atExit(() => this.finish(Number(process.exitCode ?? 0)));

  constructor(options: WandbRunOptions = {}) {
    const { dir = ".", id = randomId(), name, project, config = {} } = options;
    this.id = id;
    this.name = name;
    this.project = project;
    const root = resolve(dir, "wandb");
    const folder = `offline-run-${timeStamp(new Date(this.#started))}-${id}`;
    this.dir = join(root, folder);
    mkdirSync(join(this.dir, "files"), { recursive: true });
    rmSync(join(root, "latest-run"), { force: true });
    symlinkSync(folder, join(root, "latest-run"));
    this.#log = new TransactionLog(join(this.dir, `run-${id}.wandb`));
    this.#begin(options);
    this.config = this.#values("config", toPlain(config) as Record<string, unknown>);
    this.summary = this.#values("summary", {});
  }

  /** Logs a row. Objects are several values, with names such as `outer.inner`. */
  log(data: Record<string, unknown>): void {
    const seconds = Date.now() / 1000;
    const row = {
      ...this.#partial,
      ...data,
      _timestamp: seconds,
      _runtime: seconds - this.#started / 1000,
      _step: this.#step,
    };
    this.#partial = {};
    this.#record("summary", (summary) => addItems(summary, row));
    this.#record("history", (history) => {
      addItems(history, row);
      history.message(2, (step) => step.int(1, this.#step));
    });
    this.#step++;
  }

  /** Adds values to the row that is logged next. */
  logLater(data: Record<string, unknown>): void {
    Object.assign(this.#partial, data);
  }

  /** Says how a metric is shown. */
  defineMetric(name: string, options: DefineMetricOptions = {}): void {
    const { stepMetric, stepSync = false, hidden = false } = options;
    this.#record("metric", (metric) => {
      metric.string(name.includes("*") ? 2 : 1, name);
      if (stepMetric !== undefined) metric.string(4, stepMetric);
      metric.message(6, (given) => given.bool(1, stepSync).bool(2, hidden).bool(3, true));
    });
  }

  /** @internal Where media of the next row are kept. */
  get mediaStore(): MediaStore {
    return {
      folder: join(this.dir, "files"),
      files: this.#files,
      step: this.#step,
      added: (path) =>
        this.#record("files", (files) => files.message(1, (file) => file.string(1, path).int(3, MEDIA))),
    };
  }

  /** Writes at once what was logged. */
  flush(): void {
    if (this.#finished) return;
    this.#log.flush();
    this.#files.flush();
  }

  /** Ends the run; nothing can be logged to it any more. */
  finish(exitCode = 0): void {
    if (this.#finished) return;
    if (Object.keys(this.#partial).length > 0) this.log({});
    this.#record("exit", (exit) =>
      exit.int(1, exitCode).int(2, Math.floor((Date.now() - this.#started) / 1000)),
    );
    this.#finished = true;
    this.#forget();
    this.#log.close();
    this.#files.flush();
  }

  #begin(options: WandbRunOptions): void {
    const started: Fields = (time) =>
      time.int(1, Math.floor(this.#started / 1000)).int(2, (this.#started % 1000) * 1_000_000);
    const telemetry: Fields = (message) =>
      message
        .message(FEATURES, (feature) => feature.bool(OFFLINE, true))
        .string(5, VERSION)
        .string(13, `${platform()}-${process.arch}`);
    const config = toPlain(options.config ?? {}) as Record<string, unknown>;
    this.#record("header", (header) =>
      header.message(1, (version) => version.string(1, VERSION).string(2, OLDEST_READER)),
    );
    this.#record("run", (run) => {
      const texts = { 2: options.entity, 3: options.project, 6: options.group, 7: options.jobType };
      run.string(1, this.id);
      for (const [field, text] of Object.entries({ ...texts, 8: options.name, 9: options.notes })) {
        if (text !== undefined) run.string(Number(field), text);
      }
      run.message(4, (message) => addValues(message, { _wandb: {}, ...config }));
      for (const tag of options.tags ?? []) run.string(10, tag);
      run.string(13, hostname()).message(17, started).message(19, telemetry).bool(24, true);
    });
    this.#record("environment", (environment) =>
      environment
        .string(1, `${platform()}-${release()}-${process.arch}`)
        .string(2, `Node.js ${process.versions.node}`)
        .message(3, started)
        .string(6, process.argv[1] ?? "")
        .string(11, process.cwd())
        .string(12, hostname())
        .string(13, userName())
        .string(14, process.execPath)
        .string(199, this.id),
    );
    this.#record("telemetry", telemetry);
  }

  #values(kind: "config" | "summary", given: Record<string, unknown>): WandbValues {
    const current = given;
    return {
      current,
      update: (values) => {
        const plain = toPlain(values) as Record<string, unknown>;
        Object.assign(current, plain);
        this.#record(kind, (message) => addValues(message, plain));
      },
    };
  }

  #record(kind: keyof typeof kinds, fields: Fields): void {
    if (this.#finished) {
      throw new LightningError(
        `WandbLogger: the run ${this.id} is finished; nothing more can be logged to it. Make a new logger.`,
      );
    }
    this.#log.append(
      encode((record) =>
        record
          .int(1, ++this.#records)
          .message(kinds[kind], fields)
          .message(200, (info) => info.string(1, this.id)),
      ),
    );
  }
}

/** Items with a key and a value each. */
function addValues(message: MessageWriter, values: Record<string, unknown>): void {
  for (const [key, value] of Object.entries(values))
    message.message(1, (item) => item.string(1, key).string(16, toJson(value)));
}

/** Items for the values in nested objects, each by the keys that lead to it. */
function addItems(
  message: MessageWriter,
  values: Record<string, unknown>,
  keys: readonly string[] = [],
): void {
  for (const [key, value] of Object.entries(values)) {
    const path = [...keys, key];
    if (value === undefined) continue;
    if (isPlainObject(value)) addItems(message, value, path);
    else {
      message.message(1, (item) => {
        for (const part of path) item.string(2, part);
        item.string(16, toJson(value));
      });
    }
  }
}

function randomId(): string {
  return Array.from({ length: 8 }, () => randomInt(36).toString(36)).join("");
}

/** As in `20260305_143000`. */
function timeStamp(time: Date): string {
  const two = (value: number) => String(value).padStart(2, "0");
  const date = [time.getFullYear(), two(time.getMonth() + 1), two(time.getDate())].join("");
  return `${date}_${[time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join("")}`;
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return ""; // a user without a name, as in containers
  }
}
