import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, parse } from "node:path";
import { Tensor } from "@levin/torch";
import type { Checkpoint } from "../callbacks/checkpoint.js";
import { ModelCheckpoint } from "../callbacks/model-checkpoint.js";
import { MisconfigurationError } from "../errors.js";
import { note, warn, warnOnce } from "../messages.js";
import { yaml } from "../yaml.js";
import { flattenHyperparameters } from "./hyperparameters.js";
import { addPrefix, Logger, type LoggerStatus, type Metrics } from "./logger.js";
import { MlflowClient, resolveTags } from "./mlflow/client.js";

/** What {@link MLFlowLogger} may be told. */
export interface MLFlowLoggerOptions {
  /** Default: `"lightning_logs"`. */
  experimentName?: string;
  /** The name of a new run, kept as its tag `mlflow.runName`. Default: one that MLflow makes up. */
  runName?: string | null;
  /** The address of a tracking server, or `file:` and a folder. Default: `MLFLOW_TRACKING_URI` of the environment, else `file:` and `saveDir`. */
  trackingUri?: string | null;
  /** Tags of a new run. Default: none. */
  tags?: Record<string, unknown> | null;
  /** The folder of runs, where there is no `trackingUri`. Default: `"./mlruns"`. */
  saveDir?: string | null;
  /** Whether checkpoints become artifacts: those that are kept at the end of the run, or (`"all"`) each when it is saved. Default: false. */
  logModel?: boolean | "all";
  /** Put before the names of metrics, with a dash. Default: none. */
  prefix?: string;
  /** Where a new experiment keeps its artifacts. Default: the server decides. */
  artifactLocation?: string | null;
  /** A run to go on with. Default: a new one. */
  runId?: string | null;
  /** Whether each call waits for the server, and throws where it fails. Default: false. */
  synchronous?: boolean | null;
}

/** How much of a parameter's value MLflow keeps. */
const LONGEST_VALUE = 250;
/** As many parameters fit into a request. */
const MOST_PARAMS = 100;

/**
 * Logs to MLflow: to a tracking server by its REST API, or to files as MLflow's file store has them.
 *
 * ```ts
 * const logger = new MLFlowLogger({ experimentName: "digits", trackingUri: "http://localhost:5000" });
 * ```
 *
 * Metrics and artifacts are sent in the background, up to 1000 metrics in a request. A server that does not answer costs a warning and no
 * more than metrics; only at the start, when the experiment and the run are made and hyperparameters are logged, it is an error.
 *
 * @see https://lightning.ai/docs/pytorch/stable/extensions/generated/lightning.pytorch.loggers.MLFlowLogger.html
 */
export class MLFlowLogger extends Logger {
  /** The tags of a new run. */
  tags: Record<string, unknown> | null;
  readonly #client: MlflowClient;
  readonly #experimentName: string;
  readonly #runName: string | null;
  readonly #logModel: boolean | "all";
  readonly #prefix: string;
  readonly #artifactLocation: string | null;
  readonly #synchronous: boolean;
  #run: { id: string; experimentId: string } | null = null;
  readonly #givenRunId: string | null;
  /** The checkpoints to be logged at the end of the run. */
  #checkpointCallback: Checkpoint | null = null;
  /** When the checkpoints that were logged were written, by path. */
  readonly #loggedTimes = new Map<string, number>();

  /** @throws ArgumentError where the tracking URI is of a kind that only MLflow's Python client knows */
  constructor(options: MLFlowLoggerOptions = {}) {
    super();
    const { experimentName = "lightning_logs", saveDir = "./mlruns", logModel = false } = options;
    if (![true, false, "all"].includes(logModel)) {
      throw new MisconfigurationError(
        `MLFlowLogger: logModel must be true, false or "all", got ${String(logModel)}.`,
      );
    }
    const trackingUri =
      options.trackingUri === undefined ? process.env.MLFLOW_TRACKING_URI : options.trackingUri;
    this.#client = new MlflowClient(trackingUri || `file:${saveDir}`);
    this.#experimentName = experimentName;
    this.#runName = options.runName ?? null;
    this.tags = options.tags ?? null;
    this.#logModel = logModel;
    this.#prefix = options.prefix ?? "";
    this.#artifactLocation = options.artifactLocation ?? null;
    this.#givenRunId = options.runId ?? null;
    this.#synchronous = options.synchronous ?? false;
  }

  /** What talks to MLflow. The first time, the experiment is made where there is none, and the run. */
  get experiment(): MlflowClient {
    void this.#started;
    return this.#client;
  }

  get runId(): string {
    return this.#started.id;
  }

  get experimentId(): string {
    return this.#started.experimentId;
  }

  /** The experiment's id. */
  get name(): string {
    return this.experimentId;
  }

  /** The run's id. */
  get version(): string {
    return this.runId;
  }

  /** The folder of the runs, where there is no server. */
  override get saveDir(): string | undefined {
    const { trackingUri } = this.#client;
    return trackingUri.startsWith("file:") ? trackingUri.slice("file:".length) : undefined;
  }

  override logHyperparams(params: Record<string, unknown>): void {
    const entries = Object.entries(flattenHyperparameters(params)).map(([key, value]) => ({
      key,
      value: String(value).slice(0, LONGEST_VALUE),
    }));
    for (let i = 0; i < entries.length; i += MOST_PARAMS) {
      this.experiment.logBatch(
        this.runId,
        { params: entries.slice(i, i + MOST_PARAMS) },
        { synchronous: true },
      );
    }
  }

  override logMetrics(metrics: Metrics, step?: number): void {
    const timestamp = Date.now();
    const list = Object.entries(addPrefix(metrics, this.#prefix)).map(([name, value]) => ({
      key: metricName(name),
      value,
      timestamp,
      step: step ?? 0,
    }));
    this.experiment.logBatch(this.runId, { metrics: list }, { synchronous: this.#synchronous });
  }

  override async finalize(status: LoggerStatus): Promise<void> {
    if (!this.#run) return;
    if (this.#checkpointCallback) this.#logCheckpoints(this.#checkpointCallback);
    this.#client.setTerminated(this.runId, { status: status === "failed" ? "FAILED" : "FINISHED" });
    await this.#client.settle();
  }

  override afterSaveCheckpoint(checkpointCallback: Checkpoint): void {
    if (this.#logModel === false) return;
    const savesAll = checkpointCallback instanceof ModelCheckpoint && checkpointCallback.saveTopK === -1;
    if (this.#logModel === "all" || savesAll) this.#logCheckpoints(checkpointCallback);
    else this.#checkpointCallback = checkpointCallback;
  }

  /** The run that is logged to. */
  get #started(): { id: string; experimentId: string } {
    this.#run ??= this.#start();
    return this.#run;
  }

  #start(): { id: string; experimentId: string } {
    const client = this.#client;
    if (this.#givenRunId !== null) {
      const run = client.getRun(this.#givenRunId);
      return { id: run.run_id, experimentId: run.experiment_id };
    }
    const known = client.getExperimentByName(this.#experimentName);
    let experimentId = known?.lifecycle_stage === "deleted" ? undefined : known?.experiment_id;
    if (experimentId === undefined) {
      note(`MLFlowLogger: the experiment ${this.#experimentName} is not there yet: it is made.`);
      experimentId = client.createExperiment(this.#experimentName, {
        artifactLocation: this.#artifactLocation,
      });
    }
    if (this.#runName !== null) {
      if (this.tags && "mlflow.runName" in this.tags)
        warn(`MLFlowLogger: runName ${this.#runName} takes the place of the tag mlflow.runName.`);
      this.tags = { ...this.tags, "mlflow.runName": this.#runName };
    }
    return {
      id: client.createRun(experimentId, { tags: resolveTags(this.tags ?? {}) }).run_id,
      experimentId,
    };
  }

  #logCheckpoints(callback: Checkpoint): void {
    for (const { path, time, score } of newCheckpoints(callback, this.#loggedTimes)) {
      const metadata = { Checkpoint: settingsOf(callback), original_filename: basename(path), score };
      const aliases = path === callback.bestModelPath ? "['latest', 'best']" : "['latest']";
      const folder = parse(path).name;
      this.experiment.logArtifact(this.runId, path, folder);
      const temporary = mkdtempSync(join(tmpdir(), "levin-"));
      try {
        for (const [name, text] of [
          ["metadata.yaml", yaml().stringify(metadata)],
          ["aliases.txt", aliases],
        ] as const) {
          writeFileSync(join(temporary, name), text);
          this.experiment.logArtifact(this.runId, join(temporary, name), folder);
        }
      } finally {
        rmSync(temporary, { recursive: true });
      }
      this.#loggedTimes.set(path, time);
    }
  }
}

/** The name without what MLflow does not allow in it. */
function metricName(name: string): string {
  const allowed = name.replace(/[^a-zA-Z0-9_/. -]+/g, "");
  if (allowed !== name)
    warnOnce(
      `MLFlowLogger: names of metrics have letters, digits and _ / . - only: ${name} is logged as ${allowed}.`,
    );
  return allowed;
}

/** The files that a callback keeps and that were not logged since they were written, the oldest first. */
function newCheckpoints(callback: Checkpoint, loggedTimes: ReadonlyMap<string, number>) {
  const scores = new Map<string, unknown>([[callback.bestModelPath, callback.bestModelScore]]);
  if (callback instanceof ModelCheckpoint) {
    scores.set(callback.lastModelPath, callback.currentScore);
    scores.set(callback.bestModelPath, callback.bestModelScore);
    for (const [path, score] of Object.entries(callback.bestKModels)) scores.set(path, score);
  }
  return [...scores]
    .flatMap(([path, score]) => {
      const file = path === "" ? undefined : statSync(path, { throwIfNoEntry: false });
      if (!file?.isFile()) return [];
      return [{ path, time: file.mtimeMs, score: score instanceof Tensor ? score.item() : null }];
    })
    .filter(({ path, time }) => time > (loggedTimes.get(path) ?? Number.NEGATIVE_INFINITY))
    .sort((a, b) => a.time - b.time);
}

/** What a callback was told, by Lightning's names. */
function settingsOf(callback: Checkpoint): Record<string, unknown> {
  if (!(callback instanceof ModelCheckpoint)) return {};
  return {
    _every_n_train_steps: callback.everyNTrainSteps,
    mode: callback.mode,
    monitor: callback.monitor,
    save_last: callback.saveLast,
    save_top_k: callback.saveTopK,
    save_weights_only: callback.saveWeightsOnly,
  };
}
