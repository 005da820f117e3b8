import { ArgumentError } from "@levin/torch";
import { CombinedLoader, type CombinedLoaderMode, isLoader, type Loaders } from "../combined-loader.js";
import type { LightningDataModule } from "../data-module.js";
import { LightningDataModule as DataModule } from "../data-module.js";
import { describe } from "../describe.js";
import { callDataModule, callModule, isOverridden } from "../dispatch.js";
import { MisconfigurationError } from "../errors.js";
import { LightningModule } from "../module.js";
import type { Trainer } from "../trainer.js";

/** The method that gives a stage's loaders. */
export type LoaderMethod = "trainDataloader" | "valDataloader" | "testDataloader" | "predictDataloader";

/** Where a stage's loaders come from: a method of the module or data module, or the caller. */
export class LoaderSource {
  instance: unknown = null;

  constructor(readonly method: LoaderMethod) {}

  /** Whether there are loaders for the stage. */
  get isDefined(): boolean {
    const instance = this.instance;
    if (instance instanceof LightningModule) return isOverridden(instance, this.method, LightningModule);
    if (instance instanceof DataModule) return isOverridden(instance, this.method, DataModule);
    return instance !== null && instance !== undefined;
  }

  /** The loaders, or a promise of them. */
  request(trainer: Trainer): unknown {
    const instance = this.instance;
    if (!this.isDefined) {
      const option = this.method === "trainDataloader" ? "trainDataloaders" : "dataloaders";
      throw new MisconfigurationError(
        `There is nothing to read: ${this.method}() must be defined in ${instance!.constructor.name}, or the trainer be given ${option}.`,
      );
    }
    if (instance instanceof LightningModule || instance instanceof DataModule) {
      const method = (instance as LightningModule | LightningDataModule)[this.method];
      const request = () => method.call(instance);
      if (instance instanceof LightningModule) return callModule(instance, this.method, request);
      return trainer.withCurrentHook(this.method, () =>
        callDataModule(trainer.run.recorder, instance, this.method, request),
      );
    }
    return instance;
  }

  /** Checks loaders and combines them into one. */
  combine(loaders: unknown, mode: CombinedLoaderMode): CombinedLoader {
    const combined =
      loaders instanceof CombinedLoader ? loaders : new CombinedLoader(loaders as Loaders, { mode });
    for (const loader of combined.flattened) {
      if (isLoader(loader)) continue;
      const from =
        this.instance instanceof LightningModule || this.instance instanceof DataModule
          ? `${this.instance.constructor.name}.${this.method}() returned`
          : "The trainer was given";
      throw new ArgumentError(
        `${from} ${describe(loader)} as a loader: a loader is a DataLoader or another iterable of batches, or an array or object of those.`,
      );
    }
    return combined;
  }
}

/** How many batches are read: all, a number of them (integers), or a part (fractions, and 1.0 given as the default). */
export function limitBatches(length: number, limit: BatchLimit, name: string): number {
  if (length === 0) return 0;
  if (limit.count !== undefined) return Math.min(length, limit.count);
  if (length === Number.POSITIVE_INFINITY) {
    if (limit.fraction === 1) return length;
    throw new MisconfigurationError(
      `The length of a loader is not known, so that ${name} cannot be a part of it (${limit.fraction}): give a number of batches, or 1.0 for all.`,
    );
  }
  const batches = Math.trunc(length * limit.fraction);
  if (batches === 0 && limit.fraction > 0) {
    throw new MisconfigurationError(
      `${name} is ${limit.fraction}, but the ${loaderOf(name)} has ${length} batch(es), and ${limit.fraction} * ${length} < 1: no batch would be used. Try at least ${1 / length}.`,
    );
  }
  return batches;
}

/** The method whose loaders a limit is about. */
function loaderOf(limit: string): string {
  const stage = limit.replace(/^limit|Batches$/g, "");
  return `${stage.charAt(0).toLowerCase()}${stage.slice(1)}Dataloader`;
}

/** A limit of batches: a number of them, or a fraction of all. */
export type BatchLimit = { count: number; fraction?: undefined } | { fraction: number; count?: undefined };

/** Whether a limit leaves nothing. */
export const isZero = (limit: BatchLimit): boolean => (limit.count ?? limit.fraction) === 0;

/** Tells a loader's samplers which epoch begins. */
export function setSamplerEpoch(loader: unknown, epoch: number): void {
  const { sampler, batchSampler } = loader as { sampler?: unknown; batchSampler?: { sampler?: unknown } };
  for (const candidate of new Set([sampler, batchSampler?.sampler])) {
    const setEpoch = (candidate as { setEpoch?(epoch: number): void } | undefined)?.setEpoch;
    if (typeof setEpoch === "function") setEpoch.call(candidate, epoch);
  }
}
