import { misnamed } from "./closest.js";
import { isLoader, type Loaders } from "./combined-loader.js";
import { LightningDataModule } from "./data-module.js";
import { describe } from "./describe.js";
import { MisconfigurationError } from "./errors.js";
import type { TrainerFunction } from "./hooks.js";

/** Options of `trainer.fit`. */
export interface FitOptions {
  /** The loader(s) of training; not together with `datamodule`. */
  trainDataloaders?: Loaders | LightningDataModule | null;
  /** The loader(s) of validation; not together with `datamodule`. */
  valDataloaders?: Loaders | null;
  /** Where the loaders come from. Default: the module has them. */
  datamodule?: LightningDataModule | null;
  /** The checkpoint to go on from: a path, "best" or "last". */
  ckptPath?: string | null;
  /** Checkpoints are always read without executing anything; for the sake of Lightning's signature. */
  weightsOnly?: boolean | null;
}

/** Options of `trainer.validate` and `trainer.test`. */
export interface EvaluateOptions {
  /** The loader(s); not together with `datamodule`. */
  dataloaders?: Loaders | LightningDataModule | null;
  /** Where the loaders come from. Default: the module has them. */
  datamodule?: LightningDataModule | null;
  /** The checkpoint whose weights are used: a path, "best" or "last". Default: the module's, if one is given, else the best. */
  ckptPath?: string | null;
  /** Whether the results are printed. Default: true. */
  verbose?: boolean;
  /** Checkpoints are always read without executing anything; for the sake of Lightning's signature. */
  weightsOnly?: boolean | null;
}

/** Options of `trainer.predict`. */
export interface PredictOptions extends Omit<EvaluateOptions, "verbose"> {
  /** Whether the predictions are kept and returned. Default: true. */
  returnPredictions?: boolean | null;
}

const dataOptions: Readonly<Record<TrainerFunction | "explain", readonly string[]>> = {
  fit: ["trainDataloaders", "valDataloaders", "datamodule", "ckptPath", "weightsOnly"],
  explain: ["trainDataloaders", "valDataloaders", "datamodule", "verbose"],
  validate: ["dataloaders", "datamodule", "ckptPath", "verbose", "weightsOnly"],
  test: ["dataloaders", "datamodule", "ckptPath", "verbose", "weightsOnly"],
  predict: ["dataloaders", "datamodule", "ckptPath", "returnPredictions", "weightsOnly"],
};

/** The options of a call, checked; a data module in the place of loaders, or of the options, is one by its name. */
export function readData<T extends { datamodule?: LightningDataModule | null }>(
  options: T | LightningDataModule,
  fn: TrainerFunction | "explain",
  ...loaders: (keyof T)[]
): T {
  const read = options instanceof LightningDataModule ? ({ datamodule: options } as T) : { ...options };
  const known = dataOptions[fn];
  if (typeof options !== "object" || options === null || isLoader(options)) {
    throw new MisconfigurationError(
      `trainer.${fn}() was given ${describe(options)}; after the module it takes an object of options, such as { ${known[0]}: loader }.`,
    );
  }
  for (const name of Object.keys(read)) {
    if (known.includes(name)) continue;
    throw new MisconfigurationError(`trainer.${fn}({ ${name} }) ${misnamed(name, known)}.`);
  }
  if (read.datamodule != null && !(read.datamodule instanceof LightningDataModule)) {
    throw new MisconfigurationError(
      `trainer.${fn}({ datamodule }) was given ${describe(read.datamodule)}; it is a LightningDataModule. Loaders are given as ${known[0]}.`,
    );
  }
  for (const name of loaders) {
    if (read[name] instanceof LightningDataModule && !read.datamodule) {
      read.datamodule = read[name] as LightningDataModule;
      delete read[name];
    }
    if (read[name] != null && read.datamodule) {
      throw new MisconfigurationError(
        `trainer.${fn}() was given both ${String(name)} and datamodule: give one of them.`,
      );
    }
  }
  return read;
}
