import { refusePromise, requireFunction, requireOptions } from "../checks.js";
import type { Device } from "../device.js";
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
  requireOptions(options, "autocast");
  const type = typeOf(options.device);
  const { dtype = type === "cpu" ? "bfloat16" : "float16", enabled = true, cacheEnabled = true } = options;
  const [enabledBefore, dtypeBefore, cacheBefore] = native.autocastState(type);
  native.setAutocast(type, enabled, dtype, cacheEnabled, 1);
  let restored = false;
  return () => {
    if (restored) return;
    restored = true;
    native.setAutocast(type, enabledBefore, dtypeBefore, cacheBefore, -1);
  };
}

/** The type of a device: `"cuda"` of `"cuda:1"`. The addon refuses what is no device. */
const typeOf = (device: Device): string => String(device).split(":", 1)[0] as string;

/**
 * Runs a synchronous function with operators cast to a lower precision where that is safe.
 *
 * ```ts
 * const loss = amp.autocast({ device: "cpu", dtype: "bfloat16" }, () => model.forward(x).sum());
 * ```
 *
 * @throws ArgumentError where the function returns a promise
 * @see https://pytorch.org/docs/stable/amp.html#torch.autocast
 */
export function autocast<T>(options: AutocastOptions, body: () => T): T {
  requireFunction(body, "autocast");
  const restore = setAutocast(options);
  let result: T;
  try {
    result = body();
  } finally {
    restore();
  }
  refusePromise(result, "autocast");
  return result;
}

/** Whether operators on the type of device are cast at the moment. */
export function isAutocastEnabled(device: Device): boolean {
  return native.autocastState(typeOf(device))[0];
}
