import * as torch from "@levin/torch";
import { type ExactState, restoreGradients } from "../checkpoint/exact.js";
import { isStateful, iteratorOf } from "../combined-loader.js";
import { warn } from "../messages.js";
import { setRngStates } from "../rng.js";
import type { Fetcher } from "./fetcher.js";
import type { FitLoop } from "./fit.js";
import { advance, resetCurrent, resetTracker, restoreFitProgress, rewind } from "./progress.js";
import { isTimeToValidate } from "./validation-schedule.js";

/** Where the checkpoint that a fit goes on from was saved. */
type RestartStage = "none" | "epoch start" | "mid epoch" | "epoch end" | "resumed at epoch end";

/** How a fit goes on from a checkpoint; without one, that it doesn't. */
export class Restart {
  /** Whether there is something to go on with; until the end of its epoch. */
  active = false;
  /** Whether the epoch at hand was begun before; until its first batch. */
  insideEpoch = false;
  /** Whether the last step before was at the end of a batch, whose hooks had not all run. */
  atBatchEnd = false;
  /** Whether the last batch before was completed. */
  onLast = false;
  /** Whether a state was loaded; until the end of its epoch. */
  loaded = false;
  stage: RestartStage = "none";
  /** Whether the checkpoint was saved after the validation that would be next. */
  skipsNextValidation = false;
  /** What a checkpoint of levin holds to go on to the bit, until that is done. */
  exact: ExactState | null = null;
  /** Whether the checkpoint was saved at the last batch, whose epoch counts as ended. */
  epochIsOver = false;
  /** Whether the run that saved the checkpoint validated next, and this one does not. */
  leavesValidationOut = false;
  /** The states of loaders that are still to be made. */
  loaderStates: Record<string, unknown>[] = [];

  constructor(readonly loop: FitLoop) {}

  /** Takes over the state of a fit. */
  load(state: Record<string, unknown>, exact?: ExactState): void {
    this.exact = exact ?? null;
    const { epoch } = this.loop.progress;
    restoreFitProgress(this.loop.progress, state);
    const own = state.state_dict as { combined_loader?: Record<string, unknown>[] } | undefined;
    this.loaderStates = own?.combined_loader ?? [];
    // where the last epoch is over there is nothing to go on with, unless steps are counted
    const { ready, started, processed, completed } = epoch.current;
    const insideEpoch = ready !== processed || started !== processed;
    const restarting = insideEpoch || this.loop.isIterationBased;
    this.active = restarting;
    // after the end of a fit a new epoch begins, with all its batches; Lightning counts on in the old one
    this.insideEpoch = restarting && (insideEpoch || completed !== processed);
    this.loop.validation.restarting = restarting;
    this.loaded = true;
  }

  /** {@link load}, as if nothing had been begun from there. */
  loadFresh(state: Record<string, unknown>): void {
    this.load(state);
    this.active = false;
    this.insideEpoch = false;
    this.loop.validation.restarting = false;
    this.loaded = false;
    this.loaderStates = [];
  }

  /** The first batch is over. */
  endBatch(): void {
    this.insideEpoch = false;
    this.atBatchEnd = false;
    this.onLast = false;
  }

  /** The first epoch is over. */
  endEpoch(): void {
    this.active = false;
    this.loaded = false;
    this.stage = "none";
    this.epochIsOver = false;
  }

  /** Sets the random numbers back to where the checkpoint was saved, before the first hook of an epoch. */
  async restoreRandomNumbers(): Promise<void> {
    const exact = this.exact;
    if (!exact) return;
    // of loaders whose last batch was given, but not asked for one more, only the generators go on: their next epoch is a new one
    if (!exact.reading) {
      const loaders = this.loop.loader!.flattened.filter(isStateful);
      for (const loader of loaders) if (loader.stateDict().within !== false) leaveEpoch(loader);
    }
    setRngStates(exact.rng);
    if (!exact.reading && this.leavesValidationOut) await this.#drawForValidation();
  }

  /** Begins to read: the same batches in the same order as the run that saved the checkpoint. */
  async goOnExactly(exact: ExactState, fetcher: Fetcher): Promise<void> {
    const { progress, trainer } = this.loop;
    this.exact = null;
    const insideEpoch = progress.batch.current.ready > 0 && !this.epochIsOver;
    if (exact.reading) {
      if (exact.fetchRng) setRngStates(exact.fetchRng);
      await fetcher.start();
      setRngStates(exact.rng);
      if (this.leavesValidationOut) await this.#drawForValidation();
    } else if (insideEpoch) {
      // all batches of the epoch were seen: only its end is to come
      fetcher.done = true;
    } else {
      await fetcher.start();
    }
    if (insideEpoch) trainer.accumulateGradBatches = exact.accumulateGradBatches;
    if (exact.gradients) restoreGradients(trainer.run.module, exact.gradients);
  }

  /** Draws the random numbers of the validation that is left out. */
  async #drawForValidation(): Promise<void> {
    this.leavesValidationOut = false;
    this.loop.trainer.setStage("validate");
    await this.loop.validation.readThrough();
    this.loop.trainer.setStage("train");
  }

  /** Sets the progress back to where training can go on from. */
  goOn(): void {
    torch.setGradEnabled(true);
    const { epoch, batch, validation } = this.loop.progress;
    this.stage = this.#findStage();
    const { ready, started, processed, completed } = batch.total;
    const allStarted = this.insideEpoch && started === ready && processed === started;
    this.atBatchEnd = allStarted && completed === processed - 1;
    this.onLast = allStarted && completed === processed;
    this.loop.validation.updateRestartStage();

    // a validation at the end of an epoch is not made up for, as in Lightning
    if (this.exact && this.atBatchEnd && isTimeToValidate(this.loop)) this.leavesValidationOut = true;
    if (this.stage === "epoch start") rewind(epoch);
    if (this.stage === "resumed at epoch end") advance(epoch, "completed");
    if (!this.atBatchEnd || !batch.isLastBatch) return;
    this.epochIsOver = true;
    if (this.stage === "mid epoch") {
      advance(epoch, "processed");
      advance(epoch, "completed");
    } else if (!validation.isLastBatch) {
      advance(epoch, "completed");
    }
  }

  #findStage(): RestartStage {
    const { ready, started, processed, completed } = this.loop.progress.epoch.total;
    if (this.active) {
      if (started === ready - 1 && processed === started && completed === processed) return "epoch start";
      if (started === ready && processed === started - 1 && completed === processed) return "mid epoch";
      if (started === ready && processed === started && completed === processed - 1) return "epoch end";
    }
    if (this.loaded && started === ready && processed === started && completed === processed - 1) {
      return "resumed at epoch end";
    }
    return "none";
  }

  /** Sets the progress within the epoch to its begin, or to where training goes on. */
  goOnInEpoch(): void {
    const { trainer, progress } = this.loop;
    const { batch, scheduler, optimizerStep, zeroGrad, validation } = progress;
    if (this.insideEpoch && !this.loop.isAccumulating && (this.atBatchEnd || !this.onLast)) {
      progress.batchesThatStepped++;
    }
    const begin = () => {
      for (const each of [batch, scheduler, optimizerStep, zeroGrad]) resetCurrent(each);
      resetTracker(validation.total);
    };
    if (this.atBatchEnd) {
      advance(batch, "completed");
      if (batch.current.completed >= this.loop.maxBatches) begin();
    }
    if (!this.insideEpoch) {
      begin();
      return;
    }
    for (const each of [batch, scheduler, optimizerStep, zeroGrad]) rewind(each);
    if (!Number.isFinite(this.loop.maxBatches)) return;
    const steps = Math.ceil(this.loop.maxBatches / trainer.accumulateGradBatches);
    if (this.loop.globalStep % steps !== 0 && !this.loop.loader!.flattened.every(isStateful)) {
      warn(
        "Training goes on from a checkpoint that was saved within an epoch, and the loader cannot go on from there " +
          "(it has no stateDict and loadStateDict): it begins anew, so that some batches are seen twice.",
      );
    }
  }

  /** Whether the first thing to do, going on from a checkpoint, is a validation instead of a batch. */
  async leavesBatchOut(): Promise<boolean> {
    if (!isTimeToValidate(this.loop)) return false;
    if (this.loop.validation.restartedInside) return true;
    if (this.onLast) {
      this.skipsNextValidation = true;
      return true;
    }
    await this.loop.validation.skipToEnd();
    return false;
  }
}

/** Takes up the epoch that a loader's state is in, and leaves it. */
function leaveEpoch(loader: unknown): void {
  iteratorOf(loader).close?.();
}
