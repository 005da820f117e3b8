import { shown } from "./checks.js";
import { ArgumentError } from "./errors.js";
import { native } from "./native.js";
import { Tensor } from "./tensor.js";

/** A tensor on its way to another thread: a plain object that can be posted as a message. */
export interface SharedTensor {
  readonly levinTensor: number;
}

/**
 * Prepares a tensor to be posted to another thread, which gets the same memory by {@link receive}, without a copy.
 *
 * What one thread writes into the memory the other one sees; its size can no longer change. A tensor that is never received
 * keeps its memory until the process ends.
 *
 * ```ts
 * worker.postMessage(torch.share(batch));                             // on one thread
 * parentPort.on("message", (shared) => use(torch.receive(shared)));   // on the other
 * ```
 *
 * @throws ArgumentError where the tensor is part of a graph, which stays with its thread: share `tensor.detach()`
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
  const token = (shared as SharedTensor | null | undefined)?.levinTensor;
  if (typeof token !== "number")
    throw new ArgumentError(`receive: what share() gave is required, got ${shown(shared)}`);
  return Tensor.wrap(native.adopt(token));
}
