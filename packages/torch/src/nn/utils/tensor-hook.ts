import { ArgumentError } from "../../errors.js";
import type { Tensor } from "../../tensor.js";
import type { Module } from "../module.js";
import { forwardPreHooksOf } from "../module-hooks.js";
import { fieldOf, stateNameOf } from "../module-members.js";
import { isLazy, Parameter } from "../parameter.js";

/** What computes a field of a module from other ones before each `forward`. */
export interface TensorHook {
  /** Whose hook it is, such as `"weightNorm"`. */
  readonly kind: string;
  readonly field: string;
  compute(module: Module): Tensor;
  /** Makes the field an ordinary parameter again. */
  restore(module: Module): void;
}

const computes = Symbol("levin.nn.tensor-hook");

/** The hook of a kind for a field, with its id. */
export function findTensorHook<H extends TensorHook>(
  module: Module,
  kind: string,
  field: string,
): [number, H] | null {
  for (const [id, hook] of forwardPreHooksOf(module)) {
    const found = (hook as { [computes]?: H })[computes];
    if (found?.kind === kind && found.field === field) return [id, found];
  }
  return null;
}

/** The hooks of a kind. */
export function tensorHooks(module: Module, kind: string): TensorHook[] {
  return [...forwardPreHooksOf(module).values()]
    .map((hook) => (hook as { [computes]?: TensorHook })[computes])
    .filter((hook) => hook?.kind === kind) as TensorHook[];
}

/** A parameter that is to become computed, with its field and its key in the state dict. */
export function trainedParameter(
  module: Module,
  kind: string,
  name: string,
): { field: string; key: string; weight: Parameter } {
  const field = fieldOf(module, name);
  if (findTensorHook(module, kind, field) !== null) {
    throw new ArgumentError(
      `${kind}: "${name}" of ${module.constructor.name} has it already; it cannot be applied twice.`,
    );
  }
  const weight = (module as unknown as Record<string, unknown>)[field];
  if (!(weight instanceof Parameter)) {
    throw new ArgumentError(`${kind}: ${module.constructor.name} has no parameter "${name}".`);
  }
  if (isLazy(weight))
    throw new ArgumentError(`${kind}: "${name}" has no shape yet: call the module's forward once before.`);
  return { field, key: stateNameOf(module, field), weight };
}

/** Has a field computed before each `forward`. */
export function addTensorHook(module: Module, hook: TensorHook): void {
  const update = (target: Module): void => {
    Object.assign(target, { [hook.field]: hook.compute(target) });
  };
  module.registerForwardPreHook(Object.assign(update, { [computes]: hook }));
}

/** Takes a hook away and makes the field an ordinary parameter again. */
export function removeTensorHook<M extends Module>(module: M, kind: string, name: string): M {
  const found = findTensorHook(module, kind, fieldOf(module, name));
  if (found === null)
    throw new ArgumentError(`${kind} of "${name}" not found in ${module.constructor.name}.`);
  const [id, hook] = found;
  hook.restore(module);
  forwardPreHooksOf(module).delete(id);
  return module;
}
