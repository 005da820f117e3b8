import { call } from "./operator.js";
import { optional } from "./optional.js";
import type { Tensor } from "./tensor.js";

/** Options of {@link uniqueConsecutive}. */
export interface UniqueConsecutiveOptions {
  /** Also gives, for each element of the input, where its value is in the output. Default: false. */
  returnInverse?: boolean;
  /** Also gives how often each value occurs. Default: false. */
  returnCounts?: boolean;
  /** Compares the parts along this dimension. Default: single elements. */
  dim?: number | null;
}

/** Options of {@link unique}. */
export interface UniqueOptions extends UniqueConsecutiveOptions {
  /** Whether the values come in ascending order. Default: true. */
  sorted?: boolean;
}

/** The values that occur, with what else was asked for. */
export type UniqueResult<O> = O extends { returnInverse: true } | { returnCounts: true }
  ? { output: Tensor } & (O extends { returnInverse: true } ? { inverseIndices: Tensor } : unknown) &
      (O extends { returnCounts: true } ? { counts: Tensor } : unknown)
  : Tensor;

function pick(
  options: UniqueConsecutiveOptions,
  [output, inverseIndices, counts]: readonly Tensor[],
): unknown {
  const { returnInverse = false, returnCounts = false } = options;
  if (!returnInverse && !returnCounts) return output;
  return { output, ...(returnInverse && { inverseIndices }), ...(returnCounts && { counts }) };
}

/**
 * The different values of a tensor; with `returnInverse` or `returnCounts` an object that holds them as `output`.
 *
 * ```ts
 * torch.unique(x)                                        // a tensor
 * const { output, counts } = torch.unique(x, { returnCounts: true });
 * ```
 *
 * @see https://pytorch.org/docs/stable/generated/torch.unique.html
 */
export function unique<const O extends UniqueOptions = object>(input: Tensor, options?: O): UniqueResult<O>;
export function unique(input: Tensor, ...args: unknown[]): unknown {
  const options = optional<UniqueOptions>("unique", ["sorted", "returnInverse", "returnCounts", "dim"], args);
  const { sorted = true, returnInverse = false, returnCounts = false, dim = null } = options;
  if (dim === null)
    return pick(options, call("aten::_unique2", input, sorted, returnInverse, returnCounts) as Tensor[]);
  return pick(options, call("aten::unique_dim", input, dim, sorted, returnInverse, returnCounts) as Tensor[]);
}

/**
 * The values of a tensor without those that repeat the one before; with `returnInverse` or `returnCounts` an object.
 *
 * @see https://pytorch.org/docs/stable/generated/torch.unique_consecutive.html
 */
export function uniqueConsecutive<const O extends UniqueConsecutiveOptions = object>(
  input: Tensor,
  options?: O,
): UniqueResult<O>;
export function uniqueConsecutive(input: Tensor, ...args: unknown[]): unknown {
  const options = optional<UniqueConsecutiveOptions>(
    "uniqueConsecutive",
    ["returnInverse", "returnCounts", "dim"],
    args,
  );
  const { returnInverse = false, returnCounts = false, dim = null } = options;
  return pick(options, call("aten::unique_consecutive", input, returnInverse, returnCounts, dim) as Tensor[]);
}
