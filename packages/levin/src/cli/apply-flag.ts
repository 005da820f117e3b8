import { parse } from "yaml";
import {
  ConfigError,
  isObject,
  Layer,
  type Path,
  type Place,
  pointer,
  setValueAt,
  type Values,
  valueAt,
} from "./config.js";
import type { Flag } from "./flags.js";
import type { Layout } from "./layout.js";
import { accepts, familyOf, type Schema } from "./schema.js";

/** Puts the value of a flag into a configuration. */
export function applyFlag(layout: Layout, config: Layer, flag: Flag): void {
  const place: Place = { name: flag.text };
  const path = resolvePath(layout, config.values, flag.name.split("."));
  if (path === null) throw noClassYet(layout, config.values, flag, place);
  const schemas = layout.schemasAt(path, config.values);
  const known = valueAt(config.values, path);
  let value = readValue(flag.value, schemas);
  if (flag.appends) {
    value = [known ?? [], value].flat();
  } else if (typeof value === "string" && schemas.some(familyOf)) {
    // another class keeps the options that it has, too
    value = { classPath: value };
  }
  const given = new Layer({ value }, place);
  const merged = new Layer({ value: known }, place);
  merged.merge(given, [], layout.keepOptions);
  setValueAt(config.values, path, merged.values.value);
  if (!isObject(value) && !flag.appends) config.forget(path);
  const places = { key: place, value: place };
  config.places.set(pointer(path), places);
  for (let length = 1; length < path.length; length++) {
    const around = pointer(path.slice(0, length));
    if (!config.places.has(around)) config.places.set(around, places);
  }
}

/**
 * The path of a flag's name: through the options of the class that is chosen, and through the last item of a list. Null where no class
 * is chosen yet.
 */
export function resolvePath(layout: Layout, values: Values, names: Path): string[] | null {
  const path: string[] = [];
  for (const name of names) {
    const value = valueAt(values, path);
    const isIndex = /^\d+$/.test(name);
    if (Array.isArray(value) && value.length > 0 && !isIndex) path.push(String(value.length - 1));
    if (Array.isArray(value) && isIndex) path.push(name);
    else if (layout.familyAt(path, values) && name !== "classPath" && name !== "initArgs") {
      if (valueAt(values, [...path, "classPath"]) === undefined) return null;
      path.push("initArgs", name);
    } else path.push(name);
  }
  return path;
}

function noClassYet(layout: Layout, values: Values, { name }: Flag, place: Place): ConfigError {
  const names = name.split(".");
  let length = names.length - 1;
  while (length > 1 && resolvePath(layout, values, names.slice(0, length)) === null) length--;
  const group = names.slice(0, length).join(".");
  const family = layout.familyAt(names.slice(0, length), values) ?? "class";
  return new ConfigError([
    { place, message: `give the ${family} first: --${group} NAME, or --${group} ./src/file.ts#Name` },
  ]);
}

/** A flag's value in the type that an option takes; true where there is none. */
export function readValue(raw: string | null, schemas: readonly Schema[] = []): unknown {
  if (raw === null) return true;
  let value: unknown;
  try {
    value = raw.trim() === "" ? raw : parse(raw);
  } catch {
    value = raw;
  }
  const takes = (candidate: unknown) => schemas.some((schema) => accepts(schema, candidate));
  return !takes(value) && takes(raw) ? raw : value;
}
