import { ArgumentError } from "../errors.js";
import { cat } from "../ops.generated.js";
import type { Tensor } from "../tensor.js";
import { hideDim, inBatchLayer, type Randomness, showDim } from "./layer.js";
import { rebuild, spread, tensorsIn } from "./tree.js";

/** Which dimension of each tensor is mapped over, null for none; for nested arguments in their form. */
export type Dims = number | null | readonly Dims[] | { readonly [key: string]: Dims };

/** Options of {@link vmap}. */
export interface VmapOptions {
  /** The dimension of each argument that is mapped over. Default: 0 for all. */
  inDims?: Dims;
  /** Where the dimension is in the outputs. Default: 0 for all. */
  outDims?: Dims;
  /** How random operators behave: an error, the same numbers for all, or different ones. Default: `"error"`. */
  randomness?: Randomness;
  /** How many are computed at once; less takes less memory. Default: all. */
  chunkSize?: number;
}

const isDim = (value: unknown): value is number | null => value === null || typeof value === "number";
const isOutDim = (value: unknown): value is number => typeof value === "number";

/**
 * A function that applies another one to each part of its arguments along a dimension, all at once.
 *
 * ```ts
 * const batchedDot = func.vmap((a, b) => a.dot(b));
 * batchedDot(torch.rand(8, 3), torch.rand(8, 3));            // shape [8]
 * func.vmap(func.grad(loss), { inDims: [null, 0] })(weights, samples)   // gradients for each sample
 * ```
 *
 * The function must consist of operators; it can't look at values (`item`, `toArray`) or depend on them.
 *
 * @throws ArgumentError where the dimensions do not fit the arguments, or differ in size
 * @see https://pytorch.org/docs/stable/generated/torch.func.vmap.html
 */
export function vmap<A extends unknown[], R>(
  func: (...args: A) => R,
  options: VmapOptions = {},
): (...args: A) => R {
  const { inDims = 0, outDims = 0, randomness = "error", chunkSize } = options;
  if (chunkSize !== undefined && !(Number.isInteger(chunkSize) && chunkSize > 0)) {
    throw new ArgumentError(`vmap: chunkSize must be a positive whole number, got ${chunkSize}`);
  }
  return (...args) => {
    const tensors = tensorsIn(args);
    const dims = spread(args, inDims, isDim);
    if (dims === undefined)
      throw new ArgumentError(
        `vmap: inDims must be a number, null or of the form of the arguments, got ${JSON.stringify(inDims)}`,
      );
    const size = batchSize(tensors, dims);
    const call = (batch: readonly Tensor[], count: number): R =>
      inBatchLayer(count, randomness, (level) => {
        const hidden = batch.map((tensor, i) =>
          dims[i] === null ? tensor : hideDim(tensor, dims[i] as number, level),
        );
        const output = func(...(rebuild(args, hidden) as A));
        return rebuild(output, showAll(output, outDims, level, count)) as R;
      });
    if (chunkSize === undefined || chunkSize >= size) return call(tensors, size);
    const parts: R[] = [];
    for (let from = 0; from < size; from += chunkSize) {
      const count = Math.min(chunkSize, size - from);
      parts.push(
        call(
          tensors.map((tensor, i) =>
            dims[i] === null ? tensor : tensor.narrow(dims[i] as number, from, count),
          ),
          count,
        ),
      );
    }
    return joined(parts, outDims);
  };
}

function batchSize(tensors: readonly Tensor[], dims: readonly (number | null)[]): number {
  const sizes = tensors.flatMap((tensor, i) => (dims[i] === null ? [] : [tensor.size(dims[i] as number)]));
  const [size] = sizes;
  if (size === undefined)
    throw new ArgumentError("vmap: at least one argument must be a Tensor with a dimension in inDims");
  if (sizes.some((other) => other !== size))
    throw new ArgumentError(`vmap: the mapped dimensions must have one size, got ${sizes.join(", ")}`);
  if (size === 0) throw new ArgumentError("vmap: the mapped dimension is empty");
  return size;
}

function outDimsOf(output: unknown, outDims: Dims): number[] {
  const dims = spread(output, outDims, isOutDim);
  if (dims === undefined)
    throw new ArgumentError(
      `vmap: outDims must be a number or of the form of the outputs, got ${JSON.stringify(outDims)}`,
    );
  return dims;
}

function showAll(output: unknown, outDims: Dims, level: number, size: number): Tensor[] {
  const tensors = tensorsIn(output);
  if (tensors.length === 0)
    throw new ArgumentError("vmap: the function must give Tensors, or arrays or objects of them");
  const dims = outDimsOf(output, outDims);
  return tensors.map((tensor, i) => showDim(tensor, level, size, dims[i] as number));
}

function joined<R>(parts: readonly R[], outDims: Dims): R {
  const dims = outDimsOf(parts[0], outDims);
  const lists = parts.map(tensorsIn);
  return rebuild(
    parts[0],
    dims.map((dim, i) =>
      cat(
        lists.map((list) => list[i] as Tensor),
        dim,
      ),
    ),
  ) as R;
}
