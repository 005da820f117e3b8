import { createHash } from "node:crypto";
import type { Tensor } from "@levin/torch";
import * as torch from "@levin/torch";
import { Mismatch } from "../report.js";

/** How far a number may be from the recorded one: `|a - b| <= atol + rtol * |b|`. */
export interface Tolerance {
  rtol: number;
  atol: number;
}

/** The bytes of a tensor's values in row-major order. */
export function bytesOf(tensor: Tensor): Uint8Array {
  const detached = tensor.detach();
  const values = (
    detached.dtype.startsWith("complex") ? torch.viewAsReal(detached) : detached
  ).toTypedArray();
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** The sha256 of a tensor's bytes in row-major order, in hex. */
export function sha256(tensor: Tensor): string {
  return createHash("sha256").update(bytesOf(tensor)).digest("hex");
}

/** Fails unless two plain values (numbers, strings, lists of them) are the same. */
export function expectSame(what: string, got: unknown, want: unknown): void {
  const [a, b] = [show(got), show(want)];
  if (a === b) return;
  let at = 0;
  while (a[at] === b[at]) at += 1;
  const from = Math.max(0, at - 20);
  const cut = (text: string) =>
    `${from > 0 ? "…" : ""}${text.slice(from, from + 100)}${text.length > from + 100 ? "…" : ""}`;
  throw new Mismatch(`${what}: wanted ${cut(b)}, got ${cut(a)}`);
}

function show(value: unknown): string {
  return (
    JSON.stringify(value, (_, v: unknown) => (typeof v === "bigint" ? v.toString() : v)) ?? String(value)
  );
}

/** Fails unless a number is within the tolerance of the recorded one. */
export function expectNumber(what: string, got: number, want: number, { rtol, atol }: Tolerance): void {
  if (got === want || (Number.isNaN(got) && Number.isNaN(want))) return;
  if (Math.abs(got - want) <= atol + rtol * Math.abs(want)) return;
  throw new Mismatch(
    `${what}: wanted ${want}, got ${got} (apart by ${Math.abs(got - want).toExponential(2)}, rtol ${rtol}, atol ${atol})`,
  );
}

/** Fails unless two (nested) lists of numbers agree within the tolerance. */
export function expectNumbers(what: string, got: unknown, want: unknown, tolerance: Tolerance): void {
  if (!Array.isArray(want)) return expectNumber(what, got as number, want as number, tolerance);
  if (!Array.isArray(got) || got.length !== want.length) {
    throw new Mismatch(
      `${what}: wanted ${want.length} values, got ${Array.isArray(got) ? got.length : String(got)}`,
    );
  }
  want.forEach((value, i) => {
    expectNumbers(`${what}[${i}]`, got[i], value, tolerance);
  });
}

function expectKind(what: string, got: Tensor | null | undefined, want: Tensor): asserts got is Tensor {
  if (got === null || got === undefined)
    throw new Mismatch(`${what}: wanted a tensor of shape [${want.shape}], got none`);
  if (got.shape.join() !== want.shape.join())
    throw new Mismatch(`${what}: wanted shape [${want.shape}], got [${got.shape}]`);
  if (got.dtype !== want.dtype) throw new Mismatch(`${what}: wanted dtype ${want.dtype}, got ${got.dtype}`);
}

/** Fails unless a tensor has the recorded one's shape, type and, within the tolerance, values. */
export function expectClose(
  what: string,
  got: Tensor | null | undefined,
  want: Tensor,
  tolerance: Tolerance,
): void {
  expectKind(what, got, want);
  const [a, b] = [got, want].map((t) => t.detach().to("float64").toTypedArray() as Float64Array) as [
    Float64Array,
    Float64Array,
  ];
  let worst = -1;
  let excess = 0;
  b.forEach((wanted, i) => {
    const given = a[i] as number;
    if (given === wanted || (Number.isNaN(given) && Number.isNaN(wanted))) return;
    const over = Math.abs(given - wanted) - (tolerance.atol + tolerance.rtol * Math.abs(wanted));
    if (!(over <= excess)) [worst, excess] = [i, Number.isNaN(over) ? Number.POSITIVE_INFINITY : over];
  });
  if (worst < 0) return;
  const count = b.length === 1 ? "" : ` (the worst of ${b.length}, at ${worst} in row-major order)`;
  throw new Mismatch(`${what}: wanted ${b[worst]}, got ${a[worst]}${count}`);
}

/** Fails unless a tensor is the recorded one to the bit. */
export function expectExact(what: string, got: Tensor | null | undefined, want: Tensor): void {
  expectKind(what, got, want);
  const [a, b] = [bytesOf(got), bytesOf(want)];
  if (Buffer.compare(a, b) === 0) return;
  const values = (t: Tensor) =>
    JSON.stringify(t.reshape([-1]).narrow(0, 0, Math.min(4, t.numel())).toArray(), (_, v: unknown) =>
      typeof v === "bigint" ? `${v}` : v,
    );
  throw new Mismatch(`${what}: not the same bits: wanted ${values(want)}…, got ${values(got)}…`);
}
