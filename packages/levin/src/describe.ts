import { isThenable } from "./thenable.js";

/** What was given where something else is wanted, for errors: `"text"`, `3`, `the class Net`, `a Tensor`. */
export function describe(value: unknown): string {
  if (typeof value === "string") return `"${value}"`;
  if (typeof value === "function")
    return /^class\b/.test(String(value)) ? `the class ${value.name}` : "a function";
  if (Array.isArray(value)) return `[${value.map(describe).join(", ")}]`;
  if (typeof value !== "object" || value === null) return String(value);
  if (isThenable(value)) return "a promise";
  const name = value.constructor?.name ?? "Object";
  return name === "Object" ? "an object" : `${/^[AEIOU]/.test(name) ? "an" : "a"} ${name}`;
}
