import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { Callback } from "../callback.js";
import type { LightningDataModule } from "../data-module.js";
import { MisconfigurationError } from "../errors.js";
import type { LightningModule } from "../module.js";
import type { Trainer } from "../trainer.js";
import { applyFlag, readValue } from "./apply-flag.js";
import { describeClasses } from "./class-cache.js";
import {
  ConfigError,
  includeFiles,
  isConfigFile,
  isObject,
  Layer,
  type Place,
  readConfigFile,
  setValueAt,
  type Values,
} from "./config.js";
import { isReference } from "./description.js";
import { type DumpOptions, dumpConfig, toYaml, valuesToWrite } from "./dump.js";
import { type Flag, readEnvironment, readFlags } from "./flags.js";
import {
  type Argument,
  type ArgumentOptions,
  type ClassGroup,
  type ClassOf,
  isClassGroup,
  layoutOf,
  type MethodArguments,
  nameOf,
  withUnread,
} from "./groups.js";
import { importOwn, importReference } from "./import-class.js";
import { instantiate, type Maker, type Makers, makeObject } from "./instantiate.js";
import type { Group, Layout } from "./layout.js";
import { applyLinks, groupOf, type Link, linkObjects, withoutLinked } from "./links.js";
import { normalize } from "./normalize.js";

/** Options of {@link LightningArgumentParser}. */
export interface ParserOptions {
  /** What `--help` says at its top. */
  description?: string;
  /** What the names of environment variables begin with. Default: "PL". */
  envPrefix?: string;
  /** Whether environment variables such as `PL_TRAINER__MAX_EPOCHS` are read. Default: false. */
  defaultEnv?: boolean;
  /** Whether a wrong configuration is printed and ends the process with code 2, else a ConfigError is thrown. Default: true. */
  exitOnError?: boolean;
  /** The folder that files and references to classes are relative to. Default: the current one. */
  cwd?: string;
}

/** Options of `parser.addLightningClassArgs`. */
export interface ClassArgumentsOptions {
  /** Whether any subclass can be chosen, as `{ classPath, initArgs }`. Default: false. */
  subclassMode?: boolean;
  /** Whether a subclass has to be chosen. Default: true. */
  required?: boolean;
  /** Whether an object is made of it, else it stays an object of options. Default: true. */
  instantiate?: boolean;
}

/** Options of `parser.linkArguments`. */
export interface LinkOptions {
  /** Makes the target's value of the sources' values. Default: the source's value itself. */
  computeFn?: (...sources: never[]) => unknown;
  /** Whether it is given the configuration's values, or objects (and fields of them) that have been made. Default: "parse". */
  applyOn?: "parse" | "instantiate";
}

/** Options of `parser.parseArgs`. */
export interface ParseOptions {
  /** Files with a part for each subcommand. */
  files?: readonly string[];
  /** The part of these files that is read. */
  subcommand?: string;
}

/** Where an optimizer or a scheduler of a configuration goes. */
export interface MadeByConfiguration {
  /** An option of the module; "AUTOMATIC": to what its configureOptimizers returns. */
  readonly linkTo: string;
}

/** Reads configurations, from files, flags and environment variables, by the types of the classes' own options. */
export class LightningArgumentParser {
  readonly options: Required<ParserOptions>;
  /** The groups of optimizers, and of learning rate schedulers. */
  readonly optimizers = new Map<string, MadeByConfiguration>();
  readonly lrSchedulers = new Map<string, MadeByConfiguration>();
  readonly #groups: (Argument | ClassGroup)[] = [];
  readonly #methods: MethodArguments[] = [];
  readonly #links: Link[] = [];
  readonly #defaults: Values = {};
  readonly #makers = new Map<string, Maker>();
  #layout: Layout | null = null;
  /** Where the values of configurations were given, and the files that stood for groups. */
  readonly #parsed = new WeakMap<Values, { layer: Layer; files: ReadonlyMap<string, string> }>();

  constructor(options: ParserOptions = {}) {
    this.options = {
      description: "Lightning Trainer command line tool",
      envPrefix: "PL",
      defaultEnv: false,
      exitOnError: true,
      cwd: process.cwd(),
      ...options,
    };
  }

  // What a configuration has

  /** Adds an option of its own: `--name`. */
  addArgument(name: string, options: ArgumentOptions = {}): void {
    this.#add({ key: name.replace(/^--/, ""), ...options });
  }

  /** Adds the options of a class as a group. */
  addLightningClassArgs(
    lightningClass: ClassOf<Trainer | LightningModule | LightningDataModule | Callback>,
    nestedKey: string,
    options: ClassArgumentsOptions = {},
  ): void {
    const { subclassMode = false, required = true, instantiate = true } = options;
    this.#add({
      key: nestedKey,
      classes: [lightningClass],
      isFamily: subclassMode,
      required: required && subclassMode,
      instantiate,
    });
  }

  /** Adds an optimizer: the options of one class, or, where a list is given, a choice of its classes and their subclasses. */
  addOptimizerArgs(
    optimizerClass: ClassOf<unknown> | readonly ClassOf<unknown>[] = ["Optimizer"],
    options: { nestedKey?: string; linkTo?: string } = {},
  ): void {
    const { nestedKey = "optimizer", linkTo = "AUTOMATIC" } = options;
    this.#addMadeByTrainer(nestedKey, optimizerClass);
    this.optimizers.set(nestedKey, { linkTo });
  }

  /** Adds a learning rate scheduler: the options of one class, or, where a list is given, a choice of its classes and their subclasses. */
  addLrSchedulerArgs(
    lrSchedulerClass: ClassOf<unknown> | readonly ClassOf<unknown>[] = ["LRScheduler", "ReduceLROnPlateau"],
    options: { nestedKey?: string; linkTo?: string } = {},
  ): void {
    const { nestedKey = "lrScheduler", linkTo = "AUTOMATIC" } = options;
    this.#addMadeByTrainer(nestedKey, lrSchedulerClass);
    this.lrSchedulers.set(nestedKey, { linkTo });
  }

  /** Adds the arguments of a method as options of the configuration's top. `skip`: those that are none. */
  addMethodArguments(ownerClass: ClassOf<unknown>, method: string, skip: readonly string[] = []): void {
    this.#remember(ownerClass);
    this.#methods.push({ name: `${nameOf(ownerClass)}.${method}`, skip });
  }

  /** Sets what options are where nothing is given: `{ "trainer.maxEpochs": 3 }`. */
  setDefaults(defaults: Values): void {
    for (const [name, value] of Object.entries(defaults)) {
      if (!isPlain(value)) {
        throw new MisconfigurationError(
          `parser.setDefaults: ${name} was given an object of a class; a configuration has values, or { classPath, initArgs }.`,
        );
      }
      setValueAt(this.#defaults, name.split("."), value);
    }
  }

  /**
   * Makes an option follow others; then it cannot be given itself.
   *
   * ```ts
   * parser.linkArguments("data.batchSize", "model.batchSize");
   * parser.linkArguments("data.numClasses", "model.numClasses", { applyOn: "instantiate" });
   * ```
   */
  linkArguments(source: string | readonly string[], target: string, options: LinkOptions = {}): void {
    const { computeFn = (value: unknown) => value, applyOn = "parse" } = options;
    this.#links.push({ sources: [source].flat(), target, computeFn, applyOn });
  }

  #addMadeByTrainer(key: string, given: ClassOf<unknown> | readonly ClassOf<unknown>[]): void {
    const classes = [given].flat() as ClassOf<unknown>[];
    this.#add({ key, classes, isFamily: Array.isArray(given), required: false, instantiate: false });
  }

  #add(group: Argument | ClassGroup): void {
    if (this.#groups.some(({ key }) => key === group.key)) {
      throw new MisconfigurationError(`The parser has a group or an argument ${group.key} already.`);
    }
    for (const each of isClassGroup(group) ? group.classes : []) this.#remember(each);
    this.#groups.push(group);
  }

  #remember(given: ClassOf<unknown>): void {
    if (typeof given !== "string") this.#makers.set(given.name, given);
  }

  // Reading

  /** Reads the configuration of a command line. `--help` and `--printConfig` print, and end the process. */
  async parseArgs(args: readonly string[], options: ParseOptions = {}): Promise<Values> {
    return this.#orExit(async () => {
      const { flags, others } = readFlags(args);
      if (others.length > 0) throw wrong(`unrecognized arguments: ${others.join(" ")}`);
      return this.#parse(flags, options);
    });
  }

  /** Reads a configuration from an object. `base`: one to put it on. */
  async parseObject(values: Values, base: Values | null = null): Promise<Values> {
    return this.#orExit(async () => {
      const place = { name: "the program" };
      const parsed = base && this.#parsed.get(base);
      const under = parsed?.layer ?? new Layer(structuredClone(base ?? this.#defaults), place);
      const given = new Layer(values, place);
      const layout = await this.#prepare([under, given], []);
      const config = new Layer({}, place);
      for (const layer of [under, given]) {
        config.merge(layer, [], layout.keepOptions);
        normalize(layout, config);
      }
      return this.#finish(layout, config, parsed?.files ?? new Map());
    });
  }

  async #parse(flags: readonly Flag[], { files = [], subcommand = "" }: ParseOptions): Promise<Values> {
    // read the files, to see which classes there are
    const groupFiles = new Map<string, string>();
    const place = { name: "--config" };
    const parts: (Layer | Flag)[] = files.map((file) =>
      this.#readFile(file, groupFiles, { place, part: subcommand }),
    );
    const { defaultEnv, envPrefix } = this.options;
    const fromEnvironment = defaultEnv
      ? readEnvironment(
          envPrefix,
          this.#groups.map(({ key }) => key),
        )
      : [];
    for (const flag of [...fromEnvironment, ...flags]) parts.push(this.#readPart(flag, groupFiles));
    const layers = parts.filter((part) => part instanceof Layer);
    const layout = await this.#prepare(layers, flags);

    // put them on top of each other, in the order in which they were given
    const config = new Layer(structuredClone(this.#defaults), { name: "the program" });
    normalize(layout, config);
    for (const part of parts) {
      if (part instanceof Layer) config.merge(part, [], layout.keepOptions);
      else if (!isAction(part)) applyFlag(layout, config, part);
      normalize(layout, config);
    }
    const action = flags.find(isAction);
    if (action) await this.#act(action, layout, config, groupFiles);
    return this.#finish(layout, config, groupFiles);
  }

  /** A flag, or what is in the file that it names. */
  #readPart(flag: Flag, groupFiles: Map<string, string>): Layer | Flag {
    const { name, text, value } = flag;
    if (name === "config") {
      if (value === null) throw new ConfigError([{ place: { name: text }, message: "it needs a file" }]);
      return this.#readFile(value, groupFiles, { place: { name: text } });
    }
    const isGroup = this.#groups.some((group) => group.key === name && isClassGroup(group));
    if (!isGroup || !isConfigFile(value)) return flag;
    const layer = new Layer({ [name]: {} }, { name: text });
    layer.merge(this.#readText(value, { name: text }), [name]);
    groupFiles.set(name, value);
    return layer;
  }

  #readFile(
    file: string,
    groupFiles: Map<string, string>,
    { place, part }: { place: Place; part?: string },
  ): Layer {
    const whole = this.#readText(file, place);
    const layer = part === undefined ? whole : whole.part(part);
    const classGroups = this.#groups.filter(isClassGroup).map(({ key }) => key);
    includeFiles(layer, classGroups, resolve(this.options.cwd, file), groupFiles);
    return layer;
  }

  #readText(file: string, place: Place): Layer {
    const layer = readConfigFile(resolve(this.options.cwd, file), file, place);
    delete layer.values.$schema; // for editors
    return layer;
  }

  /** Adds what follows from the rest, and looks whether all is well. */
  async #finish(layout: Layout, config: Layer, files: ReadonlyMap<string, string>): Promise<Values> {
    for (const group of layout.groups) {
      if (group.kind === "class") config.values[group.key] ??= {};
      if (group.kind === "value" && group.default !== undefined) config.values[group.key] ??= group.default;
    }
    applyLinks(this.#links, layout, config);
    const { validate } = await import("./validate.js");
    const problems = validate(withoutLinked(this.#links, layout, config.values), config);
    if (problems.length > 0) throw new ConfigError(problems);
    const known = layout.groups.filter(({ key }) => config.values[key] !== undefined);
    const values = Object.fromEntries(known.map(({ key }) => [key, config.values[key]]));
    this.#parsed.set(values, { layer: config, files });
    return values;
  }

  // Classes

  /** Reads the types of all classes that a configuration names or may name. */
  async #prepare(layers: readonly Layer[], flags: readonly Flag[]): Promise<Layout> {
    const references = new Set<string>();
    const collect = (value: unknown): void => {
      if (typeof value === "string" && isReference(value)) references.add(value);
      else if (typeof value === "object" && value !== null)
        for (const each of Object.values(value)) collect(each);
    };
    for (const { values } of layers) collect(values);
    for (const { value } of flags) if (value !== null) collect(readValue(value));
    collect(this.#defaults);

    const levin: Values = { ...(await import("../index.js")) };
    const named = new Set<string>();
    const own = new Set(this.#methods.map(({ name }) => name));
    const families: string[] = [];
    for (const { classes, isFamily } of this.#groups.filter(isClassGroup)) {
      for (const each of classes) {
        const name = nameOf(each);
        if (isReference(name)) references.add(name);
        else if (typeof each === "string" || levin[name] === each) own.add(name);
        else named.add(name);
        if (isFamily) families.push(name);
      }
    }
    const descriptions = await describeClasses({
      cwd: this.options.cwd,
      references: [...references].sort(),
      named: [...named],
      entry: named.size > 0 ? (process.argv[1] ?? null) : null,
      own: [...own],
      families,
    });
    this.#layout = layoutOf(this.#groups, this.#methods, withUnread(descriptions, named));
    return this.#layout;
  }

  get #read(): Layout {
    if (!this.#layout) throw new MisconfigurationError("The parser has not parsed anything yet.");
    return this.#layout;
  }

  /** The options that {@link addMethodArguments} has added; known when a configuration has been parsed. */
  get methodOptions(): readonly string[] {
    const own = this.#groups.map(({ key }) => key);
    return this.#read.groups.map(({ key }) => key).filter((key) => !own.includes(key));
  }

  /** The names of the options that a group has in a configuration. */
  optionsOf(group: string, config: Values): readonly string[] {
    const layout = this.#read;
    const options = [...layout.optionsAt([group], config), ...layout.optionsAt([group, "initArgs"], config)];
    return options.map(({ name }) => name);
  }

  /** The class that is chosen in a group, and its options; null where none is. */
  chosen(key: string, value: unknown): { classPath: string; initArgs: Values } | null {
    const group = this.#read.groups.find((each) => each.key === key);
    if (group?.kind === "class") return { classPath: group.className, initArgs: (value ?? {}) as Values };
    if (!isObject(value)) return null;
    return { classPath: value.classPath as string, initArgs: (value.initArgs ?? {}) as Values };
  }

  // Making objects

  /** Makes the objects of a configuration. */
  async instantiateClasses(config: Values): Promise<Values> {
    const layout = this.#read;
    const made: Values = {};
    const links = this.#links.filter(({ applyOn }) => applyOn === "instantiate");
    const make = async (group: Group): Promise<void> => {
      if (group.key in made) return;
      made[group.key] = undefined;
      // what others are linked from is made before them
      const own = links.filter(({ target }) => groupOf(target) === group.key);
      for (const source of own.flatMap(({ sources }) => sources)) {
        const other = layout.groups.find(({ key }) => key === groupOf(source));
        if (other) await make(other);
      }
      const values = { [group.key]: structuredClone(config[group.key]) };
      linkObjects(own, layout, made, values);
      made[group.key] = await this.#make(group, values[group.key]);
    };
    for (const group of layout.groups) await make(group);
    return made;
  }

  async #make(group: Group, value: unknown): Promise<unknown> {
    const added = this.#groups.find(({ key }) => key === group.key);
    const stays = added !== undefined && isClassGroup(added) && !added.instantiate;
    if (group.kind === "class" && !stays)
      return makeObject(group.className, (value ?? {}) as Values, this.makers);
    // the options of what stays are made, but not the thing itself
    return group.kind === "family" && stays ? value : instantiate(value, this.makers);
  }

  /** What makes the objects of a configuration. */
  get makers(): Makers {
    const layout = this.#read;
    return {
      describe: (name) => layout.classOf(name),
      load: async (name) => {
        const known = this.#makers.get(name);
        if (known) return known;
        const maker = isReference(name)
          ? await importReference(name, this.options.cwd)
          : await importOwn(name);
        this.#makers.set(name, maker);
        return maker;
      },
    };
  }

  // Writing

  /** The options that follow others: a configuration that is read has them from those. */
  get #linked(): string[] {
    return this.#links.map(({ target }) => target);
  }

  /** A configuration as YAML. */
  dump(config: Values, options: DumpOptions = {}): string {
    return dumpConfig(this.#read, config, this.#linked, options);
  }

  /**
   * Writes a configuration to a file.
   *
   * @param options `overwrite` (default false): whether a file that exists is replaced, else it is an error; `multifile` (default false):
   *   whether groups that came from files of their own are written to such files again
   */
  save(config: Values, path: string, options: { overwrite?: boolean; multifile?: boolean } = {}): void {
    const values = valuesToWrite(this.#read, config, this.#linked);
    const files: [string, unknown][] = [];
    for (const [group, file] of options.multifile ? (this.#parsed.get(config)?.files ?? []) : []) {
      const name = file.split(/[\\/]/).at(-1)!;
      files.push([join(dirname(path), name), values[group]]);
      values[group] = name;
    }
    files.push([path, values]);
    const existing = files.find(([file]) => !options.overwrite && existsSync(file))?.[0];
    if (existing !== undefined) {
      throw new MisconfigurationError(`${existing} exists; save(…, { overwrite: true }) would replace it.`);
    }
    mkdirSync(dirname(path), { recursive: true });
    for (const [file, content] of files) writeFileSync(file, toYaml(content));
  }

  /** The JSON schema of the configurations that are read, for editors; known when one has been parsed. */
  get schema(): object {
    return this.#read.jsonSchema();
  }

  // Ends

  /** Prints something and ends the process. */
  exit(status: number, message: string): never {
    (status === 0 ? process.stdout : process.stderr).write(message);
    process.exit(status);
  }

  /** Reports a wrong configuration. */
  error(error: ConfigError): never {
    if (!this.options.exitOnError) throw error;
    this.exit(2, `${error.message}\n`);
  }

  async #orExit<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof ConfigError) this.error(error);
      throw error;
    }
  }

  async #act(
    action: Flag,
    layout: Layout,
    config: Layer,
    files: ReadonlyMap<string, string>,
  ): Promise<never> {
    if (isHelp(action)) {
      const { helpText } = await import("./help.js");
      const path = action.name.split(".").slice(0, -1);
      const { description } = this.options;
      this.exit(0, helpText(layout, config.values, { description, path, className: action.value }));
    }
    if (isPrintSchema(action)) this.exit(0, `${JSON.stringify(layout.jsonSchema(), null, 2)}\n`);
    const values = await this.#finish(layout, config, files);
    const parts = action.value?.split(",") ?? [];
    const has = (name: string) => parts.some((part) => part.replaceAll("_", "").toLowerCase() === name);
    const options = { comments: has("comments"), skipNull: has("skipnull"), skipDefault: has("skipdefault") };
    this.exit(0, this.dump(values, options));
  }
}

/** Whether a value can stand in a configuration: no objects of classes, no functions. */
export function isPlain(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return typeof value !== "function";
  if (Array.isArray(value)) return value.every(isPlain);
  return Object.getPrototypeOf(value) === Object.prototype && Object.values(value).every(isPlain);
}

const isHelp = ({ name }: Flag) => name === "help" || name.endsWith(".help");
const isPrintSchema = ({ name }: Flag) => /^print[-_]?schema$/i.test(name);
const isAction = (flag: Flag) => isHelp(flag) || isPrintSchema(flag) || /^print[-_]?config$/i.test(flag.name);

const wrong = (message: string) => new ConfigError([{ place: null, message }]);
