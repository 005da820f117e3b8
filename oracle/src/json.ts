import { readFileSync } from "node:fs";

/** Parses JSON as Python writes it; an integer that a double cannot hold becomes a bigint, and numbers that are not finite text. */
export function parseJson(text: string): unknown {
  // Only numbers long enough to be unsafe, or not finite, are touched: they become strings. Strings are passed over.
  const marked = text.replace(
    /"(?:[^"\\]|\\.)*"|(?<![\d.])-?\d{16,}(?=[\s,\]}])|NaN|-?Infinity/g,
    (found) => {
      if (found.startsWith('"')) return found;
      return /\d/.test(found) ? `"${found}n"` : `"${found}"`;
    },
  );
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
