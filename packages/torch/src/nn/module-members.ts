/** What a module consists of: parameters, buffers and submodules, by the fields they are in and their keys in the state dict. */
import { ArgumentError } from "../errors.js";
import { Tensor } from "../tensor.js";
import { Module } from "./module.js";
import type { Hooks } from "./module-hooks.js";
import { Buffer, Parameter } from "./parameter.js";

/** What a module keeps that is not one of its fields. */
export interface Internals {
  /** Field name of each buffer -> whether it belongs to the state dict. */
  readonly buffers: Map<string, boolean>;
  /** Members that are not fields: the items of a container, by key. */
  items: Map<string, Module | Parameter | null> | null;
  /** Field name -> name in the state dict, of members registered at run time under a name of their own. */
  stateNames: Map<string, string> | null;
  hooks: Hooks | null;
}

/** The key of a module's {@link Internals}; a symbol, so that listings of fields pass over it. */
export const internals = Symbol("levin.nn.internals");

/** Options of {@link Module.registerParameter}. */
export interface RegisterOptions {
  /** The name in the state dict. Default: the field's. */
  stateName?: string;
}

/** Options of {@link Module.registerBuffer}. */
export interface RegisterBufferOptions extends RegisterOptions {
  /** Whether the state dict has it. Default: true. */
  persistent?: boolean;
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

/** The items of a container, which are members of it without being fields; made on first use. */
export function itemsOf<T extends Module | Parameter | null>(module: Module): Map<string, T> {
  const inner = module[internals];
  inner.items ??= new Map();
  return inner.items as Map<string, T>;
}

/** The key in the state dict of a member that is known by its field. */
export function stateNameOf(module: Module, field: string): string {
  const own = module[internals].stateNames?.get(field);
  if (own !== undefined) return own;
  const names = (module.constructor as typeof Module).stateNames;
  return Object.hasOwn(names, field) ? (names[field] as string) : field;
}

export function nameInState(module: Module, field: string, name: string): void {
  const inner = module[internals];
  inner.stateNames ??= new Map();
  inner.stateNames.set(field, name);
}

/** The field of a member that is known by its key in the state dict. */
export function fieldOf(module: Module, key: string): string {
  for (const [field, name] of module[internals].stateNames ?? []) {
    if (name === key) return field;
  }
  for (const [field, name] of Object.entries((module.constructor as typeof Module).stateNames)) {
    if (name === key) return field;
  }
  return key;
}

export function setField(module: Module, field: string, value: unknown): void {
  (module as unknown as Record<string, unknown>)[field] = value;
}

function getField(module: Module, field: string): unknown {
  return (module as unknown as Record<string, unknown>)[field];
}

/** Whether a field holds a buffer (and not a parameter). */
export function isBuffer(module: Module, field: string): boolean {
  return buffersOf(module).has(field);
}

/** Takes a parameter or buffer away from a module. */
export function removeMember(module: Module, field: string): void {
  module[internals].buffers.delete(field);
  Reflect.deleteProperty(module, field);
}

/** Replaces a parameter or buffer, known by its key in the state dict. */
export function setMember(module: Module, key: string, value: Tensor): void {
  const items = module[internals].items;
  if (items?.has(key)) items.set(key, value as Parameter);
  else setField(module, fieldOf(module, key), value);
}

export function ownParameters(module: Module): [string, Parameter][] {
  const found: [string, Parameter][] = [];
  for (const field of Object.keys(module)) {
    const value = getField(module, field);
    if (value instanceof Parameter) found.push([stateNameOf(module, field), value]);
  }
  for (const [key, value] of module[internals].items ?? []) {
    if (value instanceof Parameter) found.push([key, value]);
  }
  return found;
}

/** The names of the buffers, with those that were assigned to a field since they were last asked for. */
function buffersOf(module: Module): Map<string, boolean> {
  const { buffers } = module[internals];
  for (const field of Object.keys(module)) {
    const value = getField(module, field);
    if (value instanceof Buffer && !buffers.has(field)) buffers.set(field, value.persistent);
  }
  return buffers;
}

export function ownBuffers(module: Module): [string, Tensor][] {
  const found: [string, Tensor][] = [];
  for (const field of buffersOf(module).keys()) {
    const value = getField(module, field);
    if (value instanceof Tensor) found.push([stateNameOf(module, field), value]);
  }
  return found;
}

export function ownModules(module: Module): [string, Module][] {
  const found: [string, Module][] = [];
  for (const field of Object.keys(module)) {
    const value = getField(module, field);
    if (value instanceof Module) found.push([stateNameOf(module, field), value]);
  }
  for (const [key, value] of module[internals].items ?? []) {
    if (value instanceof Module) found.push([key, value]);
  }
  return found;
}

/** Parameters and persistent buffers of the module itself. */
export function ownState(module: Module): [string, Tensor][] {
  const state: [string, Tensor][] = ownParameters(module);
  for (const [field, persistent] of buffersOf(module)) {
    const value = getField(module, field);
    if (persistent && value instanceof Tensor) state.push([stateNameOf(module, field), value]);
  }
  return state;
}

export function collect<T extends object>(
  root: Module,
  options: NamedOptions,
  own: (module: Module) => [string, T][],
): [string, T][] {
  const { prefix = "", recurse = true, removeDuplicate = true } = options;
  const modules: [string, Module][] = recurse
    ? root.namedModules({ prefix, removeDuplicate })
    : [[prefix, root]];
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

export function member<T>(
  root: Module,
  target: string,
  kind: string,
  own: (module: Module) => [string, T][],
): T {
  const dot = target.lastIndexOf(".");
  const module = root.getSubmodule(dot < 0 ? "" : target.slice(0, dot));
  const name = target.slice(dot + 1);
  const entry = own(module).find(([key]) => key === name);
  if (entry) return entry[1];
  throw new ArgumentError(
    `${module.constructor.name} has no ${kind} "${name}" (of "${target}"); it has ${listed(own(module))}.`,
  );
}

export function checkMemberName(module: Module, kind: string, name: string): void {
  if (typeof name !== "string") {
    throw new ArgumentError(`${kind} name should be a string, got ${describe(name)}.`);
  }
  if (name === "" || name.includes(".")) {
    throw new ArgumentError(
      `${kind} name ${name === "" ? 'can\'t be empty string ""' : `can't contain ".", got "${name}"`}.`,
    );
  }
  if (name in module && getField(module, name) !== null && !isMember(module, name)) {
    throw new ArgumentError(
      `attribute "${name}" already exists in ${module.constructor.name}: choose another name.`,
    );
  }
}

function isMember(module: Module, field: string): boolean {
  const value = getField(module, field);
  return (
    module[internals].buffers.has(field) ||
    (Object.hasOwn(module, field) &&
      (value === undefined || value instanceof Module || value instanceof Parameter))
  );
}

export function listed(entries: readonly (readonly [string, unknown])[]): string {
  return entries.length === 0 ? "none" : quoted(entries.map((entry) => entry[0]));
}

export function quoted(names: string[]): string {
  return names.map((name) => `"${name}"`).join(", ");
}

export function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === "object") return `a ${value.constructor?.name ?? "object"}`;
  return `${typeof value} ${String(value)}`;
}
