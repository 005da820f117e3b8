import { type ExactState, gradientsOf } from "../checkpoint/exact.js";
import type { CombinedLoader } from "../combined-loader.js";
import { isStateful } from "../combined-loader.js";
import { callModuleSync, dispatch, isOverridden } from "../dispatch.js";
import { MisconfigurationError } from "../errors.js";
import { Results } from "../logging/results.js";
import { note, warn, warnOnce } from "../messages.js";
import { LightningModule } from "../module.js";
import { record, recordIf } from "../profilers/recorder.js";
import { getRngStates, setRngStates } from "../rng.js";
import { isThenable, mustBeSync } from "../thenable.js";
import type { Trainer } from "../trainer.js";
import { EvaluationLoop } from "./evaluate.js";
import { Fetcher } from "./fetcher.js";
import { Optimization } from "./optimization.js";
import { Pace } from "./pace.js";
import { limitsOf, prepareLoader } from "./prepare-loader.js";
import { advance, type FitProgress, fitProgressState, newFitProgress, resetProgress } from "./progress.js";
import { Restart } from "./restart.js";
import { stepSchedulers } from "./schedulers.js";
import { isZero, LoaderSource, setSamplerEpoch } from "./source.js";
import { transferBatch } from "./transfer.js";
import { isTimeToValidate, planValidation } from "./validation-schedule.js";

/**
 * Training. The way of a batch is the method {@link FitLoop.run} and, from top to bottom, those below it:
 *
 * ```text
 * for each epoch:            run
 *   for each batch:          #trainEpoch
 *     fetch, transfer
 *     optimizer step         Optimization
 *       training step
 *       zero gradients
 *       backward
 *       clip
 *     log
 *     validate
 * ```
 */
export class FitLoop {
  readonly progress: FitProgress = newFitProgress();
  readonly results = new Results(true);
  readonly source = new LoaderSource("trainDataloader");
  readonly validation: EvaluationLoop;
  readonly optimization: Optimization;
  readonly restart = new Restart(this);
  /** Null: not decided yet. */
  minEpochs: number | null = null;
  /** -1: no limit; null: not decided yet. Set it to have the next fit go on. */
  maxEpochs: number | null = null;
  /** The number of batches of an epoch; Infinity where it isn't known. */
  maxBatches = Number.POSITIVE_INFINITY;
  /** After how many batches a validation begins; Infinity: at the end of an epoch of unknown length; null: by time. */
  valCheckBatch: number | null = null;
  loader: CombinedLoader | null = null;
  #fetcher: Fetcher | null = null;
  #lastReloadEpoch = Number.NEGATIVE_INFINITY;

  /** Of the whole fit: an epoch may be shorter than the time after which the event loop is served. */
  readonly #pace = new Pace();

  constructor(readonly trainer: Trainer) {
    this.validation = new EvaluationLoop(trainer, "fit", this.progress.validation);
    this.optimization = new Optimization(this);
  }

  /** The number of optimizer steps. */
  get globalStep(): number {
    const automatic = this.trainer.lightningModule?.automaticOptimization ?? true;
    return (automatic ? this.progress.optimizerStep : this.progress.manualStep).total.completed;
  }

  /** The index of the batch at hand in its epoch. */
  get batchIdx(): number {
    return this.progress.batch.current.ready - 1;
  }

  /** The index of the batch at hand over all epochs. */
  get totalBatchIdx(): number {
    return this.progress.batch.total.ready - 1;
  }

  /** Trains all epochs. */
  async run(): Promise<void> {
    await this.setupData();
    if (this.#isDone() || isZero(this.trainer.limitTrainBatches)) {
      if (this.restart.exact) setRngStates(this.restart.exact.rng);
      this.restart.exact = null;
      return;
    }
    this.restart.goOn();
    const { hooks } = this.trainer.run;

    await this.#start();
    await dispatch(hooks.onTrainStart);
    await this.restart.restoreRandomNumbers();
    while (!this.#isDone()) {
      await this.#startEpoch();
      await recordIf(this.trainer.run.recorder, "run_training_epoch", () => this.#trainEpoch());
      await this.#endEpoch();
      this.restart.endEpoch();
    }
    this.restart.active = false;
    await dispatch(hooks.onTrainEnd);
  }

  async #start(): Promise<void> {
    const { trainer, progress } = this;
    if (!this.isIterationBased) progress.epoch.current.completed = progress.epoch.current.processed;
    // the validation loaders are read now, so that their lengths are known
    if (this.validatesInEpoch && !this.validation.loader) {
      trainer.setStage("validate");
      await this.validation.setupData();
      trainer.setStage("train");
    }
    const inEvaluation = trainer.run.module.modules().filter((module) => !module.training).length;
    if (inEvaluation > 0) warn(`${inEvaluation} module(s) are in evaluation mode at the start of training.`);
  }

  async #startEpoch(): Promise<void> {
    const { progress } = this;
    const { hooks } = this.trainer.run;
    await this.setupData();
    for (const loader of this.loader!.flattened) setSamplerEpoch(loader, progress.epoch.current.processed);
    if (this.restart.stage === "mid epoch" && this.restart.epochIsOver) {
      // as in Lightning the hook is not called; counted it must be, or the next checkpoint would seem to be between epochs
      advance(progress.epoch, "ready");
      advance(progress.epoch, "started");
    }
    if (this.restart.stage === "mid epoch" || this.restart.stage === "epoch end") return;
    if (this.restart.stage !== "epoch start") advance(progress.epoch, "ready");
    await dispatch(hooks.onTrainEpochStart);
    advance(progress.epoch, "started");
  }

  async #trainEpoch(): Promise<void> {
    if (this.loader!.mode === "sequential") {
      throw new MisconfigurationError(
        'Training does not support CombinedLoader in the mode "sequential": use "min_size", "max_size_cycle" or "max_size".',
      );
    }
    const { trainer, progress } = this;
    const { hooks, logging, transfer, module, recorder } = trainer.run;
    const { precision } = trainer.strategy;
    const { batch: batches } = progress;
    const fetcher = this.#fetcher!;
    const { optimization, restart } = this;
    const pace = this.#pace;

    restart.goOnInEpoch();
    // the first epoch's batches are already being read since the loaders were made
    if (restart.exact) await restart.goOnExactly(restart.exact, fetcher);
    else if (trainer.currentEpoch > 0 && !restart.loaded && !restart.insideEpoch) await fetcher.start();
    fetcher.fetched += batches.current.ready;

    while (!this.#isEpochDone()) {
      if (pace.isDue) await pace.rest();
      trainer.throwIfInterrupted();
      if (trainer.hasWork) await trainer.settleStorage();
      if (!restart.insideEpoch || !(await restart.leavesBatchOut())) {
        this.validation.restarting = false;

        // fetch a batch and bring it to the device
        let item = fetcher.next();
        if (isThenable(item)) item = await item;
        if (item === null) break;
        const batchIdx = this.batchIdx + 1;
        batches.isLastBatch = fetcher.done;
        let batch = transferBatch(transfer, precision.convertInput(item.batch), 0);
        if (isThenable(batch)) batch = await batch;
        advance(batches, "ready");
        logging.startBatch(batch, null);

        // train on it
        let outputs: Record<string, unknown> | null = null;
        let endsEpoch = false;
        if (batch === null || batch === undefined) {
          warnOnce("The training loader gave null instead of a batch; it is left out.");
        } else {
          let response = dispatch(hooks.onTrainBatchStart, batch, batchIdx);
          if (isThenable(response)) response = await response;
          if (response === -1) {
            endsEpoch = true;
            batches.isLastBatch = true;
          } else {
            advance(batches, "started");
            const pending = recorder
              ? record(recorder, "run_training_batch", () => optimization.run(batch, batchIdx))
              : optimization.run(batch, batchIdx);
            if (pending) await pending;
            if (hooks.onTrainBatchEnd.used) outputs = optimization.outputs();
            optimization.release();
          }
        }
        advance(batches, "processed");

        // learning rates
        stepSchedulers(this, "step", false);
        if (this.#isLastReady) stepSchedulers(this, "epoch", false);
        if (endsEpoch) break;

        // log
        const pending = dispatch(hooks.onTrainBatchEnd, outputs, batch, batchIdx);
        if (isThenable(pending)) await pending;
        if (trainer.hasWork) await trainer.work();
        logging.endBatch();
        advance(batches, "completed");
        if (
          !(this.isAccumulating && module.automaticOptimization) &&
          (trainer.shouldUpdateLogs || trainer.fastDevRun)
        ) {
          logging.logStep();
        }
      }

      // validate, if it is time to
      if (this.#takesValidation()) {
        logging.flush();
        const place = logging.place;
        trainer.setStage("validate");
        if (!this.isAccumulating) {
          callModuleSync(module, "onValidationModelZeroGrad", () => module.onValidationModelZeroGrad());
        }
        await this.validation.run();
        trainer.setStage("train");
        logging.place = place;
      }
      stepSchedulers(this, "step", true);
      if (!this.isAccumulating) progress.batchesThatStepped++;
      if (trainer.shouldStop) for (const logger of trainer.loggers) logger.save();
      if (trainer.receivedSigterm && !this.#isTrained) trainer.throwIfTerminated();
      restart.endBatch();
    }
    fetcher.stop();
    restart.endBatch();
  }

  /** Whether gradients add up, so that this batch has no optimizer step. */
  get isAccumulating(): boolean {
    const { trainer, progress } = this;
    const accumulated = progress.batch.current.ready % trainer.accumulateGradBatches === 0;
    return !accumulated && (trainer.strategy.handlesGradientAccumulation || !this.#isLastReady);
  }

  get #isLastReady(): boolean {
    const { batch } = this.progress;
    return batch.current.ready === this.maxBatches || batch.isLastBatch;
  }

  async #endEpoch(): Promise<void> {
    const { progress } = this;
    const { hooks, logging } = this.trainer.run;
    logging.endOfEpochReached();
    advance(progress.epoch, "processed");
    await dispatch(hooks.onTrainEpochEnd);
    logging.endEpoch();
    if (!this.restart.active && this.#isLastReady) stepSchedulers(this, "epoch", true);
    // the loggers see the step of the epoch's last batch
    progress.batchesThatStepped--;
    logging.logEpoch();
    progress.batchesThatStepped++;
    advance(progress.epoch, "completed");
    this.trainer.throwIfTerminated();
  }

  // When to stop

  #isDone(): boolean {
    const { trainer, progress } = this;
    if (this.maxBatches === 0) {
      note("Trainer.fit stopped: no training batches.");
      return true;
    }
    if (this.#reached(this.globalStep, trainer.maxSteps)) {
      note(`Trainer.fit stopped: maxSteps=${trainer.maxSteps} reached.`);
      return true;
    }
    if (this.#reached(progress.epoch.current.processed, this.maxEpochs ?? -1)) {
      progress.epoch.current.completed = progress.epoch.current.processed;
      note(`Trainer.fit stopped: maxEpochs=${this.maxEpochs} reached.`);
      return true;
    }
    return trainer.shouldStop && this.mayStopEarly;
  }

  /** Whether all batches of the epoch were trained on. */
  get #isTrained(): boolean {
    return this.#reached(this.globalStep, this.trainer.maxSteps) || this.#isLastReady;
  }

  #isEpochDone(): boolean {
    const { trainer } = this;
    if (this.#isTrained && (!this.restart.insideEpoch || this.validation.hasRun)) return true;
    if (!trainer.shouldStop) return false;
    if (!this.mayStopEarly) {
      warnOnce("The trainer was told to stop, but minEpochs or minSteps is not reached: training goes on.");
    }
    return this.mayStopEarly;
  }

  #reached(count: number, most: number): boolean {
    return most !== -1 && count >= most;
  }

  /** Whether `shouldStop` counts already. */
  get mayStopEarly(): boolean {
    const { minSteps } = this.trainer;
    return (
      (!this.minEpochs || this.progress.epoch.current.processed >= this.minEpochs) &&
      (!minSteps || this.globalStep >= minSteps)
    );
  }

  /** Whether the fit ends after a number of steps. */
  get isIterationBased(): boolean {
    return this.trainer.maxSteps !== -1;
  }

  // When to validate

  /** Whether the current epoch is one with validation. */
  get validatesInEpoch(): boolean {
    const { trainer } = this;
    const every = trainer.checkValEveryNEpoch;
    return trainer.enableValidation && (every === null || (trainer.currentEpoch + 1) % every === 0);
  }

  #takesValidation(): boolean {
    const validates = isTimeToValidate(this);
    if (!this.restart.skipsNextValidation) return validates;
    this.restart.skipsNextValidation = false;
    return false;
  }

  // Data

  /** Gets the loaders, if they are not there yet or should be read anew. */
  async setupData(): Promise<void> {
    if (!this.#needsData) return;
    const { trainer } = this;
    this.#takeLoaders(await this.source.request(trainer));
    if (this.maxBatches === 0 || this.restart.exact) return;
    await this.#fetcher!.start();
  }

  /** {@link setupData} for those who cannot wait, such as `trainer.estimatedSteppingBatches`. */
  setupDataNow(): void {
    if (!this.#needsData) return;
    this.#takeLoaders(mustBeSync(this.source.request(this.trainer), "trainDataloader"));
    if (this.restart.exact) return;
    mustBeSync(this.#fetcher!.start(), "The training loader");
  }

  get #needsData(): boolean {
    const { trainer } = this;
    const every = trainer.reloadDataloadersEveryNEpochs;
    const reload = every > 0 && trainer.currentEpoch - this.#lastReloadEpoch >= every;
    if (this.loader && !reload) return false;
    return (
      !isZero(trainer.limitTrainBatches) && isOverridden(trainer.run.module, "trainingStep", LightningModule)
    );
  }

  #takeLoaders(loaders: unknown): void {
    const { trainer } = this;
    const combined = this.source.combine(loaders, "max_size_cycle");
    if (combined.flattened.length === 0)
      throw new MisconfigurationError("trainDataloaders is an empty list: there is no loader to train with.");
    trainer.strategy.barrier();
    combined.flattened = combined.flattened.map((loader) =>
      prepareLoader(trainer.strategy, loader, { overfit: trainer.overfits, stage: "train" }),
    );
    this.loader = combined;
    combined.limits = limitsOf(combined, trainer.limitTrainBatches, "limitTrainBatches");
    if (this.restart.active && this.restart.loaderStates.length > 0) {
      combined.loadStateDicts(this.restart.loaderStates);
      this.restart.loaderStates = [];
    }
    this.#fetcher = new Fetcher(combined, trainer.run.recorder, "[_TrainingEpochLoop].train_dataloader_next");
    this.maxBatches = combined.length ?? Number.POSITIVE_INFINITY;
    if (this.maxBatches === 0) return;
    this.#lastReloadEpoch = trainer.currentEpoch;
    this.valCheckBatch = planValidation(trainer, this.maxBatches);
    if (trainer.loggers.length > 0 && this.maxBatches < trainer.logEveryNSteps && !trainer.fastDevRun) {
      warn(
        `The number of training batches (${this.maxBatches}) is smaller than logEveryNSteps (${trainer.logEveryNSteps}): ` +
          "set a lower logEveryNSteps to see logs of each epoch.",
      );
    }
  }

  // Going on from a checkpoint

  stateDict(): Record<string, unknown> {
    const state = fitProgressState(this.progress);
    const loaders = this.loader?.flattened.some(isStateful) ? this.#fetcher!.state().loaders : [];
    if (loaders.length > 0) state.state_dict = { combined_loader: loaders };
    return state;
  }

  /** What {@link stateDict} lacks for a continued run that is the uninterrupted one to the bit. */
  exactState(): ExactState {
    const fetcher = this.#fetcher;
    const reading = fetcher?.reading ?? false;
    // while gradients add up they are part of the state
    const accumulates = this.trainer.accumulateGradBatches > 1 && this.isAccumulating;
    return {
      rng: getRngStates(),
      reading,
      fetchRng: reading ? fetcher!.state().rng : null,
      accumulateGradBatches: this.trainer.accumulateGradBatches,
      gradients: accumulates ? gradientsOf(this.trainer.run.module) : null,
    };
  }

  loadStateDict(state: Record<string, unknown>, exact?: ExactState): void {
    this.restart.load(state, exact);
  }

  /** Goes to a state as if nothing had been begun from there: for runs that try something out. */
  startFrom(state: Record<string, unknown>): void {
    this.restart.loadFresh(state);
  }

  /** Forgets the epochs and optimizer steps so far. */
  resetProgress(): void {
    const { epoch, optimizerStep, zeroGrad, manualStep } = this.progress;
    const automatic = this.trainer.run.module.automaticOptimization;
    const steps = automatic ? [optimizerStep, zeroGrad] : [manualStep];
    for (const each of [epoch, ...steps]) resetProgress(each);
  }
}
