import { requireText } from "../checks.js";
import type { Device } from "../device.js";
import type { DType } from "../dtype.js";
import { native } from "../native.js";

function typeOf(device: Device): string {
  requireText(device, "autocast: device");
  return device.split(":")[0] ?? device;
}

/** Changes one part of what autocast does on a type of device. */
function change(device: Device, part: { enabled?: boolean; dtype?: DType; cacheEnabled?: boolean }): void {
  const type = typeOf(device);
  const [enabled, dtype, cacheEnabled] = native.autocastState(type);
  native.setAutocast(
    type,
    part.enabled ?? enabled,
    part.dtype ?? dtype,
    part.cacheEnabled ?? cacheEnabled,
    0,
  );
}

/** The type that operators are cast to on a type of device. */
export function getAutocastDtype(device: Device): DType {
  return native.autocastState(typeOf(device))[1] as DType;
}

/** Sets the type that operators are cast to on a type of device, whether or not they are at the moment. */
export function setAutocastDtype(device: Device, dtype: "bfloat16" | "float16"): void {
  change(device, { dtype });
}

/** Sets whether operators are cast on a type of device from now on; `autocast` does so for a function. */
export function setAutocastEnabled(device: Device, enabled: boolean): void {
  change(device, { enabled });
}

/** Whether casts of parameters are kept. */
export function isAutocastCacheEnabled(): boolean {
  return native.autocastState("cpu")[2];
}

/** Sets whether casts of parameters are kept. */
export function setAutocastCacheEnabled(enabled: boolean): void {
  change("cpu", { cacheEnabled: enabled });
}

/** Forgets the casts of parameters. */
export function clearAutocastCache(): void {
  native.clearAutocastCache();
}

/** Whether operators can be cast on a type of device. */
export function isAutocastAvailable(device: Device): boolean {
  return ["cpu", "cuda", "mps", "xpu"].includes(typeOf(device));
}
