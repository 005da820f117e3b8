import { readFileSync } from "node:fs";

/** Parses JSON; an integer that a double cannot hold becomes a bigint. */
export function parseJson(text: string): unknown {
  // Only numbers long enough to be unsafe are touched: they are marked as strings and turned back below. Strings are passed over.
  const marked = text.replace(/"(?:[^"\\]|\\.)*"|(?<![\d.])-?\d{16,}(?=[\s,\]}])/g, (found) =>
    found.startsWith('"') ? found : `"${found}n"`,
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
