import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@levin/torch";
import { data, LevinError, nn, optim, type Tensor } from "@levin/torch";
import * as levin from "levin";
import { Callback, Checkpoint, LightningModule, ProgressBar, setQuiet, Trainer } from "levin";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runPython } from "./python.js";

/** Arguments of a class by their Python names: some that are always given, and values of one. */
type Cases = [kind: string, argument: string, values: unknown[], others?: Record<string, unknown>];

const scored = { monitor: "loss" };
const pruning = { pruning_fn: "l1_unstructured" };
const structured = { pruning_fn: "ln_structured", use_global_unstructured: false };
const limits = ["train", "val", "test", "predict"].map((stage) => `limit_${stage}_batches`);

/** What Lightning refuses, or breaks down by. */
const wrong: Cases[] = [
  ["Trainer", "accelerator", ["foo", "cuda", "", 1]],
  ["Trainer", "devices", [0, "foo", [], [0, 0], 1.5, "0", [0], [5], ""]],
  ["Trainer", "num_nodes", [0, "x", -1, 1.5]],
  ["Trainer", "strategy", ["foo", 1, ""]],
  ["Trainer", "precision", ["foo", 8, "8", 1.5, ""]],
  ["Trainer", "logger", ["csv", 1, ["x"]]],
  ["Trainer", "callbacks", ["x", ["x"], [1]]],
  ["Trainer", "fast_dev_run", [-1, "x"]],
  ["Trainer", "max_epochs", [-2, "x"]],
  ["Trainer", "max_steps", [-2, "x"]],
  ["Trainer", "max_time", ["x", "1:2", { foo: 1 }, 5, { hours: "x" }]],
  ...limits.map((limit): Cases => ["Trainer", limit, [-1, -0.5, 1.5, 2.5, "x"]]),
  ["Trainer", "overfit_batches", [-1, 1.5, -0.1, "x"]],
  ["Trainer", "val_check_interval", [-1, -0.5, 1.5, "x", "1:1", { foo: 1 }, 0]],
  ["Trainer", "val_check_interval", [0.5, 2.5], { check_val_every_n_epoch: null }],
  ["Trainer", "check_val_every_n_epoch", [0, 1.5, "x"]],
  ["Trainer", "num_sanity_val_steps", ["x"]],
  ["Trainer", "log_every_n_steps", ["x"]],
  ["Trainer", "accumulate_grad_batches", [0, "x", { 1: 2 }]],
  ["Trainer", "gradient_clip_val", ["x", [1]]],
  ["Trainer", "gradient_clip_algorithm", ["foo", 1, ""]],
  ["Trainer", "reload_dataloaders_every_n_epochs", [-1, 1.5, "x"]],
  ["Trainer", "default_root_dir", [5]],
  ["Trainer", "profiler", ["foo", 1]],
  ["Trainer", "plugins", ["x", ["x"], 1]],
  ["Trainer", "epochs", [1]],
  ["Trainer", "enable_checkpointing", [true], { barebones: true }],
  ["Trainer", "logger", [true, []], { barebones: true }],
  ["Trainer", "log_every_n_steps", [1], { barebones: true }],
  ["Trainer", "num_sanity_val_steps", [1], { barebones: true }],
  ["Trainer", "fast_dev_run", [true], { barebones: true }],
  ["ModelCheckpoint", "monitor", ["missing"]],
  ["ModelCheckpoint", "save_top_k", [-2, 2, 1.5, "x"]],
  ["ModelCheckpoint", "save_top_k", [-2, "x"], scored],
  ["ModelCheckpoint", "mode", ["foo", "auto", ""]],
  ["ModelCheckpoint", "every_n_train_steps", [-1, "x"]],
  ["ModelCheckpoint", "every_n_epochs", [-1, "x"]],
  ["ModelCheckpoint", "every_n_train_steps", [1], { every_n_epochs: 1 }],
  ["ModelCheckpoint", "filename", [1, "{", "{}", "{x", "{epoch:foo}"]],
  ["ModelCheckpoint", "dirpath", [1]],
  ["EarlyStopping", "monitor", ["missing", 1]],
  ["EarlyStopping", "mode", ["foo", "auto"], scored],
  ["EarlyStopping", "min_delta", ["x"], scored],
  ["EarlyStopping", "stopping_threshold", ["x"], scored],
  ["EarlyStopping", "divergence_threshold", ["x"], scored],
  ["LearningRateMonitor", "logging_interval", ["foo", "", 1]],
  [
    "GradientAccumulationScheduler",
    "scheduling",
    [{}, { 0: 0 }, { "-1": 2 }, { 1: 1.5 }, { 1: "x" }, null, [1], { 1: 0 }, { 0: -1 }, { 1.5: 2 }],
  ],
  ["StochasticWeightAveraging", "swa_lrs", [-1, 0, "x", [0.1, -1], null, ["x"]]],
  ["StochasticWeightAveraging", "swa_epoch_start", [-1, -0.5, 1.5, "x"], { swa_lrs: 0.1 }],
  ["StochasticWeightAveraging", "annealing_strategy", ["foo", 1], { swa_lrs: 0.1 }],
  ["StochasticWeightAveraging", "avg_fn", [1, "x"], { swa_lrs: 0.1 }],
  ["StochasticWeightAveraging", "device", [1], { swa_lrs: 0.1 }],
  ["Timer", "duration", ["x", "1:2", { foo: 1 }, 5, { seconds: "x" }]],
  ["Timer", "interval", ["foo", 1, ""]],
  ["ModelPruning", "pruning_fn", ["foo", 1, null]],
  ["ModelPruning", "verbose", [3, -1, "x"], pruning],
  ["ModelPruning", "parameter_names", [["foo"]], pruning],
  ["ModelPruning", "pruning_dim", [null], { ...structured, amount: 0.5 }],
  ["ModelPruning", "pruning_norm", [null], { ...structured, pruning_dim: 0 }],
  ["OnExceptionCheckpoint", "dirpath", [1, null]],
  ["OnExceptionCheckpoint", "filename", [1, ""], { dirpath: "here" }],
  ["EMAWeightAveraging", "decay", [-1, 2]],
  ["EMAWeightAveraging", "update_every_n_steps", ["x"]],
  ["EMAWeightAveraging", "update_starting_at_step", ["x"]],
  ["EMAWeightAveraging", "update_starting_at_epoch", ["x"]],
  ["BatchSizeFinder", "mode", ["foo"]],
  ["BatchSizeFinder", "steps_per_trial", ["x"]],
  ["BatchSizeFinder", "init_val", ["x"]],
  ["BatchSizeFinder", "max_trials", [1.5, "x"]],
  ["BatchSizeFinder", "batch_arg_name", ["missing"]],
  ["BatchSizeFinder", "margin", [-1, 2]],
  ["LearningRateFinder", "mode", ["foo"]],
  ["LearningRateFinder", "min_lr", [-1, 0, "x"]],
  ["LearningRateFinder", "max_lr", [-1, "x"]],
  ["LearningRateFinder", "num_training_steps", [0, "x"]],
  ["LearningRateFinder", "attr_name", ["missing"]],
  ["CSVLogger", "save_dir", [1]],
  ["CSVLogger", "name", [1], { save_dir: "here" }],
  ["TensorBoardLogger", "save_dir", [1]],
  ["TensorBoardLogger", "name", [1], { save_dir: "here" }],
  ["TensorBoardLogger", "sub_dir", [1], { save_dir: "here" }],
];

/** What both take, though it looks odd. */
const right: Cases[] = [
  ["Trainer", "devices", ["1", "auto"]],
  ["Trainer", "precision", [32, "32", "bf16", "16-true", null]],
  ["Trainer", "logger", [[], null, true]],
  ["Trainer", "callbacks", [[], null]],
  ["Trainer", "fast_dev_run", [0, 1, 2]],
  ["Trainer", "max_epochs", [0, -1, null]],
  ["Trainer", "max_time", [{}, { days: 1 }, "00:00:01:00"]],
  ...limits.map((limit): Cases => ["Trainer", limit, [0, null]]),
  ["Trainer", "val_check_interval", [1, { hours: 1 }, {}]],
  ["Trainer", "check_val_every_n_epoch", [null]],
  ["Trainer", "num_sanity_val_steps", [-1, null]],
  ["Trainer", "log_every_n_steps", [0, null]],
  ["Trainer", "gradient_clip_val", [-1, 0, null]],
  ["Trainer", "gradient_clip_algorithm", ["NORM"]],
  ["Trainer", "log_every_n_steps", [0], { barebones: true }],
  ["ModelCheckpoint", "every_n_train_steps", [1, 0], { every_n_epochs: 0 }],
  ["ModelCheckpoint", "filename", ["{epoch:.2f}", "{missing}", "a/b", ""]],
  ["EarlyStopping", "patience", [-1, 0], scored],
  ["EarlyStopping", "min_delta", [-1], scored],
  ["GradientAccumulationScheduler", "scheduling", [{ 1: 2 }]],
  ["StochasticWeightAveraging", "swa_lrs", [0.1, [0.1]]],
  ["Timer", "duration", [{}, null]],
  ["ModelPruning", "parameter_names", [[]], pruning],
  ["CSVLogger", "name", ["", null, "a/b"], { save_dir: "here" }],
  ["TensorBoardLogger", "name", ["", null, "a/b"], { save_dir: "here" }],
];

const positional: Record<string, string> = {
  CSVLogger: "saveDir",
  EarlyStopping: "monitor",
  GradientAccumulationScheduler: "scheduling",
  ModelPruning: "pruningFn",
  OnExceptionCheckpoint: "dirpath",
  StochasticWeightAveraging: "swaLrs",
  TensorBoardLogger: "saveDir",
};

/** The net of arguments_run.py. */
class Net extends LightningModule<Tensor> {
  readonly layer = new nn.Linear(4, 2);
  batchSize = 1;
  lr = 0.1;
  started = false;

  override trainingStep(batch: Tensor): Tensor {
    const loss = this.layer.forward(batch).pow(2).mean();
    this.log("loss", loss);
    return loss;
  }
  override validationStep(batch: Tensor): void {
    this.log("v", this.layer.forward(batch).mean());
  }
  override onTrainStart(): void {
    this.started = true;
  }
  override configureOptimizers(): optim.Optimizer {
    return new optim.SGD(this.parameters(), { lr: this.lr });
  }
  override trainDataloader(): data.DataLoader<Tensor> {
    return new data.DataLoader({ length: 4, getItem: () => torch.ones([4]) }, { batchSize: 2 });
  }
  override valDataloader(): data.DataLoader<Tensor> {
    return new data.DataLoader({ length: 2, getItem: () => torch.ones([4]) }, { batchSize: 2 });
  }
}

const moments = ["construction", "before training", "training", null] as const;
type Outcome = [when: (typeof moments)[number], message: string];

const camelCase = (name: string) => name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());

function construct(kind: string, args: Record<string, unknown>, folder: string): Trainer {
  const given = Object.fromEntries(Object.entries(args).map(([name, value]) => [camelCase(name), value]));
  let flags: object = { accelerator: "cpu", maxSteps: 4, maxEpochs: 2, defaultRootDir: folder };
  const off = { logger: false, enableProgressBar: false, enableModelSummary: false, numSanityValSteps: 0 };
  if (!given.barebones) flags = { ...flags, ...off, enableCheckpointing: false };
  if (kind === "Trainer") return new Trainer({ ...flags, ...given });
  const Class = (levin as unknown as Record<string, new (...args: unknown[]) => object>)[kind]!;
  const { [positional[kind] ?? ""]: first, ...others } = given;
  const made = kind in positional ? new Class(first, others) : new Class(others);
  if (!(made instanceof Callback)) return new Trainer({ ...flags, logger: made as levin.Logger });
  return new Trainer({
    ...flags,
    callbacks: made,
    enableCheckpointing: made instanceof Checkpoint,
    enableProgressBar: made instanceof ProgressBar,
  });
}

async function run(kind: string, args: Record<string, unknown>, folder: string): Promise<Outcome> {
  const net = new Net();
  let when: Outcome[0] = "construction";
  try {
    const trainer = construct(kind, args, folder);
    when = "before training";
    await trainer.fit(net);
    return [null, ""];
  } catch (error) {
    if (!(error instanceof LevinError)) throw error;
    return [net.started ? "training" : when, error.message];
  }
}

const all = (cases: Cases[]) =>
  cases.flatMap(([kind, argument, values, others]) =>
    values.map((value) => ({ kind, argument, args: { ...others, [argument]: value } })),
  );

describe("arguments, held against Lightning's checks", () => {
  let folder = "";
  let before = "";
  let lightning: Map<string, Outcome>;
  const nameOf = (kind: string, args: object) => `${kind}(${JSON.stringify(args)})`;

  beforeAll(async () => {
    setQuiet(true);
    folder = mkdtempSync(join(tmpdir(), "levin-"));
    const cases = [...all(wrong), ...all(right)];
    const given = JSON.stringify(cases.map(({ kind, args }) => [kind, args]));
    const outcomes = JSON.parse(await runPython("arguments_run.py", given, folder)) as Outcome[];
    lightning = new Map(cases.map(({ kind, args }, i) => [nameOf(kind, args), outcomes[i]!]));
    before = process.cwd();
    process.chdir(folder);
  });
  afterAll(() => {
    process.chdir(before);
    rmSync(folder, { recursive: true });
  });

  it.each(all(wrong).map((each) => ({ ...each, name: nameOf(each.kind, each.args) })))(
    "$name is refused, and not later",
    async ({ name, kind, argument, args }) => {
      const [when, message] = await run(kind, args, folder);
      const [whenThere] = lightning.get(name)!;
      expect([whenThere, when]).not.toContain(null);
      expect(moments.indexOf(when)).toBeLessThanOrEqual(moments.indexOf(whenThere));
      expect(message.toLowerCase()).toContain(camelCase(argument).toLowerCase());
    },
  );

  it.each(all(right).map((each) => ({ ...each, name: nameOf(each.kind, each.args) })))(
    "$name is taken",
    async ({ name, kind, args }) => {
      expect([lightning.get(name), await run(kind, args, folder)]).toEqual([
        [null, ""],
        [null, ""],
      ]);
    },
  );
});
