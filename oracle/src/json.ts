import { readFileSync } from "node:fs";

/** Parses JSON as Python writes it; an integer that a double cannot hold becomes a bigint, and numbers that are not finite text. */
export function parseJson(text: string): unknown {
  // Only numbers long enough to be unsafe are touched: they are marked as strings and turned back below.
  const marked = text
    .replace(/(?<=[[:,\s])-?\d{16,}(?=[\s,\]}])/g, (digits) => `"${digits}n"`)
    .replace(/(?<=[[:,]\s*)(NaN|-?Infinity)(?=\s*[,\]}])/g, (name) => `"${name}"`);
  return JSON.parse(marked, (_, value: unknown) => {
    if (typeof value !== "string" || !/^-?\d{16,}n$/.test(value)) return value;
    const exact = BigInt(value.slice(0, -1));
    return Number.isSafeInteger(Number(exact)) ? Number(exact) : exact;
  });
}

/** Reads and parses a JSON file; the caller says what is in it. */
export function readJson<T>(path: string): T {
  return parseJson(readFileSync(path, "utf8")) as T;
}
