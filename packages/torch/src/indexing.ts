import { inspect } from "node:util";
import type { Scalar } from "./complex.js";
import { ArgumentError } from "./errors.js";
import { call } from "./operator.js";
import { Tensor } from "./tensor.js";

/** A range of positions along one dimension, as Python's `start:stop:step`. */
export class Slice {
  constructor(
    readonly start: number | null,
    readonly stop: number | null,
    readonly step: number,
  ) {}
}

/**
 * A range of positions along one dimension: `slice(1, 3)` is `1:3`, `slice(null, -1)` is `:-1`, `slice()` is `:`.
 *
 * @throws ArgumentError where a bound is not an integer or the step is not positive
 */
export function slice(start: number | null = null, stop: number | null = null, step = 1): Slice {
  for (const [name, value] of [
    ["start", start],
    ["stop", stop],
    ["step", step],
  ] as const) {
    if (value !== null && !Number.isInteger(value))
      throw new ArgumentError(`slice: ${name} must be an integer or null, got ${String(value)}`);
  }
  if (step <= 0)
    throw new ArgumentError(`slice: step must be positive, got ${step}; flip() reverses a dimension`);
  return new Slice(start, stop, step);
}

/** What {@link Tensor.get} and {@link Tensor.set} take for one dimension. */
export type Index = number | Slice | null | "..." | boolean | Tensor | readonly number[] | readonly boolean[];

const isNumbers = (index: unknown): index is readonly (number | boolean)[] =>
  Array.isArray(index) && index.every((v) => typeof v === "number" || typeof v === "boolean");

const isMask = (index: Tensor): boolean => index.dtype === "bool" || index.dtype === "uint8";

/** How many dimensions of the tensor an index stands for. */
function consumed(index: Index): number {
  if (index === null || index === "..." || typeof index === "boolean") return 0;
  return index instanceof Tensor && isMask(index) ? index.ndim : 1;
}

interface Parts {
  /** The tensor after numbers, slices and new dimensions. */
  view: Tensor;
  /** Tensors of indices or masks for its dimensions, null where all is taken; empty where there are none. */
  tensors: (Tensor | null)[];
}

/** Applies numbers, slices, new dimensions, and collects what is left as tensors of indices. */
function apply(tensor: Tensor, indices: readonly Index[], method: string): Parts {
  const rank = tensor.ndim;
  let ellipses = 0;
  let taken = 0;
  for (const index of indices) {
    if (index === "...") ellipses += 1;
    else taken += consumed(index);
  }
  if (ellipses > 1) throw new ArgumentError(`${method}: an index can have only one "..."`);
  if (taken > rank) {
    throw new ArgumentError(
      `${method}: too many indices: the tensor has ${rank} dimensions, the index is for ${taken}`,
    );
  }
  let view = tensor;
  let dim = 0;
  const tensors: (Tensor | null)[] = [];
  // A mask of several dimensions is one entry of the list, so places are counted from the first tensor on.
  const put = (index: Tensor): void => {
    if (tensors.length === 0) while (tensors.length < dim) tensors.push(null);
    tensors.push(index);
  };
  const skip = (count: number): void => {
    dim += count;
    if (tensors.length > 0) for (let i = 0; i < count; i++) tensors.push(null);
  };
  for (const index of indices) {
    if (typeof index === "number") {
      view = select(view, dim, index, method);
    } else if (index instanceof Slice) {
      if (index.start !== null || index.stop !== null || index.step !== 1) {
        view = view.slice(dim, index.start, index.stop, index.step);
      }
      skip(1);
    } else if (index === null) {
      view = view.unsqueeze(dim);
      skip(1);
    } else if (index === "...") {
      skip(rank - taken);
    } else if (typeof index === "boolean") {
      view = view.unsqueeze(dim);
      put(all(index, view));
      dim += 1;
    } else if (index instanceof Tensor) {
      if (index.ndim === 0 && isMask(index)) {
        view = view.unsqueeze(dim);
        put(all(index.item() !== 0 && index.item<unknown>() !== false, view));
        dim += 1;
      } else if (index.ndim === 0 && isInteger(index)) {
        view = select(view, dim, index.item(), method);
      } else {
        put(index);
        dim += consumed(index);
      }
    } else if (isNumbers(index)) {
      put(listTensor(index, method));
      dim += 1;
    } else {
      throw new ArgumentError(
        `${method}: an index must be an integer, slice(), null, "...", a boolean, a Tensor or an array of integers or booleans, ` +
          `got ${inspect(index, { depth: 1, breakLength: Number.POSITIVE_INFINITY })}`,
      );
    }
  }
  return { view, tensors };
}

const isInteger = (index: Tensor): boolean => /^u?int/.test(index.dtype);

function select(view: Tensor, dim: number, index: number, method: string): Tensor {
  if (!Number.isInteger(index))
    throw new ArgumentError(`${method}: an index must be an integer, got ${index}`);
  return view.select(dim, index);
}

/** Indices for a dimension of size one: all of it or nothing. */
function all(taken: boolean, view: Tensor): Tensor {
  return call("aten::full", [taken ? 1 : 0], 0, { dtype: "int64", device: view.device }) as Tensor;
}

function listTensor(list: readonly (number | boolean)[], method: string): Tensor {
  const kind = typeof list[0];
  if (list.some((v) => typeof v !== kind))
    throw new ArgumentError(`${method}: an array of indices must be all integers or all booleans`);
  if (kind === "boolean") return Tensor.fromTypedArray(Uint8Array.from(list, Number), [list.length], "bool");
  const values = BigInt64Array.from(list, (v) => {
    if (!Number.isInteger(v))
      throw new ArgumentError(`${method}: an index must be an integer, got ${String(v)}`);
    return BigInt(v);
  });
  return Tensor.fromTypedArray(values, [list.length], "int64");
}

/** See {@link Tensor.get}. */
export function getIndex(tensor: Tensor, index: Index | readonly Index[]): Tensor {
  if (typeof index === "number") return select(tensor, 0, index, "get");
  const { view, tensors } = apply(tensor, Array.isArray(index) ? index : [index as Index], "get");
  if (tensors.length > 0) return call("aten::index", view, tensors) as Tensor;
  return view === tensor ? (call("aten::alias", tensor) as Tensor) : view;
}

/** See {@link Tensor.set}. */
export function setIndex(tensor: Tensor, index: Index | readonly Index[], value: Tensor | Scalar): void {
  const { view, tensors } = apply(tensor, Array.isArray(index) ? index : [index as Index], "set");
  if (tensors.length === 0) {
    if (value instanceof Tensor) view.copy_(withoutLeadingOnes(value, view.ndim));
    else view.fill_(value);
    return;
  }
  const source =
    value instanceof Tensor
      ? withoutLeadingOnes(value, 0)
      : (call("aten::scalar_tensor", value, { dtype: view.dtype, device: view.device }) as Tensor);
  call("aten::index_put_", view, tensors, source);
}

/** As in Python, a value may have further dimensions of size one in front. */
function withoutLeadingOnes(value: Tensor, rank: number): Tensor {
  const shape = value.shape;
  let extra = 0;
  while (shape.length - extra > rank && shape[extra] === 1) extra += 1;
  return extra === 0 ? value : value.view(shape.slice(extra));
}
