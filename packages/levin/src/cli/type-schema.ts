import type * as compiler from "typescript/unstable/sync";
import type { OptionDescription } from "./description.js";
import { accepts, refersTo, type Schema } from "./schema.js";
import type { Compiler, SourceProgram } from "./source-program.js";

/** Classes whose objects belong to a running program: no configuration makes them. */
const programOnly = new Set([
  "Tensor",
  "Optimizer",
  "SchedulerBase",
  "LRScheduler",
  "LightningOptimizer",
  "Trainer",
]);

/** Turns types into schemas. */
export class TypeReader {
  /** The classes and interfaces that options take objects of. */
  readonly families = new Map<string, compiler.Type>();
  readonly #checker: compiler.Checker;
  readonly #compiler: Compiler;
  /** The types that are being read: one that holds itself ends there. */
  readonly #open = new Set<number>();

  constructor({ checker, compiler }: SourceProgram) {
    this.#checker = checker;
    this.#compiler = compiler;
  }

  /** The schema of a type; undefined where it has no values that a configuration can hold. */
  schemaOf(type: compiler.Type | undefined): Schema | undefined {
    if (type === undefined || type.isErrorType()) return {};
    const { TypeFlags } = this.#compiler;
    const is = (flags: number) => (type.flags & flags) !== 0;
    if (is(TypeFlags.AnyOrUnknown)) return {};
    if (is(TypeFlags.Undefined | TypeFlags.Void | TypeFlags.Never)) return undefined;
    if (is(TypeFlags.Null)) return { type: "null" };
    if (type.isLiteralType() && !is(TypeFlags.BigIntLiteral)) {
      return { enum: [type.value as string | number | boolean] };
    }
    if (type.isUnionType()) return this.#once(type, {}, () => this.#schemaOfUnion(type));
    if (is(TypeFlags.Boolean)) return { type: "boolean" };
    if (is(TypeFlags.String | TypeFlags.TemplateLiteral | TypeFlags.StringMapping)) return { type: "string" };
    if (is(TypeFlags.Number | TypeFlags.BigInt)) return { type: "number" };
    if (is(TypeFlags.TypeParameter | TypeFlags.IndexedAccess | TypeFlags.Conditional | TypeFlags.Index)) {
      const constraint = this.#checker.getBaseConstraintOfType(type);
      return constraint ? this.schemaOf(constraint) : {};
    }
    if (is(TypeFlags.NonPrimitive)) return { type: "object" };
    if (type.isObjectType() || type.isIntersectionType()) return this.#schemaOfObject(type);
    return undefined;
  }

  /** The type of an options object, where a parameter takes one: nothing else, or else an object of a class. */
  optionsType(type: compiler.Type | undefined): compiler.Type | undefined {
    if (!type?.isUnionType()) return this.#isOptions(type) ? type : undefined;
    const [options, ...others] = type.getTypes().filter((part) => !this.#isObjectOfClass(part));
    return others.length === 0 && this.#isOptions(options) ? options : undefined;
  }

  #isObjectOfClass(type: compiler.Type): boolean {
    return type.isObjectType() && this.#isClassLike(type);
  }

  /** Whether a type is an object of named options, and not an object of a class, a list or a function. */
  #isOptions(type: compiler.Type | undefined): type is compiler.Type {
    if (!type || type.isUnionType() || !(type.isObjectType() || type.isIntersectionType())) return false;
    if (this.#checker.isArrayLikeType(type) || this.#isFunction(type) || this.#isClassLike(type))
      return false;
    return (
      this.#checker.getPropertiesOfType(type).length > 0 &&
      this.#checker.getIndexInfosOfType(type).length === 0
    );
  }

  /** The options that are the properties of a type. */
  optionsOf(type: compiler.Type, defaults: ReadonlyMap<string, unknown>): OptionDescription[] {
    const { SymbolFlags } = this.#compiler;
    return this.#checker.getPropertiesOfType(type).map((symbol) => {
      const documentation = this.#checker.getDocumentationCommentOfSymbol(symbol).trim();
      return describeOption({
        name: symbol.name,
        schema: this.schemaOf(this.#checker.getTypeOfSymbol(symbol)),
        documentation,
        required: (symbol.flags & SymbolFlags.Optional) === 0,
        default: defaults.get(symbol.name) ?? this.documentedDefault(symbol, documentation),
      });
    });
  }

  /** The default that the documentation of an option names. */
  documentedDefault(symbol: compiler.Symbol, documentation: string): unknown {
    const tag = symbol
      .getJsDocTags(this.#checker)
      .find(({ name }) => name === "default" || name === "defaultValue");
    if (tag?.text) return readLiteral(tag.text);
    // "Default: 1e-3." and "Default: 0, off.", but not "Default: 1000, if there is no other limit."
    const text = /\bDefault: (.+?)\.?$/ms.exec(documentation)?.[1] ?? "";
    const whole = readLiteral(text);
    if (whole !== undefined) return whole;
    const [, value, rest] = /^([^,;:.]+|"[^"]*"|\d+\.\d+)[,;.] (.*)/s.exec(text) ?? [];
    return value && !/^(if|unless|when|where|else|as)\b/.test(rest!) ? readLiteral(value) : undefined;
  }

  #schemaOfUnion(type: compiler.UnionType): Schema | undefined {
    const literals: (string | number | boolean | null)[] = [];
    const others: Schema[] = [];
    for (const part of type.getTypes()) {
      const schema = this.schemaOf(part);
      if (schema === undefined) continue;
      if (schema.enum) literals.push(...schema.enum);
      else others.push(schema);
    }
    if (literals.includes(true) && literals.includes(false)) {
      others.push({ type: "boolean" });
      literals.splice(0, literals.length, ...literals.filter((value) => typeof value !== "boolean"));
    }
    const nulls = others.filter((each) => each.type === "null");
    const all = [
      ...(literals.length > 0 ? [{ enum: literals }] : []),
      ...others.filter((each) => each.type !== "null"),
      ...nulls,
    ];
    // null alone is what is left of functions and objects that a configuration cannot hold
    if (all.length === nulls.length) return undefined;
    return all.length === 1 ? all[0] : { anyOf: all };
  }

  #schemaOfObject(type: compiler.Type): Schema | undefined {
    const checker = this.#checker;
    if (checker.isTupleType(type)) return this.#schemaOfTuple(type as compiler.TupleType);
    if (checker.isArrayLikeType(type) || type.getSymbol()?.name === "Iterable") {
      const [item] = checker.getTypeArguments(type as compiler.TypeReference);
      const items = this.schemaOf(item);
      return items && { type: "array", items };
    }
    if (type.isIntersectionType()) {
      // a string or number with a brand
      const plain = type.getTypes().find((part) => !part.isObjectType());
      if (plain) return this.schemaOf(plain);
    }
    if (this.#isFunction(type)) return undefined;
    if (this.#isClassLike(type)) {
      const name = type.getSymbol()?.name;
      if (name === undefined || programOnly.has(name)) return undefined;
      if (!this.families.has(name)) this.families.set(name, type);
      return refersTo(name);
    }
    return this.#once(type, { type: "object" }, () => this.#schemaOfOptions(type));
  }

  /** Reads a type that may hold itself; where it does, it has the schema `again`. */
  #once(type: compiler.Type, again: Schema, read: () => Schema | undefined): Schema | undefined {
    if (this.#open.has(type.id)) return again;
    this.#open.add(type.id);
    const schema = read();
    this.#open.delete(type.id);
    return schema;
  }

  #schemaOfTuple(type: compiler.TupleType): Schema | undefined {
    const items = this.#checker.getTypeArguments(type).map((each) => this.schemaOf(each));
    if (items.some((each) => each === undefined)) return undefined;
    const required = type.fixedLength ?? items.length;
    return { type: "array", items: items as Schema[], minItems: required, maxItems: items.length };
  }

  #schemaOfOptions(type: compiler.Type): Schema {
    const index = this.#checker.getIndexInfosOfType(type)[0];
    const properties: Record<string, Schema> = {};
    const required: string[] = [];
    for (const option of this.optionsOf(type, new Map())) {
      if (!option.schema) continue;
      properties[option.name] = schemaOfOption(option)!;
      if (option.required) required.push(option.name);
    }
    const others = index ? (this.schemaOf(index.valueType) ?? false) : false;
    return {
      type: "object",
      properties,
      ...(required.length > 0 && { required }),
      additionalProperties: others,
    };
  }

  #isFunction(type: compiler.Type): boolean {
    const { SignatureKind } = this.#compiler;
    return (
      this.#checker.getSignaturesOfType(type, SignatureKind.Call).length > 0 ||
      this.#checker.getSignaturesOfType(type, SignatureKind.Construct).length > 0
    );
  }

  /** Whether objects of a type do something: they are of a class, or of an interface with methods that it cannot be without. */
  #isClassLike(type: compiler.Type): boolean {
    const { SymbolFlags } = this.#compiler;
    const symbol = type.getSymbol();
    if (symbol && (symbol.flags & SymbolFlags.Class) !== 0) return true;
    return this.#checker
      .getPropertiesOfType(type)
      .some(({ flags }) => (flags & SymbolFlags.Method) !== 0 && (flags & SymbolFlags.Optional) === 0);
  }
}

/** The schema of an option with its documentation, as an editor shows it. */
export function schemaOfOption(option: OptionDescription): Schema | undefined {
  return (
    option.schema && {
      ...option.schema,
      ...(option.documentation !== "" && { description: option.documentation }),
      ...(option.default !== undefined && { default: option.default }),
    }
  );
}

/** A description without a default that a configuration could not give. */
export function describeOption({ default: value, schema, ...option }: OptionDescription): OptionDescription {
  const known = value !== undefined && schema !== undefined && accepts(schema, value);
  return { ...option, ...(schema && { schema }), ...(known && { default: value }) };
}

/** The value of a literal in TypeScript's notation; undefined for anything else. */
export function readLiteral(text: string): unknown {
  const plain = text.trim().replace(/^`(.*)`$/, "$1");
  const json = /^-?[\d_.]+(e[-+]?\d+)?$/i.test(plain)
    ? plain.replaceAll("_", "")
    : plain.replace(/'([^'"\\]*)'/g, '"$1"');
  try {
    return JSON.parse(json.replace(/^(-?)\./, "$10.").replace(/,\s*\]$/, "]"));
  } catch {
    return undefined;
  }
}
