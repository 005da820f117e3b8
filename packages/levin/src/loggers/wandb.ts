import { ArgumentError, type nn, type RemovableHandle } from "@levin/torch";
import { MisconfigurationError } from "../errors.js";
import { addPrefix, Logger, type LoggerStatus, type Metrics } from "./logger.js";
import { type Medium, storeAudios, storeImages, storeTable, storeVideos } from "./wandb/media.js";
import { WandbRun, type WandbRunOptions } from "./wandb/run.js";
import { type WatchOptions, watch } from "./wandb/watch.js";

/** What {@link WandbLogger} may be told. */
export interface WandbLoggerOptions extends WandbRunOptions {
  /** The folder in which `wandb` is made. Default: `"."`. */
  saveDir?: string;
  /** The run's id. Default: eight random letters and digits. */
  version?: string;
  /** Must be true, or `WANDB_MODE` of the environment `"offline"`: runs are written to a folder. Default: false. */
  offline?: boolean;
  /** The same as `saveDir`. */
  dir?: string;
  /** The same as `version`. */
  id?: string;
  /** Default: `WANDB_PROJECT` of the environment, else `"lightning_logs"`. */
  project?: string;
  /** Must be false: checkpoints are not part of an offline run. Default: false. */
  logModel?: boolean | "all";
  /** A run to log to. Default: a new one. */
  experiment?: WandbRun;
  /** Put before the names of metrics, with a dash. Default: none. */
  prefix?: string;
}

/** What the methods for media of {@link WandbLogger} may be told. */
export interface LogMediaOptions {
  /** The trainer's step. */
  step?: number;
  /** A text for each. Default: none. */
  caption?: readonly string[];
}

/** What {@link WandbLogger.logTable} may be told. */
export interface LogTableOptions {
  /** The names of the columns. */
  columns: readonly string[];
  /** Rows with a value for each column. */
  data: readonly (readonly unknown[])[];
  /** The trainer's step. */
  step?: number;
}

/**
 * Logs to a run of W&B in a folder, which its own program uploads later.
 *
 * ```ts
 * const logger = new WandbLogger({ project: "digits", offline: true });
 * ```
 * ```sh
 * wandb sync wandb/offline-run-*
 * ```
 *
 * @see https://lightning.ai/docs/pytorch/stable/extensions/generated/lightning.pytorch.loggers.WandbLogger.html
 */
export class WandbLogger extends Logger {
  readonly #run: WandbRunOptions;
  readonly #prefix: string;
  #experiment: WandbRun | null;
  #watching: RemovableHandle[] = [];

  /** @throws MisconfigurationError where the run is not to be offline, or checkpoints are to be logged */
  constructor(options: WandbLoggerOptions = {}) {
    super();
    const { offline = false, logModel = false, experiment, prefix = "", saveDir, dir, version, id } = options;
    if (!offline && !experiment && !["offline", "dryrun"].includes(process.env.WANDB_MODE ?? "")) {
      throw new MisconfigurationError(
        "WandbLogger writes runs to a folder and cannot reach W&B's servers itself. Set `offline: true`; " +
          "`wandb sync FOLDER`, of the Python package wandb, uploads the run during or after training.",
      );
    }
    if (logModel) {
      throw new MisconfigurationError(
        `WandbLogger: logModel was given ${JSON.stringify(logModel)}, but checkpoints cannot be uploaded from an offline run. Leave it out.`,
      );
    }
    this.#prefix = prefix;
    this.#experiment = experiment ?? null;
    this.#run = {
      dir: saveDir ?? dir ?? ".",
      id: version ?? id,
      project: options.project ?? process.env.WANDB_PROJECT ?? "lightning_logs",
      name: options.name,
      entity: options.entity,
      group: options.group,
      jobType: options.jobType,
      tags: options.tags,
      notes: options.notes,
      config: options.config,
    };
  }

  /** The run. */
  get experiment(): WandbRun {
    if (!this.#experiment) {
      this.#experiment = new WandbRun(this.#run);
      this.#experiment.defineMetric("trainer/global_step");
      this.#experiment.defineMetric("*", { stepMetric: "trainer/global_step", stepSync: true });
    }
    return this.#experiment;
  }

  /** The project's name. */
  get name(): string | undefined {
    return this.#run.project;
  }

  /** The run's id, where one was given or the run has begun. */
  get version(): string | undefined {
    return this.#experiment?.id ?? this.#run.id;
  }

  override get saveDir(): string | undefined {
    return this.#run.dir;
  }

  override logMetrics(metrics: Metrics, step?: number): void {
    this.#log(metrics, step);
  }

  override logHyperparams(params: Record<string, unknown>): void {
    this.experiment.config.update(params);
  }

  /** Logs histograms of a model's gradients, parameters or both while it is trained. */
  watch(model: nn.Module, options: WatchOptions = {}): void {
    this.#watching.push(...watch(this.experiment, model, options));
  }

  /** Ends what {@link watch} began. */
  unwatch(): void {
    for (const handle of this.#watching) handle.remove();
    this.#watching = [];
  }

  /** Logs a table. Its cells are what JSON has. */
  logTable(key: string, options: LogTableOptions): void {
    const { columns, data, step } = options;
    this.#log({ [key]: storeTable(this.experiment.mediaStore, key, columns, data) }, step);
  }

  /** Logs texts as a table. */
  logText(key: string, options: LogTableOptions): void {
    this.logTable(key, options);
  }

  /** Logs images: `(C, H, W)` or `(H, W)`, with floats from 0 to 1 or bytes from 0 to 255, or the paths of files. */
  logImage(key: string, images: readonly Medium[], options: LogMediaOptions = {}): void {
    checkLengths("logImage", images, options);
    const { step, caption } = options;
    this.#log({ [key]: storeImages(this.experiment.mediaStore, key, images, caption) }, step);
  }

  /**
   * Logs sounds of one channel with values from -1 to 1, or the paths of files.
   *
   * @param options `sampleRate` has the sample rate of each sound; those that are tensors need one
   */
  logAudio(
    key: string,
    audios: readonly Medium[],
    options: LogMediaOptions & { sampleRate?: readonly number[] } = {},
  ): void {
    checkLengths("logAudio", audios, options);
    const { step, caption, sampleRate } = options;
    this.#log({ [key]: storeAudios(this.experiment.mediaStore, key, audios, caption, sampleRate) }, step);
  }

  /**
   * Logs videos: `(T, C, H, W)` with floats from 0 to 1 or bytes from 0 to 255, which become GIFs, or the paths of files.
   *
   * @param options `fps` has the frames per second of each video. Default: 4
   */
  logVideo(
    key: string,
    videos: readonly Medium[],
    options: LogMediaOptions & { fps?: readonly number[] } = {},
  ): void {
    checkLengths("logVideo", videos, options);
    const { step, caption, fps } = options;
    this.#log({ [key]: storeVideos(this.experiment.mediaStore, key, videos, caption, fps) }, step);
  }

  override finalize(_status: LoggerStatus): void {
    this.#experiment?.flush();
  }

  #log(values: Record<string, unknown>, step?: number): void {
    const prefixed = addPrefix(values, this.#prefix);
    this.experiment.log(step === undefined ? prefixed : { ...prefixed, "trainer/global_step": step });
  }
}

function checkLengths(method: string, media: readonly Medium[], options: object): void {
  if (!Array.isArray(media)) throw new ArgumentError(`${method}: takes an array, also of a single one.`);
  for (const [name, list] of Object.entries(options)) {
    if (Array.isArray(list) && list.length !== media.length)
      throw new ArgumentError(
        `${method}: ${name} must have a value for each of the ${media.length} given, got ${list.length}.`,
      );
  }
}
