import type { Device } from "./device.js";
import { ArgumentError } from "./errors.js";
import { native } from "./native.js";

/** A device of the accelerator, by its number or its name such as `"cuda:1"`. Default: the current one. */
export type AcceleratorDevice = number | Device | null;

/** Whether there is an accelerator that can be used. */
export function isAvailable(): boolean {
  return deviceCount() > 0;
}

/** How many devices the accelerator has; 0 where there is none. */
export function deviceCount(): number {
  const type = native.acceleratorType();
  return type === null ? 0 : native.deviceCount(type);
}

/**
 * The type of the accelerator, null where there is none.
 *
 * @param options `checkAvailable` (default false): null also where it has no device
 */
export function currentAccelerator(options: { checkAvailable?: boolean } = {}): Device | null {
  if (options.checkAvailable && !isAvailable()) return null;
  return native.acceleratorType() as Device | null;
}

/** The number of the device that is used where none is named. Throws OperatorError where there is none. */
export function currentDeviceIndex(): number {
  return native.currentDeviceIndex();
}

/** Sets the device that is used where none is named. */
export function setDeviceIndex(device: number | Device): void {
  native.setDeviceIndex(indexOf(device, "setDeviceIndex") ?? 0);
}

/** Waits until all work queued on a device is done. Does nothing where there is no accelerator. */
export function synchronize(device: AcceleratorDevice = null): void {
  const type = native.acceleratorType();
  const index = indexOf(device, "synchronize");
  if (type !== null && isAvailable()) native.synchronize(index === null ? type : `${type}:${index}`);
}

/**
 * Statistics of the memory on a device, by PyTorch's names such as `"allocated_bytes.all.peak"`. Empty where there is no
 * accelerator, or nothing was allocated yet.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.accelerator.memory.memory_stats.html
 */
export function memoryStats(device: AcceleratorDevice = null): Record<string, number> {
  return native.deviceMemoryStats(indexOf(device, "memoryStats"));
}

/** The bytes that tensors hold on a device. */
export function memoryAllocated(device: AcceleratorDevice = null): number {
  return memoryStats(device)["allocated_bytes.all.current"] ?? 0;
}

/** The most bytes that tensors have held on a device, since the start or {@link resetPeakMemoryStats}. */
export function maxMemoryAllocated(device: AcceleratorDevice = null): number {
  return memoryStats(device)["allocated_bytes.all.peak"] ?? 0;
}

/** The bytes that libtorch holds on a device: for tensors, and free ones for those to come. */
export function memoryReserved(device: AcceleratorDevice = null): number {
  return memoryStats(device)["reserved_bytes.all.current"] ?? 0;
}

/** The most bytes that libtorch has held on a device, since the start or {@link resetPeakMemoryStats}. */
export function maxMemoryReserved(device: AcceleratorDevice = null): number {
  return memoryStats(device)["reserved_bytes.all.peak"] ?? 0;
}

/** Lets the peaks of the statistics begin anew. */
export function resetPeakMemoryStats(device: AcceleratorDevice = null): void {
  native.resetPeakDeviceMemoryStats(indexOf(device, "resetPeakMemoryStats"));
}

/** Sets the sums over all time of the statistics, such as how much was ever allocated, to zero. */
export function resetAccumulatedMemoryStats(device: AcceleratorDevice = null): void {
  native.resetAccumulatedDeviceMemoryStats(indexOf(device, "resetAccumulatedMemoryStats"));
}

/** Gives memory that no tensor uses back to the system. */
export function emptyCache(): void {
  native.emptyDeviceCache();
}

/** The free and all bytes of a device. Throws OperatorError where there is none. */
export function getMemoryInfo(device: AcceleratorDevice = null): { free: number; total: number } {
  const [free, total] = native.deviceMemoryInfo(indexOf(device, "getMemoryInfo"));
  return { free: free as number, total: total as number };
}

/** The number of a device; null for the current one. */
function indexOf(device: AcceleratorDevice, what: string): number | null {
  if (device === null) return null;
  if (typeof device === "number") {
    if (Number.isInteger(device) && device >= 0) return device;
  } else {
    const [type, index] = device.split(":");
    const accelerator = native.acceleratorType();
    if (accelerator === null || type === accelerator) return index === undefined ? null : Number(index);
  }
  throw new ArgumentError(
    `${what}: the device was given ${JSON.stringify(device)}; it is a number or a device of the accelerator ` +
      `"${native.acceleratorType() ?? "none"}".`,
  );
}
