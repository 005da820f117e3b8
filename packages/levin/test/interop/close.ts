import { Tensor } from "@levin/torch";
import { expect } from "vitest";

/**
 * Expects nested values to be the same, with tensors as arrays and Maps as objects; floats may differ in their last digits, which depend on
 * the order of additions.
 */
export function expectClose(actual: unknown, expected: unknown): void {
  const given = plain(actual);
  expect(given).toEqual(likeNumbers(plain(expected), given));
}

function plain(value: unknown): unknown {
  if (value instanceof Tensor) return value.toArray();
  if (Array.isArray(value)) return [...value].map(plain);
  if (typeof value !== "object" || value === null) return value;
  const entries = value instanceof Map ? [...value] : Object.entries(value);
  return Object.fromEntries(entries.map(([key, item]) => [String(key), plain(item)]));
}

/** The expected values, with numbers of the actual ones where they are close. */
function likeNumbers(expected: unknown, actual: unknown): unknown {
  if (typeof expected === "number" && typeof actual === "number") {
    return Math.abs(expected - actual) <= 1e-6 + 1e-4 * Math.abs(expected) ? actual : expected;
  }
  if (Array.isArray(expected)) {
    return expected.map((item, i) => likeNumbers(item, Array.isArray(actual) ? actual[i] : undefined));
  }
  if (typeof expected !== "object" || expected === null) return expected;
  const own = actual as Record<string, unknown> | null | undefined;
  return Object.fromEntries(
    Object.entries(expected).map(([key, item]) => [
      key,
      likeNumbers(item, typeof own === "object" ? own?.[key] : undefined),
    ]),
  );
}
