import { notAllowed } from "./argument-checks.js";
import { MisconfigurationError } from "./errors.js";

/** A duration: `"DD:HH:MM:SS"`, or its parts. */
export type Duration =
  | string
  | {
      weeks?: number;
      days?: number;
      hours?: number;
      minutes?: number;
      seconds?: number;
      milliseconds?: number;
    };

const factors: Readonly<Record<string, number>> = {
  weeks: 7 * 24 * 3600e3,
  days: 24 * 3600e3,
  hours: 3600e3,
  minutes: 60e3,
  seconds: 1e3,
  milliseconds: 1,
};

/** A duration in milliseconds. `argument` names it in errors. */
export function milliseconds(duration: Duration, argument: string): number {
  if (typeof duration === "string") {
    const match = /^(\d+):(\d\d):(\d\d):(\d\d)$/.exec(duration.trim());
    if (!match) {
      throw new MisconfigurationError(
        `${argument} was given "${duration}"; a duration is written "DD:HH:MM:SS", such as "00:01:30:00" for an hour and a half.`,
      );
    }
    const [days, hours, minutes, seconds] = match.slice(1).map(Number) as [number, number, number, number];
    return milliseconds({ days, hours, minutes, seconds }, argument);
  }
  if (typeof duration !== "object" || duration === null || Array.isArray(duration)) {
    throw notAllowed(argument, duration, '"DD:HH:MM:SS", or an object such as { hours: 1, minutes: 30 }');
  }
  let total = 0;
  for (const [unit, count] of Object.entries(duration)) {
    const factor = factors[unit];
    if (factor === undefined || typeof count !== "number" || !Number.isFinite(count)) {
      throw new MisconfigurationError(
        `${argument} was given ${unit}: ${String(count)}; the parts of a duration are numbers of ${Object.keys(factors).join(", ")}.`,
      );
    }
    total += count * factor;
  }
  return total;
}
