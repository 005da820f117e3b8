import { Tensor } from "../tensor.js";

/** Tensors in arrays and plain objects, also nested. */
export type Tree = Tensor | readonly Tree[] | { readonly [key: string]: Tree };

const isPlain = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;

/** The same form with each tensor replaced; what is no tensor stays. */
export function mapTensors(value: unknown, change: (tensor: Tensor) => unknown): unknown {
  if (value instanceof Tensor) return change(value);
  if (Array.isArray(value)) return value.map((part) => mapTensors(part, change));
  if (isPlain(value))
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, mapTensors(part, change)]));
  return value;
}

/** The tensors in order. */
export function tensorsIn(value: unknown): Tensor[] {
  const found: Tensor[] = [];
  mapTensors(value, (tensor) => found.push(tensor));
  return found;
}

/** The form of `like` with the given values in place of its tensors. */
export function rebuild(like: unknown, values: readonly unknown[]): unknown {
  let at = 0;
  return mapTensors(like, () => values[at++]);
}

/**
 * Something said of a tree, for each of its tensors: where it is not of the tree's form, it is said of all below.
 *
 * @param isOne whether a value is said of one tensor
 */
export function spread<T>(
  tree: unknown,
  said: unknown,
  isOne: (value: unknown) => value is T,
): T[] | undefined {
  if (isOne(said)) return tensorsIn(tree).map(() => said);
  const parts = (value: unknown): unknown[] | undefined =>
    Array.isArray(value) ? value : isPlain(value) ? Object.values(value) : undefined;
  const [trees, sayings] = [parts(tree), parts(said)];
  if (trees === undefined || sayings === undefined || trees.length !== sayings.length) return undefined;
  const found: T[] = [];
  for (const [i, part] of trees.entries()) {
    const below = spread(part, sayings[i], isOne);
    if (below === undefined) return undefined;
    found.push(...below);
  }
  return found;
}
