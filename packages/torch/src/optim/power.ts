import { makeFunction } from "../operator.js";
import { scalarTensor } from "../ops.js";
import type { Tensor } from "../tensor.js";

const pow = makeFunction("aten::pow") as (base: number, exponent: Tensor) => Tensor;

/** The latest results: all parameters ask for the same. */
const latest = new Map<string, number>();
const manyResults = 64;

/**
 * A power to the last bit of PyTorch's, which has it from the C library; `**` often differs there. That is nothing in itself, but
 * where a gradient is no more than rounding, as that of the bias of an attention's keys, an optimizer makes whole steps of it.
 */
export function power(base: number, exponent: number): number {
  const key = `${base} ${exponent}`;
  let value = latest.get(key);
  if (value === undefined) {
    value = pow(base, scalarTensor(exponent, { dtype: "float64" })).item<number>();
    if (latest.size >= manyResults) latest.clear();
    latest.set(key, value);
  }
  return value;
}
