import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@levin/torch";
import { data, nn, OperatorError, optim, type Tensor } from "@levin/torch";
import {
  BatchSizeFinder,
  Callback,
  LearningRateFinder,
  LightningModule,
  type LRFindOptions,
  ModelCheckpoint,
  type OptimizerConfiguration,
  type ScaleBatchSizeOptions,
  SimpleProfiler,
  setQuiet,
  Trainer,
  type TrainerOptions,
  type TuneData,
  Tuner,
} from "levin";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { expectClose } from "./close.js";
import { runPython } from "./python.js";

type Batch = [inputs: Tensor, labels: Tensor];

/** The net of tools_run.py. */
class Net extends LightningModule<Batch> {
  readonly net = new nn.Sequential(new nn.Linear(4, 8), new nn.Tanh(), new nn.Linear(8, 3));
  lr = 0.01;
  batchSize = 8;
  readonly shuffle: boolean;
  readonly most: number;
  readonly sizes: number[] = [];
  readonly rows: data.TensorDataset;

  constructor({ shuffle = false, rows = 64, most = Number.POSITIVE_INFINITY } = {}) {
    super();
    this.shuffle = shuffle;
    this.most = most;
    this.rows = new data.TensorDataset(torch.randn([rows, 4]), torch.randint(0, 3, [rows]));
  }

  #loss([inputs, labels]: Batch): Tensor {
    this.sizes.push(inputs.size(0));
    if (inputs.size(0) > this.most) throw new OperatorError("out of memory", "OutOfMemoryError");
    return nn.functional.crossEntropy(this.net.forward(inputs) as Tensor, labels);
  }

  override trainingStep(batch: Batch): Tensor {
    return this.#loss(batch);
  }

  override validationStep(batch: Batch): void {
    this.#loss(batch);
  }

  override testStep(batch: Batch): void {
    this.#loss(batch);
  }

  override predictStep(batch: Batch): Tensor {
    return this.#loss(batch);
  }

  override onTrainStart(): void {}

  override trainDataloader(): data.DataLoader {
    return new data.DataLoader(this.rows, { batchSize: this.batchSize, shuffle: this.shuffle });
  }

  override valDataloader(): data.DataLoader {
    return new data.DataLoader(this.rows, { batchSize: this.batchSize });
  }

  override testDataloader(): data.DataLoader {
    return this.valDataloader();
  }

  override predictDataloader(): data.DataLoader {
    return this.valDataloader();
  }

  override configureOptimizers(): OptimizerConfiguration {
    const optimizer = new optim.Adam(this.parameters(), { lr: this.lr });
    return [[optimizer], [new optim.lrScheduler.StepLR(optimizer, 1)]];
  }
}

class Own extends Callback {
  override onTrainStart(): void {}
}

type NetOptions = ConstructorParameters<typeof Net>[0];
type Results = Record<string, Record<string, unknown>>;

const weights = (module: Net) => module.parameters().flatMap((each) => each.flatten().toArray() as number[]);

describe("levin's and Lightning's tools", () => {
  const folder = mkdtempSync(join(tmpdir(), "levin-"));
  let theirs: { profile: Results; lr: Results; fit: unknown; batch: Results; callback: Results };
  beforeAll(async () => {
    setQuiet(true);
    torch.setNumThreads(1);
    theirs = JSON.parse(await runPython("tools_run.py", folder));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const make = (callbacks: Callback[] = [], options: TrainerOptions = {}) =>
    new Trainer({
      accelerator: "cpu",
      logger: false,
      callbacks,
      enableProgressBar: false,
      enableModelSummary: false,
      defaultRootDir: folder,
      enableCheckpointing: callbacks.some((callback) => callback instanceof ModelCheckpoint),
      ...options,
    });

  it("record the same actions as often, and report them in the same form", async () => {
    torch.manualSeed(0);
    const profiler = new SimpleProfiler({ dirpath: folder, filename: "levin" });
    const checkpoint = new ModelCheckpoint({ dirpath: join(folder, "profiled-too") });
    const trainer = make([new Own(), checkpoint], { maxEpochs: 2, accumulateGradBatches: 2, profiler });
    const module = new Net({ rows: 32 });
    const counts: Results = {};
    for (const name of ["fit", "validate", "test", "predict"] as const) {
      const before = new Map([...profiler.recordedDurations].map(([key, { length }]) => [key, length]));
      await trainer[name](module, name === "fit" || name === "predict" ? {} : { verbose: false });
      const now = [...profiler.recordedDurations].map(
        ([key, { length }]) => [key, length - (before.get(key) ?? 0)] as const,
      );
      counts[name] = Object.fromEntries(now.filter(([, count]) => count > 0));
    }
    expect(counts).toEqual(theirs.profile);

    // the reports are alike but for the times and the order, which is by time
    const shape = (file: string) =>
      readFileSync(join(folder, file), "utf8")
        .replaceAll(/ {2}[\d.e+-]+ *\t\|/g, "  0\t|")
        .split("\n")
        .sort();
    for (const stage of ["fit", "predict"]) {
      expect(shape(`${stage}-levin.txt`)).toEqual(shape(`${stage}-simple.txt`));
    }
  });

  const findLr = async (
    flags: TrainerOptions = {},
    net: NetOptions = {},
    options: TuneData & LRFindOptions = {},
  ) => {
    torch.manualSeed(0);
    const module = new Net(net);
    const trainer = make([], { maxEpochs: 2, ...flags });
    const finder = await new Tuner(trainer).lrFind(module, options);
    const found = {
      results: finder!.results,
      suggestion: finder!.suggestion(),
      lr: module.lr,
      after: weights(module),
    };
    await trainer.fit(module);
    return { ...found, trained: weights(module), step: trainer.globalStep };
  };

  it("find the same learning rates, with nothing else changed", async () => {
    const found = {
      exponential: await findLr(),
      linear: await findLr(
        {},
        {},
        { mode: "linear", minLr: 1e-4, maxLr: 0.5, numTraining: 40, earlyStopThreshold: null },
      ),
      accumulate: await findLr(
        { accumulateGradBatches: 2 },
        { shuffle: true },
        { numTraining: 20, updateAttr: false },
      ),
      diverging: await findLr({}, {}, { maxLr: 100, numTraining: 60, earlyStopThreshold: 1.5 }),
    };
    expectClose(found, theirs.lr);
  });

  it("go on with the learning rate that the callback finds", async () => {
    torch.manualSeed(0);
    const module = new Net({ shuffle: true });
    const trainer = make([new LearningRateFinder({ numTrainingSteps: 30 })], { maxEpochs: 2 });
    await trainer.fit(module);
    const outcome = { lr: module.lr, trained: weights(module), step: trainer.globalStep };
    expectClose(outcome, theirs.fit);
    expect(readdirSync(folder).filter((name) => name.endsWith(".ckpt"))).toEqual([]);
  });

  const scale = async (net: NetOptions = {}, options: TuneData & ScaleBatchSizeOptions = {}) => {
    torch.manualSeed(0);
    const module = new Net(net);
    const size = await new Tuner(make([], { maxEpochs: 1 })).scaleBatchSize(module, options);
    return { size, own: module.batchSize, sizes: module.sizes, after: weights(module) };
  };

  it("try the same batch sizes, through errors of memory, and find the same", async () => {
    const found = {
      power: await scale({ most: 20 }),
      halved: await scale({ most: 3 }, { initVal: 16, stepsPerTrial: 1 }),
      dataset: await scale({ rows: 20 }),
      limited: await scale({}, { maxVal: 16 }),
      trials: await scale({}, { maxTrials: 2 }),
      binsearch: await scale({ most: 21 }, { mode: "binsearch" }),
      "binsearch-trials": await scale({}, { mode: "binsearch", maxTrials: 3, margin: 0.3 }),
      validate: await scale({ most: 20 }, { method: "validate" }),
      test: await scale({ most: 20 }, { method: "test", mode: "binsearch" }),
      predict: await scale({ most: 20 }, { method: "predict" }),
    };
    for (const [name, outcome] of Object.entries(found)) {
      expectClose([name, outcome], [name, theirs.batch[name]]);
    }
  });

  it("go on with the batch size that the callback finds", async () => {
    for (const method of ["fit", "validate", "test", "predict"] as const) {
      torch.manualSeed(0);
      const module = new Net({ most: 20 });
      const finder = new BatchSizeFinder({ mode: "binsearch", margin: 0, stepsPerTrial: 2 });
      const trainer = make([finder], { maxEpochs: 2, numSanityValSteps: 0 });
      await trainer[method](module, method === "fit" || method === "predict" ? {} : { verbose: false });
      const outcome = {
        own: module.batchSize,
        sizes: module.sizes,
        after: weights(module),
        step: trainer.globalStep,
      };
      expectClose([method, outcome], [method, theirs.callback[method]]);
    }
  });
});
