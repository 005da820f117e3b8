/**
 * Helpers over the parameters of networks.
 *
 * @see https://docs.pytorch.org/docs/stable/nn.html#utilities
 */
export { deepCopy } from "../deep-copy.js";
export {
  type ClipGradNormOptions,
  clipGradNorm_,
  clipGradsWithNorm_,
  clipGradValue_,
  getTotalNorm,
  type TotalNormOptions,
} from "./clip-grad.js";
export { parametersToVector, vectorToParameters } from "./convert-parameters.js";
export {
  type FuseConvOptions,
  fuseConvBnEval,
  fuseConvBnWeights,
  fuseLinearBnEval,
  fuseLinearBnWeights,
} from "./fusion.js";
export { convertConv2dWeightMemoryFormat, convertConv3dWeightMemoryFormat } from "./memory-format.js";
export * as parametrizations from "./parametrizations.js";
export * as parametrize from "./parametrize.js";
export * as prune from "./prune.js";
export * as rnn from "./rnn.js";
export { skipInit } from "./skip-init.js";
export { removeSpectralNorm, spectralNorm } from "./spectral-norm.js";
export * as stateless from "./stateless.js";
export { type RemoveNormOptions, removeWeightNorm, weightNorm } from "./weight-norm.js";
