/** State dicts: their types, and how a module takes its values from one. */
import { noGrad } from "../grad-mode.js";
import { Tensor } from "../tensor.js";
import type { Module } from "./module.js";
import { describe, internals, ownModules, setMember } from "./module-members.js";
import { isLazy, Parameter } from "./parameter.js";

/** The values of a module by name, in PyTorch's order. */
export type StateDict = Record<string, Tensor>;

/** The keys of a state dict that did not fit. */
export interface IncompatibleKeys {
  /** Keys the module has and the dict has not. */
  missingKeys: string[];
  /** Keys the dict has and the module has not. */
  unexpectedKeys: string[];
}

/** Options of {@link Module.stateDict}. */
export interface StateDictOptions {
  /** Put before each key. */
  prefix?: string;
  /** Whether the parameters themselves are listed, instead of detached views. Default: false. */
  keepVars?: boolean;
  /** Receives the entries, instead of a new object. */
  destination?: StateDict;
}

/** Options of {@link Module.loadStateDict}. */
export interface LoadStateDictOptions {
  /** Whether missing and unexpected keys are an error. Default: true. */
  strict?: boolean;
  /** Whether the dict's tensors become the module's, instead of their values being copied. Default: false. */
  assign?: boolean;
}

/** What one `loadStateDict` is about. */
export interface LoadTask {
  readonly strict: boolean;
  readonly assign: boolean;
  readonly result: IncompatibleKeys;
  readonly errors: string[];
}

export function loadInto(module: Module, dict: StateDict, prefix: string, task: LoadTask): void {
  // The method is protected for users, who only override it.
  (
    module as unknown as { loadFromStateDict(dict: StateDict, prefix: string, task: LoadTask): void }
  ).loadFromStateDict(dict, prefix, task);
  for (const [key, child] of ownModules(module)) loadInto(child, dict, `${prefix}${key}.`, task);
  for (const hook of module[internals].hooks?.loadPost.values() ?? []) hook(module, task.result);
}

export function loadTensor(
  module: Module,
  key: string,
  name: string,
  target: Tensor,
  given: Tensor,
  assign: boolean,
  errors: string[],
): void {
  if (!(given instanceof Tensor)) {
    errors.push(
      `While copying the parameter named "${name}", expected torch.Tensor or Tensor-like object from checkpoint but received ${describe(given)}.`,
    );
    return;
  }
  if (isLazy(target)) {
    if (isLazy(given)) return;
    noGrad(() => target.materialize(given.shape));
  }
  const shape = target.shape;
  let source = given;
  // PyTorch 0.3 kept scalars as vectors of one element.
  if (shape.length === 0 && given.shape.length === 1 && given.shape[0] === 1) source = given.reshape([]);
  if (!sameShape(source.shape, shape)) {
    errors.push(
      `size mismatch for ${name}: copying a param with shape ${sizeRepr(source.shape)} from checkpoint, the shape in current model is ${sizeRepr(shape)}.`,
    );
    return;
  }
  try {
    if (assign) {
      const { requiresGrad } = target;
      setMember(module, key, target instanceof Parameter ? new Parameter(source, { requiresGrad }) : source);
    } else {
      noGrad(() => target.copy_(source));
    }
  } catch (error) {
    errors.push(
      `While copying the parameter named "${name}", whose dimensions in the model are ${sizeRepr(shape)} and whose dimensions in the checkpoint are ${sizeRepr(source.shape)}, an exception occurred: ${error instanceof Error ? error.message : String(error)}.`,
    );
  }
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, i) => size === b[i]);
}

function sizeRepr(shape: readonly number[]): string {
  return `torch.Size([${shape.join(", ")}])`;
}
