import type { Device } from "@levin/torch";
import * as torch from "@levin/torch";
import { type LoadFromCheckpointOptions, loadDataModule } from "./checkpoint/load.js";
import type { Loaders } from "./combined-loader.js";
import { MisconfigurationError } from "./errors.js";
import type { Awaitable, Synchronous, TrainerFunction } from "./hooks.js";
import { Hyperparameters, type SaveHyperparametersOptions } from "./hyperparameters.js";
import type { LoaderMethod } from "./loops/source.js";
import { moveToDevice } from "./module.js";
import type { Trainer } from "./trainer.js";
import { flatten, unflatten } from "./tree.js";

/** A dataset, or several in arrays and objects. */
export type Datasets =
  | torch.data.Dataset<unknown>
  | Iterable<unknown>
  | readonly Datasets[]
  | { readonly [name: string]: Datasets };

/** What {@link LightningDataModule.fromDatasets} is made of. */
export interface FromDatasetsOptions {
  /** What is trained with. Default: none. */
  trainDataset?: Datasets | null;
  /** What is validated with. Default: none. */
  valDataset?: Datasets | null;
  /** What is tested with. Default: none. */
  testDataset?: Datasets | null;
  /** What is predicted. Default: none. */
  predictDataset?: Datasets | null;
  /** Default: 1. */
  batchSize?: number;
  /** How many threads read the data. Default: 0, the loop itself. */
  numWorkers?: number;
}

/**
 * Everything about the data of a project in one place: how it is fetched, prepared, and loaded in each stage.
 * Give it to the trainer's methods as `datamodule`.
 */
export class LightningDataModule<Batch = unknown> {
  #trainer: Trainer | null = null;
  readonly #hyperparameters = new Hyperparameters();
  /** Whether `prepareData` is called on each machine, else once in all. */
  prepareDataPerNode = true;

  /** The trainer that uses the data, if one does. */
  get trainer(): Trainer | null {
    return this.#trainer;
  }

  set trainer(trainer: Trainer | null) {
    this.#trainer = trainer;
  }

  /** What {@link saveHyperparameters} was given. May be changed. */
  get hparams(): Record<string, unknown> {
    return this.#hyperparameters.current;
  }

  /** The hyperparameters as they were when they were saved. */
  get hparamsInitial(): Record<string, unknown> {
    return this.#hyperparameters.initial;
  }

  /** @internal Whether the loggers get the hyperparameters. */
  get logsHparams(): boolean {
    return this.#hyperparameters.logged;
  }

  /** @internal Forgets hyperparameters that a checkpoint cannot hold. */
  removeUnsavableHparams(): void {
    this.#hyperparameters.removeUnsavable();
  }

  /** Keeps hyperparameters with the data: they are logged, and saved in checkpoints. */
  saveHyperparameters(hparams: object, options: SaveHyperparametersOptions = {}): void {
    this.#hyperparameters.save(hparams, options);
  }

  /** Forgets hyperparameters that a base class has saved. */
  removeIgnoredHparams(ignoreList: readonly string[]): void {
    this.#hyperparameters.remove(ignoreList);
  }

  /**
   * Makes a data module of datasets. Several of a stage, in arrays or objects, become as many loaders. The training data is shuffled.
   *
   * ```ts
   * const data = LightningDataModule.fromDatasets({ trainDataset, valDataset: [easy, hard], batchSize: 32 });
   * ```
   */
  static fromDatasets(options: FromDatasetsOptions): LightningDataModule {
    const { batchSize = 1, numWorkers = 0 } = options;
    const data = new LightningDataModule();
    const define = (method: LoaderMethod, datasets: Datasets | null | undefined, shuffle: boolean): void => {
      if (datasets === null || datasets === undefined) return;
      const [leaves, spec] = flatten(datasets, isDataset);
      data[method] = () =>
        unflatten(
          spec,
          leaves.map(
            (dataset) =>
              new torch.data.DataLoader(dataset as torch.data.Dataset<unknown>, {
                batchSize,
                numWorkers,
                shuffle: shuffle && isMapDataset(dataset),
              }),
          ),
        ) as Loaders;
    };
    define("trainDataloader", options.trainDataset, true);
    define("valDataloader", options.valDataset, false);
    define("testDataloader", options.testDataset, false);
    define("predictDataloader", options.predictDataset, false);
    return data;
  }

  /** Makes a data module from a checkpoint: constructed with the hyperparameters saved there, and with its state. */
  static loadFromCheckpoint<D extends LightningDataModule>(
    this: new (
      hparams: never,
    ) => D,
    checkpointPath: string,
    options: Omit<LoadFromCheckpointOptions, "strict"> = {},
  ): D {
    return loadDataModule(this as new (hparams: Record<string, unknown>) => D, checkpointPath, options);
  }

  /** Loads or downloads data, once per node. */
  prepareData(): Awaitable<void> {}
  /** When fit, validate, test or predict begins: makes data sets. */
  setup(_stage: TrainerFunction): Awaitable<void> {}
  /** When fit, validate, test or predict ends. */
  teardown(_stage: TrainerFunction): Awaitable<void> {}
  /** When a run ends by an error. */
  onException(_exception: unknown): Awaitable<void> {}

  /** The loader(s) of training. */
  trainDataloader(): Awaitable<Loaders> {
    throw notDefined("trainDataloader");
  }
  /** The loader(s) of validation. */
  valDataloader(): Awaitable<Loaders> {
    throw notDefined("valDataloader");
  }
  /** The loader(s) of testing. */
  testDataloader(): Awaitable<Loaders> {
    throw notDefined("testDataloader");
  }
  /** The loader(s) of prediction. */
  predictDataloader(): Awaitable<Loaders> {
    throw notDefined("predictDataloader");
  }

  /** Before a batch goes to the device. */
  onBeforeBatchTransfer(batch: Batch, _dataloaderIdx: number): Awaitable<Batch> {
    return batch;
  }
  /** Moves a batch to the device. */
  transferBatchToDevice(batch: Batch, device: string, _dataloaderIdx: number): Awaitable<Batch> {
    return moveToDevice(batch, device as Device);
  }
  /** When a batch is on the device. */
  onAfterBatchTransfer(batch: Batch, _dataloaderIdx: number): Awaitable<Batch> {
    return batch;
  }

  /** The state that belongs into a checkpoint. */
  stateDict(): Record<string, unknown> {
    return {};
  }
  /** Takes back what {@link stateDict} gave. */
  loadStateDict(_stateDict: Record<string, unknown>): Synchronous {}
}

function isMapDataset(dataset: unknown): boolean {
  return typeof (dataset as { getItem?: unknown }).getItem === "function";
}

function isDataset(value: object): boolean {
  return isMapDataset(value) || Symbol.iterator in value || Symbol.asyncIterator in value;
}

function notDefined(method: string): MisconfigurationError {
  return new MisconfigurationError(
    `${method} must be defined in the data module to be used with the Trainer.`,
  );
}
