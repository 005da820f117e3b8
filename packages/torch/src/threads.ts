import { type Handle, native } from "./native.js";
import { Tensor } from "./tensor.js";

/** A tensor on its way to another thread: a plain object that can be posted as a message. */
export interface SharedTensor {
  readonly levinTensor: number;
}

/**
 * Prepares a tensor to be posted to another thread, which gets the same memory by {@link receive}, without a copy.
 * A tensor that is never received keeps its memory until the process ends.
 */
export function share(tensor: Tensor): SharedTensor {
  return { levinTensor: native.share(Tensor.unwrap(tensor, "share: tensor")) };
}

/**
 * The tensor that another thread has prepared by {@link share}.
 *
 * @throws ArgumentError where it was received before
 */
export function receive(shared: SharedTensor): Tensor {
  return Tensor.wrap(native.adopt(shared.levinTensor) as Handle);
}
