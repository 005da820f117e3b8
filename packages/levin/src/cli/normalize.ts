import { type Layer, type Path, pointer, setValueAt, valueAt } from "./config.js";
import type { Layout } from "./layout.js";
import { accepts, familyOf } from "./schema.js";

/** Writes classes that are given by their names only as `{ classPath }`. */
export function normalize(layout: Layout, config: Layer): void {
  const visit = (path: Path): void => {
    const value = valueAt(config.values, path);
    if (typeof value === "object" && value !== null) {
      for (const key of Object.keys(value)) visit([...path, key]);
      return;
    }
    if (typeof value !== "string") return;
    const schemas = layout.schemasAt(path, config.values);
    if (!schemas.some(familyOf) || schemas.some((schema) => accepts(schema, value))) return;
    const places = { key: config.placeOf(path, "key"), value: config.placeOf(path) };
    setValueAt(config.values, path, { classPath: value });
    config.places.set(pointer([...path, "classPath"]), places);
  };
  visit([]);
}
