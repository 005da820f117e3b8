import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as torch from "@levin/torch";
import { nn, optim, type Tensor } from "@levin/torch";
import {
  AsyncCheckpointIO,
  type Checkpoint,
  ConsoleLogger,
  CSVLogger,
  JSONLLogger,
  LightningModule,
  type Logger,
  ModelCheckpoint,
  SummaryWriter,
  setQuiet,
  TensorBoardLogger,
  Trainer,
  type TrainerOptions,
  WandbLogger,
} from "levin";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { runProgram } from "./child.js";
import { folder, useFolder } from "./folder.js";
import { quietTrainer } from "./quiet-trainer.js";

beforeAll(() => setQuiet(true));
useFolder();

class Net extends LightningModule<Tensor> {
  readonly layer = new nn.Linear(1, 1);

  constructor() {
    super();
    this.saveHyperparameters({ lr: 0.1, sizes: [1, 2], nested: { name: "net" } });
  }

  override trainingStep(batch: Tensor, batchIdx: number): Tensor {
    this.log("x", batchIdx / 4);
    return this.layer.forward(batch).mean();
  }

  override validationStep(): void {
    this.log("v", 1);
  }

  override configureOptimizers() {
    return new optim.SGD(this.parameters(), { lr: 0.1 });
  }
}

const batches = (count: number) => new Set(Array.from({ length: count }, () => torch.ones([2, 1])));

const fit = (logger: Logger | Logger[] | boolean, options: TrainerOptions = {}) =>
  quietTrainer({ logger, logEveryNSteps: 1, defaultRootDir: folder, ...options }).fit(new Net(), {
    trainDataloaders: batches(2),
    valDataloaders: batches(1),
  });

for (const make of [CSVLogger, JSONLLogger, TensorBoardLogger]) {
  describe(make.name, () => {
    it("gives each run a version after the highest that is there", async () => {
      mkdirSync(join(folder, "runs", "version_7"), { recursive: true });
      mkdirSync(join(folder, "runs", "version_x"));
      const first = new make(folder, { name: "runs" });
      expect([first.name, first.version, first.logDir]).toEqual([
        "runs",
        8,
        join(folder, "runs", "version_8"),
      ]);
      await fit(first);
      expect(new make(folder, { name: "runs" }).version).toBe(9);
    });

    it("takes a version's name for the folder, and no name for none", () => {
      const named = new make(folder, { name: "runs", version: "mine" });
      expect(named.logDir).toBe(join(folder, "runs", "mine"));
      expect(new make(folder, { name: "", version: 3 }).logDir).toBe(join(folder, "version_3"));
      expect(new make(folder, { name: null }).rootDir).toBe(folder);
    });

    it("makes no folder before something is logged", () => {
      const logger = new make(folder, { name: "runs" });
      expect([logger.version, existsSync(join(folder, "runs"))]).toEqual([0, false]);
    });

    it("keeps hyperparameters as YAML", async () => {
      const logger = new make(folder);
      await fit(logger);
      expect(readFileSync(join(logger.logDir, "hparams.yaml"), "utf8")).toBe(
        "lr: 0.1\nnested:\n  name: net\nsizes:\n- 1\n- 2\n",
      );
    });
  });
}

describe("CSVLogger", () => {
  it("writes a column for each metric, and a row for each step and epoch", async () => {
    const logger = new CSVLogger(folder);
    await fit(logger);
    expect(readFileSync(join(logger.logDir, "metrics.csv"), "utf8")).toBe(
      "epoch,step,v,x\r\n0,0,,0.0\r\n0,1,,0.25\r\n0,1,1.0,\r\n",
    );
  });

  it("adds columns when new metrics come", () => {
    const logger = new CSVLogger(folder, { prefix: "p" });
    logger.logMetrics({ b: 1.5 }, 0);
    logger.save();
    logger.finalize("success");
    logger.logMetrics({ a: Number.NaN, "c,d": Number.NEGATIVE_INFINITY }, 1);
    logger.finalize("success");
    expect(readFileSync(join(logger.logDir, "metrics.csv"), "utf8")).toBe(
      'p-a,p-b,"p-c,d",step\r\n,1.5,,0\r\nnan,,-inf,1\r\n',
    );
  });
});

describe("TensorBoardLogger", () => {
  it("is the default logger, in lightning_logs of the trainer's folder", async () => {
    await fit(true);
    expect(
      readdirSync(join(folder, "lightning_logs", "version_0"))
        .map((name) => name.slice(0, 20))
        .sort(),
    ).toEqual(["events.out.tfevents.", "hparams.yaml"]);
  });

  it("writes into a folder below the version's, if told so", () => {
    const logger = new TensorBoardLogger(folder, { name: "runs", subDir: "eval" });
    logger.logMetrics({ x: 1 }, 0);
    logger.finalize("success");
    expect(readdirSync(join(folder, "runs", "version_0", "eval")).length).toBe(2);
  });
});

describe("JSONLLogger", () => {
  it("writes a line of JSON for each time that something is logged", async () => {
    const logger = new JSONLLogger(folder, { prefix: "p" });
    await fit(logger);
    logger.logMetrics({ odd: Number.NaN, far: Number.NEGATIVE_INFINITY });
    logger.finalize("success");
    const lines = readFileSync(join(logger.logDir, "metrics.jsonl"), "utf8")
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines.map(({ time, ...line }) => [typeof time, line])).toEqual([
      ["number", { step: 0, "p-x": 0, "p-epoch": 0 }],
      ["number", { step: 1, "p-x": 0.25, "p-epoch": 0 }],
      ["number", { step: 1, "p-v": 1, "p-epoch": 0 }],
      ["number", { "p-odd": "NaN", "p-far": "-Infinity" }],
    ]);
  });
});

describe("ConsoleLogger", () => {
  it("prints lines for people or as JSON", async () => {
    const printed: string[] = [];
    const spy = vi
      .spyOn(process.stdout, "write")
      .mockImplementation((text) => printed.push(String(text)) > 0);
    try {
      await fit(new ConsoleLogger());
      new ConsoleLogger({ format: "json" }).logHyperparams({ lr: 0.1, nested: { deep: true } });
    } finally {
      spy.mockRestore();
    }
    expect(printed).toEqual([
      "hparams  lr 0.1  sizes [1,2]  nested/name net\n",
      "step 0  x 0  epoch 0\n",
      "step 1  x 0.25  epoch 0\n",
      "step 1  v 1  epoch 0\n",
      '{"hparams":{"lr":0.1,"nested/deep":true}}\n',
    ]);
  });
});

describe("several loggers", () => {
  it("all get what is logged, and are told of the end even where one fails at it", async () => {
    class Failing extends CSVLogger {
      override finalize(): void {
        throw new Error("no room left");
      }
    }
    const last = new CSVLogger(folder, { name: "last" });
    await expect(fit([new Failing(folder), last])).rejects.toThrow("no room left");
    expect(readFileSync(join(last.logDir, "metrics.csv"), "utf8").split("\r\n").length).toBe(5);
  });

  it("are told of a checkpoint when it is written, also where that takes its time", async () => {
    const seen: boolean[] = [];
    class Watching extends CSVLogger {
      override afterSaveCheckpoint({ lastModelPath }: Checkpoint): void {
        seen.push(existsSync(lastModelPath));
      }
    }
    for (const plugins of [undefined, new AsyncCheckpointIO()]) {
      const callbacks = new ModelCheckpoint({ saveTopK: 0, saveLast: true });
      await fit(new Watching(folder), { callbacks, plugins, enableCheckpointing: true });
    }
    expect(seen).toEqual([true, true]);
  });

  it("let programs use experiments in a fastDevRun, which logs nothing", async () => {
    class Drawing extends Net {
      override onTrainStart(): void {
        (this.logger as TensorBoardLogger).experiment.addText("note", "x");
        (this.loggers[0] as TensorBoardLogger).experiment.getLogdir().trim();
      }
    }
    const trainer = new Trainer({
      fastDevRun: true,
      logger: new TensorBoardLogger(folder),
      accelerator: "cpu",
    });
    await trainer.fit(new Drawing(), { trainDataloaders: batches(1), valDataloaders: batches(1) });
    expect([trainer.state.status, readdirSync(folder)]).toEqual(["finished", []]);
  });
});

describe("SummaryWriter", () => {
  it("tells what is wrong with what it is given", () => {
    const writer = new SummaryWriter(folder);
    expect(() => writer.addImage("x", torch.ones([4, 4]))).toThrow(/names 3 dimensions.*dataformats/);
    expect(() => writer.addImage("x", torch.ones([2, 4, 4]))).toThrow("1, 3 or 4 channels");
    expect(() => writer.addImage("x", torch.ones([2, 4]), 0, { dataformats: "AB" })).toThrow(
      "HW, CHW or NCHW",
    );
    expect(() => writer.addScalar("x", torch.ones([2]))).toThrow("one element");
    expect(() => writer.addHistogram("x", torch.ones([0]))).toThrow("nothing to count");
    expect(() => writer.addAudio("x", torch.ones([2, 9]))).toThrow("one channel");
    expect(() => writer.addEmbedding(torch.ones([2, 2]), { metadata: ["a"] })).toThrow("each of the 2 rows");
    writer.close();
  });

  it("goes on with a new file after it was closed", () => {
    const writer = new SummaryWriter(folder);
    writer.close();
    writer.addScalar("x", 1);
    writer.close();
    expect(readdirSync(folder).length).toBe(2);
  });
});

describe("WandbLogger", () => {
  it("says that it is for runs that are uploaded later", () => {
    expect(() => new WandbLogger()).toThrow(/offline: true.*wandb sync/);
    expect(() => new WandbLogger({ offline: true, logModel: "all" })).toThrow("cannot be uploaded");
    const logger = new WandbLogger({ offline: true, saveDir: folder });
    expect([logger.name, logger.version, existsSync(join(folder, "wandb"))]).toEqual([
      "lightning_logs",
      undefined,
      false,
    ]);
    expect(() => logger.logImage("x", [torch.ones([2, 2])], { caption: ["a", "b"] })).toThrow(
      "each of the 1",
    );
    logger.experiment.finish();
    expect(() => logger.logMetrics({ x: 1 })).toThrow("is finished");
  });
});

/** A program that logs 1000 rows with each logger that writes files, and never comes to the event loop. */
const logging = `
  import { CSVLogger, JSONLLogger, TensorBoardLogger } from "levin";
  const folder = process.argv[1];
  const loggers = [CSVLogger, JSONLLogger, TensorBoardLogger].map((make) => new make(folder, { name: make.name, version: "" }));
  for (let i = 0; i < 1000; i++) for (const logger of loggers) { logger.logMetrics({ x: i }, i); logger.save(); }
`;

/** The number of rows or records in a logger's file. */
function rowsOf(name: string): number {
  const file = readdirSync(join(folder, name)).find((each) => /metrics|events/.test(each))!;
  const bytes = readFileSync(join(folder, name, file));
  if (name !== "TensorBoardLogger") return bytes.toString().trimEnd().split("\n").length;
  let count = 0;
  for (let at = 0; at < bytes.length; at += Number(bytes.readBigUInt64LE(at)) + 16) count++;
  return count;
}

describe("loggers that write files", () => {
  for (const [way, end, code] of [
    ["it comes to its end", "", 0],
    ["it calls process.exit", "process.exit(3)", 3],
    ["an error is not caught", "throw new Error('oops')", 1],
    ["a promise is rejected", "Promise.reject(new Error('oops'))", 1],
    // while a write in the background is under way
    [
      "it exits later",
      "setTimeout(() => { for (const l of loggers) l.logMetrics({ x: 0 }); process.exit(0); }, 201)",
      0,
    ],
  ] as const) {
    it(`have written everything when a program ends: ${way}`, async () => {
      expect((await runProgram(logging + end, { args: [folder] })).code).toBe(code);
      const more = way === "it exits later" ? 1 : 0;
      // a header, and for TensorBoard the version
      expect(["CSVLogger", "JSONLLogger", "TensorBoardLogger"].map(rowsOf)).toEqual([
        1001 + more,
        1000 + more,
        1001 + more,
      ]);
    });
  }
});
