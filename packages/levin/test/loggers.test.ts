import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@levin/torch";
import { nn, optim, type Tensor } from "@levin/torch";
import { CSVLogger, LightningModule, type Logger, setQuiet, TensorBoardLogger, Trainer } from "levin";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";

let folder = "";
beforeAll(() => setQuiet(true));
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "levin-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

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

const fit = (logger: Logger | boolean) =>
  new Trainer({
    accelerator: "cpu",
    maxEpochs: 1,
    logger,
    logEveryNSteps: 1,
    defaultRootDir: folder,
    enableCheckpointing: false,
    enableProgressBar: false,
    enableModelSummary: false,
  }).fit(new Net(), { trainDataloaders: batches(2), valDataloaders: batches(1) });

for (const make of [CSVLogger, TensorBoardLogger]) {
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
    logger.finalize();
    logger.logMetrics({ a: Number.NaN, "c,d": Number.NEGATIVE_INFINITY }, 1);
    logger.finalize();
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
