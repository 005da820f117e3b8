import { requireFunction } from "./checks.js";
import { native } from "./native.js";

/** What the tensors of this thread hold. */
export interface MemoryStats {
  /** Bytes that live tensors hold, as far as it is known, with a flat amount for each tensor's own overhead. */
  liveBytes: number;
  /** How many tensors and generators are not collected yet. */
  liveTensors: number;
  /** How often memory pressure made the collector look at young objects. */
  minorCollections: number;
  /** How often it made it look at all objects. */
  majorCollections: number;
}

/** What the tensors of this thread hold, and how often memory pressure caused a collection. */
export function memoryStats(): MemoryStats {
  return native.memoryStats();
}

/** Frees every unreachable tensor now. Not needed in a program: collections happen by themselves as tensors are made. */
export function collect(): void {
  native.collect();
}

/** @internal Runs a function whose tensors are all kept: looking for ones that are not would be in vain, again and again. */
export function keepingAll<T>(make: () => T): T {
  requireFunction(make, "keepingAll");
  const before = native.pauseCollection(true);
  try {
    return make();
  } finally {
    native.pauseCollection(before);
  }
}
