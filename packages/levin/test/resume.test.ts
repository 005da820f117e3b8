import { readdirSync } from "node:fs";
import { join } from "node:path";
import * as torch from "@levin/torch";
import { data, nn, optim, Tensor } from "@levin/torch";
import {
  type FitOptions,
  LightningModule,
  ModelCheckpoint,
  setQuiet,
  Trainer,
  type TrainerOptions,
} from "levin";
import { beforeAll, describe, expect, it } from "vitest";
import { folder, useFolder } from "./folder.js";

beforeAll(() => setQuiet(true));
useFolder();

type Batch = Tensor | Record<string, Tensor>;

/** Dropout, batch norm, schedulers by step and by epoch. */
class Net extends LightningModule<Batch> {
  readonly layers = new nn.Sequential(
    new nn.Linear(3, 4),
    new nn.BatchNorm1d(4),
    new nn.Dropout(0.5),
    new nn.Linear(4, 1),
  );
  #loss(batch: Batch): Tensor {
    const input = batch instanceof Tensor ? batch : torch.cat(Object.values(batch));
    return (this.layers.forward(input) as Tensor).pow(2).mean();
  }
  override trainingStep(batch: Batch) {
    return this.#loss(batch);
  }
  override validationStep(batch: Batch) {
    this.log("v", this.#loss(batch));
  }
  override configureOptimizers() {
    const optimizer = new optim.Adam(this.parameters(), { lr: 0.05 });
    return [
      [optimizer],
      [
        { scheduler: new optim.lrScheduler.ExponentialLR(optimizer, 0.9), interval: "step" as const },
        { scheduler: new optim.lrScheduler.StepLR(optimizer, 1, { gamma: 0.5 }) },
      ],
    ] as [optim.Optimizer[], { scheduler: optim.lrScheduler.LRScheduler }[]];
  }
}

/** Samples with noise. */
const noisy = (length: number): data.Dataset<Tensor> => ({
  length,
  getItem: (index) => torch.randn([3]).add(index),
});

/** The same without a length, with an iterator that knows where it is. */
const stream = (length: number): data.IterableDataset<Tensor> => ({
  [Symbol.iterator]() {
    let index = 0;
    const iterator = {
      next: (): IteratorResult<Tensor> =>
        index < length
          ? { done: false, value: torch.randn([3]).add(index++) }
          : { done: true, value: undefined },
      stateDict: () => ({ index }),
      loadStateDict: (state: { index: number }) => {
        index = state.index;
      },
      [Symbol.iterator]: () => iterator,
    };
    return iterator;
  },
});

type Loaders = () => FitOptions;

async function fit(loaders: Loaders, options: TrainerOptions, seed: number, ckptPath: string | null) {
  torch.manualSeed(seed);
  const net = new Net();
  const trainer = new Trainer({
    accelerator: "cpu",
    logger: false,
    maxEpochs: 2,
    enableProgressBar: false,
    enableModelSummary: false,
    enableCheckpointing: options.callbacks !== undefined,
    ...options,
  });
  await trainer.fit(net, { ...loaders(), ckptPath });
  return [...Object.values(net.stateDict()), torch.getRngState()];
}

/** Goes on from each checkpoint of a run, with another seed, and compares with its end. */
async function expectExact(
  loaders: Loaders,
  checkpoint: object,
  options: TrainerOptions = {},
): Promise<void> {
  const callbacks = [new ModelCheckpoint({ dirpath: folder, saveTopK: -1, ...checkpoint })];
  const whole = await fit(loaders, { ...options, callbacks }, 1, null);
  const files = readdirSync(folder);
  expect(files.length).toBeGreaterThan(1);
  for (const file of files) {
    const resumed = await fit(loaders, options, 2, join(folder, file));
    const same = resumed.map((tensor, i) => torch.equal(tensor, whole[i]!));
    expect([file, same]).toEqual([file, whole.map(() => true)]);
  }
}

const everyStep = { everyNTrainSteps: 1 };
const validation = () => new data.DataLoader(noisy(5), { batchSize: 2 });
const shuffled = () => new data.StatefulDataLoader(noisy(12), { batchSize: 3, shuffle: true });

describe("a run that goes on from any checkpoint ends as the uninterrupted one to the bit", () => {
  it("with a shuffled stateful loader, dropout and schedulers", () =>
    expectExact(() => ({ trainDataloaders: shuffled() }), everyStep));

  it("with validation at the end of epochs, which draws random numbers, too", () =>
    expectExact(() => ({ trainDataloaders: shuffled(), valDataloaders: validation() }), everyStep));

  it("with validation within epochs", () =>
    expectExact(() => ({ trainDataloaders: shuffled(), valDataloaders: validation() }), everyStep, {
      valCheckInterval: 2,
    }));

  it("from checkpoints of validations", () =>
    expectExact(
      () => ({ trainDataloaders: shuffled(), valDataloaders: validation() }),
      { monitor: "v" },
      { valCheckInterval: 2 },
    ));

  it("while gradients add up", () =>
    expectExact(
      () => ({ trainDataloaders: new data.StatefulDataLoader(noisy(15), { batchSize: 3, shuffle: true }) }),
      { trainTimeInterval: { milliseconds: 0 } },
      { accumulateGradBatches: 2 },
    ));

  it("with a stream of unknown length", () =>
    expectExact(
      () => ({ trainDataloaders: new data.StatefulDataLoader(stream(8), { batchSize: 2 }) }),
      everyStep,
    ));

  it("with several loaders", () =>
    expectExact(
      () => ({
        trainDataloaders: {
          a: shuffled(),
          b: new data.StatefulDataLoader(noisy(6), { batchSize: 3, shuffle: true }),
        },
      }),
      everyStep,
    ));

  it("with a loader that has no state, from the ends of epochs", () =>
    expectExact(
      () => ({
        trainDataloaders: new data.DataLoader(noisy(8), { batchSize: 2, shuffle: true }),
        valDataloaders: validation(),
      }),
      { everyNEpochs: 1 },
    ));

  it("counted by steps", () =>
    expectExact(() => ({ trainDataloaders: shuffled(), valDataloaders: validation() }), everyStep, {
      maxEpochs: -1,
      maxSteps: 10,
    }));

  it("counted by steps, from the end of a fit", async () => {
    const loaders = () => ({ trainDataloaders: shuffled(), valDataloaders: validation() });
    const steps = (maxSteps: number) => ({ maxEpochs: -1, maxSteps });
    const whole = await fit(loaders, steps(10), 1, null);
    const callbacks = [new ModelCheckpoint({ dirpath: folder, everyNTrainSteps: 100, saveLast: true })];
    await fit(loaders, { ...steps(4), callbacks }, 1, null);
    const resumed = await fit(loaders, steps(10), 2, join(folder, "last.ckpt"));
    expect(resumed.map((tensor, i) => torch.equal(tensor, whole[i]!))).toEqual(whole.map(() => true));
  });
});
