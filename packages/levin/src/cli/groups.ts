import type { ClassDescription, Descriptions } from "./description.js";
import type { Maker } from "./instantiate.js";
import { type Group, Layout } from "./layout.js";
import type { Schema } from "./schema.js";

/** A class, a function that makes what it would, or where to find one: `./src/model.ts#Classifier`. */
export type ClassOf<T> = Maker<T> | string;

type ValueType = "string" | "number" | "boolean" | "null";

/** Options of `parser.addArgument`. */
export interface ArgumentOptions {
  /** Default: what the default is, else a string. */
  type?: ValueType | readonly ValueType[];
  /** The values that are allowed. Default: all. */
  choices?: readonly (string | number | boolean)[];
  /** What it is where nothing is given. Default: null. */
  default?: string | number | boolean | null;
  /** What `--help` says of it. */
  help?: string;
  /** Default: false. */
  required?: boolean;
}

/** A class, or classes to choose from, as a program adds them to a parser. */
export interface ClassGroup {
  readonly key: string;
  readonly classes: readonly ClassOf<unknown>[];
  /** Whether classes can be chosen, and not the options of the one class given. */
  readonly isFamily: boolean;
  readonly required: boolean;
  readonly instantiate: boolean;
}

/** An option of its own, likewise. */
export interface Argument extends ArgumentOptions {
  readonly key: string;
}

/** A method of a class, and which of its arguments are no options. */
export interface MethodArguments {
  readonly name: string;
  readonly skip: readonly string[];
}

/** The name of a class among descriptions. */
export const nameOf = (given: ClassOf<unknown>): string => (typeof given === "string" ? given : given.name);

export const isClassGroup = (group: Argument | ClassGroup): group is ClassGroup => "classes" in group;

/** How a configuration is built up that has these groups, and at its top the options of these methods. */
export function layoutOf(
  given: readonly (Argument | ClassGroup)[],
  methods: readonly MethodArguments[],
  descriptions: Descriptions,
): Layout {
  const families: Record<string, readonly string[]> = { ...descriptions.families };
  const groups = given.map((group): Group => {
    if (!isClassGroup(group)) return describeArgument(group);
    const { key, required } = group;
    const names = group.classes.map(nameOf);
    const documentation = descriptions.classes[names[0]!]?.documentation ?? "";
    if (!group.isFamily) return { key, documentation, required, kind: "class", className: names[0]! };
    const family = names[0]!.replace(/\W+/g, "_");
    families[family] = [...new Set(names.flatMap((name) => descriptions.families[name] ?? []))].sort();
    return { key, documentation, required, kind: "family", family };
  });
  for (const { name, skip } of methods) {
    for (const option of descriptions.classes[name]?.options ?? []) {
      if (skip.includes(option.name) || !option.schema) continue;
      groups.push({ ...option, key: option.name, kind: "value", schema: option.schema });
    }
  }
  return new Layout(groups, { ...descriptions, families });
}

function describeArgument(argument: Argument): Group {
  const { key, choices, help = "", required = false, default: value } = argument;
  const common = {
    key,
    kind: "value" as const,
    documentation: help,
    required,
    ...(value !== undefined && { default: value }),
  };
  if (choices) return { ...common, schema: { enum: choices } };
  const guessed = value === null || value === undefined ? "string" : (typeof value as ValueType);
  const types = [argument.type ?? guessed].flat();
  if (value === null) types.push("null");
  const schemas = types.map((type): Schema => ({ type }));
  return { ...common, schema: schemas.length === 1 ? schemas[0]! : { anyOf: schemas } };
}

/** Classes whose sources were not found take what they are given. */
export function withUnread(descriptions: Descriptions, named: ReadonlySet<string>): Descriptions {
  const classes: Record<string, ClassDescription> = { ...descriptions.classes };
  for (const name of named) {
    classes[name] ??= { name, documentation: "", parameters: [], options: [], open: true };
  }
  return { ...descriptions, classes };
}
