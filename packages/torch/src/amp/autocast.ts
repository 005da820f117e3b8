import type { Device } from "../device.js";
import type { DType } from "../dtype.js";
import { ArgumentError } from "../errors.js";
import { native } from "../native.js";

/** How operators are cast to a lower precision. */
export interface AutocastOptions {
  /** The type of device whose operators are cast. */
  device: Device;
  /** Default: `"bfloat16"` on the CPU, `"float16"` elsewhere. */
  dtype?: "bfloat16" | "float16";
  /** Default: true. */
  enabled?: boolean;
  /** Whether casts of parameters are kept until the outermost region ends. Default: true. */
  cacheEnabled?: boolean;
}

/**
 * Sets how operators are cast from now on; the function it returns sets back what was before.
 *
 * @see https://pytorch.org/docs/stable/amp.html
 */
export function setAutocast(options: AutocastOptions): () => void {
  const type = options.device.split(":")[0] ?? options.device;
  const dtype: DType = options.dtype ?? (type === "cpu" ? "bfloat16" : "float16");
  const [enabled, before, cache] = native.autocastState(type);
  native.setAutocast(type, options.enabled ?? true, dtype, options.cacheEnabled ?? true, 1);
  return () => native.setAutocast(type, enabled, before, cache, -1);
}

/**
 * Runs a synchronous function with operators cast to a lower precision where that is safe.
 *
 * @throws ArgumentError where the function returns a promise
 * @see https://pytorch.org/docs/stable/amp.html#torch.autocast
 */
export function autocast<T>(options: AutocastOptions, body: () => T): T {
  const restore = setAutocast(options);
  let result: T;
  try {
    result = body();
  } finally {
    restore();
  }
  if (typeof (result as { then?: unknown } | null)?.then === "function") {
    throw new ArgumentError("autocast: the function must be synchronous, it returned a promise; await first, and call it with the values");
  }
  return result;
}

/** Whether operators on the type of device are cast at the moment. */
export function isAutocastEnabled(device: Device): boolean {
  return native.autocastState(device.split(":")[0] ?? device)[0];
}
