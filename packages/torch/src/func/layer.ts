import { native } from "../native.js";
import { Tensor } from "../tensor.js";

/** How random operators behave under `vmap`: refuse, draw once for all, or draw for each. */
export type Randomness = "error" | "same" | "different";

/** How many transforms are active. */
export let activeLayers = 0;

/** Runs a function under one of libtorch's transforms; its level says which tensors belong to it. */
export function inLayer<T>(kind: "grad" | "jvp", body: (level: number) => T): T {
  return runIn(native.pushLayer(kind), body);
}

/** Runs a function under a transform that hides a dimension of `batchSize`. */
export function inBatchLayer<T>(batchSize: number, randomness: Randomness, body: (level: number) => T): T {
  return runIn(native.pushLayer("vmap", batchSize, randomness), body);
}

function runIn<T>(level: number, body: (level: number) => T): T {
  activeLayers += 1;
  try {
    return body(level);
  } finally {
    activeLayers -= 1;
    native.popLayer(level);
  }
}

/** The tensor with one dimension hidden. */
export function hideDim(tensor: Tensor, dim: number, level: number): Tensor {
  return Tensor.wrap(native.addBatchDim(Tensor.unwrap(tensor, "vmap: an input"), dim, level));
}

/** The tensor with its hidden dimension in sight again; one without has the same values for each. */
export function showDim(tensor: Tensor, level: number, batchSize: number, dim: number): Tensor {
  return Tensor.wrap(native.removeBatchDim(Tensor.unwrap(tensor, "vmap: an output"), level, batchSize, dim));
}

/** The tensor apart from the graphs outside the level. */
export function enter(tensor: Tensor, level: number): Tensor {
  return Tensor.wrap(native.wrapForGrad(Tensor.unwrap(tensor, "an input"), level));
}

/** What the tensor is outside the level. */
export function leave(tensor: Tensor, level: number): Tensor {
  return Tensor.wrap(native.unwrapForGrad(Tensor.unwrap(tensor, "an output"), level));
}
