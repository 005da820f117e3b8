import { Ajv, type ErrorObject } from "ajv";
import { closest } from "../closest.js";
import { type Layer, type Path, type Problem, pathOf, valueAt } from "./config.js";
import type { Layout } from "./layout.js";
import { typeText } from "./schema.js";

/** What is wrong with a configuration: names and values that its classes don't take, and what is missing. */
export function validate(layout: Layout, config: Layer): Problem[] {
  const ajv = new Ajv({ allErrors: true, strict: false, validateSchema: false, code: { optimize: false } });
  const check = ajv.compile(layout.checkedSchema(classesIn(config.values)));
  if (check(config.values)) return [];
  return new Explanation(layout, config).explain(check.errors ?? []);
}

/** The classes that a configuration names. */
function classesIn(values: unknown, found = new Set<string>()): Set<string> {
  if (typeof values !== "object" || values === null) return found;
  if ("classPath" in values) found.add(String(values.classPath));
  for (const value of Object.values(values)) classesIn(value, found);
  return found;
}

class Explanation {
  readonly #layout: Layout;
  readonly #config: Layer;

  constructor(layout: Layout, config: Layer) {
    this.#layout = layout;
    this.#config = config;
  }

  explain(errors: readonly ErrorObject[]): Problem[] {
    const problems = new Map<string, Problem>();
    for (const error of withoutOtherAlternatives(errors)) {
      const problem = this.#problem(error);
      problems.set(`${problem.place?.name}:${problem.place?.line}:${problem.message}`, problem);
    }
    return [...problems.values()].sort((a, b) => (a.place?.line ?? 0) - (b.place?.line ?? 0));
  }

  #problem({ instancePath, keyword, params }: ErrorObject): Problem {
    const path = pathOf(instancePath);
    if (keyword === "additionalProperties") return this.#unknown(path, params.additionalProperty as string);
    if (keyword === "required") return this.#missing(path, params.missingProperty as string);
    if (path.at(-1) === "classPath") return this.#wrongClass(path);
    return this.#wrong(path);
  }

  #unknown(path: Path, name: string): Problem {
    const place = this.#config.placeOf([...path, name], "key");
    const option = this.#layout.optionsAt(path, this.#config.values).find((each) => each.name === name);
    if (option) {
      return {
        place,
        message: `${text([...path, name])} is a function or an object that only a program can give`,
      };
    }
    const schemas = this.#layout.schemasAt(path, this.#config.values);
    const known = [...new Set(schemas.flatMap(({ properties }) => Object.keys(properties ?? {})))];
    const owner =
      path.length === 0 ? "a configuration" : (this.#layout.classAt(path, this.#config.values) ?? text(path));
    return {
      place,
      message: `${text([...path, name])}: ${owner} has no such option. ${suggest(name, known)}`,
    };
  }

  #missing(path: Path, name: string): Problem {
    const place = path.length === 0 ? null : this.#config.placeOf(path, "key");
    const full = [...path, name];
    const option = this.#layout.optionsAt(path, this.#config.values).find((each) => each.name === name);
    if (name === "initArgs") {
      const className = String(valueAt(this.#config.values, [...path, "classPath"]));
      const needed = this.#layout
        .classOf(className)
        ?.options.filter(({ required }) => required)
        .map((each) => each.name);
      return { place, message: `${text(path)}: ${className} needs initArgs with ${needed?.join(", ")}` };
    }
    if (option && !option.schema) {
      return {
        place,
        message: `${text(path)}: ${this.#layout.classAt(path, this.#config.values)} needs ${name}, which only a program can give`,
      };
    }
    const schemas = this.#layout.schemasAt(full, this.#config.values);
    const kind = schemas.map((schema) => typeText(schema, this.#layout.definitions)).join(" | ");
    const owner = this.#layout.classAt(path, this.#config.values);
    const how = kind === "" ? "" : `: it is ${kind}`;
    return { place, message: `${text(full)} is required${owner ? ` by ${owner}` : ""}${how}` };
  }

  #wrongClass(path: Path): Problem {
    const place = this.#config.placeOf(path);
    const name = String(valueAt(this.#config.values, path));
    const { problems, families } = this.#layout.descriptions;
    const family = this.#layout.familyAt(path.slice(0, -1), this.#config.values) ?? "class";
    const what = text(path.slice(0, -1));
    const problem = Object.hasOwn(problems, name) ? problems[name] : undefined;
    if (problem) return { place, message: `${what}: ${problem}` };
    const members = families[family] ?? [];
    if (this.#layout.classOf(name)) return { place, message: `${what}: ${name} is no ${family}` };
    const module = "a class of your own is written ./src/file.ts#Name";
    const named = members.length > 0 ? `${suggest(name, members)} ` : "";
    return { place, message: `${what}: there is no ${family} "${name}". ${named}(${module})` };
  }

  #wrong(path: Path): Problem {
    const value = valueAt(this.#config.values, path);
    const schemas = this.#layout.schemasAt(path, this.#config.values);
    const allowed = [...new Set(schemas.map((schema) => typeText(schema, this.#layout.definitions)))].join(
      " | ",
    );
    const choices = schemas.flatMap((schema) => schema.enum ?? []).filter((each) => typeof each === "string");
    const hint = typeof value === "string" ? closest(value, choices) : undefined;
    return {
      place: this.#config.placeOf(path),
      message: `${text(path)} was given ${JSON.stringify(value)}; it is ${allowed}${hint ? `. Did you mean ${hint}?` : ""}`,
    };
  }
}

/**
 * Without the errors of alternatives that were not meant: where a value fits none, all of them report. Those that got deepest into
 * the value, or to its names, were meant.
 */
function withoutOtherAlternatives(errors: readonly ErrorObject[]): ErrorObject[] {
  const named = (error: ErrorObject) =>
    error.keyword === "additionalProperties" || error.keyword === "required";
  const kept = errors.filter(({ keyword }) => keyword !== "if");
  return kept.filter((error) => {
    if (named(error)) return true;
    return !kept.some(
      (other) =>
        other !== error &&
        ((other.instancePath === error.instancePath && named(other)) ||
          other.instancePath.startsWith(`${error.instancePath}/`)),
    );
  });
}

/** A path as flags write it. */
const text = (path: Path): string => path.filter((key) => key !== "initArgs").join(".");

function suggest(name: string, known: readonly string[]): string {
  const near = closest(name, known);
  if (near) return `Did you mean ${near}?`;
  return known.length > 0 ? `It has: ${known.join(", ")}.` : "It has none.";
}
