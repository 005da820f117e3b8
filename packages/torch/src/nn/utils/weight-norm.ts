/** Weight normalisation by a hook, the older form of the parametrization. */
import * as ops from "../../ops.js";
import type { Tensor } from "../../tensor.js";
import type { Module } from "../module.js";
import { removeMember } from "../module-members.js";
import { Parameter } from "../parameter.js";
import type { WeightNormOptions } from "./parametrizations.js";
import { addTensorHook, removeTensorHook, trainedParameter } from "./tensor-hook.js";

/** Options of {@link removeWeightNorm} and {@link removeSpectralNorm}. */
export interface RemoveNormOptions {
  /** The parameter. Default: `"weight"`. */
  name?: string;
}

/**
 * Splits a weight into its length (`weight_g`) and its direction (`weight_v`), from which it is computed before each
 * `forward`; {@link parametrizations.weightNorm} does the same and is to be preferred.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.weight_norm.html
 */
export function weightNorm<M extends Module>(module: M, options: WeightNormOptions = {}): M {
  const { field, key, weight } = trainedParameter(module, "weightNorm", options.name ?? "weight");
  const dim = options.dim === undefined ? 0 : (options.dim ?? -1);
  removeMember(module, field);
  const length = new Parameter(ops.normExceptDim(weight, 2, dim));
  module.registerParameter(`${field}G`, length, { stateName: `${key}_g` });
  module.registerParameter(`${field}V`, new Parameter(weight.data), { stateName: `${key}_v` });
  const compute = (target: Module): Tensor => {
    const fields = target as unknown as Record<string, Tensor>;
    return ops.call("aten::_weight_norm", fields[`${field}V`], fields[`${field}G`], dim) as Tensor;
  };
  Object.assign(module, { [field]: compute(module) });
  addTensorHook(module, {
    kind: "weightNorm",
    field,
    compute,
    restore(target) {
      const value = compute(target);
      for (const suffix of ["", "G", "V"]) removeMember(target, field + suffix);
      target.registerParameter(field, new Parameter(value));
    },
  });
  return module;
}

/**
 * Makes a weight an ordinary parameter again, with the value it has.
 *
 * @throws ArgumentError where {@link weightNorm} has not been applied to it
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.remove_weight_norm.html
 */
export function removeWeightNorm<M extends Module>(
  module: M,
  { name = "weight" }: RemoveNormOptions = {},
): M {
  return removeTensorHook(module, "weightNorm", name);
}
