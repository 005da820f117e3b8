import { call, installMethods } from "./operator.js";
import { methodTable } from "./ops.generated.js";

installMethods(methodTable);

/** Operators without a typed function of their own: `ops.call("aten::_softmax", x, 1, false)`. */
export const ops = { call };

export * as amp from "./amp/index.js";
export * as autograd from "./autograd.js";
export { Complex, type Scalar } from "./complex.js";
export * from "./device.js";
export * from "./dtype.js";
export { ArgumentError, DisposedError, LevinError, OperatorError, type OperatorErrorKind } from "./errors.js";
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
export * as memory from "./memory.js";
export * from "./ops.generated.js";
export { fromTypedArray, full, grads, type TensorData, type TensorOptions, tensor, viewStorage, zeroGrad } from "./ops.js";
export * from "./random.js";
export { type BackwardOptions, type RemovableHandle, Tensor, type ToOptions } from "./tensor.js";
export { receive, type SharedTensor, share } from "./threads.js";
export type { NestedArray, TypedArray } from "./values.js";
