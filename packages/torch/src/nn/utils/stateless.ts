/** Calling a module with other parameters than its own. */
import { ArgumentError } from "../../errors.js";
import type { Tensor } from "../../tensor.js";
import type { Module } from "../module.js";
import { setMember } from "../module-members.js";

/** Options of {@link functionalCall}. */
export interface FunctionalCallOptions {
  /** Whether a tensor given for one name of a shared parameter stands for its other names, too. Default: true. */
  tieWeights?: boolean;
  /** Whether all parameters and buffers must be given, and no others. Default: false. */
  strict?: boolean;
}

/** All parameters and buffers, also those that have several names. */
function namedTensors(module: Module): Map<string, Tensor> {
  const options = { removeDuplicate: false };
  return new Map<string, Tensor>([...module.namedParameters(options), ...module.namedBuffers(options)]);
}

/** The tensors given, also under the other names of those they stand for. */
function withTiedNames(
  own: ReadonlyMap<string, Tensor>,
  given: Readonly<Record<string, Tensor>>,
): Record<string, Tensor> {
  const names = new Map<Tensor, string[]>();
  for (const [name, tensor] of own) names.set(tensor, [...(names.get(tensor) ?? []), name]);
  const all = { ...given };
  for (const tied of names.values()) {
    const values = new Set(tied.filter((name) => name in given).map((name) => given[name] as Tensor));
    if (values.size > 1) {
      throw new ArgumentError(
        `functionalCall got multiple values for keys ${tied.join(", ")}, which are tied. Consider using tieWeights: false.`,
      );
    }
    for (const value of values) for (const name of tied) all[name] = value;
  }
  return all;
}

function checkKeys(
  module: Module,
  own: ReadonlyMap<string, Tensor>,
  given: Readonly<Record<string, Tensor>>,
): void {
  const missing = [...own.keys()].filter((name) => !(name in given));
  const unexpected = Object.keys(given).filter((name) => !own.has(name));
  if (missing.length + unexpected.length === 0) return;
  const lines = [
    ...(unexpected.length > 0 ? [`Unexpected key(s): ${unexpected.join(", ")}.`] : []),
    ...(missing.length > 0 ? [`Missing key(s): ${missing.join(", ")}.`] : []),
  ];
  throw new ArgumentError(
    `Error(s) in reparametrizing for ${module.constructor.name}:\n\t${lines.join("\n\t")}`,
  );
}

/** Puts tensors into a module, by name. */
function put(module: Module, tensors: Readonly<Record<string, Tensor>>): void {
  for (const [name, tensor] of Object.entries(tensors)) {
    const dot = name.lastIndexOf(".");
    setMember(module.getSubmodule(name.slice(0, Math.max(dot, 0))), name.slice(dot + 1), tensor);
  }
}

/**
 * Calls a module with other parameters and buffers in the place of its own; those that are not given stay, and names that
 * it does not have are passed over.
 *
 * ```ts
 * const weights = { weight: torch.ones([1, 3], { requiresGrad: true }) };
 * functionalCall(new nn.Linear(3, 1), weights, x).backward(); // the gradient is that of weights.weight
 * ```
 *
 * @param args the argument of `forward`, or an array of all
 * @throws ArgumentError as `strict` and `tieWeights` say
 * @see https://docs.pytorch.org/docs/stable/generated/torch.func.functional_call.html
 */
export function functionalCall<M extends Module>(
  module: M,
  parametersAndBuffers: Readonly<Record<string, Tensor>>,
  args: unknown = [],
  { tieWeights = true, strict = false }: FunctionalCallOptions = {},
): ReturnType<M["forward"]> {
  const own = namedTensors(module);
  const given = tieWeights ? withTiedNames(own, parametersAndBuffers) : parametersAndBuffers;
  if (strict) checkKeys(module, own, given);
  const known = Object.entries(given).filter(([name]) => own.has(name));
  const before = known.map(([name]) => [name, own.get(name) as Tensor]);
  put(module, Object.fromEntries(known));
  try {
    const forward = module.forward as (...args: unknown[]) => ReturnType<M["forward"]>;
    return forward.apply(module, Array.isArray(args) ? args : [args]);
  } finally {
    put(module, Object.fromEntries(before));
  }
}
