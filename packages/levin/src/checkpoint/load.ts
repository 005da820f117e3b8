import { readFileSync } from "node:fs";
import { extname } from "node:path";
import type { Device, Tensor } from "@levin/torch";
import { cuda, mps, serialization } from "@levin/torch";
import type { LightningDataModule } from "../data-module.js";
import { isOverridden } from "../dispatch.js";
import { MisconfigurationError } from "../errors.js";
import { warn } from "../messages.js";
import { LightningModule } from "../module.js";
import { mustBeSync } from "../thenable.js";
import { yaml } from "../yaml.js";
import { type Checkpoint, requireWeights } from "./layout.js";

/** Options of `loadFromCheckpoint`. */
export interface LoadFromCheckpointOptions {
  /** Where the tensors go. Default: the devices they were saved from, the CPU where those are not there. */
  mapLocation?: serialization.MapLocation;
  /** Hyperparameters for a checkpoint that has none: a `.yaml` or `.csv` file, as the loggers write it. */
  hparamsFile?: string | null;
  /** Whether the keys must be exactly the module's. Default: the module's `strictLoading`. */
  strict?: boolean | null;
  /** Checkpoints are always read without executing anything; for the sake of Lightning's signature. */
  weightsOnly?: boolean | null;
  /** Hyperparameters that override the saved ones. */
  hparams?: Record<string, unknown>;
}

/** Makes a module from a checkpoint's hyperparameters, with its weights, on their device. */
export function loadModule<M extends LightningModule>(
  Module: new (hparams: Record<string, unknown>) => M,
  path: string,
  options: LoadFromCheckpointOptions,
): M {
  const checkpoint = read(path, options);
  requireWeights(checkpoint, path);
  const module = new Module(hyperparameters(checkpoint.hyper_parameters, options));
  if (isOverridden(module, "configureModel", LightningModule)) {
    mustBeSync(module.configureModel(), `${Module.name}.loadFromCheckpoint: configureModel`);
  }
  mustBeSync(module.onLoadCheckpoint(checkpoint), "onLoadCheckpoint");
  const weights = Object.values(checkpoint.state_dict);
  if (weights.length === 0) {
    warn(`The checkpoint ${path} contains no weights.`);
    return module;
  }
  const strict = options.strict ?? module.strictLoading;
  const keys = module.loadStateDict(checkpoint.state_dict, { strict });
  if (keys.missingKeys.length > 0)
    warn(`Keys of the module that are not in the checkpoint ${path}: ${keys.missingKeys.join(", ")}.`);
  if (keys.unexpectedKeys.length > 0)
    warn(`Keys of the checkpoint ${path} that are not in the module: ${keys.unexpectedKeys.join(", ")}.`);
  return module.to({ device: (weights[0] as Tensor).device });
}

/** Makes a data module from a checkpoint's hyperparameters, with its state. */
export function loadDataModule<D extends LightningDataModule>(
  DataModule: new (hparams: Record<string, unknown>) => D,
  path: string,
  options: LoadFromCheckpointOptions,
): D {
  const checkpoint = read(path, options);
  const datamodule = new DataModule(hyperparameters(checkpoint.datamodule_hyper_parameters, options));
  const state = checkpoint[DataModule.name];
  if (state) mustBeSync(datamodule.loadStateDict(state as Record<string, unknown>), "loadStateDict");
  return datamodule;
}

function read(path: string, { mapLocation = cpuWhereMissing }: LoadFromCheckpointOptions): Checkpoint {
  return serialization.load(path, { mapLocation }) as Checkpoint;
}

function hyperparameters(
  saved: Record<string, unknown> | undefined,
  { hparams, hparamsFile }: LoadFromCheckpointOptions,
): Record<string, unknown> {
  return { ...(hparamsFile ? readHparamsFile(hparamsFile) : saved), ...hparams };
}

function readHparamsFile(path: string): Record<string, unknown> {
  const text = readFileSync(path, "utf8");
  const extension = extname(path).toLowerCase();
  if (extension === ".yaml" || extension === ".yml")
    return (yaml().parse(text) ?? {}) as Record<string, unknown>;
  if (extension !== ".csv") {
    throw new MisconfigurationError(
      `loadFromCheckpoint({ hparamsFile }) was given "${path}"; it is a .yaml or a .csv file.`,
    );
  }
  // rows of key and value, below a header
  const rows = text.split(/\r?\n/).slice(1);
  const pairs = rows.filter((row) => row.includes(",")).map((row) => /^([^,]*),(.*)$/.exec(row)!);
  return Object.fromEntries(pairs.map(([, key, value]) => [key!, readValue(value!)]));
}

function readValue(text: string): unknown {
  if (text === "True" || text === "False") return text === "True";
  return text !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
}

function cpuWhereMissing(location: string): Device | undefined {
  const missing =
    (location.startsWith("cuda") && !cuda.isAvailable()) ||
    (location.startsWith("mps") && !mps.isAvailable());
  return missing ? "cpu" : undefined;
}
