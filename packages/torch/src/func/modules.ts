import { ArgumentError } from "../errors.js";
import type { Module } from "../nn/module.js";
import { BatchNorm1d, BatchNorm2d, BatchNorm3d } from "../nn/norm.js";
import { stack } from "../ops.generated.js";
import type { Tensor } from "../tensor.js";

/** Tensors by their names in a module. */
export type NamedTensors = Record<string, Tensor>;

/**
 * The parameters and buffers of several modules of one kind, those of each name stacked along a new first dimension: for
 * {@link vmap} over `functionalCall`, which runs them all at once.
 *
 * ```ts
 * const [parameters, buffers] = func.stackModuleState(models);
 * const outputs = func.vmap((p, b, x) => func.functionalCall(models[0], { ...p, ...b }, x), { inDims: [0, 0, null] })(parameters, buffers, x);
 * ```
 *
 * @throws ArgumentError where the modules are of different classes or modes
 * @see https://pytorch.org/docs/stable/generated/torch.func.stack_module_state.html
 */
export function stackModuleState(
  models: readonly Module[],
): [parameters: NamedTensors, buffers: NamedTensors] {
  const [first] = models;
  if (first === undefined) throw new ArgumentError("stackModuleState: at least one module is required");
  if (models.some((model) => model.training !== first.training || model.constructor !== first.constructor)) {
    throw new ArgumentError(
      "stackModuleState: the modules must be of one class, and all be training or none",
    );
  }
  const stacked = (tensorsOf: (model: Module) => Iterable<[string, Tensor]>): NamedTensors => {
    const lists = models.map((model) => Object.fromEntries(tensorsOf(model)));
    const entries = Object.entries(lists[0] as NamedTensors).map(([name, tensor]): [string, Tensor] => {
      const all = stack(lists.map((list) => (list[name] as Tensor).detach()));
      return [name, tensor.requiresGrad ? all.requiresGrad_() : all];
    });
    return Object.fromEntries(entries);
  };
  return [stacked((model) => model.namedParameters()), stacked((model) => model.namedBuffers())];
}

/**
 * Makes the batch normalisations of a module forget their running statistics, which cannot be changed inside {@link vmap}.
 *
 * @returns the module
 * @see https://pytorch.org/docs/stable/generated/torch.func.replace_all_batch_norm_modules_.html
 */
export function replaceAllBatchNormModules_<M extends Module>(root: M): M {
  for (const module of root.modules()) {
    if (!(module instanceof BatchNorm1d || module instanceof BatchNorm2d || module instanceof BatchNorm3d))
      continue;
    Object.assign(module, {
      runningMean: null,
      runningVar: null,
      numBatchesTracked: null,
      trackRunningStats: false,
    });
  }
  return root;
}
