import { readdirSync } from "node:fs";
import { join } from "node:path";
import * as torch from "@levin/torch";
import { nn, optim, type Tensor } from "@levin/torch";
import {
  AsyncCheckpointIO,
  CheckpointIO,
  type FileSystem,
  LightningModule,
  ModelCheckpoint,
  registerFileSystem,
  setQuiet,
  TorchCheckpointIO,
  Trainer,
  type TrainerOptions,
} from "levin";
import { beforeAll, describe, expect, it } from "vitest";
import { folder, useFolder } from "./folder.js";

beforeAll(() => setQuiet(true));
useFolder();

class Net extends LightningModule<Tensor> {
  readonly layer = new nn.Linear(1, 1);
  override trainingStep(batch: Tensor) {
    return this.layer.forward(batch).pow(2).mean();
  }
  override testStep(batch: Tensor) {
    this.log("t", this.layer.forward(batch).mean());
  }
  override configureOptimizers() {
    return new optim.SGD(this.parameters(), { lr: 0.1 });
  }
}

const data = () => new Set([torch.ones([2, 1]), torch.ones([2, 1]).mul(2)]);

const trainerWith = (options: TrainerOptions) =>
  new Trainer({
    accelerator: "cpu",
    logger: false,
    maxEpochs: 3,
    enableProgressBar: false,
    enableModelSummary: false,
    defaultRootDir: folder,
    ...options,
  });

const everyStep = (dirpath = folder) =>
  new ModelCheckpoint({ dirpath, everyNTrainSteps: 1, saveTopK: -1, filename: "{step}" });

/** Writes slowly, and tells in which order. */
class SlowIO extends TorchCheckpointIO {
  readonly events: string[] = [];
  override snapshot(...args: Parameters<TorchCheckpointIO["snapshot"]>) {
    this.events.push(`copy ${args[1].split("/").at(-1)}`);
    const write = super.snapshot(...args);
    return async () => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      await write();
      this.events.push(`write ${args[1].split("/").at(-1)}`);
    };
  }
}

describe("AsyncCheckpointIO", () => {
  it("writes while training goes on, what was there when the checkpoint was saved", async () => {
    const steps: number[] = [];
    const slow = new SlowIO();
    const trainer = trainerWith({ callbacks: everyStep(), plugins: new AsyncCheckpointIO(slow) });
    const net = new Net();
    net.onTrainBatchStart = () => {
      steps.push(net.layer.weight.item());
    };
    await trainer.fit(net, { trainDataloaders: data() });
    expect(slow.events.slice(0, 3)).toEqual(["copy step=1.ckpt", "copy step=2.ckpt", "write step=1.ckpt"]);
    expect(readdirSync(folder)).toHaveLength(6);
    const saved = torch.load(join(folder, "step=1.ckpt")) as { state_dict: { "layer.weight": Tensor } };
    expect(saved.state_dict["layer.weight"].item()).toBe(steps[1]);
  });

  it("ends the run with the error of a write, and removes nothing from then on", async () => {
    class Full extends TorchCheckpointIO {
      override snapshot(...args: Parameters<TorchCheckpointIO["snapshot"]>) {
        if (!args[1].includes("step=3")) return super.snapshot(...args);
        return () => Promise.reject(new Error("the disk is full"));
      }
    }
    const callback = new ModelCheckpoint({ dirpath: folder, everyNTrainSteps: 1, filename: "{step}" });
    const trainer = trainerWith({ callbacks: callback, plugins: new AsyncCheckpointIO(new Full()) });
    await expect(trainer.fit(new Net(), { trainDataloaders: data() })).rejects.toThrow("the disk is full");
    expect(readdirSync(folder)).toContain("step=2.ckpt");
  });
});

describe("CheckpointIO", () => {
  it("is waited for before the next batch, where it is asynchronous", async () => {
    const events: string[] = [];
    class Slow extends CheckpointIO {
      async saveCheckpoint() {
        events.push("begin");
        await new Promise((resolve) => setTimeout(resolve, 5));
        events.push("end");
      }
      loadCheckpoint(): never {
        throw new Error("not needed");
      }
      removeCheckpoint() {}
      override teardown() {
        events.push("teardown");
      }
    }
    const net = new Net();
    net.onTrainBatchStart = () => {
      events.push("batch");
    };
    const trainer = trainerWith({ callbacks: everyStep(), plugins: new Slow(), maxEpochs: 1 });
    await trainer.fit(net, { trainDataloaders: data() });
    expect(events).toEqual(["batch", "begin", "end", "batch", "begin", "end", "teardown"]);
  });

  it("gets storageOptions, which PyTorch's files have no use for", async () => {
    const trainer = trainerWith({ enableCheckpointing: false, maxEpochs: 1 });
    await trainer.fit(new Net(), { trainDataloaders: data() });
    const save = () => trainer.saveCheckpoint(join(folder, "a.ckpt"), { storageOptions: { tier: "cold" } });
    expect(save).toThrow(/storageOptions/);
  });
});

describe("registerFileSystem", () => {
  it("has checkpoints saved, listed, removed and loaded by the scheme of their paths", async () => {
    const files = new Map<string, { bytes: Uint8Array; modified: number }>();
    let time = 0;
    const memory: FileSystem = {
      async read(path) {
        const file = files.get(path);
        if (!file) throw new Error(`no ${path}`);
        return file.bytes;
      },
      async write(path, bytes) {
        files.set(path, { bytes, modified: ++time });
      },
      async remove(path) {
        files.delete(path);
      },
      async list(prefix) {
        return [...files]
          .filter(([path]) => path.startsWith(`${prefix}/`))
          .map(([path, { modified }]) => ({ name: path.slice(prefix.length + 1), modified }));
      },
    };
    registerFileSystem("memory", memory);
    const callbacks = () => new ModelCheckpoint({ dirpath: "memory://run", saveLast: true });
    const net = new Net();
    await trainerWith({ callbacks: callbacks(), maxEpochs: 2 }).fit(net, { trainDataloaders: data() });
    expect([...files.keys()].sort()).toEqual(["memory://run/epoch=1-step=4.ckpt", "memory://run/last.ckpt"]);
    const trainer = trainerWith({ callbacks: callbacks() });
    await trainer.fit(new Net(), { trainDataloaders: data(), ckptPath: "last" });
    expect([trainer.globalStep, trainer.ckptPath]).toEqual([6, "memory://run/last.ckpt"]);
    expect([...files.keys()].sort()).toContain("memory://run/epoch=2-step=6.ckpt");
  });
});

describe("ckptPath", () => {
  it("is the newest hpc_ckpt_N.ckpt, where it is hpc", async () => {
    const trainer = trainerWith({ enableCheckpointing: false, maxEpochs: 1 });
    const running = trainer.fit(new Net(), { trainDataloaders: data(), ckptPath: "hpc" });
    await expect(running).rejects.toThrow(/no hpc_ckpt_N\.ckpt/);
    await trainer.fit(new Net(), { trainDataloaders: data() });
    for (const version of [2, 10]) trainer.saveCheckpoint(join(folder, `hpc_ckpt_${version}.ckpt`));
    const next = trainerWith({ enableCheckpointing: false });
    await next.fit(new Net(), { trainDataloaders: data(), ckptPath: "hpc" });
    expect(next.ckptPath).toBe(join(folder, "hpc_ckpt_10.ckpt"));
  });

  it("can be set for the calls to come", async () => {
    const trainer = trainerWith({ enableCheckpointing: false, maxEpochs: 1 });
    const net = new Net();
    await trainer.fit(net, { trainDataloaders: data() });
    const path = join(folder, "a.ckpt");
    trainer.saveCheckpoint(path, { weightsOnly: true });
    const trained = net.layer.weight.item();
    torch.noGrad(() => net.layer.weight.zero_());
    trainer.ckptPath = path;
    await trainer.test(net, { dataloaders: data(), verbose: false });
    expect([net.layer.weight.item(), trainer.ckptPath]).toEqual([trained, path]);
    trainer.ckptPath = null;
    torch.noGrad(() => net.layer.weight.zero_());
    await trainer.test(net, { dataloaders: data(), verbose: false });
    expect(net.layer.weight.item()).toBe(0);
  });
});
