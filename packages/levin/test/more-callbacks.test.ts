import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as torch from "@levin/torch";
import { nn, optim, type Tensor } from "@levin/torch";
import {
  BackboneFinetuning,
  BasePredictionWriter,
  BatchSizeFinder,
  type Callback,
  DeviceStatsMonitor,
  EarlyStopping,
  EMAWeightAveraging,
  GradientAccumulationScheduler,
  LearningRateFinder,
  LightningModule,
  Logger,
  type Metrics,
  ModelCheckpoint,
  ModelPruning,
  measureFlops,
  OnExceptionCheckpoint,
  SpikeDetection,
  StochasticWeightAveraging,
  setQuiet,
  Throughput,
  ThroughputMonitor,
  Timer,
  TQDMProgressBar,
  Trainer,
  type TrainerOptions,
  TrainingSpikeException,
} from "levin";
import { beforeAll, describe, expect, it } from "vitest";
import { folder, useFolder } from "./folder.js";

beforeAll(() => setQuiet(true));
useFolder();

/** Its loss is the batch's value: the gradients are zero. */
class Net extends LightningModule<Tensor> {
  readonly layer = new nn.Linear(1, 1);
  flopsPerBatch = 1000;

  override trainingStep(batch: Tensor): Tensor {
    return this.layer.forward(batch).mul(0).sum().add(batch.mean());
  }

  override validationStep(): void {}
  override testStep(): void {}

  override configureOptimizers(): optim.Optimizer {
    return new optim.SGD(this.parameters(), { lr: 0.01 });
  }
}

/** Keeps what is logged, with the step. */
class Memory extends Logger {
  readonly name = "memory";
  readonly version = 0;
  readonly logged: [Metrics, number | undefined][] = [];
  override logMetrics(metrics: Metrics, step?: number): void {
    this.logged.push([metrics, step]);
  }
  override logHyperparams(): void {}
}

const batches = (...values: number[]) => new Set(values.map((value) => torch.full([2, 1], value)));

const make = (callbacks: Callback | Callback[], options: TrainerOptions = {}) =>
  new Trainer({
    accelerator: "cpu",
    logger: false,
    maxEpochs: 1,
    callbacks,
    enableProgressBar: false,
    enableModelSummary: false,
    enableCheckpointing: [callbacks]
      .flat()
      .some((each) => each instanceof ModelCheckpoint || each instanceof OnExceptionCheckpoint),
    defaultRootDir: folder,
    numSanityValSteps: 0,
    ...options,
  });

describe("SpikeDetection", () => {
  const fit = (values: number[], options = {}) =>
    make(new SpikeDetection(options)).fit(new Net(), { trainDataloaders: batches(...values) });

  it("ends a fit whose loss jumps, and writes down the batches at fault", async () => {
    await expect(fit([1, 1.2, 1.1, 9, 1])).rejects.toThrow(new TrainingSpikeException(3).message);
    expect(readFileSync(join(folder, "skip_batches.json"), "utf8")).toBe("[\n    2,\n    3\n]");
  });

  it("lets improvements, small jumps and the first batches pass", async () => {
    await fit([9, 1, 1.5, 0.1]);
    await fit([1, 1, 5], { atol: 10 });
    await fit([1, 1, 1.9], { rtol: 1 });
    await fit([1, 9, 1], { warmup: 3 });
    await expect(fit([1, 1, 0.1], { mode: "max", rtol: 0.5 })).rejects.toThrow("batch 2");
  });

  it("takes a loss that is not finite for a spike, unless it is told otherwise", async () => {
    await expect(fit([1, Number.NaN])).rejects.toThrow("batch 1");
    await fit([1, Number.NaN, 1], { finiteOnly: false });
  });

  it("keeps its state in checkpoints", () => {
    const one = new SpikeDetection({ rtol: 3 });
    one.badBatches = [4, 5];
    const other = new SpikeDetection();
    other.loadStateDict(one.stateDict());
    expect([other.badBatches, other.rtol]).toEqual([[4, 5], 3]);
  });
});

describe("OnExceptionCheckpoint", () => {
  it("saves when a run fails, and removes the file of a run that ends well", async () => {
    class Failing extends Net {
      fails = true;
      override onTrainBatchEnd(_outputs: unknown, _batch: Tensor, batchIdx: number): void {
        if (this.fails && batchIdx === 1) throw new Error("stop");
      }
    }
    const checkpoint = new OnExceptionCheckpoint(folder, { filename: "failed" });
    const trainer = make(checkpoint);
    const module = new Failing();
    const data = { trainDataloaders: batches(1, 2, 3) };
    await expect(trainer.fit(module, data)).rejects.toThrow("stop");
    expect(checkpoint.ckptPath).toBe(join(folder, "failed.ckpt"));
    expect((torch.load(checkpoint.ckptPath) as { global_step: number }).global_step).toBe(2);
    module.fails = false;
    await make(checkpoint).fit(module, { ...data, ckptPath: checkpoint.ckptPath });
    expect(existsSync(checkpoint.ckptPath)).toBe(false);
    expect(() => new OnExceptionCheckpoint(folder, { filename: "" })).toThrow("filename is empty");
  });
});

describe("DeviceStatsMonitor", () => {
  it("logs load and memory before and after the batches of log steps", async () => {
    const logger = new Memory();
    const trainer = make(new DeviceStatsMonitor(), { logger, logEveryNSteps: 2 });
    await trainer.fit(new Net(), { trainDataloaders: batches(1, 2, 3, 4), valDataloaders: batches(1, 2) });
    const logged = logger.logged.map(([metrics, step]) => [Object.keys(metrics).sort(), step]);
    const at = (place: string) =>
      ["cpu_percent", "cpu_swap_percent", "cpu_vm_percent"].map(
        (name) => `DeviceStatsMonitor.${place}/${name}`,
      );
    expect(logged).toEqual([
      [at("on_train_batch_start"), 1],
      [at("on_train_batch_end"), 1],
      [at("on_train_batch_start"), 3],
      [at("on_train_batch_end"), 3],
      [at("on_validation_batch_start"), 3],
      [at("on_validation_batch_end"), 3],
    ]);
    for (const [metrics] of logger.logged) {
      for (const value of Object.values(metrics)) {
        expect(value).toBeGreaterThanOrEqual(0);
        expect(value).toBeLessThanOrEqual(100);
      }
    }
  });

  it("needs a logger", async () => {
    await expect(
      make(new DeviceStatsMonitor()).fit(new Net(), { trainDataloaders: batches(1) }),
    ).rejects.toThrow("DeviceStatsMonitor needs a logger");
  });
});

describe("Throughput", () => {
  it("gives rates over a window", () => {
    const throughput = new Throughput({ windowSize: 3, worldSize: 2, availableFlops: 100 });
    throughput.update({ time: 1, batches: 1, samples: 4, lengths: 40, flops: 10 });
    expect(throughput.compute()).toEqual({ time: 1, batches: 1, samples: 4, lengths: 40 });
    throughput.update({ time: 2, batches: 2, samples: 8, lengths: 80, flops: 10 });
    throughput.update({ time: 4, batches: 3, samples: 12, lengths: 120, flops: 20 });
    throughput.update({ time: 6, batches: 5, samples: 20, lengths: 200, flops: 30 });
    expect(throughput.compute()).toEqual({
      time: 6,
      batches: 5,
      samples: 20,
      lengths: 200,
      batches_per_sec: 1.5,
      samples_per_sec: 6,
      items_per_sec: 60,
      flops_per_sec: 25,
      "device/batches_per_sec": 0.75,
      "device/samples_per_sec": 3,
      "device/items_per_sec": 30,
      "device/flops_per_sec": 12.5,
      "device/mfu": 0.125,
    });
  });

  it("says what counts cannot be", () => {
    const throughput = new Throughput();
    throughput.update({ time: 1, batches: 1, samples: 1 });
    expect(() => throughput.update({ time: 1, batches: 2, samples: 2 })).toThrow("time must grow");
    expect(() => new Throughput().update({ time: 1, batches: 2, samples: 1 })).toThrow(
      "at least batches (2)",
    );
    expect(() => new Throughput({ windowSize: 1 })).toThrow("at least 2");
  });

  it("counts the operations of a forward and a backward pass", () => {
    const layer = new nn.Linear(3, 5);
    const forward = () => layer.forward(torch.ones([2, 3]));
    expect(measureFlops(layer, forward)).toBe(2 * 2 * 3 * 5);
    expect(measureFlops(layer, forward, { lossFn: (output) => output.sum() })).toBe(2 * 2 * 2 * 3 * 5);
  });

  it("is logged by ThroughputMonitor when gradients have added up", async () => {
    const logger = new Memory();
    const monitor = new ThroughputMonitor((batch: Tensor) => batch.size(0), {
      lengthFn: (batch: Tensor) => batch.size(0) * 10,
      windowSize: 2,
    });
    const trainer = make(monitor, { logger, logEveryNSteps: 1, accumulateGradBatches: 2 });
    const loaders = { trainDataloaders: batches(1, 2, 3, 4), valDataloaders: batches(1, 2) };
    await trainer.fit(new Net(), loaders);
    const counts = logger.logged.map(([metrics, step]) => [
      step,
      ...Object.entries(metrics).flatMap(([name, value]) =>
        /batches$|lengths$/.test(name) ? [name, value] : [],
      ),
    ]);
    expect(counts).toEqual([
      [0, "train/batches", 2, "train/lengths", 40],
      [1, "train/batches", 4, "train/lengths", 80],
      [1, "validate/batches", 1, "validate/lengths", 20],
      [2, "validate/batches", 2, "validate/lengths", 40],
    ]);
    expect(Object.keys(logger.logged[0]![0])).toContain("train/device/flops_per_sec");
  });
});

describe("callbacks that are told something wrong", () => {
  const { prune } = nn.utils;
  class Structured extends prune.LnStructured {
    constructor(amount: number) {
      super(amount, 2);
    }
  }

  it("say what is allowed", () => {
    const cases: [() => unknown, string][] = [
      [() => new StochasticWeightAveraging(-1), "swaLrs was given -1"],
      [() => new StochasticWeightAveraging(0.1, { swaEpochStart: 1.5 }), "swaEpochStart was given 1.5"],
      [() => new EMAWeightAveraging({ decay: 2 }), "Invalid decay"],
      [() => new ModelPruning("l2" as never), 'pruningFn was given "l2"'],
      [() => new ModelPruning("ln_structured", { useGlobalUnstructured: false }), "needs pruningDim"],
      [
        () => new ModelPruning("ln_structured", { useGlobalUnstructured: false, pruningDim: 0 }),
        "needs pruningNorm",
      ],
      [
        () => new ModelPruning("random_structured", { pruningDim: 0 }),
        'only methods of the type "unstructured"',
      ],
      [() => new ModelPruning(Structured), '"structured"'],
      [
        () => new ModelPruning(prune.L1Unstructured, { useGlobalUnstructured: false }),
        "needs useGlobalUnstructured",
      ],
      [() => new ModelPruning("l1_unstructured", { parameterNames: ["gamma"] as never }), '"gamma"'],
      [() => new SpikeDetection({ mode: "most" as never }), '"min" or "max"'],
    ];
    for (const [make, message] of cases) expect(make).toThrow(message);
  });

  it("do so when a fit begins, where they cannot know before", async () => {
    const fit = (callback: Callback, options: TrainerOptions = {}) =>
      make(callback, options).fit(new Net(), { trainDataloaders: batches(1) });
    await expect(fit(new BackboneFinetuning())).rejects.toThrow("no field `backbone`");
    await expect(fit(new StochasticWeightAveraging(0.1), { maxEpochs: -1, maxSteps: 1 })).rejects.toThrow(
      "maxEpochs is -1",
    );
    const stranger = new nn.Linear(1, 1);
    await expect(
      fit(new ModelPruning("l1_unstructured", { parametersToPrune: [[stranger, "weight"]] })),
    ).rejects.toThrow("not in the model");
  });

  it("a prediction writer must define what it is to do", async () => {
    class Writer extends BasePredictionWriter {}
    const trainer = make(new Writer({ writeInterval: "epoch" }));
    class Predicting extends Net {
      override predictStep(batch: Tensor): Tensor {
        return batch;
      }
    }
    await expect(trainer.predict(new Predicting(), { dataloaders: batches(1) })).rejects.toThrow(
      "does not define writeOnEpochEnd",
    );
    expect(() => new Writer({ writeInterval: "never" as never })).toThrow("batch_and_epoch");
  });
});

describe("smaller things of callbacks", () => {
  it("ModelPruning prunes with a method of one's own", async () => {
    class Everything extends nn.utils.prune.BasePruningMethod {
      override computeMask(values: Tensor): Tensor {
        return torch.zerosLike(values);
      }
    }
    const module = new Net();
    await make(new ModelPruning(Everything)).fit(module, { trainDataloaders: batches(1) });
    expect(module.layer.weight.abs().toArray()).toEqual([[0]]); // a negative weight leaves -0
    expect(module.layer.weight).toBeInstanceOf(nn.Parameter);
  });

  it("EarlyStopping tells which of two values is better", () => {
    expect(new EarlyStopping("v").monitorOp(1, 2)).toBe(true);
    expect(new EarlyStopping("v", { mode: "max" }).monitorOp(1, 2)).toBe(false);
  });

  it("GradientAccumulationScheduler tells whether gradients will add up", () => {
    expect(new GradientAccumulationScheduler({ 0: 1 }).goingToAccumulateGradBatches()).toBe(false);
    expect(new GradientAccumulationScheduler({ 4: 2 }).goingToAccumulateGradBatches()).toBe(true);
  });

  it("ModelCheckpoint writes the values of its files into a YAML file", async () => {
    class Logging extends Net {
      override validationStep(): void {
        this.log("v", 3);
      }
    }
    const checkpoint = new ModelCheckpoint({ dirpath: folder, monitor: "v" });
    const trainer = make(checkpoint);
    await trainer.fit(new Logging(), { trainDataloaders: batches(1), valDataloaders: batches(1) });
    checkpoint.toYaml();
    expect(readFileSync(join(folder, "best_k_models.yaml"), "utf8")).toBe(`${checkpoint.bestModelPath}: 3\n`);
    expect(checkpoint.fileExists(checkpoint.bestModelPath, trainer)).toBe(true);
    expect(checkpoint.checkMonitorTopK(trainer, torch.tensor(4))).toBe(false);
    expect(checkpoint.formatCheckpointName({ epoch: 1 }, { filename: "{epoch}", prefix: "a", ver: 2 })).toBe(
      join(folder, "a-epoch=1-v2.ckpt"),
    );
  });

  it("TQDMProgressBar gives its bars, which a subclass may make", () => {
    class Own extends TQDMProgressBar {
      override initValidationTqdm() {
        const bar = super.initValidationTqdm();
        bar.description = "running validation";
        return bar;
      }
    }
    const bar = new Own({ processPosition: 1 });
    expect(bar.initValidationTqdm().description).toBe("running validation");
    expect(() => bar.trainProgressBar).toThrow("no train progress bar outside of its stage");
    expect([bar.isEnabled, bar.isDisabled, bar.processPosition]).toEqual([true, false, 1]);
  });
});

describe("the order of callbacks", () => {
  it("has those first that search for settings, and those last that save", () => {
    const [checkpoint, timer] = [new ModelCheckpoint(), new Timer()];
    const [size, lr] = [new BatchSizeFinder(), new LearningRateFinder()];
    expect(make([checkpoint, timer, size, lr]).callbacks).toEqual([size, lr, timer, checkpoint]);
  });
});
