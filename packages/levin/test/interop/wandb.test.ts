import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { gunzipSync } from "node:zlib";
import * as torch from "@levin/torch";
import { nn, optim, type Tensor } from "@levin/torch";
import { LightningModule, setQuiet, Trainer, WandbLogger } from "levin";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runProgram } from "../child.js";
import { loggersPython } from "./python.js";

type Row = Record<string, unknown>;

/** What `wandb sync` has sent of a run. */
interface Upload {
  run: Record<string, unknown>;
  history: Row[];
  summary: Row;
  config: Record<string, { value: unknown }>;
  exitCode: number | null;
  files: Record<string, Buffer>;
}

const folder = mkdtempSync(join(tmpdir(), "levin-"));
const uploads: Record<string, Upload> = {};
let server: Server;
let address = "";

/** W&B's JSON has NaN as Python's. */
const parse = (line: string): Row => JSON.parse(line.replaceAll(":NaN", ':"NaN"'));

/** As much of W&B's server as an upload of runs needs. */
async function startServer(): Promise<void> {
  const uploadOf = (run: string) => {
    uploads[run] ??= { run: {}, history: [], summary: {}, config: {}, exitCode: null, files: {} };
    return uploads[run]!;
  };
  const graphql = (query: string, variables: Record<string, string>): object => {
    if (query.includes("upsertBucket")) {
      const { name, project, entity, config } = variables as {
        name: string;
        project: string;
        entity: string;
        config?: string;
      };
      const upload = uploadOf(name);
      for (const [key, value] of Object.entries(variables)) if (value !== null) upload.run[key] = value;
      if (config) upload.config = JSON.parse(config);
      const bucket = {
        id: "1",
        name,
        displayName: name,
        project: { id: "1", name: project, entity: { id: "1", name: entity ?? "e" } },
      };
      return { upsertBucket: { bucket, inserted: true } };
    }
    if (query.includes("createRunFiles")) {
      const files = (variables.files as unknown as string[]).map((name) => ({
        name,
        uploadUrl: `${address}/upload/${variables.run}/${name}`,
      }));
      return { createRunFiles: { runID: "1", uploadHeaders: [], files } };
    }
    return {};
  };
  server = createServer(async (request, response) => {
    const raw = await buffer(request);
    const body = request.headers["content-encoding"] === "gzip" ? gunzipSync(raw) : raw;
    const [, place, ...path] = decodeURI(request.url!).split("/");
    let answer: object = {};
    if (place === "graphql") {
      const { query, variables } = JSON.parse(body.toString());
      answer = { data: graphql(query, variables) };
    } else if (place === "upload") {
      uploadOf(path[0]!).files[path.slice(1).join("/")] = body;
    } else if (path.at(-1) === "file_stream") {
      const upload = uploadOf(path[2]!);
      const { files = {}, exitcode } = JSON.parse(body.toString());
      const lines = (name: string): string[] => files[name]?.content ?? [];
      for (const line of lines("wandb-history.jsonl")) upload.history.push(parse(line));
      for (const line of lines("wandb-summary.json")) upload.summary = parse(line);
      if (exitcode !== undefined) upload.exitCode = exitcode;
    }
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  address = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
}

/** Uploads all runs of a folder by W&B's own program. */
async function sync(runs: string): Promise<void> {
  const paths = readdirSync(join(runs, "wandb")).filter((name) => name.startsWith("offline-run-"));
  const child = spawn(
    loggersPython(),
    ["-m", "wandb", "sync", ...paths.map((name) => join(runs, "wandb", name))],
    {
      env: { ...process.env, WANDB_BASE_URL: address, WANDB_API_KEY: "a".repeat(40), HOME: folder },
      cwd: folder, // it writes logs there
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  const tooLong = setTimeout(() => child.kill("SIGKILL"), 120_000);
  const [code] = await once(child, "close");
  clearTimeout(tooLong);
  if (code !== 0) throw new Error(`wandb sync ended with ${code}:\n${output}`);
}

class Net extends LightningModule<Tensor> {
  readonly layer = new nn.Linear(2, 1);

  constructor() {
    super();
    this.saveHyperparameters({ lr: 0.1, nested: { name: "net", sizes: [1, 2] } });
  }

  override trainingStep(batch: Tensor, batchIdx: number): Tensor {
    this.log("train/x", batchIdx / 4);
    return this.layer.forward(batch).mean();
  }

  override validationStep(): void {
    this.log("odd", Number.NaN);
  }

  override configureOptimizers() {
    return new optim.SGD(this.parameters(), { lr: 0.1 });
  }
}

/** Rows without the times at which they were logged. */
const withoutTimes = (rows: Row[]) => rows.map(({ _timestamp, _runtime, ...row }) => row);

afterAll(() => rmSync(folder, { recursive: true }));

describe("WandbLogger", () => {
  beforeAll(async () => {
    setQuiet(true);
    await startServer();

    const net = new Net();
    const logger = new WandbLogger({
      name: "first",
      id: "trained",
      project: "digits",
      entity: "team",
      group: "g",
      jobType: "train",
      tags: ["a", "b"],
      notes: "a note",
      config: { seed: 1 },
      prefix: "p",
      saveDir: folder,
      offline: true,
    });
    logger.watch(net, { log: "all", logFreq: 2 });
    const trainer = new Trainer({
      accelerator: "cpu",
      maxEpochs: 1,
      logger,
      logEveryNSteps: 1,
      enableCheckpointing: false,
      enableProgressBar: false,
      enableModelSummary: false,
    });
    await trainer.fit(net, {
      trainDataloaders: new Set([torch.ones([2, 2]), torch.ones([2, 2])]),
      valDataloaders: new Set([torch.ones([2, 2])]),
    });
    logger.experiment.summary.update({ best: 3 });
    logger.experiment.finish();

    const media = new WandbLogger({ id: "media", saveDir: folder, offline: true });
    const image = torch.zeros([3, 4, 5]);
    media.logImage("group/image", [image, image.add(1)], { step: 7, caption: ["black", "white"] });
    media.logAudio("sound", [torch.zeros([1, 100])], { sampleRate: [8000] });
    media.logVideo("video", [torch.zeros([2, 3, 4, 5])], { caption: ["dark"] });
    media.logTable("table", {
      columns: ["a", "b"],
      data: [
        ["x", 1],
        ["y", Number.NaN],
      ],
    });
    media.logText("text", { columns: ["t"], data: [["ä"]] });
    media.experiment.finish();

    for (const [id, end] of [
      ["left", "process.exit(3)"],
      ["thrown", "throw new Error('oops')"],
    ]) {
      const program = `
        import { WandbLogger } from "levin";
        const logger = new WandbLogger({ id: "${id}", saveDir: ${JSON.stringify(folder)}, offline: true });
        for (let i = 0; i < 3000; i++) logger.logMetrics({ x: i }, i);
        ${end};
      `;
      await runProgram(program);
    }
    await sync(folder);
  });
  afterAll(() => server.close());

  it("writes what W&B's own program uploads: the run, its configuration and metrics", () => {
    const { run, history, summary, config, exitCode } = uploads.trained!;
    expect(run).toMatchObject({
      project: "digits",
      entity: "team",
      displayName: "first",
      groupName: "g",
      jobType: "train",
      notes: "a note",
      tags: ["a", "b"],
    });
    expect(config).toMatchObject({
      seed: { value: 1 },
      lr: { value: 0.1 },
      nested: { value: { name: "net", sizes: [1, 2] } },
    });
    const histogram = { _type: "histogram", values: expect.anything(), bins: expect.anything() };
    const watched = Object.fromEntries(
      [
        "gradients/layer.weight",
        "gradients/layer.bias",
        "parameters/layer.weight",
        "parameters/layer.bias",
      ].map((name) => [name, histogram]),
    );
    expect(withoutTimes(history)).toEqual([
      { _step: 0, "p-train/x": 0, "p-epoch": 0, "trainer/global_step": 0, ...watched },
      { _step: 1, "p-train/x": 0.25, "p-epoch": 0, "trainer/global_step": 1 },
      { _step: 2, "p-odd": "NaN", "p-epoch": 0, "trainer/global_step": 1 },
    ]);
    expect(summary).toMatchObject({ "p-train/x": 0.25, "trainer/global_step": 1, best: 3 });
    expect(exitCode).toBe(0);
  });

  it("writes images, sounds, videos and tables", () => {
    const { history, files } = uploads.media!;
    const rows = withoutTimes(history) as Record<string, Record<string, unknown>>[];
    const paths = Object.keys(files).filter((path) => path.startsWith("media/"));
    const images = rows[0]!["group/image"]!;
    expect(rows[0]!["trainer/global_step"]).toBe(7);
    expect(images).toMatchObject({
      _type: "images/separated",
      width: 5,
      height: 4,
      format: "png",
      count: 2,
      captions: ["black", "white"],
    });
    const [sound] = rows[1]!.sound!.audio as { path: string }[];
    const [video] = rows[2]!.video!.videos as { path: string; caption: string }[];
    expect([rows[1]!.sound!.durations, video!.caption]).toEqual([[0.0125], "dark"]);
    const { path, ...table } = rows[3]!.table! as { path: string };
    expect(table).toMatchObject({ _type: "table-file", ncols: 2, nrows: 2 });
    expect(files[path]!.toString()).toBe('{"columns":["a","b"],"data":[["x",1],["y",NaN]]}');
    const text = rows[4]!.text!.path as string;
    const all = [...(images.filenames as string[]), sound!.path, video!.path, path, text];
    expect(paths.sort()).toEqual(all.sort());
    const [first] = images.filenames as [string];
    expect(files[first]!.subarray(1, 4).toString()).toBe("PNG");
  });

  it("keeps what was logged, and with what code the program ended", () => {
    for (const [id, code] of [
      ["left", 3],
      ["thrown", 1],
    ] as const) {
      const { history, exitCode } = uploads[id]!;
      expect([history.length, history.at(-1)!.x, exitCode]).toEqual([3000, 2999, code]);
    }
  });
});
