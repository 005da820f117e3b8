import type { RemovableHandle } from "../tensor.js";
import type { Closure, Optimizer } from "./optimizer.js";
import type { OptimizerStateDict } from "./state-dict.js";

/** Is called before a step; what it returns, if anything, is the step's closure. */
export type StepPreHook = (optimizer: Optimizer, closure: Closure | undefined) => Closure | undefined | void;

/** Is called after a step. */
export type StepPostHook = (optimizer: Optimizer, closure: Closure | undefined) => void;

/** Is called before the state is put together. */
export type OptimizerStateDictPreHook = (optimizer: Optimizer) => void;

/** Is called with the state, which it may change; what it returns, if anything, takes its place. */
export type OptimizerStateDictPostHook = (
  optimizer: Optimizer,
  stateDict: OptimizerStateDict,
) => OptimizerStateDict | undefined | void;

/** Is called with a shallow copy of a state before it is loaded; what it returns, if anything, is loaded instead. */
export type OptimizerLoadStateDictPreHook = OptimizerStateDictPostHook;

/** Is called after a state was loaded. */
export type OptimizerLoadStateDictPostHook = (optimizer: Optimizer) => void;

/** The hooks of all optimizers. */
export const globalPreHooks = new Set<StepPreHook>();
export const globalPostHooks = new Set<StepPostHook>();

/** Calls a function before each step of every optimizer. */
export function registerOptimizerStepPreHook(hook: StepPreHook): RemovableHandle {
  return addHook(globalPreHooks, hook);
}

/** Calls a function after each step of every optimizer. */
export function registerOptimizerStepPostHook(hook: StepPostHook): RemovableHandle {
  return addHook(globalPostHooks, hook);
}

/** Adds a hook at the end, or with `prepend` at the beginning. */
export function addHook<H>(hooks: Set<H>, hook: H, prepend = false): RemovableHandle {
  // a function of its own, so that the same one can be registered twice
  const own = ((...args: unknown[]) => (hook as (...args: unknown[]) => unknown)(...args)) as H;
  const others = prepend ? [...hooks] : [];
  if (prepend) hooks.clear();
  hooks.add(own);
  for (const other of others) hooks.add(other);
  return { remove: () => void hooks.delete(own) };
}
