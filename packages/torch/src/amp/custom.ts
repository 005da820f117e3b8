import type { FunctionContext } from "../autograd.js";
import { requireFunction, requireOptions, requireText } from "../checks.js";
import type { Device } from "../device.js";
import type { DType } from "../dtype.js";
import { Tensor } from "../tensor.js";
import { autocast, isAutocastEnabled } from "./autocast.js";
import { getAutocastDtype } from "./state.js";

/** Options of {@link customFwd}. */
export interface CustomFwdOptions {
  /** The type of device whose autocast counts. */
  deviceType: Device;
  /** What floating point tensors are cast to; autocast is off inside then. Default: none, the function sees autocast as it is. */
  castInputs?: DType | null;
}

/** What the context of a forward keeps for its backward. */
interface CastContext extends FunctionContext {
  fwdUsedAutocast?: boolean;
  autocastDtype?: DType;
}

/**
 * The `forward` of an `autograd.Function` that behaves under autocast: what its `backward`, made by {@link customBwd}, needs to know
 * is kept.
 *
 * ```ts
 * class Linear extends autograd.Function {
 *   static override forward = amp.customFwd((ctx, x: Tensor) => { ... }, { deviceType: "cuda", castInputs: "float32" });
 *   static override backward = amp.customBwd((ctx, gradient: Tensor) => { ... }, { deviceType: "cuda" });
 * }
 * ```
 *
 * @see https://pytorch.org/docs/stable/amp.html#torch.amp.custom_fwd
 */
export function customFwd<C extends FunctionContext, A extends unknown[], R>(
  forward: (ctx: C, ...args: A) => R,
  options: CustomFwdOptions,
): (ctx: C, ...args: A) => R {
  requireFunction(forward, "customFwd");
  requireOptions(options, "customFwd");
  const { deviceType, castInputs = null } = options;
  requireText(deviceType, "customFwd: deviceType");
  const type = deviceType.split(":")[0];
  const cast = (value: unknown): unknown => {
    if (!(value instanceof Tensor)) return Array.isArray(value) ? value.map(cast) : value;
    const eligible =
      value.isFloatingPoint() && value.device.split(":")[0] === type && value.dtype !== "float64";
    return eligible && castInputs !== null ? value.to(castInputs) : value;
  };
  return (ctx, ...args) => {
    const context: CastContext = ctx;
    const enabled = isAutocastEnabled(deviceType);
    context.autocastDtype = getAutocastDtype(deviceType);
    context.fwdUsedAutocast = enabled && castInputs === null;
    if (castInputs === null || !enabled) return forward(ctx, ...args);
    return autocast({ device: deviceType, enabled: false }, () => forward(ctx, ...(args.map(cast) as A)));
  };
}

/**
 * The `backward` that belongs to a forward made by {@link customFwd}: it runs under the autocast that the forward ran under.
 *
 * @see https://pytorch.org/docs/stable/amp.html#torch.amp.custom_bwd
 */
export function customBwd<C extends FunctionContext, A extends unknown[], R>(
  backward: (ctx: C, ...gradients: A) => R,
  options: { deviceType: Device },
): (ctx: C, ...gradients: A) => R {
  return (ctx, ...gradients) => {
    const context: CastContext = ctx;
    const dtype = context.autocastDtype as "bfloat16" | "float16";
    return autocast({ device: options.deviceType, enabled: context.fwdUsedAutocast ?? false, dtype }, () =>
      backward(ctx, ...gradients),
    );
  };
}
