import { isComplexDType, isFloatingDType } from "../../dtype.js";
import { ArgumentError } from "../../errors.js";
import { noGrad } from "../../grad-mode.js";
import { call } from "../../operator.js";
import type { Tensor } from "../../tensor.js";

/** The new average of one tensor; `count` is how many values are in the old one. */
export type AvgFn = (averaged: Tensor, current: Tensor, count: number) => Tensor;

/** Updates the averages of many tensors, all of one device and type, in place. */
export type MultiAvgFn = (averaged: readonly Tensor[], current: readonly Tensor[], count: number) => void;

/**
 * Exponential moving average: `decay` times the old average, and the rest of the current value.
 *
 * @param decay from 0 to 1
 * @throws ArgumentError where `decay` is outside
 */
export function getEmaAvgFn(decay = 0.999): AvgFn {
  checkDecay(decay);
  return (averaged, current) => noGrad(() => averaged.mul(decay).add(current.mul(1 - decay)));
}

/** {@link getEmaAvgFn} for many tensors at once. */
export function getEmaMultiAvgFn(decay = 0.999): MultiAvgFn {
  checkDecay(decay);
  return (averaged, current) =>
    noGrad(() => {
      if (canLerp(averaged)) {
        call("aten::_foreach_lerp_", averaged, current, 1 - decay);
        return;
      }
      for (const [i, average] of averaged.entries()) {
        average.copy_(average.mul(decay).add((current[i] as Tensor).mul(1 - decay)));
      }
    });
}

/** The mean of all values. */
export function getSwaAvgFn(): AvgFn {
  return (averaged, current, count) => noGrad(() => averaged.add(current.sub(averaged).div(count + 1)));
}

/** {@link getSwaAvgFn} for many tensors at once. */
export function getSwaMultiAvgFn(): MultiAvgFn {
  return (averaged, current, count) =>
    noGrad(() => {
      if (canLerp(averaged)) {
        call("aten::_foreach_lerp_", averaged, current, 1 / (count + 1));
        return;
      }
      for (const [i, average] of averaged.entries()) {
        average.copy_(average.add((current[i] as Tensor).sub(average).div(count + 1)));
      }
    });
}

function canLerp(tensors: readonly Tensor[]): boolean {
  const dtype = (tensors[0] as Tensor).dtype;
  return isFloatingDType(dtype) || isComplexDType(dtype);
}

function checkDecay(decay: number): void {
  if (decay >= 0 && decay <= 1) return;
  throw new ArgumentError(`Invalid decay value ${decay} provided. Please provide a value in [0,1] range.`);
}
