import { requireArray } from "./checks.js";
import { type Handle, native } from "./native.js";
import { Tensor } from "./tensor.js";

export * from "./creation.js";
export * from "./dtype-info.js";
export * from "./indices.js";
export * from "./inspect.js";
export * from "./linear-algebra.js";
export * from "./low-rank.js";
export * from "./nn/ops.generated.js";
export { call } from "./operator.js";
export * from "./ops.generated.js";
export * from "./shapes.js";
export * from "./sparse-creation.js";
export { stft } from "./spectral.js";
export * from "./unique.js";

/** The gradients of many tensors at once, null where there is none. */
export function grads(tensors: readonly Tensor[]): (Tensor | null)[] {
  return native
    .grads(handlesOf(tensors, "grads: tensors"))
    .map((handle) => (handle === null ? null : Tensor.wrap(handle)));
}

/**
 * Clears the gradients of many tensors at once.
 *
 * @param setToNone frees them (default) instead of filling them with zeros
 */
export function zeroGrad(tensors: readonly Tensor[], setToNone = true): void {
  native.zeroGrad(handlesOf(tensors, "zeroGrad: tensors"), setToNone);
}

function handlesOf(tensors: readonly Tensor[], what: string): Handle[] {
  requireArray(tensors, what);
  return tensors.map((t) => Tensor.unwrap(t, what));
}
