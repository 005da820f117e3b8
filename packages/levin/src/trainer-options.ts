import type { Device } from "@levin/torch";
import * as torch from "@levin/torch";
import { notAllowed } from "./argument-checks.js";
import { Callback } from "./callback.js";
import { misnamed } from "./closest.js";
import { type Duration, milliseconds } from "./duration.js";
import { MisconfigurationError } from "./errors.js";
import type { Logger } from "./loggers/logger.js";
import type { BatchLimit } from "./loops/source.js";
import { warn } from "./messages.js";
import { type Plugin, type Plugins, readPlugins } from "./plugins.js";
import type { PrecisionName } from "./precision/precision.js";
import type { Profiler } from "./profilers/profiler.js";
import type { ProfilerName } from "./profilers/profilers.js";
import type { Strategy } from "./strategies/strategy.js";

/** The options of a trainer. All of them have Lightning's meaning and defaults. */
export interface TrainerOptions {
  /** What computes: "cpu", "gpu" (CUDA or MPS), "cuda", "mps", or "auto": a GPU if there is one. Default: "auto". */
  accelerator?: "auto" | "cpu" | "gpu" | "cuda" | "mps";
  /** How the work is spread. Default: "auto", one process on one device. */
  strategy?: "auto" | Strategy;
  /** How many devices, or which. Default: "auto". */
  devices?: "auto" | number | string | number[];
  /** How many machines. Default: 1. */
  numNodes?: number;
  /** In which types is computed. Default: "32-true". */
  precision?: PrecisionName | 64 | 32 | 16 | "64" | "32" | "16" | "bf16" | null;
  /** Where metrics go. Default: true, event files for TensorBoard in `defaultRootDir`. */
  logger?: Logger | Logger[] | boolean | null;
  /** What runs at the hooks besides the module. */
  callbacks?: Callback | Callback[] | null;
  /** Tries the code with one batch (or so many) of each stage, without logs and checkpoints. Default: false. */
  fastDevRun?: boolean | number;
  /** Ends the fit after so many epochs; -1: never. Default: 1000, if there is no other limit. */
  maxEpochs?: number | null;
  /** Trains at least so many epochs. */
  minEpochs?: number | null;
  /** Ends the fit after so many optimizer steps; -1: never. Default: -1. */
  maxSteps?: number;
  /** Trains at least so many optimizer steps. */
  minSteps?: number | null;
  /** Ends the fit after this time. */
  maxTime?: Duration | null;
  /** How many training batches an epoch has: an integer, or a part below 1. Default: all. */
  limitTrainBatches?: number | null;
  /** How many validation batches are read of each loader. Default: all. */
  limitValBatches?: number | null;
  /** How many test batches are read of each loader. Default: all. */
  limitTestBatches?: number | null;
  /** How many batches to predict are read of each loader. Default: all. */
  limitPredictBatches?: number | null;
  /** Trains and validates on so many batches only, always the same: an integer, or a part below 1. Default: 0, off. */
  overfitBatches?: number;
  /** After how many training batches is validated: an integer, a part of an epoch below 1, or a duration. Default: at the end of the epoch. */
  valCheckInterval?: number | Duration | null;
  /** After how many epochs is validated. null: `valCheckInterval` counts over epochs. Default: 1. */
  checkValEveryNEpoch?: number | null;
  /** How many validation batches try out the code before training; -1: all. Default: 2. */
  numSanityValSteps?: number | null;
  /** After how many steps is logged. Default: 50. */
  logEveryNSteps?: number | null;
  /** Whether checkpoints are saved (after each epoch, if there is no ModelCheckpoint). Default: true. */
  enableCheckpointing?: boolean | null;
  /** Whether there is a progress bar. Default: true. */
  enableProgressBar?: boolean | null;
  /** Whether the layers are listed before training. Default: true. */
  enableModelSummary?: boolean | null;
  /** Over how many batches gradients add up before an optimizer step. Default: 1. */
  accumulateGradBatches?: number;
  /** To which norm (or value) gradients are clipped. */
  gradientClipVal?: number | null;
  /** How gradients are clipped. Default: "norm". */
  gradientClipAlgorithm?: "norm" | "value" | null;
  /** Whether only deterministic algorithms are used; "warn": where there are some. Default: as `torch.useDeterministicAlgorithms` has set it. */
  deterministic?: boolean | "warn" | null;
  /** Whether cuDNN looks for the fastest algorithms: `torch.backends.cudnn.benchmark`. Default: as that is; false with `deterministic`. */
  benchmark?: boolean | null;
  /** Whether evaluation runs in inference mode, else without gradients only. Default: true. */
  inferenceMode?: boolean;
  /** Whether samplers are spread over processes. Default: true. */
  useDistributedSampler?: boolean;
  /** What measures how long each action takes: "simple", "advanced" or "pytorch" (the engine's own), or a profiler. Default: nothing. */
  profiler?: ProfilerName | Profiler | null;
  /** Whether the operator that made a NaN in the backward pass is looked for. Slow. Default: false. */
  detectAnomaly?: boolean;
  /** Turns off all that is not training, to measure what it costs. Default: false. */
  barebones?: boolean;
  /** Replaces parts of the trainer: a Precision, a CheckpointIO, a SLURMEnvironment. */
  plugins?: Plugin | Plugin[] | null;
  /** Whether batch norm is computed over processes. Default: false. */
  syncBatchnorm?: boolean;
  /** After how many epochs the loaders are made anew; 0: never. Default: 0. */
  reloadDataloadersEveryNEpochs?: number;
  /** Where logs and checkpoints go, if nothing else says so. Default: the current folder. */
  defaultRootDir?: string | null;
  /** Whether hyperparameters are logged when a run begins. Default: true. */
  enableAutologHparams?: boolean;
}

/** The options that are numbers, booleans and so on, checked and with their defaults. */
export interface Settings {
  device: Device;
  /** Null where it was not given. */
  precision: PrecisionName | null;
  plugins: Plugins;
  barebones: boolean;
  logger: Logger[] | true;
  callbacks: Callback[];
  fastDevRun: boolean | number;
  maxEpochs: number | null;
  minEpochs: number | null;
  maxSteps: number;
  minSteps: number | null;
  maxTime: Duration | null;
  limitTrainBatches: BatchLimit;
  limitValBatches: BatchLimit;
  limitTestBatches: BatchLimit;
  limitPredictBatches: BatchLimit;
  overfitBatches: BatchLimit;
  valCheckInterval: BatchLimit;
  valCheckTimeInterval: number | null;
  checkValEveryNEpoch: number | null;
  numSanityValSteps: number;
  logEveryNSteps: number;
  enableCheckpointing: boolean;
  enableProgressBar: boolean;
  enableModelSummary: boolean;
  accumulateGradBatches: number;
  gradientClipVal: number | null;
  gradientClipAlgorithm: "norm" | "value" | null;
  inferenceMode: boolean;
  profiler: ProfilerName | Profiler | null;
  detectAnomaly: boolean;
  reloadDataloadersEveryNEpochs: number;
  defaultRootDir: string;
  enableAutologHparams: boolean;
}

/** The names of all options of a trainer. */
export const optionNames: readonly (keyof TrainerOptions)[] = [
  "accelerator",
  "strategy",
  "devices",
  "numNodes",
  "precision",
  "logger",
  "callbacks",
  "fastDevRun",
  "maxEpochs",
  "minEpochs",
  "maxSteps",
  "minSteps",
  "maxTime",
  "limitTrainBatches",
  "limitValBatches",
  "limitTestBatches",
  "limitPredictBatches",
  "overfitBatches",
  "valCheckInterval",
  "checkValEveryNEpoch",
  "numSanityValSteps",
  "logEveryNSteps",
  "enableCheckpointing",
  "enableProgressBar",
  "enableModelSummary",
  "accumulateGradBatches",
  "gradientClipVal",
  "gradientClipAlgorithm",
  "deterministic",
  "benchmark",
  "inferenceMode",
  "useDistributedSampler",
  "profiler",
  "detectAnomaly",
  "barebones",
  "plugins",
  "syncBatchnorm",
  "reloadDataloadersEveryNEpochs",
  "defaultRootDir",
  "enableAutologHparams",
];

const switches: readonly (keyof TrainerOptions)[] = [
  "barebones",
  "enableCheckpointing",
  "enableProgressBar",
  "enableModelSummary",
  "benchmark",
  "inferenceMode",
  "useDistributedSampler",
  "detectAnomaly",
  "syncBatchnorm",
  "enableAutologHparams",
];

/** Checks the options, before anything is made of them, and fills in the defaults. */
export function readOptions(given: TrainerOptions): Settings {
  // names
  for (const name of Object.keys(given)) {
    if (!(optionNames as readonly string[]).includes(name)) throw unknownOption(name);
  }

  // barebones: turns off what is not asked for, refuses what is
  const barebones = given.barebones ?? false;
  if (barebones) {
    refuse(
      given,
      "enableCheckpointing",
      "logger",
      "enableProgressBar",
      "logEveryNSteps",
      "enableModelSummary",
      "numSanityValSteps",
    );
    refuse(given, "fastDevRun", "detectAnomaly", "profiler");
  }
  const on = !barebones;

  // values
  const fastDevRun = given.fastDevRun === 1 ? true : (given.fastDevRun ?? false);
  if (typeof fastDevRun !== "boolean" && (!Number.isInteger(fastDevRun) || fastDevRun < 0)) {
    throw invalid("fastDevRun", fastDevRun, "true, false, or a number of batches");
  }
  const interval = given.valCheckInterval ?? null;
  const byTime = typeof interval === "string" || (typeof interval === "object" && interval !== null);
  if (interval === 0) {
    throw invalid(
      "valCheckInterval",
      interval,
      "a number of batches, a part of an epoch, or a duration ({ limitValBatches: 0 } turns validation off)",
    );
  }
  const overfitBatches = limit("overfitBatches", given.overfitBatches ?? 0);
  const overfits = (given.overfitBatches ?? 0) > 0;
  const checkValEveryNEpoch = given.checkValEveryNEpoch === undefined ? 1 : given.checkValEveryNEpoch;
  if (checkValEveryNEpoch !== null) integer("checkValEveryNEpoch", checkValEveryNEpoch, 1);
  if (checkValEveryNEpoch === null && !byTime && interval !== null && interval < 1) {
    throw new MisconfigurationError(
      "valCheckInterval must be a number of batches or a duration when checkValEveryNEpoch is null: it counts over epochs then.",
    );
  }
  const gradientClipVal = given.gradientClipVal ?? null;
  if (gradientClipVal !== null && (typeof gradientClipVal !== "number" || Number.isNaN(gradientClipVal))) {
    throw invalid("gradientClipVal", gradientClipVal, "a number");
  }
  const algorithm =
    given.gradientClipAlgorithm == null ? null : String(given.gradientClipAlgorithm).toLowerCase();
  if (algorithm !== null && algorithm !== "norm" && algorithm !== "value") {
    throw invalid("gradientClipAlgorithm", given.gradientClipAlgorithm, '"norm" or "value"');
  }
  const defaultRootDir = given.defaultRootDir ?? process.cwd();
  if (typeof defaultRootDir !== "string")
    throw invalid("defaultRootDir", defaultRootDir, "the path of a folder");
  const sanity = given.numSanityValSteps ?? (on ? 2 : 0);
  integer("numSanityValSteps", sanity, -1);

  const deterministic: unknown = given.deterministic ?? false;
  if (typeof deterministic !== "boolean" && deterministic !== "warn")
    throw invalid("deterministic", deterministic, 'true, false or "warn"');
  for (const name of switches) {
    const value = given[name];
    if (value !== undefined && value !== null && typeof value !== "boolean") {
      throw invalid(name, value, "true or false");
    }
  }

  const settings: Settings = {
    device: readDevice(given),
    precision: null,
    plugins: readPlugins(given.plugins),
    barebones,
    logger: readLoggers(barebones ? false : given.logger),
    callbacks: readCallbacks(given.callbacks),
    fastDevRun: fastDevRun === 0 ? false : fastDevRun,
    maxEpochs: optional("maxEpochs", given.maxEpochs, -1),
    minEpochs: optional("minEpochs", given.minEpochs, 0),
    maxSteps: integer("maxSteps", given.maxSteps ?? -1, -1),
    minSteps: optional("minSteps", given.minSteps, 0),
    maxTime: given.maxTime ?? null,
    limitTrainBatches: limit("limitTrainBatches", given.limitTrainBatches),
    limitValBatches: limit("limitValBatches", given.limitValBatches),
    limitTestBatches: limit("limitTestBatches", given.limitTestBatches),
    limitPredictBatches: limit("limitPredictBatches", given.limitPredictBatches),
    overfitBatches,
    valCheckInterval: byTime ? { fraction: 1 } : limit("valCheckInterval", interval),
    valCheckTimeInterval: byTime ? milliseconds(interval as Duration, "valCheckInterval") : null,
    checkValEveryNEpoch,
    numSanityValSteps: sanity === -1 ? Number.POSITIVE_INFINITY : sanity,
    logEveryNSteps: integer("logEveryNSteps", given.logEveryNSteps ?? (on ? 50 : 0), 0),
    enableCheckpointing: given.enableCheckpointing ?? on,
    enableProgressBar: given.enableProgressBar ?? on,
    enableModelSummary: given.enableModelSummary ?? on,
    accumulateGradBatches: integer("accumulateGradBatches", given.accumulateGradBatches ?? 1, 1),
    gradientClipVal,
    gradientClipAlgorithm: algorithm,
    inferenceMode: given.inferenceMode ?? true,
    profiler: given.profiler ?? null,
    detectAnomaly: given.detectAnomaly ?? false,
    reloadDataloadersEveryNEpochs: integer(
      "reloadDataloadersEveryNEpochs",
      given.reloadDataloadersEveryNEpochs ?? 0,
      0,
    ),
    defaultRootDir,
    enableAutologHparams: given.enableAutologHparams ?? true,
  };
  settings.precision = readPrecision(given.precision, settings.plugins, settings.device);
  if (settings.maxTime !== null) milliseconds(settings.maxTime, "maxTime");
  if (overfits) {
    settings.limitTrainBatches = overfitBatches;
    settings.limitValBatches = overfitBatches;
  }
  return settings.fastDevRun ? shorten(settings, overfits) : settings;
}

/** A run of a few batches that leaves nothing behind. */
function shorten(settings: Settings, overfits: boolean): Settings {
  const count = Number(settings.fastDevRun);
  const few = { count };
  return {
    ...settings,
    limitTrainBatches: overfits ? settings.limitTrainBatches : few,
    limitValBatches: overfits ? settings.limitValBatches : few,
    limitTestBatches: few,
    limitPredictBatches: few,
    maxSteps: count,
    maxEpochs: 1,
    numSanityValSteps: 0,
    valCheckInterval: { fraction: 1 },
    valCheckTimeInterval: null,
    checkValEveryNEpoch: 1,
  };
}

function limit(name: string, value: number | null | undefined): BatchLimit {
  if (value === null || value === undefined) return { fraction: 1 };
  if (typeof value !== "number" || !(value >= 0) || (value > 1 && !Number.isInteger(value))) {
    throw invalid(
      name,
      value,
      "an integer number of batches, or a part of them between 0 and 1 (leave it out for all)",
    );
  }
  return Number.isInteger(value) ? { count: value } : { fraction: value };
}

function integer(name: string, value: number, least: number): number {
  if (!Number.isInteger(value) || value < least) throw invalid(name, value, `an integer >= ${least}`);
  return value;
}

function optional(name: string, value: number | null | undefined, least: number): number | null {
  return value === null || value === undefined ? null : integer(name, value, least);
}

function invalid(name: string, value: unknown, allowed: string): MisconfigurationError {
  return notAllowed(`Trainer({ ${name} })`, value, allowed);
}

function unknownOption(name: string): MisconfigurationError {
  return new MisconfigurationError(`Trainer({ ${name} }) ${misnamed(name, optionNames)}.`);
}

function refuse(given: TrainerOptions, ...refused: (keyof TrainerOptions)[]): void {
  for (const name of refused) {
    if (given[name]) {
      throw new MisconfigurationError(
        `Trainer({ barebones: true, ${name}: ${String(given[name])} }): ${name} can slow down training and is off in barebones mode. Leave it out.`,
      );
    }
  }
}

const precisions: Readonly<Record<string, PrecisionName>> = {
  "64": "64-true",
  "64-true": "64-true",
  "32": "32-true",
  "32-true": "32-true",
  "16": "16-mixed",
  "16-mixed": "16-mixed",
  "16-true": "16-true",
  bf16: "bf16-mixed",
  "bf16-mixed": "bf16-mixed",
  "bf16-true": "bf16-true",
};

function readPrecision(
  given: TrainerOptions["precision"],
  { precision: plugin }: Plugins,
  device: Device,
): PrecisionName | null {
  if (given === undefined || given === null) return null;
  if (plugin) {
    throw new MisconfigurationError(
      `Trainer({ precision: ${JSON.stringify(given)} }) was given together with a ${plugin.constructor.name} in plugins: give one of them.`,
    );
  }
  const name = precisions[String(given)];
  if (name === "16-mixed" && device === "cpu") {
    warn(
      'Trainer({ accelerator: "cpu", precision: "16-mixed" }): mixed precision with float16 is not for CPUs. "bf16-mixed" is used instead.',
    );
    return "bf16-mixed";
  }
  if (!name)
    throw invalid(
      "precision",
      given,
      'one of "32-true", "64-true", "16-true", "bf16-true", "16-mixed", "bf16-mixed"',
    );
  return name;
}

function readLoggers(given: TrainerOptions["logger"]): Logger[] | true {
  if (given === undefined || given === null || given === true) return true;
  if (given === false) return [];
  const loggers = [given].flat();
  for (const logger of loggers) {
    if (typeof logger?.logMetrics === "function" && typeof logger.logHyperparams === "function") continue;
    throw invalid(
      "logger",
      logger,
      "a Logger, such as new CSVLogger(folder), several of them, true or false",
    );
  }
  return loggers;
}

function readCallbacks(given: TrainerOptions["callbacks"]): Callback[] {
  const callbacks = [given ?? []].flat();
  for (const callback of callbacks) {
    if (!(callback instanceof Callback))
      throw invalid(
        "callbacks",
        callback,
        'a Callback, such as new EarlyStopping("val_loss"), or several of them',
      );
  }
  return callbacks;
}

function readDevice(given: TrainerOptions): Device {
  const accelerator = given.accelerator ?? "auto";
  if (!["auto", "cpu", "gpu", "cuda", "mps"].includes(accelerator)) {
    throw invalid("accelerator", accelerator, 'one of "auto", "cpu", "gpu", "cuda", "mps"');
  }
  if ((given.numNodes ?? 1) !== 1)
    throw invalid("numNodes", given.numNodes, "1: several machines are not supported yet");
  const strategy = given.strategy ?? "auto";
  if (strategy !== "auto" && typeof (strategy as Partial<Strategy>).setupModule !== "function") {
    throw invalid("strategy", strategy, '"auto" or a Strategy: others are not supported yet');
  }
  const devices = given.devices ?? "auto";
  const index = readDeviceIndex(devices);
  const cuda = torch.cuda.isAvailable();
  const mps = torch.mps.isAvailable();
  if (accelerator === "cpu" || (accelerator === "auto" && !cuda && !mps)) {
    if (Array.isArray(devices))
      throw invalid("devices", devices, 'a number for the accelerator "cpu", not a list');
    return "cpu";
  }
  if (
    (accelerator === "cuda" && !cuda) ||
    (accelerator === "mps" && !mps) ||
    (accelerator === "gpu" && !cuda && !mps)
  ) {
    throw new MisconfigurationError(
      `Trainer({ accelerator: "${accelerator}" }): no such device was found. Use "cpu" or "auto"; \`npx levin doctor\` shows what there is.`,
    );
  }
  if (accelerator !== "mps" && cuda) return `cuda:${index}`;
  return accelerator !== "cuda" && mps ? "mps" : "cpu";
}

function readDeviceIndex(devices: NonNullable<TrainerOptions["devices"]>): number {
  if (devices === "auto" || devices === 1 || devices === "1") return 0;
  if (Array.isArray(devices) && devices.length === 1 && Number.isInteger(devices[0]) && devices[0]! >= 0)
    return devices[0]!;
  throw invalid(
    "devices",
    devices,
    '"auto", 1, or a list with one index: several devices are not supported yet',
  );
}
