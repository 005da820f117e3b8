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
    if (value !== null && !Number.isInteger(value)) throw new ArgumentError(`slice: ${name} must be an integer or null, got ${String(value)}`);
  }
  if (step <= 0) throw new ArgumentError(`slice: step must be positive, got ${step}; flip() reverses a dimension`);
  return new Slice(start, stop, step);
}

/** What {@link Tensor.get} and {@link Tensor.set} take for one dimension. */
export type Index = number | Slice | null | "..." | boolean | Tensor | readonly number[] | readonly boolean[];

const isNumbers = (index: unknown): index is readonly (number | boolean)[] =>
  Array.isArray(index) && index.length > 0 && index.every((v) => typeof v === "number" || typeof v === "boolean");

function describe(index: unknown): string {
  return typeof index === "object" ? (index?.constructor?.name ?? "object") : String(index);
}

/** How many dimensions of the tensor an index stands for. */
function consumed(index: Index): number {
  if (index === null || index === "..." || typeof index === "boolean") return 0;
  if (index instanceof Tensor) return index.dtype === "bool" || index.dtype === "uint8" ? index.ndim : 1;
  return 1;
}

interface Parts {
  /** The tensor after numbers, slices and new dimensions. */
  view: Tensor;
  /** Tensors of indices or masks for its dimensions, null where all is taken; empty where there are none. */
  tensors: (Tensor | null)[];
}

/** Applies numbers, slices, new dimensions, and collects what is left as tensors of indices. */
function apply(tensor: Tensor, given: Index | readonly Index[]): Parts {
  const indices = (Array.isArray(given) ? given : [given]) as readonly Index[];
  const ellipses = indices.filter((index) => index === "...").length;
  if (ellipses > 1) throw new ArgumentError('get: an index can have only one "..."');
  const taken = indices.reduce<number>((sum, index) => sum + consumed(index), 0);
  const rank = tensor.ndim;
  if (taken > rank) {
    throw new ArgumentError(`get: too many indices: the tensor has ${rank} dimensions, the index is for ${taken}`);
  }
  let view = tensor;
  let dim = 0;
  const tensors: (Tensor | null)[] = [];
  const put = (index: Tensor): void => {
    while (tensors.length < dim) tensors.push(null);
    tensors.push(index);
  };
  for (const index of indices) {
    if (typeof index === "number") {
      if (!Number.isInteger(index)) throw new ArgumentError(`get: an index must be an integer, got ${index}`);
      const size = view.size(dim);
      if (index >= size || index < -size) {
        throw new ArgumentError(`get: index ${index} is out of range for a dimension of size ${size}`);
      }
      view = view.select(dim, index);
    } else if (index instanceof Slice) {
      if (index.start !== null || index.stop !== null || index.step !== 1) {
        view = view.slice(dim, index.start, index.stop, index.step);
      }
      dim += 1;
    } else if (index === null) {
      view = view.unsqueeze(dim);
      dim += 1;
    } else if (index === "...") {
      dim += rank - taken;
    } else if (typeof index === "boolean") {
      view = view.unsqueeze(dim);
      put(call("aten::full", [index ? 1 : 0], 0, { dtype: "int64", device: view.device }) as Tensor);
      dim += 1;
    } else if (index instanceof Tensor) {
      put(index);
      dim += consumed(index);
    } else if (isNumbers(index)) {
      put(listTensor(index));
      dim += 1;
    } else {
      throw new ArgumentError(
        `get: an index must be an integer, slice(), null, "...", a boolean, a Tensor or an array of integers, got ${describe(index)}`,
      );
    }
  }
  return { view, tensors };
}

function listTensor(list: readonly (number | boolean)[]): Tensor {
  const isMask = typeof list[0] === "boolean";
  const values = isMask
    ? Uint8Array.from(list, Number)
    : BigInt64Array.from(list, (v) => {
        if (!Number.isInteger(v)) throw new ArgumentError(`get: indices must be integers, got ${String(v)}`);
        return BigInt(v);
      });
  return Tensor.fromTypedArray(values, [list.length], isMask ? "bool" : "int64");
}

/** See {@link Tensor.get}. */
export function getIndex(tensor: Tensor, index: Index | readonly Index[]): Tensor {
  const { view, tensors } = apply(tensor, index);
  if (tensors.length > 0) return call("aten::index", view, tensors) as Tensor;
  return view === tensor ? (call("aten::alias", tensor) as Tensor) : view;
}

/** See {@link Tensor.set}. */
export function setIndex(tensor: Tensor, index: Index | readonly Index[], value: Tensor | number | bigint | boolean): void {
  const { view, tensors } = apply(tensor, index);
  if (tensors.length === 0) {
    if (value instanceof Tensor) view.copy_(withoutLeadingOnes(value, view.ndim));
    else view.fill_(value);
    return;
  }
  const source = value instanceof Tensor ? value : (call("aten::scalar_tensor", value, { dtype: view.dtype, device: view.device }) as Tensor);
  call("aten::index_put_", view, tensors, source);
}

/** As in Python, a value may have further dimensions of size one in front. */
function withoutLeadingOnes(value: Tensor, rank: number): Tensor {
  let result = value;
  while (result.ndim > rank && result.size(0) === 1) result = result.squeeze(0);
  return result;
}
