import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import * as torch from "@levin/torch";
import { nn, optim, type Tensor } from "@levin/torch";
import {
  LightningModule,
  MLFlowLogger,
  type MLFlowLoggerOptions,
  ModelCheckpoint,
  setQuiet,
  Trainer,
} from "levin";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { runProgram } from "../child.js";
import { loggersPython, runLoggersPython } from "./python.js";

interface Run {
  name: string;
  status: string;
  ended: boolean;
  metrics: Record<string, [step: number, value: string][]>;
  params: Record<string, string>;
  tags: Record<string, string>;
  artifacts: string[];
  texts: Record<string, string>;
}

class Net extends LightningModule<Tensor> {
  readonly layer = new nn.Linear(1, 1);

  constructor() {
    super();
    this.saveHyperparameters({ lr: 0.1, nested: { name: "net" }, long: "x".repeat(300) });
  }

  override trainingStep(batch: Tensor, batchIdx: number): Tensor {
    this.log("train/x", batchIdx / 4);
    return this.layer.forward(batch).mean();
  }

  override validationStep(): void {
    this.log("odd!", Number.NaN);
    this.log("far", Number.POSITIVE_INFINITY);
  }

  override configureOptimizers() {
    return new optim.SGD(this.parameters(), { lr: 0.1 });
  }
}

const folder = mkdtempSync(join(tmpdir(), "levin-"));

const fit = (logger: MLFlowLogger, checkpoint: ModelCheckpoint) =>
  new Trainer({
    accelerator: "cpu",
    maxEpochs: 2,
    logger,
    logEveryNSteps: 1,
    callbacks: checkpoint,
    defaultRootDir: folder,
    enableProgressBar: false,
    enableModelSummary: false,
  }).fit(new Net(), {
    trainDataloaders: new Set([torch.ones([2, 1]), torch.ones([2, 1])]),
    valDataloaders: new Set([torch.ones([2, 1])]),
  });

const read = async (uri: string): Promise<Record<string, Run[]>> =>
  JSON.parse(await runLoggersPython("read_mlflow.py", uri));

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  return port;
}

/** A tracking server with a new database. */
async function startServer(): Promise<[uri: string, process: ChildProcess]> {
  const port = await freePort();
  const args = ["-m", "mlflow", "server", "--host", "127.0.0.1", "--port", String(port), "--workers", "1"];
  const stores = [
    "--backend-store-uri",
    `sqlite:///${join(folder, "mlflow.db")}`,
    "--artifacts-destination",
    join(folder, "artifacts"),
  ];
  const server = spawn(loggersPython(), [...args, ...stores], {
    env: { ...process.env, MLFLOW_SERVER_ENABLE_JOB_EXECUTION: "false", MLFLOW_DISABLE_TELEMETRY: "true" },
    stdio: "ignore",
    detached: true,
  });
  const uri = `http://127.0.0.1:${port}`;
  for (let i = 0; i < 600 && server.exitCode === null; i++) {
    await wait(200);
    const answer = await fetch(`${uri}/health`).catch(() => null);
    if (answer?.ok) return [uri, server];
  }
  throw new Error("mlflow server did not start");
}

/** What is the same on a server and in files. */
function expectRun(run: Run): void {
  expect([run.name, run.status, run.ended]).toEqual(["first", "FINISHED", true]);
  expect(run.metrics).toEqual({
    "p-train/x": [
      [0, "0.0"],
      [1, "0.25"],
      [2, "0.0"],
      [3, "0.25"],
    ],
    "p-odd": [
      [1, "nan"],
      [3, "nan"],
    ],
    "p-far": expect.anything(),
    "p-epoch": expect.anything(), // a database keeps equal values once, files keep all
  });
  expect(run.params).toEqual({ lr: "0.1", "nested/name": "net", long: "x".repeat(250) });
  expect(run.tags).toMatchObject({ team: "one", "mlflow.runName": "first", "mlflow.source.type": "LOCAL" });
}

afterAll(() => rmSync(folder, { recursive: true }));

/** Ways in which a program may end without a word to its logger, with its exit code. */
const ends = [
  ["process.exit", "process.exit(3)", 3],
  ["an uncaught error", "setImmediate(() => { throw new Error('oops'); })", 1],
] as const;

describe("MLFlowLogger with a tracking server", () => {
  let uri: string;
  let server: ChildProcess;
  let experiments: Record<string, Run[]>;
  let again: { experiments: string[]; runs: string[] };
  const codes: (number | null)[] = [];

  beforeAll(async () => {
    setQuiet(true);
    [uri, server] = await startServer();
    const make = (experimentName: string, options: MLFlowLoggerOptions = {}) =>
      new MLFlowLogger({ experimentName, trackingUri: uri, ...options });

    await fit(make("plain", { runName: "first", tags: { team: "one" }, prefix: "p" }), new ModelCheckpoint());
    const best = new ModelCheckpoint({ monitor: "train/x", mode: "max", saveLast: true });
    await fit(make("model", { logModel: true }), best);
    await fit(make("all", { logModel: "all" }), new ModelCheckpoint());

    const first = make("again");
    first.logMetrics({ x: 1 }, 0);
    await first.finalize("failed");
    const next = make("again");
    const same = make("", { runId: first.version, synchronous: true });
    same.logMetrics({ x: 2 }, 1);
    const loggers = [first, next, same];
    again = { experiments: loggers.map(({ name }) => name), runs: loggers.map(({ version }) => version) };

    for (const [way, end] of ends) {
      const program = `
        import { MLFlowLogger } from "levin";
        const logger = new MLFlowLogger({ experimentName: "${way}", trackingUri: "${uri}" });
        for (let i = 0; i < 3000; i++) logger.logMetrics({ x: i }, i);
        ${end};
      `;
      codes.push((await runProgram(program)).code);
    }
    experiments = await read(uri);
    await Promise.all([next, same].map((logger) => logger.finalize("success")));
  });
  afterAll(async () => {
    process.kill(-server.pid!, "SIGTERM"); // with the processes that it has started
    if (server.exitCode === null && server.signalCode === null) await once(server, "exit");
  });

  it("logs metrics, parameters, tags and how the run ended", () => {
    const [run, ...others] = experiments.plain!;
    expect(others).toEqual([]);
    expectRun(run!);
    expect(run!.artifacts).toEqual([]);
  });

  it("logs the checkpoints that are kept at the end, with what they are", () => {
    const [{ artifacts, texts }] = experiments.model as [Run];
    expect(artifacts).toEqual([
      "epoch=0-step=2/aliases.txt",
      "epoch=0-step=2/epoch=0-step=2.ckpt",
      "epoch=0-step=2/metadata.yaml",
      "last/aliases.txt",
      "last/last.ckpt",
      "last/metadata.yaml",
    ]);
    expect(texts["epoch=0-step=2/aliases.txt"]).toBe("['latest', 'best']");
    expect(texts["last/aliases.txt"]).toBe("['latest']");
    expect(parse(texts["epoch=0-step=2/metadata.yaml"]!)).toEqual({
      Checkpoint: {
        _every_n_train_steps: 0,
        mode: "max",
        monitor: "train/x",
        save_last: true,
        save_top_k: 1,
        save_weights_only: false,
      },
      original_filename: "epoch=0-step=2.ckpt",
      score: 0.25,
    });
  });

  it("logs each checkpoint when it is saved, though it is removed later", () => {
    const [{ artifacts }] = experiments.all as [Run];
    expect(artifacts.filter((path) => path.endsWith(".ckpt"))).toEqual([
      "epoch=0-step=2/epoch=0-step=2.ckpt",
      "epoch=1-step=4/epoch=1-step=4.ckpt",
    ]);
  });

  it("finds its experiment again, and goes on with a run", () => {
    const [experiment, run] = [again.experiments[0], again.runs[0]];
    expect(again.experiments).toEqual([experiment, experiment, experiment]);
    expect([again.runs[1] === run, again.runs[2] === run]).toEqual([false, true]);
    expect(experiments.again!.map(({ status, metrics }) => [status, metrics.x])).toEqual([
      ["RUNNING", undefined],
      [
        "FAILED",
        [
          [0, "1.0"],
          [1, "2.0"],
        ],
      ],
    ]);
  });

  for (const [i, [way, , code]] of ends.entries()) {
    it(`sends what was logged when the program ends by ${way}`, () => {
      expect(codes[i]).toBe(code);
      const [{ metrics }] = experiments[way] as [Run];
      expect([metrics.x!.length, metrics.x!.at(-1)]).toEqual([3000, [2999, "2999.0"]]);
    });
  }
});

describe("MLFlowLogger with files", () => {
  it("writes what MLflow reads", async () => {
    const saveDir = join(folder, "mlruns");
    const logger = new MLFlowLogger({
      experimentName: "files",
      runName: "first",
      tags: { team: "one" },
      prefix: "p",
      saveDir,
      trackingUri: null,
      logModel: true,
    });
    expect(logger.saveDir).toBe(saveDir);
    await fit(logger, new ModelCheckpoint());
    const { files } = await read(`file:${saveDir}`);
    expect(files!.length).toBe(1);
    expectRun(files![0]!);
    expect(files![0]!.metrics["p-far"]).toEqual([
      [1, "inf"],
      [3, "inf"],
    ]);
    expect(files![0]!.artifacts).toEqual([
      "epoch=1-step=4/aliases.txt",
      "epoch=1-step=4/epoch=1-step=4.ckpt",
      "epoch=1-step=4/metadata.yaml",
    ]);
  });
});
