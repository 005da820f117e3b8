import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from "yaml";
import { MisconfigurationError } from "../errors.js";

/** Where something was given: in a line of a file, by a flag, by the program. */
export interface Place {
  readonly name: string;
  /** Of a file: from 1. */
  readonly line?: number;
  readonly column?: number;
  /** The text of that line. */
  readonly text?: string;
}

/** Where a value and its name stand. */
export interface Places {
  readonly key: Place;
  readonly value: Place;
}

/** What is wrong with a configuration, and where. */
export interface Problem {
  readonly place: Place | null;
  readonly message: string;
}

/** A configuration that cannot be used; the message lists what is wrong with it, each with the file and line, or the flag. */
export class ConfigError extends MisconfigurationError {
  override name = "ConfigError";
  constructor(readonly problems: readonly Problem[]) {
    super(problems.map(problemText).join("\n"));
  }
}

function problemText({ place, message }: Problem): string {
  if (!place) return message;
  const { name, line, column, text } = place;
  if (line === undefined) return `${name}: ${message}`;
  const excerpt = `${String(line).padStart(5)} | ${text ?? ""}\n${" ".repeat(5)} | ${" ".repeat((column ?? 1) - 1)}^`;
  return `${name}:${line}:${column}: ${message}\n${excerpt}`;
}

/** Names of options, from the outermost. */
export type Path = readonly string[];
export type Values = Record<string, unknown>;

export const pointer = (path: Path): string =>
  path.map((key) => `/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
export const pathOf = (pointer: string): string[] =>
  pointer
    .split("/")
    .slice(1)
    .map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"));

export function isObject(value: unknown): value is Values {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value at a path; undefined where there is none. */
export function valueAt(values: unknown, path: Path): unknown {
  let value = values;
  for (const key of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Values)[key];
  }
  return value;
}

/** Sets the value at a path, and makes the objects on the way. */
export function setValueAt(values: Values, path: Path, value: unknown): void {
  let parent = values;
  for (const key of path.slice(0, -1)) {
    if (!isObject(parent[key]) && !Array.isArray(parent[key])) parent[key] = {};
    parent = parent[key] as Values;
  }
  parent[path.at(-1)!] = value;
}

/** Values of a configuration with the places where they were given. */
export class Layer {
  readonly places = new Map<string, Places>();

  constructor(
    public values: Values,
    /** What is the place of everything that has no closer one. */
    readonly place: Place,
  ) {}

  /** The place of a value or of its name, or of the closest that is around it. */
  placeOf(path: Path, part: keyof Places = "value"): Place {
    for (let length = path.length; length >= 0; length--) {
      const found = this.places.get(pointer(path.slice(0, length)));
      if (found) return length === path.length ? found[part] : found.key;
    }
    return this.place;
  }

  /** Forgets the places of what is in a value, which is going to be replaced. */
  forget(path: Path): void {
    const inside = `${pointer(path)}/`;
    for (const known of [...this.places.keys()]) if (known.startsWith(inside)) this.places.delete(known);
  }

  /** The values under a name as a layer of their own. */
  part(key: string): Layer {
    const value = this.values[key];
    const part = new Layer(isObject(value) ? value : {}, this.placeOf([key], "key"));
    for (const [known, places] of this.places) {
      if (known.startsWith(`/${key}/`)) part.places.set(known.slice(key.length + 1), places);
    }
    return part;
  }

  /** Puts another layer's values in at a path: objects are merged, all else is replaced. */
  merge(other: Layer, path: Path = [], keep: KeepOptions = () => true): void {
    if (path.length > 0 && !isObject(valueAt(this.values, path))) setValueAt(this.values, path, {});
    this.#merge(valueAt(this.values, path) as Values, other.values, other, path, [], keep);
  }

  #merge(target: Values, values: Values, from: Layer, base: Path, path: Path, keep: KeepOptions): void {
    const className = target.classPath;
    if (typeof values.classPath === "string" && typeof className === "string") {
      if (values.classPath !== className) dropOptions(target, values.classPath, keep);
    }
    for (const [key, value] of Object.entries(values)) {
      const own = [...base, ...path, key];
      const places = from.places.get(pointer([...path, key])) ?? {
        key: from.placeOf([...path, key]),
        value: from.placeOf([...path, key]),
      };
      if (isObject(value) && isObject(target[key])) {
        this.places.set(pointer(own), places);
        this.#merge(target[key], value, from, base, [...path, key], keep);
        continue;
      }
      const replaced = pointer(own);
      this.forget(own);
      target[key] = structuredClone(value);
      this.places.set(replaced, places);
      const inner = pointer([...path, key]);
      for (const [known, place] of from.places) {
        if (known.startsWith(`${inner}/`)) this.places.set(replaced + known.slice(inner.length), place);
      }
    }
  }
}

/** Whether a class has an option of this name: then it is kept when a configuration changes to that class. */
export type KeepOptions = (classPath: string, option: string) => boolean;

function dropOptions(target: Values, classPath: string, keep: KeepOptions): void {
  const given = isObject(target.initArgs) ? target.initArgs : {};
  target.initArgs = Object.fromEntries(Object.entries(given).filter(([name]) => keep(classPath, name)));
}

/** Reads a YAML or JSON file. `name`: what errors call it; `given`: where it was named. */
export function readConfigFile(file: string, name: string, given: Place | null = null): Layer {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    const why =
      (error as { code?: string }).code === "ENOENT" ? "there is no such file" : (error as Error).message;
    throw new ConfigError([{ place: given, message: `${name}: ${why}` }]);
  }
  return readConfigText(text, name);
}

/** Reads the text of a YAML or JSON file. */
function readConfigText(text: string, name: string): Layer {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, merge: true, prettyErrors: false });
  const lines = text.split(/\r?\n/);
  const at = (offset: number): Place => {
    const { line, col } = lineCounter.linePos(offset);
    return { name, line, column: col, text: lines[line - 1] };
  };
  if (document.errors.length > 0) {
    throw new ConfigError(
      document.errors.map((error) => ({ place: at(error.pos[0]), message: error.message })),
    );
  }
  const values = document.toJS() ?? {};
  if (!isObject(values)) {
    throw new ConfigError([
      { place: at(0), message: "a configuration is an object of options and their values" },
    ]);
  }
  const layer = new Layer(values, { name });
  const visit = (node: unknown, path: string[], key: Place | null): void => {
    if (path.length > 0) {
      const offset = (node as Node | null)?.range?.[0];
      const value = offset === undefined ? (key ?? layer.place) : at(offset);
      layer.places.set(pointer(path), { key: key ?? value, value });
    }
    if (isMap(node)) {
      for (const pair of node.items) {
        const name = isScalar(pair.key) ? String(pair.key.value) : String(pair.key);
        const offset = (pair.key as Node | null)?.range?.[0];
        visit(pair.value, [...path, name], offset === undefined ? null : at(offset));
      }
    } else if (isSeq(node)) {
      for (const [i, item] of node.items.entries()) visit(item, [...path, String(i)], null);
    }
  };
  visit(document.contents, [], null);
  return layer;
}

/** Whether a text is the path of a YAML or JSON file. */
export const isConfigFile = (value: unknown): value is string =>
  typeof value === "string" && /\.(ya?ml|json)$/.test(value);

/** Puts in the files that stand for whole groups, as in `model: model.yaml`: relative to the file that names them. */
export function includeFiles(
  layer: Layer,
  groups: Iterable<string>,
  file: string,
  files: Map<string, string>,
): void {
  for (const group of groups) {
    const value = layer.values[group];
    if (!isConfigFile(value)) continue;
    const included = readConfigFile(resolve(dirname(file), value), value, layer.placeOf([group]));
    layer.values[group] = {};
    layer.merge(included, [group]);
    files.set(group, value);
  }
}
