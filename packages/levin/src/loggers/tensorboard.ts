import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { Tensor } from "@levin/torch";
import { checkStrings } from "../argument-checks.js";
import { makeTransfer, transferBatch } from "../loops/transfer.js";
import { warn } from "../messages.js";
import { attachment, type LightningModule } from "../module.js";
import { isThenable } from "../thenable.js";
import { FolderLogger, type FolderLoggerOptions } from "./folder-logger.js";
import { flattenHyperparameters, writeHyperparameters } from "./hyperparameters.js";
import type { LoggerStatus, Metrics } from "./logger.js";
import type { EventFileOptions } from "./tensorboard/event-file.js";
import { hparamsSummaries } from "./tensorboard/hparams.js";
import { SummaryWriter } from "./tensorboard/summary-writer.js";

/** What {@link TensorBoardLogger} may be told. */
export interface TensorBoardLoggerOptions extends FolderLoggerOptions, EventFileOptions {
  /** Whether the module's graph is logged, which needs its `exampleInputArray`. Default: false. */
  logGraph?: boolean;
  /** A metric `hp_metric` stands in where hyperparameters are logged without metrics. Default: true. */
  defaultHpMetric?: boolean;
  /** A folder below the version's in which the event files go. Default: none. */
  subDir?: string | null;
}

/**
 * Logs metrics and hyperparameters as event files in `saveDir/name/version_N`, for TensorBoard; its `experiment` logs images,
 * histograms, texts and more.
 *
 * ```sh
 * tensorboard --logdir lightning_logs
 * ```
 *
 * What is logged is written soon after, without making a step wait, and at the end of the run.
 *
 * @see https://lightning.ai/docs/pytorch/stable/extensions/generated/lightning.pytorch.loggers.TensorBoardLogger.html
 */
export class TensorBoardLogger extends FolderLogger {
  readonly subDir: string | null;
  /** The hyperparameters that were logged. */
  readonly hparams: Record<string, unknown> = {};
  readonly #logsGraph: boolean;
  readonly #defaultHpMetric: boolean;
  readonly #ofFiles: EventFileOptions;
  #experiment: SummaryWriter | null = null;

  /** @param saveDir the folder under which experiments are saved */
  constructor(saveDir: string, options: TensorBoardLoggerOptions = {}) {
    super(saveDir, options);
    const { logGraph = false, defaultHpMetric = true } = options;
    this.#logsGraph = logGraph;
    this.#defaultHpMetric = defaultHpMetric;
    this.#ofFiles = { filenameSuffix: options.filenameSuffix, purgeStep: options.purgeStep };
    checkStrings("TensorBoardLogger", { subDir: options.subDir ?? "" });
    this.subDir = options.subDir ?? null;
  }

  override get logDir(): string {
    return expand(join(super.logDir, this.subDir ?? ""));
  }

  /** The writer of the event files, for images, histograms, texts and more. */
  get experiment(): SummaryWriter {
    this.#experiment ??= new SummaryWriter(this.logDir, this.#ofFiles);
    return this.#experiment;
  }

  override logMetrics(metrics: Metrics, step?: number): void {
    const { experiment } = this;
    const prefixed = this.withPrefix(metrics);
    for (const name in prefixed) experiment.addScalar(name, prefixed[name]!, step);
  }

  /**
   * Logs hyperparameters, with the metrics by which runs are compared.
   *
   * @param metrics default: `{ hp_metric: -1 }`, unless `defaultHpMetric` is false
   */
  override logHyperparams(params: Record<string, unknown>, metrics?: Metrics, step?: number): void {
    Object.assign(this.hparams, params);
    const measured = metrics ?? (this.#defaultHpMetric ? { hp_metric: -1 } : {});
    if (Object.keys(measured).length === 0) return;
    this.logMetrics(measured, step);
    const summaries = hparamsSummaries(flattenHyperparameters(params), Object.keys(measured));
    for (const summary of summaries) this.experiment.addSummary([summary], step);
  }

  override logGraph(model: LightningModule, inputArray?: Tensor | readonly unknown[] | null): void {
    if (!this.#logsGraph) return;
    const input = inputArray ?? model.exampleInputArray;
    if (input === null || input === undefined) {
      warn(
        "TensorBoardLogger: the graph cannot be logged, as the module has no exampleInputArray and no inputArray was given.",
      );
    } else if (!(input instanceof Tensor || Array.isArray(input))) {
      warn(
        "TensorBoardLogger: the graph cannot be logged, as the input is neither a tensor nor an array of the arguments of forward.",
      );
    } else {
      const trainer = model[attachment].trainer;
      const moved = transferBatch(makeTransfer(model, trainer?.datamodule ?? null, model.device), input, 0);
      if (isThenable(moved)) {
        warn("TensorBoardLogger: the graph cannot be logged, as the transfer hooks are asynchronous.");
        return;
      }
      const leave = trainer?.strategy.precision.enterForward?.();
      try {
        this.experiment.addGraph(model, moved as Tensor | readonly unknown[]);
      } finally {
        leave?.();
      }
    }
  }

  override save(): void {
    if (this.#hparamsWritten) return;
    this.#hparamsWritten = true;
    const folder = this.experiment.logDir;
    const file = join(folder, "hparams.yaml");
    if (!existsSync(file)) writeHyperparameters(file, this.hparams);
  }

  override finalize(status: LoggerStatus): void {
    if (this.#experiment && status === "success") this.save();
    this.#experiment?.close();
  }

  /** Asking the file system once is enough. */
  #hparamsWritten = false;
}

/** A path with the variables of the environment and the home folder put in. */
function expand(path: string): string {
  return path
    .replace(/\$(\w+)|\$\{(\w+)\}/g, (all, name, braced) => process.env[name ?? braced] ?? all)
    .replace(/^~(?=\/|$)/, homedir());
}
