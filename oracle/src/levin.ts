import * as torch from "@levin/torch";
import { camelCase } from "./names.js";
import { NotCovered } from "./report.js";

/** Anything that can be called; the reader looks functions up by name, so their types are not known here. */
export type Callable = (...args: unknown[]) => unknown;
/** A class looked up by name. */
export type Constructor<T = unknown> = new (...args: unknown[]) => T;

/** A value of a namespace or object by name, or undefined. */
export function member(space: unknown, name: string): unknown {
  return (space as Record<string, unknown> | undefined)?.[name];
}

/** A function by its Python name from one of levin's namespaces. Throws {@link NotCovered} where levin has none. */
export function functionOf(space: unknown, label: string, name: string): Callable {
  const found = member(space, camelCase(name));
  if (typeof found !== "function") throw new NotCovered(`no ${label}.${camelCase(name)} in @levin/torch`);
  return found as Callable;
}

/** A class by its name from one of levin's namespaces. Throws {@link NotCovered} where levin has none. */
export function classOf<T = unknown>(space: unknown, label: string, name: string): Constructor<T> {
  const found = member(space, name);
  if (typeof found !== "function") throw new NotCovered(`no ${label}.${name} in @levin/torch`);
  return found as Constructor<T>;
}

/** A function of `torch.linalg`, `torch.fft`, ...: levin may have it in a namespace or, as the operator, in `torch`. */
export function functionIn(space: string, name: string): Callable {
  const nested = member(member(torch, space), camelCase(name));
  const found = typeof nested === "function" ? nested : member(torch, camelCase(`${space}_${name}`));
  if (typeof found !== "function")
    throw new NotCovered(`no torch.${space}.${camelCase(name)} in @levin/torch`);
  return found as Callable;
}

/** The tensors in nested lists, tuples and result objects, in order. */
export function flat(value: unknown): torch.Tensor[] {
  if (value instanceof torch.Tensor) return [value];
  if (Array.isArray(value)) return value.flatMap(flat);
  if (typeof value === "object" && value !== null) return Object.values(value).flatMap(flat);
  return [];
}
