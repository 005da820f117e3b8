import { isObject, type Values, valueAt } from "./config.js";
import type { OptionDescription } from "./description.js";
import type { Group, Layout } from "./layout.js";
import { typeText } from "./schema.js";

/** Options of {@link helpText}. */
export interface HelpOptions {
  readonly description: string;
  /** What is asked about: nothing for all, else the path of a group or option. */
  readonly path: readonly string[];
  /** A class that could be chosen there. */
  readonly className: string | null;
}

/** The options of a configuration with their types, defaults and documentation. */
export function helpText(layout: Layout, values: Values, options: HelpOptions): string {
  const { path, className } = options;
  if (path.length > 0) return `${helpOfPath(layout, values, path, className).join("\n")}\n`;
  const lines = [options.description, "", "Options:"];
  lines.push(
    ...entry("--help", "", "Prints this. `--trainer.help`, `--optimizer.help AdamW`: only this."),
    ...entry(
      "--config, -c",
      "FILE",
      "A YAML or JSON file with options. Of several, and of flags, the later ones win.",
    ),
    ...entry(
      "--printConfig",
      "",
      "Prints the configuration, with defaults, instead of running. `=comments`: with documentation; `=skipNull`, `=skipDefault`.",
    ),
    ...entry("--printSchema", "", "Prints the JSON schema of configurations, for editors."),
  );
  for (const group of layout.groups)
    if (group.kind === "value") lines.push(...helpOfGroup(layout, group, values));
  for (const group of layout.groups) {
    if (group.kind !== "value") lines.push("", ...helpOfGroup(layout, group, values));
  }
  return `${lines.join("\n")}\n`;
}

function helpOfGroup(layout: Layout, group: Group, values: Values): string[] {
  const { key, documentation } = group;
  if (group.kind === "value") return entry(`--${key}`, typeText(group.schema), documentation, group.default);
  if (group.kind === "class") return helpOfClass(layout, group.className, key);
  const value = values[key];
  const chosen = isObject(value) && typeof value.classPath === "string" ? value.classPath : null;
  const head = `${key}: ${familyText(layout, group.family)}`;
  const lines = [head, ...entry(`--${key}`, "CLASS", chosen ? `Chosen: ${chosen}.` : "")];
  return chosen && layout.classOf(chosen) ? [...lines, ...optionsOf(layout, chosen, key)] : lines;
}

function helpOfPath(
  layout: Layout,
  values: Values,
  path: readonly string[],
  className: string | null,
): string[] {
  const key = path.join(".");
  const given = valueAt(values, path);
  const chosen =
    className ?? (isObject(given) && typeof given.classPath === "string" ? given.classPath : null);
  if (chosen && layout.classOf(chosen)) return helpOfClass(layout, chosen, key);
  if (chosen && className) {
    const why = layout.descriptions.problems[chosen] ?? `there is no class ${chosen}`;
    return [`${key}: ${why}`];
  }
  const group = layout.groups.find((each) => each.key === path[0]);
  if (!group) return [`There is no option ${key}.`];
  const family = layout.familyAt(path, values);
  if (family) return [`${key}: ${familyText(layout, family)}`];
  if (path.length === 1) return helpOfGroup(layout, group, values);
  const option = layout.optionsAt(path.slice(0, -1), values).find(({ name }) => name === path.at(-1));
  return option ? helpOfOption(layout, option, path.slice(0, -1).join(".")) : [`There is no option ${key}.`];
}

function familyText(layout: Layout, family: string): string {
  const members = (layout.descriptions.families[family] ?? []).join(", ");
  return `a ${family}, one of your own (./src/file.ts#Name)${members ? ` or of ${members}` : ""}`;
}

function helpOfClass(layout: Layout, className: string, key: string): string[] {
  const { documentation = "", name = className } = layout.classOf(className) ?? {};
  return [`${key}: ${name}`, ...indented(documentation, 2), ...optionsOf(layout, className, key)];
}

function optionsOf(layout: Layout, className: string, key: string): string[] {
  return (layout.classOf(className)?.options ?? []).flatMap((option) => helpOfOption(layout, option, key));
}

function helpOfOption(layout: Layout, option: OptionDescription, key: string): string[] {
  if (!option.schema) return [];
  const type = typeText(option.schema, layout.definitions);
  const { documentation } = option;
  const text = option.required ? `Required${documentation ? `: ${documentation}` : "."}` : documentation;
  return entry(`--${key}.${option.name}`, type, text, option.default);
}

/** A flag, its type, and below it what it does. The default is told where the documentation doesn't tell it. */
function entry(flag: string, type: string, documentation: string, value?: unknown): string[] {
  const tells = /\bDefault\b/.test(documentation) || value === undefined;
  const text = tells ? documentation : `${documentation} Default: ${JSON.stringify(value)}.`.trim();
  return [`  ${flag}${type ? ` ${type}` : ""}`, ...indented(text, 6)];
}

const indented = (text: string, by: number): string[] =>
  text === "" ? [] : text.split("\n").map((line) => (line === "" ? "" : " ".repeat(by) + line));
