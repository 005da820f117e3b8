import { ArgumentError } from "./errors.js";

const isOptions = (value: unknown): value is object => {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
};

/**
 * The optional arguments of a function written by hand, which takes them as the generated ones do: by place, or by name in one
 * object at the end.
 *
 * @param names in the order of PyTorch's signature
 */
export function optional<O extends object>(
  what: string,
  names: readonly (keyof O & string)[],
  args: readonly unknown[],
): Partial<O> {
  const last = args.at(-1);
  const named = isOptions(last);
  const places = named ? args.slice(0, -1) : args;
  if (places.length > names.length) {
    throw new ArgumentError(
      `${what}: takes at most ${names.length} optional arguments (${names.join(", ")}), got ${places.length}`,
    );
  }
  const given: Record<string, unknown> = {};
  for (const [i, value] of places.entries()) given[names[i] as string] = value;
  for (const [name, value] of Object.entries(named ? last : {})) {
    if (!(names as readonly string[]).includes(name)) {
      throw new ArgumentError(`${what}: has no option "${name}"; its options are ${names.join(", ")}`);
    }
    if (given[name] !== undefined)
      throw new ArgumentError(`${what}: ${name} is given twice, by position and by name`);
    given[name] = value;
  }
  return given as Partial<O>;
}

/** Tensors given one by one or as one list. */
export function tensorList<T>(what: string, args: readonly (T | readonly T[])[]): T[] {
  const [first] = args;
  const list = args.length === 1 && Array.isArray(first) ? (first as T[]) : (args as readonly T[]);
  if (list.length === 0) throw new ArgumentError(`${what}: at least one tensor is required`);
  return [...list];
}
