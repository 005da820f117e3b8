import type { Device } from "../device.js";
import { isFloatingDType } from "../dtype.js";
import { ArgumentError, LevinError } from "../errors.js";
import { native } from "../native.js";
import { makeFunction } from "../operator.js";
import type { Tensor } from "../tensor.js";
import * as foreach from "./foreach.js";
import type { FusedOptions } from "./implementation.js";
import type { Kind } from "./kinds.js";
import type { Scaling } from "./optimizer.js";

/** A kernel that does an optimizer's whole step for lists of tensors. */
export type FusedKernel = (...args: unknown[]) => void;

export const fusedSGD = makeFunction("aten::_fused_sgd_") as FusedKernel;
export const fusedAdam = makeFunction("aten::_fused_adam_") as FusedKernel;
export const fusedAdamW = makeFunction("aten::_fused_adamw_") as FusedKernel;
export const fusedAdagrad = makeFunction("aten::_fused_adagrad_") as FusedKernel;

/** What a fused kernel works on. */
export interface FusedLists {
  /** Parameters, gradients and what is kept of each: one list each, in the order of the kernel's arguments. */
  lists: Tensor[][];
  /** The numbers of steps; empty for kernels that take none. */
  steps: Tensor[];
}

const handles = (tensors: readonly Tensor[]) => tensors.map((tensor) => tensor.handle);

/** Whether a group asks for the fused kernel or, with `byDefault`, leaves it open where the kernel's numbers are close enough. */
export function wantsFused(group: Required<FusedOptions>, kind: Kind, byDefault: boolean): boolean {
  const { device, deviceType, dtype } = kind;
  if (group.fused === true) {
    if (isFloatingDType(dtype) && ["cpu", "cuda", "mps", "xpu"].includes(deviceType)) return true;
    throw new ArgumentError(
      "`fused: true` requires all the params to be floating point Tensors of supported devices: cpu, cuda, mps, xpu; but got " +
        `${dtype} on ${device}`,
    );
  }
  if (!byDefault || group.fused === false || group.foreach !== null || group.differentiable) return false;
  // in types with few digits, what is rounded on the way makes a difference
  return (dtype === "float32" || dtype === "float64") && (deviceType === "cpu" || deviceType === "cuda");
}

/**
 * Runs a fused kernel, and counts the step.
 *
 * @returns false where the memory of the tensors does not fit the kernel, which was not called then
 */
export function runFused(
  kernel: FusedKernel,
  { lists, steps }: FusedLists,
  kind: Kind,
  options: Record<string, unknown>,
  scaling: Scaling | null,
): boolean {
  if (!native.fitsFusedKernel(lists.map(handles), handles(steps))) {
    if (scaling === null) return false;
    throw new LevinError(
      "the fused kernel cannot go through parameters, gradients and state side by side, since their shapes or strides differ; " +
        "with a GradScaler, give such parameters an optimizer with `fused: false`",
    );
  }
  const { device } = kind;
  const more = { ...options, ...(scaling && scalingOptions(scaling, device)) };
  if (steps.length > 0) foreach.add_(steps, 1);
  // kernels that take no number of steps take no list for it either
  kernel(...lists, ...(steps.length === 0 ? [] : [steps]), more);
  if (scaling !== null && steps.length > 0) {
    const foundInf = scaling.foundInf.to(device);
    foreach.sub_(
      steps,
      steps.map(() => foundInf),
    );
  }
  return true;
}

function scalingOptions({ gradScale, foundInf }: Scaling, device: Device): Record<string, Tensor> {
  const given = { foundInf: foundInf.to(device) };
  return gradScale === null ? given : { ...given, gradScale: gradScale.to(device) };
}
