import { inspect } from "node:util";
import { ArgumentError } from "./errors.js";

/** A value in an error message. */
export const shown = (value: unknown): string =>
  inspect(value, { depth: 0, breakLength: Number.POSITIVE_INFINITY, maxStringLength: 60 });

/** Throws unless `value` is an object of options. */
export function requireOptions(value: unknown, name: string): void {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return;
  throw new ArgumentError(`${name}: options must be an object, got ${shown(value)}`);
}

/** Throws unless `value` is a function. */
export function requireFunction(value: unknown, name: string): void {
  if (typeof value !== "function")
    throw new ArgumentError(`${name}: a function is required, got ${shown(value)}`);
}

/** Throws unless `value` is a text. */
export function requireText(value: unknown, name: string): void {
  if (typeof value !== "string") throw new ArgumentError(`${name} must be a text, got ${shown(value)}`);
}

/** Throws unless `value` is an array. */
export function requireArray(value: unknown, name: string): void {
  if (!Array.isArray(value)) throw new ArgumentError(`${name} must be an array, got ${shown(value)}`);
}

/** Throws where a function that had to be synchronous has returned a promise. */
export function refusePromise(result: unknown, name: string): void {
  if (typeof (result as { then?: unknown } | null | undefined)?.then !== "function") return;
  throw new ArgumentError(
    `${name}: the function must be synchronous, it returned a promise; the mode belongs to the thread and would reach other code ` +
      "across an await. Await first, and call the function with the values.",
  );
}
