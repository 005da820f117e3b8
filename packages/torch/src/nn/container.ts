import type { DType } from "../dtype.js";
import { ArgumentError } from "../errors.js";
import { Tensor } from "../tensor.js";
import { Module } from "./module.js";
import { itemsOf } from "./module-members.js";
import { Parameter } from "./parameter.js";
import { block, indented } from "./repr.js";

type Call = (...args: unknown[]) => unknown;

/** The position of an item counted from the start; throws where there is none. */
function position(index: number, length: number, what: string): number {
  if (!Number.isInteger(index) || index < -length || index >= length) {
    throw new ArgumentError(`index ${String(index)} is out of range: the ${what} has ${length} item(s).`);
  }
  return index < 0 ? length + index : index;
}

function checkModule(value: unknown, where: string): Module {
  if (value instanceof Module) return value;
  throw new ArgumentError(`${where}: ${value === null ? "null" : typeof value} is not a Module.`);
}

/**
 * Calls its modules one after the other, each with what the one before returned.
 *
 * ```ts
 * new nn.Sequential(new nn.Linear(4, 8), new nn.ReLU(), new nn.Linear(8, 2));
 * new nn.Sequential({ hidden: new nn.Linear(4, 8), out: new nn.Linear(8, 2) });
 * ```
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Sequential.html
 */
export class Sequential<Input = Tensor, Output = Tensor> extends Module implements Iterable<Module> {
  constructor(...modules: Module[] | [Record<string, Module> | Map<string, Module>]) {
    super();
    const [first] = modules;
    if (first !== undefined && !(first instanceof Module)) {
      const entries = first instanceof Map ? [...first] : Object.entries(first);
      for (const [name, module] of entries) this.addModule(name, module);
    } else {
      for (const module of modules as Module[]) this.append(module);
    }
  }

  override forward(input: Input): Output {
    let value: unknown = input;
    for (const module of itemsOf<Module>(this).values()) value = (module.forward as Call)(value);
    return value as Output;
  }

  override addModule(name: string, module: Module): void {
    itemsOf<Module>(this).set(name, checkModule(module, `Sequential "${name}"`));
  }

  /** How many modules there are. */
  get length(): number {
    return itemsOf(this).size;
  }

  /** The module at a position; negative ones count from the end. */
  get(index: number): Module {
    return [...this][position(index, this.length, "Sequential")] as Module;
  }

  /** Replaces the module at a position. */
  set(index: number, module: Module): void {
    const key = [...itemsOf(this).keys()][position(index, this.length, "Sequential")] as string;
    this.addModule(key, module);
  }

  /** A new Sequential of the modules from `start` to before `end`. */
  slice(start?: number, end?: number): Sequential {
    return new Sequential(Object.fromEntries([...itemsOf<Module>(this)].slice(start, end)));
  }

  /** Adds a module at the end. */
  append(module: Module): this {
    this.addModule(String(this.length), module);
    return this;
  }

  /** Adds modules at the end. */
  extend(modules: Iterable<Module>): this {
    for (const module of modules) this.append(module);
    return this;
  }

  /** Puts a module before the one at a position; those behind are renumbered. */
  insert(index: number, module: Module): this {
    insertAt(this, index, checkModule(module, "Sequential.insert"), "Sequential");
    return this;
  }

  /** Takes out a module and returns it; those behind are renumbered. */
  pop(index = -1): Module {
    return popAt(this, index, "Sequential");
  }

  [Symbol.iterator](): Iterator<Module> {
    return itemsOf<Module>(this).values();
  }
}

function insertAt(container: Module, index: number, module: Module, what: string): void {
  const items = itemsOf<Module>(container);
  const list = [...items.values()];
  const at = index === list.length ? index : position(index, list.length, what);
  list.splice(at, 0, module);
  items.clear();
  list.forEach((item, i) => {
    items.set(String(i), item);
  });
}

function popAt(container: Module, index: number, what: string): Module {
  const items = itemsOf<Module>(container);
  const entries = [...items];
  const [taken] = entries.splice(position(index, entries.length, what), 1);
  const numbered = entries.every(([key]) => /^\d+$/.test(key));
  items.clear();
  entries.forEach(([key, item], i) => {
    items.set(numbered ? String(i) : key, item);
  });
  return (taken as [string, Module])[1];
}

/**
 * A list of modules.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ModuleList.html
 */
export class ModuleList<M extends Module = Module> extends Module implements Iterable<M> {
  constructor(modules: Iterable<M> = []) {
    super();
    this.extend(modules);
  }

  /** How many modules there are. */
  get length(): number {
    return itemsOf(this).size;
  }

  /** The module at a position; negative ones count from the end. */
  get(index: number): M {
    return itemsOf<M>(this).get(String(position(index, this.length, "ModuleList"))) as M;
  }

  /** Replaces the module at a position. */
  set(index: number, module: M): void {
    itemsOf<M>(this).set(
      String(position(index, this.length, "ModuleList")),
      checkModule(module, "ModuleList.set") as M,
    );
  }

  /** A new list of the modules from `start` to before `end`. */
  slice(start?: number, end?: number): ModuleList<M> {
    return new ModuleList([...this].slice(start, end));
  }

  /** Adds a module at the end. */
  append(module: M): this {
    itemsOf<M>(this).set(String(this.length), checkModule(module, "ModuleList.append") as M);
    return this;
  }

  /** Adds modules at the end. */
  extend(modules: Iterable<M>): this {
    for (const module of modules) this.append(module);
    return this;
  }

  /** Puts a module before the one at a position. */
  insert(index: number, module: M): void {
    insertAt(this, index, checkModule(module, "ModuleList.insert"), "ModuleList");
  }

  /** Takes out a module and returns it. */
  pop(index = -1): M {
    return popAt(this, index, "ModuleList") as M;
  }

  /** Calls `fn` with each module and its position; the results as an array. */
  map<T>(fn: (module: M, index: number) => T): T[] {
    return [...this].map(fn);
  }

  [Symbol.iterator](): Iterator<M> {
    return itemsOf<M>(this).values();
  }

  /** As any module, but equal neighbours are printed once: `(0-2): 3 x Linear(...)`. */
  override toString(): string {
    const texts = [...this].map(String);
    const lines: string[] = [];
    for (let start = 0; start < texts.length; ) {
      let end = start;
      while (end + 1 < texts.length && texts[end + 1] === texts[start]) end++;
      const text = indented(texts[start] as string);
      lines.push(start === end ? `(${start}): ${text}` : `(${start}-${end}): ${end - start + 1} x ${text}`);
      start = end + 1;
    }
    return block(this.constructor.name, "", lines);
  }
}

/**
 * Modules by name, in the order of their insertion.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ModuleDict.html
 */
export class ModuleDict<M extends Module = Module> extends Module implements Iterable<string> {
  constructor(modules: Readonly<Record<string, M>> | Iterable<readonly [string, M]> = {}) {
    super();
    this.update(modules);
  }

  /** How many modules there are. */
  get length(): number {
    return itemsOf(this).size;
  }

  /** The module of a name; throws where there is none. */
  get(key: string): M {
    const module = itemsOf<M>(this).get(key);
    if (module !== undefined) return module;
    throw new ArgumentError(
      `ModuleDict has no module "${key}"; it has ${[...this.keys()].join(", ") || "none"}.`,
    );
  }

  /** Adds or replaces a module. */
  set(key: string, module: M): void {
    if (typeof key !== "string" || key === "" || key.includes(".")) {
      throw new ArgumentError(
        `module name ${JSON.stringify(key)} must be a string that is not empty and contains no ".".`,
      );
    }
    itemsOf<M>(this).set(key, checkModule(module, `ModuleDict "${key}"`) as M);
  }

  /** Whether there is a module of that name. */
  has(key: string): boolean {
    return itemsOf(this).has(key);
  }

  /** Takes out a module and returns it. */
  pop(key: string): M {
    const module = this.get(key);
    itemsOf(this).delete(key);
    return module;
  }

  /** Takes out all modules. */
  clear(): void {
    itemsOf(this).clear();
  }

  /** Adds or replaces several modules. */
  update(modules: Readonly<Record<string, M>> | Iterable<readonly [string, M]>): void {
    const entries =
      Symbol.iterator in modules ? (modules as Iterable<readonly [string, M]>) : Object.entries(modules);
    for (const [key, module] of entries) this.set(key, module as M);
  }

  keys(): IterableIterator<string> {
    return itemsOf(this).keys();
  }

  values(): IterableIterator<M> {
    return itemsOf<M>(this).values();
  }

  items(): IterableIterator<[string, M]> {
    return itemsOf<M>(this).entries();
  }

  [Symbol.iterator](): Iterator<string> {
    return this.keys();
  }
}

function asParameter(value: Tensor, where: string): Parameter {
  if (value instanceof Parameter) return value;
  if (value instanceof Tensor) return new Parameter(value);
  throw new ArgumentError(`${where}: ${value === null ? "null" : typeof value} is not a Tensor.`);
}

/** The oldest names of the types of tensors, which PyTorch prints in a ParameterDict. */
const typeNames: Partial<Record<DType, string>> = {
  float32: "Float",
  float64: "Double",
  float16: "Half",
  bfloat16: "BFloat16",
  complex64: "ComplexFloat",
  complex128: "ComplexDouble",
  int64: "Long",
  int32: "Int",
  int16: "Short",
  int8: "Char",
  uint8: "Byte",
  bool: "Bool",
};

function typeName(tensor: Tensor): string {
  const device = tensor.device.startsWith("cuda") ? "cuda." : "";
  return `torch.${device}${typeNames[tensor.dtype] ?? ""}Tensor`;
}

function parameterLine([key, parameter]: [string, Parameter], type: string): string {
  const device = parameter.device.startsWith("cuda") ? ` (${parameter.device})` : "";
  return `  (${key}): Parameter containing: [${type} of size ${parameter.shape.join("x")}${device}]`;
}

/**
 * A list of parameters; other tensors become parameters.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ParameterList.html
 */
export class ParameterList extends Module implements Iterable<Parameter> {
  constructor(values: Iterable<Tensor> = []) {
    super();
    this.extend(values);
  }

  /** How many parameters there are. */
  get length(): number {
    return itemsOf(this).size;
  }

  /** The parameter at a position; negative ones count from the end. */
  get(index: number): Parameter {
    return itemsOf<Parameter>(this).get(String(position(index, this.length, "ParameterList"))) as Parameter;
  }

  /** Replaces the parameter at a position. */
  set(index: number, value: Tensor): void {
    const key = String(position(index, this.length, "ParameterList"));
    itemsOf<Parameter>(this).set(key, asParameter(value, "ParameterList.set"));
  }

  /** Adds a parameter at the end. */
  append(value: Tensor): this {
    itemsOf<Parameter>(this).set(String(this.length), asParameter(value, "ParameterList.append"));
    return this;
  }

  /** Adds parameters at the end. */
  extend(values: Iterable<Tensor>): this {
    for (const value of values) this.append(value);
    return this;
  }

  [Symbol.iterator](): Iterator<Parameter> {
    return itemsOf<Parameter>(this).values();
  }

  override extraRepr(): string {
    return [...itemsOf<Parameter>(this)]
      .map((entry) => parameterLine(entry, `torch.${entry[1].dtype}`))
      .join("\n");
  }
}

/**
 * Parameters by name, in the order of their insertion; other tensors become parameters.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ParameterDict.html
 */
export class ParameterDict extends Module implements Iterable<string> {
  constructor(parameters: Readonly<Record<string, Tensor>> | Iterable<readonly [string, Tensor]> = {}) {
    super();
    this.update(parameters);
  }

  /** How many parameters there are. */
  get length(): number {
    return itemsOf(this).size;
  }

  /** The parameter of a name; throws where there is none. */
  get(key: string): Parameter {
    const parameter = itemsOf<Parameter>(this).get(key);
    if (parameter !== undefined) return parameter;
    throw new ArgumentError(
      `ParameterDict has no parameter "${key}"; it has ${[...this.keys()].join(", ") || "none"}.`,
    );
  }

  /** Adds or replaces a parameter. */
  set(key: string, value: Tensor): void {
    if (typeof key !== "string" || key === "" || key.includes(".")) {
      throw new ArgumentError(
        `parameter name ${JSON.stringify(key)} must be a string that is not empty and contains no ".".`,
      );
    }
    itemsOf<Parameter>(this).set(key, asParameter(value, `ParameterDict "${key}"`));
  }

  /** Whether there is a parameter of that name. */
  has(key: string): boolean {
    return itemsOf(this).has(key);
  }

  /** Takes out a parameter and returns it. */
  pop(key: string): Parameter {
    const parameter = this.get(key);
    itemsOf(this).delete(key);
    return parameter;
  }

  /** Takes out all parameters. */
  clear(): void {
    itemsOf(this).clear();
  }

  /** Adds or replaces several parameters. */
  update(parameters: Readonly<Record<string, Tensor>> | Iterable<readonly [string, Tensor]>): void {
    const entries =
      Symbol.iterator in parameters
        ? (parameters as Iterable<readonly [string, Tensor]>)
        : Object.entries(parameters);
    for (const [key, value] of entries) this.set(key, value as Tensor);
  }

  keys(): IterableIterator<string> {
    return itemsOf(this).keys();
  }

  values(): IterableIterator<Parameter> {
    return itemsOf<Parameter>(this).values();
  }

  items(): IterableIterator<[string, Parameter]> {
    return itemsOf<Parameter>(this).entries();
  }

  [Symbol.iterator](): Iterator<string> {
    return this.keys();
  }

  override extraRepr(): string {
    return [...itemsOf<Parameter>(this)].map((entry) => parameterLine(entry, typeName(entry[1]))).join("\n");
  }
}
