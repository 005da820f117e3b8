/** The part of JSON Schema (draft 7) that options are described in. */
export interface Schema {
  $ref?: string;
  type?: "string" | "number" | "boolean" | "null" | "array" | "object";
  enum?: readonly (string | number | boolean | null)[];
  anyOf?: readonly Schema[];
  not?: Schema;
  allOf?: readonly object[];
  items?: Schema | readonly Schema[];
  minItems?: number;
  maxItems?: number;
  properties?: Record<string, Schema>;
  required?: readonly string[];
  additionalProperties?: boolean | Schema;
  pattern?: string;
  description?: string;
  default?: unknown;
}

/** The definitions that `$ref` names. */
export type Definitions = Readonly<Record<string, Schema>>;

/** What stands for an object of a class: `{ classPath, initArgs }`. */
export const refersTo = (family: string): Schema => ({ $ref: `#/$defs/${family}` });

/** The class whose objects a schema takes, if it is such a schema. */
export const familyOf = (schema: Schema): string | undefined =>
  schema.$ref?.match(/^#\/\$defs\/([^.]+)$/)?.[1];

/** The alternatives of a schema, unions in unions laid flat. Definitions that are not an object of a class are looked up. */
export function alternatives(schema: Schema, definitions: Definitions): readonly Schema[] {
  if (schema.$ref !== undefined && familyOf(schema) === undefined) {
    const definition = definitions[schema.$ref.slice("#/$defs/".length)];
    return definition ? alternatives(definition, definitions) : [];
  }
  return schema.anyOf?.flatMap((each) => alternatives(each, definitions)) ?? [schema];
}

/** What a schema says of the value at a key or index; undefined where there can be none. */
export function schemaOfKey(schemas: readonly Schema[], key: string): Schema | undefined {
  const found = schemas.flatMap((schema): Schema[] => {
    if (schema.type === "array" && /^\d+$/.test(key)) {
      const { items } = schema;
      const item = Array.isArray(items) ? items[Number(key)] : (items as Schema | undefined);
      return item ? [item] : [{}];
    }
    const property =
      schema.properties && Object.hasOwn(schema.properties, key) ? schema.properties[key] : undefined;
    if (property) return [property];
    if (typeof schema.additionalProperties === "object") return [schema.additionalProperties];
    const open = schema.additionalProperties === true || isAnything(schema);
    return open ? [{}] : [];
  });
  return found.length > 1 ? { anyOf: found } : found[0];
}

/** Whether a schema takes every value. */
function isAnything(schema: Schema): boolean {
  return Object.keys(schema).every((key) => key === "description" || key === "default");
}

/** A schema in TypeScript's words: `number | null`, `"min" | "max"`. */
export function typeText(schema: Schema, definitions: Definitions = {}): string {
  const texts = alternatives(schema, definitions).map((each): string => {
    if (each.$ref) return familyOf(each) ?? "object";
    if (each.enum) return each.enum.map((value) => JSON.stringify(value)).join(" | ");
    if (each.type === "array") return arrayText(each, definitions);
    if (each.type === "object") return objectText(each, definitions);
    return each.type ?? "any";
  });
  return [...new Set(texts)].join(" | ");
}

function arrayText({ items }: Schema, definitions: Definitions): string {
  if (Array.isArray(items)) return `[${items.map((each: Schema) => typeText(each, definitions)).join(", ")}]`;
  const item = typeText((items as Schema) ?? {}, definitions);
  return item.includes(" ") ? `(${item})[]` : `${item}[]`;
}

function objectText(schema: Schema, definitions: Definitions): string {
  const names = Object.entries(schema.properties ?? {}).map(
    ([name, value]) =>
      `${name}${schema.required?.includes(name) ? "" : "?"}: ${typeText(value, definitions)}`,
  );
  if (typeof schema.additionalProperties === "object") {
    names.push(`[name]: ${typeText(schema.additionalProperties, definitions)}`);
  }
  return names.length > 0 ? `{ ${names.join(", ")} }` : "object";
}

/** Whether a schema takes a value, as far as can be said without looking into objects of classes. */
export function accepts(schema: Schema, value: unknown, definitions: Definitions = {}): boolean {
  return alternatives(schema, definitions).some((each): boolean => {
    if (each.$ref) return typeof value === "object" && value !== null && "classPath" in value;
    if (each.enum) return each.enum.includes(value as string);
    if (each.type === "array") {
      const { items } = each;
      return (
        Array.isArray(value) &&
        value.every((item, i) =>
          accepts(Array.isArray(items) ? (items[i] ?? {}) : (items ?? {}), item, definitions),
        )
      );
    }
    if (each.type === "object") return typeof value === "object" && value !== null && !Array.isArray(value);
    if (each.type === "null") return value === null;
    return each.type === undefined || typeof value === each.type;
  });
}
