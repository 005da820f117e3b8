import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@levin/torch";
import { data, nn, optim, type Tensor } from "@levin/torch";
import {
  Callback,
  LightningDataModule,
  LightningModule,
  setQuiet,
  Trainer,
  type TrainerOptions,
} from "levin";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const page = readFileSync(new URL("../../../docs/hooks.md", import.meta.url), "utf8");

// The pseudo-code of the page

interface Line {
  text: string;
  inside: Line[];
}

/** The blocks of the page by their names. */
const blocks = new Map(
  [...page.matchAll(/```text\n(.*?)```/gs)].map(([, block]) => {
    const [root] = parse(block!.trimEnd().split("\n"));
    return [root!.text.replace(/:$/, ""), root!.inside];
  }),
);

/** Lines with those indented below them; remarks in parentheses are left out. */
function parse(lines: string[]): Line[] {
  const parsed: Line[] = [];
  const open: { indent: number; inside: Line[] }[] = [{ indent: -1, inside: parsed }];
  for (const line of lines) {
    const text = line.replace(/(^|\s+)\(.*\)$/, "").trim();
    if (text === "") continue;
    const indent = line.search(/\S/);
    while (open.at(-1)!.indent >= indent) open.pop();
    const made = { text, inside: [] };
    open.at(-1)!.inside.push(made);
    open.push({ indent, inside: made.inside });
  }
  return parsed;
}

/** What a run is like, as far as the page asks for it. */
interface Setting {
  epochs?: number;
  accumulate?: number;
  /** After how many of the five batches is validated. */
  valCheckInterval?: number;
  checkValEveryNEpoch?: number;
  sanityCheck?: boolean;
  validates?: boolean;
  loaders?: number;
  manual?: boolean;
  intervals?: ("step" | "epoch")[];
  plateau?: boolean;
  /** Whether data and transfer are the module's own. */
  withoutDataModule?: boolean;
  resumes?: boolean;
}

const trainBatches = 5;
const valBatches = 3;
const sanityBatches = 2;

const defaults: Required<Setting> = {
  epochs: 2,
  accumulate: 1,
  valCheckInterval: trainBatches,
  checkValEveryNEpoch: 1,
  sanityCheck: true,
  validates: true,
  loaders: 1,
  manual: false,
  intervals: [],
  plateau: false,
  withoutDataModule: false,
  resumes: false,
};

/** Executes the pseudo-code; gives the calls in order, as "who.hook". */
function execute(block: string, given: Setting): string[] {
  const setting = { ...defaults, ...given };
  const calls: string[] = [];
  let epoch = setting.resumes ? 1 : 0;
  let batch = 0;
  let sanityChecking = false;

  const isLast = () => batch === trainBatches - 1;
  const addsUp = () => (batch + 1) % setting.accumulate !== 0 && !isLast();
  const conditions: Record<string, () => boolean> = {
    "if it goes on from a checkpoint": () => setting.resumes,
    "if there is validation and a sanity check": () => setting.validates && setting.sanityCheck,
    "if there is validation and no sanity check": () => setting.validates && !setting.sanityCheck,
    "if optimization is automatic": () => !setting.manual,
    "if it is time to validate": () =>
      setting.validates &&
      (epoch + 1) % setting.checkValEveryNEpoch === 0 &&
      (batch + 1) % setting.valCheckInterval === 0,
    "if gradients are adding up": addsUp,
    "if gradients are not adding up": () => !addsUp(),
    "if it is the first batch whose gradients add up": () => batch % setting.accumulate === 0,
    "if it is the last batch of the epoch": isLast,
    "if there is a ReduceLROnPlateau": () => setting.plateau,
  };
  const times: Record<string, (once: (i: number) => void) => void> = {
    "for each epoch": (once) => repeat(setting.epochs, once, (i) => (epoch = i), epoch),
    "for each batch of training": (once) => repeat(trainBatches, once, (i) => (batch = i)),
    "for each batch of validation": (once) => repeat(sanityChecking ? sanityBatches : valBatches, once),
    "for each batch": (once) => repeat(valBatches, once),
    "for each loader": (once) => repeat(setting.loaders, once),
    "for each optimizer that it uses": (once) => repeat(2, once),
    'for each scheduler with the interval "step"': (once) => repeat(count(setting.intervals, "step"), once),
    'for each scheduler with the interval "epoch"': (once) => repeat(count(setting.intervals, "epoch"), once),
  };

  const runLines = (lines: Line[]): void => {
    let condition: boolean | undefined;
    for (const { text, inside } of lines) {
      const control = /^(.*):$/.exec(text)?.[1];
      if (control !== undefined && control in conditions) {
        condition = conditions[control]!();
        if (condition) runLines(inside);
      } else if (control === "else") {
        if (!condition) runLines(inside);
      } else if (control !== undefined && control in times) {
        times[control]!(() => runLines(inside));
      } else if (text.startsWith("-> ")) {
        const called = blocks.get(text.slice(3));
        if (!called) throw new Error(`The page has no block "${text.slice(3)}".`);
        runLines(called);
      } else {
        const [, hook, who] = /^(\w+) {2,}(\w.*)$/.exec(text) ?? [];
        if (!hook) throw new Error(`The test does not know what "${text}" means.`);
        if (hook === "onSanityCheckStart") sanityChecking = true;
        if (hook === "onSanityCheckEnd") sanityChecking = false;
        calls.push(...participants(who!, setting).map((each) => `${each}.${hook}`));
        runLines(inside);
      }
    }
  };
  runLines(blocks.get(block)!);
  return calls;
}

function participants(who: string, { withoutDataModule }: Required<Setting>): string[] {
  if (who === "data module, else module") return [withoutDataModule ? "module" : "data module"];
  const monitorsLate = who.includes("monitoring callbacks");
  return who.split(", ").flatMap((each) => {
    if (each === "callbacks") return monitorsLate ? ["callback"] : ["callback", "monitor"];
    if (each === "monitoring callbacks") return ["monitor"];
    if (each === "data module") return withoutDataModule ? [] : ["data module"];
    if (each === "module") return ["module"];
    throw new Error(`The test does not know who "${each}" is.`);
  });
}

function repeat(to: number, once: (i: number) => void, set?: (i: number) => void, from = 0): void {
  for (let i = from; i < to; i++) {
    set?.(i);
    once(i);
  }
}

const count = <T>(list: T[], item: T) => list.filter((each) => each === item).length;

// Real runs

const isHook =
  /^(on[A-Z]\w+|\w+Step|\w+Dataloader|configure\w+|prepareData|setup|teardown|backward|optimizerZeroGrad|transferBatchToDevice|stateDict|loadStateDict)$/;

/** The hooks that a class has. */
function hooksOf(Class: { prototype: object }): string[] {
  return Object.entries(Object.getOwnPropertyDescriptors(Class.prototype))
    .filter(([name, { value }]) => isHook.test(name) && typeof value === "function")
    .map(([name]) => name);
}

class Failure extends Error {}

/** What was called, in order; the call with the number `failsAt` throws. */
class Tape {
  readonly calls: string[] = [];
  failsAt = -1;

  /** Notes all calls of an object's hooks. */
  watch<T extends object>(target: T, who: string, Base: { prototype: object }): T {
    for (const hook of hooksOf(Base)) {
      const method = (target as Record<string, unknown>)[hook] as (...args: unknown[]) => unknown;
      Object.defineProperty(target, hook, {
        value: (...args: unknown[]) => {
          this.calls.push(`${who}.${hook}`);
          if (this.calls.length - 1 === this.failsAt) throw new Failure(`${who}.${hook}`);
          return method.apply(target, args);
        },
      });
    }
    return target;
  }
}

class Module extends LightningModule<Tensor> {
  readonly layer = new nn.Linear(2, 1);
  readonly #setting: Required<Setting>;

  constructor(setting: Required<Setting>) {
    super();
    this.#setting = setting;
    this.automaticOptimization = !setting.manual;
  }

  override forward(batch: Tensor): Tensor {
    return this.layer.forward(batch).square().mean();
  }

  override trainingStep(batch: Tensor): Tensor {
    const loss = this.forward(batch);
    this.log("loss", loss, { onEpoch: true });
    if (!this.automaticOptimization) {
      for (const optimizer of this.optimizers<number>()) {
        this.manualBackward(this.forward(batch));
        optimizer.step();
        optimizer.zeroGrad();
      }
    }
    return loss;
  }

  override validationStep(): void {}
  override testStep(): void {}

  override configureOptimizers(): [optim.Optimizer[], { scheduler: optim.lrScheduler.StepLR }[]] {
    const make = () => new optim.SGD(this.parameters(), { lr: 0.1 });
    const optimizers = this.#setting.manual ? [make(), make()] : [make()];
    const schedulers = this.#setting.intervals.map((interval) => ({
      scheduler: new optim.lrScheduler.StepLR(optimizers[0]!, 1),
      interval,
    }));
    if (!this.#setting.plateau) return [optimizers, schedulers];
    const scheduler = new optim.lrScheduler.ReduceLROnPlateau(optimizers[0]!);
    return [optimizers, [...schedulers, { scheduler, monitor: "loss" } as never]];
  }

  override trainDataloader() {
    return loaderOf(trainBatches);
  }
  override valDataloader() {
    return this.#evaluationLoaders();
  }
  override testDataloader() {
    return this.#evaluationLoaders();
  }
  override predictDataloader() {
    return this.#evaluationLoaders();
  }

  #evaluationLoaders() {
    return Array.from({ length: this.#setting.loaders }, () => loaderOf(valBatches));
  }
}

class Data extends LightningDataModule<Tensor> {
  override trainDataloader() {
    return loaderOf(trainBatches);
  }
  override valDataloader() {
    return loaderOf(valBatches);
  }
  override testDataloader() {
    return loaderOf(valBatches);
  }
  override predictDataloader() {
    return loaderOf(valBatches);
  }
  override stateDict() {
    return { seen: 1 };
  }
}

class Plain extends Callback {
  override stateDict() {
    return { seen: 1 };
  }
}

class Monitor extends Plain {
  override get monitors(): boolean {
    return true;
  }
}

function loaderOf(batches: number) {
  return new data.DataLoader(new data.TensorDataset(torch.ones([batches, 2])), {
    collate: (samples: Tensor[][]) => torch.stack(samples.map(([row]) => row!)),
  });
}

type Method = "fit" | "validate" | "test" | "predict";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "levin-"));
  setQuiet(true);
});
afterAll(() => {
  rmSync(folder, { recursive: true });
  setQuiet(false);
});

/** What a run calls; with `failsAt` its call of that number fails. */
async function run(method: Method, given: Setting, failsAt = -1, ckptPath: string | null = null) {
  const setting = { ...defaults, ...given };
  const tape = new Tape();
  const module = tape.watch(new Module(setting), "module", LightningModule);
  const datamodule = setting.withoutDataModule
    ? null
    : tape.watch(new Data(), "data module", LightningDataModule);
  const options: TrainerOptions = {
    accelerator: "cpu",
    maxEpochs: setting.epochs,
    accumulateGradBatches: setting.accumulate,
    valCheckInterval: setting.valCheckInterval,
    checkValEveryNEpoch: setting.checkValEveryNEpoch,
    numSanityValSteps: setting.sanityCheck ? sanityBatches : 0,
    gradientClipVal: setting.manual ? null : 1,
    callbacks: [
      tape.watch(new Plain(), "callback", Callback),
      tape.watch(new Monitor(), "monitor", Callback),
    ],
    logger: false,
    enableCheckpointing: false,
    enableProgressBar: false,
    enableModelSummary: false,
    ...(setting.validates ? {} : { limitValBatches: 0 }),
  };
  const trainer = new Trainer(options);
  tape.failsAt = failsAt;
  const call = () => trainer[method](module, { datamodule, ckptPath });
  if (failsAt < 0) await call();
  else await expect(call()).rejects.toThrow(Failure);
  return { calls: tape.calls, trainer, tape };
}

describe("docs/hooks.md", () => {
  const settings: Record<string, Setting> = {
    "by default": {},
    "without a sanity check": { sanityCheck: false },
    "without validation": { validates: false },
    "without a data module": { withoutDataModule: true },
    "with several validations in an epoch": { valCheckInterval: 2 },
    "with a validation every second epoch": { checkValEveryNEpoch: 2, epochs: 3 },
    "with several loaders": { loaders: 2, withoutDataModule: true },
    "with accumulated gradients": { accumulate: 2 },
    "with accumulated gradients and validation between": { accumulate: 3, valCheckInterval: 1 },
    "with schedulers": { intervals: ["step", "epoch", "step"], accumulate: 2 },
    "with a ReduceLROnPlateau": { intervals: ["epoch"], plateau: true },
    "with manual optimization": { manual: true, valCheckInterval: 2 },
  };

  for (const [name, setting] of Object.entries(settings)) {
    it(`has the calls of a fit ${name}`, async () => {
      expect((await run("fit", setting)).calls).toEqual(execute("fit", setting));
    });
  }

  for (const method of ["validate", "test", "predict"] as const) {
    it(`has the calls of ${method}`, async () => {
      expect((await run(method, {})).calls).toEqual(execute(method, {}));
      const several = { loaders: 2, withoutDataModule: true };
      expect((await run(method, several)).calls).toEqual(execute(method, several));
    });
  }

  it("has the calls around checkpoints", async () => {
    const file = join(folder, "one-epoch.ckpt");
    const { trainer, tape } = await run("fit", { epochs: 1 });
    tape.calls.length = 0;
    await trainer.saveCheckpoint(file);
    expect(tape.calls).toEqual(execute("save a checkpoint", {}));
    for (const method of ["fit", "validate", "test", "predict"] as const) {
      const setting = { resumes: true, epochs: 2 };
      expect((await run(method, setting, -1, file)).calls).toEqual(execute(method, setting));
    }
  });

  it("has the calls after an error, in whatever hook or step it happens", async () => {
    for (const method of ["fit", "validate", "test", "predict"] as const) {
      const setting: Setting = { epochs: 1, valCheckInterval: 3, intervals: ["step"] };
      const all = execute(method, setting);
      for (let failsAt = 0; failsAt < all.length; failsAt++) {
        const expected = [...all.slice(0, failsAt + 1), ...execute("on an exception", setting)];
        expect((await run(method, setting, failsAt)).calls, `when ${all[failsAt]} fails`).toEqual(expected);
      }
    }
  });

  it("leaves out no hook", () => {
    const named = new Set([...page.matchAll(/^ *(\w+) {2,}\w/gm)].map(([, hook]) => hook));
    const hooks = [Callback, LightningModule, LightningDataModule].flatMap(hooksOf);
    expect(hooks.filter((hook) => !named.has(hook))).toEqual([]);
  });
});
