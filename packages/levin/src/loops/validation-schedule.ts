import { MisconfigurationError } from "../errors.js";
import type { Trainer } from "../trainer.js";
import type { FitLoop } from "./fit.js";
import { isZero } from "./source.js";

/** After how many batches a validation begins; Infinity: at the end of an epoch of unknown length; null: by time. */
export function planValidation(trainer: Trainer, maxBatches: number): number | null {
  const interval = trainer.valCheckInterval;
  if (trainer.valCheckTimeInterval !== null) {
    trainer.lastValidationTime = performance.now();
    return null;
  }
  if (interval.count !== undefined) {
    if (
      interval.count > maxBatches &&
      trainer.checkValEveryNEpoch !== null &&
      !isZero(trainer.limitValBatches)
    ) {
      throw new MisconfigurationError(
        `valCheckInterval (${interval.count}) must be less than or equal to the number of training batches (${maxBatches}). ` +
          "To disable validation set limitValBatches: 0. To count over epochs set checkValEveryNEpoch: null.",
      );
    }
    return interval.count;
  }
  if (Number.isFinite(maxBatches)) {
    return Math.max(1, Math.trunc(maxBatches * interval.fraction));
  }
  if (interval.fraction === 1) return Number.POSITIVE_INFINITY;
  throw new MisconfigurationError(
    "The length of the training loader is not known: valCheckInterval must be a number of batches, a duration, or left out.",
  );
}

/** Whether a validation begins after the batch at hand. */
export function isTimeToValidate(loop: FitLoop): boolean {
  const { trainer, progress, valCheckBatch } = loop;
  if (!loop.validatesInEpoch) return false;
  const { isLastBatch } = progress.batch;
  const isEndless = valCheckBatch === Number.POSITIVE_INFINITY;
  if (isLastBatch && isEndless) return true;
  if (trainer.shouldStop && loop.mayStopEarly) return true;
  const interval = trainer.valCheckTimeInterval;
  if (interval !== null) return performance.now() - trainer.lastValidationTime >= interval;
  const limit = trainer.limitTrainBatches.count;
  if (limit !== undefined && isEndless) return (loop.batchIdx + 1) % limit === 0;
  if (isEndless || valCheckBatch === null) return isLastBatch;
  const index = trainer.checkValEveryNEpoch === null ? loop.totalBatchIdx : loop.batchIdx;
  return (index + 1) % valCheckBatch === 0;
}
