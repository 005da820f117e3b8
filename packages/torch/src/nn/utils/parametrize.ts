/**
 * Parameters that are computed from others whenever they are used.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.parametrize.register_parametrization.html
 */
import { ArgumentError } from "../../errors.js";
import { noGrad } from "../../grad-mode.js";
import { Tensor } from "../../tensor.js";
import { ModuleDict, ModuleList } from "../container.js";
import type { Module } from "../module.js";
import { fieldOf, isBuffer, removeMember, stateNameOf } from "../module-members.js";
import { Parameter } from "../parameter.js";

/** A module that computes a tensor from one tensor, or from several. */
export interface Parametrization extends Module {
  forward(...originals: Tensor[]): Tensor;
  /** What `forward` makes a value of: lets the parametrized tensor be assigned, and begin with the value it had. */
  rightInverse?(value: Tensor): Tensor | Tensor[];
}

type Fields = Record<string, unknown>;

const fields = (module: Module): Fields => module as unknown as Fields;
const sizeText = (tensor: Tensor): string => `[${tensor.shape.join(", ")}]`;

let cacheDepth = 0;
const cache = new Map<ParametrizationList, Tensor>();

/**
 * Runs a synchronous function in which each parametrized tensor is computed once only.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.parametrize.cached.html
 */
export function cached<T>(body: () => T): T {
  cacheDepth++;
  try {
    return body();
  } finally {
    cacheDepth--;
    if (cacheDepth === 0) cache.clear();
  }
}

function refuseChange(what: string, before: Tensor, after: Tensor): void {
  if (before.dtype !== after.dtype) {
    throw new ArgumentError(
      `${what} may not change the dtype of the tensor, unless unsafe is true: it was ${before.dtype} and became ${after.dtype}.`,
    );
  }
  if (sizeText(before) !== sizeText(after)) {
    throw new ArgumentError(
      `${what} may not change the shape of the tensor, unless unsafe is true: it was ${sizeText(before)} and became ${sizeText(after)}.`,
    );
  }
}

function checkTensor(value: unknown, what: string): Tensor {
  if (value instanceof Tensor) return value;
  throw new ArgumentError(
    `${what} must return a Tensor, but returned ${value === null ? "null" : typeof value}.`,
  );
}

function register(module: Module, field: string, tensor: Tensor): void {
  if (tensor instanceof Parameter) module.registerParameter(field, tensor);
  else module.registerBuffer(field, tensor);
}

/**
 * The parametrizations of one tensor, with the tensor (`original`) or tensors (`original0`, ...) it is computed from.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.parametrize.ParametrizationList.html
 */
export class ParametrizationList extends ModuleList<Parametrization> {
  declare readonly original: Tensor | undefined;
  unsafe: boolean;
  /** Whether it is computed from one tensor. */
  readonly isTensor: boolean;
  /** From how many tensors it is computed. */
  readonly ntensors: number;

  constructor(
    modules: readonly Parametrization[],
    original: Tensor,
    { unsafe = false }: { unsafe?: boolean } = {},
  ) {
    if (modules.length === 0) throw new ArgumentError("ParametrizationList requires one or more modules.");
    super(modules);
    this.unsafe = unsafe;
    const before = original.detach();
    const inverted = noGrad(() => inverse(modules, original, () => {}));
    this.isTensor = !Array.isArray(inverted);
    this.ntensors = Array.isArray(inverted) ? inverted.length : 1;
    if (Array.isArray(inverted)) {
      inverted.forEach((part, i) => {
        const { requiresGrad } = original;
        const kept = original instanceof Parameter ? new Parameter(part, { requiresGrad }) : part;
        register(this, `original${i}`, kept);
      });
    } else {
      refuseOther("rightInverse", original, inverted);
      noGrad(() => original.set_(inverted));
      register(this, "original", original);
    }
    if (!unsafe)
      refuseChange("Registering a parametrization", before, checkTensor(this.forward(), "A parametrization"));
  }

  /** The tensors it is computed from. */
  private get originals(): Tensor[] {
    if (this.isTensor) return [this.original as Tensor];
    return Array.from({ length: this.ntensors }, (_, i) => fields(this)[`original${i}`] as Tensor);
  }

  override forward(): Tensor {
    const [first, ...rest] = this as Iterable<Parametrization>;
    let value = (first as Parametrization).forward(...this.originals);
    for (const parametrization of rest) value = parametrization.forward(value);
    return value;
  }

  /** Sets what it is computed from so that the result is a value. */
  rightInverse(value: Tensor): void {
    noGrad(() => {
      const inverted = inverse([...this], value, (name) => {
        throw new ArgumentError(
          `parametrization ${name} does not implement rightInverse: its tensor cannot be set.`,
        );
      });
      const parts = Array.isArray(inverted) ? inverted : [inverted];
      if (Array.isArray(inverted) === this.isTensor || parts.length !== this.ntensors) {
        throw new ArgumentError(
          `rightInverse must return ${this.isTensor ? "a tensor" : `an array of ${this.ntensors} tensors`}, but returned ${Array.isArray(inverted) ? `${parts.length} tensors` : "one tensor"}.`,
        );
      }
      this.originals.forEach((original, i) => {
        const part = parts[i] as Tensor;
        if (original.dtype !== part.dtype) {
          throw new ArgumentError(
            `The tensor returned by rightInverse has dtype ${part.dtype}; it must have ${original.dtype}.`,
          );
        }
        original.set_(part);
      });
    });
  }
}

function refuseOther(what: string, original: Tensor, inverted: Tensor): void {
  if (original.dtype !== inverted.dtype || original.device !== inverted.device) {
    throw new ArgumentError(
      `When ${what} returns one tensor, it may not change its dtype or device: ${original.dtype} on ${original.device} became ${inverted.dtype} on ${inverted.device}.`,
    );
  }
}

/** What a value is made of by parametrizations, the last one first. */
function inverse(
  parametrizations: readonly Parametrization[],
  value: Tensor,
  missing: (name: string) => void,
): Tensor | Tensor[] {
  let result: Tensor | Tensor[] = value;
  for (const parametrization of [...parametrizations].reverse()) {
    if (typeof parametrization.rightInverse === "function") {
      result = parametrization.rightInverse(result as Tensor);
    } else {
      missing(parametrization.constructor.name);
    }
  }
  return result;
}

/** The parametrizations of a module by the name of the tensor, null where there are none. */
function listsOf(module: Module): ModuleDict<ParametrizationList> | null {
  const { parametrizations } = module as { parametrizations?: unknown };
  return parametrizations instanceof ModuleDict
    ? (parametrizations as ModuleDict<ParametrizationList>)
    : null;
}

/** Gives a module a class of its own, derived from the one it has, for its computed fields. */
function injectClass(module: Module): void {
  const base = module.constructor as new () => Module;
  const derived = class extends base {};
  Object.defineProperty(derived, "name", { value: `Parametrized${base.name}` });
  Object.setPrototypeOf(module, derived.prototype);
}

function injectField(module: Module, field: string, key: string): void {
  Object.defineProperty(Object.getPrototypeOf(module), field, {
    configurable: true,
    get(this: Module): Tensor {
      const list = (listsOf(this) as ModuleDict<ParametrizationList>).get(key);
      if (cacheDepth === 0) return list.forward();
      const known = cache.get(list) ?? list.forward();
      cache.set(list, known);
      return known;
    },
    set(this: Module, value: Tensor) {
      (listsOf(this) as ModuleDict<ParametrizationList>).get(key).rightInverse(value);
    },
  });
}

/** Options of {@link registerParametrization}. */
export interface RegisterParametrizationOptions {
  /** Whether the tensor may change shape and type. Default: false. */
  unsafe?: boolean;
}

/**
 * Has a parameter or buffer of a module computed by another module whenever it is used.
 *
 * ```ts
 * class Symmetric extends nn.Module {
 *   override forward(x: Tensor) {
 *     return x.triu().add(x.triu(1).t());
 *   }
 * }
 * const linear = new nn.Linear(3, 3);
 * nn.utils.parametrize.registerParametrization(linear, "weight", new Symmetric());
 * ```
 *
 * @throws ArgumentError where the module has no such tensor, or the parametrization changes its shape or type
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.parametrize.register_parametrization.html
 */
export function registerParametrization<M extends Module>(
  module: M,
  tensorName: string,
  parametrization: Parametrization,
  { unsafe = false }: RegisterParametrizationOptions = {},
): M {
  parametrization.train(module.training);
  const field = fieldOf(module, tensorName);
  const key = stateNameOf(module, field);
  const list = isParametrized(module, tensorName) ? listsOf(module)?.get(key) : undefined;
  if (list !== undefined) {
    if (!unsafe) checkFurther(fields(module)[field] as Tensor, parametrization);
    list.append(parametrization);
    list.unsafe ||= unsafe;
    return module;
  }
  const original = fields(module)[field];
  if (!(original instanceof Parameter) && !(original instanceof Tensor && isBuffer(module, field))) {
    throw new ArgumentError(
      `${module.constructor.name} does not have a parameter, a buffer, or a parametrized element with name "${tensorName}".`,
    );
  }
  const parametrizations = new ParametrizationList([parametrization], original, { unsafe });
  removeMember(module, field);
  if (!isParametrized(module)) {
    injectClass(module);
    fields(module).parametrizations = new ModuleDict<ParametrizationList>();
  }
  injectField(module, field, key);
  listsOf(module)?.set(key, parametrizations);
  return module;
}

/** Refuses a further parametrization of a tensor that would change its shape or type. */
function checkFurther(value: Tensor, parametrization: Parametrization): void {
  const computed = checkTensor(parametrization.forward(value), "A parametrization");
  refuseChange("Registering a parametrization", value, computed);
  if (typeof parametrization.rightInverse !== "function") return;
  refuseChange("rightInverse", value, checkTensor(parametrization.rightInverse(computed), "rightInverse"));
}

/** Whether a module has parametrizations, or one for a certain tensor. */
export function isParametrized(module: Module, tensorName?: string): boolean {
  const lists = listsOf(module);
  if (lists === null) return false;
  return tensorName === undefined
    ? lists.length > 0
    : lists.has(stateNameOf(module, fieldOf(module, tensorName)));
}

/** Options of {@link removeParametrizations}. */
export interface RemoveParametrizationsOptions {
  /** Whether the tensor keeps the value that was computed, instead of the original one. Default: true. */
  leaveParametrized?: boolean;
}

/**
 * Makes a parametrized tensor an ordinary parameter or buffer again.
 *
 * @throws ArgumentError where it has no parametrization, or has several originals and `leaveParametrized` is false
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.parametrize.remove_parametrizations.html
 */
export function removeParametrizations<M extends Module>(
  module: M,
  tensorName: string,
  { leaveParametrized = true }: RemoveParametrizationsOptions = {},
): M {
  const field = fieldOf(module, tensorName);
  const key = stateNameOf(module, field);
  const lists = listsOf(module);
  if (lists === null || !lists.has(key)) {
    throw new ArgumentError(`${module.constructor.name} does not have a parametrization on "${tensorName}".`);
  }
  const list = lists.get(key);
  let original: Tensor;
  if (list.isTensor) {
    original = list.original as Tensor;
    if (leaveParametrized) noGrad(() => original.set_(fields(module)[field] as Tensor));
  } else if (leaveParametrized) {
    const value = fields(module)[field] as Tensor;
    original = value.requiresGrad ? new Parameter(value) : value;
  } else {
    throw new ArgumentError(
      "removeParametrizations: a tensor that is computed from several cannot be left unparametrized: leave out leaveParametrized: false.",
    );
  }
  Reflect.deleteProperty(Object.getPrototypeOf(module), field);
  lists.pop(key);
  if (lists.length === 0) {
    Reflect.deleteProperty(module, "parametrizations");
    Object.setPrototypeOf(module, Object.getPrototypeOf(Object.getPrototypeOf(module)));
  }
  register(module, field, original);
  return module;
}

/** The class of a module as it was before it had parametrizations. */
export function typeBeforeParametrizations(module: Module): new (...args: never[]) => Module {
  const type = isParametrized(module) ? Object.getPrototypeOf(module.constructor) : module.constructor;
  return type as new (
    ...args: never[]
  ) => Module;
}

/** Options of {@link transferParametrizationsAndParams}. */
export interface TransferParametrizationsOptions {
  /** The one tensor that is meant. Default: all that are parametrized. */
  tensorName?: string;
}

/** Gives one module the parametrizations of another, with the tensors they compute from. */
export function transferParametrizationsAndParams<M extends Module>(
  fromModule: Module,
  toModule: M,
  options: TransferParametrizationsOptions = {},
): M {
  const lists = listsOf(fromModule);
  if (lists === null) return toModule;
  const names = options.tensorName === undefined ? [...lists.keys()] : [options.tensorName];
  for (const name of names) {
    const field = fieldOf(toModule, name);
    const from = lists.get(stateNameOf(fromModule, fieldOf(fromModule, name)));
    if (!(field in toModule)) {
      toModule.registerParameter(
        field,
        new Parameter(fields(fromModule)[fieldOf(fromModule, name)] as Tensor),
      );
    }
    for (const parametrization of from) registerParametrization(toModule, name, parametrization);
    const to = (listsOf(toModule) as ModuleDict<ParametrizationList>).get(stateNameOf(toModule, field));
    const originals = from.isTensor
      ? ["original"]
      : Array.from({ length: from.ntensors }, (_, i) => `original${i}`);
    for (const original of originals) fields(to)[original] = fields(from)[original];
  }
  return toModule;
}
