import * as torch from "@levin/torch";
import { data, nn, optim, type Tensor } from "@levin/torch";
import {
  LightningModule,
  ModelCheckpoint,
  type OptimizerConfiguration,
  setQuiet,
  type TrainerOptions,
} from "levin";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { quietTrainer } from "./quiet-trainer.js";

let warnings: string[] = [];
const keep = (warning: Error) => warnings.push(warning.message);
beforeAll(() => {
  setQuiet(false);
  process.on("warning", keep);
});
afterAll(() => {
  process.off("warning", keep);
  setQuiet(true);
});

const samples = (length: number) => ({ length, getItem: () => torch.ones([1]) });
const loader = (length: number, shuffle = false) => new data.DataLoader(samples(length), { shuffle });

class Net extends LightningModule<Tensor> {
  readonly layer = new nn.Linear(1, 1);
  override trainingStep(batch: Tensor): Tensor {
    return this.layer.forward(batch).sum();
  }
  override testStep() {}
  override predictStep(_batch: Tensor, batchIdx: number): number | undefined {
    return batchIdx === 0 ? 1 : undefined;
  }
  override configureOptimizers(): OptimizerConfiguration {
    return new optim.SGD(this.parameters(), { lr: 0.01 });
  }
}

const make = (options: TrainerOptions = {}) => quietTrainer({ logEveryNSteps: 1, ...options });

/** What is warned of while something runs. */
async function warningsOf(run: () => unknown): Promise<string[]> {
  warnings = [];
  await run();
  await new Promise((resolve) => setImmediate(resolve));
  return warnings;
}

describe("the user is warned of", () => {
  const train = (net: Net, options?: TrainerOptions) =>
    make(options).fit(net, { trainDataloaders: loader(1) });

  it("a loader without batches", async () => {
    const run = () => make().fit(new Net(), { trainDataloaders: loader(0) });
    expect(await warningsOf(run)).toEqual([expect.stringContaining("has no batches")]);
  });

  it("a loader for evaluation that shuffles", async () => {
    const test = (dataloaders: ReturnType<typeof loader>) => () =>
      make().test(new Net(), { dataloaders, verbose: false });
    expect(await warningsOf(test(loader(2, true)))).toEqual([expect.stringContaining("shuffles")]);
    expect(await warningsOf(test(loader(2)))).toEqual([]);
  });

  it("a predictStep that returns nothing", async () => {
    const run = () => make().predict(new Net(), { dataloaders: loader(3) });
    expect(await warningsOf(run)).toEqual([expect.stringContaining("predictStep returned nothing")]);
  });

  it("a value for loggers that are not there", async () => {
    class Logs extends Net {
      override onTrainEpochEnd() {
        this.log("a", 1, { logger: true });
        this.log("b", 1);
      }
    }
    expect(await warningsOf(() => train(new Logs()))).toEqual([expect.stringContaining('this.log("a"')]);
  });

  it("the best of several checkpoint callbacks", async () => {
    const callbacks = [new ModelCheckpoint({ saveTopK: 1 }), new ModelCheckpoint({ everyNTrainSteps: 100 })];
    callbacks[0]!.bestModelPath = "none.ckpt";
    const trainer = make({ enableCheckpointing: true, callbacks });
    const run = () => trainer.test(new Net(), { dataloaders: loader(1), ckptPath: "best" }).catch(() => null);
    expect(await warningsOf(run)).toEqual([expect.stringContaining("several checkpoint callbacks")]);
  });

  it("a OneCycleLR that is stepped after epochs", async () => {
    const scheduled = (interval: "epoch" | "step") => {
      class Scheduled extends Net {
        override configureOptimizers(): OptimizerConfiguration {
          const optimizer = new optim.SGD(this.parameters(), { lr: 0.01, momentum: 0.9 });
          const scheduler = new optim.lrScheduler.OneCycleLR(optimizer, 0.1, { totalSteps: 10 });
          return { optimizer, lrScheduler: { scheduler, interval } };
        }
      }
      return new Scheduled();
    };
    expect(await warningsOf(() => train(scheduled("epoch")))).toEqual([
      expect.stringContaining("OneCycleLR"),
    ]);
    expect(await warningsOf(() => train(scheduled("step")))).toEqual([]);
  });

  it("scheduler options that manual optimization does not look at", async () => {
    class Manual extends Net {
      constructor() {
        super();
        this.automaticOptimization = false;
      }
      override configureOptimizers(): OptimizerConfiguration {
        const optimizer = new optim.SGD(this.parameters(), { lr: 0.01 });
        const scheduler = new optim.lrScheduler.StepLR(optimizer, 1);
        return { optimizer, lrScheduler: { scheduler, monitor: "loss", strict: false } };
      }
    }
    expect(await warningsOf(() => train(new Manual()))).toEqual([expect.stringContaining("monitor, strict")]);
  });

  it("a module among the hyperparameters", async () => {
    const net = new Net();
    const run = () => net.saveHyperparameters({ rate: 1, encoder: new nn.Linear(1, 1) });
    expect(await warningsOf(run)).toEqual([expect.stringContaining('"encoder" is a module')]);
  });
});
