import { writeFileSync } from "node:fs";
import { join } from "node:path";
import * as torch from "@levin/torch";
import { data, nn, optim, type Tensor } from "@levin/torch";
import {
  Callback,
  EarlyStopping,
  type FitOptions,
  LambdaCallback,
  LightningModule,
  ModelCheckpoint,
  setQuiet,
  type TrainerOptions,
} from "levin";
import { beforeEach, describe, expect, it } from "vitest";
import { folder, useFolder } from "./folder.js";
import { quietTrainer } from "./quiet-trainer.js";

useFolder();
beforeEach(() => setQuiet(true));

class Net extends LightningModule<[Tensor]> {
  readonly layer = new nn.Linear(2, 1);

  override trainingStep([x]: [Tensor]): Tensor {
    return this.layer.forward(x).mean();
  }

  override validationStep(): void {}

  override configureOptimizers() {
    return new optim.SGD(this.parameters(), { lr: 0.1 });
  }
}

const loader = () => new data.DataLoader(new data.TensorDataset(torch.ones([4, 2])), { batchSize: 2 });
const make = (options: TrainerOptions = {}) => quietTrainer({ defaultRootDir: folder, ...options });
/** Fits a module with other methods. */
const fit = (own: object = {}, options: TrainerOptions = {}) =>
  make(options).fit(Object.assign(new Net(), own), {
    trainDataloaders: loader(),
    valDataloaders: loader(),
  });
const never = (value: unknown) => value as never;

describe("trainer.fit tells what is wrong with", () => {
  it.each([
    ["a loader by place", loader, /given a DataLoader; after the module it takes an object of options/],
    ["a misspelt option", () => ({ train_dataloader: loader() }), /should be trainDataloaders/],
    ["no loader", () => ({}), /trainDataloader\(\) must be defined in Net, or .* given trainDataloaders/],
    ["an empty list of loaders", () => ({ trainDataloaders: [] }), /empty list/],
    ["a function for a loader", () => ({ trainDataloaders: loader }), /given a function as a loader/],
    ["a loader for a data module", () => ({ datamodule: loader() }), /it is a LightningDataModule/],
  ])("%s", async (_, options: () => unknown, message) => {
    await expect(make().fit(new Net(), never(options()) as FitOptions)).rejects.toThrow(message);
  });

  it.each([
    ["an empty list of optimizers", { configureOptimizers: () => [] }, /empty list of optimizers/],
    ["callbacks that are classes", { configureCallbacks: () => [EarlyStopping] }, /the class EarlyStopping/],
    ["callbacks that have yet to come", { configureCallbacks: async () => [] }, /returned a promise/],
  ])("%s", async (_, own, message) => {
    await expect(fit(own)).rejects.toThrow(message);
  });

  it("a scheduler that is stepped every 0 epochs", async () => {
    const configureOptimizers = () => {
      const optimizer = new optim.SGD(new nn.Linear(1, 1).parameters(), { lr: 1 });
      const scheduler = new optim.lrScheduler.StepLR(optimizer, 1);
      return { optimizer, lrScheduler: { scheduler, frequency: 0 } };
    };
    await expect(fit({ configureOptimizers })).rejects.toThrow(/integer >= 1, but is 0/);
  });

  it("a file that is no checkpoint", async () => {
    const path = join(folder, "weights.pt");
    torch.save(new Net().layer.stateDict(), path);
    const options = { trainDataloaders: loader(), ckptPath: path };
    await expect(make().fit(new Net(), options)).rejects.toThrow(/no checkpoint of a trainer/);
    expect(() => Net.loadFromCheckpoint(path)).toThrow(/no checkpoint of a trainer/);
    writeFileSync(path, "text");
    await expect(make().fit(new Net(), options)).rejects.toThrow(/weights\.pt: it is not a file of/);
  });
});

describe("hooks that nothing waits for", () => {
  const hooks = ["optimizerZeroGrad", "onValidationModelEval", "onValidationModelTrain"];
  it.each(hooks)("refuse a promise: %s", async (name) => {
    await expect(fit({ [name]: async () => {} })).rejects.toThrow(`${name} returned a promise`);
  });

  it("refuse a promise when a checkpoint is saved, so that none is incomplete", async () => {
    const module = Object.assign(new Net(), { onSaveCheckpoint: async () => {} });
    const trainer = make();
    await trainer.fit(never(module), { trainDataloaders: loader() });
    expect(() => trainer.saveCheckpoint(join(folder, "a.ckpt"))).toThrow(
      /onSaveCheckpoint returned a promise/,
    );

    class Late extends Callback {
      override stateDict() {
        return never(Promise.resolve({ a: 1 }));
      }
    }
    trainer.callbacks = [new Late()];
    module.onSaveCheckpoint = never(() => {});
    expect(() => trainer.saveCheckpoint(join(folder, "a.ckpt"))).toThrow(
      /stateDict of Late returned a promise/,
    );
  });
});

describe("log tells what is wrong with", () => {
  it.each([
    ["a name", (net: Net) => net.log(never(3), 1), /name was given 3/],
    ["an option", (net: Net) => net.log("a", 1, never({ prog_bar: true })), /should be progBar/],
    [
      "a size of batches",
      (net: Net) => net.log("a", 1, { batchSize: never("x") }),
      /batchSize was given "x"/,
    ],
    ["values that are a list", (net: Net) => net.logDict(never([1])), /given \[1\]; it takes an object/],
    ["values that are a map", (net: Net) => net.logDict(never(new Map())), /given a Map/],
  ])("%s", async (_, log, message) => {
    const trainingStep = function (this: Net) {
      log(this);
    };
    await expect(fit({ trainingStep })).rejects.toThrow(message);
  });
});

describe("callbacks tell what is wrong with", () => {
  it.each([
    ["no metric", () => new EarlyStopping(never(undefined)), /monitor was given undefined/],
    ["patience", () => new EarlyStopping("a", { patience: never("3") }), /patience was given "3"/],
    ["a folder by place", () => new ModelCheckpoint(never("folder")), /takes an object of options/],
    ["a misspelt hook", () => new LambdaCallback(never({ onTrainStarts() {} })), /no hook/],
    ["a hook that is no function", () => new LambdaCallback({ onTrainStart: never(3) }), /given 3/],
  ])("%s", (_, create, message) => {
    expect(create).toThrow(message);
  });
});

describe("two runs on one thread", () => {
  const slow = {
    async onTrainBatchStart() {
      await new Promise((resolve) => setTimeout(resolve, 5));
    },
  };

  it("are refused where they are beside each other", async () => {
    const runs = await Promise.allSettled([fit(slow), fit(slow)]);
    expect(runs.filter(({ status }) => status === "rejected")).toMatchObject([
      { reason: { message: expect.stringMatching(/while another trainer is running on the same thread/) } },
    ]);
  });

  it("are refused where they are of one trainer, or of one module", async () => {
    const net = new Net();
    const trainer = make();
    let errors: unknown[] = [];
    net.onTrainEpochEnd = async () => {
      const again = [trainer.validate(net), make().validate(net, { dataloaders: loader() })];
      errors = (await Promise.allSettled(again)).map((run) => (run as PromiseRejectedResult).reason.message);
    };
    await trainer.fit(net, { trainDataloaders: loader() });
    expect(errors[0]).toMatch(/while trainer.fit\(\) of the same trainer is running/);
    expect(errors[1]).toMatch(/while another trainer is running the same Net/);
    expect(trainer.currentEpoch).toBe(1);
  });

  it("work one within a hook of the other", async () => {
    const inner = make({ maxEpochs: 2 });
    const onTrainEpochEnd = () => inner.fit(new Net(), { trainDataloaders: loader() });
    const outer = make({ maxEpochs: 2 });
    await outer.fit(Object.assign(new Net(), { onTrainEpochEnd }), { trainDataloaders: loader() });
    expect([outer.currentEpoch, inner.currentEpoch]).toEqual([2, 2]);
  });

  it("do not hinder each other after one has failed", async () => {
    const trainingStep = () => {
      throw new Error("mine");
    };
    await expect(fit({ trainingStep })).rejects.toThrow("mine");
    await fit();
  });
});
