import * as torch from "@levin/torch";
import { nn, optim, type Tensor } from "@levin/torch";
import type { StepOutput } from "levin";
import { Callback, CombinedLoader, KeyboardInterrupt, LightningModule, setQuiet, type Trainer } from "levin";
import { beforeAll, describe, expect, it } from "vitest";
import { quietTrainer } from "./quiet-trainer.js";

beforeAll(() => setQuiet(true));

const batches = (count: number): Tensor[] =>
  Array.from({ length: count }, (_, i) => torch.full([2, 3], i + 1));

/** A loader of ready batches. */
const loader = (count: number) => new Set(batches(count));

class Net extends LightningModule<Tensor> {
  readonly layer = new nn.Linear(3, 1);
  readonly seen: string[] = [];

  override trainingStep(batch: Tensor, batchIdx: number): StepOutput | Promise<StepOutput> {
    this.seen.push(`training ${batchIdx}`);
    return this.layer.forward(batch).pow(2).mean();
  }

  override configureOptimizers() {
    return new optim.SGD(this.parameters(), { lr: 0.01 });
  }
}

describe("fit", () => {
  it("takes one optimizer step per batch and counts epochs and steps", async () => {
    const net = new Net();
    const before = net.layer.weight.detach().clone();
    const trainer = quietTrainer({ maxEpochs: 2 });
    await trainer.fit(net, { trainDataloaders: loader(3) });
    expect(net.seen).toEqual([
      "training 0",
      "training 1",
      "training 2",
      "training 0",
      "training 1",
      "training 2",
    ]);
    expect([trainer.currentEpoch, trainer.globalStep, trainer.state.status]).toEqual([2, 6, "finished"]);
    expect(net.layer.weight.equal(before)).toBe(false);
  });

  it("calls the hooks of a batch in Lightning's order, callbacks before the module", async () => {
    const order: string[] = [];
    class Watcher extends Callback {
      override onTrainBatchStart() {
        order.push("callback onTrainBatchStart");
      }
      override onBeforeOptimizerStep() {
        order.push("callback onBeforeOptimizerStep");
      }
    }
    class Watched extends Net {
      override onTrainBatchStart() {
        order.push("onTrainBatchStart");
      }
      override trainingStep(batch: Tensor, batchIdx: number) {
        order.push("trainingStep");
        return super.trainingStep(batch, batchIdx);
      }
      override onBeforeZeroGrad() {
        order.push("onBeforeZeroGrad");
      }
      override onBeforeBackward() {
        order.push("onBeforeBackward");
      }
      override onAfterBackward() {
        order.push("onAfterBackward");
      }
      override onBeforeOptimizerStep() {
        order.push("onBeforeOptimizerStep");
      }
      override configureGradientClipping() {
        order.push("configureGradientClipping");
      }
      override onTrainBatchEnd() {
        order.push("onTrainBatchEnd");
      }
    }
    await quietTrainer({ callbacks: [new Watcher()] }).fit(new Watched(), { trainDataloaders: loader(1) });
    expect(order).toEqual([
      "callback onTrainBatchStart",
      "onTrainBatchStart",
      "trainingStep",
      "onBeforeZeroGrad",
      "onBeforeBackward",
      "onAfterBackward",
      "callback onBeforeOptimizerStep",
      "onBeforeOptimizerStep",
      "configureGradientClipping",
      "onTrainBatchEnd",
    ]);
  });

  it("gives the same weights with an asynchronous training step, which it awaits before the optimizer step", async () => {
    class Slow extends Net {
      override async trainingStep(batch: Tensor, batchIdx: number) {
        await new Promise((resolve) => setTimeout(resolve, 1));
        return super.trainingStep(batch, batchIdx);
      }
    }
    const weights = [];
    for (const Module of [Net, Slow]) {
      torch.manualSeed(0);
      const net = new Module();
      const trainer = quietTrainer();
      await trainer.fit(net, { trainDataloaders: loader(3) });
      expect(net.seen).toHaveLength(3);
      weights.push(net.layer.weight.detach().toArray());
    }
    expect(weights[1]).toEqual(weights[0]);
  });

  it("awaits asynchronous hooks in their order", async () => {
    const order: string[] = [];
    class Patient extends Callback {
      constructor(readonly label: string) {
        super();
      }
      override async onTrainStart() {
        await new Promise((resolve) => setTimeout(resolve, 5));
        order.push(this.label);
      }
    }
    class Last extends Net {
      override async onTrainStart() {
        order.push("module");
      }
    }
    await quietTrainer({ callbacks: [new Patient("a"), new Patient("b")] }).fit(new Last(), {
      trainDataloaders: loader(1),
    });
    expect(order).toEqual(["a", "b", "module"]);
  });

  it("refuses an asynchronous hook inside the optimizer step", async () => {
    const wrong = new Net();
    // @ts-expect-error the types refuse it as well
    wrong.onAfterBackward = async () => {};
    await expect(quietTrainer().fit(wrong, { trainDataloaders: loader(1) })).rejects.toThrow(
      /onAfterBackward returned a promise/,
    );
  });

  it("adds up gradients over batches, and steps on the last batch of an epoch", async () => {
    const trainer = quietTrainer({ accumulateGradBatches: 2 });
    await trainer.fit(new Net(), { trainDataloaders: loader(5) });
    expect(trainer.globalStep).toBe(3);
  });

  it("tells the callbacks of an error, leaves gradients on, and throws the error as it is", async () => {
    const error = new Error("no luck");
    const told: unknown[] = [];
    class Told extends Callback {
      override onException(_trainer: Trainer, _module: LightningModule, exception: unknown) {
        told.push(exception);
      }
    }
    class Failing extends Net {
      override validationStep() {
        throw error;
      }
    }
    const trainer = quietTrainer({ callbacks: [new Told()] });
    const running = trainer.fit(new Failing(), { trainDataloaders: loader(1), valDataloaders: loader(1) });
    await expect(running).rejects.toBe(error);
    expect(told).toEqual([error]);
    expect(torch.isGradEnabled()).toBe(true);
    expect(trainer.interrupted).toBe(true);
  });

  it("ends gracefully when a hook throws a KeyboardInterrupt", async () => {
    const told: unknown[] = [];
    class Interrupting extends Callback {
      override onTrainBatchEnd() {
        throw new KeyboardInterrupt();
      }
      override onException(_trainer: Trainer, _module: LightningModule, exception: unknown) {
        told.push(exception);
      }
    }
    const running = quietTrainer({ callbacks: [new Interrupting()] }).fit(new Net(), {
      trainDataloaders: loader(2),
    });
    await expect(running).rejects.toBeInstanceOf(KeyboardInterrupt);
    expect(told[0]).toBeInstanceOf(KeyboardInterrupt);
  });

  it("serves the event loop while a synchronous module trains", async () => {
    let ticks = 0;
    const timer = setInterval(() => ticks++, 5);
    class Busy extends Net {
      override trainingStep(batch: Tensor, batchIdx: number) {
        const until = performance.now() + 20;
        while (performance.now() < until);
        return super.trainingStep(batch, batchIdx);
      }
    }
    await quietTrainer().fit(new Busy(), { trainDataloaders: loader(10) });
    clearInterval(timer);
    expect(ticks).toBeGreaterThan(1);
  });

  it("reads asynchronous loaders", async () => {
    async function* read() {
      for (const batch of batches(3)) yield batch;
    }
    const net = new Net();
    await quietTrainer().fit(net, { trainDataloaders: { [Symbol.asyncIterator]: read } });
    expect(net.seen).toEqual(["training 0", "training 1", "training 2"]);
  });

  it("trains on float64 with precision 64-true", async () => {
    const dtypes: string[] = [];
    class Double extends Net {
      override trainingStep(batch: Tensor, batchIdx: number) {
        dtypes.push(batch.dtype);
        return super.trainingStep(batch, batchIdx);
      }
    }
    const net = new Double();
    await quietTrainer({ precision: "64-true" }).fit(net, { trainDataloaders: loader(1) });
    expect([dtypes, net.dtype]).toEqual([["float64"], "float64"]);
  });
});

describe("a trainer that is used again", () => {
  it("goes on where the last fit ended, once there are more epochs to come", async () => {
    const epochs: number[] = [];
    class Watched extends Net {
      override onTrainEpochEnd() {
        epochs.push(this.currentEpoch);
      }
    }
    const trainer = quietTrainer({ maxEpochs: 2 });
    const fit = () => trainer.fit(new Watched(), { trainDataloaders: loader(1) });
    await fit();
    await fit();
    expect(epochs).toEqual([0, 1]);
    trainer.maxEpochs = 3;
    await fit();
    trainer.fitLoop.maxEpochs = 4;
    await fit();
    expect([epochs, trainer.maxEpochs]).toEqual([[0, 1, 2, 3], 4]);
  });
});

describe("the closure of a training step", () => {
  it("must be called by the module's optimizerStep", async () => {
    class Idle extends Net {
      override optimizerStep() {}
    }
    await expect(quietTrainer().fit(new Idle(), { trainDataloaders: loader(1) })).rejects.toThrow(
      /closure.* was not called/,
    );
  });

  it("must be called by the optimizer", async () => {
    class Deaf extends optim.SGD {
      override step(): ReturnType<optim.SGD["step"]> {
        return super.step();
      }
    }
    class WithDeaf extends Net {
      override configureOptimizers() {
        return new Deaf(this.parameters(), { lr: 0.01 });
      }
    }
    await expect(quietTrainer().fit(new WithDeaf(), { trainDataloaders: loader(1) })).rejects.toThrow(
      /closure.* was not called/,
    );
  });
});

describe("CombinedLoader", () => {
  const read = (mode: "min_size" | "max_size" | "max_size_cycle" | "sequential") =>
    [...new CombinedLoader({ a: new Set([1, 2, 3]), b: new Set([10]) }, { mode })].map((item) => item.batch);

  it("ends with the shortest loader in min_size", () => {
    expect(read("min_size")).toEqual([{ a: 1, b: 10 }]);
  });

  it("gives null for exhausted loaders in max_size", () => {
    expect(read("max_size")).toEqual([
      { a: 1, b: 10 },
      { a: 2, b: null },
      { a: 3, b: null },
    ]);
  });

  it("begins exhausted loaders anew in max_size_cycle", () => {
    expect(read("max_size_cycle")).toEqual([
      { a: 1, b: 10 },
      { a: 2, b: 10 },
      { a: 3, b: 10 },
    ]);
  });

  it("reads one loader after the other in sequential", () => {
    expect(read("sequential")).toEqual([1, 2, 3, 10]);
  });
});
