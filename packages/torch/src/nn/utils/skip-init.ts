import type { Device } from "../../device.js";
import { ArgumentError } from "../../errors.js";
import type { Module } from "../module.js";

/**
 * Makes a module without initialising its parameters: their values are whatever the memory held.
 *
 * ```ts
 * const linear = nn.utils.skipInit(nn.Linear, 1000, 1000, { bias: false });
 * ```
 *
 * @param args the arguments of the constructor; its options must have `device`
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.skip_init.html
 */
export function skipInit<Arguments extends unknown[], M extends Module>(
  moduleClass: new (...args: Arguments) => M,
  ...args: Arguments
): M {
  const last = args.at(-1);
  const hasOptions =
    typeof last === "object" && last !== null && Object.getPrototypeOf(last) === Object.prototype;
  const { device = "cpu", ...options } = (hasOptions ? last : {}) as { device?: Device };
  const given = [...(hasOptions ? args.slice(0, -1) : args), { ...options, device: "meta" }];
  const module = new moduleClass(...(given as Arguments));
  if ([...module.parameters(), ...module.buffers()].some((tensor) => tensor.device !== "meta")) {
    throw new ArgumentError(
      `skipInit: ${moduleClass.name} must support a device option to skip initialization.`,
    );
  }
  return module.toEmpty({ device });
}
