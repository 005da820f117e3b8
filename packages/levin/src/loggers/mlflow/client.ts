import { openSync } from "node:fs";
import { userInfo } from "node:os";
import { basename } from "node:path";
import { ArgumentError } from "@levin/torch";
import { FileStore } from "./file-store.js";
import { RestStore } from "./rest-store.js";
import type {
  MlflowBatch,
  MlflowExperiment,
  MlflowNewRun,
  MlflowRunInfo,
  MlflowRunStatus,
  MlflowStore,
} from "./store.js";

/**
 * Talks to an MLflow tracking server (`http://`, `https://`), or keeps runs in a folder (`file:`).
 *
 * What is logged is sent in the background; other calls wait for their answer.
 *
 * @see https://mlflow.org/docs/latest/api_reference/python_api/mlflow.client.html
 */
export class MlflowClient {
  readonly #store: MlflowStore;

  constructor(readonly trackingUri: string) {
    if (/^https?:\/\//.test(trackingUri)) this.#store = new RestStore(trackingUri);
    else if (trackingUri.startsWith("file:") || trackingUri.startsWith("/"))
      this.#store = new FileStore(trackingUri);
    else {
      throw new ArgumentError(
        `MLFlowLogger: trackingUri must begin with http://, https:// or file:, got ${JSON.stringify(trackingUri)}. ` +
          "For a database, start `mlflow server --backend-store-uri` with it and give the server's address.",
      );
    }
  }

  getExperimentByName(name: string): MlflowExperiment | null {
    return this.#store.getExperimentByName(name);
  }

  /** @returns the experiment's id */
  createExperiment(name: string, options: { artifactLocation?: string | null } = {}): string {
    return this.#store.createExperiment(name, options.artifactLocation ?? null);
  }

  createRun(
    experimentId: string,
    options: { startTime?: number; tags?: Record<string, unknown>; runName?: string } = {},
  ): MlflowRunInfo {
    const { startTime = Date.now(), tags = {}, runName } = options;
    const run: MlflowNewRun = {
      runName: runName ?? (tags["mlflow.runName"] as string | undefined),
      userId: String(tags["mlflow.user"] ?? "unknown"),
      startTime,
      tags: entriesOf(tags),
    };
    return this.#store.createRun(experimentId, run);
  }

  getRun(runId: string): MlflowRunInfo {
    return this.#store.getRun(runId);
  }

  /**
   * Logs metrics, parameters and tags together.
   *
   * @param options `synchronous` (default false): waits for the server, and throws where it doesn't take them
   */
  logBatch(runId: string, batch: MlflowBatch, options: { synchronous?: boolean } = {}): void {
    this.#store.logBatch(runId, batch, options.synchronous ?? false);
  }

  logMetric(
    runId: string,
    key: string,
    value: number,
    options: { timestamp?: number; step?: number } = {},
  ): void {
    const { timestamp = Date.now(), step = 0 } = options;
    this.logBatch(runId, { metrics: [{ key, value, timestamp, step }] });
  }

  logParam(runId: string, key: string, value: unknown): void {
    this.logBatch(runId, { params: entriesOf({ [key]: value }) });
  }

  setTag(runId: string, key: string, value: unknown): void {
    this.logBatch(runId, { tags: entriesOf({ [key]: value }) });
  }

  /**
   * Stores a file among the artifacts of a run. It is read in the background; removing or replacing it meanwhile does no harm.
   *
   * @param artifactPath the folder among the artifacts; default: none
   */
  logArtifact(runId: string, localPath: string, artifactPath = ""): void {
    const path = artifactPath === "" ? basename(localPath) : `${artifactPath}/${basename(localPath)}`;
    this.#store.logArtifact(runId, openSync(localPath, "r"), path);
  }

  /** Ends a run. */
  setTerminated(runId: string, options: { status?: MlflowRunStatus; endTime?: number } = {}): void {
    const { status = "FINISHED", endTime = Date.now() } = options;
    this.#store.updateRun(runId, status, endTime);
  }

  /** Waits until all that was logged is stored. */
  settle(): Promise<void> {
    return this.#store.settle();
  }
}

/** Tags that tell where a run comes from, with those that were given. */
export function resolveTags(tags: Record<string, unknown>): Record<string, unknown> {
  return {
    "mlflow.user": userName(),
    "mlflow.source.name": process.argv[1] ?? process.execPath,
    "mlflow.source.type": "LOCAL",
    ...tags,
  };
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return "unknown"; // a user without a name, as in containers
  }
}

function entriesOf(values: Record<string, unknown>) {
  return Object.entries(values).map(([key, value]) => ({ key, value: String(value) }));
}
