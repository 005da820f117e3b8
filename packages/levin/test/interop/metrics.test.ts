// A module that logs metrics, against PyTorch Lightning and torchmetrics: the same values at the same steps.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@levin/torch";
import { metrics, nn, optim, type Tensor } from "@levin/torch";
import { LightningModule, Logger, type Metrics, setQuiet, Trainer } from "levin";
import { afterAll, beforeAll, expect, it } from "vitest";
import { runPython } from "./python.js";

type Batch = [scores: Tensor, labels: Tensor];
type Logged = [values: Record<string, number>, step: number];

interface Run {
  logged: Logged[];
  callbacks: Record<string, number>;
  tested: Record<string, number>[];
}

class Memory extends Logger {
  readonly name = "memory";
  readonly version = 0;
  readonly logged: Logged[] = [];
  logMetrics(values: Metrics, step?: number): void {
    this.logged.push([{ ...values } as Record<string, number>, step ?? -1]);
  }
  logHyperparams(): void {}
}

const options = { numClasses: 3 };
const macro = { ...options, average: "macro" } as const;

/** The module of log_metrics.py. */
class Module extends LightningModule<Batch> {
  readonly scale = new nn.Parameter(torch.ones([]));
  readonly accuracy = new metrics.Accuracy("multiclass", options);
  readonly f1 = new metrics.F1Score("multiclass", macro);
  readonly loss = new metrics.MeanMetric();
  readonly scores = new metrics.MetricCollection(
    [new metrics.Precision("multiclass", macro), new metrics.Recall("multiclass", macro)],
    { prefix: "train_" },
  );
  readonly valAccuracy = new nn.ModuleList([
    new metrics.Accuracy("multiclass", options),
    new metrics.Accuracy("multiclass", options),
  ]);
  readonly auroc = new metrics.AUROC("multiclass", options);

  override trainingStep([x, y]: Batch): Tensor {
    const loss = nn.functional.crossEntropy(x.mul(this.scale), y);
    this.accuracy.forward(x, y);
    this.log("accuracy", this.accuracy, { onStep: true, onEpoch: true, progBar: true });
    this.f1.update(x, y);
    this.log("f1", this.f1, { onStep: false, onEpoch: true });
    this.loss.forward(loss);
    this.log("loss", this.loss);
    this.scores.forward(x, y);
    this.logDict(this.scores, { onStep: true, onEpoch: true });
    return loss;
  }

  override validationStep([x, y]: Batch, _batchIdx: number, dataloaderIdx = 0): void {
    const accuracy = this.valAccuracy.get(dataloaderIdx) as metrics.Accuracy;
    accuracy.forward(x, y);
    this.log("val_accuracy", accuracy);
    this.log("val_size", y.size(0));
  }

  override testStep([x, y]: Batch): void {
    this.auroc.update(x, y);
    this.log("auroc", this.auroc, { onStep: false, onEpoch: true });
  }

  override configureOptimizers(): optim.Optimizer {
    return new optim.SGD(this.parameters(), { lr: 0.1 });
  }
}

let folder = "";
let batches: Record<"train" | "val" | "test", Batch[][]>;
let reference: Run;
let actual: Run;

beforeAll(async () => {
  setQuiet(true);
  torch.manualSeed(3);
  const loader = (...sizes: number[]): Batch[] =>
    sizes.map((size) => [torch.randn([size, 3]), torch.randint(0, 3, [size], { dtype: "int64" })]);
  batches = { train: [loader(6, 5, 7, 3, 4)], val: [loader(4, 3), loader(5)], test: [loader(9, 8)] };
  folder = mkdtempSync(join(tmpdir(), "levin-metrics-"));
  const plain = Object.fromEntries(
    Object.entries(batches).map(([name, loaders]) => [
      name,
      loaders.map((all) => all.map(([x, y]) => [x.toArray(), y.toArray()])),
    ]),
  );
  writeFileSync(join(folder, "batches.json"), JSON.stringify(plain));
  const output = await runPython("log_metrics.py", join(folder, "batches.json"));
  reference = JSON.parse(output.slice(output.lastIndexOf("ANSWER") + "ANSWER".length)) as Run;
  actual = await run();
});
afterAll(() => rmSync(folder, { recursive: true }));

async function run(): Promise<Run> {
  const logger = new Memory();
  const trainer = new Trainer({
    accelerator: "cpu",
    maxEpochs: 2,
    logger,
    logEveryNSteps: 2,
    valCheckInterval: 2,
    enableCheckpointing: false,
    enableProgressBar: false,
    enableModelSummary: false,
  });
  const module = new Module();
  await trainer.fit(module, {
    trainDataloaders: new Set(batches.train[0]),
    valDataloaders: batches.val.map((loader) => new Set(loader)),
  });
  const callbacks = Object.fromEntries(
    Object.entries(trainer.callbackMetrics).map(([name, value]) => [name, value.item()]),
  );
  const tested = await trainer.test(module, { dataloaders: new Set(batches.test[0]), verbose: false });
  return { logged: logger.logged, callbacks, tested };
}

/** Numbers as far as float32 has them. */
const rounded = (values: Record<string, number>): Record<string, string> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, value.toPrecision(6)]));

it("the loggers get the same values at the same steps", () => {
  const all = ({ logged }: Run) => logged.map(([values, step]) => [rounded(values), step]);
  expect(all(actual)).toEqual(all(reference));
  expect(actual.logged.length).toBeGreaterThan(10);
});

it("callbacks see the same metrics", () => {
  expect(rounded(actual.callbacks)).toEqual(rounded(reference.callbacks));
});

it("testing gives the same results", () => {
  expect(actual.tested.map(rounded)).toEqual(reference.tested.map(rounded));
});
