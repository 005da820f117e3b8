import { Function as AutogradFunction } from "../autograd.js";
import type { Device } from "../device.js";
import type { DType } from "../dtype.js";
import { isFloatingPointDType } from "../dtype.js";
import { ArgumentError } from "../errors.js";
import { noGrad } from "../grad-mode.js";
import * as ops from "../ops.js";
import { Tensor } from "../tensor.js";
import { zeroGrad } from "../autograd.js";
import { Parameter } from "./parameter.js";

/** What every registration of a hook returns: `remove()` takes the hook away again. */
export interface RemovableHandle {
  remove(): void;
}

/** Called before `forward` with its arguments; may return other arguments (one value, or an array of all). */
export type ForwardPreHook = (module: Module, args: unknown[]) => unknown;
/** Called after `forward`; may return another output. */
export type ForwardHook = (module: Module, args: unknown[], output: unknown) => unknown;
/** Called with the gradients of the outputs before those of the inputs are computed; may return others. */
export type FullBackwardPreHook = (
  module: Module,
  gradOutput: (Tensor | null)[],
) => (Tensor | null)[] | Tensor | undefined;
/** Called when the gradients of the inputs are computed; may return other ones for the inputs. */
export type FullBackwardHook = (
  module: Module,
  gradInput: (Tensor | null)[],
  gradOutput: (Tensor | null)[],
) => (Tensor | null)[] | Tensor | undefined;
/** Called by `stateDict` before it collects. */
export type StateDictPreHook = (module: Module, prefix: string, keepVars: boolean) => void;
/** Called by `stateDict` with what it collected of the module and its children; may change it in place. */
export type StateDictPostHook = (module: Module, stateDict: StateDict, prefix: string) => void;
/** Called before a module takes its values from a state dict; may change the (copied) dict in place. */
export type LoadStateDictPreHook = (module: Module, stateDict: StateDict, prefix: string, strict: boolean) => void;
/** Called when a module has taken its values; may change the lists of keys in place. */
export type LoadStateDictPostHook = (module: Module, incompatibleKeys: IncompatibleKeys) => void;

/** The values of a module by name, in PyTorch's order. */
export type StateDict = Record<string, Tensor>;

/** The keys of a state dict that did not fit. */
export interface IncompatibleKeys {
  /** Keys the module has and the dict has not. */
  missingKeys: string[];
  /** Keys the dict has and the module has not. */
  unexpectedKeys: string[];
}

/** Options of {@link Module.to}. */
export interface ModuleToOptions {
  /** A floating point or complex type; integer parameters and buffers keep theirs. */
  dtype?: DType;
  /** Where all parameters and buffers go. */
  device?: Device;
  /** Whether the copies may run behind the host's back, where the memory is pinned. */
  nonBlocking?: boolean;
}

/** Options of the listings by name. */
export interface NamedOptions {
  /** Put before each name. */
  prefix?: string;
  /** Whether submodules are listed too. Default: true. */
  recurse?: boolean;
  /** Whether what appears under several names is listed once only. Default: true. */
  removeDuplicate?: boolean;
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

/** Options of the hook registrations of `forward`. */
export interface ForwardHookOptions {
  /** Whether the hook comes before those that are there already. Default: false. */
  prepend?: boolean;
  /** Whether the hook is called when `forward` threw, too. Default: false. */
  alwaysCall?: boolean;
}

type HookList<H> = Map<number, H>;

/** What a module keeps that is not one of its fields. */
interface Internals {
  /** Field name of each buffer -> whether it belongs to the state dict. */
  readonly buffers: Map<string, boolean>;
  /** Members that are not fields: the items of a container, by key. */
  items: Map<string, Module | Parameter | null> | null;
  hooks: Hooks | null;
}

interface Hooks {
  readonly forwardPre: HookList<ForwardPreHook>;
  readonly forward: HookList<ForwardHook>;
  readonly alwaysCalled: Set<number>;
  readonly backwardPre: HookList<FullBackwardPreHook>;
  readonly backward: HookList<FullBackwardHook>;
  readonly statePre: HookList<StateDictPreHook>;
  readonly statePost: HookList<StateDictPostHook>;
  readonly loadPre: HookList<LoadStateDictPreHook>;
  readonly loadPost: HookList<LoadStateDictPostHook>;
}

/** The key of a module's {@link Internals}; a symbol, so that listings of fields pass over it. */
const internals = Symbol("levin.nn.internals");

let nextHookId = 0;

/**
 * The base of all networks and layers.
 *
 * Submodules and parameters are the fields that hold a {@link Module} or a {@link Parameter}, in the order of their
 * assignment. Write `forward` and call it: `net.forward(x)`.
 *
 * ```ts
 * class Net extends nn.Module {
 *   hidden = new nn.Linear(784, 256);
 *   out = new nn.Linear(256, 10);
 *   override forward(x: Tensor) {
 *     return this.out.forward(this.hidden.forward(x).relu());
 *   }
 * }
 * ```
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html
 */
export class Module {
  /**
   * Names in the state dict of fields whose name differs from it: `{ runningMean: "running_mean" }`.
   * Fields that are not listed go by their own name.
   */
  static readonly stateNames: Readonly<Record<string, string>> = {};

  /** Whether the module is in training mode; changed by {@link train} and {@link eval}. */
  training = true;

  declare readonly [internals]: Internals;

  constructor() {
    Object.defineProperty(this, internals, {
      value: { buffers: new Map(), items: null, hooks: null } satisfies Internals,
    });
  }

  /** Computes the output: every module defines its own. */
  forward(..._args: never[]): unknown {
    throw new Error(
      `Module [${this.constructor.name}] is missing the required "forward" function: define forward(...) in the class.`,
    );
  }

  // Registration

  /**
   * Makes a field of a tensor that belongs to the module's state but is not trained, such as running statistics.
   *
   * @param name the field; assign to it later to replace the tensor
   * @param tensor the value, or null for none (yet)
   * @param options `persistent` (default true): whether the state dict has it
   */
  registerBuffer(name: string, tensor: Tensor | null, options: { persistent?: boolean } = {}): void {
    checkMemberName(this, "buffer", name);
    if (tensor !== null && !(tensor instanceof Tensor)) {
      throw new ArgumentError(
        `registerBuffer: "${name}" was given ${describe(tensor)}; a buffer is a Tensor or null.`,
      );
    }
    this[internals].buffers.set(name, options.persistent ?? true);
    setField(this, name, tensor);
  }

  /** Makes a field of a parameter under a name known at run time only; otherwise simply assign to a field. */
  registerParameter(name: string, parameter: Parameter | null): void {
    checkMemberName(this, "parameter", name);
    if (parameter !== null && !(parameter instanceof Parameter)) {
      throw new ArgumentError(
        `registerParameter: "${name}" was given ${describe(parameter)}; make it a Parameter: new nn.Parameter(tensor).`,
      );
    }
    setField(this, name, parameter);
  }

  /** Makes a field of a submodule under a name known at run time only; otherwise simply assign to a field. */
  addModule(name: string, module: Module | null): void {
    checkMemberName(this, "module", name);
    if (module !== null && !(module instanceof Module)) {
      throw new ArgumentError(`addModule: "${name}" was given ${describe(module)}; a submodule is a Module or null.`);
    }
    setField(this, name, module);
  }

  /** The same as {@link addModule}. */
  registerModule(name: string, module: Module | null): void {
    this.addModule(name, module);
  }

  // Listings

  /** The parameters of the module and its submodules, each once. */
  parameters(recurse = true): Parameter[] {
    return this.namedParameters({ recurse }).map((entry) => entry[1]);
  }

  /** The parameters with their names, such as `"layers.0.weight"`. */
  namedParameters(options: NamedOptions = {}): [string, Parameter][] {
    return collect(this, options, ownParameters);
  }

  /** The buffers of the module and its submodules, each once. */
  buffers(recurse = true): Tensor[] {
    return this.namedBuffers({ recurse }).map((entry) => entry[1]);
  }

  /** The buffers with their names. */
  namedBuffers(options: NamedOptions = {}): [string, Tensor][] {
    return collect(this, options, ownBuffers);
  }

  /** The direct submodules, each once. */
  children(): Module[] {
    return this.namedChildren().map((entry) => entry[1]);
  }

  /** The direct submodules with their names. */
  namedChildren(): [string, Module][] {
    const seen = new Set<Module>();
    return ownModules(this).filter(([, module]) => !seen.has(module) && seen.add(module));
  }

  /** The module itself and all modules below it, each once. */
  modules(): Module[] {
    return this.namedModules().map((entry) => entry[1]);
  }

  /** The module itself (under the prefix, by default `""`) and all modules below it, with their names. */
  namedModules(options: { prefix?: string; removeDuplicate?: boolean } = {}): [string, Module][] {
    const found: [string, Module][] = [];
    const seen = new Set<Module>();
    const visit = (module: Module, name: string) => {
      if (seen.has(module)) return;
      if (options.removeDuplicate ?? true) seen.add(module);
      found.push([name, module]);
      for (const [key, child] of ownModules(module)) visit(child, name ? `${name}.${key}` : key);
    };
    visit(this, options.prefix ?? "");
    return found;
  }

  /** The submodule under a dotted name; `""` is the module itself. Throws where there is none. */
  getSubmodule(target: string): Module {
    let module: Module = this;
    if (target === "") return module;
    for (const name of target.split(".")) {
      const next = ownModules(module).find(([key]) => key === name);
      if (!next) {
        throw new ArgumentError(
          `getSubmodule: ${module.constructor.name} has no submodule "${name}" (of "${target}"); it has ${listed(ownModules(module))}.`,
        );
      }
      module = next[1];
    }
    return module;
  }

  /** The parameter under a dotted name. Throws where there is none. */
  getParameter(target: string): Parameter {
    return member(this, target, "parameter", ownParameters);
  }

  /** The buffer under a dotted name. Throws where there is none. */
  getBuffer(target: string): Tensor {
    return member(this, target, "buffer", ownBuffers);
  }

  // Modes and types

  /** Sets training mode (or evaluation mode, for `false`) here and below. */
  train(mode = true): this {
    if (typeof mode !== "boolean") {
      throw new ArgumentError(`train: mode was given ${describe(mode)}; training mode is expected to be boolean.`);
    }
    this.training = mode;
    for (const child of this.children()) child.train(mode);
    return this;
  }

  /** Sets evaluation mode here and below: the same as `train(false)`. */
  eval(): this {
    return this.train(false);
  }

  /** Calls `fn` with every module below, children first, and then with this one. */
  apply(fn: (module: Module) => void): this {
    for (const child of this.children()) child.apply(fn);
    fn(this);
    return this;
  }

  /** Sets whether the parameters want gradients, in place. */
  requiresGrad_(requiresGrad = true): this {
    for (const parameter of this.parameters()) parameter.requiresGrad_(requiresGrad);
    return this;
  }

  /** Takes away (or, with `false`, zeroes) the gradients of all parameters. */
  zeroGrad(setToNone = true): void {
    zeroGrad(this.parameters(), setToNone);
  }

  /**
   * Moves and converts parameters and buffers in place; parameters stay the same objects.
   * Integer tensors move but keep their type.
   *
   * ```ts
   * net.to("float64"); net.to("cuda:0"); net.to({ device: "cuda", dtype: "bfloat16" });
   * ```
   */
  to(target: DType | Device | Tensor | ModuleToOptions): this {
    const { dtype, device, nonBlocking } = toOptions(target);
    if (dtype !== undefined && !isFloatingPointDType(dtype) && !isComplexDType(dtype)) {
      throw new ArgumentError(
        `to: nn.Module.to only accepts floating point or complex dtypes, but got desired dtype ${dtype}.`,
      );
    }
    return mapTensors(this, (tensor) => {
      const type = dtype !== undefined && (tensor.isFloatingPoint() || tensor.isComplex()) ? dtype : undefined;
      if ((type === undefined || type === tensor.dtype) && (device === undefined || device === tensor.device)) {
        return tensor;
      }
      return tensor.to({
        ...(type === undefined ? {} : { dtype: type }),
        ...(device === undefined ? {} : { device }),
        ...(nonBlocking === undefined ? {} : { nonBlocking }),
      });
    });
  }

  /** Gives all parameters and buffers new memory on a device, without values. */
  toEmpty(options: { device: Device; recurse?: boolean }): this {
    return mapTensors(this, (tensor) => ops.emptyLike(tensor, { device: options.device }), options.recurse ?? true);
  }

  /** Moves everything to the CPU. */
  cpu(): this {
    return this.to({ device: "cpu" });
  }

  /** Moves everything to a GPU. */
  cuda(index?: number): this {
    return this.to({ device: index === undefined ? "cuda" : `cuda:${index}` });
  }

  /** Converts floating point parameters and buffers to float32. */
  float(): this {
    return convertFloating(this, "float32");
  }

  /** Converts floating point parameters and buffers to float64. */
  double(): this {
    return convertFloating(this, "float64");
  }

  /** Converts floating point parameters and buffers to float16. */
  half(): this {
    return convertFloating(this, "float16");
  }

  /** Converts floating point parameters and buffers to bfloat16. */
  bfloat16(): this {
    return convertFloating(this, "bfloat16");
  }

  /** Converts all parameters and buffers, integer ones too. */
  type(dtype: DType): this {
    return mapTensors(this, (tensor) => tensor.to({ dtype }));
  }

  // State

  /**
   * Parameters and persistent buffers by name, in PyTorch's order. The tensors share memory with the module's.
   */
  stateDict(options: StateDictOptions = {}): StateDict {
    const { prefix = "", keepVars = false, destination = {} } = options;
    const hooks = this[internals].hooks;
    for (const hook of hooks?.statePre.values() ?? []) hook(this, prefix, keepVars);
    this.saveToStateDict(destination, prefix, keepVars);
    for (const [key, child] of ownModules(this)) {
      child.stateDict({ destination, prefix: `${prefix}${key}.`, keepVars });
    }
    for (const hook of hooks?.statePost.values() ?? []) hook(this, destination, prefix);
    return destination;
  }

  /** Adds what belongs to the module itself, without its children; for modules with a state of their own kind. */
  protected saveToStateDict(destination: StateDict, prefix: string, keepVars: boolean): void {
    for (const [key, tensor] of ownState(this)) destination[prefix + key] = keepVars ? tensor : tensor.detach();
    const extra = this.getExtraState();
    if (extra !== undefined) destination[`${prefix}_extra_state`] = extra;
  }

  /** What the module wants to keep in the state dict besides parameters and buffers; undefined for nothing. */
  getExtraState(): Tensor | undefined {
    return undefined;
  }

  /** Takes back what {@link getExtraState} gave. */
  setExtraState(_state: Tensor): void {
    throw new Error(
      `Reached a code path in Module.setExtraState() that should never be reached: define setExtraState in ${this.constructor.name}.`,
    );
  }

  /**
   * Copies the values of a state dict into the module's parameters and buffers.
   *
   * @returns the keys that did not fit, which are an error unless `strict` is false
   * @throws Error with all keys and sizes that do not fit, in PyTorch's words
   */
  loadStateDict(stateDict: Readonly<StateDict>, options: LoadStateDictOptions = {}): IncompatibleKeys {
    if (typeof stateDict !== "object" || stateDict === null || stateDict instanceof Tensor) {
      throw new ArgumentError(`loadStateDict: expected state_dict to be dict-like, got ${describe(stateDict)}.`);
    }
    const { strict = true, assign = false } = options;
    const dict: StateDict = stateDict instanceof Map ? Object.fromEntries(stateDict) : { ...stateDict };
    const result: IncompatibleKeys = { missingKeys: [], unexpectedKeys: [] };
    const errors: string[] = [];
    loadInto(this, dict, "", { strict, assign, result, errors });
    const found: string[] = [];
    if (strict && result.missingKeys.length > 0) {
      found.push(`Missing key(s) in state_dict: ${quoted(result.missingKeys)}. `);
    }
    if (strict && result.unexpectedKeys.length > 0) {
      found.push(`Unexpected key(s) in state_dict: ${quoted(result.unexpectedKeys)}. `);
    }
    found.push(...errors);
    if (found.length > 0) {
      throw new Error(`Error(s) in loading state_dict for ${this.constructor.name}:\n\t${found.join("\n\t")}`);
    }
    return result;
  }

  /** Takes what belongs to the module itself from `dict`, whose keys start with `prefix`; not the children's. */
  protected loadFromStateDict(dict: StateDict, prefix: string, task: LoadTask): void {
    const { assign, strict, result, errors } = task;
    const hooks = this[internals].hooks;
    for (const hook of hooks?.loadPre.values() ?? []) hook(this, dict, prefix, strict);
    const own = new Map(ownState(this));
    for (const [key, target] of own) {
      const name = prefix + key;
      const given = Object.hasOwn(dict, name) ? dict[name] : undefined;
      if (given === undefined) result.missingKeys.push(name);
      else loadTensor(this, key, name, target, given, assign, errors);
    }
    const extraKey = `${prefix}_extra_state`;
    const hasExtra = this.getExtraState() !== undefined;
    const extra = dict[extraKey];
    if (hasExtra && extra !== undefined) this.setExtraState(extra);
    else if (hasExtra) result.missingKeys.push(extraKey);
    else if (extra !== undefined) result.unexpectedKeys.push(extraKey);
    const children = new Set(ownModules(this).map(([key]) => key));
    for (const name of Object.keys(dict)) {
      if (!name.startsWith(prefix) || name === extraKey) continue;
      const rest = name.slice(prefix.length);
      const dot = rest.indexOf(".");
      const expected = dot < 0 ? own.has(rest) : children.has(rest.slice(0, dot)) || own.has(rest);
      if (!expected) result.unexpectedKeys.push(name);
    }
  }

  // Hooks

  /** Has `hook` called before each `forward` of this module. */
  registerForwardPreHook(hook: ForwardPreHook, options: ForwardHookOptions = {}): RemovableHandle {
    return addForwardHook(this, (hooks) => hooks.forwardPre, hook, options);
  }

  /** Has `hook` called after each `forward` of this module. */
  registerForwardHook(hook: ForwardHook, options: ForwardHookOptions = {}): RemovableHandle {
    return addForwardHook(this, (hooks) => hooks.forward, hook, options);
  }

  /** Has `hook` called in the backward pass, before the gradients of this module's inputs are computed. */
  registerFullBackwardPreHook(hook: FullBackwardPreHook, options: ForwardHookOptions = {}): RemovableHandle {
    return addForwardHook(this, (hooks) => hooks.backwardPre, hook, options);
  }

  /** Has `hook` called in the backward pass with the gradients of this module's inputs and outputs. */
  registerFullBackwardHook(hook: FullBackwardHook, options: ForwardHookOptions = {}): RemovableHandle {
    return addForwardHook(this, (hooks) => hooks.backward, hook, options);
  }

  /** Has `hook` called before `stateDict` collects the values of this module. */
  registerStateDictPreHook(hook: StateDictPreHook): RemovableHandle {
    return addHook(hooksOf(this).statePre, hook);
  }

  /** Has `hook` called when `stateDict` has collected the values of this module and those below. */
  registerStateDictPostHook(hook: StateDictPostHook): RemovableHandle {
    return addHook(hooksOf(this).statePost, hook);
  }

  /** Has `hook` called before `loadStateDict` gives this module its values. */
  registerLoadStateDictPreHook(hook: LoadStateDictPreHook): RemovableHandle {
    return addHook(hooksOf(this).loadPre, hook);
  }

  /** Has `hook` called when `loadStateDict` has given this module and those below their values. */
  registerLoadStateDictPostHook(hook: LoadStateDictPostHook): RemovableHandle {
    return addHook(hooksOf(this).loadPost, hook);
  }

  // Printing

  /** What stands between the parentheses when the module is printed; in Python's notation, as PyTorch prints it. */
  extraRepr(): string {
    return "";
  }

  /** The module and all below it as PyTorch prints them. */
  toString(): string {
    const extra = this.extraRepr();
    const children = ownModules(this).map(([key, child]) => `(${key}): ${indented(child.toString())}`);
    return block(this.constructor.name, extra, children);
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.toString();
  }
}

/** What one `loadStateDict` is about. */
export interface LoadTask {
  readonly strict: boolean;
  readonly assign: boolean;
  readonly result: IncompatibleKeys;
  readonly errors: string[];
}

/** `Name(...)` with the lines of a module and those of its children. */
export function block(name: string, extra: string, children: string[]): string {
  const extraLines = extra === "" ? [] : extra.split("\n");
  if (children.length === 0 && extraLines.length <= 1) return `${name}(${extra})`;
  return `${name}(\n  ${[...extraLines, ...children].join("\n  ")}\n)`;
}

/** Text whose further lines are moved in by two spaces. */
export function indented(text: string): string {
  return text.replaceAll("\n", "\n  ");
}

/** The items of a container, which are members of it without being fields; made on first use. */
export function itemsOf<T extends Module | Parameter | null>(module: Module): Map<string, T> {
  const inner = module[internals];
  inner.items ??= new Map();
  return inner.items as Map<string, T>;
}

/** The names of a module's buffers and whether each is persistent, by field. */
export function bufferNames(module: Module): ReadonlyMap<string, boolean> {
  return module[internals].buffers;
}

/**
 * A copy of a value with all that hangs on it: modules, tensors (values copied, detached), arrays and plain objects.
 * What is shared inside stays shared; functions and other objects are taken over as they are.
 */
export function deepCopy<T>(value: T): T {
  return noGrad(() => copyOf(value, new Map()) as T);
}

function copyOf(value: unknown, seen: Map<unknown, unknown>): unknown {
  if (typeof value !== "object" || value === null) return value;
  const before = seen.get(value);
  if (before !== undefined) return before;
  if (value instanceof Tensor) {
    const data = value.detach().clone();
    const copy = value instanceof Parameter ? new Parameter(data, value.requiresGrad) : data;
    if (!(value instanceof Parameter) && value.requiresGrad) copy.requiresGrad_(true);
    if (value.isLeaf && value.grad !== null) copy.grad = value.grad.clone();
    seen.set(value, copy);
    return copy;
  }
  if (value instanceof Module) {
    const copy = Object.create(Object.getPrototypeOf(value)) as Module;
    seen.set(value, copy);
    for (const [key, property] of Object.entries(Object.getOwnPropertyDescriptors(value))) {
      if ("value" in property) property.value = copyOf(property.value, seen);
      Object.defineProperty(copy, key, property);
    }
    const { buffers, items, hooks } = value[internals];
    const copiedItems = items && new Map([...items].map(([key, item]) => [key, copyOf(item, seen) as Module]));
    Object.defineProperty(copy, internals, {
      value: { buffers: new Map(buffers), items: copiedItems, hooks: hooks && copyHooks(hooks) },
    });
    return copy;
  }
  if (Array.isArray(value)) {
    const copy: unknown[] = [];
    seen.set(value, copy);
    for (const item of value) copy.push(copyOf(item, seen));
    return copy;
  }
  if (Object.getPrototypeOf(value) === Object.prototype) {
    const copy: Record<string, unknown> = {};
    seen.set(value, copy);
    for (const [key, item] of Object.entries(value)) copy[key] = copyOf(item, seen);
    return copy;
  }
  return value;
}

function copyHooks(hooks: Hooks): Hooks {
  return {
    forwardPre: new Map(hooks.forwardPre),
    forward: new Map(hooks.forward),
    alwaysCalled: new Set(hooks.alwaysCalled),
    backwardPre: new Map(hooks.backwardPre),
    backward: new Map(hooks.backward),
    statePre: new Map(hooks.statePre),
    statePost: new Map(hooks.statePost),
    loadPre: new Map(hooks.loadPre),
    loadPost: new Map(hooks.loadPost),
  };
}

// Members

function stateName(module: Module, field: string): string {
  const names = (module.constructor as typeof Module).stateNames;
  return Object.hasOwn(names, field) ? (names[field] as string) : field;
}

function fieldOf(module: Module, key: string): string {
  for (const [field, name] of Object.entries((module.constructor as typeof Module).stateNames)) {
    if (name === key) return field;
  }
  return key;
}

function setField(module: Module, field: string, value: unknown): void {
  (module as unknown as Record<string, unknown>)[field] = value;
}

function getField(module: Module, field: string): unknown {
  return (module as unknown as Record<string, unknown>)[field];
}

/** Replaces a parameter or buffer, known by its key in the state dict. */
function setMember(module: Module, key: string, value: Tensor): void {
  const items = module[internals].items;
  if (items?.has(key)) items.set(key, value as Parameter);
  else setField(module, fieldOf(module, key), value);
}

function ownParameters(module: Module): [string, Parameter][] {
  const found: [string, Parameter][] = [];
  for (const field of Object.keys(module)) {
    const value = getField(module, field);
    if (value instanceof Parameter) found.push([stateName(module, field), value]);
  }
  for (const [key, value] of module[internals].items ?? []) {
    if (value instanceof Parameter) found.push([key, value]);
  }
  return found;
}

function ownBuffers(module: Module): [string, Tensor][] {
  const found: [string, Tensor][] = [];
  for (const field of module[internals].buffers.keys()) {
    const value = getField(module, field);
    if (value instanceof Tensor) found.push([stateName(module, field), value]);
  }
  return found;
}

function ownModules(module: Module): [string, Module][] {
  const found: [string, Module][] = [];
  for (const field of Object.keys(module)) {
    const value = getField(module, field);
    if (value instanceof Module) found.push([stateName(module, field), value]);
  }
  for (const [key, value] of module[internals].items ?? []) {
    if (value instanceof Module) found.push([key, value]);
  }
  return found;
}

/** Parameters and persistent buffers of the module itself. */
function ownState(module: Module): [string, Tensor][] {
  const state: [string, Tensor][] = ownParameters(module);
  for (const [field, persistent] of module[internals].buffers) {
    const value = getField(module, field);
    if (persistent && value instanceof Tensor) state.push([stateName(module, field), value]);
  }
  return state;
}

function collect<T extends object>(
  root: Module,
  options: NamedOptions,
  own: (module: Module) => [string, T][],
): [string, T][] {
  const { prefix = "", recurse = true, removeDuplicate = true } = options;
  const modules: [string, Module][] = recurse ? root.namedModules({ prefix, removeDuplicate }) : [[prefix, root]];
  const seen = new Set<T>();
  const found: [string, T][] = [];
  for (const [path, module] of modules) {
    for (const [key, value] of own(module)) {
      if (seen.has(value)) continue;
      if (removeDuplicate) seen.add(value);
      found.push([path ? `${path}.${key}` : key, value]);
    }
  }
  return found;
}

function member<T>(root: Module, target: string, kind: string, own: (module: Module) => [string, T][]): T {
  const dot = target.lastIndexOf(".");
  const module = root.getSubmodule(dot < 0 ? "" : target.slice(0, dot));
  const name = target.slice(dot + 1);
  const entry = own(module).find(([key]) => key === name);
  if (entry) return entry[1];
  throw new ArgumentError(
    `${module.constructor.name} has no ${kind} "${name}" (of "${target}"); it has ${listed(own(module))}.`,
  );
}

function checkMemberName(module: Module, kind: string, name: string): void {
  if (typeof name !== "string") {
    throw new ArgumentError(`${kind} name should be a string, got ${describe(name)}.`);
  }
  if (name === "" || name.includes(".")) {
    throw new ArgumentError(`${kind} name ${name === "" ? 'can\'t be empty string ""' : `can't contain ".", got "${name}"`}.`);
  }
  if (name in module && getField(module, name) !== null && !isMember(module, name)) {
    throw new ArgumentError(`attribute "${name}" already exists in ${module.constructor.name}: choose another name.`);
  }
}

function isMember(module: Module, field: string): boolean {
  const value = getField(module, field);
  return (
    module[internals].buffers.has(field) ||
    (Object.hasOwn(module, field) && (value === undefined || value instanceof Module || value instanceof Parameter))
  );
}

// Conversion

/** Replaces the values of all parameters, their gradients, and the buffers by what `fn` makes of them. */
function mapTensors(module: Module, fn: (tensor: Tensor) => Tensor, recurse = true): Module & never;
function mapTensors<M extends Module>(module: M, fn: (tensor: Tensor) => Tensor, recurse?: boolean): M;
function mapTensors(module: Module, fn: (tensor: Tensor) => Tensor, recurse = true): Module {
  noGrad(() => {
    const done = new Set<Tensor>();
    for (const part of recurse ? module.modules() : [module]) {
      for (const [, parameter] of ownParameters(part)) {
        if (done.has(parameter)) continue;
        done.add(parameter);
        const data = parameter.data;
        const mapped = fn(data);
        const grad = parameter.grad;
        if (mapped === data) continue;
        // A gradient of another type or device than its parameter is refused: it goes first, and comes back mapped.
        parameter.grad = null;
        parameter.data = mapped;
        if (grad !== null) parameter.grad = fn(grad);
      }
      for (const [key, buffer] of ownBuffers(part)) {
        const mapped = fn(buffer);
        if (mapped !== buffer) setMember(part, key, mapped);
      }
    }
  });
  return module;
}

function convertFloating<M extends Module>(module: M, dtype: DType): M {
  return mapTensors(module, (tensor) =>
    tensor.isFloatingPoint() && tensor.dtype !== dtype ? tensor.to({ dtype }) : tensor,
  );
}

function isComplexDType(dtype: DType): boolean {
  return dtype.startsWith("complex");
}

function toOptions(target: DType | Device | Tensor | ModuleToOptions): ModuleToOptions {
  if (target instanceof Tensor) return { dtype: target.dtype, device: target.device };
  if (typeof target === "object" && target !== null) return target;
  if (typeof target !== "string") {
    throw new ArgumentError(
      `to: was given ${describe(target)}; give a dtype, a device, a tensor or { dtype, device, nonBlocking }.`,
    );
  }
  return isDType(target) ? { dtype: target } : { device: target };
}

function isDType(name: DType | Device): name is DType {
  return /^(b?float|complex|u?int|bool|q)/.test(name);
}

// Loading

function loadInto(module: Module, dict: StateDict, prefix: string, task: LoadTask): void {
  // The method is protected for users, who only override it.
  (module as unknown as { loadFromStateDict(dict: StateDict, prefix: string, task: LoadTask): void }).loadFromStateDict(
    dict,
    prefix,
    task,
  );
  for (const [key, child] of ownModules(module)) loadInto(child, dict, `${prefix}${key}.`, task);
  for (const hook of module[internals].hooks?.loadPost.values() ?? []) hook(module, task.result);
}

function loadTensor(
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
      const kept = target instanceof Parameter ? new Parameter(source, target.requiresGrad) : source;
      setMember(module, key, kept);
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

function quoted(names: string[]): string {
  return names.map((name) => `"${name}"`).join(", ");
}

function listed(entries: readonly (readonly [string, unknown])[]): string {
  return entries.length === 0 ? "none" : quoted(entries.map((entry) => entry[0]));
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === "object") return `a ${value.constructor?.name ?? "object"}`;
  return `${typeof value} ${String(value)}`;
}

// Hooks

function hooksOf(module: Module): Hooks {
  const inner = module[internals];
  inner.hooks ??= {
    forwardPre: new Map(),
    forward: new Map(),
    alwaysCalled: new Set(),
    backwardPre: new Map(),
    backward: new Map(),
    statePre: new Map(),
    statePost: new Map(),
    loadPre: new Map(),
    loadPost: new Map(),
  };
  return inner.hooks;
}

function addHook<H>(list: HookList<H>, hook: H, prepend = false): RemovableHandle {
  if (typeof hook !== "function") throw new ArgumentError(`A hook is a function, but ${describe(hook)} was given.`);
  const id = nextHookId++;
  if (prepend) {
    const others = [...list];
    list.clear();
    list.set(id, hook);
    for (const [key, other] of others) list.set(key, other);
  } else {
    list.set(id, hook);
  }
  return { remove: () => void list.delete(id) };
}

function addForwardHook<H>(
  module: Module,
  select: (hooks: Hooks) => HookList<H>,
  hook: H,
  options: ForwardHookOptions,
): RemovableHandle {
  const hooks = hooksOf(module);
  const list = select(hooks);
  const handle = addHook(list, hook, options.prepend);
  const id = nextHookId - 1;
  if (options.alwaysCall) hooks.alwaysCalled.add(id);
  installHookedForward(module);
  return {
    remove() {
      handle.remove();
      hooks.alwaysCalled.delete(id);
      if (hooks.forwardPre.size + hooks.forward.size + hooks.backwardPre.size + hooks.backward.size === 0) {
        uninstallHookedForward(module);
      }
    },
  };
}

type Forward = (this: Module, ...args: unknown[]) => unknown;
/** Marks the `forward` that runs hooks and holds the one it replaces. */
const replaced = Symbol("levin.nn.replaced-forward");

/** Puts a `forward` that runs the hooks before the module's own: modules without hooks pay nothing for them. */
function installHookedForward(module: Module): void {
  const own = Object.getOwnPropertyDescriptor(module, "forward");
  if (own && typeof own.value === "function" && replaced in own.value) return;
  const plain = module.forward as unknown as Forward;
  const hooked = function (this: Module, ...args: unknown[]): unknown {
    return callWithHooks(this, plain, args);
  };
  Object.assign(hooked, { [replaced]: own ?? null });
  Object.defineProperty(module, "forward", { value: hooked, configurable: true, writable: true, enumerable: false });
}

function uninstallHookedForward(module: Module): void {
  const own = Object.getOwnPropertyDescriptor(module, "forward");
  if (!own || typeof own.value !== "function" || !(replaced in own.value)) return;
  const before = own.value[replaced] as PropertyDescriptor | null;
  if (before) Object.defineProperty(module, "forward", before);
  else Reflect.deleteProperty(module, "forward");
}

function callWithHooks(module: Module, forward: Forward, given: unknown[]): unknown {
  const hooks = hooksOf(module);
  let args = given;
  let output: unknown;
  const called = new Set<number>();
  try {
    for (const hook of hooks.forwardPre.values()) {
      const result = hook(module, args);
      if (result !== undefined) args = Array.isArray(result) ? result : [result];
    }
    const backward =
      hooks.backward.size + hooks.backwardPre.size > 0
        ? new BackwardHooks(module, [...hooks.backwardPre.values()], [...hooks.backward.values()])
        : null;
    if (backward) args = backward.wrapInputs(args);
    output = forward.apply(module, args);
    for (const [id, hook] of [...hooks.forward]) {
      called.add(id);
      const result = hook(module, args, output);
      if (result !== undefined) output = result;
    }
    return backward ? backward.wrapOutputs(output) : output;
  } catch (error) {
    for (const [id, hook] of [...hooks.forward]) {
      if (hooks.alwaysCalled.has(id) && !called.has(id)) hook(module, args, output);
    }
    throw error;
  }
}

/** Joins tensors that want gradients at one point of the graph, where `onBackward` sees all their gradients. */
class Joint extends AutogradFunction {
  static override forward(
    ctx: { onBackward?: (grads: (Tensor | null)[]) => (Tensor | null)[] },
    onBackward: (grads: (Tensor | null)[]) => (Tensor | null)[],
    ...tensors: Tensor[]
  ): Tensor[] {
    ctx.onBackward = onBackward;
    return tensors.map((tensor) => tensor.viewAs(tensor));
  }

  static override backward(
    ctx: { onBackward?: (grads: (Tensor | null)[]) => (Tensor | null)[] },
    ...grads: (Tensor | null)[]
  ): (Tensor | null)[] {
    return [null, ...(ctx.onBackward?.(grads) ?? grads)];
  }
}

/** One call of a module under backward hooks. */
class BackwardHooks {
  private gradOutput: (Tensor | null)[] | null = null;
  private inputsJoined = false;
  private inputCount = 0;

  constructor(
    private readonly module: Module,
    private readonly pre: FullBackwardPreHook[],
    private readonly post: FullBackwardHook[],
  ) {}

  wrapInputs(args: unknown[]): unknown[] {
    this.inputCount = args.length;
    return this.wrap(args, (grads, positions) => {
      const gradInput: (Tensor | null)[] = Array(this.inputCount).fill(null);
      positions.forEach((position, i) => {
        gradInput[position] = grads[i] ?? null;
      });
      const changed = this.runPost(gradInput);
      return positions.map((position) => changed[position] ?? null);
    }, () => {
      this.inputsJoined = true;
    });
  }

  wrapOutputs(output: unknown): unknown {
    const single = !Array.isArray(output);
    const outputs: unknown[] = single ? [output] : output;
    const wrapped = this.wrap(outputs, (grads, positions) => {
      let gradOutput: (Tensor | null)[] = Array(outputs.length).fill(null);
      positions.forEach((position, i) => {
        gradOutput[position] = grads[i] ?? null;
      });
      for (const hook of this.pre) {
        const result = hook(this.module, gradOutput);
        if (result !== undefined) gradOutput = this.checked(result, gradOutput.length, "gradOutput");
      }
      this.gradOutput = gradOutput;
      // No input wants a gradient: the backward pass of this module ends here.
      if (!this.inputsJoined) this.runPost(Array(this.inputCount).fill(null));
      return positions.map((position) => gradOutput[position] ?? null);
    });
    return single ? wrapped[0] : wrapped;
  }

  private runPost(gradInput: (Tensor | null)[]): (Tensor | null)[] {
    let current = gradInput;
    for (const hook of this.post) {
      const result = hook(this.module, current, this.gradOutput ?? []);
      if (result !== undefined) current = this.checked(result, current.length, "gradInput");
    }
    return current;
  }

  private checked(result: (Tensor | null)[] | Tensor, length: number, what: string): (Tensor | null)[] {
    const list = Array.isArray(result) ? result : [result];
    if (list.length !== length) {
      throw new Error(
        `Backward hook returned an invalid number of ${what}: got ${list.length}, but expected ${length}.`,
      );
    }
    return list;
  }

  private wrap(
    values: unknown[],
    onBackward: (grads: (Tensor | null)[], positions: number[]) => (Tensor | null)[],
    whenJoined?: () => void,
  ): unknown[] {
    const positions: number[] = [];
    const tensors: Tensor[] = [];
    values.forEach((value, i) => {
      if (value instanceof Tensor && value.requiresGrad) {
        positions.push(i);
        tensors.push(value);
      }
    });
    if (tensors.length === 0) return values;
    whenJoined?.();
    const joined = Joint.apply((grads: (Tensor | null)[]) => onBackward(grads, positions), ...tensors);
    const list = (Array.isArray(joined) ? joined : [joined]) as Tensor[];
    const wrapped = [...values];
    positions.forEach((position, i) => {
      wrapped[position] = list[i];
    });
    return wrapped;
  }
}
