import { Document, isMap, isScalar, type Node, stringify } from "yaml";
import { resolvePath } from "./apply-flag.js";
import { isObject, type Path, type Values, valueAt } from "./config.js";
import type { OptionDescription } from "./description.js";
import type { Layout } from "./layout.js";
import { accepts } from "./schema.js";

/** Options of `parser.dump`. */
export interface DumpOptions {
  /** Whether only what was given is written. Default: false. */
  skipDefault?: boolean;
  /** Whether what is null is left out. Default: false. */
  skipNull?: boolean;
  /** Whether the documentation of the options is written, too. Default: false. */
  comments?: boolean;
}

/** A configuration as YAML. `linked`: the options that follow others, and are not written. */
export function dumpConfig(
  layout: Layout,
  config: Values,
  linked: readonly string[],
  options: DumpOptions = {},
): string {
  const values = valuesToWrite(layout, config, linked, options);
  const document = new Document(values, { aliasDuplicateObjects: false });
  if (options.comments) comment(document, layout, values);
  return document.toString({ lineWidth: 0 });
}

export const toYaml = (values: unknown): string =>
  stringify(values, { lineWidth: 0, aliasDuplicateObjects: false });

/** A configuration as it is written: with the defaults that its classes document, without what follows from the rest. */
export function valuesToWrite(
  layout: Layout,
  config: Values,
  linked: readonly string[],
  { skipDefault = false, skipNull = false }: DumpOptions = {},
): Values {
  const values = skipDefault ? structuredClone(config) : withDefaults(layout, config);
  for (const name of linked) {
    const path = resolvePath(layout, values, name.split("."));
    if (path === null) continue;
    const parent = valueAt(values, path.slice(0, -1));
    if (isObject(parent)) delete parent[path.at(-1)!];
  }
  return skipNull ? (withoutNull(values) as Values) : values;
}

function withDefaults(layout: Layout, config: Values): Values {
  const filled: Values = {};
  for (const group of layout.groups) {
    const value = config[group.key];
    if (group.kind === "class")
      filled[group.key] = fill(layout, group.className, value, group.key === "trainer");
    else if (value !== undefined) filled[group.key] = fillInside(layout, value);
    else if (group.kind === "value") filled[group.key] = null;
  }
  return filled;
}

function fill(layout: Layout, className: string, given: unknown, isTrainer = false): Values {
  const values = isObject(given) ? given : {};
  const filled: Values = {};
  for (const option of layout.classOf(className)?.options ?? []) {
    const { name } = option;
    const value = name in values ? fillInside(layout, values[name]) : defaultOf(option, isTrainer);
    if (value !== undefined) filled[name] = value;
  }
  for (const name of Object.keys(values)) filled[name] ??= values[name];
  return filled;
}

function fillInside(layout: Layout, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((each) => fillInside(layout, each));
  if (!isObject(value)) return value;
  if (typeof value.classPath === "string") {
    const initArgs = fill(layout, value.classPath, value.initArgs);
    return { classPath: value.classPath, ...(Object.keys(initArgs).length > 0 && { initArgs }) };
  }
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, fillInside(layout, each)]));
}

function defaultOf(option: OptionDescription, isTrainer: boolean): unknown {
  const { schema, documentation, default: value } = option;
  const takesNull = schema !== undefined && accepts(schema, null);
  // What the trainer decides by its other options stays null, which leaves it to decide; where null has a meaning of its own, the
  // documentation names it.
  if (isTrainer && takesNull && !/\bnull\b/.test(documentation)) return null;
  return value === undefined && takesNull ? null : value;
}

function withoutNull(value: unknown): unknown {
  if (!isObject(value)) return value;
  const entries = Object.entries(value).filter(([, each]) => each !== null);
  return Object.fromEntries(entries.map(([key, each]) => [key, withoutNull(each)]));
}

/** Puts the documentation of options before them. */
function comment(document: Document, layout: Layout, values: Values): void {
  const visit = (node: unknown, path: Path): void => {
    if (!isMap(node)) return;
    for (const { key, value } of node.items) {
      const name = isScalar(key) ? String(key.value) : "";
      const option = layout.optionsAt(path, values).find((each) => each.name === name);
      if (option?.documentation) (key as Node).commentBefore = option.documentation.replace(/^/gm, " ");
      visit(value, [...path, name]);
    }
  };
  visit(document.contents, []);
}
