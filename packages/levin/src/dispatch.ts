import type { Callback } from "./callback.js";
import { Callback as CallbackBase } from "./callback.js";
import type { LightningDataModule } from "./data-module.js";
import { MisconfigurationError } from "./errors.js";
import { attachment, type LightningModule, LightningModule as ModuleBase } from "./module.js";
import { type Recorder, record, recordIf, snakeCase } from "./profilers/recorder.js";
import type { Strategy } from "./strategies/strategy.js";
import { isThenable, mustBeSync } from "./thenable.js";
import type { Trainer } from "./trainer.js";

/** The hooks that are dispatched to callbacks, the module and the strategy, in this order. */
const hookNames = [
  "setup",
  "teardown",
  "onFitStart",
  "onFitEnd",
  "onSanityCheckStart",
  "onSanityCheckEnd",
  "onTrainStart",
  "onTrainEnd",
  "onTrainEpochStart",
  "onTrainEpochEnd",
  "onTrainBatchStart",
  "onTrainBatchEnd",
  "onValidationStart",
  "onValidationEnd",
  "onValidationEpochStart",
  "onValidationEpochEnd",
  "onValidationBatchStart",
  "onValidationBatchEnd",
  "onTestStart",
  "onTestEnd",
  "onTestEpochStart",
  "onTestEpochEnd",
  "onTestBatchStart",
  "onTestBatchEnd",
  "onPredictStart",
  "onPredictEnd",
  "onPredictEpochStart",
  "onPredictEpochEnd",
  "onPredictBatchStart",
  "onPredictBatchEnd",
  "onBeforeZeroGrad",
  "onBeforeBackward",
  "onAfterBackward",
  "onBeforeOptimizerStep",
  "onException",
] as const;

/** The name of a hook that is dispatched. */
export type HookName = (typeof hookNames)[number];

type Method = (...args: unknown[]) => unknown;

/** One who implements a hook: an object with a method of its name. */
type Implementer = Record<string, Method>;

/** Who implements one hook in this run. */
export interface Hook {
  readonly name: HookName;
  /** Whether anybody implements it. */
  readonly used: boolean;
  readonly trainer: Trainer;
  readonly module: LightningModule;
  readonly callbacks: readonly Implementer[];
  /** The module (or who records what it does), if it implements the hook. */
  readonly owner: Implementer | null;
  /** Callbacks that run after the module, to see what it logged. */
  readonly lateCallbacks: readonly Implementer[];
  readonly strategy: Implementer | null;
}

/** Who implements which hook in this run. */
export type HookTable = Readonly<Record<HookName, Hook>>;

/** Whether an object has a method other than the one of the base class. */
export function isOverridden(object: object, name: string, base: { prototype: object }): boolean {
  const method = (object as Record<string, unknown>)[name];
  return typeof method === "function" && method !== (base.prototype as Record<string, unknown>)[name];
}

/**
 * Looks up, once for a run, who implements each hook; a hook that nobody overrides then costs nothing. Where actions are recorded, all of
 * them are called, to be recorded.
 */
export function makeHookTable(
  trainer: Trainer,
  module: LightningModule,
  strategy: Strategy,
  recorder: Recorder | null = null,
): HookTable {
  const table = {} as Record<HookName, Hook>;
  for (const name of hookNames) {
    const recorded = (who: object, label: string): Implementer =>
      recorder ? recordedImplementer(who, name, label, recorder) : (who as Implementer);
    const calls = (who: object, base: { prototype: object }) =>
      recorder !== null || isOverridden(who, name, base);
    const wrap = (callback: Callback) => recorded(callback, `[Callback]${callback.stateKey}`);
    const called = trainer.callbacks.filter((callback) => calls(callback, CallbackBase));
    const isLate = (callback: Callback) => name === "onTrainEpochEnd" && callback.monitors;
    const onModule = hasMethod(ModuleBase.prototype, name)
      ? calls(module, ModuleBase)
      : hasMethod(module, name);
    const inStrategy = isStrategyHook(name) && (recorder !== null || hasMethod(strategy, name));
    table[name] = {
      name,
      used: called.length > 0 || onModule || inStrategy,
      trainer,
      module,
      callbacks: called.filter((callback) => !isLate(callback)).map(wrap),
      owner: onModule ? recorded(module, `[LightningModule]${module.constructor.name}`) : null,
      lateCallbacks: called.filter(isLate).map(wrap),
      strategy: inStrategy ? recorded(strategy, `[Strategy]${strategy.constructor.name}`) : null,
    };
  }
  return table;
}

function hasMethod(who: object, name: string): boolean {
  return typeof (who as Record<string, unknown>)[name] === "function";
}

/** Whether strategies are told of a hook. */
function isStrategyHook(name: HookName): boolean {
  return /^on(Train|Validation|Test|Predict)(Start|End)$|^onTrainBatchStart$|^onException$/.test(name);
}

function recordedImplementer(who: object, name: string, label: string, recorder: Recorder): Implementer {
  const method = (who as Partial<Implementer>)[name];
  const action = `${label}.${snakeCase(name)}`;
  return { [name]: (...args) => record(recorder, action, () => method?.apply(who, args)) };
}

/**
 * Calls a hook: callbacks first, then the module, then the strategy. Gives back what the module's returned, or, as
 * soon as one of them returns a promise, a promise of it.
 */
export function dispatch(hook: Hook, ...args: unknown[]): unknown {
  if (!hook.used) return undefined;
  const { name, trainer, module, callbacks } = hook;
  const attached = module[attachment];
  const outer = attached.currentHook;
  attached.currentHook = name;
  for (let i = 0; i < callbacks.length; i++) {
    const pending = callbacks[i]![name]!(trainer, module, ...args);
    if (isThenable(pending)) return dispatchFrom(hook, outer, args, i, pending);
  }
  let result: unknown;
  if (hook.owner) {
    result = hook.owner[name]!(...args);
    if (isThenable(result)) return dispatchFrom(hook, outer, args, callbacks.length, result);
  }
  for (let i = 0; i < hook.lateCallbacks.length; i++) {
    const pending = hook.lateCallbacks[i]![name]!(trainer, module, ...args);
    if (isThenable(pending))
      return dispatchFrom(hook, outer, args, callbacks.length + 1 + i, pending, result);
  }
  if (hook.strategy) hook.strategy[name]!(...args);
  attached.currentHook = outer;
  return result;
}

/** The rest of {@link dispatch} when the implementer at `position` returned a promise. */
async function dispatchFrom(
  hook: Hook,
  outer: string | null,
  args: unknown[],
  position: number,
  pending: PromiseLike<unknown>,
  before?: unknown,
): Promise<unknown> {
  const { name, trainer, module, callbacks, lateCallbacks } = hook;
  const call = (callback: Implementer) => callback[name]!(trainer, module, ...args);
  const settled = await pending;
  let result = position === callbacks.length ? settled : before;
  for (const callback of callbacks.slice(position + 1)) await call(callback);
  if (hook.owner && position < callbacks.length) {
    result = await hook.owner[name]!(...args);
  }
  for (const callback of lateCallbacks.slice(Math.max(0, position - callbacks.length))) await call(callback);
  if (hook.strategy) hook.strategy[name]!(...args);
  module[attachment].currentHook = outer;
  return result;
}

/** {@link dispatch} for the hooks that run inside the optimizer step, where nothing can be awaited. */
export function dispatchSync(hook: Hook, ...args: unknown[]): void {
  const result = dispatch(hook, ...args);
  if (isThenable(result)) throw asynchronousHook(hook.name);
}

/** Runs a function as part of a hook, so that `log` knows where it is. */
export function withHook<T>(module: LightningModule, name: string, call: () => T): T {
  const attached = module[attachment];
  const outer = attached.currentHook;
  attached.currentHook = name;
  const result = call();
  attached.currentHook = outer;
  return result;
}

/** Calls a method of the module as a hook of its own. */
export function callModule<T>(module: LightningModule, name: string, call: () => T): T {
  const { recorder } = module[attachment];
  if (recorder === null) return withHook(module, name, call);
  return record(recorder, actionOf(module, name), () => withHook(module, name, call));
}

/** {@link callModule} for hooks that nothing can wait for. */
export function callModuleSync<T>(module: LightningModule, name: string, call: () => T | PromiseLike<T>): T {
  return mustBeSync(callModule(module, name, call), name);
}

/** {@link callModule} for hooks that may be asynchronous. */
export async function awaitModule<T>(
  module: LightningModule,
  name: string,
  call: () => T | PromiseLike<T>,
): Promise<T> {
  const attached = module[attachment];
  const outer = attached.currentHook;
  attached.currentHook = name;
  const { recorder } = attached;
  const result = await (recorder ? record(recorder, actionOf(module, name), call) : call());
  attached.currentHook = outer;
  return result;
}

function actionOf(module: LightningModule, name: string): string {
  return `[LightningModule]${module.constructor.name}.${snakeCase(name)}`;
}

/** Calls a method of a data module, and tells a recorder of it. */
export function callDataModule<T>(
  recorder: Recorder | null,
  datamodule: LightningDataModule,
  name: string,
  call: () => T,
): T {
  return recordIf(recorder, `[LightningDataModule]${datamodule.constructor.name}.${snakeCase(name)}`, call);
}

/** The error for a hook that returned a promise where none can be awaited. */
export function asynchronousHook(name: string): MisconfigurationError {
  return new MisconfigurationError(
    `${name} returned a promise, but it runs inside the optimizer step, which is synchronous. Make it a synchronous ` +
      "function, or do the asynchronous work in onTrainBatchStart or onTrainBatchEnd.",
  );
}
