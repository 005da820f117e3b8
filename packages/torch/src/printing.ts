import type { Tensor } from "./tensor.js";

/** A tensor as text. */
export function format(tensor: Tensor): string {
  return `tensor(${JSON.stringify(tensor.toArray())})`;
}
