import { isObject, type Path, type Values, valueAt } from "./config.js";
import type { ClassDescription, Descriptions, OptionDescription } from "./description.js";
import { alternatives, familyOf, refersTo, type Schema, schemaOfKey } from "./schema.js";
import { schemaOfOption } from "./type-schema.js";

/** What a configuration has under one name at its top. */
export type Group = {
  readonly key: string;
  readonly documentation: string;
  readonly required: boolean;
} & (
  | /** A value. */ { readonly kind: "value"; readonly schema: Schema; readonly default?: unknown }
  | /** The options of one class. */ { readonly kind: "class"; readonly className: string }
  | /** A class of a family, and its options. */ { readonly kind: "family"; readonly family: string }
);

const optionsOf = (className: string) => `${className.replace(/\W+/g, "_")}.initArgs`;

/** How a configuration is built up: its groups, and the classes in it. */
export class Layout {
  readonly definitions: Readonly<Record<string, Schema>>;
  readonly root: Schema;

  constructor(
    readonly groups: readonly Group[],
    readonly descriptions: Descriptions,
  ) {
    const definitions: Record<string, Schema> = {};
    for (const [name, description] of Object.entries(descriptions.classes)) {
      definitions[optionsOf(name)] = schemaOfClass(description);
    }
    for (const family of Object.keys(descriptions.families))
      definitions[family] = this.#schemaOfFamily(family);
    this.definitions = definitions;
    this.root = {
      type: "object",
      properties: Object.fromEntries(groups.map((group) => [group.key, schemaOfGroup(group)])),
      required: groups.filter(({ required }) => required).map(({ key }) => key),
      additionalProperties: false,
    };
  }

  /** The schema of whole configurations, for editors: it takes classes of modules that were not read, too. */
  jsonSchema(): object {
    const { properties, ...root } = this.root;
    return {
      $schema: "http://json-schema.org/draft-07/schema#",
      title: "The configuration of a levin program",
      ...root,
      properties: { $schema: { type: "string" }, ...properties },
      $defs: {
        ...this.definitions,
        ...Object.fromEntries(
          Object.keys(this.descriptions.families).map((family) => [
            family,
            this.#schemaOfFamily(family, { anyModule: true }),
          ]),
        ),
      },
    };
  }

  /** The schema by which configurations with these classes are checked: the options of others would take time to no end. */
  checkedSchema(classes: ReadonlySet<string>): object {
    const families = Object.keys(this.descriptions.families);
    const named = (name: string) => classes.has(name);
    return {
      ...this.root,
      $defs: {
        ...this.definitions,
        ...Object.fromEntries(families.map((family) => [family, this.#schemaOfFamily(family, { named })])),
      },
    };
  }

  /** What can stand at a place of a configuration; empty where nothing can. */
  schemasAt(path: Path, values: Values): Schema[] {
    let schemas: readonly Schema[] = [this.root];
    for (const [i, key] of path.entries()) {
      const value = valueAt(values, path.slice(0, i));
      const open = schemas
        .flatMap((schema) => alternatives(schema, this.definitions))
        .map((schema) => (familyOf(schema) ? this.#schemaOfObject(value) : schema))
        .flatMap((schema) => alternatives(schema, this.definitions));
      const inner = schemaOfKey(open, key);
      if (!inner) return [];
      schemas = [inner];
    }
    return schemas.flatMap((schema) => alternatives(schema, this.definitions));
  }

  /** The family whose objects can stand at a place of a configuration. */
  familyAt(path: Path, values: Values): string | undefined {
    return this.schemasAt(path, values)
      .map(familyOf)
      .find((family) => family !== undefined);
  }

  /** The class whose options stand at a place of a configuration. */
  classAt(path: Path, values: Values): string | undefined {
    const group = this.groups.find(({ key }) => key === path[0]);
    if (path.length === 1 && group?.kind === "class") return group.className;
    if (path.at(-1) !== "initArgs") return undefined;
    const className = valueAt(values, [...path.slice(0, -1), "classPath"]);
    return typeof className === "string" ? className : undefined;
  }

  /** The options that can stand at a place of a configuration. */
  optionsAt(path: Path, values: Values): readonly OptionDescription[] {
    const className = this.classAt(path, values);
    return (className !== undefined && this.classOf(className)?.options) || [];
  }

  /** Whether a class has an option of this name: then it is kept when a configuration changes to that class. */
  readonly keepOptions = (className: string, option: string): boolean =>
    this.classOf(className)?.options.some(({ name }) => name === option) ?? false;

  classOf(name: string): ClassDescription | undefined {
    return Object.hasOwn(this.descriptions.classes, name) ? this.descriptions.classes[name] : undefined;
  }

  #schemaOfObject(value: unknown): Schema {
    const name = isObject(value) && typeof value.classPath === "string" ? value.classPath : "";
    return {
      type: "object",
      properties: {
        classPath: { type: "string" },
        ...(this.classOf(name) && { initArgs: { $ref: `#/$defs/${optionsOf(name)}` } }),
      },
    };
  }

  /** `named`: the classes whose options are part of it; `anyModule`: whether it takes classes of modules that were not read. */
  #schemaOfFamily(
    family: string,
    {
      named = () => true,
      anyModule = false,
    }: { named?: (name: string) => boolean; anyModule?: boolean } = {},
  ): Schema {
    const { families, classes } = this.descriptions;
    const members = families[family] ?? [];
    const needsOptions = (name: string) => classes[name]?.options.some(({ required }) => required) ?? false;
    const inModule: Schema = { type: "string", pattern: "#|\\.[cm]?[jt]sx?$" };
    const names = oneOf(members);
    const classPath = anyModule ? { anyOf: [names, inModule] } : names;
    const simple = oneOf(members.filter((name) => !needsOptions(name)));
    return {
      anyOf: [
        ...(anyModule ? [{ anyOf: [simple, inModule] }] : []),
        {
          type: "object",
          properties: { classPath, initArgs: { type: "object" } },
          required: ["classPath"],
          additionalProperties: false,
          allOf: members.filter(named).map((name) => ({
            if: { properties: { classPath: { enum: [name] } } },
            // biome-ignore lint/suspicious/noThenProperty: it is JSON Schema's word
            then: {
              properties: { initArgs: { $ref: `#/$defs/${optionsOf(name)}` } },
              ...(needsOptions(name) && { required: ["initArgs"] }),
            },
          })),
        },
      ],
    };
  }
}

/** One of these texts; of none, nothing. */
const oneOf = (texts: readonly string[]): Schema => (texts.length > 0 ? { enum: texts } : { not: {} });

function schemaOfClass({ options, documentation, open }: ClassDescription): Schema {
  const given = options.filter(({ schema }) => schema);
  return {
    type: "object",
    ...(documentation !== "" && { description: documentation }),
    properties: Object.fromEntries(given.map((option) => [option.name, schemaOfOption(option)!])),
    required: options.filter(({ required }) => required).map(({ name }) => name),
    additionalProperties: open ?? false,
  };
}

function schemaOfGroup(group: Group): Schema {
  const documentation = group.documentation !== "" && { description: group.documentation };
  if (group.kind === "value") {
    return {
      ...group.schema,
      ...documentation,
      ...(group.default !== undefined && { default: group.default }),
    };
  }
  if (group.kind === "class") return { $ref: `#/$defs/${optionsOf(group.className)}` };
  const { $ref } = refersTo(group.family);
  return group.required ? { $ref: $ref! } : { anyOf: [{ $ref: $ref! }, { type: "null" }], ...documentation };
}
