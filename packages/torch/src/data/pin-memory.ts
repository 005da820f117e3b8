import { Tensor } from "../tensor.js";

/** The batch with its tensors in pinned memory, from which an accelerator copies without waiting. Batches of other forms may bring a `pinMemory` of their own. */
export function pinMemory(batch: unknown): unknown {
  if (batch instanceof Tensor) return batch.pinMemory();
  if (Array.isArray(batch)) return batch.map(pinMemory);
  if (batch instanceof Map) return new Map([...batch].map(([key, value]) => [key, pinMemory(value)]));
  if (typeof batch !== "object" || batch === null) return batch;
  const own = (batch as { pinMemory?: unknown }).pinMemory;
  if (typeof own === "function") return own.call(batch);
  const prototype = Object.getPrototypeOf(batch);
  if (prototype !== Object.prototype && prototype !== null) return batch;
  return Object.fromEntries(Object.entries(batch).map(([key, value]) => [key, pinMemory(value)]));
}
