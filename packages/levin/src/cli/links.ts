import { resolvePath } from "./apply-flag.js";
import {
  ConfigError,
  type Layer,
  type Path,
  type Place,
  pointer,
  setValueAt,
  type Values,
  valueAt,
} from "./config.js";
import type { ClassDescription } from "./description.js";
import { Layout } from "./layout.js";

/** An option that follows others. */
export interface Link {
  readonly sources: readonly string[];
  readonly target: string;
  readonly computeFn: (...sources: never[]) => unknown;
  readonly applyOn: "parse" | "instantiate";
}

export const groupOf = (name: string): string => name.split(".")[0]!;

/** Gives the options that follow others their values. Only links give such options values. */
export function applyLinks(links: readonly Link[], layout: Layout, config: Layer): void {
  for (const link of links) {
    const target = resolvePath(layout, config.values, link.target.split("."));
    if (target === null) continue; // an option of a class that is not chosen
    const place: Place = { name: `link from ${link.sources.join(" and ")}` };
    const given = config.places.get(pointer(target));
    if (given && given.key.name !== place.name) {
      const message = `${link.target} cannot be given: it follows ${link.sources.join(" and ")}`;
      throw new ConfigError([{ place: given.key, message }]);
    }
    if (link.applyOn !== "parse") continue;
    const values = link.sources.map((source) => valueOrDefault(layout, config.values, source.split(".")));
    if (values.every((value) => value === undefined)) continue;
    setValueAt(config.values, target, link.computeFn(...(values as never[])));
    config.places.set(pointer(target), { key: place, value: place });
  }
}

/** The value that an option has, or that its class says it has by default. */
function valueOrDefault(layout: Layout, values: Values, names: Path): unknown {
  const path = resolvePath(layout, values, names);
  if (path === null) return undefined;
  const option = layout.optionsAt(path.slice(0, -1), values).find(({ name }) => name === path.at(-1));
  return valueAt(values, path) ?? option?.default;
}

/** The layout in which the options that objects are going to be linked to are not missing yet. */
export function withoutLinked(links: readonly Link[], layout: Layout, values: Values): Layout {
  const later = links.filter(({ applyOn }) => applyOn === "instantiate");
  if (later.length === 0) return layout;
  const classes: Record<string, ClassDescription> = { ...layout.descriptions.classes };
  for (const { target } of later) {
    const path = resolvePath(layout, values, target.split("."));
    const className = path && layout.classAt(path.slice(0, -1), values);
    const description = className && classes[className];
    if (!description) continue;
    const options = description.options.map((option) =>
      option.name === path.at(-1) ? { ...option, required: false, schema: {} } : option,
    );
    classes[className] = { ...description, options };
  }
  return new Layout(layout.groups, { ...layout.descriptions, classes });
}

/** The values that objects which have been made give to the options of a group. */
export function linkObjects(links: readonly Link[], layout: Layout, made: Values, config: Values): void {
  for (const { sources, target, computeFn } of links) {
    const path = resolvePath(layout, config, target.split("."));
    if (path)
      setValueAt(config, path, computeFn(...(sources.map((source) => fieldAt(made, source)) as never[])));
  }
}

/** A field of an object, in any depth. */
function fieldAt(made: Values, name: string): unknown {
  let value: unknown = made;
  for (const key of name.split(".")) value = (value as Values | null | undefined)?.[key];
  return value;
}
