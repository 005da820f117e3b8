import { SerializationError } from "./errors.js";
import { BytearrayNode, ListNode } from "./nodes.js";
import { PyFloat, Tuple } from "./python.js";

// What a call in a pickle was given, checked. Each function throws where it is something else.

export function text(value: unknown, what: string): string {
  if (typeof value === "string") return value;
  // Names in files of Python 2 are bytes.
  if (value instanceof Uint8Array) return Buffer.from(value).toString("latin1");
  throw new SerializationError(`${what} must be a text, it is ${describe(value)}`);
}

export function real(value: unknown, what: string): number {
  if (typeof value === "number") return value;
  if (value instanceof PyFloat) return value.value;
  if (typeof value === "bigint") return Number(value);
  throw new SerializationError(`${what} must be a number, it is ${describe(value)}`);
}

export function flag(value: unknown): boolean {
  return value === true || value === 1;
}

export function integer(value: unknown, what: string, options: { signed?: boolean } = {}): number {
  const { signed = false } = options;
  if (typeof value === "number" && Number.isSafeInteger(value) && (signed || value >= 0)) return value;
  throw new SerializationError(
    `${what} must be ${signed ? "an integer" : "an integer that is not negative"}, it is ${describe(value)}`,
  );
}

export function integers(value: unknown, what: string): number[] {
  return Array.from(list(value, what), (item) => integer(item, what));
}

export function list(value: unknown, what: string): readonly unknown[] {
  if (value instanceof ListNode) return value.items;
  if (value instanceof Tuple) return value;
  throw new SerializationError(`${what} must be a list or tuple, it is ${describe(value)}`);
}

export function bytes(value: unknown, what: string): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (value instanceof BytearrayNode) return value.bytes;
  throw new SerializationError(`${what} must be bytes, it is ${describe(value)}`);
}

/** A value in the words of an error message. Never all of it: it may be deeper than a text can say. */
export function describe(value: unknown): string {
  if (typeof value === "object" && value !== null) return `a ${value.constructor.name.replace(/Node$/, "")}`;
  return typeof value === "string" ? JSON.stringify(value.slice(0, 100)) : String(value).slice(0, 100);
}
