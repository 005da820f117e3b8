import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import * as torch from "@levin/torch";
import { Tensor } from "@levin/torch";
import { checkStrings, notAllowed } from "../argument-checks.js";
import { fileSystemOf, joinPath, remoteFileSystemOf } from "../checkpoint/file-system.js";
import { describe } from "../describe.js";
import { type Duration, milliseconds } from "../duration.js";
import { MisconfigurationError } from "../errors.js";
import type { TrainerFunction } from "../hooks.js";
import { note, warn, warnOnce } from "../messages.js";
import type { LightningModule } from "../module.js";
import { formatNumber } from "../python-format.js";
import type { Trainer } from "../trainer.js";
import { yaml } from "../yaml.js";
import { Checkpoint } from "./checkpoint.js";

/** Options of {@link ModelCheckpoint}. */
export interface ModelCheckpointOptions {
  /** The folder. Default: `checkpoints` in the first logger's folder of the run, else in the trainer's `defaultRootDir`. */
  dirpath?: string | null;
  /** The name, with metrics in braces: "{epoch}-{val_loss:.2f}". Default: "{epoch}-{step}". */
  filename?: string | null;
  /** The metric by which the best checkpoints are kept. Default: none, the last one is kept. */
  monitor?: string | null;
  /** Whether it reports what it saves. Default: false. */
  verbose?: boolean;
  /** Whether "last.ckpt" is saved with each checkpoint; "link": as a link to it. Default: false. */
  saveLast?: boolean | "link" | null;
  /** How many of the best are kept; -1: all; 0: none are saved. Default: 1. */
  saveTopK?: number;
  /** Whether one is saved when the run ends by an error. Default: false. */
  saveOnException?: boolean;
  /** Whether only the weights are saved. Default: false. */
  saveWeightsOnly?: boolean;
  /** Whether the metric should be small or large. Default: "min". */
  mode?: "min" | "max";
  /** Whether "{val_loss}" in the name becomes "val_loss=0.5" instead of "0.5". Default: true. */
  autoInsertMetricName?: boolean;
  /** Saves every so many optimizer steps. */
  everyNTrainSteps?: number | null;
  /** Saves in this interval of training time. */
  trainTimeInterval?: Duration | null;
  /** Saves every so many epochs. Default: 1, if there is no other interval. */
  everyNEpochs?: number | null;
  /** Whether it saves at the end of training epochs, else at the end of validation. Default: as the trainer validates. */
  saveOnTrainEpochEnd?: boolean | null;
  /** Whether "-v1" and so on is added to a name that exists. Default: true. */
  enableVersionCounter?: boolean;
}

type Candidates = Record<string, Tensor>;

/** Saves checkpoints of a fit: the last, the best by a metric, all, in intervals of epochs, steps or time. */
export class ModelCheckpoint extends Checkpoint {
  readonly monitor: string | null;
  readonly mode: "min" | "max";
  readonly saveLast: boolean | "link";
  readonly saveTopK: number;
  readonly saveWeightsOnly: boolean;
  readonly everyNEpochs: number;
  readonly everyNTrainSteps: number;
  /** The name of the last checkpoint, without extension; metrics stand in braces. */
  checkpointNameLast = "last";
  /** What stands between the parts of a name. */
  checkpointJoinChar = "-";
  /** What stands between a metric and its value. */
  checkpointEqualsChar = "=";
  /** What names end with. */
  fileExtension = ".ckpt";
  /** The first number that is added to a name that exists. */
  startingVersion = 1;
  dirpath: string | null;
  filename: string | null;
  currentScore: Tensor | null = null;
  /** The values of the kept checkpoints, by path. */
  bestKModels: Record<string, Tensor> = {};
  /** The worst of the kept checkpoints. */
  kthBestModelPath = "";
  kthValue: Tensor;
  readonly #options: ModelCheckpointOptions;
  readonly #timeInterval: number | null;
  #lastStepSaved = 0;
  #lastFileSaved = "";
  #lastTime: number | null = null;
  /** The files of a folder that is not on the local file system. */
  #remoteFiles: Set<string> | null = null;
  /** Whether a checkpoint waits for the validation to give its metric. */
  #deferred = false;

  constructor(options: ModelCheckpointOptions = {}) {
    super();
    if (typeof options !== "object" || options === null) {
      throw new MisconfigurationError(
        `new ModelCheckpoint() was given ${describe(options)}; it takes an object of options, such as { dirpath: "checkpoints" }.`,
      );
    }
    this.#options = options;
    this.monitor = options.monitor ?? null;
    this.mode = options.mode ?? "min";
    this.saveLast = options.saveLast ?? false;
    this.saveTopK = options.saveTopK ?? 1;
    this.saveWeightsOnly = options.saveWeightsOnly ?? false;
    if (options.dirpath != null) checkStrings("ModelCheckpoint", { dirpath: options.dirpath });
    this.dirpath = options.dirpath ? realPath(options.dirpath) : null;
    this.filename = options.filename ?? null;
    this.#timeInterval =
      options.trainTimeInterval == null
        ? null
        : milliseconds(options.trainTimeInterval, "ModelCheckpoint({ trainTimeInterval })");
    const unset =
      options.everyNTrainSteps == null && options.everyNEpochs == null && this.#timeInterval === null;
    this.everyNEpochs = unset ? 1 : (options.everyNEpochs ?? 0);
    this.everyNTrainSteps = options.everyNTrainSteps ?? 0;
    this.kthValue = torch.tensor(this.mode === "max" ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY);
    this.#validate();
  }

  #validate(): void {
    const wrong = (message: string) => new MisconfigurationError(`ModelCheckpoint: ${message}`);
    if (this.filename !== null) checkTemplate(this.filename);
    if (this.mode !== "min" && this.mode !== "max")
      throw wrong(`mode was given "${String(this.mode)}"; it is "min" or "max".`);
    for (const [name, value, least] of [
      ["saveTopK", this.saveTopK, -1],
      ["everyNTrainSteps", this.everyNTrainSteps, 0],
      ["everyNEpochs", this.everyNEpochs, 0],
    ] as const) {
      if (!Number.isInteger(value) || value < least)
        throw wrong(`${name} was given ${value}; it is an integer >= ${least}.`);
    }
    const intervals = [this.everyNTrainSteps >= 1, this.everyNEpochs >= 1, this.#timeInterval !== null];
    if (intervals.filter(Boolean).length > 1) {
      throw wrong(
        "everyNTrainSteps, everyNEpochs and trainTimeInterval exclude one another: give one of them.",
      );
    }
    if (this.monitor === null && ![-1, 0, 1].includes(this.saveTopK)) {
      throw wrong(
        `saveTopK: ${this.saveTopK} needs a monitor, by which the best are found. Without one it is -1, 0 or 1.`,
      );
    }
  }

  override get stateKey(): string {
    return this.generateStateKey({
      monitor: this.monitor,
      mode: this.mode,
      every_n_train_steps: this.everyNTrainSteps,
      every_n_epochs: this.everyNEpochs,
      train_time_interval: this.trainTimeInterval,
    });
  }

  override setup(trainer: Trainer, _module: LightningModule, stage: TrainerFunction): void | Promise<void> {
    const folder = trainer.strategy.broadcast(this.#folder(trainer));
    this.dirpath = folder;
    const warnIf = (isFilled: boolean) => {
      if (isFilled && stage === "fit" && trainer.isGlobalZero && this.saveTopK !== 0)
        warn(`The checkpoint folder ${folder} exists and is not empty.`);
    };
    if (!remoteFileSystemOf(folder)) return warnIf(isFilled(folder));
    return this.#listFiles(folder).then((files) => {
      this.#remoteFiles = new Set(files);
      warnIf(files.length > 0);
    });
  }

  async #listFiles(folder: string): Promise<string[]> {
    const files = await fileSystemOf(folder).list(folder);
    return files.map(({ name }) => joinPath(folder, name));
  }

  override onTrainStart(): void {
    this.#lastTime = performance.now();
  }

  override onTrainBatchEnd(trainer: Trainer, module: LightningModule): void {
    const byStep = this.everyNTrainSteps >= 1 && trainer.globalStep % this.everyNTrainSteps === 0;
    if (!byStep && this.#timeInterval === null) return;
    if (!module.automaticOptimization) {
      this.#saveManual(trainer, byStep);
      return;
    }
    const skip = this.#skips(trainer);
    const now = performance.now();
    const byTime =
      this.#timeInterval !== null &&
      trainer.strategy.broadcast(this.#lastTime !== null && now - this.#lastTime >= this.#timeInterval);
    if (!byStep && !byTime) return;
    if (byTime) this.#lastTime = now;
    const candidates = this.#candidates(trainer);
    if (this.monitor !== null && (!(this.monitor in candidates) || this.#validationFollows(trainer))) {
      this.#deferred = true;
      return;
    }
    if (skip) return;
    this.#saveTop(trainer, candidates);
    this.#saveLastCheckpoint(trainer, candidates);
  }

  #saveManual(trainer: Trainer, byStep: boolean): void {
    if (!byStep || this.#skips(trainer)) return;
    const candidates = this.#candidates(trainer);
    if (this.monitor !== null && !(this.monitor in candidates)) {
      this.#deferred = true;
      return;
    }
    this.#saveTop(trainer, candidates);
    this.#saveLastCheckpoint(trainer, candidates);
    this.#lastTime = performance.now();
  }

  /** Whether a validation right after this batch will give a newer value of the metric. */
  #validationFollows(trainer: Trainer): boolean {
    if (this.#savesOnTrainEpochEnd(trainer) || !trainer.isLastBatch || !trainer.enableValidation)
      return false;
    if (trainer.numValBatches.reduce((sum, batches) => sum + batches, 0) === 0) return false;
    const every = trainer.checkValEveryNEpoch;
    return every === null || (trainer.currentEpoch + 1) % every === 0;
  }

  override onTrainEpochEnd(trainer: Trainer, _module: LightningModule): void {
    if (this.#skips(trainer) || !this.#savesOnTrainEpochEnd(trainer)) return;
    this.#saveAtEpoch(trainer, this.#candidates(trainer));
  }

  override onValidationEnd(trainer: Trainer, _module: LightningModule): void {
    if (this.#skips(trainer) || this.#savesOnTrainEpochEnd(trainer)) return;
    const candidates = this.#candidates(trainer);
    if (this.#deferred) {
      this.#saveTop(trainer, candidates);
      this.#saveLastCheckpoint(trainer, candidates);
      this.#deferred = false;
      return;
    }
    this.#saveAtEpoch(trainer, candidates);
  }

  #saveAtEpoch(trainer: Trainer, candidates: Candidates): void {
    if (this.everyNEpochs >= 1 && (trainer.currentEpoch + 1) % this.everyNEpochs === 0)
      this.#saveTop(trainer, candidates);
    if (this.#lastStepSaved === trainer.globalStep || (this.saveLast === "link" && this.#lastFileSaved)) {
      this.#saveLastCheckpoint(trainer, candidates);
    }
  }

  override onTrainEnd(trainer: Trainer, _module: LightningModule): void {
    if (this.saveLast && !this.#lastFileSaved) this.#saveLastCheckpoint(trainer, this.#candidates(trainer));
  }

  override onException(trainer: Trainer, _module: LightningModule, exception: unknown): void {
    if (!this.#options.saveOnException || trainer.fastDevRun || trainer.sanityChecking) return;
    if (this.#lastStepSaved === trainer.globalStep) return;
    const candidates = this.#candidates(trainer);
    const file = this.formatCheckpointName(candidates);
    this.#save(trainer, file);
    this.#saveLastCheckpoint(trainer, candidates);
    note(
      `The run ended by ${(exception as Error | null)?.constructor?.name ?? "an error"}; a checkpoint was saved as ${file}.`,
    );
  }

  override stateDict(): Record<string, unknown> {
    return {
      monitor: this.monitor,
      best_model_score: this.bestModelScore,
      best_model_path: this.bestModelPath,
      current_score: this.currentScore,
      dirpath: this.dirpath,
      best_k_models: { ...this.bestKModels },
      kth_best_model_path: this.kthBestModelPath,
      kth_value: this.kthValue,
      last_model_path: this.lastModelPath,
    };
  }

  override loadStateDict(state: Record<string, unknown>): void {
    const before = state.dirpath ?? this.dirpath;
    if (before === this.dirpath) {
      this.bestModelScore = state.best_model_score as Tensor | null;
      this.kthBestModelPath = String(state.kth_best_model_path ?? this.kthBestModelPath);
      this.kthValue = (state.kth_value as Tensor | undefined) ?? this.kthValue;
      this.bestKModels = {
        ...((state.best_k_models as Record<string, Tensor> | undefined) ?? this.bestKModels),
      };
      this.lastModelPath = String(state.last_model_path ?? this.lastModelPath);
    } else {
      warn(
        `The checkpoints' folder has changed from ${String(before)} to ${this.dirpath}: of the callback's state only the best model's path is restored.`,
      );
    }
    this.bestModelPath = String(state.best_model_path ?? "");
  }

  // When to save

  #skips(trainer: Trainer): boolean {
    return (
      Boolean(trainer.fastDevRun) ||
      trainer.state.fn !== "fit" ||
      trainer.sanityChecking ||
      this.#lastStepSaved === trainer.globalStep
    );
  }

  #savesOnTrainEpochEnd(trainer: Trainer): boolean {
    const validates = trainer.numValBatches.reduce((sum, batches) => sum + batches, 0) > 0;
    return this.savesOnTrainEpochEnd(trainer, validates);
  }

  /** @internal Whether it saves at the end of training epochs, else of validations; `validates`: whether there are any batches for these. */
  savesOnTrainEpochEnd(
    trainer: Pick<Trainer, "valCheckTimeInterval" | "checkValEveryNEpoch" | "valCheckInterval">,
    validates: boolean,
  ): boolean {
    if (this.#options.saveOnTrainEpochEnd != null) return this.#options.saveOnTrainEpochEnd;
    if (trainer.valCheckTimeInterval !== null || trainer.checkValEveryNEpoch !== 1) return false;
    if (!validates) return true;
    return (trainer.valCheckInterval.count ?? trainer.valCheckInterval.fraction) === 1;
  }

  /** The time between two checkpoints in seconds, where it is given. */
  get trainTimeInterval(): number | null {
    return this.#timeInterval === null ? null : this.#timeInterval / 1000;
  }

  // What to save

  /** The metrics that names may show, with epoch and step. */
  #candidates(trainer: Trainer): Candidates {
    const metrics = { ...trainer.callbackMetrics };
    metrics.epoch = metrics.epoch
      ? metrics.epoch.to("int32")
      : torch.tensor(trainer.currentEpoch, { dtype: "int64" });
    metrics.step = metrics.step
      ? metrics.step.to("int32")
      : torch.tensor(trainer.globalStep, { dtype: "int64" });
    return metrics;
  }

  #saveTop(trainer: Trainer, candidates: Candidates): void {
    if (this.saveTopK === 0) return;
    if (this.monitor === null) {
      const file = this.#freeName(trainer, candidates, this.bestModelPath);
      const previous = this.bestModelPath;
      this.bestModelPath = file;
      this.#save(trainer, file);
      if (this.saveTopK === 1 && previous) this.#remove(trainer, previous, file);
      return;
    }
    const current = candidates[this.monitor];
    if (current === undefined) {
      const message =
        `ModelCheckpoint({ monitor: "${this.monitor}" }) could not find the metric; there are: ${Object.keys(candidates).join(", ")}. ` +
        `Log it in the module: this.log("${this.monitor}", value).`;
      if (trainer.fitLoop.validation.hasRun) throw new MisconfigurationError(message);
      warnOnce(message);
      return;
    }
    if (this.checkMonitorTopK(trainer, current)) this.#saveBest(trainer, current, candidates);
    else if (this.#options.verbose)
      note(`Step ${trainer.globalStep}: ${this.monitor} was not in top ${this.saveTopK}.`);
  }

  /** Whether a value is among the best `saveTopK`. */
  checkMonitorTopK(trainer: Trainer, current: Tensor | null = null): boolean {
    if (current === null) return false;
    if (this.saveTopK === -1 || Object.keys(this.bestKModels).length < this.saveTopK) return true;
    const worst = this.bestKModels[this.kthBestModelPath];
    const value = Number(current.item());
    const better =
      worst === undefined ||
      (this.mode === "min" ? value < Number(worst.item()) : value > Number(worst.item()));
    return trainer.strategy.reduceBoolean(better);
  }

  #saveBest(trainer: Trainer, metric: Tensor, candidates: Candidates): void {
    const kept = Object.keys(this.bestKModels).length;
    const most = this.saveTopK === -1 ? kept + 1 : this.saveTopK;
    let removed: string | null = null;
    if (kept === most && most > 0) {
      removed = this.kthBestModelPath;
      delete this.bestKModels[removed];
    }
    // a NaN is the worst of all values
    const current = Number.isNaN(Number(metric.item()))
      ? torch.tensor(this.mode === "min" ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY)
      : metric.detach().clone();
    const file = this.#freeName(trainer, candidates, removed);
    this.currentScore = current;
    this.bestKModels[file] = current;
    const [worst, best] = this.#extremes();
    if (Object.keys(this.bestKModels).length === most) {
      this.kthBestModelPath = worst;
      this.kthValue = this.bestKModels[worst]!;
    }
    this.bestModelPath = best;
    this.bestModelScore = this.bestKModels[best]!;
    if (this.#options.verbose)
      note(`Step ${trainer.globalStep}: ${this.monitor} reached ${current.item()}, saved as ${file}.`);
    this.#save(trainer, file);
    if (removed) this.#remove(trainer, removed, file);
  }

  /** The worst and the best of the kept files; the first of equal ones. */
  #extremes(): [worst: string, best: string] {
    const sign = this.mode === "min" ? 1 : -1;
    let worst = "";
    let best = "";
    let highest = Number.NEGATIVE_INFINITY;
    let lowest = Number.POSITIVE_INFINITY;
    for (const [file, score] of Object.entries(this.bestKModels)) {
      const value = sign * Number(score.item());
      if (!worst || value > highest) [worst, highest] = [file, value];
      if (!best || value < lowest) [best, lowest] = [file, value];
    }
    return [worst, best];
  }

  #saveLastCheckpoint(trainer: Trainer, candidates: Candidates): void {
    if (!this.saveLast) return;
    const file = this.#freeName(trainer, candidates, this.lastModelPath, this.checkpointNameLast);
    const previous = this.lastModelPath;
    this.lastModelPath = file;
    const linked = this.saveLast === "link" && !this.#remoteFiles;
    if (linked && this.#lastFileSaved && this.saveTopK !== 0) link(this.#lastFileSaved, file);
    else this.#save(trainer, file);
    if (previous) this.#remove(trainer, previous, file);
  }

  #save(trainer: Trainer, file: string): void {
    trainer.saveCheckpoint(file, { weightsOnly: this.saveWeightsOnly });
    this.#remoteFiles?.add(file);
    this.#lastStepSaved = trainer.globalStep;
    this.#lastFileSaved = file;
    if (!trainer.isGlobalZero || trainer.loggers.length === 0) return;
    trainer.whenSaved(() => {
      for (const logger of trainer.loggers) logger.afterSaveCheckpoint(this);
    });
  }

  /** Removes a file that is not kept any more; never the one that the run began from, or one in another folder. */
  #remove(trainer: Trainer, previous: string, current: string): void {
    if (previous === current) return;
    if (trainer.ckptPath !== null && fullPath(trainer.ckptPath) === fullPath(previous)) return;
    const folder = this.dirpath ?? ".";
    const separator = remoteFileSystemOf(folder) ? "/" : sep;
    if (!fullPath(previous).startsWith(fullPath(folder) + separator)) return;
    this.#remoteFiles?.delete(previous);
    trainer.removeCheckpoint(previous);
  }

  // Names

  #folder(trainer: Trainer): string {
    if (this.dirpath !== null) return this.dirpath;
    const logger = trainer.loggers[0];
    if (!logger) return joinPath(trainer.defaultRootDir, "checkpoints");
    const version = typeof logger.version === "string" ? logger.version : `version_${logger.version ?? 0}`;
    const parts = [String(logger.name), version, "checkpoints"];
    return parts.reduce(joinPath, logger.saveDir ?? trainer.defaultRootDir);
  }

  /** The files of `saveLast` in the folder. */
  async findLastCheckpoints(trainer: Trainer): Promise<string[]> {
    const files = await this.#listFiles(this.#folder(trainer));
    const parts = this.checkpointNameLast.split(/\{[^}]*\}/).map(escapeRegExp);
    const pattern = new RegExp(`^${parts.join(".*")}.*${escapeRegExp(this.fileExtension)}$`);
    return files.filter((file) => pattern.test(basename(file)));
  }

  #exists(file: string): boolean {
    return this.#remoteFiles ? this.#remoteFiles.has(file) : existsSync(file);
  }

  #freeName(
    trainer: Trainer,
    candidates: Candidates,
    replaced: string | null,
    filename: string | null = null,
  ): string {
    let file = this.formatCheckpointName(candidates, { filename });
    if (!(this.#options.enableVersionCounter ?? true)) return file;
    for (let ver = this.startingVersion; this.fileExists(file, trainer) && file !== replaced; ver++) {
      file = this.formatCheckpointName(candidates, { filename, ver });
    }
    return file;
  }

  /** Whether a file is there already, for any of the processes. */
  fileExists(filepath: string, trainer: Trainer): boolean {
    return trainer.strategy.reduceBoolean(trainer.isGlobalZero && this.#exists(filepath), false);
  }

  /** Writes the paths and values of the best checkpoints into a YAML file. Default: `best_k_models.yaml` in the folder. */
  toYaml(filepath: string | null = null): void {
    const path = filepath ?? joinPath(this.dirpath ?? ".", "best_k_models.yaml");
    const scores = Object.entries(this.bestKModels).map(([file, score]) => [file, Number(score.item())]);
    writeFileSync(path, yaml().stringify(Object.fromEntries(scores), { sortMapEntries: true }));
  }

  /**
   * The path of a checkpoint with these metrics.
   *
   * @param options `filename` (default the callback's): the template; `ver`: a version at the name's end; `prefix`: what the name
   * begins with
   */
  formatCheckpointName(
    metrics: Record<string, Tensor | number>,
    options: { filename?: string | null; ver?: number | null; prefix?: string | null } = {},
  ): string {
    const join = this.checkpointJoinChar;
    const template = options.filename || this.filename || `{epoch}${join}{step}`;
    const insertName = this.#options.autoInsertMetricName ?? true;
    const name = template.replace(placeholders, (_, metric: string, format: string | undefined) => {
      const value = formatMetric(metrics[metric] ?? 0, format ?? "");
      return insertName ? `${metric}${this.checkpointEqualsChar}${value}` : value;
    });
    const { prefix = null, ver = null } = options;
    const parts = [...(prefix === null ? [] : [prefix]), name, ...(ver === null ? [] : [`v${ver}`])];
    const file = parts.join(join) + this.fileExtension;
    return this.dirpath ? joinPath(this.dirpath, file) : file;
  }
}

/** A metric in a name: "{val_loss}", "{val_loss:.2f}". */
const placeholders = /\{([^:}]*)(?::([^}]*))?\}/g;

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

function checkTemplate(filename: unknown): void {
  checkStrings("ModelCheckpoint", { filename });
  const rest = (filename as string).replace(placeholders, (placeholder, metric: string) =>
    metric === "" ? placeholder : "",
  );
  if (/[{}]/.test(rest)) {
    throw notAllowed(
      "ModelCheckpoint: filename",
      filename,
      'a name in which metrics stand in braces: "{epoch}-{val_loss:.2f}"',
    );
  }
}

function formatMetric(value: Tensor | number, format: string): string {
  const isFloat = value instanceof Tensor ? value.isFloatingPoint() : !Number.isInteger(value);
  try {
    return formatNumber(value instanceof Tensor ? Number(value.item()) : value, format, isFloat);
  } catch (error) {
    throw new MisconfigurationError(`ModelCheckpoint({ filename }): ${(error as Error).message}.`);
  }
}

/** A path by which two of the same file are equal. */
function fullPath(path: string): string {
  return remoteFileSystemOf(path) ? path.replace(/\/+$/, "") : resolve(path);
}

function realPath(path: string): string {
  if (remoteFileSystemOf(path)) return path;
  const absolute = resolve(path.startsWith("~") ? join(process.env.HOME ?? "", path.slice(1)) : path);
  return existsSync(absolute) ? realpathSync(absolute) : absolute;
}

function isFilled(folder: string): boolean {
  return existsSync(folder) && readdirSync(folder).length > 0;
}

function link(file: string, path: string): void {
  if (resolve(file) === resolve(path)) return;
  mkdirSync(dirname(path), { recursive: true });
  if (lstatSync(path, { throwIfNoEntry: false })) rmSync(path, { recursive: true });
  symlinkSync(join(relative(dirname(path), dirname(file)), basename(file)), path);
}
