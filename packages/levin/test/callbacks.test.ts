import { readdirSync, readlinkSync, rmSync } from "node:fs";
import { join } from "node:path";
import * as torch from "@levin/torch";
import { nn, optim, type Tensor } from "@levin/torch";
import {
  type Callback,
  EarlyStopping,
  type EarlyStoppingOptions,
  LearningRateMonitor,
  LightningModule,
  Logger,
  type Metrics,
  ModelCheckpoint,
  type ModelCheckpointOptions,
  type OptimizerConfiguration,
  type StepOutput,
  setQuiet,
  Timer,
  Trainer,
  type TrainerOptions,
} from "levin";
import { beforeAll, describe, expect, it } from "vitest";
import { folder, useFolder } from "./folder.js";

beforeAll(() => setQuiet(true));
useFolder();

/** Logs the given values as `v`, one in each epoch's validation. */
class Net extends LightningModule<Tensor> {
  readonly layer = new nn.Linear(1, 1);
  readonly values: readonly number[];

  constructor(values: readonly number[] = [1]) {
    super();
    this.values = values;
  }

  override trainingStep(batch: Tensor): StepOutput | Promise<StepOutput> {
    return this.layer.forward(batch).pow(2).mean();
  }

  override validationStep() {
    if (!this.trainer.sanityChecking) this.log("v", this.values[this.currentEpoch]!);
  }

  override configureOptimizers(): OptimizerConfiguration {
    return new optim.SGD(this.parameters(), { lr: 0.01 });
  }
}

const batches = (count: number) => new Set(Array.from({ length: count }, () => torch.ones([2, 1])));

const fit = async (
  module: Net,
  callbacks: Callback | Callback[],
  options: TrainerOptions = {},
  ckptPath: string | null = null,
) => {
  const trainer = new Trainer({
    accelerator: "cpu",
    logger: false,
    maxEpochs: module.values.length,
    callbacks,
    enableCheckpointing: [callbacks].flat().some((callback) => callback instanceof ModelCheckpoint),
    enableProgressBar: false,
    enableModelSummary: false,
    ...options,
  });
  await trainer.fit(module, { trainDataloaders: batches(2), valDataloaders: batches(1), ckptPath });
  return trainer;
};

const files = () => readdirSync(folder).sort();

describe("ModelCheckpoint", () => {
  const save = async (
    values: readonly number[],
    options: ModelCheckpointOptions,
    trainer?: TrainerOptions,
  ) => {
    const checkpoint = new ModelCheckpoint({ dirpath: folder, ...options });
    await fit(new Net(values), checkpoint, trainer);
    return checkpoint;
  };

  it("keeps the best k by the largest metric", async () => {
    const checkpoint = await save([1, 5, 3, 4], {
      monitor: "v",
      mode: "max",
      saveTopK: 2,
      filename: "{v:.0f}",
    });
    expect(files()).toEqual(["v=4.ckpt", "v=5.ckpt"]);
    expect([checkpoint.bestModelPath, checkpoint.kthBestModelPath]).toEqual([
      join(folder, "v=5.ckpt"),
      join(folder, "v=4.ckpt"),
    ]);
    expect(checkpoint.bestModelScore?.item()).toBe(5);
  });

  it("makes names of parts that a subclass may change", async () => {
    class Renamed extends ModelCheckpoint {
      override checkpointNameLast = "{epoch}+last";
      override checkpointJoinChar = "+";
      override checkpointEqualsChar = ":";
      override fileExtension = ".pt";
      override startingVersion = 5;
    }
    const checkpoint = () => new Renamed({ dirpath: folder, saveLast: true, filename: "" });
    await fit(new Net([1]), checkpoint());
    await fit(new Net([1]), checkpoint());
    expect(files()).toEqual([
      "epoch:0+last+v5.pt",
      "epoch:0+last.pt",
      "epoch:0+step:2+v5.pt",
      "epoch:0+step:2.pt",
    ]);
    const resumed = await fit(new Net([1]), checkpoint(), { maxEpochs: 1 }, "last");
    expect(resumed.ckptPath).toBe(join(folder, "epoch:0+last+v5.pt"));
  });

  it("keeps the first of equal ones, and takes NaN for the worst", async () => {
    await save([2, 2, Number.NaN, 2], { monitor: "v", filename: "{epoch}" });
    expect(files()).toEqual(["epoch=0.ckpt"]);
  });

  it("keeps all with saveTopK -1 and none with 0", async () => {
    await save([1, 2, 3], { monitor: "v", saveTopK: -1 });
    expect(files()).toEqual(["epoch=0-step=2.ckpt", "epoch=1-step=4.ckpt", "epoch=2-step=6.ckpt"]);
    rmSync(folder, { recursive: true });
    await save([1, 2, 3], { monitor: "v", saveTopK: 0, saveLast: true });
    expect(files()).toEqual(["last.ckpt"]);
  });

  it("saves every n epochs or every n optimizer steps", async () => {
    await save([1, 2, 3, 4], { everyNEpochs: 2, saveTopK: -1 });
    expect(files()).toEqual(["epoch=1-step=4.ckpt", "epoch=3-step=8.ckpt"]);
    rmSync(folder, { recursive: true });
    await save([1, 2, 3], { everyNTrainSteps: 4, saveTopK: -1 });
    expect(files()).toEqual(["epoch=1-step=4.ckpt"]);
  });

  it("adds a version to a name that exists", async () => {
    await save([1, 2, 3], { monitor: "v", saveTopK: -1, filename: "same" });
    expect(files()).toEqual(["same-v1.ckpt", "same-v2.ckpt", "same.ckpt"]);
    await save([1], { monitor: "v", filename: "same", saveLast: true });
    await save([1], { monitor: "v", filename: "same", saveLast: true });
    expect(files()).toEqual([
      "last-v1.ckpt",
      "last.ckpt",
      "same-v1.ckpt",
      "same-v2.ckpt",
      "same-v3.ckpt",
      "same-v4.ckpt",
      "same.ckpt",
    ]);
  });

  it("writes over a name that exists without the version counter", async () => {
    await save([1, 2], { monitor: "v", saveTopK: -1, filename: "same", enableVersionCounter: false });
    expect(files()).toEqual(["same.ckpt"]);
  });

  it("links the last checkpoint, if told so", async () => {
    await save([1, 2], { monitor: "v", mode: "max", saveLast: "link" });
    expect(files()).toEqual(["epoch=1-step=4.ckpt", "last.ckpt"]);
    expect(readlinkSync(join(folder, "last.ckpt"))).toBe("epoch=1-step=4.ckpt");
  });

  it("writes metrics into names as Python formats them", () => {
    const name = (filename: string, metrics: Record<string, Tensor | number>, options = {}) =>
      new ModelCheckpoint({ filename, ...options }).formatCheckpointName(metrics);
    const metric = (value: number) => torch.tensor(value);
    expect(name("{epoch:03d}", { epoch: 5 })).toBe("epoch=005.ckpt");
    expect(name("{epoch}-{val_loss:.2f}", { epoch: 2, val_loss: metric(0.123456) })).toBe(
      "epoch=2-val_loss=0.12.ckpt",
    );
    expect(
      name("e{epoch}-{a/b:.3f}", { epoch: 2, "a/b": metric(0.8125) }, { autoInsertMetricName: false }),
    ).toBe("e2-0.812.ckpt");
    expect(name("{x}", { x: torch.tensor(0.00001, { dtype: "float64" }) })).toBe("x=1e-05.ckpt");
    expect(name("{x:08.2f}", { x: metric(-0.5) })).toBe("x=-0000.50.ckpt");
    expect(name("{missing:d}", {})).toBe("missing=0.ckpt");
    expect(() => name("{x:d}", { x: metric(0.5) })).toThrow(/"d" is for whole numbers/);
  });
});

describe("EarlyStopping", () => {
  const stopAt = async (values: readonly number[], options: EarlyStoppingOptions) => {
    const stopping = new EarlyStopping("v", options);
    const trainer = await fit(new Net(values), stopping);
    return [trainer.currentEpoch, stopping.stoppingReason];
  };

  it("waits as long as its patience for an improvement of at least minDelta", async () => {
    expect(await stopAt([5, 4, 4, 4, 3], { patience: 2 })).toEqual([4, "patience_exhausted"]);
    expect(await stopAt([5, 4.9, 4.8, 4.7], { patience: 2, minDelta: 0.5 })).toEqual([
      3,
      "patience_exhausted",
    ]);
    expect(await stopAt([1, 2, 3], { patience: 1, mode: "max" })).toEqual([3, "not_stopped"]);
  });

  it("stops at a threshold, when the metric diverges, and when it is not finite", async () => {
    expect(await stopAt([5, 1, 1], { stoppingThreshold: 2 })).toEqual([2, "stopping_threshold"]);
    expect(await stopAt([5, 11, 1], { divergenceThreshold: 10 })).toEqual([2, "divergence_threshold"]);
    expect(await stopAt([5, Number.NaN, 1], {})).toEqual([2, "non_finite_metric"]);
    expect(await stopAt([5, Number.NaN, 1], { checkFinite: false })).toEqual([3, "not_stopped"]);
  });

  it("names the metrics there are where its own is missing", async () => {
    await expect(fit(new Net(), new EarlyStopping("w"))).rejects.toThrow(
      /"w", which is not available. Available are: v/,
    );
  });
});

class Memory extends Logger {
  readonly name = "memory";
  readonly version = 0;
  readonly logged: [Metrics, number | undefined][] = [];
  logMetrics(metrics: Metrics, step?: number) {
    this.logged.push([metrics, step]);
  }
  logHyperparams() {}
}

describe("LearningRateMonitor", () => {
  class Scheduled extends Net {
    constructor(readonly interval: "step" | "epoch") {
      super([1, 2]);
    }
    override configureOptimizers() {
      const groups = [{ params: [this.layer.weight], lr: 0.5 }, { params: [this.layer.bias!] }];
      const optimizer = new optim.SGD(groups, { lr: 1, momentum: 0.9, weightDecay: 0.1 });
      const scheduler = new optim.lrScheduler.StepLR(optimizer, 1, { gamma: 0.5 });
      return { optimizer, lrScheduler: { scheduler, interval: this.interval } };
    }
  }

  const monitor = async (module: Net, callback: LearningRateMonitor) => {
    const logger = new Memory();
    await fit(module, callback, { logger, logEveryNSteps: 1 });
    return logger.logged.filter(([metrics]) => Object.keys(metrics).some((name) => name.startsWith("lr-")));
  };

  it("logs each group when its scheduler is stepped", async () => {
    expect(await monitor(new Scheduled("epoch"), new LearningRateMonitor())).toEqual([
      [{ "lr-SGD/pg1": 0.5, "lr-SGD/pg2": 1 }, 0],
      [{ "lr-SGD/pg1": 0.25, "lr-SGD/pg2": 0.5 }, 2],
    ]);
    const steps = await monitor(new Scheduled("step"), new LearningRateMonitor());
    expect(steps.map(([metrics, step]) => [metrics["lr-SGD/pg2"], step])).toEqual([
      [1, 0],
      [0.5, 1],
      [0.25, 2],
      [0.125, 3],
    ]);
  });

  it("keeps what was logged of the only group for the first, when there are more", async () => {
    class Growing extends Net {
      override onTrainEpochEnd() {
        if (this.currentEpoch > 0) return;
        this.trainer.optimizers[0]!.addParamGroup({ params: [new nn.Parameter(torch.ones([1]))], lr: 0.5 });
      }
    }
    const callback = new LearningRateMonitor({ loggingInterval: "epoch" });
    await monitor(new Growing([1, 1, 1]), callback);
    expect(callback.lrs).toEqual({ "lr-SGD/pg1": [0.01, 0.01, 0.01], "lr-SGD/pg2": [0.5, 0.5] });
  });

  it("has callbacks see what was logged when training begins, also where no rate is due", async () => {
    const seen: string[][] = [];
    class Logs extends Scheduled {
      override onTrainStart() {
        this.log("begin", 1);
      }
      override onTrainBatchEnd() {
        seen.push(Object.keys(this.trainer.callbackMetrics));
      }
    }
    await monitor(new Logs("step"), new LearningRateMonitor());
    expect(seen[0]).toContain("begin");
  });

  it("logs momentum and weight decay, if told so", async () => {
    const options = { logMomentum: true, logWeightDecay: true, loggingInterval: "epoch" } as const;
    const [first] = await monitor(new Net([1]), new LearningRateMonitor(options));
    expect(first).toEqual([{ "lr-SGD": 0.01, "lr-SGD-momentum": 0, "lr-SGD-weight_decay": 0 }, 0]);
  });

  it("needs a logger", async () => {
    await expect(fit(new Net(), new LearningRateMonitor())).rejects.toThrow(/needs a logger/);
  });
});

describe("Timer", () => {
  it("measures stages, and ends a fit when its time is over", async () => {
    const timer = new Timer({ duration: { milliseconds: 1 }, verbose: false });
    class Slow extends Net {
      override async trainingStep(batch: Tensor): Promise<StepOutput> {
        await new Promise((resolve) => setTimeout(resolve, 5));
        return super.trainingStep(batch);
      }
    }
    const trainer = await fit(new Slow([1, 2]), timer);
    expect(trainer.globalStep).toBe(1);
    expect(timer.timeElapsed()).toBeGreaterThan(0.001);
    expect(timer.timeRemaining()).toBeLessThan(0);
    expect(timer.startTime("test")).toBe(null);
  });
});
