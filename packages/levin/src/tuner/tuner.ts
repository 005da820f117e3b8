import type { EvaluateOptions, FitOptions } from "../call-options.js";
import { BatchSizeFinder } from "../callbacks/batch-size-finder.js";
import { LearningRateFinder } from "../callbacks/learning-rate-finder.js";
import type { LightningDataModule } from "../data-module.js";
import { describe } from "../describe.js";
import { MisconfigurationError } from "../errors.js";
import type { TrainerFunction } from "../hooks.js";
import type { LightningModule } from "../module.js";
import { Trainer } from "../trainer.js";
import type { ScaleBatchSizeOptions } from "./batch-size.js";
import type { LRFinder, LRFindOptions } from "./lr-finder.js";

/** What the trainer is run with to tune a module. */
export interface TuneData {
  /** The loader(s) of training; for `method: "fit"`. */
  trainDataloaders?: FitOptions["trainDataloaders"];
  /** The loader(s) of validation; for `method: "fit"`. */
  valDataloaders?: FitOptions["valDataloaders"];
  /** The loader(s) of the other methods. */
  dataloaders?: EvaluateOptions["dataloaders"];
  datamodule?: LightningDataModule | null;
  /** What the trainer is called for. Default: "fit". */
  method?: TrainerFunction;
}

const methods: readonly TrainerFunction[] = ["fit", "validate", "test", "predict"];

/**
 * Looks for learning rates and batch sizes.
 *
 * ```ts
 * const tuner = new Tuner(new Trainer());
 * const finder = await tuner.lrFind(module, { trainDataloaders });
 * finder?.plot({ suggest: true, path: "lr.svg" });
 * ```
 */
export class Tuner {
  constructor(readonly trainer: Trainer) {
    if (!(trainer instanceof Trainer))
      throw new MisconfigurationError(`new Tuner() was given ${describe(trainer)}; it takes a Trainer.`);
  }

  /**
   * Tries learning rates, a batch each. The module's field for it gets the suggested one, unless `updateAttr` is false. Null with
   * `fastDevRun`.
   *
   * @throws MisconfigurationError where the module has no such field, or several optimizers
   */
  async lrFind(model: LightningModule, options: TuneData & LRFindOptions = {}): Promise<LRFinder | null> {
    const { trainDataloaders, valDataloaders, dataloaders, datamodule, method, numTraining, ...how } =
      options;
    if (method !== undefined && method !== "fit") {
      throw new MisconfigurationError(`Tuner.lrFind: method was given "${method}"; it is "fit".`);
    }
    checkData(options);
    this.#refuse(LearningRateFinder);
    const finder = new LearningRateFinder({ ...how, ...(numTraining && { numTrainingSteps: numTraining }) });
    await this.#run(finder, model, options);
    return finder.optimalLr;
  }

  /**
   * Looks for the largest batch size that memory suffices for; gives it, and sets the field that the loaders take it from. Null with
   * `fastDevRun`.
   *
   * @throws MisconfigurationError where there is no such field, or the loaders are given to the trainer
   */
  async scaleBatchSize(
    model: LightningModule,
    options: TuneData & ScaleBatchSizeOptions = {},
  ): Promise<number | null> {
    const { trainDataloaders, valDataloaders, dataloaders, datamodule, method, ...how } = options;
    checkData(options);
    this.#refuse(BatchSizeFinder);
    const finder = new BatchSizeFinder(how);
    await this.#run(finder, model, options);
    return finder.optimalBatchSize;
  }

  #refuse(kind: typeof LearningRateFinder | typeof BatchSizeFinder): void {
    if (!this.trainer.callbacks.some((callback) => callback instanceof kind)) return;
    throw new MisconfigurationError(
      `The trainer has a ${kind.name} callback already: remove it, to use the Tuner instead.`,
    );
  }

  async #run(
    finder: LearningRateFinder | BatchSizeFinder,
    module: LightningModule,
    { trainDataloaders, valDataloaders, dataloaders, datamodule, method = "fit" }: TuneData,
  ): Promise<void> {
    const { trainer } = this;
    finder.earlyExit = true;
    trainer.callbacks = [finder, ...trainer.callbacks];
    const data = { ...(datamodule && { datamodule }) };
    try {
      if (method === "fit") await trainer.fit(module, { trainDataloaders, valDataloaders, ...data });
      else await trainer[method](module, { dataloaders, ...data });
    } finally {
      trainer.callbacks = trainer.callbacks.filter((callback) => callback !== finder);
    }
  }
}

function checkData({ method = "fit", trainDataloaders, valDataloaders, dataloaders }: TuneData): void {
  if (!methods.includes(method)) {
    throw new MisconfigurationError(
      `Tuner: method was given "${method}"; it is one of ${methods.join(", ")}.`,
    );
  }
  if (method === "fit" && dataloaders != null) {
    throw new MisconfigurationError(
      'Tuner: dataloaders is for the other methods; for "fit" give trainDataloaders and valDataloaders.',
    );
  }
  if (method !== "fit" && (trainDataloaders != null || valDataloaders != null)) {
    throw new MisconfigurationError(
      `Tuner: trainDataloaders and valDataloaders are for "fit"; for "${method}" give dataloaders.`,
    );
  }
}
