import { MisconfigurationError } from "./errors.js";

/** Whether something can be awaited. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function"
  );
}

/** The value of something that nothing can wait for. */
export function mustBeSync<T>(value: T | PromiseLike<T>, what: string): T {
  if (isThenable(value)) {
    throw new MisconfigurationError(
      `${what} returned a promise, which cannot be awaited here: make it synchronous.`,
    );
  }
  return value;
}
