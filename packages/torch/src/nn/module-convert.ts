/** Changing the type and the place of all parameters and buffers of a module. */
import type { Device } from "../device.js";
import type { DType } from "../dtype.js";
import { ArgumentError } from "../errors.js";
import { noGrad } from "../grad-mode.js";
import { call } from "../operator.js";
import { Tensor } from "../tensor.js";
import type { Module } from "./module.js";
import { describe, ownBuffers, ownParameters, setMember } from "./module-members.js";
import { Parameter } from "./parameter.js";

/** Options of {@link Module.to}. */
export interface ModuleToOptions {
  /** A floating point or complex type; integer parameters and buffers keep theirs. */
  dtype?: DType;
  /** Where all parameters and buffers go. */
  device?: Device;
  /** Whether the copies may run behind the host's back, where the memory is pinned. */
  nonBlocking?: boolean;
}

/** Replaces the values of all parameters, their gradients, and the buffers by what `fn` makes of them. */
export function mapTensors<M extends Module>(module: M, fn: (tensor: Tensor) => Tensor, recurse = true): M {
  noGrad(() => {
    const done = new Map<Parameter, Parameter>();
    for (const part of recurse ? module.modules() : [module]) {
      for (const [key, parameter] of ownParameters(part)) {
        const mapped = done.get(parameter) ?? mapParameter(parameter, fn);
        done.set(parameter, mapped);
        if (mapped !== parameter) setMember(part, key, mapped);
      }
      for (const [key, buffer] of ownBuffers(part)) {
        const mapped = fn(buffer);
        if (mapped !== buffer) setMember(part, key, mapped);
      }
      // The method is protected for users, who only override it.
      (part as unknown as { afterConversion(): void }).afterConversion();
    }
  });
  return module;
}

/** The parameter itself with other values, or a new one where its memory cannot be of the new kind, as from `meta` to `cpu`. */
function mapParameter(parameter: Parameter, fn: (tensor: Tensor) => Tensor): Parameter {
  const data = parameter.data;
  const mapped = fn(data);
  if (mapped === data) return parameter;
  const grad = parameter.grad;
  // A gradient of another type or device than its parameter is refused: it goes first, and comes back mapped.
  parameter.grad = null;
  let result = parameter;
  if (call("aten::_has_compatible_shallow_copy_type", data, mapped)) parameter.data = mapped;
  else result = new Parameter(mapped, { requiresGrad: parameter.requiresGrad });
  if (grad !== null) result.grad = fn(grad);
  return result;
}

/** Converts floating point parameters and buffers. */
export function convertFloating<M extends Module>(module: M, dtype: DType): M {
  return mapTensors(module, (tensor) =>
    tensor.isFloatingPoint() && tensor.dtype !== dtype ? tensor.to({ dtype }) : tensor,
  );
}

/** What a module is to be moved or converted to. */
export function toOptions(target: DType | Device | Tensor | ModuleToOptions): ModuleToOptions {
  if (target instanceof Tensor) return { dtype: target.dtype, device: target.device };
  if (typeof target === "object" && target !== null) return target;
  if (typeof target !== "string") {
    throw new ArgumentError(
      `to: was given ${describe(target)}; give a dtype, a device, a tensor or { dtype, device, nonBlocking }.`,
    );
  }
  return isDType(target) ? { dtype: target } : { device: target };
}

function isDType(name: DType | Device): name is DType {
  return /^(b?float|complex|u?int|bool|q)/.test(name);
}
