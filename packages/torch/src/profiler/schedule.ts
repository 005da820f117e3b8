import { ArgumentError } from "../errors.js";
import { integer } from "../nn/arguments.js";

/** What the profiler does in a step. */
export type ProfilerAction = "none" | "warmup" | "record" | "record_and_save";

/** Options of {@link schedule}. */
export interface ScheduleOptions {
  /** Steps of each cycle in which nothing is done. */
  wait: number;
  /** Steps in which it is recorded, but not kept: the first ones are slower. */
  warmup: number;
  /** Steps that are recorded. */
  active: number;
  /** The number of cycles. Default: 0, for as long as there are steps. */
  repeat?: number;
  /** Steps before the first cycle. Default: 0. */
  skipFirst?: number;
  /** Whether the first cycle does not wait: 0 or 1. Default: 0. */
  skipFirstWait?: number;
}

/**
 * A schedule of cycles of steps: wait, warm up, record; to be given to {@link Profile}.
 *
 * @throws ArgumentError where a number is negative, or nothing is recorded
 * @see https://docs.pytorch.org/docs/stable/profiler.html#torch.profiler.schedule
 */
export function schedule(options: ScheduleOptions): (step: number) => ProfilerAction {
  const { wait, warmup, active, repeat = 0, skipFirst = 0, skipFirstWait = 0 } = options;
  for (const [name, value] of Object.entries({ wait, warmup, repeat, skipFirst }))
    integer(value, `schedule: ${name}`);
  integer(active, "schedule: active", 1);
  if (warmup === 0) {
    process.emitWarning(
      "schedule: without warmup the first steps that are recorded may be slower than usual.",
    );
  }
  const length = wait + warmup + active;
  return (step) => {
    if (!Number.isInteger(step) || step < 0)
      throw new ArgumentError(`schedule: the step was given ${step}; it is a number from 0.`);
    if (step < skipFirst) return "none";
    const counted = step - skipFirst + (skipFirstWait === 0 ? 0 : wait);
    if (repeat > 0 && counted / length >= repeat) return "none";
    const inCycle = counted % length;
    if (inCycle < wait) return "none";
    if (inCycle < wait + warmup) return "warmup";
    return inCycle < length - 1 ? "record" : "record_and_save";
  };
}
