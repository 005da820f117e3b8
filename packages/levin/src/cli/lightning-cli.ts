import { existsSync } from "node:fs";
import { type optim, serialization } from "@levin/torch";
import { Callback } from "../callback.js";
import type { LightningDataModule } from "../data-module.js";
import { isOverridden } from "../dispatch.js";
import { MisconfigurationError } from "../errors.js";
import type { Awaitable } from "../hooks.js";
import { warn } from "../messages.js";
import { LightningModule } from "../module.js";
import type { OptimizerConfiguration, Scheduler } from "../optimizers.js";
import { seedEverything } from "../seed.js";
import { Trainer } from "../trainer.js";
import type { TrainerOptions } from "../trainer-options.js";
import { ConfigError, isObject, type Values } from "./config.js";
import { readFlags } from "./flags.js";
import { type ClassOf, nameOf } from "./groups.js";
import { make, makeObject } from "./instantiate.js";
import { isPlain, LightningArgumentParser, type MadeByConfiguration, type ParserOptions } from "./parser.js";
import { ReduceLROnPlateau } from "./reduce-lr-on-plateau.js";
import { SaveConfigCallback, type SaveConfigOptions } from "./save-config-callback.js";

/** Options of {@link LightningCLI}. */
export interface LightningCLIOptions {
  /**
   * The module's class, or a function that makes one, or a reference such as `./src/model.ts#Classifier`. Default: any, which the
   * configuration names.
   */
  modelClass?: ClassOf<LightningModule> | null;
  /** The data module's, likewise. Default: any, or none. */
  datamoduleClass?: ClassOf<LightningDataModule> | null;
  /** What saves the configuration beside the logs; null: nothing. */
  saveConfigCallback?: typeof SaveConfigCallback | null;
  /** Options of `saveConfigCallback`. */
  saveConfigKwargs?: SaveConfigOptions;
  /** A subclass of Trainer, or a function that makes one. */
  trainerClass?: ClassOf<Trainer>;
  /** Other defaults of the trainer's options; its `callbacks` are added to those of the configuration. */
  trainerDefaults?: TrainerOptions;
  /** The seed where none is given. true: one is chosen; false: nothing is seeded. Default: true. */
  seedEverythingDefault?: boolean | number;
  /** Options of the parser, and of those of single subcommands: `{ fit: { description: "Trains." } }`. */
  parserKwargs?: ParserOptions & { readonly [subcommand: string]: unknown };
  /** Default: {@link LightningArgumentParser}. */
  parserClass?: typeof LightningArgumentParser;
  /** Whether subclasses of `modelClass` can be chosen. Default: false. */
  subclassModeModel?: boolean;
  /** Whether subclasses of `datamoduleClass` can be chosen. Default: false. */
  subclassModeData?: boolean;
  /** The command line in place of the process's own; or an object of options. */
  args?: readonly string[] | Values | null;
  /** Whether there are subcommands that run the trainer, else its objects are only made. Default: true. */
  run?: boolean;
  /** Whether there are options for an optimizer and a scheduler. Default: true. */
  autoConfigureOptimizers?: boolean;
}

/**
 * A program's command line: its module, data module and trainer configured by files and flags.
 *
 * ```ts
 * await new LightningCLI({ modelClass: Classifier, datamoduleClass: Digits }).start();
 * ```
 */
export class LightningCLI {
  readonly modelClass: ClassOf<LightningModule> | null;
  readonly datamoduleClass: ClassOf<LightningDataModule> | null;
  readonly saveConfigCallback: typeof SaveConfigCallback | null;
  readonly saveConfigKwargs: SaveConfigOptions;
  readonly trainerClass: ClassOf<Trainer>;
  readonly trainerDefaults: TrainerOptions;
  readonly seedEverythingDefault: boolean | number;
  readonly parserKwargs: ParserOptions & { readonly [subcommand: string]: unknown };
  readonly parserClass: typeof LightningArgumentParser;
  readonly subclassModeModel: boolean;
  readonly subclassModeData: boolean;
  readonly autoConfigureOptimizers: boolean;
  readonly #args: readonly string[] | Values | null;
  readonly #run: boolean;

  parser!: LightningArgumentParser;
  /** Which subcommand was chosen. */
  subcommand: string | null = null;
  /** The configuration, and what was made of it. */
  config: Values = {};
  configInit: Values = {};
  model!: LightningModule;
  datamodule: LightningDataModule | null = null;
  trainer!: Trainer;
  /** What the subcommand gave: metrics, predictions. */
  result: unknown;
  readonly #parsers = new Map<string, LightningArgumentParser>();

  constructor(options: LightningCLIOptions = {}) {
    this.modelClass = options.modelClass ?? null;
    this.datamoduleClass = options.datamoduleClass ?? null;
    this.saveConfigCallback =
      options.saveConfigCallback === undefined ? SaveConfigCallback : options.saveConfigCallback;
    this.saveConfigKwargs = options.saveConfigKwargs ?? {};
    this.trainerClass = options.trainerClass ?? Trainer;
    this.trainerDefaults = options.trainerDefaults ?? {};
    this.seedEverythingDefault = options.seedEverythingDefault ?? true;
    this.parserKwargs = options.parserKwargs ?? {};
    this.parserClass = options.parserClass ?? LightningArgumentParser;
    this.subclassModeModel = this.modelClass === null || (options.subclassModeModel ?? false);
    this.subclassModeData = this.datamoduleClass === null || (options.subclassModeData ?? false);
    this.autoConfigureOptimizers = options.autoConfigureOptimizers ?? true;
    this.#args = options.args ?? null;
    this.#run = options.run ?? true;
  }

  /** Reads the configuration, makes the objects and, if there are subcommands, runs the chosen one. */
  async start(): Promise<this> {
    // the configuration
    const names = Object.keys(this.subcommands());
    const kwargs = Object.entries(this.parserKwargs);
    const pick = (own: boolean) =>
      Object.fromEntries(kwargs.filter(([name]) => names.includes(name) === own));
    this.setupParser(this.#run, pick(false), pick(true) as Record<string, ParserOptions>);
    await this.parseArguments(this.parser, this.#args);
    await this.#readHyperparameters();
    this.#seed();

    // the objects
    await this.beforeInstantiateClasses();
    await this.instantiateClasses();
    await this.afterInstantiateClasses();

    // the run
    if (this.subcommand !== null) await this.#runSubcommand(this.subcommand);
    return this;
  }

  // The configuration

  /** The subcommands, each a method of the trainer, and which of its arguments are no options. */
  subcommands(): Record<string, readonly string[]> {
    return {
      fit: ["model", "trainDataloaders", "valDataloaders", "datamodule"],
      validate: ["model", "dataloaders", "datamodule"],
      test: ["model", "dataloaders", "datamodule"],
      predict: ["model", "dataloaders", "datamodule"],
    };
  }

  /** Makes a parser. */
  initParser(options: ParserOptions = {}): LightningArgumentParser {
    return new this.parserClass(options);
  }

  /** Makes the parser; with subcommands, one for each of them, too. */
  setupParser(
    addSubcommands: boolean,
    mainKwargs: ParserOptions,
    subparserKwargs: Readonly<Record<string, ParserOptions>>,
  ): void {
    this.parser = this.initParser(mainKwargs);
    if (!addSubcommands) {
      this.#addArguments(this.parser);
      return;
    }
    for (const [name, skip] of Object.entries(this.subcommands())) {
      const description = `${name}: ${described[name] ?? ""}`;
      const parser = this.initParser({ ...mainKwargs, description, ...subparserKwargs[name] });
      this.#addArguments(parser);
      parser.addMethodArguments(this.trainerClass, name, skip);
      this.#parsers.set(name, parser);
    }
  }

  #addArguments(parser: LightningArgumentParser): void {
    this.addDefaultArgumentsToParser(parser);
    this.addCoreArgumentsToParser(parser);
    this.addArgumentsToParser(parser);
    if (this.autoConfigureOptimizers) {
      if (parser.optimizers.size === 0) parser.addOptimizerArgs();
      if (parser.lrSchedulers.size === 0) parser.addLrSchedulerArgs();
    }
    this.linkOptimizersAndLrSchedulers(parser);
  }

  /** Adds `seedEverything`. */
  addDefaultArgumentsToParser(parser: LightningArgumentParser): void {
    parser.addArgument("--seedEverything", {
      type: ["boolean", "number"],
      default: this.seedEverythingDefault,
      help: "The seed of all random numbers, before anything is made. true: one is chosen; false: nothing is seeded.",
    });
  }

  /** Adds the trainer, the module and the data module. */
  addCoreArgumentsToParser(parser: LightningArgumentParser): void {
    parser.addLightningClassArgs(this.trainerClass, "trainer", { instantiate: false });
    for (const [name, value] of Object.entries(this.trainerDefaults)) {
      if (name !== "callbacks" && isPlain(value)) parser.setDefaults({ [`trainer.${name}`]: value });
    }
    parser.addLightningClassArgs(this.modelClass ?? "LightningModule", "model", {
      subclassMode: this.subclassModeModel,
    });
    parser.addLightningClassArgs(this.datamoduleClass ?? "LightningDataModule", "data", {
      subclassMode: this.subclassModeData,
      required: this.datamoduleClass !== null,
    });
  }

  /** Override it to add options, groups of classes and links. */
  addArgumentsToParser(_parser: LightningArgumentParser): void {}

  /** Links the optimizers and schedulers that were added with a `linkTo`. */
  linkOptimizersAndLrSchedulers(parser: LightningArgumentParser): void {
    for (const [key, { linkTo }] of [...parser.optimizers, ...parser.lrSchedulers]) {
      if (linkTo !== "AUTOMATIC")
        parser.linkArguments(key, linkTo, { computeFn: (value) => parser.chosen(key, value) });
    }
  }

  /** Reads the command line, or an object of options. `args`: null for the command line of the process. */
  async parseArguments(
    parser: LightningArgumentParser,
    args: readonly string[] | Values | null,
  ): Promise<void> {
    const given = args ?? process.argv.slice(2);
    if (!this.#run) {
      this.config = await (isArguments(given) ? parser.parseArgs(given) : parser.parseObject(given));
      return;
    }
    if (!isArguments(given)) {
      this.subcommand = this.#checked(given.subcommand);
      this.config = await this.#current.parseObject((given[this.subcommand] ?? {}) as Values);
      return;
    }
    // before the subcommand there may be files, with a part for each subcommand
    const names = Object.keys(this.subcommands());
    const isFile = (i: number) => /^(-c|--config)$/.test(given[i - 1] ?? "");
    const at = given.findIndex((arg, i) => names.includes(arg) && !isFile(i));
    const { flags, others } = readFlags(at < 0 ? given : given.slice(0, at));
    if (flags.some(({ name }) => name === "help")) parser.exit(0, this.#help());
    this.subcommand = this.#checked(at < 0 ? others[0] : given[at]);
    const wrong = flags.find(({ name }) => name !== "config");
    if (wrong) this.#refuse(`${wrong.text} stands before the subcommand; only --config may`);
    const files = flags.map(({ value }) => value ?? "");
    this.config = await this.#current.parseArgs(given.slice(at + 1), { subcommand: this.subcommand, files });
  }

  #checked(subcommand: unknown): string {
    const names = Object.keys(this.subcommands());
    if (typeof subcommand === "string" && names.includes(subcommand)) return subcommand;
    const what = subcommand === undefined ? "there is no subcommand" : `there is no subcommand ${subcommand}`;
    return this.#refuse(`${what}: give one of ${names.join(", ")}`);
  }

  #refuse(message: string): never {
    return this.parser.error(new ConfigError([{ place: null, message }]));
  }

  #help(): string {
    const rows = Object.keys(this.subcommands()).map(
      (name) => `  ${name.padEnd(12)}${described[name] ?? ""}`,
    );
    const { description } = this.parser.options;
    return `${description}\n\nSubcommands, each with its own --help:\n${rows.join("\n")}\n`;
  }

  /** The parser of the subcommand. */
  get #current(): LightningArgumentParser {
    return this.subcommand === null ? this.parser : this.#parsers.get(this.subcommand)!;
  }

  /** Takes the module's options from the checkpoint, where one is given: those that it was trained with. */
  async #readHyperparameters(): Promise<void> {
    const { ckptPath } = this.config;
    if (this.subcommand === null || typeof ckptPath !== "string" || !existsSync(ckptPath)) return;
    const checkpoint = serialization.load(ckptPath, { mapLocation: "cpu" }) as Values;
    const saved = checkpoint.hyper_parameters;
    if (!isObject(saved)) return;
    const known = this.#current.optionsOf("model", this.config);
    const taken = Object.fromEntries(Object.entries(saved).filter(([name]) => known.includes(name)));
    if (Object.keys(taken).length === 0) return;
    const model = this.subclassModeModel ? { initArgs: taken } : taken;
    this.config = await this.#current.parseObject({ model }, this.config);
  }

  #seed(): void {
    const seed = this.config.seedEverything as boolean | number;
    if (seed === false) return;
    this.config.seedEverything = seedEverything(seed === true ? undefined : seed, { workers: true });
  }

  // The objects

  /** Override it to do something before the objects are made. */
  beforeInstantiateClasses(): Awaitable<void> {}

  /** Override it to do something after the objects have been made. */
  afterInstantiateClasses(): Awaitable<void> {}

  /** Define it to do something before `fit`; the same goes for the other subcommands, also those of one's own. */
  beforeFit?(): Awaitable<void>;
  /** Define it to do something after `fit`. */
  afterFit?(): Awaitable<void>;
  beforeValidate?(): Awaitable<void>;
  afterValidate?(): Awaitable<void>;
  beforeTest?(): Awaitable<void>;
  afterTest?(): Awaitable<void>;
  beforePredict?(): Awaitable<void>;
  afterPredict?(): Awaitable<void>;

  /** Makes the data module, the module and the trainer. */
  async instantiateClasses(): Promise<void> {
    this.configInit = await this.#current.instantiateClasses(this.config);
    this.datamodule = (this.configInit.data ?? null) as LightningDataModule | null;
    this.model = this.configInit.model as LightningModule;
    this.#addConfigureOptimizers();
    this.trainer = await this.instantiateTrainer();
  }

  /** Makes the trainer. */
  async instantiateTrainer(options: TrainerOptions = {}): Promise<Trainer> {
    const { callbacks: added, ...defaults } = this.trainerDefaults;
    const given: TrainerOptions = { ...(this.configInit.trainer as TrainerOptions), ...options };
    for (const [name, value] of Object.entries(defaults)) {
      if (!(name in given)) Object.assign(given, { [name]: value });
    }
    const own = Object.entries(this.configInit).filter(([key]) => key !== "model" && key !== "data");
    const callbacks = [
      ...[given.callbacks ?? []].flat(),
      ...own.map(([, value]) => value).filter((value) => value instanceof Callback),
      ...[added ?? []].flat(),
    ];
    if (this.saveConfigCallback && !given.fastDevRun) {
      callbacks.push(new this.saveConfigCallback(this.#current, this.config, this.saveConfigKwargs));
    }
    const trainerClass = await this.#current.makers.load(nameOf(this.trainerClass));
    return (await make(trainerClass, [{ ...given, callbacks }])) as Trainer;
  }

  /** What the module's `configureOptimizers` is to return, where an optimizer is configured. */
  configureOptimizers(
    _lightningModule: LightningModule,
    optimizer: optim.Optimizer,
    lrScheduler: Scheduler | null = null,
  ): Awaitable<OptimizerConfiguration> {
    if (lrScheduler === null) return optimizer;
    if (lrScheduler instanceof ReduceLROnPlateau) {
      return { optimizer, lrScheduler: { scheduler: lrScheduler, monitor: lrScheduler.monitor } };
    }
    return [[optimizer], [lrScheduler]];
  }

  /** Lets the configured optimizer and scheduler take the place of the module's own. */
  #addConfigureOptimizers(): void {
    if (!this.autoConfigureOptimizers) return;
    const parser = this.#current;
    const automatic = (register: ReadonlyMap<string, MadeByConfiguration>) =>
      [...register].filter(([, { linkTo }]) => linkTo === "AUTOMATIC").map(([key]) => key);
    const optimizers = automatic(parser.optimizers);
    const schedulers = automatic(parser.lrSchedulers);
    if (optimizers.length > 1 || schedulers.length > 1) {
      throw new MisconfigurationError(
        `${this.constructor.name}: at most one optimizer and one lr scheduler can be automatic, not ${[...optimizers, ...schedulers].join(", ")}. ` +
          "Give the others a linkTo, and implement configureOptimizers in the module.",
      );
    }
    const optimizer = optimizers[0] && parser.chosen(optimizers[0], this.configInit[optimizers[0]]);
    if (!optimizer) return;
    const scheduler = schedulers[0] && parser.chosen(schedulers[0], this.configInit[schedulers[0]]);

    if (isOverridden(this.model, "configureOptimizers", LightningModule)) {
      const name = this.constructor.name;
      warn(
        `${this.model.constructor.name}.configureOptimizers is overridden by ${name}.configureOptimizers.`,
      );
    }
    const { makers } = parser;
    const configure = async (): Promise<OptimizerConfiguration> => {
      const parameters = this.model.parameters();
      const made = await makeObject(optimizer.classPath, optimizer.initArgs, makers, [parameters]);
      const lrScheduler = scheduler
        ? await makeObject(scheduler.classPath, scheduler.initArgs, makers, [made])
        : null;
      return this.configureOptimizers(this.model, made as optim.Optimizer, lrScheduler as Scheduler | null);
    };
    Object.defineProperty(this.model, "configureOptimizers", { value: configure });
  }

  // The run

  async #runSubcommand(name: string): Promise<void> {
    const hooks = this as unknown as Record<string, ((options?: Values) => unknown) | undefined>;
    const capitalized = name[0]!.toUpperCase() + name.slice(1);
    await hooks[`before${capitalized}`]?.();

    const options = Object.fromEntries(
      this.#current.methodOptions
        .filter((option) => this.configInit[option] != null)
        .map((option) => [option, this.configInit[option]]),
    );
    const given = { ...options, ...(this.datamodule && { datamodule: this.datamodule }) };
    const trainer = this.trainer as unknown as Record<
      string,
      (model: LightningModule, options: Values) => unknown
    >;
    const own = hooks[name];
    this.result = own
      ? await own.call(this, { model: this.model, ...given })
      : await trainer[name]!(this.model, given);

    await hooks[`after${capitalized}`]?.();
  }
}

/** What the subcommands do, for `--help`. */
const described: Readonly<Record<string, string>> = {
  fit: "trains a module",
  validate: "evaluates a module on validation data",
  test: "evaluates a module on test data",
  predict: "predicts with a module",
};

const isArguments = (args: readonly string[] | Values): args is readonly string[] => Array.isArray(args);
