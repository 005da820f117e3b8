import { requireText } from "./checks.js";
import { cuda, type Device, mps, useDeterministicAlgorithms } from "./device.js";
import { ArgumentError } from "./errors.js";
import { native } from "./native.js";

/** How precisely matrices of `float32` are multiplied: `"high"` and `"medium"` allow the faster units of an accelerator. */
export type MatmulPrecision = "highest" | "high" | "medium";

/**
 * Sets how precisely matrices of `float32` are multiplied; `"highest"` until then.
 *
 * @see https://pytorch.org/docs/stable/generated/torch.set_float32_matmul_precision.html
 */
export function setFloat32MatmulPrecision(precision: MatmulPrecision): void {
  native.setFloat32MatmulPrecision(precision);
}

/** How precisely matrices of `float32` are multiplied. */
export function getFloat32MatmulPrecision(): MatmulPrecision {
  return native.getFloat32MatmulPrecision() as MatmulPrecision;
}

/**
 * Sets whether numbers too small for full precision become zero on the CPU.
 *
 * @returns whether the processor can do it
 * @see https://pytorch.org/docs/stable/generated/torch.set_flush_denormal.html
 */
export function setFlushDenormal(enabled: boolean): boolean {
  return native.setFlushDenormal(enabled);
}

/** Sets how many operators may run at the same time on the CPU; only before the first that does. */
export function setNumInteropThreads(count: number): void {
  native.setNumInteropThreads(count);
}

/** How many operators may run at the same time on the CPU. */
export function getNumInteropThreads(): number {
  return native.getNumInteropThreads();
}

/** Gives this thread the number of threads that was set in others. */
export function initNumThreads(): void {
  native.initNumThreads();
}

/** Sets whether libtorch repeats a warning that it gives once by default. */
export function setWarnAlways(enabled: boolean): void {
  native.setWarnAlways(enabled);
}

/** Whether libtorch repeats warnings. */
export function isWarnAlwaysEnabled(): boolean {
  return native.isWarnAlways();
}

/** Whether an operator without a deterministic implementation is a warning rather than an error. */
export function isDeterministicAlgorithmsWarnOnlyEnabled(): boolean {
  return native.isDeterministicWarnOnly();
}

const debugModes = ["default", "warn", "error"] as const;

/** What happens to operators without a deterministic implementation: nothing, a warning, an error. */
export type DeterministicDebugMode = (typeof debugModes)[number];

/**
 * Sets what happens to operators without a deterministic implementation, by name or number.
 *
 * @throws ArgumentError for other values
 * @see https://pytorch.org/docs/stable/generated/torch.set_deterministic_debug_mode.html
 */
export function setDeterministicDebugMode(mode: DeterministicDebugMode | 0 | 1 | 2): void {
  const number = typeof mode === "number" ? mode : debugModes.indexOf(mode);
  if (debugModes[number] === undefined) {
    throw new ArgumentError(
      `setDeterministicDebugMode: mode must be "default" (0), "warn" (1) or "error" (2), got ${JSON.stringify(mode)}`,
    );
  }
  useDeterministicAlgorithms(number > 0, { warnOnly: number === 1 });
}

/** What {@link setDeterministicDebugMode} has set, as a number. */
export function getDeterministicDebugMode(): 0 | 1 | 2 {
  if (!native.isDeterministic()) return 0;
  return native.isDeterministicWarnOnly() ? 1 : 2;
}

/**
 * The functions of a kind of device: {@link cuda} or {@link mps}.
 *
 * @throws ArgumentError for devices that have none
 */
export function getDeviceModule(device: Device): typeof cuda | typeof mps {
  requireText(device, "getDeviceModule: device");
  if (device.startsWith("cuda")) return cuda;
  if (device.startsWith("mps")) return mps;
  throw new ArgumentError(`getDeviceModule: device must be of the type "cuda" or "mps", got "${device}"`);
}
