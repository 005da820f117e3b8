import { join } from "node:path";
import * as torch from "@levin/torch";
import * as levin from "levin";
import { type Constructor, classOf } from "../levin.js";
import { camelCaseKeys } from "../names.js";
import { NotCovered } from "../report.js";
import { arrange, signatures } from "../signatures.js";
import {
  addMethods,
  CALLBACK_HOOKS,
  DATA_HOOKS,
  MODULE_HOOKS,
  type Replacement,
  recording,
} from "./recording.js";
import type { Act, Lengths, Log, Scenario, SchedulerConfig, Stage } from "./scenario.js";
import type { AnyTrainer, Tape } from "./tape.js";

/** The error that the scenarios raise. */
export class ScenarioError extends Error {
  override name = "ScenarioError";
}

/** What the recorder uses of a LightningModule. */
export interface AnyLightningModule extends torch.nn.Module {
  automaticOptimization: boolean;
  log(name: string, value: unknown, options?: Record<string, unknown>): void;
  optimizers(): AnyOptimizer | AnyOptimizer[];
  lrSchedulers(): { step(): void } | { step(): void }[] | null;
  manualBackward(loss: torch.Tensor): unknown;
  toggleOptimizer(optimizer: AnyOptimizer): void;
  untoggleOptimizer(optimizer: AnyOptimizer): void;
  clipGradients(optimizer: AnyOptimizer, options: Record<string, unknown>): void;
  saveHyperparameters(params: Record<string, unknown>): void;
  net: torch.nn.Linear;
}

interface AnyOptimizer {
  step(): unknown;
  zeroGrad(): void;
}

/** The module, the data module and the callbacks of a scenario. */
export interface Parts {
  module: AnyLightningModule;
  datamodule: object | undefined;
  callbacks: object[];
}

/** A class of the package `levin` by name. Throws {@link NotCovered} where it has none. */
export function levinClass<T extends object = object>(name: string): Constructor<T> {
  const found = (levin as Record<string, unknown>)[name];
  if (typeof found !== "function") throw new NotCovered(`no ${name} in levin`);
  return found as Constructor<T>;
}

/** Row k of loader d: four numbers ((4k + c) mod 7 - 3) / 4 + d / 2. */
class Rows {
  readonly length: number;
  readonly #loader: number;

  constructor(batches: number, loader: number) {
    this.length = 2 * batches;
    this.#loader = loader;
  }

  getItem(k: number): torch.Tensor {
    return torch.tensor([0, 1, 2, 3].map((c) => (((4 * k + c) % 7) - 3) / 4 + this.#loader / 2));
  }
}

/** The same rows without a length. */
class Stream {
  readonly #rows: Rows;

  constructor(batches: number, loader: number) {
    this.#rows = new Rows(batches, loader);
  }

  *[Symbol.iterator](): Generator<torch.Tensor> {
    for (let k = 0; k < this.#rows.length; k++) yield this.#rows.getItem(k);
  }
}

/** Builds what a scenario describes; everything in it writes on the tape. */
export function makeParts(scenario: Scenario, tape: Tape, folder: string): Parts {
  return {
    ...makeModule(scenario, tape),
    callbacks: (scenario.callbacks ?? [{ Recorder: { name: "a" } }]).map((described) => {
      const [[kind, args]] = Object.entries(described) as [[string, Record<string, unknown>]];
      return kind === "Recorder" ? makeRecorder(args.name as string, tape) : makeCallback(kind, args, folder);
    }),
  };
}

function makeRecorder(label: string, tape: Tape): object {
  const cls = recording({
    base: levinClass("Callback"),
    hooks: CALLBACK_HOOKS,
    signatures: signatures.callback_hooks,
    who: () => `callback:${label}`,
    tape,
  });
  Object.defineProperty(cls.prototype, "stateKey", { get: () => `Recorder-${label}` });
  return new cls();
}

function makeCallback(kind: string, given: Record<string, unknown>, folder: string): object {
  const args = withFolder(given, folder) as Record<string, unknown>;
  if (kind === "ModelCheckpoint") args.dirpath = join(folder, "checkpoints");
  return new (levinClass(kind))(...arrange(signatures.callbacks[kind], [], args));
}

/** Arguments with FOLDER, the folder of the scenario, put in. */
function withFolder(value: unknown, folder: string): unknown {
  if (typeof value === "string") return value.replace("FOLDER", folder);
  if (Array.isArray(value)) return value.map((item) => withFolder(item, folder));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withFolder(item, folder)]));
}

function makeModule(scenario: Scenario, tape: Tape): Pick<Parts, "module" | "datamodule"> {
  const { data } = scenario;
  const about = scenario.module ?? {};
  const Base = levinClass("LightningModule");

  class Module extends (Base as unknown as Constructor<AnyLightningModule>) {
    constructor() {
      super();
      const self = this as unknown as AnyLightningModule;
      self.net = new torch.nn.Linear(4, 2);
      torch.noGrad(() => {
        self.net.weight.copy_(
          torch.tensor([0, 1].map((i) => [0, 1, 2, 3].map((j) => 0.1 * (i + 1) - 0.05 * j))),
        );
        self.net.bias?.copy_(torch.tensor([0.01, -0.02]));
      });
      self.automaticOptimization = about.automatic_optimization ?? true;
      if (about.hparams !== undefined) self.saveHyperparameters(about.hparams);
    }
  }

  const act = makeAct(about.log ?? [], about.act ?? [], tape);
  const cls = recording({
    base: Module as unknown as Constructor<object>,
    hooks: MODULE_HOOKS.filter((hook) => !(scenario.leave ?? []).includes(hook)),
    signatures: signatures.module_hooks,
    who: () => "module",
    tape,
    act,
  });
  const datamoduleClass = scenario.datamodule
    ? recording({
        base: levinClass("LightningDataModule"),
        hooks: DATA_HOOKS,
        signatures: signatures.data_module_hooks,
        who: () => "datamodule",
        tape,
      })
    : undefined;

  addMethods(cls, {
    configure_optimizers: (self) => configureOptimizers(self as AnyLightningModule, scenario, tape),
    forward: (self, x: torch.Tensor) => (self as AnyLightningModule).net.forward(x),
  });
  const steps = makeSteps(scenario, tape, act);
  for (const stage of ["train", "val", "test", "predict"] as const) {
    if (data[stage] === undefined) continue;
    addMethods(cls, steps[stage]);
    const who = datamoduleClass ? "datamodule" : "module";
    addMethods(datamoduleClass ?? cls, {
      [`${stage}_dataloader`]: () => makeLoaders(scenario, stage, who, tape),
    });
  }
  return { module: new cls() as AnyLightningModule, datamodule: datamoduleClass && new datamoduleClass() };
}

/** The last loss of a module, and what `self.log` and the acts need of it. */
const lastLoss = new WeakMap<object, torch.Tensor>();

function makeAct(logs: Log[], acts: Act[], tape: Tape) {
  return (self: object, hook: string, args: Record<string, unknown>): Replacement => {
    const trainer = tape.trainer as AnyTrainer;
    for (const { in: where, name, value, ...options } of logs) {
      if (where !== hook) continue;
      const values: Record<string, unknown> = {
        batch: args.batch_idx ?? 0,
        epoch: trainer.currentEpoch,
        nan: Number.NaN,
        loss: lastLoss.get(self),
      };
      const logged = typeof value === "string" ? values[value] : value;
      const tensor = logged instanceof torch.Tensor ? logged : torch.tensor(Number(logged));
      (self as AnyLightningModule).log(name, tensor, camelCaseKeys(options));
    }
    for (const { in: where, do: what, epoch, batch, sanity } of acts) {
      if (where !== hook || (epoch ?? trainer.currentEpoch) !== trainer.currentEpoch) continue;
      if (batch !== undefined && batch !== args.batch_idx) continue;
      if (trainer.sanityChecking && !sanity) continue;
      if (what === "raise") throw new ScenarioError("raised by the scenario");
      if (what === "interrupt") throw makeInterrupt();
      if (what === "stop") trainer.shouldStop = true;
      if (what === "return -1") return { value: -1 };
      if (what === "return none") return { value: undefined };
      if (what === "nan")
        return { value: ((args.loss ?? lastLoss.get(self)) as torch.Tensor).mul(Number.NaN) };
    }
    return undefined;
  };
}

/** What the trainer throws inside a run when Ctrl-C is pressed. */
function makeInterrupt(): Error {
  const Interrupt = levinClass<Error>("KeyboardInterrupt");
  return new Interrupt();
}

function lossOf(module: AnyLightningModule, batch: unknown): torch.Tensor {
  const one = (x: torch.Tensor) => (module.net.forward(x) as torch.Tensor).pow(2).mean();
  if (typeof batch !== "object" || batch === null || batch instanceof torch.Tensor)
    return one(batch as torch.Tensor);
  return tensorsOf(batch)
    .map(one)
    .reduce((a, b) => a.add(b));
}

/** The tensors of a batch in order. */
function tensorsOf(batch: unknown): torch.Tensor[] {
  if (batch instanceof torch.Tensor) return [batch];
  return Object.values((batch ?? []) as object).flatMap(tensorsOf);
}

type Steps = Record<
  Stage,
  Record<string, (self: object, batch: unknown, batchIdx: number, dataloaderIdx?: number) => unknown>
>;

function makeSteps(scenario: Scenario, tape: Tape, act: ReturnType<typeof makeAct>): Steps {
  const about = scenario.module ?? {};
  const training = (object: object, batch: unknown, batchIdx: number): unknown => {
    const self = object as AnyLightningModule;
    tape.note("module", "training_step", { batch_idx: batchIdx });
    const loss = lossOf(self, batch);
    lastLoss.set(self, loss);
    if (!self.automaticOptimization) optimizeManually(self, scenario, batch);
    const replaced = act(self, "training_step", { batch_idx: batchIdx });
    if (replaced !== undefined) return replaced.value;
    return about.dict_output ? { loss, extra: batchIdx } : loss;
  };
  const evaluation =
    (stage: string) =>
    (object: object, batch: unknown, batchIdx: number, dataloaderIdx = 0) => {
      const self = object as AnyLightningModule;
      tape.note("module", `${stage}_step`, { batch_idx: batchIdx, dataloader_idx: dataloaderIdx });
      lastLoss.set(self, lossOf(self, batch));
      const replaced = act(self, `${stage}_step`, { batch_idx: batchIdx });
      if (replaced !== undefined) return replaced.value;
      return stage === "predict" ? self.net.forward(batch as torch.Tensor) : lastLoss.get(self);
    };
  return {
    train: { training_step: training },
    val: { validation_step: evaluation("validation") },
    test: { test_step: evaluation("test") },
    predict: { predict_step: evaluation("predict") },
  };
}

function list<T>(value: T | T[] | null | undefined): T[] {
  return value === null || value === undefined ? [] : Array.isArray(value) ? value : [value];
}

function optimizeManually(self: AnyLightningModule, scenario: Scenario, batch: unknown): void {
  const about = scenario.module ?? {};
  for (const optimizer of list(self.optimizers())) {
    if (about.toggle) self.toggleOptimizer(optimizer);
    optimizer.zeroGrad();
    self.manualBackward(lossOf(self, batch));
    if (about.clip !== undefined) {
      self.clipGradients(optimizer, { gradientClipVal: about.clip, gradientClipAlgorithm: "norm" });
    }
    optimizer.step();
    if (about.toggle) self.untoggleOptimizer(optimizer);
  }
  if (about.schedulers?.length) for (const scheduler of list(self.lrSchedulers())) scheduler.step();
}

function configureOptimizers(self: AnyLightningModule, scenario: Scenario, tape: Tape): unknown {
  const about = scenario.module ?? {};
  tape.note("module", "configure_optimizers");
  const parameters = [...self.net.parameters()];
  const optimizers = (about.optimizers ?? [{ lr: 0.1 }]).map(({ lr, part }, i) => {
    const chosen = part === undefined ? parameters : parameters.slice(part, part + 1);
    return makeOptimizer(chosen, lr, `optimizer:${i}`, tape);
  });
  const schedulers = (about.schedulers ?? []).map((config, i) =>
    makeScheduler(config, optimizers, `scheduler:${i}`, tape),
  );
  if (schedulers.length > 0) return [optimizers, schedulers];
  return optimizers.length > 1 ? optimizers : optimizers[0];
}

function makeOptimizer(parameters: torch.Tensor[], lr: number, who: string, tape: Tape): torch.optim.SGD {
  class SGD extends torch.optim.SGD {
    override step(...args: Parameters<torch.optim.SGD["step"]>): ReturnType<torch.optim.SGD["step"]> {
      tape.note(who, "step");
      const out = super.step(...args);
      tape.note(who, "step_end");
      return out;
    }
    override zeroGrad(...args: Parameters<torch.optim.SGD["zeroGrad"]>): void {
      tape.note(who, "zero_grad");
      super.zeroGrad(...args);
    }
  }
  return new SGD(parameters as torch.nn.Parameter[], { lr });
}

function makeScheduler(
  config: SchedulerConfig,
  optimizers: object[],
  who: string,
  tape: Tape,
): Record<string, unknown> {
  const { kind, args = {}, optimizer = 0, ...rest } = config;
  const Base = classOf<{ step(...args: unknown[]): unknown }>(
    torch.optim.lrScheduler,
    "optim.lrScheduler",
    kind,
  );
  let made = false;
  const cls = class extends Base {
    override step(...given: unknown[]): unknown {
      // A constructor may take the first step, which the recorder does not note.
      if (made) tape.note(who, "step", { metric: given[0] });
      return super.step(...given);
    }
  };
  Object.defineProperty(cls, "name", { value: kind });
  const scheduler = new cls(...arrange(signatures.schedulers[kind], [optimizers[optimizer]], args));
  made = true;
  return { scheduler, ...rest };
}

function makeLoaders({ data }: Scenario, stage: Stage, who: string, tape: Tape): unknown {
  tape.note(who, `${stage}_dataloader`);
  const DataLoader = classOf<object>(torch.data, "data", "DataLoader");
  let count = 0;
  const makeLoader = (batches: number) => {
    const d = count++;
    return new DataLoader(data.iterable ? new Stream(batches, d) : new Rows(batches, d), { batchSize: 2 });
  };
  const makeNested = (lengths: Lengths): unknown => {
    if (typeof lengths === "number") return makeLoader(lengths);
    if (Array.isArray(lengths)) return lengths.map(makeNested);
    return Object.fromEntries(Object.entries(lengths).map(([key, value]) => [key, makeNested(value)]));
  };
  const lengths = data[stage] ?? [];
  const loaders = makeNested(lengths);
  if (!isFlat(lengths)) return loaders;
  const list = loaders as object[];
  if (stage === "train" && data.mode !== undefined) {
    const CombinedLoader = levinClass("CombinedLoader");
    return new CombinedLoader(Object.fromEntries(list.map((loader, d) => [`l${d}`, loader])), {
      mode: data.mode,
    });
  }
  return data.as_list || list.length > 1 ? list : list[0];
}

/** Whether the lengths are a plain list of loaders, as in most scenarios. */
function isFlat(lengths: Lengths): lengths is number[] {
  return Array.isArray(lengths) && lengths.every((item) => typeof item === "number");
}
