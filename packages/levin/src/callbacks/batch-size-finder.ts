import { checkIntegers } from "../argument-checks.js";
import { Callback } from "../callback.js";
import { LightningDataModule } from "../data-module.js";
import { MisconfigurationError, TunerExit } from "../errors.js";
import type { Awaitable, TrainerFunction } from "../hooks.js";
import { warn } from "../messages.js";
import { LightningModule } from "../module.js";
import type { Trainer } from "../trainer.js";
import { hasAttribute } from "../tuner/attributes.js";
import { type ScaleBatchSizeOptions, scaleBatchSize } from "../tuner/batch-size.js";

/**
 * Looks for the largest batch size that memory suffices for when a run begins, and goes on with it. The loaders must be the module's or the
 * data module's, and take the size from a field `batchSize`. A subclass may do so at other times, with `scaleBatchSize`.
 */
export class BatchSizeFinder extends Callback {
  /** What was found last. */
  optimalBatchSize: number | null;
  /** @internal Whether the run ends with the search. */
  earlyExit = false;
  readonly #options: Required<ScaleBatchSizeOptions>;

  constructor(options: ScaleBatchSizeOptions = {}) {
    super();
    this.#options = {
      mode: "power",
      stepsPerTrial: 3,
      initVal: 2,
      maxTrials: 25,
      batchArgName: "batchSize",
      margin: 0.05,
      maxVal: 8192,
      ...options,
    };
    const { mode, margin, stepsPerTrial, initVal, maxTrials, maxVal } = this.#options;
    if (mode !== "power" && mode !== "binsearch") {
      throw new MisconfigurationError(
        `BatchSizeFinder: mode was given "${String(mode)}"; it is "power" or "binsearch".`,
      );
    }
    checkIntegers("BatchSizeFinder", { stepsPerTrial, initVal, maxTrials, maxVal }, 1);
    if (!(margin >= 0 && margin < 1)) {
      throw new MisconfigurationError(
        `BatchSizeFinder: margin was given ${margin}; it is from 0 to below 1.`,
      );
    }
    this.optimalBatchSize = initVal;
  }

  override async setup(trainer: Trainer, module: LightningModule, stage: TrainerFunction): Promise<void> {
    if (trainer.worldSize > 1) {
      throw new MisconfigurationError("A batch size cannot be looked for with several processes.");
    }
    const { instance } = trainer.fitLoop.source;
    if (!(instance instanceof LightningModule) && !(instance instanceof LightningDataModule)) {
      throw new MisconfigurationError(
        "A batch size cannot be looked for with loaders given to the trainer: make them in the module or in a data module.",
      );
    }
    if (stage !== "fit") {
      const { activeLoop: loop } = trainer;
      await loop.setupData();
      if ((loop.loader?.flattened.length ?? 0) > 1) {
        throw new MisconfigurationError(
          `A batch size cannot be looked for with several loaders of ${stage}.`,
        );
      }
    }
    const { batchArgName: name } = this.#options;
    if (!hasAttribute(module, name)) {
      throw new MisconfigurationError(
        `Neither the module nor the data module nor their hparams have a field ${name}, from which the loaders take the batch size. ` +
          "Name it with batchArgName.",
      );
    }
    if (name in module && name in module.hparams) {
      warn(`Both the module and its hparams have ${name}: the loaders should take the module's.`);
    }
  }

  /** Looks for a batch size. */
  async scaleBatchSize(trainer: Trainer, _module: LightningModule): Promise<void> {
    this.optimalBatchSize = await scaleBatchSize(trainer, this.#options);
    if (this.earlyExit) throw new TunerExit();
  }

  override onFitStart(trainer: Trainer, module: LightningModule): Awaitable<void> {
    return this.scaleBatchSize(trainer, module);
  }

  override onValidationStart(trainer: Trainer, module: LightningModule): Awaitable<void> {
    if (trainer.sanityChecking || trainer.state.fn !== "validate") return;
    return this.scaleBatchSize(trainer, module);
  }

  override onTestStart(trainer: Trainer, module: LightningModule): Awaitable<void> {
    return this.scaleBatchSize(trainer, module);
  }

  override onPredictStart(trainer: Trainer, module: LightningModule): Awaitable<void> {
    return this.scaleBatchSize(trainer, module);
  }
}
