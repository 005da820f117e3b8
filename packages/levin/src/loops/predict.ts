import * as torch from "@levin/torch";
import { BasePredictionWriter } from "../callbacks/prediction-writer.js";
import type { CombinedLoader } from "../combined-loader.js";
import { callModuleSync, dispatch } from "../dispatch.js";
import { MisconfigurationError } from "../errors.js";
import { warnOnce } from "../messages.js";
import { attachment, moveToDevice } from "../module.js";
import { isThenable } from "../thenable.js";
import type { Trainer } from "../trainer.js";
import { recordedStep } from "./evaluate.js";
import { Fetcher } from "./fetcher.js";
import { Pace } from "./pace.js";
import { makePredictionLoader, type PredictionLoader } from "./prediction-loader.js";
import { limitsOf, prepareLoader } from "./prepare-loader.js";
import {
  advance,
  type BatchProgress,
  newBatchProgress,
  predictionProgressState,
  resetCurrent,
  restoreBatchProgress,
} from "./progress.js";
import { isZero, LoaderSource, setSamplerEpoch } from "./source.js";
import { transferBatch } from "./transfer.js";

/** Prediction: `trainer.predict`. */
export class PredictionLoop {
  readonly progress: BatchProgress = newBatchProgress();
  readonly source = new LoaderSource("predictDataloader");
  /** Whether the predictions are kept and returned. */
  returnPredictions = true;
  loader: CombinedLoader | null = null;
  /** How many batches are read of each loader. */
  maxBatches: number[] = [];
  /** The indices in the dataset of the batch at hand, where a {@link BasePredictionWriter} writes batches of a DataLoader. */
  currentBatchIndices: readonly number[] | null = null;
  /** The indices of all batches, by loader, where a {@link BasePredictionWriter} writes at the end. */
  epochBatchIndices: (readonly number[])[][] = [];
  #predictions: unknown[][] = [];
  #loaders: PredictionLoader[] = [];
  #fetcher: Fetcher | null = null;

  constructor(readonly trainer: Trainer) {}

  /** The predictions so far, by loader where there are several. */
  get predictions(): unknown[] {
    return this.#predictions.length === 1 ? this.#predictions[0]! : this.#predictions;
  }

  /** Predicts all batches; gives the predictions, by loader where there are several. */
  async run(): Promise<unknown[] | null> {
    const grad = torch.isGradEnabled();
    const leave = this.trainer.inferenceMode ? torch.enterInferenceMode() : null;
    if (!leave) torch.setGradEnabled(false);
    try {
      return await this.#run();
    } finally {
      leave?.();
      torch.setGradEnabled(grad);
    }
  }

  async #run(): Promise<unknown[] | null> {
    await this.setupData();
    if (this.maxBatches.reduce((sum, limit) => sum + limit, 0) === 0) return null;
    const { trainer, progress } = this;
    const { hooks, transfer, module } = trainer.run;

    // begin
    await this.reset();
    const severalLoaders = this.loader!.flattened.length > 1;
    const writers = this.#writers;
    const writesEpoch = writers.some((writer) => writer.onEpoch);
    const keeps = this.returnPredictions || writesEpoch;
    const modes = module.modules().map((submodule) => [submodule, submodule.training] as const);
    callModuleSync(module, "onPredictModelEval", () => module.onPredictModelEval());
    await dispatch(hooks.onPredictStart);
    await dispatch(hooks.onPredictEpochStart);

    // predict each batch
    const fetcher = this.#fetcher!;
    const step = recordedStep(trainer, "predictStep");
    const precision = trainer.strategy.precision;
    const attached = module[attachment];
    const pace = new Pace();
    for (;;) {
      if (pace.isDue) await pace.rest();
      trainer.throwIfInterrupted();
      trainer.throwIfTerminated();
      let item = fetcher.next();
      if (isThenable(item)) item = await item;
      if (item === null) break;
      const { batchIdx, dataloaderIdx } = item;
      progress.isLastBatch = fetcher.done;
      let batch = transferBatch(transfer, precision.convertInput(item.batch), dataloaderIdx);
      if (isThenable(batch)) batch = await batch;
      advance(progress, "ready");
      if (writers.length > 0) {
        const indices = this.#loaders[dataloaderIdx]!.batches?.[batchIdx] ?? null;
        this.currentBatchIndices = indices;
        if (indices && writesEpoch) this.epochBatchIndices[dataloaderIdx]!.push(indices);
      }

      let pending = severalLoaders
        ? dispatch(hooks.onPredictBatchStart, batch, batchIdx, dataloaderIdx)
        : dispatch(hooks.onPredictBatchStart, batch, batchIdx);
      if (isThenable(pending)) await pending;
      advance(progress, "started");

      const outer = attached.currentHook;
      attached.currentHook = "predictStep";
      const leave = precision.enterForward?.();
      let prediction: unknown;
      try {
        prediction = severalLoaders
          ? step.call(module, batch, batchIdx, dataloaderIdx)
          : step.call(module, batch, batchIdx);
        if (isThenable(prediction)) prediction = await prediction;
      } finally {
        leave?.();
      }
      attached.currentHook = outer;
      if (prediction === undefined || prediction === null) {
        warnOnce("predictStep returned nothing. If that is on purpose, ignore this.");
      }
      advance(progress, "processed");

      pending = severalLoaders
        ? dispatch(hooks.onPredictBatchEnd, prediction, batch, batchIdx, dataloaderIdx)
        : dispatch(hooks.onPredictBatchEnd, prediction, batch, batchIdx);
      if (isThenable(pending)) await pending;
      advance(progress, "completed");
      if (keeps) this.#predictions[dataloaderIdx]!.push(moveToDevice(prediction, "cpu"));
    }
    fetcher.stop();

    // end
    await dispatch(hooks.onPredictEpochEnd);
    const { predictions } = this;
    this.#predictions = [];
    this.epochBatchIndices = [];
    this.currentBatchIndices = null;
    await dispatch(hooks.onPredictEnd);
    for (const [submodule, training] of modes) submodule.training = training;
    return this.returnPredictions ? predictions : null;
  }

  get #writers(): BasePredictionWriter[] {
    return this.trainer.callbacks.filter((callback) => callback instanceof BasePredictionWriter);
  }

  /** Begins to read the loaders from the start. */
  async reset(): Promise<void> {
    resetCurrent(this.progress);
    const loader = this.loader!;
    if (loader.mode !== "sequential") {
      throw new MisconfigurationError(
        'trainer.predict() only supports CombinedLoader in the mode "sequential".',
      );
    }
    loader.limits = this.maxBatches;
    this.#fetcher = new Fetcher(loader, this.trainer.run.recorder, "[_PredictionLoop].predict_next");
    await this.#fetcher.start();
    this.#predictions = loader.flattened.map(() => []);
    this.epochBatchIndices = loader.flattened.map(() => []);
  }

  /** Gets the loaders. */
  async setupData(): Promise<void> {
    const { trainer } = this;
    if (isZero(trainer.limitPredictBatches)) return;
    const loader = this.source.combine(await this.source.request(trainer), "sequential");
    trainer.strategy.barrier();
    const recordsIndices = this.#writers.length > 0;
    this.#loaders = loader.flattened.map((each) =>
      makePredictionLoader(
        prepareLoader(trainer.strategy, each, { overfit: false, stage: "predict" }),
        recordsIndices,
      ),
    );
    loader.flattened = this.#loaders.map((each) => each.loader);
    for (const each of loader.flattened)
      setSamplerEpoch(each, trainer.fitLoop.progress.epoch.current.processed);
    this.maxBatches = limitsOf(loader, trainer.limitPredictBatches, "limitPredictBatches");
    this.loader = loader;
  }

  /** Goes to a state as if nothing had been begun from there. */
  startFrom(state: Record<string, unknown>): void {
    this.loadStateDict(state);
  }

  stateDict(): Record<string, unknown> {
    return predictionProgressState(this.progress);
  }

  loadStateDict(state: Record<string, unknown>): void {
    restoreBatchProgress(this.progress, state);
  }
}
