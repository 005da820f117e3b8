import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@levin/torch";
import { data, nn, optim, type Tensor } from "@levin/torch";
import {
  CSVLogger,
  EarlyStopping,
  LearningRateMonitor,
  LightningModule,
  ModelCheckpoint,
  setQuiet,
  Trainer,
} from "levin";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runPython } from "./python.js";

type Batch = [images: Tensor, labels: Tensor];

/** The net of lightning_run.py. */
class Net extends LightningModule<Batch> {
  readonly features: nn.Sequential;
  readonly head: nn.Linear;

  constructor({ width = 4 } = {}) {
    super();
    this.saveHyperparameters({ width });
    // without a bias, whose gradient would be nothing but rounding before a batch norm
    this.features = new nn.Sequential(
      new nn.Conv2d(1, width, 3, { bias: false }),
      new nn.BatchNorm2d(width),
      new nn.ReLU(),
    );
    this.head = new nn.Linear(width * 36, 3);
  }

  override forward(x: Tensor): Tensor {
    return this.head.forward((this.features.forward(x) as Tensor).flatten(1));
  }

  override trainingStep([images, labels]: Batch): Tensor {
    const loss = nn.functional.crossEntropy(this.forward(images), labels);
    this.log("train_loss", loss, { onStep: true, onEpoch: true });
    return loss;
  }

  override validationStep([images, labels]: Batch): void {
    this.log("val_loss", nn.functional.crossEntropy(this.forward(images), labels));
  }

  override configureOptimizers(): [optim.Optimizer[], optim.lrScheduler.StepLR[]] {
    const optimizer = new optim.Adam(this.parameters(), { lr: 0.01 });
    return [[optimizer], [new optim.lrScheduler.StepLR(optimizer, 1, { gamma: 0.5 })]];
  }
}

/** The same run as lightning_run.py; gives the state dict at its end. */
async function run(folder: string, epochs: number, ckptPath: string | null = null): Promise<nn.StateDict> {
  torch.manualSeed(0);
  torch.setNumThreads(1);
  const net = new Net();
  const set = new data.TensorDataset(torch.randn([40, 1, 8, 8]), torch.randint(0, 3, [40]));
  const trainer = new Trainer({
    accelerator: "cpu",
    maxEpochs: epochs,
    logger: new CSVLogger(folder, { name: "csv", version: "" }),
    logEveryNSteps: 2,
    callbacks: [
      new ModelCheckpoint({ dirpath: join(folder, "checkpoints"), filename: "{epoch}", saveTopK: -1 }),
      new EarlyStopping("val_loss", { patience: 10 }),
      new LearningRateMonitor(),
    ],
    enableProgressBar: false,
    enableModelSummary: false,
  });
  const trainDataloaders = new data.DataLoader(set, { batchSize: 8 });
  const valDataloaders = new data.DataLoader(set, { batchSize: 20 });
  await trainer.fit(net, { trainDataloaders, valDataloaders, ckptPath });
  return net.stateDict();
}

function expectClose(actual: nn.StateDict, expected: nn.StateDict): void {
  expect(Object.keys(actual)).toEqual(Object.keys(expected));
  for (const [key, value] of Object.entries(actual)) {
    const close = torch.allclose(value, expected[key]!, { rtol: 1e-4, atol: 1e-6 });
    expect([key, close]).toEqual([key, true]);
  }
}

/** A CSV file's header and rows, with numbers of six digits: the last ones differ between ways to add up. */
const table = (path: string) =>
  readFileSync(path, "utf8")
    .split("\r\n")
    .map((line) =>
      line.split(",").map((cell) => (/^-?\d+\.\d+/.test(cell) ? Number(cell).toPrecision(5) : cell)),
    );

describe("a run of levin and the same run of Lightning", () => {
  const root = mkdtempSync(join(tmpdir(), "levin-"));
  const folder = (name: string) => join(root, name);
  const loadState = (name: string) => torch.load(join(root, name, "state.pt")) as nn.StateDict;
  let state: nn.StateDict;
  afterAll(() => rmSync(root, { recursive: true }));

  beforeAll(async () => {
    setQuiet(true);
    await runPython("lightning_run.py", folder("lightning"), "4");
    state = await run(folder("levin"), 4);
  });

  it("end with the same weights", () => {
    expectClose(state, loadState("lightning"));
  });

  it("write the same CSV file", () => {
    expect(table(join(root, "levin", "csv", "metrics.csv"))).toEqual(
      table(join(root, "lightning", "csv", "metrics.csv")),
    );
  });

  it("write the same hparams.yaml", () => {
    const read = (name: string) => readFileSync(join(root, name, "csv", "hparams.yaml"), "utf8");
    expect(read("levin")).toBe(read("lightning"));
  });

  it("go on from each other's checkpoints to the same weights", async () => {
    const resumed = await run(folder("resumed"), 4, join(root, "lightning", "checkpoints", "epoch=1.ckpt"));
    expectClose(resumed, loadState("lightning"));
    const checkpoint = join(root, "levin", "checkpoints", "epoch=1.ckpt");
    await runPython("lightning_run.py", folder("resumed-lightning"), "4", checkpoint);
    expectClose(loadState("resumed-lightning"), state);
  });

  it("take over the states of each other's callbacks, optimizers and schedulers", () => {
    const statesOf = (name: string) => {
      const checkpoint = torch.load(join(root, name, "checkpoints", "epoch=3.ckpt")) as {
        callbacks: Record<string, Record<string, unknown>>;
        optimizer_states: { state: Map<number, { step: Tensor }>; param_groups: { lr: number }[] }[];
        lr_schedulers: { last_epoch: number; _step_count: number }[];
        loops: { fit_loop: Record<string, unknown> };
      };
      const find = (prefix: string) =>
        Object.entries(checkpoint.callbacks).find(([key]) => key.startsWith(prefix))?.[1] ?? {};
      const stopping = find("EarlyStopping");
      const saving = find("ModelCheckpoint");
      return {
        waitCount: stopping.wait_count,
        bestScore: Number((stopping.best_score as Tensor).item()).toPrecision(5),
        kept: Object.keys(saving.best_k_models as object).length,
        best: String(saving.best_model_path).split("/").at(-1),
        steps: [...checkpoint.optimizer_states[0]!.state.values()].map(({ step }) => step.item()),
        rates: checkpoint.optimizer_states[0]!.param_groups.map(({ lr }) => lr),
        scheduler: [checkpoint.lr_schedulers[0]!.last_epoch, checkpoint.lr_schedulers[0]!._step_count],
        loops: checkpoint.loops.fit_loop,
      };
    };
    const expected = statesOf("lightning");
    expect(statesOf("resumed")).toEqual(statesOf("resumed-lightning"));
    expect(statesOf("levin")).toEqual(expected);
    const { loops: resumedLoops, ...resumed } = statesOf("resumed");
    const { loops, ...whole } = expected;
    expect(resumed).toEqual(whole);
    expect(Object.keys(resumedLoops)).toEqual(Object.keys(loops));
  });

  it("have the same keys in their checkpoints, down to the loops and callbacks", () => {
    const shape = (value: unknown): unknown => {
      if (Array.isArray(value)) return value.map(shape);
      if (typeof value !== "object" || value === null || value instanceof torch.Tensor) return typeof value;
      const entries = value instanceof Map ? [...value] : Object.entries(value);
      // the files of ModelCheckpoint lie in different folders
      return Object.fromEntries(
        entries.map(([key, item]) => [String(key).replace(/.*\/checkpoints/, ""), shape(item)]),
      );
    };
    const load = (name: string) => {
      const { levin: _, ...rest } = torch.load(join(root, name, "checkpoints", "epoch=1.ckpt")) as object & {
        levin?: unknown;
      };
      return shape(rest);
    };
    expect(load("levin")).toEqual(load("lightning"));
  });

  it("leave checkpoints of levin that PyTorch loads with weights_only, for the same outputs", async () => {
    const path = join(root, "levin", "checkpoints", "epoch=3.ckpt");
    const images = torch.randn([5, 1, 8, 8]);
    torch.save(images, folder("images.pt"));
    const about = JSON.parse(
      await runPython("load_checkpoint.py", path, folder("images.pt"), folder("outputs.pt")),
    );
    expect([about.epoch, about.global_step]).toEqual([3, 20]);
    const net = Net.loadFromCheckpoint(path).eval();
    const outputs = torch.noGrad(() => net.forward(images));
    expect(torch.equal(outputs, torch.load(folder("outputs.pt")) as Tensor)).toBe(true);
  });
});
