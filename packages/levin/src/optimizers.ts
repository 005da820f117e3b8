import { type nn, optim, type Tensor } from "@levin/torch";
import { MisconfigurationError } from "./errors.js";
import { warn } from "./messages.js";

/** A learning rate scheduler, or anything with these methods. */
export interface Scheduler {
  step(metric?: number | Tensor): void;
  stateDict(): Record<string, unknown>;
  loadStateDict(state: Record<string, unknown>): void;
  readonly optimizer?: optim.Optimizer;
}

/** A scheduler and when to step it. */
export interface SchedulerOptions {
  /** The scheduler. */
  scheduler: Scheduler;
  /** Whether it is stepped after epochs or after optimizer steps. Default: "epoch". */
  interval?: "epoch" | "step";
  /** How many epochs or steps lie between two of its steps. Default: 1. */
  frequency?: number;
  /** The metric that ReduceLROnPlateau is given. */
  monitor?: string | null;
  /** Whether a missing metric is an error, else a warning. Default: true. */
  strict?: boolean;
  /** The name LearningRateMonitor shows. */
  name?: string | null;
  /** Whether it is stepped with the monitored metric. Default: whether it is a ReduceLROnPlateau. */
  reduceOnPlateau?: boolean;
}

/** An optimizer with its scheduler. */
export interface OptimizerOptions {
  /** The optimizer. */
  optimizer: optim.Optimizer;
  /** Its scheduler, with or without when to step it. Default: none. */
  lrScheduler?: Scheduler | SchedulerOptions;
  /** The metric that a ReduceLROnPlateau is given. */
  monitor?: string;
}

/** One of a kind, or a list of as many as `Count` says; `number` is any number of them. */
export type OneOrSeveral<T, Count extends number, List extends T[] = []> = number extends Count
  ? T[]
  : Count extends 1
    ? T
    : List["length"] extends Count
      ? List
      : OneOrSeveral<T, Count, [...List, T]>;

/** What `configureOptimizers` may return. Several optimizers need manual optimization. */
export type OptimizerConfiguration =
  | optim.Optimizer
  | optim.Optimizer[]
  | [optim.Optimizer[], (Scheduler | SchedulerOptions)[] | Scheduler | SchedulerOptions]
  // what TypeScript infers for such a pair where the method says no type
  | (optim.Optimizer[] | (Scheduler | SchedulerOptions)[])[]
  | OptimizerOptions
  | OptimizerOptions[]
  | null
  | undefined
  | void;

/** A scheduler and when it is stepped, with all defaults. */
export type SchedulerConfig = Required<SchedulerOptions>;

/** A scheduler that is stepped after each epoch. */
export function epochScheduler(scheduler: Scheduler): SchedulerConfig {
  return {
    scheduler,
    interval: "epoch",
    frequency: 1,
    monitor: null,
    strict: true,
    name: null,
    reduceOnPlateau: false,
  };
}

/** What a {@link LightningOptimizer} needs of the run. */
export interface OptimizerRun {
  /** One step, with everything that belongs to it. */
  step(optimizer: optim.Optimizer, closure: (() => unknown) | null): unknown;
  toggle(optimizer: LightningOptimizer): void;
  untoggle(optimizer: LightningOptimizer): void;
  /** Before and after a step in manual optimization: counts it. */
  beforeStep(): void;
  afterStep(): void;
}

/**
 * A user's optimizer in a run: `step` goes through precision and strategy, calls the hooks around an optimizer step,
 * and is counted.
 */
export class LightningOptimizer {
  readonly #run: OptimizerRun;

  constructor(
    /** The user's optimizer itself. */
    readonly optimizer: optim.Optimizer,
    run: OptimizerRun,
  ) {
    this.#run = run;
  }

  get paramGroups(): optim.Optimizer["paramGroups"] {
    return this.optimizer.paramGroups;
  }

  get state(): optim.Optimizer["state"] {
    return this.optimizer.state;
  }

  get defaults(): optim.Optimizer["defaults"] {
    return this.optimizer.defaults;
  }

  /** One optimizer step; `closure`, if there is one, computes loss and gradients first. */
  step(closure?: () => unknown): unknown {
    if (closure !== undefined && typeof closure !== "function") {
      throw new MisconfigurationError("optimizer.step(closure): the closure should be a function.");
    }
    this.#run.beforeStep();
    const result = this.#run.step(this.optimizer, closure ?? null);
    this.#run.afterStep();
    return result;
  }

  zeroGrad(setToNone?: boolean): void {
    if (setToNone === undefined) this.optimizer.zeroGrad();
    else this.optimizer.zeroGrad(setToNone);
  }

  stateDict(): ReturnType<optim.Optimizer["stateDict"]> {
    return this.optimizer.stateDict();
  }

  loadStateDict(state: Parameters<optim.Optimizer["loadStateDict"]>[0]): void {
    this.optimizer.loadStateDict(state);
  }

  addParamGroup(group: Parameters<optim.Optimizer["addParamGroup"]>[0]): void {
    this.optimizer.addParamGroup(group);
  }

  /** Runs a function while only this optimizer's parameters want gradients. */
  toggleModel<T>(run: () => T): T {
    this.#run.toggle(this);
    try {
      return run();
    } finally {
      this.#run.untoggle(this);
    }
  }
}

/** The optimizer itself, behind a {@link LightningOptimizer} or not. */
export function unwrap(optimizer: optim.Optimizer | LightningOptimizer): optim.Optimizer {
  return optimizer instanceof LightningOptimizer ? optimizer.optimizer : optimizer;
}

/** All parameters of an optimizer. */
export function parametersOf(optimizer: optim.Optimizer | LightningOptimizer): nn.Parameter[] {
  return optimizer.paramGroups.flatMap((group) => group.params) as nn.Parameter[];
}

const isOptimizer = (value: unknown): value is optim.Optimizer => {
  const candidate = value as { step?: unknown; paramGroups?: unknown } | null;
  return typeof candidate?.step === "function" && candidate.paramGroups !== undefined;
};

const isOptions = (value: unknown): value is OptimizerOptions =>
  typeof value === "object" && value !== null && !isOptimizer(value) && "optimizer" in value;

const unknownForm =
  "Unknown configuration for model optimizers. configureOptimizers should return one of: an optimizer, a list of optimizers, " +
  "[optimizers, schedulers], { optimizer, lrScheduler?, monitor? }, a list of those, or null.";

/** Reads what `configureOptimizers` returned; checks that it fits the module's way of optimizing. */
export function parseOptimizers(
  configuration: OptimizerConfiguration,
  automatic: boolean,
  customSchedulerStep: boolean,
): { optimizers: optim.Optimizer[]; schedulers: SchedulerConfig[] } {
  let optimizers: optim.Optimizer[];
  let schedulers: (Scheduler | SchedulerOptions)[] = [];
  let monitor: string | null = null;
  if (configuration === null || configuration === undefined) {
    warn("configureOptimizers returned nothing: this fit will run without an optimizer.");
    optimizers = [new NoOptimizer() as unknown as optim.Optimizer];
  } else if (isOptimizer(configuration)) {
    optimizers = [configuration];
  } else if (Array.isArray(configuration)) {
    const [first, second] = configuration as unknown[];
    if (configuration.length === 2 && Array.isArray(first) && first.every(isOptimizer)) {
      optimizers = first;
      schedulers = (Array.isArray(second) ? second : [second]) as SchedulerOptions[];
    } else if (configuration.length > 0 && (configuration as unknown[]).every(isOptions)) {
      const all = configuration as OptimizerOptions[];
      optimizers = all.map((options) => options.optimizer);
      schedulers = all.flatMap((options) => options.lrScheduler ?? []);
    } else if ((configuration as unknown[]).every(isOptimizer)) {
      optimizers = configuration as optim.Optimizer[];
    } else {
      throw new MisconfigurationError(unknownForm);
    }
  } else if (isOptions(configuration)) {
    const extra = Object.keys(configuration).filter(
      (key) => !["optimizer", "lrScheduler", "monitor"].includes(key),
    );
    if (extra.length > 0) warn(`Found unsupported keys in the optimizer configuration: ${extra.join(", ")}.`);
    optimizers = [configuration.optimizer];
    monitor = configuration.monitor ?? null;
    if (configuration.lrScheduler) schedulers = [configuration.lrScheduler];
  } else {
    throw new MisconfigurationError(unknownForm);
  }

  const configs = schedulers.map((scheduler) => parseScheduler(scheduler, monitor, automatic));
  if (automatic && optimizers.length === 0) {
    throw new MisconfigurationError(
      "configureOptimizers returned an empty list of optimizers. Return null to run without one.",
    );
  }
  if (automatic && optimizers.length > 1) {
    throw new MisconfigurationError(
      "Training with multiple optimizers is only supported with manual optimization. Set `automaticOptimization = false` in the " +
        "module, and use the optimizers in trainingStep: `const [a, b] = this.optimizers<2>()`.",
    );
  }
  for (const { scheduler } of configs)
    checkScheduler(scheduler, optimizers, automatic && !customSchedulerStep);
  return { optimizers, schedulers: configs };
}

const schedulerKeys = ["scheduler", "interval", "frequency", "monitor", "strict", "name", "reduceOnPlateau"];

function parseScheduler(
  given: Scheduler | SchedulerOptions,
  monitor: string | null,
  automatic: boolean,
): SchedulerConfig {
  const isConfig = typeof (given as Scheduler).step !== "function";
  const options: SchedulerOptions = isConfig
    ? (given as SchedulerOptions)
    : { scheduler: given as Scheduler };
  if (isConfig) {
    const extra = Object.keys(options).filter((key) => !schedulerKeys.includes(key));
    if (extra.length > 0) warn(`Found unsupported keys in the lr scheduler options: ${extra.join(", ")}.`);
    if (!options.scheduler) {
      throw new MisconfigurationError(
        'The lr scheduler options must have the key "scheduler" with a scheduler.',
      );
    }
  }
  const interval = options.interval ?? "epoch";
  if (interval !== "epoch" && interval !== "step") {
    throw new MisconfigurationError(
      `The "interval" of a lr scheduler must be "step" or "epoch", but is "${interval}".`,
    );
  }
  const frequency = options.frequency ?? 1;
  if (!Number.isInteger(frequency) || frequency < 1) {
    throw new MisconfigurationError(
      `The "frequency" of a lr scheduler must be an integer >= 1, but is ${String(frequency)}.`,
    );
  }
  const onPlateau = options.scheduler instanceof optim.lrScheduler.ReduceLROnPlateau;
  if (
    automatic &&
    options.scheduler instanceof optim.lrScheduler.OneCycleLR &&
    isConfig &&
    interval === "epoch"
  ) {
    warn('A OneCycleLR is stepped after each epoch. Should its interval not be "step"?');
  }
  const ignored = ["reduceOnPlateau", "monitor", "strict"].filter((key) => isConfig && key in options);
  if (!automatic && ignored.length > 0) {
    warn(
      `The lr scheduler options ${ignored.join(", ")} are not looked at in manual optimization, where you step the scheduler.`,
    );
  }
  const config: SchedulerConfig = {
    scheduler: options.scheduler,
    interval,
    frequency,
    monitor: options.monitor ?? (isConfig ? null : monitor),
    strict: options.strict ?? true,
    name: options.name ?? null,
    reduceOnPlateau: automatic && (options.reduceOnPlateau ?? onPlateau),
  };
  if (config.reduceOnPlateau && config.monitor === null) {
    throw new MisconfigurationError(
      "configureOptimizers must include a monitor when a ReduceLROnPlateau scheduler is used, for example " +
        '{ optimizer, lrScheduler: { scheduler, monitor: "val_loss" } }.',
    );
  }
  return config;
}

function checkScheduler(scheduler: Scheduler, optimizers: optim.Optimizer[], needsStep: boolean): void {
  const name = scheduler.constructor.name;
  if (typeof scheduler.stateDict !== "function" || typeof scheduler.loadStateDict !== "function") {
    throw new MisconfigurationError(
      `The lr scheduler ${name} is invalid: it needs the methods stateDict and loadStateDict.`,
    );
  }
  if (scheduler.optimizer && !optimizers.includes(scheduler.optimizer)) {
    throw new MisconfigurationError(
      "Some schedulers are attached to an optimizer that wasn't returned from configureOptimizers.",
    );
  }
  if (needsStep && typeof scheduler.step !== "function") {
    throw new MisconfigurationError(
      `The lr scheduler ${name} has no method step. Override lrSchedulerStep in the module to step it.`,
    );
  }
}

/** Stands in for the optimizer where there is none: only runs the closure. */
export class NoOptimizer {
  readonly paramGroups: { params: nn.Parameter[] }[] = [];
  readonly state = new Map<Tensor, Record<string, unknown>>();
  readonly defaults = {};

  step(closure?: () => unknown): unknown {
    return closure?.();
  }

  zeroGrad(): void {}

  stateDict(): Record<string, unknown> {
    return {};
  }

  loadStateDict(): void {}

  addParamGroup(): void {}
}
