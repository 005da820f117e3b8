import type { Device } from "../device.js";
import { type DType, isComplexDType, isFloatingDType } from "../dtype.js";
import { ArgumentError, LevinError } from "../errors.js";
import * as ops from "../ops.js";
import { type RemovableHandle, Tensor } from "../tensor.js";
import { convertFloating, type ModuleToOptions, mapTensors, toOptions } from "./module-convert.js";
import {
  addForwardHook,
  addHook,
  type ForwardHook,
  type ForwardHookOptions,
  type ForwardPreHook,
  type FullBackwardHook,
  type FullBackwardPreHook,
  hooksOf,
  type LoadStateDictPostHook,
  type LoadStateDictPreHook,
  type StateDictPostHook,
  type StateDictPreHook,
} from "./module-hooks.js";
import {
  checkMemberName,
  collect,
  describe,
  fieldOf,
  type Internals,
  internals,
  listed,
  member,
  type NamedOptions,
  nameInState,
  ownBuffers,
  ownModules,
  ownParameters,
  ownState,
  quoted,
  type RegisterBufferOptions,
  type RegisterOptions,
  setField,
} from "./module-members.js";
import {
  type IncompatibleKeys,
  type LoadStateDictOptions,
  type LoadTask,
  loadInto,
  loadTensor,
  type StateDict,
  type StateDictOptions,
} from "./module-state.js";
import { isLazy, Parameter } from "./parameter.js";
import { block, indented } from "./repr.js";

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
      value: { buffers: new Map(), items: null, stateNames: null, hooks: null } satisfies Internals,
    });
  }

  /** Computes the output: every module defines its own. */
  forward(..._args: never[]): unknown {
    throw new LevinError(
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
  registerBuffer(name: string, tensor: Tensor | null, options: RegisterBufferOptions = {}): void {
    checkMemberName(this, "buffer", name);
    if (tensor !== null && !(tensor instanceof Tensor)) {
      throw new ArgumentError(
        `registerBuffer: "${name}" was given ${describe(tensor)}; a buffer is a Tensor or null.`,
      );
    }
    this[internals].buffers.set(name, options.persistent ?? true);
    if (options.stateName !== undefined) nameInState(this, name, options.stateName);
    setField(this, name, tensor);
  }

  /** Makes a field of a parameter under a name known at run time only; otherwise simply assign to a field. */
  registerParameter(name: string, parameter: Parameter | null, options: RegisterOptions = {}): void {
    checkMemberName(this, "parameter", name);
    if (parameter !== null && !(parameter instanceof Parameter)) {
      throw new ArgumentError(
        `registerParameter: "${name}" was given ${describe(parameter)}; make it a Parameter: new nn.Parameter(tensor).`,
      );
    }
    if (options.stateName !== undefined) nameInState(this, name, options.stateName);
    setField(this, name, parameter);
  }

  /** Makes a field of a submodule under a name known at run time only; otherwise simply assign to a field. */
  addModule(name: string, module: Module | null): void {
    checkMemberName(this, "module", name);
    if (module !== null && !(module instanceof Module)) {
      throw new ArgumentError(
        `addModule: "${name}" was given ${describe(module)}; a submodule is a Module or null.`,
      );
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

  /**
   * Puts a module in the place of the submodule under a dotted name.
   *
   * @param options `strict` (default false): whether there must be a submodule already
   */
  setSubmodule(target: string, module: Module, options: { strict?: boolean } = {}): void {
    if (target === "")
      throw new ArgumentError("setSubmodule: the target must be the name of a submodule, but it is empty.");
    if (!(module instanceof Module)) {
      throw new ArgumentError(
        `setSubmodule: "${target}" was given ${describe(module)}; a submodule is a Module.`,
      );
    }
    const dot = target.lastIndexOf(".");
    const parent = this.getSubmodule(target.slice(0, Math.max(dot, 0)));
    const name = target.slice(dot + 1);
    if (options.strict) parent.getSubmodule(name);
    const items = parent[internals].items;
    if (items?.has(name)) items.set(name, module);
    else parent.addModule(fieldOf(parent, name), module);
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
      throw new ArgumentError(
        `train: mode was given ${describe(mode)}; training mode is expected to be boolean.`,
      );
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
    ops.zeroGrad(this.parameters(), setToNone);
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
    if (dtype !== undefined && !isFloatingDType(dtype) && !isComplexDType(dtype)) {
      throw new ArgumentError(
        `to: nn.Module.to only accepts floating point or complex dtypes, but got desired dtype ${dtype}.`,
      );
    }
    const convert = (tensor: Tensor): Tensor => {
      const type =
        dtype !== undefined && (tensor.isFloatingPoint() || tensor.isComplex()) ? dtype : undefined;
      if (
        (type === undefined || type === tensor.dtype) &&
        (device === undefined || device === tensor.device)
      ) {
        return tensor;
      }
      return tensor.to({
        ...(type === undefined ? {} : { dtype: type }),
        ...(device === undefined ? {} : { device }),
        ...(nonBlocking === undefined ? {} : { nonBlocking }),
      });
    };
    for (const module of this.modules()) module.mapOwnState(convert);
    return mapTensors(this, convert);
  }

  /** Gives all parameters and buffers new memory on a device, without values. */
  toEmpty(options: { device: Device; recurse?: boolean }): this {
    const { device, recurse = true } = options;
    const empty = (tensor: Tensor): Tensor => ops.emptyLike(tensor, { device });
    for (const module of recurse ? this.modules() : [this]) module.mapOwnState(empty);
    return mapTensors(this, empty, recurse);
  }

  /**
   * Called by {@link to} and {@link toEmpty}: for modules that keep tensors besides parameters and buffers, which replace
   * each by `fn` of it.
   */
  protected mapOwnState(_fn: (tensor: Tensor) => Tensor): void {}

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

  /** Called when `to`, `float` and the like have given parameters other memory, for modules that care where it lies. */
  protected afterConversion(): void {}

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
    for (const [key, tensor] of ownState(this))
      destination[prefix + key] = keepVars || isLazy(tensor) ? tensor : tensor.detach();
    const extra = this.getExtraState();
    if (extra !== undefined) destination[`${prefix}_extra_state`] = extra;
  }

  /** What the module wants to keep in the state dict besides parameters and buffers; undefined for nothing. */
  getExtraState(): Tensor | undefined {
    return undefined;
  }

  /** Takes back what {@link getExtraState} gave. */
  setExtraState(_state: Tensor): void {
    throw new LevinError(
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
      throw new ArgumentError(
        `loadStateDict: expected state_dict to be dict-like, got ${describe(stateDict)}.`,
      );
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
      throw new LevinError(
        `Error(s) in loading state_dict for ${this.constructor.name}:\n\t${found.join("\n\t")}`,
      );
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
