import { cuda, type Device, mps } from "../device.js";
import { SerializationError } from "./errors.js";

/**
 * To which device what was saved from a device goes: one for all, by the name it was saved with, or by a function, which may
 * give undefined for "where it was".
 */
export type MapLocation =
  | Device
  | Readonly<Record<string, Device>>
  | ((location: string) => Device | undefined);

/**
 * The device for what was saved from a location.
 *
 * @throws SerializationError where it is not there
 */
export function deviceFor(location: string, mapLocation: MapLocation | undefined): Device {
  const device = mapped(location, mapLocation) ?? location;
  const [type, index] = device.split(":");
  const count = type === "cuda" ? cuda.deviceCount() : type === "mps" && mps.isAvailable() ? 1 : 0;
  if (type !== "cpu" && type !== "meta" && !(Number(index ?? 0) < count)) {
    throw new SerializationError(
      `the file has tensors for the device ${JSON.stringify(device)}, which is not there; give mapLocation: "cpu" to load them to the CPU`,
    );
  }
  return device as Device;
}

function mapped(location: string, mapLocation: MapLocation | undefined): Device | undefined {
  if (typeof mapLocation === "string") return mapLocation;
  if (typeof mapLocation === "function") return mapLocation(location);
  if (mapLocation !== undefined && Object.hasOwn(mapLocation, location)) return mapLocation[location];
  return undefined;
}
