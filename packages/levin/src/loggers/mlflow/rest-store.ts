import { closeSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { LightningError } from "../../errors.js";
import { warn, warnOnce } from "../../messages.js";
import { type Failure, type Job, Outbox, OutboxError, type RequestJob } from "./outbox.js";
import type {
  MlflowBatch,
  MlflowExperiment,
  MlflowMetric,
  MlflowNewRun,
  MlflowRunInfo,
  MlflowRunStatus,
  MlflowStore,
} from "./store.js";

/** How long metrics wait for others to be sent together, in milliseconds. */
const DELAY = 200;
/** As many metrics fit into a request. */
const MOST_IN_BATCH = 1000;
/** As many metrics are kept while the server doesn't take them; then the oldest are lost. */
const MOST_PENDING = 100_000;
/** How long it is waited before a server that did not answer is asked again, in milliseconds. */
const PAUSE = 5000;

/** Runs on a tracking server, by MLflow's REST API. Metrics and artifacts are sent in the background. */
export class RestStore implements MlflowStore {
  readonly #server: string;
  readonly #headers: Record<string, string>;
  readonly #outbox = new Outbox(
    (job, failure) => this.#onAnswer(job, failure),
    () => this.#sendAll(),
  );
  #pending: { runId: string; metric: MlflowMetric }[] = [];
  /** What was sent of the metrics, to be sent again where the server doesn't take it. */
  readonly #sent = new Map<Job, { runId: string; metric: MlflowMetric }[]>();
  #timer: NodeJS.Timeout | undefined;
  /** Where the artifacts of runs are, asked for when the run begins and not while it is trained. */
  readonly #artifactRoots = new Map<string, string>();

  constructor(trackingUri: string) {
    this.#server = trackingUri.replace(/\/+$/, "");
    this.#headers = { "content-type": "application/json", ...authorization() };
  }

  getExperimentByName(name: string): MlflowExperiment | null {
    try {
      const answer = this.#send("GET", `experiments/get-by-name?experiment_name=${encodeURIComponent(name)}`);
      return (answer as { experiment: MlflowExperiment }).experiment;
    } catch (error) {
      if (error instanceof OutboxError && error.failure.code === "RESOURCE_DOES_NOT_EXIST") return null;
      throw error;
    }
  }

  createExperiment(name: string, artifactLocation: string | null): string {
    const body = { name, ...(artifactLocation === null ? {} : { artifact_location: artifactLocation }) };
    return (this.#send("POST", "experiments/create", body) as { experiment_id: string }).experiment_id;
  }

  createRun(experimentId: string, run: MlflowNewRun): MlflowRunInfo {
    const answer = this.#send("POST", "runs/create", {
      experiment_id: experimentId,
      user_id: run.userId,
      run_name: run.runName,
      start_time: run.startTime,
      tags: run.tags,
    });
    return this.#known(answer);
  }

  getRun(runId: string): MlflowRunInfo {
    const answer = this.#send("GET", `runs/get?run_id=${encodeURIComponent(runId)}`);
    return this.#known(answer);
  }

  logBatch(runId: string, batch: MlflowBatch, synchronous: boolean): void {
    if (synchronous) {
      this.#sendAll();
      this.#send("POST", "runs/log-batch", batchBody(runId, batch));
      return;
    }
    const { metrics = [], params = [], tags = [] } = batch;
    for (const metric of metrics) this.#pending.push({ runId, metric });
    if (params.length + tags.length > 0)
      this.#outbox.post(this.#request("POST", "runs/log-batch", batchBody(runId, { params, tags })));
    this.#dropOldest();
    if (this.#pending.length >= MOST_IN_BATCH && this.#outbox.outstanding === 0) this.#sendSome();
    else this.#soon();
  }

  updateRun(runId: string, status: MlflowRunStatus, endTime: number): void {
    this.#sendAll();
    this.#outbox.post(this.#request("POST", "runs/update", { run_id: runId, status, end_time: endTime }));
  }

  logArtifact(runId: string, file: number, path: string): void {
    const root = this.#artifactRoots.get(runId) ?? this.getRun(runId).artifact_uri;
    const local = localPath(root);
    if (local !== null) {
      this.#outbox.post({ kind: "copy", file, path: join(local, path) });
      return;
    }
    const url = this.#uploadUrl(root);
    if (url === null) {
      closeSync(file);
      warnOnce(
        `MLFlowLogger: artifacts cannot be stored in ${root}. Start the server with \`--serve-artifacts\`, which takes them itself.`,
      );
      return;
    }
    const encoded = path.split("/").map(encodeURIComponent).join("/");
    const headers = { ...this.#headers, "content-type": "application/octet-stream" };
    this.#outbox.post({ kind: "upload", file, url: `${url}/${encoded}`, headers });
  }

  async settle(): Promise<void> {
    this.#sendAll();
    await this.#outbox.settle();
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#pending.length > 0) {
      warn(`MLFlowLogger: ${this.#pending.length} metrics are lost, as ${this.#server} did not take them.`);
      this.#pending = [];
    }
    this.#outbox.close();
  }

  #request(method: "GET" | "POST", path: string, body?: object): RequestJob {
    const url = `${this.#server}/api/2.0/mlflow/${path}`;
    return { kind: "request", method, url, headers: this.#headers, body: body && JSON.stringify(body) };
  }

  #send(method: "GET" | "POST", path: string, body?: object): unknown {
    try {
      return this.#outbox.send(this.#request(method, path, body));
    } catch (error) {
      if (!(error instanceof OutboxError) || !error.failure.passing) throw error;
      throw new LightningError(
        `MLFlowLogger: ${error.message}. Start a server with \`mlflow server\`, or give the option \`trackingUri\` the address of one.`,
        { cause: error },
      );
    }
  }

  #soon(delay = DELAY): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      if (this.#outbox.outstanding === 0) this.#sendSome();
      if (this.#pending.length > 0) this.#soon();
    }, delay).unref();
  }

  #sendAll(): void {
    while (this.#pending.length > 0) this.#sendSome();
  }

  /** Sends metrics of one run. */
  #sendSome(): void {
    const runId = this.#pending[0]?.runId;
    if (runId === undefined) return;
    let count = 1;
    while (count < MOST_IN_BATCH && this.#pending[count]?.runId === runId) count++;
    const sent = this.#pending.splice(0, count);
    const metrics = sent.map(({ metric }) => metric);
    const job = this.#request("POST", "runs/log-batch", batchBody(runId, { metrics }));
    this.#sent.set(job, sent);
    this.#outbox.post(job);
  }

  #onAnswer(job: Job, failure: Failure | null): void {
    const metrics = this.#sent.get(job);
    this.#sent.delete(job);
    if (!failure) return;
    if (metrics && failure.passing) {
      warnOnce(
        `MLFlowLogger: ${failure.message}. Metrics are kept, up to ${MOST_PENDING} of them, and sent again later; training goes on.`,
      );
      this.#pending.unshift(...metrics);
      this.#dropOldest();
      this.#soon(PAUSE);
    } else {
      warnOnce(`MLFlowLogger: ${failure.message}. What was to be logged is lost; training goes on.`);
    }
  }

  #dropOldest(): void {
    if (this.#pending.length <= MOST_PENDING) return;
    this.#pending.splice(0, MOST_PENDING / 10); // some at once, as it moves all others
    warnOnce(`MLFlowLogger: ${this.#server} is too slow; the oldest metrics that wait to be sent are lost.`);
  }

  #known(answer: unknown): MlflowRunInfo {
    const { info } = (answer as { run: { info: MlflowRunInfo } }).run;
    this.#artifactRoots.set(info.run_id, info.artifact_uri);
    return info;
  }

  /** Where artifacts are put by requests; null where they are not. */
  #uploadUrl(root: string): string | null {
    const [, scheme, host, path] = /^([\w-]+):(?:\/\/([^/]*))?(.*)$/.exec(root) ?? [];
    if (scheme === "http" || scheme === "https") return root;
    if (scheme !== "mlflow-artifacts") return null;
    const server = host ? `${new URL(this.#server).protocol}//${host}` : this.#server;
    return `${server}/api/2.0/mlflow-artifacts/artifacts/${path!.replace(/^\/+/, "")}`;
  }
}

/** The folder that an artifact root is on this machine; null where it is elsewhere. */
function localPath(root: string): string | null {
  if (root.startsWith("file:")) return fileURLToPath(root);
  return root.startsWith("/") ? root : null;
}

/** What MLflow's own client reads from the environment. */
function authorization(): Record<string, string> {
  const { MLFLOW_TRACKING_TOKEN: token, MLFLOW_TRACKING_USERNAME: user } = process.env;
  if (user !== undefined) {
    const pair = `${user}:${process.env.MLFLOW_TRACKING_PASSWORD ?? ""}`;
    return { authorization: `Basic ${Buffer.from(pair).toString("base64")}` };
  }
  return token === undefined ? {} : { authorization: `Bearer ${token}` };
}

function batchBody(runId: string, batch: MlflowBatch): object {
  // JSON has no numbers for what is not finite; protobuf's JSON has these strings
  const metrics = batch.metrics?.map((metric) =>
    Number.isFinite(metric.value) ? metric : { ...metric, value: String(metric.value) },
  );
  return { run_id: runId, ...batch, metrics };
}
