import { existsSync } from "node:fs";
import { join } from "node:path";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { ArgumentError, type Tensor } from "@levin/torch";
import {
  EventFile,
  histogramValue,
  pluginValue,
  type SummaryValue,
  scalarValue,
  textValue,
} from "./event-file.js";
import { histogramOf } from "./histogram.js";
import { flattenHyperparameters, writeHyperparameters } from "./hyperparameters.js";
import { Logger, type LoggerStatus, type Metrics } from "./logger.js";
import { nextVersion, versionFolder } from "./versions.js";

/** What {@link TensorBoardLogger} may be told. */
export interface TensorBoardLoggerOptions {
  /** The experiment's folder; "" or null for none. Default: `"lightning_logs"`. */
  name?: string | null;
  /** The run's folder: a name, or N for `version_N`. Default: the next number that is free. */
  version?: string | number;
  /** A metric `hp_metric` stands in where hyperparameters are logged without metrics. Default: true. */
  defaultHpMetric?: boolean;
  /** Put before the names of metrics, with a dash. Default: none. */
  prefix?: string;
  /** A folder below the version's in which the event files go. Default: none. */
  subDir?: string | null;
}

/**
 * Logs metrics, histograms and hyperparameters as event files in `saveDir/name/version_N`, for TensorBoard.
 *
 * ```sh
 * tensorboard --logdir lightning_logs
 * ```
 *
 * What is logged is written soon after, without making a step wait, and at the end of the run.
 *
 * @see https://lightning.ai/docs/pytorch/stable/extensions/generated/lightning.pytorch.loggers.TensorBoardLogger.html
 */
export class TensorBoardLogger extends Logger {
  readonly subDir: string | null;
  readonly #saveDir: string;
  readonly #name: string;
  readonly #prefix: string;
  readonly #defaultHpMetric: boolean;
  #version: string | number | undefined;
  #events: EventFile | null = null;
  readonly #hparams: Record<string, unknown> = {};

  /** @param saveDir the folder under which experiments are saved */
  constructor(saveDir: string, options: TensorBoardLoggerOptions = {}) {
    super();
    const { name = "lightning_logs", version, defaultHpMetric = true, prefix = "", subDir = null } = options;
    if (typeof saveDir !== "string") {
      throw new ArgumentError(
        `TensorBoardLogger: saveDir must be the path of a folder, got ${String(saveDir)}.`,
      );
    }
    this.#saveDir = saveDir;
    this.#name = name ?? "";
    this.#version = version;
    this.#prefix = prefix === "" ? "" : `${prefix}-`;
    this.#defaultHpMetric = defaultHpMetric;
    this.subDir = subDir;
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
    return join(this.rootDir, versionFolder(this.version), this.subDir ?? "");
  }

  override logMetrics(metrics: Metrics, step?: number): void {
    const events = this.#open();
    for (const name in metrics) events.add([scalarValue(this.#prefix + name, metrics[name]!)], step);
  }

  /**
   * Logs how the values of a tensor are distributed.
   *
   * @throws ArgumentError where the tensor is empty
   */
  logHistogram(tag: string, values: Tensor, step?: number): void {
    this.#open().add([histogramValue(this.#prefix + tag, histogramOf(values))], step);
  }

  /** Logs a text; TensorBoard shows it as Markdown. */
  logText(tag: string, text: string, step?: number): void {
    this.#open().add([textValue(this.#prefix + tag, text)], step);
  }

  /**
   * Logs hyperparameters, with the metrics by which runs are compared.
   *
   * @param metrics default: `{ hp_metric: -1 }`, unless `defaultHpMetric` is false
   */
  override logHyperparams(params: Record<string, unknown>, metrics?: Metrics, step?: number): void {
    Object.assign(this.#hparams, params);
    const measured = metrics ?? (this.#defaultHpMetric ? { hp_metric: -1 } : {});
    if (Object.keys(measured).length === 0) return;
    this.logMetrics(measured, step);
    const events = this.#open();
    for (const value of hparamsValues(flattenHyperparameters(params), Object.keys(measured))) {
      events.add([value], step);
    }
  }

  override save(): void {
    this.#open().timer.soon();
    const file = join(this.logDir, "hparams.yaml");
    if (!this.#hparamsWritten && !existsSync(file)) writeHyperparameters(file, this.#hparams);
    this.#hparamsWritten = true;
  }

  override finalize(status: LoggerStatus): void {
    if (this.#events && status === "success") this.save();
    this.#events?.close();
    this.#events = null;
  }

  /** Asking the file system once is enough. */
  #hparamsWritten = false;

  #open(): EventFile {
    this.#events ??= new EventFile(this.logDir);
    return this.#events;
  }
}

// numbers of the plugin's enums
const TYPE = { string: 1, boolean: 2, number: 3 } as const;
const SUCCESS = 1;

/** What TensorBoard's hparams plugin wants to know: what there is, the values of this run, and that it ended well. */
function hparamsValues(
  params: Record<string, number | string | boolean>,
  metrics: readonly string[],
): SummaryValue[] {
  const { LengthDelimited, Varint } = WireType;
  const plugin = (name: string, field: number, write: (writer: BinaryWriter) => void): SummaryValue => {
    const writer = new BinaryWriter().tag(field, LengthDelimited).fork();
    write(writer);
    return pluginValue(`_hparams_/${name}`, "hparams", writer.join().finish());
  };
  const entries = Object.entries(params);
  return [
    plugin("experiment", 2, (writer) => {
      for (const [name, value] of entries) {
        writer.tag(4, LengthDelimited).fork();
        writer.tag(1, LengthDelimited).string(name).tag(4, Varint).int32(dataType(value));
        writer.join();
      }
      for (const metric of metrics) {
        writer.tag(5, LengthDelimited).fork().tag(1, LengthDelimited).fork();
        writer.tag(2, LengthDelimited).string(metric);
        writer.join().join();
      }
    }),
    plugin("session_start_info", 3, (writer) => {
      for (const [name, value] of entries) {
        writer.tag(1, LengthDelimited).fork();
        writer.tag(1, LengthDelimited).string(name).tag(2, LengthDelimited).fork();
        writeValue(writer, value);
        writer.join().join();
      }
    }),
    plugin("session_end_info", 4, (writer) => writer.tag(1, Varint).int32(SUCCESS)),
  ];
}

function dataType(value: number | string | boolean): number {
  return TYPE[typeof value as keyof typeof TYPE];
}

/** A google.protobuf.Value. */
function writeValue(writer: BinaryWriter, value: number | string | boolean): void {
  if (typeof value === "number") writer.tag(2, WireType.Bit64).double(value);
  else if (typeof value === "string") writer.tag(3, WireType.LengthDelimited).string(value);
  else writer.tag(4, WireType.Varint).bool(value);
}
