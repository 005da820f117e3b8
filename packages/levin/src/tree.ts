import { Tensor } from "@levin/torch";

/** The structure of nested arrays and objects. */
export type TreeSpec = "leaf" | { list: TreeSpec[] } | { keys: string[]; values: TreeSpec[] };

/** Whether something is an object literal (and not an instance of a class). */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** The leaves of nested arrays and objects in order, and their structure; object literals may be declared leaves. */
export function flatten(
  tree: unknown,
  isLeaf: (node: object) => boolean = () => false,
): [unknown[], TreeSpec] {
  const leaves: unknown[] = [];
  const visit = (node: unknown): TreeSpec => {
    if (Array.isArray(node)) return { list: node.map(visit) };
    if (isPlainObject(node) && !isLeaf(node))
      return { keys: Object.keys(node), values: Object.values(node).map(visit) };
    leaves.push(node);
    return "leaf";
  };
  const spec = visit(tree);
  return [leaves, spec];
}

/** Puts leaves back into a structure. */
export function unflatten(spec: TreeSpec, leaves: readonly unknown[]): unknown {
  let next = 0;
  const build = (node: TreeSpec): unknown => {
    if (node === "leaf") return leaves[next++];
    if ("list" in node) return node.list.map(build);
    return Object.fromEntries(node.values.map((value, i) => [node.keys[i]!, build(value)]));
  };
  return build(spec);
}

/** Applies a function to each tensor in nested arrays, maps and objects; what holds no tensor that changes stays the same object. */
export function mapTensors<T>(data: T, fn: (tensor: Tensor) => Tensor): T {
  return map(data, fn) as T;
}

function map(data: unknown, fn: (tensor: Tensor) => Tensor): unknown {
  if (typeof data !== "object" || data === null) return data;
  if (data instanceof Tensor) return fn(data);
  if (Array.isArray(data)) {
    let copy: unknown[] | null = null;
    for (let i = 0; i < data.length; i++) {
      const value = map(data[i], fn);
      if (value !== data[i]) {
        copy ??= data.slice();
        copy[i] = value;
      }
    }
    return copy ?? data;
  }
  if (data instanceof Map) return new Map([...data].map(([key, value]) => [key, map(value, fn)]));
  if (!isPlainObject(data)) return data;
  let copy: Record<string, unknown> | null = null;
  for (const key of Object.keys(data)) {
    const value = map(data[key], fn);
    if (value !== data[key]) {
      copy ??= { ...data };
      copy[key] = value;
    }
  }
  return copy ?? data;
}

/** The first tensor in nested arrays, maps and objects. */
export function firstTensor(data: unknown): Tensor | null {
  if (typeof data !== "object" || data === null) return null;
  if (data instanceof Tensor) return data;
  const items = Array.isArray(data)
    ? data
    : data instanceof Map
      ? data.values()
      : isPlainObject(data)
        ? Object.values(data)
        : [];
  for (const item of items) {
    const found = firstTensor(item);
    if (found) return found;
  }
  return null;
}
