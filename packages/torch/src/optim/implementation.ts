import { getDefaultDtype, isComplexDType } from "../dtype.js";
import { ArgumentError } from "../errors.js";
import { call } from "../operator.js";
import { Tensor } from "../tensor.js";
import * as foreach from "./foreach.js";
import type { Kind } from "./kinds.js";

/** How a step is computed. */
export interface ForeachOptions {
  /**
   * `false` updates parameter after parameter: slower, with less memory for intermediate values. Otherwise one operator serves
   * all parameters. The numbers are the same. Default: null.
   */
  foreach?: boolean | null;
  /** Records the step itself for gradients through it; parameters need not be leaves then. Default: false. */
  differentiable?: boolean;
}

/** {@link ForeachOptions}, for optimizers with a fused kernel. */
export interface FusedOptions extends ForeachOptions {
  /**
   * Whether one kernel does the whole step. Default: null, which leaves it open: Adam and AdamW use the kernel for `float32` and
   * `float64` on CPU and CUDA unless `foreach` is given, and may then differ from PyTorch's default in the last bits; `false`
   * gives the same bits.
   */
  fused?: boolean | null;
}

/** {@link ForeachOptions}, for optimizers that can keep the number of steps on the device. */
export interface CapturableOptions extends ForeachOptions {
  /** Keeps the number of steps on the device, as PyTorch does for CUDA graphs. Only on accelerators. Default: false. */
  capturable?: boolean;
}

/** What is kept of a parameter by optimizers that count its steps. */
export interface CountingState extends Record<string, unknown> {
  step: Tensor;
}

/** Throws where options contradict each other. */
export function checkImplementation(options: FusedOptions): void {
  if (options.fused !== true) return;
  if (options.differentiable) throw new ArgumentError("`fused` does not support `differentiable`");
  if (options.foreach) throw new ArgumentError("`fused` and `foreach` cannot be `true` together.");
}

/** Throws where a gradient is sparse. */
export function refuseSparse(grad: Tensor, name: string, hint = ""): void {
  if (grad.layout !== "strided") throw new ArgumentError(`${name} does not support sparse gradients${hint}`);
}

/** Zeros like the parameter: same shape, type, device and order in memory. */
export function zerosLike(param: Tensor): Tensor {
  return call("aten::zeros_like", param, { memoryFormat: "preserve_format" }) as Tensor;
}

/** A number as PyTorch keeps it of a parameter: a tensor, on the host unless kernels on the device read it. */
export function scalarState(kind: Kind, value: number, { onDevice = false, fused = false } = {}): Tensor {
  const dtype = !fused && getDefaultDtype() === "float64" ? "float64" : "float32";
  return call("aten::full", [], value, { dtype, device: onDevice ? kind.device : "cpu" }) as Tensor;
}

/** The number of steps before the first one. */
export function newStep(kind: Kind, capturable: boolean): Tensor {
  if (capturable && !["cuda", "xpu", "hpu"].includes(kind.deviceType)) {
    throw new ArgumentError(
      `If capturable=true, params must be on supported devices: cuda, xpu, hpu; but got ${kind.device}.`,
    );
  }
  return scalarState(kind, 0, { onDevice: capturable });
}

/** The numbers of steps as tensors, also those that old files hold as plain numbers. */
export function stepsOf(states: readonly CountingState[], kind: Kind): Tensor[] {
  return states.map((state) => {
    if (!(state.step instanceof Tensor)) state.step = scalarState(kind, Number(state.step));
    return state.step;
  });
}

/** Counts one more step for each parameter, and gives the numbers. */
export function countStep(states: readonly CountingState[], kind: Kind): number[] {
  const steps = stepsOf(states, kind);
  foreach.add_(steps, 1);
  return steps.map((step) => step.item());
}

/** The gradients with the penalty for large parameters, or their opposites where one climbs. */
export function slopesOf(
  params: readonly Tensor[],
  grads: readonly Tensor[],
  { maximize, weightDecay }: { maximize: boolean; weightDecay: number },
): Tensor[] {
  const slopes = maximize ? foreach.neg(grads) : (grads as Tensor[]);
  return weightDecay === 0 ? slopes : foreach.add(slopes, params, { alpha: weightDecay });
}

/** Gives complex tensors as pairs of real numbers, and others as they are. */
export function realViews(kind: Kind): (tensors: Tensor[]) => Tensor[] {
  if (!isComplexDType(kind.dtype)) return (tensors) => tensors;
  return (tensors) => tensors.map((tensor) => call("aten::view_as_real", tensor) as Tensor);
}

/** Tensors as the step may keep them for its gradients: copies where it is recorded, since later steps change them in place. */
export function recorded(tensors: Tensor[], differentiable: boolean): Tensor[] {
  return differentiable ? tensors.map((tensor) => tensor.clone()) : tensors;
}
