import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import * as torch from "@levin/torch";
import { nn, optim, serialization, type Tensor } from "@levin/torch";
import {
  EarlyStopping,
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

class Net extends LightningModule<Tensor> {
  readonly layer: nn.Linear;
  constructor(hparams: { width?: number } = {}) {
    super();
    this.saveHyperparameters(hparams);
    this.layer = new nn.Linear(hparams.width ?? 1, 1);
  }
  override trainingStep(batch: Tensor) {
    return this.layer.forward(batch).pow(2).mean();
  }
  override validationStep(_batch: Tensor) {
    // worse from epoch to epoch
    this.log("v", this.currentEpoch);
  }
  override configureOptimizers() {
    return new optim.Adam(this.parameters(), { lr: 0.1 });
  }
}

const data = () => new Set([torch.ones([2, 1]), torch.ones([2, 1]).mul(2)]);

const trainerWith = (callbacks: TrainerOptions["callbacks"], options: TrainerOptions = {}) =>
  new Trainer({
    accelerator: "cpu",
    logger: false,
    maxEpochs: 3,
    callbacks,
    enableCheckpointing: true,
    enableProgressBar: false,
    enableModelSummary: false,
    ...options,
  });

describe("ModelCheckpoint", () => {
  it("keeps the last epoch by default, and names it by epoch and step", async () => {
    const trainer = trainerWith([new ModelCheckpoint({ dirpath: folder })]);
    await trainer.fit(new Net(), { trainDataloaders: data() });
    expect(readdirSync(folder)).toEqual(["epoch=2-step=6.ckpt"]);
  });

  it("keeps the best by a metric, and links the last", async () => {
    const callback = new ModelCheckpoint({
      dirpath: folder,
      monitor: "v",
      saveTopK: 2,
      saveLast: true,
      filename: "{epoch:02d}-{v:.1f}",
    });
    const trainer = trainerWith([callback]);
    await trainer.fit(new Net(), { trainDataloaders: data(), valDataloaders: data() });
    expect(readdirSync(folder).sort()).toEqual(["epoch=00-v=0.0.ckpt", "epoch=01-v=1.0.ckpt", "last.ckpt"]);
    expect(callback.bestModelPath).toBe(join(folder, "epoch=00-v=0.0.ckpt"));
    expect(callback.bestModelScore?.item()).toBe(0);
  });

  it("refuses options that exclude one another", () => {
    expect(() => new ModelCheckpoint({ everyNEpochs: 1, everyNTrainSteps: 1 })).toThrow(
      /exclude one another/,
    );
    expect(() => new ModelCheckpoint({ saveTopK: 3 })).toThrow(/needs a monitor/);
  });
});

describe("checkpoints", () => {
  it("go on to the same weights as a run without a stop", async () => {
    const run = async (maxEpochs: number, ckptPath?: string) => {
      torch.manualSeed(0);
      const net = new Net();
      const trainer = trainerWith([new ModelCheckpoint({ dirpath: folder, saveTopK: -1 })], { maxEpochs });
      await trainer.fit(net, { trainDataloaders: data(), ckptPath });
      return net.layer.weight.detach().toArray();
    };
    const uninterrupted = await run(4);
    rmSync(folder, { recursive: true });
    await run(2);
    expect(await run(4, join(folder, "epoch=1-step=4.ckpt"))).toEqual(uninterrupted);
  });

  it("have Lightning's keys, and one for what levin needs besides", async () => {
    const trainer = trainerWith([new ModelCheckpoint({ dirpath: folder })]);
    await trainer.fit(new Net({ width: 1 }), { trainDataloaders: data() });
    const checkpoint = serialization.load(join(folder, "epoch=2-step=6.ckpt")) as Record<string, unknown>;
    expect(Object.keys(checkpoint).sort()).toEqual(
      [
        "callbacks",
        "epoch",
        "global_step",
        "hparams_name",
        "hyper_parameters",
        "levin",
        "loops",
        "lr_schedulers",
        "optimizer_states",
        "pytorch-lightning_version",
        "state_dict",
      ].sort(),
    );
    expect(Object.keys(checkpoint.state_dict as object)).toEqual(["layer.weight", "layer.bias"]);
  });

  it("make a module again, with its hyperparameters", async () => {
    const net = new Net({ width: 1 });
    const trainer = trainerWith([new ModelCheckpoint({ dirpath: folder })]);
    await trainer.fit(net, { trainDataloaders: data() });
    const loaded = Net.loadFromCheckpoint(join(folder, "epoch=2-step=6.ckpt"));
    expect(loaded.hparams).toEqual({ width: 1 });
    expect(loaded.layer.weight.equal(net.layer.weight)).toBe(true);
  });

  it("leave out hyperparameters that they cannot hold", async () => {
    class WithFunction extends Net {
      constructor() {
        super({ width: 1 });
        this.saveHyperparameters({ activation: () => 1 });
      }
    }
    const net = new WithFunction();
    const trainer = trainerWith([new ModelCheckpoint({ dirpath: folder })]);
    await trainer.fit(net, { trainDataloaders: data() });
    expect(net.hparams).toEqual({ width: 1 });
    const saved = torch.load(join(folder, "epoch=2-step=6.ckpt")) as { hyper_parameters: unknown };
    expect(saved.hyper_parameters).toEqual({ width: 1 });
  });

  it("that are missing are an error that names the path", async () => {
    const path = join(folder, "none.ckpt");
    const running = trainerWith([]).fit(new Net(), { trainDataloaders: data(), ckptPath: path });
    await expect(running).rejects.toThrow(path);
  });
});

describe("EarlyStopping", () => {
  it("ends the fit when the metric has not improved for as long as its patience", async () => {
    const stopping = new EarlyStopping("v", { patience: 2 });
    const trainer = trainerWith([stopping], { maxEpochs: 10, enableCheckpointing: false });
    await trainer.fit(new Net(), { trainDataloaders: data(), valDataloaders: data() });
    expect([trainer.currentEpoch, stopping.stoppedEpoch, stopping.stoppingReason]).toEqual([
      3,
      2,
      "patience_exhausted",
    ]);
  });
});
