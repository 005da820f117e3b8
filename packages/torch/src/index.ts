// for programs whose compiler does not look for the types of Node by itself
/// <reference types="node" preserve="true" />
import { installMethods } from "./operator.js";
import { methodTable } from "./ops.generated.js";
import { installMembers } from "./tensor-members.js";
import { callByName } from "./unsafe-operators.js";

installMethods(methodTable);
installMembers();

/** Operators without a typed function of their own: `ops.call("aten::_softmax", x, 1, false)`. */
export const ops = { call: callByName };

export * as accelerator from "./accelerator.js";
export * as amp from "./amp/index.js";
export {
  autocast,
  clearAutocastCache,
  GradScaler,
  getAutocastDtype,
  isAutocastCacheEnabled,
  isAutocastEnabled,
  setAutocastCacheEnabled,
  setAutocastDtype,
  setAutocastEnabled,
} from "./amp/index.js";
export * as autograd from "./autograd.js";
export {
  isAnomalyCheckNanEnabled,
  isAnomalyEnabled,
  setDetectAnomaly as setAnomalyEnabled,
} from "./autograd.js";
export { backends, type CuDNN } from "./backends.js";
export { Complex, type Scalar } from "./complex.js";
export { cond, whileLoop } from "./control-flow.js";
export * from "./creation.js";
export * as data from "./data/index.js";
export {
  areDeterministicAlgorithmsEnabled,
  type BuildInfo,
  buildInfo,
  cuda,
  type Device,
  getDefaultDevice,
  getNumThreads,
  mps,
  setDefaultDevice,
  setNumThreads,
  useDeterministicAlgorithms,
} from "./device.js";
export * from "./dtype.js";
export * from "./dtype-info.js";
export { ArgumentError, DisposedError, LevinError, OperatorError, type OperatorErrorKind } from "./errors.js";
export { FlopCounterMode } from "./flop-counter.js";
export * as func from "./func/index.js";
export { vmap } from "./func/index.js";
export {
  enableGrad,
  enterInferenceMode,
  inferenceMode,
  isGradEnabled,
  isInferenceModeEnabled,
  noGrad,
  setGradEnabled,
} from "./grad-mode.js";
export { type Index, Slice, slice } from "./indexing.js";
export * from "./indices.js";
export * from "./inspect.js";
export * from "./linear-algebra.js";
export * from "./low-rank.js";
export * as memory from "./memory.js";
export * as metrics from "./metrics/index.js";
export * as nn from "./nn/index.js";
export * from "./ops.generated.js";
export { grads, zeroGrad } from "./ops.js";
export * as optim from "./optim/index.js";
export { getPrintoptions, type PrintOptions, setPrintoptions } from "./printing.js";
export * as profiler from "./profiler/index.js";
export { chooseQparamsOptimized } from "./quantization.js";
export * from "./random.js";
export * as random from "./random.js";
export * as serialization from "./serialization/index.js";
export { getStorage, load, save } from "./serialization/index.js";
export * from "./settings.js";
export * from "./shapes.js";
export * as sparse from "./sparse.js";
export * from "./sparse-creation.js";
export { type StftOptions, stft } from "./spectral.js";
export { type BackwardOptions, type RemovableHandle, Tensor, type ToOptions } from "./tensor.js";
export { receive, type SharedTensor, share } from "./threads.js";
export * from "./unique.js";
export * as utils from "./utils/index.js";
export type { NestedArray, TypedArray } from "./values.js";
