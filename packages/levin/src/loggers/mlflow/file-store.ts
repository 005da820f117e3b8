import { randomBytes, randomInt } from "node:crypto";
import { closeSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { LightningError } from "../../errors.js";
import { warnOnce } from "../../messages.js";
import { formatFloat } from "../../python-format.js";
import { yaml } from "../../yaml.js";
import { LogFile } from "../log-file.js";
import { Outbox } from "./outbox.js";
import type {
  MlflowBatch,
  MlflowExperiment,
  MlflowNewRun,
  MlflowRunInfo,
  MlflowRunStatus,
  MlflowStore,
} from "./store.js";

/** The numbers of the statuses in files. */
const statusNumbers: Readonly<Record<MlflowRunStatus, number>> = {
  RUNNING: 1,
  SCHEDULED: 2,
  FINISHED: 3,
  FAILED: 4,
  KILLED: 5,
};
/** The number of a source that is a program of the user's. */
const LOCAL_SOURCE = 4;

type Meta = Record<string, unknown>;

/**
 * Runs in a folder, as MLflow's file store keeps them: a file for each metric, parameter and tag.
 *
 * @see https://mlflow.org/docs/latest/self-hosting/architecture/backend-store/
 */
export class FileStore implements MlflowStore {
  readonly #root: string;
  readonly #metricFiles = new Map<string, LogFile>();
  readonly #outbox = new Outbox(
    (_, failure) => {
      if (failure) warnOnce(`MLFlowLogger: ${failure.message}. The artifact is lost; training goes on.`);
    },
    () => {},
  );

  /** @param uri `file:` and a path */
  constructor(uri: string) {
    this.#root = uri.startsWith("file://") ? fileURLToPath(uri) : resolve(uri.replace(/^file:/, ""));
  }

  getExperimentByName(name: string): MlflowExperiment | null {
    for (const id of existsSync(this.#root) ? readdirSync(this.#root) : []) {
      const file = join(this.#root, id, "meta.yaml");
      if (!existsSync(file)) continue;
      const meta = readMeta(file);
      if (meta.name === name) return { ...meta, experiment_id: id } as unknown as MlflowExperiment;
    }
    return null;
  }

  createExperiment(name: string, artifactLocation: string | null): string {
    const id = String(randomInt(1e14, 2.8e14)) + String(randomInt(1000)).padStart(3, "0");
    const now = Date.now();
    this.#writeMeta(join(this.#root, id), {
      artifact_location: artifactLocation ?? pathToFileURL(join(this.#root, id)).href,
      creation_time: now,
      experiment_id: id,
      last_update_time: now,
      lifecycle_stage: "active",
      name,
    });
    return id;
  }

  createRun(experimentId: string, run: MlflowNewRun): MlflowRunInfo {
    const id = randomBytes(16).toString("hex");
    const name = run.runName ?? `run-${id.slice(0, 8)}`;
    const experiment = readMeta(join(this.#root, experimentId, "meta.yaml"));
    const folder = join(this.#root, experimentId, id);
    for (const part of ["metrics", "params", "tags", "artifacts"]) {
      mkdirSync(join(folder, part), { recursive: true });
    }
    this.#writeMeta(folder, {
      artifact_uri: `${experiment.artifact_location}/${id}/artifacts`,
      end_time: null,
      entry_point_name: "",
      experiment_id: experimentId,
      lifecycle_stage: "active",
      run_id: id,
      run_name: name,
      source_name: "",
      source_type: LOCAL_SOURCE,
      source_version: "",
      start_time: run.startTime,
      status: statusNumbers.RUNNING,
      tags: [],
      user_id: run.userId,
    });
    const tags = [
      ...run.tags.filter(({ key }) => key !== "mlflow.runName"),
      { key: "mlflow.runName", value: name },
    ];
    this.logBatch(id, { tags });
    return this.getRun(id);
  }

  getRun(runId: string): MlflowRunInfo {
    const meta = readMeta(join(this.#folder(runId), "meta.yaml"));
    const status = Object.entries(statusNumbers).find(([, number]) => number === meta.status)?.[0];
    return { ...meta, status } as unknown as MlflowRunInfo;
  }

  logBatch(runId: string, { metrics = [], params = [], tags = [] }: MlflowBatch): void {
    const folder = this.#folder(runId);
    for (const { key, value, timestamp, step } of metrics) {
      const path = this.#inside(folder, "metrics", key);
      let file = this.#metricFiles.get(path);
      if (!file) {
        file = new LogFile(path);
        this.#metricFiles.set(path, file);
      }
      file.append(`${timestamp} ${formatFloat(value)} ${step}\n`);
    }
    for (const { key, value } of params) {
      const path = this.#inside(folder, "params", key);
      if (existsSync(path) && readFileSync(path, "utf8") !== value) {
        throw new LightningError(
          `MLFlowLogger: the parameter ${key} of the run ${runId} has another value already, and MLflow's parameters do not change.`,
        );
      }
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, value);
    }
    for (const { key, value } of tags) {
      const path = this.#inside(folder, "tags", key);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, value);
    }
  }

  updateRun(runId: string, status: MlflowRunStatus, endTime: number): void {
    const folder = this.#folder(runId);
    const meta = readMeta(join(folder, "meta.yaml"));
    this.#writeMeta(folder, { ...meta, status: statusNumbers[status], end_time: endTime });
  }

  logArtifact(runId: string, file: number, path: string): void {
    const root = this.getRun(runId).artifact_uri;
    if (!root.startsWith("file:")) {
      closeSync(file);
      warnOnce(`MLFlowLogger: artifacts cannot be stored in ${root}, only in the local file system.`);
      return;
    }
    this.#outbox.post({ kind: "copy", file, path: join(fileURLToPath(root), path) });
  }

  async settle(): Promise<void> {
    for (const file of this.#metricFiles.values()) file.close();
    this.#metricFiles.clear();
    await this.#outbox.settle();
    this.#outbox.close();
  }

  readonly #folders = new Map<string, string>();

  #folder(runId: string): string {
    let folder = this.#folders.get(runId);
    if (folder !== undefined) return folder;
    const experiments = existsSync(this.#root) ? readdirSync(this.#root) : [];
    folder = experiments
      .map((experiment) => join(this.#root, experiment, runId))
      .find((each) => existsSync(join(each, "meta.yaml")));
    if (folder === undefined || runId === "") {
      throw new LightningError(`MLFlowLogger: there is no run ${JSON.stringify(runId)} in ${this.#root}.`);
    }
    this.#folders.set(runId, folder);
    return folder;
  }

  /** The file of a metric, parameter or tag; a name must not lead out of the folder. */
  #inside(folder: string, kind: string, key: string): string {
    const path = join(folder, kind, key);
    if (key === "" || !path.startsWith(`${join(folder, kind)}/`)) {
      throw new LightningError(`MLFlowLogger: ${JSON.stringify(key)} cannot be a name in MLflow's files.`);
    }
    return path;
  }

  #writeMeta(folder: string, meta: Meta): void {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "meta.yaml"), yaml().stringify(meta, { sortMapEntries: true }));
  }
}

function readMeta(file: string): Meta {
  return yaml().parse(readFileSync(file, "utf8")) as Meta;
}
