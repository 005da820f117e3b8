import { mergeCallbacks } from "../callbacks/defaults.js";
import type { CombinedLoader, CombinedLoaderMode } from "../combined-loader.js";
import type { LightningDataModule } from "../data-module.js";
import { isOverridden } from "../dispatch.js";
import { limitsOf } from "../loops/prepare-loader.js";
import { type BatchLimit, isZero, type LoaderMethod, LoaderSource } from "../loops/source.js";
import { LightningModule } from "../module.js";
import { isThenable } from "../thenable.js";
import type { Trainer } from "../trainer.js";
import { Explanation } from "./explanation.js";

/** Where the loaders of a fit come from. */
export interface FitData {
  trainDataloaders: unknown;
  valDataloaders: unknown;
  datamodule: LightningDataModule | null;
}

/**
 * Finds out what a fit is going to do, without running it. The loaders are made, to know how many batches there are, but not read; hooks
 * are not called.
 */
export async function explainFit(
  trainer: Trainer,
  module: LightningModule,
  given: FitData,
): Promise<Explanation> {
  const problems: string[] = [];
  const lengths = async (
    method: LoaderMethod,
    loaders: unknown,
    mode: CombinedLoaderMode,
    limit: BatchLimit,
    name: string,
  ): Promise<CombinedLoader | null> => {
    if (isZero(limit)) return null;
    const source = new LoaderSource(method);
    source.instance = given.datamodule ?? loaders ?? module;
    if (!source.isDefined) return null;
    try {
      const made = source.instance === loaders ? loaders : callLoader(source.instance, method);
      const combined = source.combine(isThenable(made) ? await made : made, mode);
      combined.limits = limitsOf(combined, limit, name);
      return combined;
    } catch (error) {
      problems.push(`${method} cannot be made before the fit: ${(error as Error).message}`);
      return null;
    }
  };

  const { limitTrainBatches, limitValBatches } = trainer;
  const train = await lengths(
    "trainDataloader",
    given.trainDataloaders,
    "max_size_cycle",
    limitTrainBatches,
    "limitTrainBatches",
  );
  const hasValidationStep = isOverridden(module, "validationStep", LightningModule);
  const validation = hasValidationStep
    ? await lengths("valDataloader", given.valDataloaders, "sequential", limitValBatches, "limitValBatches")
    : null;

  const isUnknown = problems.some((problem) => problem.startsWith("trainDataloader"));
  const trainBatches = train
    ? (train.length ?? Number.POSITIVE_INFINITY)
    : isUnknown
      ? Number.POSITIVE_INFINITY
      : 0;
  const valBatches = (validation?.limits as number[] | undefined) ?? [];
  const callbacks = mergeCallbacks(trainer.callbacks, [module.configureCallbacks() ?? []].flat());
  const facts = {
    trainer,
    callbacks,
    trainBatches,
    validates: valBatches.some((count) => count > 0),
    automatic: module.automaticOptimization,
  };
  return new Explanation(
    facts,
    { trainBatches, valBatches, problems },
    { module, datamodule: given.datamodule, callbacks },
  );
}

function callLoader(instance: unknown, method: LoaderMethod): unknown {
  return (instance as Record<LoaderMethod, () => unknown>)[method]();
}
