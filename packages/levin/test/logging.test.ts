import * as torch from "@levin/torch";
import { metrics, nn, optim, type Tensor } from "@levin/torch";
import { Callback, LightningModule, type Loaders, Logger, type Metrics, setQuiet, Trainer } from "levin";
import { beforeAll, describe, expect, it } from "vitest";

beforeAll(() => setQuiet(true));

class Memory extends Logger {
  readonly name = "memory";
  readonly version = 0;
  readonly logged: [Metrics, number | undefined][] = [];
  readonly hparams: Record<string, unknown>[] = [];
  status = "";
  logMetrics(metrics: Metrics, step?: number) {
    this.logged.push([metrics, step]);
  }
  logHyperparams(params: Record<string, unknown>) {
    this.hparams.push(params);
  }
  override finalize(status: string) {
    this.status = status;
  }
}

class Net extends LightningModule<Tensor> {
  readonly layer = new nn.Linear(1, 1);
  override trainingStep(batch: Tensor, batchIdx: number) {
    this.train_(batch, batchIdx);
    return this.layer.forward(batch).mean();
  }
  train_(_batch: Tensor, _batchIdx: number): void {}
  override configureOptimizers() {
    return new optim.SGD(this.parameters(), { lr: 0 });
  }
}

const sizes = (...rows: number[]) => new Set(rows.map((count) => torch.ones([count, 1])));

const fit = async (net: Net, train = sizes(2, 2), val?: Loaders, options = {}) => {
  const logger = new Memory();
  const trainer = new Trainer({
    accelerator: "cpu",
    maxEpochs: 1,
    logger,
    logEveryNSteps: 1,
    numSanityValSteps: 0,
    enableCheckpointing: false,
    enableProgressBar: false,
    enableModelSummary: false,
    ...options,
  });
  await trainer.fit(net, { trainDataloaders: train, valDataloaders: val });
  return { trainer, logger };
};

describe("log", () => {
  it("logs each step of training with the step's number and the epoch", async () => {
    class Logs extends Net {
      override train_(_: Tensor, batchIdx: number) {
        this.log("x", batchIdx);
      }
    }
    const { logger } = await fit(new Logs());
    expect(logger.logged).toEqual([
      [{ x: 0, epoch: 0 }, 0],
      [{ x: 1, epoch: 0 }, 1],
    ]);
    expect(logger.status).toBe("success");
  });

  it("weighs the mean of an epoch by the sizes of the batches", async () => {
    class Logs extends Net {
      override train_(_: Tensor, batchIdx: number) {
        this.log("x", torch.tensor(batchIdx), { onStep: false, onEpoch: true });
      }
    }
    const { trainer } = await fit(new Logs(), sizes(3, 1));
    expect(trainer.callbackMetrics.x?.item()).toBeCloseTo(0.25, 6);
  });

  it("names the values of steps and of the epoch where both are logged", async () => {
    class Logs extends Net {
      override train_(_: Tensor, batchIdx: number) {
        this.log("x", batchIdx, { onStep: true, onEpoch: true });
      }
    }
    const { trainer } = await fit(new Logs());
    expect(Object.keys(trainer.callbackMetrics).sort()).toEqual(["x", "x_epoch", "x_step"]);
    expect([trainer.callbackMetrics.x_step?.item(), trainer.callbackMetrics.x_epoch?.item()]).toEqual([
      1, 0.5,
    ]);
  });

  it.each([
    ["min", 1],
    ["max", 3],
    ["sum", 6],
    ["mean", 2],
  ] as const)("reduces an epoch by %s", async (reduceFx, expected) => {
    class Logs extends Net {
      override train_(_: Tensor, batchIdx: number) {
        this.log("x", batchIdx + 1, { onStep: false, onEpoch: true, reduceFx });
      }
    }
    const { trainer } = await fit(new Logs(), sizes(1, 1, 1));
    expect(trainer.callbackMetrics.x?.item()).toBe(expected);
  });

  it("keeps what was logged when the tensor is changed in place afterwards", async () => {
    class Logs extends Net {
      readonly buffer = torch.zeros([]);
      override train_() {
        this.buffer.add_(1);
        this.log("x", this.buffer, { onEpoch: true });
        this.buffer.mul_(1);
      }
      override onTrainBatchEnd() {
        this.buffer.add_(10);
      }
    }
    const { trainer } = await fit(new Logs());
    expect([trainer.callbackMetrics.x_step?.item(), trainer.callbackMetrics.x_epoch?.item()]).toEqual([
      12, 6.5,
    ]);
  });

  it("adds the loader's index to the name where there are several", async () => {
    class Logs extends Net {
      override validationStep() {
        this.log("v", 1);
      }
    }
    const { trainer } = await fit(new Logs(), sizes(1), [sizes(1), sizes(1)]);
    expect(Object.keys(trainer.callbackMetrics)).toEqual(["v/dataloader_idx_0", "v/dataloader_idx_1"]);
  });

  it("does not keep the graph of what is logged", async () => {
    class Logs extends Net {
      override train_(batch: Tensor) {
        this.log("x", this.layer.forward(batch).mean(), { onEpoch: true });
      }
    }
    const { trainer } = await fit(new Logs());
    expect(trainer.callbackMetrics.x?.requiresGrad).toBe(false);
  });

  it("logs only every so many steps to the loggers", async () => {
    class Logs extends Net {
      override train_(_: Tensor, batchIdx: number) {
        this.log("x", batchIdx);
      }
    }
    const { logger } = await fit(new Logs(), sizes(1, 1, 1, 1), undefined, { logEveryNSteps: 2 });
    expect(logger.logged.map(([, step]) => step)).toEqual([1, 3]);
  });

  it("lets callbacks log", async () => {
    class Logs extends Callback {
      override onTrainBatchEnd() {
        this.log("from_callback", 3);
      }
    }
    const { trainer } = await fit(new Net(), sizes(1), undefined, { callbacks: [new Logs()] });
    expect(trainer.callbackMetrics.from_callback?.item()).toBe(3);
  });

  it.each([
    ["a tensor with several elements", () => torch.ones([2]), /must have a single element/],
    ["an object", () => ({ a: 1 }) as unknown as number, /logDict/],
    ["a string", () => "1" as unknown as number, /was called with "1"/],
  ])("refuses %s", async (_, value, message) => {
    class Logs extends Net {
      override train_() {
        this.log("x", value());
      }
    }
    await expect(fit(new Logs())).rejects.toThrow(message);
  });

  it("refuses other options for the same name in the same hook", async () => {
    class Logs extends Net {
      override train_() {
        this.log("x", 1);
        this.log("x", 1, { progBar: true });
      }
    }
    await expect(fit(new Logs())).rejects.toThrow(/twice/);
  });

  it("refuses hooks in which nothing can be logged", async () => {
    class Logs extends Net {
      override onFitStart() {
        this.log("x", 1);
      }
    }
    await expect(fit(new Logs())).rejects.toThrow(/onFitStart/);
  });

  it("hands saved hyperparameters to the loggers", async () => {
    class Logs extends Net {
      constructor() {
        super();
        this.saveHyperparameters({ lr: 0.1, name: "n" }, { ignore: "name" });
      }
    }
    const { logger } = await fit(new Logs());
    expect(logger.hparams).toEqual([{ lr: 0.1 }]);
  });
});

describe("log with a metric", () => {
  /** Has a metric of each stage, fed with the sizes of the batches. */
  class Counts extends Net {
    readonly mean = new metrics.MeanMetric();
    readonly valSum = new metrics.SumMetric();
    override train_(batch: Tensor) {
      this.mean.forward(batch.size(0));
      this.log("mean", this.mean, { onStep: true, onEpoch: true });
    }
    override validationStep(batch: Tensor) {
      this.valSum.update(batch.size(0));
      this.log("val_sum", this.valSum);
    }
  }

  it("logs at each step the value of forward, and at the end of the epoch that of compute", async () => {
    const { trainer, logger } = await fit(new Counts(), sizes(1, 2, 6), sizes(4, 5));
    expect(logger.logged.map(([values]) => values)).toEqual([
      { mean_step: 1, epoch: 0 },
      { mean_step: 2, epoch: 0 },
      { mean_step: 6, epoch: 0 },
      { val_sum: 9, epoch: 0 },
      { mean_epoch: 3, epoch: 0 },
    ]);
    expect(Object.keys(trainer.callbackMetrics).sort()).toEqual([
      "mean",
      "mean_epoch",
      "mean_step",
      "val_sum",
    ]);
  });

  it("resets it at the end of each epoch, and not in between", async () => {
    const net = new Counts();
    const { logger } = await fit(net, sizes(1, 2), sizes(4), { maxEpochs: 2, valCheckInterval: 1 });
    expect(
      logger.logged.filter(([values]) => "mean_epoch" in values).map(([values]) => values.mean_epoch),
    ).toEqual([1.5, 1.5]);
    expect(logger.logged.filter(([values]) => "val_sum" in values).map(([values]) => values.val_sum)).toEqual(
      [4, 4, 4, 4],
    );
    expect(net.mean.updateCalled).toBe(false);
  });

  it("finds it in modules within the module, and in a collection", async () => {
    class Nested extends Net {
      readonly inner = new nn.ModuleDict({ sum: new metrics.SumMetric() });
      readonly scores = new metrics.MetricCollection([new metrics.MaxMetric(), new metrics.MinMetric()], {
        prefix: "train_",
      });
      override train_(batch: Tensor) {
        const sum = this.inner.get("sum") as metrics.SumMetric;
        sum.update(batch.size(0));
        this.log("sum", sum, { onStep: false, onEpoch: true });
        this.scores.update(batch.size(0));
        this.logDict(this.scores, { onStep: false, onEpoch: true });
      }
    }
    const { logger } = await fit(new Nested(), sizes(3, 1));
    expect(logger.logged.at(-1)?.[0]).toEqual({ sum: 4, train_MaxMetric: 3, train_MinMetric: 1, epoch: 0 });
  });

  it("can be logged by a callback, by its name", async () => {
    class Logs extends Callback {
      readonly sum = new metrics.SumMetric();
      override onTrainBatchEnd() {
        this.sum.update(2);
        this.log("mine", this.sum, { onStep: false, onEpoch: true, metricAttribute: "mine" });
      }
    }
    const { logger } = await fit(new Net(), sizes(1, 1), undefined, { callbacks: [new Logs()] });
    expect(logger.logged.at(-1)?.[0]).toEqual({ mine: 4, epoch: 0 });
  });

  it("needs no batch that has a size", async () => {
    class Logs extends Net {
      readonly sum = new metrics.SumMetric();
      override trainingStep() {
        this.sum.update(1);
        this.log("sum", this.sum, { onStep: false, onEpoch: true });
        return this.layer.forward(torch.ones([1, 1])).mean();
      }
    }
    const { logger } = await fit(new Logs(), new Set(["a", "b"]) as never);
    expect(logger.logged.at(-1)?.[0]).toEqual({ sum: 2, epoch: 0 });
  });

  it.each([
    ["a metric in no field", () => new metrics.SumMetric(), {}, /in no field of Logs.*metricAttribute.*own/],
    [
      "a metric whose value is no scalar",
      (net: nn.Module) => net.getSubmodule("matrix"),
      { onStep: false, onEpoch: true },
      /"x" has the shape \[2, 2\]/,
    ],
    [
      "a metric whose value is no tensor",
      (net: nn.Module) => net.getSubmodule("curve"),
      { onStep: false, onEpoch: true },
      /must give a tensor, but gave an object/,
    ],
  ])("refuses %s", async (_, choose, options, message) => {
    class Logs extends Net {
      readonly own = new metrics.SumMetric();
      readonly matrix = new metrics.ConfusionMatrix("binary");
      readonly curve = new metrics.ROC("binary");
      override train_() {
        const targets = torch.tensor([0, 1], { dtype: "int64" });
        const metric = choose(this) as metrics.SumMetric;
        if (metric !== undefined && !(metric instanceof metrics.SumMetric)) {
          (metric as unknown as metrics.ROC).update(torch.tensor([0.1, 0.9]), targets);
        }
        this.log("x", metric, options);
      }
    }
    await expect(fit(new Logs())).rejects.toThrow(message);
  });

  it("refuses another metric under the same name", async () => {
    class Logs extends Net {
      readonly a = new metrics.SumMetric();
      readonly b = new metrics.SumMetric();
      override train_(_: Tensor, batchIdx: number) {
        this.log("x", batchIdx === 0 ? this.a : this.b);
      }
    }
    await expect(fit(new Logs())).rejects.toThrow(/twice/);
  });
});
