import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@levin/torch";
import { data, nn, optim, type Tensor } from "@levin/torch";
import {
  BackboneFinetuning,
  BasePredictionWriter,
  type Callback,
  EMAWeightAveraging,
  LightningModule,
  ModelCheckpoint,
  ModelPruning,
  type ModelPruningOptions,
  type OptimizerConfiguration,
  type PruningFunctionName,
  StochasticWeightAveraging,
  setQuiet,
  Trainer,
  WeightAveraging,
} from "levin";
import { afterAll, beforeAll, describe, it } from "vitest";
import { expectClose } from "./close.js";
import { runPython } from "./python.js";

type Batch = [inputs: Tensor, labels: Tensor];

interface NetOptions {
  batchNorm?: boolean;
  partial?: boolean;
  scheduler?: boolean;
}

/** The net of callbacks_run.py. */
class Net extends LightningModule<Batch> {
  readonly backbone: nn.Sequential;
  readonly head: nn.Linear;
  readonly losses: number[] = [];
  readonly options: NetOptions;

  constructor(options: NetOptions = {}) {
    super();
    this.options = options;
    this.backbone = new nn.Sequential(
      new nn.Linear(4, 8),
      options.batchNorm ? new nn.BatchNorm1d(8) : new nn.Tanh(),
    );
    this.head = new nn.Linear(8, 3);
  }

  override forward(x: Tensor): Tensor {
    return this.head.forward(this.backbone.forward(x) as Tensor);
  }

  override trainingStep([inputs, labels]: Batch): Tensor {
    return nn.functional.crossEntropy(this.forward(inputs), labels);
  }

  override validationStep([inputs, labels]: Batch): void {
    this.losses.push(nn.functional.crossEntropy(this.forward(inputs), labels).item());
  }

  override predictStep([inputs]: Batch): Tensor {
    return this.forward(inputs);
  }

  override configureOptimizers(): OptimizerConfiguration {
    const { partial, scheduler } = this.options;
    const parameters = this.parameters().filter((each) => !partial || each.requiresGrad);
    const optimizer = new optim.SGD(parameters, { lr: 0.1, momentum: 0.9 });
    if (!scheduler) return optimizer;
    return [[optimizer], [new optim.lrScheduler.StepLR(optimizer, 1, { gamma: 0.9 })]];
  }
}

const makeData = () => new data.TensorDataset(torch.randn([40, 4]), torch.randint(0, 3, [40]));

interface Outcome {
  state: nn.StateDict;
  callback: Record<string, unknown>;
  losses: number[];
  lrs: number[];
  keys: string[];
  saved: nn.StateDict;
}

interface RunOptions extends NetOptions {
  resume?: string;
  accumulate?: number;
}

describe("the same run with levin's and Lightning's callbacks", () => {
  const root = mkdtempSync(join(tmpdir(), "levin-"));
  const theirs = join(root, "lightning");
  const ours = join(root, "levin");
  beforeAll(async () => {
    setQuiet(true);
    torch.setNumThreads(1);
    await runPython("callbacks_run.py", theirs);
  });
  afterAll(() => rmSync(root, { recursive: true }));

  const run = async (name: string, callback: Callback, options: RunOptions = {}): Promise<Outcome> => {
    torch.manualSeed(0);
    const module = new Net(options);
    const rows = makeData();
    const checkpoint = new ModelCheckpoint({ dirpath: join(ours, name), filename: "{epoch}", saveTopK: -1 });
    const trainer = new Trainer({
      accelerator: "cpu",
      maxEpochs: 6,
      logger: false,
      callbacks: [callback, checkpoint],
      enableProgressBar: false,
      enableModelSummary: false,
      numSanityValSteps: 0,
      accumulateGradBatches: options.accumulate ?? 1,
    });
    await trainer.fit(module, {
      trainDataloaders: new data.DataLoader(rows, { batchSize: 8 }),
      valDataloaders: new data.DataLoader(rows, { batchSize: 20 }),
      ckptPath: options.resume ? join(theirs, options.resume) : null,
    });
    const last = torch.load(checkpoint.bestModelPath) as Record<string, Record<string, unknown>>;
    const own = Object.entries(last.callbacks!).filter(([key]) => !key.startsWith("ModelCheckpoint"));
    return {
      state: module.stateDict(),
      callback: Object.fromEntries(own),
      losses: module.losses,
      lrs: trainer.optimizers[0]!.paramGroups.map((group) => Number(group.lr)),
      keys: Object.keys(last)
        .filter((key) => key !== "levin")
        .sort(),
      saved: last.state_dict as nn.StateDict,
    };
  };

  const expectSame = async (name: string, callback: Callback, options: RunOptions = {}) => {
    const outcome = await run(name, callback, options);
    const expected = torch.load(join(theirs, `${name}.pt`)) as unknown as Outcome;
    expectClose(outcome, expected);
  };

  it("ends with averaged weights, learning rates and state of StochasticWeightAveraging", async () => {
    await expectSame("swa", new StochasticWeightAveraging(0.05, { swaEpochStart: 0.5, annealingEpochs: 2 }), {
      scheduler: true,
    });
    await expectSame(
      "swa-linear",
      new StochasticWeightAveraging([0.05], { swaEpochStart: 2, annealingStrategy: "linear" }),
    );
  });

  it("computes the statistics of batch norms anew after StochasticWeightAveraging", async () => {
    await expectSame("swa-batch-norm", new StochasticWeightAveraging(0.05, { swaEpochStart: 3 }), {
      batchNorm: true,
      accumulate: 2,
    });
  });

  it("goes on with StochasticWeightAveraging from Lightning's checkpoint", async () => {
    await expectSame(
      "swa-resumed",
      new StochasticWeightAveraging(0.05, { swaEpochStart: 0.5, annealingEpochs: 2 }),
      { scheduler: true, resume: "swa/epoch=4.ckpt" },
    );
  });

  it("validates, saves and ends with the averages of WeightAveraging, also from Lightning's checkpoint", async () => {
    await expectSame("average", new WeightAveraging(), { batchNorm: true });
    await expectSame("average-resumed", new WeightAveraging(), {
      batchNorm: true,
      resume: "average/epoch=2.ckpt",
    });
  });

  it("averages at the steps and epochs that EMAWeightAveraging is told", async () => {
    await expectSame(
      "ema",
      new EMAWeightAveraging({
        decay: 0.9,
        updateEveryNSteps: 2,
        updateStartingAtStep: 3,
        updateStartingAtEpoch: 1,
      }),
    );
  });

  it("unfreezes the backbone with BackboneFinetuning, also from Lightning's checkpoint", async () => {
    const make = () =>
      new BackboneFinetuning({ unfreezeBackboneAtEpoch: 2, lambdaFunc: () => 1.7, trainBn: false });
    await expectSame("backbone", make(), { partial: true, batchNorm: true });
    await expectSame("backbone-resumed", make(), {
      partial: true,
      batchNorm: true,
      resume: "backbone/epoch=3.ckpt",
    });
  });

  it("prunes the same weights with ModelPruning", async () => {
    const make = (fn: PruningFunctionName, options: ModelPruningOptions = {}) =>
      new ModelPruning(fn, { amount: 0.3, ...options });
    await expectSame("prune", make("l1_unstructured"));
    await expectSame(
      "prune-kept",
      make("l1_unstructured", {
        useLotteryTicketHypothesis: false,
        makePruningPermanent: false,
        parameterNames: ["weight"],
      }),
    );
    await expectSame(
      "prune-local",
      make("ln_structured", {
        useGlobalUnstructured: false,
        pruningDim: 0,
        pruningNorm: 2,
        parameterNames: ["weight"],
        pruneOnTrainEpochEnd: false,
      }),
    );
  });

  it("gives a prediction writer the same predictions and indices, the last batch included", async () => {
    const written: unknown[] = [];
    class Writer extends BasePredictionWriter {
      override writeOnBatchEnd(
        _trainer: Trainer,
        _module: LightningModule,
        prediction: Tensor,
        batchIndices: readonly number[] | null,
        _batch: unknown,
        batchIdx: number,
        dataloaderIdx: number,
      ): void {
        written.push([batchIndices, batchIdx, dataloaderIdx, prediction.shape]);
      }

      override writeOnEpochEnd(
        _trainer: Trainer,
        _module: LightningModule,
        predictions: readonly Tensor[][],
        batchIndices: readonly (readonly (readonly number[])[])[],
      ): void {
        written.push([batchIndices, predictions.map((loader) => loader.map((batch) => batch.size(0)))]);
      }
    }
    torch.manualSeed(0);
    const module = new Net();
    const rows = makeData();
    const trainer = new Trainer({
      accelerator: "cpu",
      logger: false,
      callbacks: new Writer({ writeInterval: "batch_and_epoch" }),
      enableProgressBar: false,
      enableModelSummary: false,
    });
    const returned = await trainer.predict(module, {
      dataloaders: [
        new data.DataLoader(rows, { batchSize: 16, dropLast: true }),
        new data.DataLoader(rows, { batchSize: 24 }),
      ],
      returnPredictions: false,
    });
    expectClose({ written, returned }, torch.load(join(theirs, "writer.pt")));
  });
});
