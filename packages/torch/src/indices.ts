import { requireArray } from "./checks.js";
import { ArgumentError } from "./errors.js";
import { call } from "./operator.js";
import { optional } from "./optional.js";
import { Tensor } from "./tensor.js";

/**
 * The coordinates, one tensor for each dimension, of positions in a tensor's row-major order.
 *
 * @throws ArgumentError where the indices are not integers or a size is negative
 * @see https://pytorch.org/docs/stable/generated/torch.unravel_index.html
 */
export function unravelIndex(indices: Tensor, shape: number | readonly number[]): Tensor[] {
  Tensor.unwrap(indices, "unravelIndex: indices");
  if (typeof shape !== "number") requireArray(shape, "unravelIndex: shape");
  const sizes = typeof shape === "number" ? [shape] : [...shape];
  if (indices.isFloatingPoint() || indices.isComplex() || indices.dtype === "bool") {
    throw new ArgumentError(`unravelIndex: indices must have an integer type, got ${indices.dtype}`);
  }
  if (!sizes.every((size) => Number.isInteger(size) && size >= (indices.numel() > 0 ? 1 : 0))) {
    throw new ArgumentError(`unravelIndex: shape must hold positive integers, got [${sizes.join(", ")}]`);
  }
  let stride = 1;
  const result: Tensor[] = [];
  for (const size of [...sizes].reverse()) {
    result.unshift(indices.div(stride, { roundingMode: "floor" }).remainder(size));
    stride *= size;
  }
  return result;
}

/**
 * Where a tensor is not zero: the coordinates as the rows of one tensor, or with `asTuple` one tensor for each dimension, as an
 * index takes them.
 *
 * @see https://pytorch.org/docs/stable/generated/torch.nonzero.html
 */
export function nonzero(input: Tensor, options: { asTuple: true }): Tensor[];
export function nonzero(input: Tensor, options?: { asTuple?: false }): Tensor;
export function nonzero(input: Tensor, ...args: unknown[]): Tensor | Tensor[] {
  const { asTuple = false } = optional<{ asTuple: boolean }>("nonzero", ["asTuple"], args);
  return call(asTuple ? "aten::nonzero_numpy" : "aten::nonzero", input) as Tensor | Tensor[];
}
