import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@levin/torch";
import { data, nn, OperatorError, optim, type Tensor } from "@levin/torch";
import {
  BatchSizeFinder,
  LearningRateFinder,
  LightningDataModule,
  LightningModule,
  LRFinder,
  type OptimizerConfiguration,
  setQuiet,
  Tuner,
} from "levin";
import { beforeAll, describe, expect, it } from "vitest";
import { quietTrainer } from "./quiet-trainer.js";

beforeAll(() => setQuiet(true));

class Net extends LightningModule<Tensor> {
  readonly layer = new nn.Linear(2, 1);
  most = Number.POSITIVE_INFINITY;

  constructor(hparams: Record<string, unknown> = { learningRate: 0.1 }) {
    super();
    this.saveHyperparameters(hparams);
  }

  override trainingStep(batch: Tensor): Tensor {
    if (batch.size(0) > this.most) throw new OperatorError("no memory", "OutOfMemoryError");
    return this.layer.forward(batch).pow(2).mean();
  }

  override configureOptimizers(): OptimizerConfiguration {
    return new optim.SGD(this.parameters(), { lr: Number(this.hparams.learningRate ?? 0.1) });
  }
}

class Rows extends LightningDataModule {
  batchSize = 4;
  override trainDataloader(): data.DataLoader {
    const rows = new data.TensorDataset(torch.ones([40, 2]));
    const collate = (samples: Tensor[][]) => torch.stack(samples.map(([row]) => row!));
    return new data.DataLoader(rows, { batchSize: this.batchSize, collate }) as data.DataLoader;
  }
}

describe("Tuner.lrFind", () => {
  it("sets a hyperparameter, too", async () => {
    const module = new Net();
    const finder = await new Tuner(quietTrainer({ maxEpochs: 4 })).lrFind(module, {
      datamodule: new Rows(),
      numTraining: 30,
    });
    expect(finder!.results.lr.length).toBe(30);
    expect(module.hparams.learningRate).toBe(finder!.suggestion());
  });

  it("leaves the module and the trainer as they were", async () => {
    const module = new Net();
    const trainer = quietTrainer();
    const before = module.layer.weight.toArray();
    const { callbacks, maxSteps } = trainer;
    await new Tuner(trainer).lrFind(module, { datamodule: new Rows(), updateAttr: false, numTraining: 15 });
    expect(module.layer.weight.toArray()).toEqual(before);
    expect(module.hparams.learningRate).toBe(0.1);
    expect([trainer.callbacks, trainer.maxSteps, trainer.globalStep]).toEqual([callbacks, maxSteps, 0]);
    expect(trainer.state.status).toBe("finished");
  });

  it("does so where the search fails, too", async () => {
    const trainer = quietTrainer();
    const module = new Net();
    module.most = 1;
    await expect(new Tuner(trainer).lrFind(module, { datamodule: new Rows() })).rejects.toThrow("no memory");
    expect(trainer.callbacks).toEqual([]);
    module.most = 100;
    await trainer.fit(module, { datamodule: new Rows() });
    expect(trainer.globalStep).toBe(10);
  });

  it("says what is wrong", async () => {
    const datamodule = new Rows();
    const tuner = new Tuner(quietTrainer());
    await expect(tuner.lrFind(new Net({}), { datamodule })).rejects.toThrow(
      "lr, learningRate, learning_rate",
    );
    await expect(tuner.lrFind(new Net(), { datamodule, attrName: "rate" })).rejects.toThrow('"rate"');
    await expect(tuner.lrFind(new Net(), { datamodule, method: "test" })).rejects.toThrow('it is "fit"');
    await expect(tuner.lrFind(new Net(), { dataloaders: [] })).rejects.toThrow(
      "dataloaders is for the other",
    );
    await expect(tuner.lrFind(new Net(), { datamodule, mode: "cubic" as never })).rejects.toThrow("cubic");
    const taken = new Tuner(quietTrainer({ callbacks: new LearningRateFinder() }));
    await expect(taken.lrFind(new Net(), { datamodule })).rejects.toThrow(
      "LearningRateFinder callback already",
    );
    expect(await new Tuner(quietTrainer({ fastDevRun: true })).lrFind(new Net(), { datamodule })).toBe(null);
  });
});

describe("LRFinder", () => {
  const finder = new LRFinder("exponential", 1e-4, 1, 8);
  finder.results = {
    lr: [1e-4, 1e-3, 1e-2, 1e-1, 1],
    loss: [2, 1.99, 1.5, 1, Number.NaN],
  };

  it("suggests the learning rate at which the loss falls most steeply", () => {
    expect(finder.suggestion({ skipBegin: 0 })).toBe(1e-2);
    expect(finder.suggestion()).toBe(null);
  });

  it("draws a picture that needs nothing else", () => {
    const folder = mkdtempSync(join(tmpdir(), "levin-"));
    const many = new LRFinder("exponential", 1e-4, 1, 30);
    many.results = {
      lr: Array.from({ length: 30 }, (_, i) => 10 ** (-4 + (4 * i) / 29)),
      loss: Array.from({ length: 30 }, (_, i) => 2 - Math.tanh((i - 15) / 4) + (i > 26 ? (i - 26) ** 2 : 0)),
    };
    const svg = many.plot({ suggest: true, path: join(folder, "lr.svg") });
    expect(readFileSync(join(folder, "lr.svg"), "utf8")).toBe(svg);
    expect(svg).toMatch(/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg"[\s\S]*<\/svg>\n$/);
    expect(/points="([^"]*)"/.exec(svg)![1]!.split(" ").length).toBe(30);
    expect(svg).toContain('class="mark"');
    expect(svg).toContain(">0.001<");
    expect(many.plot()).not.toContain('class="mark"');
    rmSync(folder, { recursive: true });
  });
});

describe("Tuner.scaleBatchSize", () => {
  it("sets the data module's batch size", async () => {
    const module = new Net();
    module.most = 20;
    const datamodule = new Rows();
    const size = await new Tuner(quietTrainer()).scaleBatchSize(module, {
      datamodule,
      mode: "binsearch",
      margin: 0.1,
    });
    expect([size, datamodule.batchSize]).toEqual([18, 18]);
  });

  it("passes on errors that have nothing to do with memory", async () => {
    class Failing extends Net {
      override trainingStep(): Tensor {
        throw new Error("something else");
      }
    }
    const run = new Tuner(quietTrainer()).scaleBatchSize(new Failing(), { datamodule: new Rows() });
    await expect(run).rejects.toThrow("something else");
  });

  it("says what is wrong", async () => {
    const tuner = new Tuner(quietTrainer());
    const datamodule = new Rows();
    await expect(tuner.scaleBatchSize(new Net(), { datamodule, batchArgName: "size" })).rejects.toThrow(
      "have a field size",
    );
    await expect(tuner.scaleBatchSize(new Net(), { trainDataloaders: [] })).rejects.toThrow(
      "make them in the module or in a data module",
    );
    await expect(tuner.scaleBatchSize(new Net(), { datamodule, margin: 1 })).rejects.toThrow(
      "from 0 to below 1",
    );
    expect(() => new BatchSizeFinder({ mode: "other" as never })).toThrow('"power" or "binsearch"');
    expect(
      await new Tuner(quietTrainer({ fastDevRun: true })).scaleBatchSize(new Net(), { datamodule }),
    ).toBe(null);
  });
});
