import { writeFileSync } from "node:fs";
import { join } from "node:path";
import * as torch from "@levin/torch";
import { data, nn, optim, type Tensor } from "@levin/torch";
import { LightningDataModule, LightningModule, setQuiet, Trainer } from "levin";
import { beforeAll, describe, expect, it } from "vitest";
import { folder, useFolder } from "./folder.js";
import { quietTrainer } from "./quiet-trainer.js";

beforeAll(() => setQuiet(true));
useFolder();

class Net extends LightningModule<Tensor> {
  readonly layer: nn.Linear;
  constructor(hparams: { width?: number; bias?: boolean } = {}) {
    super();
    this.saveHyperparameters(hparams, { ignore: "secret" });
    this.layer = new nn.Linear(hparams.width ?? 1, 1, { bias: hparams.bias ?? true });
  }
  override trainingStep(batch: Tensor) {
    return this.layer.forward(batch).mean();
  }
  override configureOptimizers() {
    return [0.1, 0.2].map((lr) => new optim.SGD(this.parameters(), { lr }));
  }
  constructorOptions() {
    return this.hparamsInitial;
  }
}

class Data extends LightningDataModule<Tensor> {
  position = 0;
  constructor(readonly options: { size: number }) {
    super();
    this.saveHyperparameters(options);
  }
  override trainDataloader() {
    return new Set([torch.ones([1, 1])]);
  }
  override stateDict() {
    return { position: 3 };
  }
  override loadStateDict(state: { position?: number }) {
    this.position = state.position ?? 0;
  }
}

describe("LightningDataModule", () => {
  it("is all that trainers take as datamodule", async () => {
    const fit = new Trainer({ accelerator: "cpu", logger: false }).fit(new Net(), {
      datamodule: "data" as never,
    });
    await expect(fit).rejects.toThrow("it is a LightningDataModule");
  });

  it("is made of datasets, in the structure of their loaders", () => {
    const rows = (n: number) => new data.TensorDataset(torch.arange(n));
    const module = LightningDataModule.fromDatasets({
      trainDataset: { a: rows(6), b: [rows(4)] },
      valDataset: rows(5),
      batchSize: 2,
    });
    const train = module.trainDataloader() as { a: data.DataLoader; b: [data.DataLoader] };
    expect([train.a.length, train.b[0].length, train.a.sampler]).toEqual([
      3,
      2,
      expect.any(data.RandomSampler),
    ]);
    const val = module.valDataloader() as data.DataLoader;
    expect([val.length, val.sampler]).toEqual([3, expect.any(data.SequentialSampler)]);
    expect(() => module.testDataloader()).toThrow(/testDataloader must be defined/);
  });

  it("comes back from a checkpoint with its hyperparameters and its state", async () => {
    const net = new Net();
    net.automaticOptimization = false;
    const run = quietTrainer();
    await run.fit(net, new Data({ size: 7 }));
    const path = join(folder, "a.ckpt");
    run.saveCheckpoint(path);
    const loaded = Data.loadFromCheckpoint(path, { hparams: { extra: 1 } });
    expect([loaded.options, loaded.position]).toEqual([{ size: 7, extra: 1 }, 3]);
  });
});

describe("LightningModule", () => {
  it("knows where it was moved, and to which type", () => {
    class Outer extends LightningModule {
      readonly inner = new Net();
    }
    const outer = new Outer();
    expect([outer.device, outer.dtype, outer.onGpu]).toEqual(["cpu", "float32", false]);
    outer.double();
    expect([outer.inner.dtype, outer.to("float16").dtype, outer.to({ device: "meta" }).inner.device]).toEqual(
      ["float64", "float16", "meta"],
    );
  });

  it("gives its optimizers bare or in the run's hands, and lets one have the gradients", async () => {
    const net = new Net();
    net.automaticOptimization = false;
    await quietTrainer().fit(net, { trainDataloaders: new Set([torch.ones([1, 1])]) });
    const [first] = net.optimizers<2>();
    const [bare] = net.optimizers<2>({ useLightningOptimizer: false });
    expect(first.optimizer).toBe(bare);
    expect(net.toggledOptimizer(bare, () => net.layer.weight.requiresGrad)).toBe(true);
    expect(net.allGather({ a: torch.ones([2]) }).a.shape).toEqual([2]);
  });

  it("takes its hyperparameters from a file, where the checkpoint has none", async () => {
    const net = new Net({ width: 2 });
    net.automaticOptimization = false;
    const run = quietTrainer();
    await run.fit(net, { trainDataloaders: new Set([torch.ones([1, 2])]) });
    const path = join(folder, "a.ckpt");
    run.saveCheckpoint(path);
    const yaml = join(folder, "hparams.yaml");
    writeFileSync(yaml, "width: 2\nbias: false\n");
    const loaded = Net.loadFromCheckpoint(path, { hparamsFile: yaml, strict: false });
    expect(loaded.hparams).toEqual({ width: 2, bias: false });
    const csv = join(folder, "hparams.csv");
    writeFileSync(csv, "key,value\nwidth,2\nbias,True\n");
    expect(Net.loadFromCheckpoint(path, { hparamsFile: csv }).hparams).toEqual({ width: 2, bias: true });
  });
});
