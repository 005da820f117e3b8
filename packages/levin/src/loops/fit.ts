import * as torch from "@levin/torch";
import { Tensor } from "@levin/torch";
import { type ExactState, gradientsOf, restoreGradients } from "../checkpoint/exact.js";
import type { CombinedLoader } from "../combined-loader.js";
import { isStateful, iteratorOf } from "../combined-loader.js";
import {
  asynchronousHook,
  callModule,
  callModuleSync,
  dispatch,
  dispatchSync,
  isOverridden,
} from "../dispatch.js";
import { MisconfigurationError } from "../errors.js";
import type { StepOutput } from "../hooks.js";
import { Results } from "../logging/results.js";
import { note, warn, warnOnce } from "../messages.js";
import { attachment, LightningModule } from "../module.js";
import type { SchedulerConfig } from "../optimizers.js";
import { record, recordIf } from "../profilers/recorder.js";
import { getRngStates, setRngStates } from "../rng.js";
import { isThenable, mustBeSync } from "../thenable.js";
import type { Run, Trainer } from "../trainer.js";
import { EvaluationLoop } from "./evaluate.js";
import { Fetcher } from "./fetcher.js";
import { Pace } from "./pace.js";
import {
  advance,
  type FitProgress,
  fitProgressState,
  newFitProgress,
  resetCurrent,
  resetProgress,
  resetTracker,
  restoreFitProgress,
  rewind,
} from "./progress.js";
import { isZero, LoaderSource, setSamplerEpoch } from "./source.js";
import { transferBatch } from "./transfer.js";

/** Where the checkpoint that a fit goes on from was saved. */
type RestartStage = "none" | "epoch start" | "mid epoch" | "epoch end" | "resumed at epoch end";

/** The output of a training step, made ready for the rest of the batch. */
interface StepResult {
  /** The loss that gradients are computed of; null where the step returned nothing. */
  loss: Tensor | null;
  /** What else the step returned. */
  extra: Record<string, unknown> | null;
}

/** Thrown through the optimizer, which is synchronous, when a training step turns out to be asynchronous. */
class AsynchronousStep {
  constructor(readonly output: PromiseLike<unknown>) {}
}

/**
 * Training. The way of a batch is the method {@link FitLoop.run} and, from top to bottom, those below it:
 *
 * ```text
 * for each epoch:            run
 *   for each batch:          #trainEpoch
 *     fetch, transfer
 *     optimizer step         #optimize
 *       training step        #closure
 *       zero gradients
 *       backward
 *       clip                 Trainer.#afterClosure
 *     log
 *     validate
 * ```
 */
export class FitLoop {
  readonly progress: FitProgress = newFitProgress();
  readonly results = new Results(true);
  readonly source = new LoaderSource("trainDataloader");
  readonly validation: EvaluationLoop;
  /** Null: not decided yet. */
  minEpochs: number | null = null;
  /** -1: no limit; null: not decided yet. Set it to have the next fit go on. */
  maxEpochs: number | null = null;
  /** The number of batches of an epoch; Infinity where it isn't known. */
  maxBatches = Number.POSITIVE_INFINITY;
  /** After how many batches a validation begins; Infinity: at the end of an epoch of unknown length; null: by time. */
  valCheckBatch: number | null = null;
  /** Whether batches only pass forward: no gradients are computed. */
  skipBackward = false;
  loader: CombinedLoader | null = null;
  #fetcher: Fetcher | null = null;
  #lastReloadEpoch = Number.NEGATIVE_INFINITY;
  #loaderStates: Record<string, unknown>[] = [];

  // going on from a checkpoint
  #restarting = false;
  #epochRestarting = false;
  #loaded = false;
  #resuming = false;
  #stage: RestartStage = "none";
  #restartedAtBatchEnd = false;
  #restartedOnLast = false;
  #skipNextValidation = false;
  /** What a checkpoint of levin holds to go on to the bit, until that is done. */
  #exact: ExactState | null = null;
  /** Whether the checkpoint was saved at the last batch, whose epoch counts as ended. */
  #epochIsOver = false;
  /** Whether the run that saved the checkpoint validated next, and this one does not. */
  #leavesValidationOut = false;

  /** Of the whole fit: an epoch may be shorter than the time after which the event loop is served. */
  readonly #pace = new Pace();

  // the batch at hand
  #batch: unknown = null;
  #batchIdx = 0;
  #result: StepResult = { loss: null, extra: null };
  /** Whether the optimizer, or the module's optimizerStep, has called the closure. */
  #closureHasRun = false;
  /** Whether the training step returns promises: then it is awaited before the optimizer step. */
  #stepIsAsynchronous = false;
  /** The output of a training step that was awaited. */
  #awaited: { output: StepOutput } | null = null;

  constructor(readonly trainer: Trainer) {
    this.validation = new EvaluationLoop(trainer, "fit", this.progress.validation);
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
      if (this.#exact) setRngStates(this.#exact.rng);
      this.#exact = null;
      return;
    }
    this.#goOn();
    const { hooks } = this.trainer.run;

    await this.#start();
    await dispatch(hooks.onTrainStart);
    await this.#restoreRandomNumbers();
    while (!this.#isDone()) {
      await this.#startEpoch();
      await recordIf(this.trainer.run.recorder, "run_training_epoch", () => this.#trainEpoch());
      await this.#endEpoch();
      this.#restarting = false;
      this.#loaded = false;
      this.#resuming = false;
      this.#stage = "none";
      this.#epochIsOver = false;
    }
    this.#restarting = false;
    await dispatch(hooks.onTrainEnd);
  }

  async #start(): Promise<void> {
    const { trainer, progress } = this;
    if (!this.#isIterationBased) progress.epoch.current.completed = progress.epoch.current.processed;
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
    if (this.#stage === "mid epoch" && this.#epochIsOver) {
      // as in Lightning the hook is not called; counted it must be, or the next checkpoint would seem to be between epochs
      advance(progress.epoch, "ready");
      advance(progress.epoch, "started");
    }
    if (this.#stage === "mid epoch" || this.#stage === "epoch end") return;
    if (this.#stage !== "epoch start") advance(progress.epoch, "ready");
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
    const pace = this.#pace;

    this.#goOnInEpoch();
    // the first epoch's batches are already being read since the loaders were made
    if (this.#exact) await this.#goOnExactly(this.#exact);
    else if (trainer.currentEpoch > 0 && !this.#resuming && !this.#epochRestarting) await fetcher.start();
    fetcher.fetched += batches.current.ready;

    while (!this.#isEpochDone()) {
      if (pace.isDue) await pace.rest();
      trainer.throwIfInterrupted();
      if (trainer.hasWork) await trainer.settleStorage();
      if (!this.#epochRestarting || !(await this.#leavesBatchOut())) {
        this.validation.restarting = false;

        // fetch a batch and bring it to the device
        let item = fetcher.next();
        if (isThenable(item)) item = await item;
        if (item === null) break;
        const batchIdx = this.batchIdx + 1;
        batches.isLastBatch = fetcher.done;
        let batch = transferBatch(transfer, precision.convertInput(item.batch), 0);
        if (isThenable(batch)) batch = await batch;
        batches.total.ready++;
        batches.current.ready++;
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
            batches.total.started++;
            batches.current.started++;
            this.#batch = batch;
            this.#batchIdx = batchIdx;
            const pending = recorder
              ? record(recorder, "run_training_batch", () => this.#optimizeBatch(module))
              : this.#optimizeBatch(module);
            if (pending) await pending;
            if (hooks.onTrainBatchEnd.used) outputs = this.#outputs(module.automaticOptimization);
            this.#result = noResult;
            this.#batch = null;
          }
        }
        batches.total.processed++;
        batches.current.processed++;

        // learning rates
        this.#stepSchedulers("step", false);
        if (this.#isLastReady) this.#stepSchedulers("epoch", false);
        if (endsEpoch) break;

        // log
        const pending = dispatch(hooks.onTrainBatchEnd, outputs, batch, batchIdx);
        if (isThenable(pending)) await pending;
        if (trainer.hasWork) await trainer.work();
        logging.endBatch();
        batches.total.completed++;
        batches.current.completed++;
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
      this.#stepSchedulers("step", true);
      if (!this.isAccumulating) progress.batchesThatStepped++;
      if (trainer.shouldStop) for (const logger of trainer.loggers) logger.save();
      if (trainer.receivedSigterm && !this.#isTrained) trainer.throwIfTerminated();
      this.#epochRestarting = false;
      this.#restartedAtBatchEnd = false;
      this.#restartedOnLast = false;
    }
    fetcher.stop();
    this.#epochRestarting = false;
    this.#restartedAtBatchEnd = false;
    this.#restartedOnLast = false;
  }

  #optimizeBatch(module: LightningModule): void | Promise<void> {
    return module.automaticOptimization ? this.#optimize() : this.#optimizeManually();
  }

  /** One batch in automatic optimization. Returns a promise only where the training step does. */
  #optimize(): void | Promise<void> {
    const { trainer } = this;
    if (this.#stepIsAsynchronous) return this.#optimizeAsynchronously();
    try {
      if (this.isAccumulating && !trainer.strategy.handlesGradientAccumulation) {
        // no optimizer step: gradients only add up
        torch.setGradEnabled(true);
        trainer.strategy.withoutGradientSync(this.#closure);
      } else {
        this.#optimizerStep();
      }
    } catch (error) {
      if (!(error instanceof AsynchronousStep)) throw error;
      this.#stepIsAsynchronous = true;
      return this.#optimizeAsynchronously(error.output);
    }
  }

  async #optimizeAsynchronously(running?: PromiseLike<unknown>): Promise<void> {
    const output = (await (running ?? this.#trainingStep())) as StepOutput;
    this.#awaited = { output };
    this.#stepIsAsynchronous = false;
    try {
      await this.#optimize();
    } finally {
      this.#stepIsAsynchronous = true;
      this.#awaited = null;
    }
  }

  #optimizerStep(): void {
    const { trainer, progress } = this;
    const { module } = trainer.run;
    const steps = !this.isAccumulating;
    if (steps) advance(progress.optimizerStep, "ready");
    const optimizer = trainer.lightningOptimizers[0]!;
    this.#closureHasRun = false;
    const pending: unknown = callModule(module, "optimizerStep", () =>
      module.optimizerStep(trainer.currentEpoch, this.#batchIdx, optimizer, this.#closure),
    );
    if (isThenable(pending)) throw asynchronousHook("optimizerStep");
    if (!this.#closureHasRun) {
      throw new MisconfigurationError(
        "The closure, which runs the training step, was not called. An optimizerStep of the module's own must call it, or give it to " +
          "`optimizer.step(closure)`; and an optimizer of one's own must call the closure that its step is given.",
      );
    }
    if (steps) advance(progress.optimizerStep, "completed");
  }

  /** What the optimizer calls: computes the loss, and then its gradients. */
  readonly #closure = (): Tensor | null => {
    const { trainer, progress } = this;
    const { hooks, module } = trainer.run;
    this.#closureHasRun = true;

    const output = this.#awaited ? this.#awaited.output : this.#trainingStep();
    if (isThenable(output)) throw new AsynchronousStep(output);
    const result = readStepOutput(output as StepOutput, trainer.accumulateGradBatches);
    this.#result = result;
    if (result.loss === null) warnOnce("`trainingStep` returned nothing: the batch is left out.");

    if (this.skipBackward) return result.loss;
    if (this.#batchIdx % trainer.accumulateGradBatches === 0) {
      const optimizer = trainer.optimizers[0]!;
      advance(progress.zeroGrad, "ready");
      dispatchSync(hooks.onBeforeZeroGrad, optimizer);
      advance(progress.zeroGrad, "started");
      callModuleSync(module, "optimizerZeroGrad", () =>
        module.optimizerZeroGrad(trainer.currentEpoch, this.#batchIdx, optimizer),
      );
      advance(progress.zeroGrad, "completed");
    }

    if (result.loss !== null) trainer.backward(result.loss);
    return result.loss;
  };

  /** The module's training step, in the precision's types. */
  #trainingStep(): unknown {
    const { run, strategy } = this.trainer;
    if (run.recorder === null) return this.#callTrainingStep();
    const action = `[Strategy]${strategy.constructor.name}.training_step`;
    return record(run.recorder, action, () => this.#callTrainingStep());
  }

  #callTrainingStep(): unknown {
    const { strategy, run } = this.trainer;
    const attached = run.module[attachment];
    const outer = attached.currentHook;
    attached.currentHook = "trainingStep";
    const enter = strategy.precision.enterForward;
    if (enter === null) {
      const output: unknown = run.module.trainingStep(this.#batch, this.#batchIdx);
      if (isThenable(output)) return restoreHook(output, attached, outer);
      attached.currentHook = outer;
      return output;
    }
    const leave = enter();
    let output: unknown;
    try {
      output = run.module.trainingStep(this.#batch, this.#batchIdx);
    } catch (error) {
      leave();
      throw error;
    }
    if (isThenable(output)) return restoreHook(output, attached, outer, leave);
    leave();
    attached.currentHook = outer;
    return output;
  }

  /** One batch in manual optimization: the training step does it all. */
  #optimizeManually(): void | Promise<void> {
    const output = this.#trainingStep();
    if (isThenable(output)) {
      return (async () => {
        this.#result = readManualOutput((await output) as StepOutput);
      })();
    }
    this.#result = readManualOutput(output as StepOutput);
  }

  /** What the hooks at the end of a batch are given. */
  #outputs(automatic: boolean): Record<string, unknown> {
    const { loss, extra } = this.#result;
    if (loss === null) return automatic ? {} : { ...extra };
    return extra === null ? { loss: loss.data } : { loss: loss.data, ...extra };
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

  #stepSchedulers(interval: "step" | "epoch", onPlateau: boolean): void {
    const { trainer } = this;
    if (trainer.lrSchedulerConfigs.length === 0 || !trainer.run.module.automaticOptimization) return;
    if (interval === "step" && this.isAccumulating) return;
    const count = (interval === "step" ? this.batchIdx : trainer.currentEpoch) + 1;
    for (const config of trainer.lrSchedulerConfigs) {
      if (config.reduceOnPlateau !== onPlateau || config.interval !== interval) continue;
      if (count % config.frequency === 0) this.#stepScheduler(trainer.run, config);
    }
  }

  #stepScheduler({ module, logging }: Run, config: SchedulerConfig): void {
    let metric: Tensor | null = null;
    if (config.reduceOnPlateau) {
      const metrics = logging.callbackMetrics;
      metric = metrics[config.monitor!] ?? null;
      if (metric === null) {
        const message =
          `ReduceLROnPlateau is conditioned on the metric "${config.monitor}", which is not available. ` +
          `Available are: ${Object.keys(metrics).join(", ") || "none"}. Set \`monitor\` in the lr scheduler options.`;
        if (config.strict) throw new MisconfigurationError(message);
        warn(`${message} The learning rate is not updated.`);
        return;
      }
    }
    advance(this.progress.scheduler, "ready");
    const pending: unknown = callModule(module, "lrSchedulerStep", () =>
      module.lrSchedulerStep(config.scheduler, metric),
    );
    if (isThenable(pending)) throw asynchronousHook("lrSchedulerStep");
    advance(this.progress.scheduler, "completed");
  }

  async #endEpoch(): Promise<void> {
    const { progress } = this;
    const { hooks, logging } = this.trainer.run;
    logging.endOfEpochReached();
    advance(progress.epoch, "processed");
    await dispatch(hooks.onTrainEpochEnd);
    logging.endEpoch();
    if (!this.#restarting && this.#isLastReady) this.#stepSchedulers("epoch", true);
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
    return trainer.shouldStop && this.#mayStopEarly;
  }

  /** Whether all batches of the epoch were trained on. */
  get #isTrained(): boolean {
    return this.#reached(this.globalStep, this.trainer.maxSteps) || this.#isLastReady;
  }

  #isEpochDone(): boolean {
    const { trainer } = this;
    if (this.#isTrained && (!this.#epochRestarting || this.validation.hasRun)) return true;
    if (!trainer.shouldStop) return false;
    if (!this.#mayStopEarly) {
      warnOnce("The trainer was told to stop, but minEpochs or minSteps is not reached: training goes on.");
    }
    return this.#mayStopEarly;
  }

  #reached(count: number, most: number): boolean {
    return most !== -1 && count >= most;
  }

  get #mayStopEarly(): boolean {
    const { minSteps } = this.trainer;
    return (
      (!this.minEpochs || this.progress.epoch.current.processed >= this.minEpochs) &&
      (!minSteps || this.globalStep >= minSteps)
    );
  }

  get #isIterationBased(): boolean {
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
    const validates = this.#isTimeToValidate();
    if (!this.#skipNextValidation) return validates;
    this.#skipNextValidation = false;
    return false;
  }

  #isTimeToValidate(): boolean {
    const { trainer, progress, valCheckBatch } = this;
    if (!this.validatesInEpoch) return false;
    const { isLastBatch } = progress.batch;
    const isEndless = valCheckBatch === Number.POSITIVE_INFINITY;
    if (isLastBatch && isEndless) return true;
    if (trainer.shouldStop && this.#mayStopEarly) return true;
    const interval = trainer.valCheckTimeInterval;
    if (interval !== null) return performance.now() - trainer.lastValidationTime >= interval;
    const limit = trainer.limitTrainBatches.count;
    if (limit !== undefined && isEndless) return (this.batchIdx + 1) % limit === 0;
    if (isEndless || valCheckBatch === null) return isLastBatch;
    const index = trainer.checkValEveryNEpoch === null ? this.totalBatchIdx : this.batchIdx;
    return (index + 1) % valCheckBatch === 0;
  }

  // Data

  /** Gets the loaders, if they are not there yet or should be read anew. */
  async setupData(): Promise<void> {
    if (!this.#needsData) return;
    const { trainer } = this;
    this.#takeLoaders(await this.source.request(trainer));
    if (this.maxBatches === 0 || this.#exact) return;
    await this.#fetcher!.start();
  }

  /** {@link setupData} for those who cannot wait, such as `trainer.estimatedSteppingBatches`. */
  setupDataNow(): void {
    if (!this.#needsData) return;
    this.#takeLoaders(mustBeSync(this.source.request(this.trainer), "trainDataloader"));
    if (this.#exact) return;
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
      trainer.prepareLoader(loader, { overfit: trainer.overfits, stage: "train" }),
    );
    this.loader = combined;
    combined.limits = trainer.limitsOf(combined, trainer.limitTrainBatches, "limitTrainBatches");
    if (this.#restarting && this.#loaderStates.length > 0) {
      combined.loadStateDicts(this.#loaderStates);
      this.#loaderStates = [];
    }
    this.#fetcher = new Fetcher(combined, trainer.run.recorder, "[_TrainingEpochLoop].train_dataloader_next");
    this.maxBatches = combined.length ?? Number.POSITIVE_INFINITY;
    if (this.maxBatches === 0) return;
    this.#lastReloadEpoch = trainer.currentEpoch;
    this.#planValidation();
    if (trainer.loggers.length > 0 && this.maxBatches < trainer.logEveryNSteps && !trainer.fastDevRun) {
      warn(
        `The number of training batches (${this.maxBatches}) is smaller than logEveryNSteps (${trainer.logEveryNSteps}): ` +
          "set a lower logEveryNSteps to see logs of each epoch.",
      );
    }
  }

  #planValidation(): void {
    const { trainer, maxBatches } = this;
    const interval = trainer.valCheckInterval;
    if (trainer.valCheckTimeInterval !== null) {
      this.valCheckBatch = null;
      trainer.lastValidationTime = performance.now();
    } else if (interval.count !== undefined) {
      this.valCheckBatch = interval.count;
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
    } else if (Number.isFinite(maxBatches)) {
      this.valCheckBatch = Math.max(1, Math.trunc(maxBatches * interval.fraction));
    } else if (interval.fraction === 1) {
      this.valCheckBatch = Number.POSITIVE_INFINITY;
    } else {
      throw new MisconfigurationError(
        "The length of the training loader is not known: valCheckInterval must be a number of batches, a duration, or left out.",
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
    this.#exact = exact ?? null;
    const { epoch } = this.progress;
    restoreFitProgress(this.progress, state);
    const own = state.state_dict as { combined_loader?: Record<string, unknown>[] } | undefined;
    this.#loaderStates = own?.combined_loader ?? [];
    // where the last epoch is over there is nothing to go on with, unless steps are counted
    const { ready, started, processed, completed } = epoch.current;
    const insideEpoch = ready !== processed || started !== processed;
    const restarting = insideEpoch || this.#isIterationBased;
    this.#restarting = restarting;
    // after the end of a fit a new epoch begins, with all its batches; Lightning counts on in the old one
    this.#epochRestarting = restarting && (insideEpoch || completed !== processed);
    this.validation.restarting = restarting;
    this.#loaded = true;
    this.#resuming = true;
  }

  /** Goes to a state as if nothing had been begun from there: for runs that try something out. */
  startFrom(state: Record<string, unknown>): void {
    this.loadStateDict(state);
    this.#restarting = false;
    this.#epochRestarting = false;
    this.validation.restarting = false;
    this.#loaded = false;
    this.#resuming = false;
    this.#loaderStates = [];
  }

  /** Forgets the epochs and optimizer steps so far. */
  resetProgress(): void {
    const { epoch, optimizerStep, zeroGrad, manualStep } = this.progress;
    const automatic = this.trainer.run.module.automaticOptimization;
    const steps = automatic ? [optimizerStep, zeroGrad] : [manualStep];
    for (const each of [epoch, ...steps]) resetProgress(each);
  }

  /** Sets the random numbers back to where the checkpoint was saved, before the first hook of an epoch. */
  async #restoreRandomNumbers(): Promise<void> {
    const exact = this.#exact;
    if (!exact) return;
    // of loaders whose last batch was given, but not asked for one more, only the generators go on: their next epoch is a new one
    if (!exact.reading) {
      const loaders = this.loader!.flattened.filter(isStateful);
      for (const loader of loaders) if (loader.stateDict().within !== false) endEpoch(loader);
    }
    setRngStates(exact.rng);
    if (!exact.reading && this.#leavesValidationOut) await this.#drawForValidation();
  }

  /** Begins to read: the same batches in the same order as the run that saved the checkpoint. */
  async #goOnExactly(exact: ExactState): Promise<void> {
    const { progress, trainer } = this;
    this.#exact = null;
    const fetcher = this.#fetcher!;
    const insideEpoch = progress.batch.current.ready > 0 && !this.#epochIsOver;
    if (exact.reading) {
      if (exact.fetchRng) setRngStates(exact.fetchRng);
      await fetcher.start();
      setRngStates(exact.rng);
      if (this.#leavesValidationOut) await this.#drawForValidation();
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
    this.#leavesValidationOut = false;
    this.trainer.setStage("validate");
    await this.validation.readThrough();
    this.trainer.setStage("train");
  }

  /** Sets the progress back to where training can go on from. */
  #goOn(): void {
    torch.setGradEnabled(true);
    const { epoch, batch, validation } = this.progress;
    this.#stage = this.#findStage();
    const { ready, started, processed, completed } = batch.total;
    const allStarted = this.#epochRestarting && started === ready && processed === started;
    this.#restartedAtBatchEnd = allStarted && completed === processed - 1;
    this.#restartedOnLast = allStarted && completed === processed;
    this.validation.updateRestartStage();

    // a validation at the end of an epoch is not made up for, as in Lightning
    if (this.#exact && this.#restartedAtBatchEnd && this.#isTimeToValidate())
      this.#leavesValidationOut = true;
    if (this.#stage === "epoch start") rewind(epoch);
    if (this.#stage === "resumed at epoch end") advance(epoch, "completed");
    if (!this.#restartedAtBatchEnd || !batch.isLastBatch) return;
    this.#epochIsOver = true;
    if (this.#stage === "mid epoch") {
      advance(epoch, "processed");
      advance(epoch, "completed");
    } else if (!validation.isLastBatch) {
      advance(epoch, "completed");
    }
  }

  #findStage(): RestartStage {
    const { ready, started, processed, completed } = this.progress.epoch.total;
    if (this.#restarting) {
      if (started === ready - 1 && processed === started && completed === processed) return "epoch start";
      if (started === ready && processed === started - 1 && completed === processed) return "mid epoch";
      if (started === ready && processed === started && completed === processed - 1) return "epoch end";
    }
    if (this.#loaded && started === ready && processed === started && completed === processed - 1) {
      return "resumed at epoch end";
    }
    return "none";
  }

  /** Sets the progress within the epoch to its begin, or to where training goes on. */
  #goOnInEpoch(): void {
    const { trainer, progress } = this;
    const { batch, scheduler, optimizerStep, zeroGrad, validation } = progress;
    if (
      this.#epochRestarting &&
      !this.isAccumulating &&
      (this.#restartedAtBatchEnd || !this.#restartedOnLast)
    ) {
      progress.batchesThatStepped++;
    }
    const begin = () => {
      for (const each of [batch, scheduler, optimizerStep, zeroGrad]) resetCurrent(each);
      resetTracker(validation.total);
    };
    if (this.#restartedAtBatchEnd) {
      advance(batch, "completed");
      if (batch.current.completed >= this.maxBatches) begin();
    }
    if (!this.#epochRestarting) {
      begin();
      return;
    }
    for (const each of [batch, scheduler, optimizerStep, zeroGrad]) rewind(each);
    if (!Number.isFinite(this.maxBatches)) return;
    const steps = Math.ceil(this.maxBatches / trainer.accumulateGradBatches);
    if (this.globalStep % steps !== 0 && !this.loader!.flattened.every(isStateful)) {
      warn(
        "Training goes on from a checkpoint that was saved within an epoch, and the loader cannot go on from there " +
          "(it has no stateDict and loadStateDict): it begins anew, so that some batches are seen twice.",
      );
    }
  }

  /** Whether the first thing to do, going on from a checkpoint, is a validation instead of a batch. */
  async #leavesBatchOut(): Promise<boolean> {
    if (!this.#isTimeToValidate()) return false;
    if (this.validation.restartedInside) return true;
    if (this.#restartedOnLast) {
      this.#skipNextValidation = true;
      return true;
    }
    await this.validation.skipToEnd();
    return false;
  }
}

/** Takes up the epoch that a loader's state is in, and leaves it. */
function endEpoch(loader: unknown): void {
  iteratorOf(loader).close?.();
}

const noResult: StepResult = { loss: null, extra: null };

/** The loss of a step's output; divided by the number of batches that add up. */
function readStepOutput(output: StepOutput, accumulate: number): StepResult {
  if (output === null || output === undefined) return noResult;
  let loss: unknown = output;
  let extra: Record<string, unknown> | null = null;
  if (!(output instanceof Tensor)) {
    if (typeof output !== "object") {
      throw new MisconfigurationError(
        `In automatic optimization trainingStep must return a tensor, an object with \`loss\`, or nothing; it returned ${typeof output}.`,
      );
    }
    ({ loss, ...extra } = output as Record<string, unknown>);
    if (!(loss instanceof Tensor)) {
      throw new MisconfigurationError(
        "In automatic optimization, when trainingStep returns an object, it needs a tensor under the key `loss`.",
      );
    }
  }
  const tensor = loss as Tensor;
  return { loss: accumulate === 1 ? tensor : tensor.div(accumulate), extra };
}

function readManualOutput(output: StepOutput): StepResult {
  if (output === null || output === undefined) return noResult;
  if (output instanceof Tensor) return { loss: output, extra: null };
  if (typeof output === "object") {
    const { loss, ...extra } = output as Record<string, unknown>;
    return { loss: loss instanceof Tensor ? loss : null, extra };
  }
  throw new MisconfigurationError(
    `In manual optimization trainingStep must return a tensor, an object, or nothing; it returned ${typeof output}.`,
  );
}

async function restoreHook(
  output: PromiseLike<unknown>,
  attached: { currentHook: string | null },
  outer: string | null,
  leave?: () => void,
): Promise<unknown> {
  try {
    const settled = await output;
    attached.currentHook = outer;
    return settled;
  } finally {
    leave?.();
  }
}
