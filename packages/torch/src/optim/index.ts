export { Adadelta, type AdadeltaOptions } from "./adadelta.js";
export { Adafactor, type AdafactorOptions } from "./adafactor.js";
export { Adagrad, type AdagradOptions } from "./adagrad.js";
export { Adam, type AdamOptions } from "./adam.js";
export { Adamax, type AdamaxOptions } from "./adamax.js";
export { AdamW, type AdamWOptions } from "./adamw.js";
export { ASGD, type ASGDOptions } from "./asgd.js";
export {
  type OptimizerLoadStateDictPostHook,
  type OptimizerLoadStateDictPreHook,
  type OptimizerStateDictPostHook,
  type OptimizerStateDictPreHook,
  registerOptimizerStepPostHook,
  registerOptimizerStepPreHook,
  type StepPostHook,
  type StepPreHook,
} from "./hooks.js";
export type { CapturableOptions, ForeachOptions, FusedOptions } from "./implementation.js";
export type { Kind } from "./kinds.js";
export { LBFGS, type LBFGSOptions } from "./lbfgs.js";
export * as lrScheduler from "./lr-scheduler/index.js";
export { type AdjustLrFn, Muon, type MuonOptions } from "./muon.js";
export { NAdam, type NAdamOptions } from "./nadam.js";
export { type Closure, type Loss, Optimizer } from "./optimizer.js";
export type { AnyOptions, NamedParameter, ParamGroup, ParamGroupInput, Params } from "./param-group.js";
export { RAdam, type RAdamOptions } from "./radam.js";
export { RMSprop, type RMSpropOptions } from "./rmsprop.js";
export { Rprop, type RpropOptions } from "./rprop.js";
export { SGD, type SGDOptions } from "./sgd.js";
export { SparseAdam, type SparseAdamOptions } from "./sparse-adam.js";
export type { OptimizerStateDict, ParameterState } from "./state-dict.js";
export * as swaUtils from "./swa-utils/index.js";
