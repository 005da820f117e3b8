/**
 * Functions that make functions: batched ones and derivatives, to be combined freely.
 *
 * @see https://pytorch.org/docs/stable/func.html
 */

export { type FunctionalCallOptions, functionalCall } from "../nn/utils/stateless.js";
export {
  type Argnums,
  grad,
  gradAndValue,
  hessian,
  type JacobianTransformOptions,
  jacfwd,
  jacrev,
  jvp,
  linearize,
  type TransformOptions,
  type VjpFunction,
  vjp,
} from "./derivatives.js";
export type { Randomness } from "./layer.js";
export { type NamedTensors, replaceAllBatchNormModules_, stackModuleState } from "./modules.js";
export type { Tree } from "./tree.js";
export { type Dims, type VmapOptions, vmap } from "./vmap.js";
