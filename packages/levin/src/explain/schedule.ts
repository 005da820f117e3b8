import type { Callback } from "../callback.js";
import { GradientAccumulationScheduler } from "../callbacks/gradient-accumulation-scheduler.js";
import { ModelCheckpoint } from "../callbacks/model-checkpoint.js";
import type { Trainer } from "../trainer.js";

/** What is known of a fit before it begins. */
export interface FitFacts {
  readonly trainer: Trainer;
  readonly callbacks: readonly Callback[];
  /** The number of training batches of an epoch; Infinity where it isn't known. */
  readonly trainBatches: number;
  /** Whether there is a validation with at least one batch. */
  readonly validates: boolean;
  /** Whether the trainer steps the optimizer, else the training step does. */
  readonly automatic: boolean;
}

/** A checkpoint that will be saved (where a metric is monitored: if it is among the best then). */
export interface PlannedCheckpoint {
  readonly callback: ModelCheckpoint;
  /** After which batch of the epoch, counted from 1. */
  readonly batch: number;
  readonly after: "batch" | "validation" | "epoch";
}

/** What will happen in an epoch. */
export interface PlannedEpoch {
  readonly epoch: number;
  readonly batches: number;
  /** After how many batches the optimizer is stepped. */
  readonly accumulate: number;
  readonly optimizerSteps: number;
  /** The batches, counted from 1, after which is validated. */
  readonly validations: readonly number[];
  readonly checkpoints: readonly PlannedCheckpoint[];
}

/** What will happen in a fit. */
export interface FitSchedule {
  readonly epochs: readonly PlannedEpoch[];
  /** What ends the fit; null where the schedule is only worked out up to here. */
  readonly end: "maxEpochs" | "maxSteps" | "no batches" | null;
}

/** How many batches are gone through at most. */
const patience = 2_000_000;
/** How many epochs are gone through where nothing ends the fit. */
const endlessEpochs = 100;

/** Goes through the epochs and batches of a fit as the loop will, without running anything. */
export function planFit(facts: FitFacts): FitSchedule {
  const { trainer, trainBatches } = facts;
  const maxEpochs = trainer.maxEpochs ?? (trainer.maxSteps === -1 ? 1000 : -1);
  if (trainBatches === 0) return { epochs: [], end: "no batches" };
  if (maxEpochs === 0 || trainer.maxSteps === 0) {
    return { epochs: [], end: maxEpochs === 0 ? "maxEpochs" : "maxSteps" };
  }
  const walk = new Walk(facts);
  const epochs: PlannedEpoch[] = [];
  const most = maxEpochs === -1 ? endlessEpochs : maxEpochs;
  const end = (): FitSchedule["end"] => {
    if (walk.hasSteppedEnough) return "maxSteps";
    return epochs.length === maxEpochs ? "maxEpochs" : null;
  };
  // without a length an epoch only ends with maxSteps
  if (!Number.isFinite(trainBatches) && trainer.maxSteps === -1) return { epochs, end: null };
  while (epochs.length < most && !walk.hasSteppedEnough && walk.batches < patience) {
    epochs.push(walk.epoch(epochs.length));
  }
  return { epochs, end: end() };
}

/** The state that goes from epoch to epoch. */
class Walk {
  /** The batches of all epochs so far. */
  batches = 0;
  #steps = 0;
  readonly #savedAt = new Map<ModelCheckpoint, number>();
  readonly #checkpoints: readonly ModelCheckpoint[];
  readonly #accumulation: GradientAccumulationScheduler | undefined;

  constructor(readonly facts: FitFacts) {
    this.#checkpoints = facts.callbacks.filter((callback) => callback instanceof ModelCheckpoint);
    this.#accumulation = facts.callbacks.find(
      (callback) => callback instanceof GradientAccumulationScheduler,
    );
  }

  get hasSteppedEnough(): boolean {
    const { maxSteps } = this.facts.trainer;
    return maxSteps !== -1 && this.#steps >= maxSteps;
  }

  epoch(epoch: number): PlannedEpoch {
    const { trainer, trainBatches, automatic } = this.facts;
    const accumulate = this.#accumulation?.getAccumulateGradBatches(epoch) ?? trainer.accumulateGradBatches;
    const before = this.#steps;
    const validations: number[] = [];
    const checkpoints: PlannedCheckpoint[] = [];
    const deferred = new Set<ModelCheckpoint>();
    let batch = 0;
    while (batch < trainBatches && !this.hasSteppedEnough && this.batches < patience) {
      batch++;
      this.batches++;
      const isLast = batch === trainBatches;
      if (automatic && (isLast || batch % accumulate === 0)) this.#steps++;
      for (const callback of this.#checkpoints) {
        if (!this.#savesAtStep(callback)) continue;
        if (isLast && this.#waitsForValidation(callback, epoch)) deferred.add(callback);
        else this.#save(checkpoints, callback, batch, "batch");
      }
      if (!this.#validatesAt(epoch, batch, isLast)) continue;
      validations.push(batch);
      for (const callback of this.#checkpoints) {
        if (this.#savesOnTrainEpochEnd(callback)) continue;
        if (deferred.delete(callback) || this.#savesInEpoch(callback, epoch)) {
          this.#save(checkpoints, callback, batch, "validation");
        }
      }
    }
    for (const callback of this.#checkpoints) {
      if (this.#savesOnTrainEpochEnd(callback) && this.#savesInEpoch(callback, epoch)) {
        this.#save(checkpoints, callback, batch, "epoch");
      }
    }
    const optimizerSteps = this.#steps - before;
    return { epoch, batches: batch, accumulate, optimizerSteps, validations, checkpoints };
  }

  #save(
    checkpoints: PlannedCheckpoint[],
    callback: ModelCheckpoint,
    batch: number,
    after: PlannedCheckpoint["after"],
  ): void {
    const { fastDevRun } = this.facts.trainer;
    if (fastDevRun || callback.saveTopK === 0 || this.#savedAt.get(callback) === this.#steps) return;
    this.#savedAt.set(callback, this.#steps);
    checkpoints.push({ callback, batch, after });
  }

  #savesAtStep({ everyNTrainSteps }: ModelCheckpoint): boolean {
    return everyNTrainSteps >= 1 && this.#steps > 0 && this.#steps % everyNTrainSteps === 0;
  }

  #savesInEpoch({ everyNEpochs }: ModelCheckpoint, epoch: number): boolean {
    return everyNEpochs >= 1 && (epoch + 1) % everyNEpochs === 0;
  }

  #savesOnTrainEpochEnd(callback: ModelCheckpoint): boolean {
    return callback.savesOnTrainEpochEnd(this.facts.trainer, this.facts.validates);
  }

  #waitsForValidation(callback: ModelCheckpoint, epoch: number): boolean {
    return callback.monitor !== null && !this.#savesOnTrainEpochEnd(callback) && this.#validatesIn(epoch);
  }

  #validatesIn(epoch: number): boolean {
    const { trainer, validates } = this.facts;
    const every = trainer.checkValEveryNEpoch;
    return validates && (every === null || (epoch + 1) % every === 0);
  }

  #validatesAt(epoch: number, batch: number, isLast: boolean): boolean {
    const { trainer, trainBatches } = this.facts;
    // when the time comes is not known
    if (!this.#validatesIn(epoch) || trainer.valCheckTimeInterval !== null) return false;
    const { count, fraction } = trainer.valCheckInterval;
    if (count !== undefined) {
      return (trainer.checkValEveryNEpoch === null ? this.batches : batch) % count === 0;
    }
    if (!Number.isFinite(trainBatches)) return isLast;
    const interval = Math.max(1, Math.trunc(trainBatches * fraction));
    return (trainer.checkValEveryNEpoch === null ? this.batches : batch) % interval === 0;
  }
}
