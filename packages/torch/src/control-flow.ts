/** PyTorch's control flow by functions, for programs that share it: nothing is traced here, so that `if` and `while` do as well. */
import { refusePromise, requireArray, requireFunction, shown } from "./checks.js";
import { ArgumentError } from "./errors.js";
import { Tensor } from "./tensor.js";

/** A truth value, also in a tensor with one element. */
function truthOf(value: unknown, what: string): boolean {
  if (typeof value === "boolean") return value;
  if (value instanceof Tensor && value.numel() === 1) return Boolean(value.item());
  throw new ArgumentError(`${what} must be a boolean or a tensor with one element, got ${shown(value)}`);
}

/**
 * Calls one of two functions with the operands and gives its result.
 *
 * ```ts
 * torch.cond(x.sum().gt(0), (x) => x.cos(), (x) => x.sin(), [x]);
 * ```
 *
 * @param pred whether it is `trueFn` that is called: a boolean, or a tensor with one element
 * @param operands Default: none.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.cond.html
 */
export function cond<Operands extends readonly unknown[], Result>(
  pred: boolean | Tensor,
  trueFn: (...operands: Operands) => Result,
  falseFn: (...operands: Operands) => Result,
  operands: [...Operands] = [] as unknown as [...Operands],
): Result {
  requireFunction(trueFn, "cond: trueFn");
  requireFunction(falseFn, "cond: falseFn");
  requireArray(operands, "cond: operands");
  return (truthOf(pred, "cond: pred") ? trueFn : falseFn)(...operands);
}

/**
 * Calls `bodyFn` with what it gave before as long as `condFn` says so, and gives the last tensors.
 *
 * ```ts
 * torch.whileLoop((i) => i.lt(10), (i, x) => [i.add(1), x.mul(2)], [torch.tensor(0), x]);
 * ```
 *
 * @param condFn gives a boolean, or a tensor with one element
 * @param bodyFn gives as many tensors as it takes
 * @param carriedInputs the first tensors
 * @see https://docs.pytorch.org/docs/stable/generated/torch.while_loop.html
 */
export function whileLoop<Inputs extends readonly Tensor[]>(
  condFn: (...carried: Tensor[]) => boolean | Tensor,
  bodyFn: (...carried: Tensor[]) => readonly Tensor[],
  carriedInputs: readonly [...Inputs],
): { [Input in keyof Inputs]: Tensor } {
  requireFunction(condFn, "whileLoop: condFn");
  requireFunction(bodyFn, "whileLoop: bodyFn");
  requireArray(carriedInputs, "whileLoop: carriedInputs");
  let carried: readonly Tensor[] = carriedInputs;
  while (truthOf(condFn(...carried), "whileLoop: the result of condFn")) {
    const next = bodyFn(...carried);
    refusePromise(next, "whileLoop");
    requireArray(next, "whileLoop: the result of bodyFn");
    if (next.length !== carried.length) {
      throw new ArgumentError(
        `whileLoop: bodyFn must give as many tensors as it takes, ${carried.length}, got ${next.length}`,
      );
    }
    carried = next;
  }
  return carried as { [Input in keyof Inputs]: Tensor };
}
