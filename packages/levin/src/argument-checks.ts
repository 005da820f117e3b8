import { describe } from "./describe.js";
import { MisconfigurationError } from "./errors.js";

/** The error for an argument, given by its full name, that has a value which is not allowed. */
export function notAllowed(argument: string, value: unknown, allowed: string): MisconfigurationError {
  return new MisconfigurationError(`${argument} was given ${describe(value)}; it is ${allowed}.`);
}

/** Throws where one of these arguments of `who` is not an integer from `least` on. */
export function checkIntegers(who: string, values: Record<string, unknown>, least: number): void {
  for (const [name, value] of Object.entries(values)) {
    if (!Number.isInteger(value) || (value as number) < least) {
      throw notAllowed(`${who}: ${name}`, value, `an integer >= ${least}`);
    }
  }
}

/** Throws where one of these arguments of `who` is not a number. */
export function checkNumbers(who: string, values: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(values)) {
    if (typeof value !== "number") throw notAllowed(`${who}: ${name}`, value, "a number");
  }
}

/** Throws where one of these arguments of `who` is not a string. */
export function checkStrings(who: string, values: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(values)) {
    if (typeof value !== "string") throw notAllowed(`${who}: ${name}`, value, "a string");
  }
}
