import { checkIntegers, notAllowed } from "../argument-checks.js";
import { Callback } from "../callback.js";
import { MisconfigurationError, TunerExit } from "../errors.js";
import type { LightningModule } from "../module.js";
import { isolateRng } from "../rng.js";
import type { Trainer } from "../trainer.js";
import { type LRFinder, type LRFindOptions, lrFind } from "../tuner/lr-finder.js";

/** Options of {@link LearningRateFinder}. */
export interface LearningRateFinderOptions extends Omit<LRFindOptions, "numTraining"> {
  /** How many learning rates are tried. Default: 100. */
  numTrainingSteps?: number;
}

/**
 * Looks for a good learning rate when a fit begins, and goes on with it. A subclass may do so at other times, with `lrFind`.
 */
export class LearningRateFinder extends Callback {
  /** What was found out last. */
  optimalLr: LRFinder | null = null;
  /** @internal Whether the run ends with the search. */
  earlyExit = false;
  readonly #options: LRFindOptions;

  constructor(options: LearningRateFinderOptions = {}) {
    super();
    const { numTrainingSteps = 100, mode = "exponential", updateAttr = true, ...others } = options;
    if (mode !== "exponential" && mode !== "linear") {
      throw new MisconfigurationError(
        `LearningRateFinder: mode was given "${String(mode)}"; it is "exponential" or "linear".`,
      );
    }
    checkIntegers("LearningRateFinder", { numTrainingSteps }, 1);
    const { minLr = 1e-8, maxLr = 1 } = others;
    for (const [name, value] of Object.entries({ minLr, maxLr })) {
      if (typeof value !== "number" || !(value > 0)) {
        throw notAllowed(`LearningRateFinder: ${name}`, value, "a number above 0");
      }
    }
    this.#options = { ...others, minLr, maxLr, mode, updateAttr, numTraining: numTrainingSteps };
  }

  /** Looks for a learning rate; the run's random numbers are not touched. */
  async lrFind(trainer: Trainer, module: LightningModule): Promise<void> {
    this.optimalLr = await isolateRng(() => lrFind(trainer, module, this.#options));
    if (this.earlyExit) throw new TunerExit();
  }

  override onFitStart(trainer: Trainer, module: LightningModule): Promise<void> | void {
    return this.lrFind(trainer, module);
  }
}
