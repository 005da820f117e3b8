import { writeFileSync } from "node:fs";
import { Tensor } from "@levin/torch";
import { isPlainObject } from "../tree.js";
import { yaml } from "../yaml.js";

/** Writes hyperparameters as YAML, sorted by name. What YAML has no form for is written as its name or text. */
export function writeHyperparameters(path: string, params: Record<string, unknown>): void {
  const plain = Object.fromEntries(Object.entries(params).map(([key, value]) => [key, toPlain(value)]));
  writeFileSync(
    path,
    yaml().stringify(plain, { sortMapEntries: true, indentSeq: false, aliasDuplicateObjects: false }),
  );
}

/** Nested objects as one, with keys such as `optimizer/lr`; arrays of objects by index, other arrays as their text. */
export function flattenHyperparameters(
  params: Record<string, unknown>,
): Record<string, number | string | boolean> {
  const flat: Record<string, number | string | boolean> = {};
  const visit = (value: unknown, key: string): void => {
    if (isPlainObject(value)) {
      for (const [name, part] of Object.entries(value)) visit(part, key ? `${key}/${name}` : name);
    } else if (Array.isArray(value) && value.length > 0 && value.every(isPlainObject)) {
      for (const [i, part] of value.entries()) visit(part, `${key}/${i}`);
    } else if (typeof value === "number" || typeof value === "boolean" || typeof value === "string") {
      flat[key] = value;
    } else {
      const plain = toPlain(value);
      flat[key] = typeof plain === "string" ? plain : JSON.stringify(plain);
    }
  };
  visit(params, "");
  return flat;
}

/** A value as YAML and JSON have it: what they have no form for is its name or text. */
export function toPlain(value: unknown): unknown {
  switch (typeof value) {
    case "number":
    case "string":
    case "boolean":
      return value;
    case "bigint":
      return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
    case "function":
      return value.name || "function";
    case "symbol":
      return String(value);
  }
  if (value === null || value === undefined) return null;
  if (value instanceof Tensor) return value.numel() === 1 ? value.item() : String(value);
  if (value instanceof Map) return toPlain(Object.fromEntries(value));
  if (Array.isArray(value)) return value.map(toPlain);
  if (isPlainObject(value))
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, toPlain(part)]));
  return value.constructor?.name ?? "object";
}
