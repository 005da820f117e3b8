import type { Device } from "../device.js";
import type { DType } from "../dtype.js";
import { ArgumentError } from "../errors.js";

/** Where and in which type a module makes its parameters. */
export interface FactoryOptions {
  /** Type of the parameters. Default: the default type. */
  dtype?: DType;
  /** Device of the parameters. Default: the CPU. */
  device?: Device;
}

/** A size for all dimensions, or one for each. */
export type Size = number | readonly number[];

/** The part of options that tensor factories take. */
export function factory(options: FactoryOptions): FactoryOptions {
  const found: FactoryOptions = {};
  if (options.dtype !== undefined) found.dtype = options.dtype;
  if (options.device !== undefined) found.device = options.device;
  return found;
}

/** A size for each of `count` dimensions. */
export function expand(value: Size, count: number, name: string): number[] {
  const sizes = typeof value === "number" ? Array<number>(count).fill(value) : [...value];
  if (sizes.length !== count || !sizes.every(Number.isInteger)) {
    throw new ArgumentError(
      `${name} was given ${JSON.stringify(value)}; it is an integer or ${count} integers, one for each dimension.`,
    );
  }
  return sizes;
}

/** Throws unless `value` is one of `allowed`. */
export function oneOf<T extends string>(value: T, allowed: readonly T[], name: string): T {
  if (allowed.includes(value)) return value;
  throw new ArgumentError(
    `${name} must be one of ${allowed.map((a) => `"${a}"`).join(", ")}, but got "${value}".`,
  );
}

/** Throws unless `value` is an integer of at least `least`. */
export function integer(value: number, name: string, least = 0): number {
  if (Number.isInteger(value) && value >= least) return value;
  throw new ArgumentError(`${name} was given ${String(value)}; it is an integer of at least ${least}.`);
}

/** Throws unless `value` is a probability. */
export function probability(value: number, name = "p"): number {
  if (value >= 0 && value <= 1) return value;
  throw new ArgumentError(`dropout probability ${name} has to be between 0 and 1, but got ${String(value)}.`);
}
