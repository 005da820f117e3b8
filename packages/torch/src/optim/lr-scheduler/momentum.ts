import { ArgumentError } from "../../errors.js";
import type { Optimizer } from "../optimizer.js";
import type { Group } from "./scheduler-base.js";

/** Whether the optimizer's momentum is its first beta; throws where it has neither. */
export function usesBeta1(optimizer: Optimizer): boolean {
  if ("betas" in optimizer.defaults) return true;
  if ("momentum" in optimizer.defaults) return false;
  throw new ArgumentError("optimizer must support momentum or beta1 with `cycleMomentum` option enabled");
}

/** Sets a group's momentum, or its first beta. */
export function setMomentum(group: Group, useBeta1: boolean, value: number): void {
  const options = group as Record<string, unknown>;
  if (useBeta1) options.betas = [value, ...(options.betas as number[]).slice(1)];
  else options.momentum = value;
}
