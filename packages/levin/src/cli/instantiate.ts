import { isObject, type Values } from "./config.js";
import type { ClassDescription } from "./description.js";

/** A class, or a function that makes what a class would. */
// biome-ignore lint/suspicious/noExplicitAny: classes of all kinds of constructors
export type Maker<T = any> = (abstract new (...args: any[]) => T) | ((...args: any[]) => T);

/** What makes the objects of a configuration. */
export interface Makers {
  /** The description of a class, as a configuration names it. */
  describe(name: string): ClassDescription | undefined;
  /** The class itself. */
  load(name: string): Promise<Maker>;
}

/** A value of a configuration with objects in the places of their descriptions. */
export async function instantiate(value: unknown, makers: Makers): Promise<unknown> {
  if (Array.isArray(value)) {
    const items: unknown[] = [];
    for (const item of value) items.push(await instantiate(item, makers));
    return items;
  }
  if (!isObject(value)) return value;
  if (typeof value.classPath === "string") {
    return makeObject(value.classPath, (value.initArgs ?? {}) as Values, makers);
  }
  const entries: [string, unknown][] = [];
  for (const [key, each] of Object.entries(value)) entries.push([key, await instantiate(each, makers)]);
  return Object.fromEntries(entries);
}

/**
 * Makes an object of a class from its options.
 *
 * @param leading the arguments before them, which no configuration has
 */
export async function makeObject(
  name: string,
  options: Values,
  makers: Makers,
  leading: readonly unknown[] = [],
): Promise<unknown> {
  const maker = await makers.load(name);
  const given = (await instantiate(options, makers)) as Values;
  return make(maker, [...leading, ...argumentsOf(makers.describe(name), given)]);
}

/** Calls a class's constructor, or a function. */
export function make(maker: Maker, args: readonly unknown[]): unknown {
  return isClass(maker)
    ? new (maker as new (...args: readonly unknown[]) => unknown)(...args)
    : (maker as (...args: readonly unknown[]) => unknown)(...args);
}

/** The arguments of a constructor: options in their places, those of the options object in one. */
function argumentsOf(description: ClassDescription | undefined, given: Values): unknown[] {
  if (!description || description.open) return [given];
  const args = description.parameters.map(({ name, spread }) => {
    if (spread === null) return given[name];
    const entries = spread.filter((option) => option in given).map((option) => [option, given[option]]);
    const isRequired = description.options.some((option) => spread.includes(option.name) && option.required);
    return entries.length > 0 || isRequired ? Object.fromEntries(entries) : undefined;
  });
  while (args.length > 0 && args.at(-1) === undefined) args.pop();
  return args;
}

/** Whether it is a class, and not a function. */
export function isClass(maker: Maker): boolean {
  return /^class\b/.test(Function.prototype.toString.call(maker));
}
