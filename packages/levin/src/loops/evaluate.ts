import type { Tensor } from "@levin/torch";
import * as torch from "@levin/torch";
import type { CombinedLoader } from "../combined-loader.js";
import { callModuleSync, dispatch, isOverridden } from "../dispatch.js";
import { toNumbers } from "../logging/logging.js";
import { Results } from "../logging/results.js";
import { attachment, LightningModule } from "../module.js";
import { record, snakeCase } from "../profilers/recorder.js";
import { isThenable } from "../thenable.js";
import type { Trainer } from "../trainer.js";
import { Fetcher } from "./fetcher.js";
import { Pace } from "./pace.js";
import { limitsOf, prepareLoader } from "./prepare-loader.js";
import {
  advance,
  type BatchProgress,
  evaluationProgressState,
  newBatchProgress,
  resetCurrent,
  restoreBatchProgress,
  rewind,
  skipAhead,
} from "./progress.js";
import { printResults } from "./results-table.js";
import { isZero, LoaderSource, setSamplerEpoch } from "./source.js";
import { transferBatch } from "./transfer.js";

/** Which of the trainer's evaluations a loop is. */
type Purpose = "fit" | "validate" | "test";

const hooksOf = {
  validation: {
    start: "onValidationStart",
    end: "onValidationEnd",
    epochStart: "onValidationEpochStart",
    epochEnd: "onValidationEpochEnd",
    batchStart: "onValidationBatchStart",
    batchEnd: "onValidationBatchEnd",
    modelEval: "onValidationModelEval",
    modelTrain: "onValidationModelTrain",
    step: "validationStep",
    prefix: "val",
  },
  test: {
    start: "onTestStart",
    end: "onTestEnd",
    epochStart: "onTestEpochStart",
    epochEnd: "onTestEpochEnd",
    batchStart: "onTestBatchStart",
    batchEnd: "onTestBatchEnd",
    modelEval: "onTestModelEval",
    modelTrain: "onTestModelTrain",
    step: "testStep",
    prefix: "test",
  },
} as const;

/** Whether a module was in training mode. */
type Mode = [module: torch.nn.Module, training: boolean];

function restoreModes(
  modes: readonly Mode[],
  module: LightningModule,
  modelTrain: "onValidationModelTrain" | "onTestModelTrain",
): void {
  if (isOverridden(module, modelTrain, LightningModule)) {
    callModuleSync(module, modelTrain, () => module[modelTrain]());
  } else {
    for (const [submodule, training] of modes) submodule.training = training;
  }
}

/** A step of the module; who records actions is told of it as one of the strategy's. */
export function recordedStep(
  trainer: Trainer,
  name: "validationStep" | "testStep" | "predictStep",
): (this: LightningModule, ...args: unknown[]) => unknown {
  const { module, recorder } = trainer.run;
  const step = module[name] as (...args: unknown[]) => unknown;
  if (!recorder) return step;
  const action = `[Strategy]${trainer.strategy.constructor.name}.${snakeCase(name)}`;
  return (...args) => record(recorder, action, () => step.apply(module, args));
}

/** Validation or testing: the validation inside a fit, `trainer.validate`, or `trainer.test`. */
export class EvaluationLoop {
  readonly progress: BatchProgress;
  readonly results = new Results(false);
  readonly source: LoaderSource;
  /** Whether the results are printed at the end. */
  verbose: boolean;
  /** Whether a batch was evaluated since the loop began last. */
  hasRun = false;
  /** Whether the loop goes on from a checkpoint. */
  restarting = false;
  /** Whether that checkpoint was saved in the middle of an evaluation. */
  restartedInside = false;
  loader: CombinedLoader | null = null;
  #limits: number[] = [];
  #lastReloadEpoch = Number.NEGATIVE_INFINITY;
  #seenBatches: number[] = [];
  #fetcher: Fetcher | null = null;

  constructor(
    readonly trainer: Trainer,
    readonly purpose: Purpose,
    progress?: BatchProgress,
  ) {
    this.progress = progress ?? newBatchProgress();
    this.source = new LoaderSource(purpose === "test" ? "testDataloader" : "valDataloader");
    this.verbose = purpose !== "fit";
  }

  /** How many batches are read of each loader, outside of the sanity check. */
  get limits(): number[] {
    return this.#limits;
  }

  /** How many batches are read of each loader now. */
  get maxBatches(): number[] {
    if (!this.trainer.sanityChecking) return this.#limits;
    return this.#limits.map((limit) => Math.min(limit, this.trainer.numSanityValSteps));
  }

  /** Evaluates all batches; gives the metrics of each loader. */
  async run(): Promise<Record<string, number>[]> {
    const { trainer } = this;
    const grad = torch.isGradEnabled();
    // inside a fit no inference mode: what validation makes may be used in training
    const leave = this.purpose !== "fit" && trainer.inferenceMode ? torch.enterInferenceMode() : null;
    if (!leave) torch.setGradEnabled(false);
    try {
      return await this.#run();
    } finally {
      leave?.();
      torch.setGradEnabled(grad);
    }
  }

  async #run(): Promise<Record<string, number>[]> {
    await this.setupData();
    if (this.#isEmpty) return [];
    const { trainer } = this;
    const { hooks, logging, transfer } = trainer.run;
    const module = trainer.run.module;
    const names = hooksOf[this.purpose === "test" ? "test" : "validation"];
    const outputs: Record<string, Tensor>[] = [];

    // begin
    await this.reset();
    const severalLoaders = this.loader!.mode === "sequential" && this.loader!.flattened.length > 1;
    const modes = module.modules().map((submodule): Mode => [submodule, submodule.training]);
    callModuleSync(module, names.modelEval, () => module[names.modelEval]());
    await dispatch(hooks[names.start]);
    await dispatch(hooks[names.epochStart]);

    // evaluate each batch
    const fetcher = this.#fetcher!;
    const precision = trainer.strategy.precision;
    const attached = module[attachment];
    const step = recordedStep(trainer, names.step);
    const pace = new Pace();
    const { progress } = this;
    let previousLoader = 0;
    for (;;) {
      if (pace.isDue) await pace.rest();
      trainer.throwIfInterrupted();
      if (trainer.state.fn !== "fit") trainer.throwIfTerminated();

      // fetch it
      let item = fetcher.next();
      if (isThenable(item)) item = await item;
      if (item === null) break;
      const { batchIdx, dataloaderIdx } = item;
      if (dataloaderIdx !== previousLoader) this.#endLoader(outputs);
      previousLoader = dataloaderIdx;
      progress.isLastBatch = fetcher.done;

      // bring it to the device
      let batch = transferBatch(transfer, precision.convertInput(item.batch), dataloaderIdx);
      if (isThenable(batch)) batch = await batch;
      advance(progress, "ready");
      logging.startBatch(batch, severalLoaders ? dataloaderIdx : null);

      // onValidationBatchStart
      let pending = severalLoaders
        ? dispatch(hooks[names.batchStart], batch, batchIdx, dataloaderIdx)
        : dispatch(hooks[names.batchStart], batch, batchIdx);
      if (isThenable(pending)) await pending;
      advance(progress, "started");
      // a job that is queued again here goes on with this batch
      if (trainer.hasWork) await trainer.work();

      // validationStep
      const outer = attached.currentHook;
      attached.currentHook = names.step;
      const leave = precision.enterForward?.();
      let output: unknown;
      try {
        output = severalLoaders
          ? step.call(module, batch, batchIdx, dataloaderIdx)
          : step.call(module, batch, batchIdx);
        if (isThenable(output)) output = await output;
      } finally {
        leave?.();
      }
      attached.currentHook = outer;
      advance(progress, "processed");

      // onValidationBatchEnd
      pending = severalLoaders
        ? dispatch(hooks[names.batchEnd], output, batch, batchIdx, dataloaderIdx)
        : dispatch(hooks[names.batchEnd], output, batch, batchIdx);
      if (isThenable(pending)) await pending;
      logging.endBatch();
      advance(progress, "completed");
      if (!trainer.sanityChecking) {
        this.hasRun = true;
        const seen = this.#seenBatches[dataloaderIdx] ?? 0;
        logging.logStep(seen);
        this.#seenBatches[dataloaderIdx] = seen + 1;
      }
      this.restarting = false;
      this.restartedInside = false;
    }
    fetcher.stop();
    this.restarting = false;
    this.restartedInside = false;
    this.#endLoader(outputs);

    // end
    logging.endOfEpochReached();
    this.results.dataloaderIdx = null;
    await dispatch(hooks[names.epochEnd]);
    logging.endEpoch();
    const ofEpochEnd = logging.evaluationEpochMetrics();
    const all: Record<string, Tensor> = {};
    for (const metrics of [...outputs].reverse()) Object.assign(all, metrics);
    Object.assign(all, ofEpochEnd);
    for (const metrics of outputs) Object.assign(metrics, ofEpochEnd);
    if (!trainer.sanityChecking) logging.logMetrics(all);
    await dispatch(hooks[names.end]);
    logging.resetResults();
    restoreModes(modes, module, names.modelTrain);
    const results = this.purpose === "fit" ? [] : outputs.map(toNumbers);
    if (this.verbose && trainer.isGlobalZero)
      printResults(results, this.purpose === "test" ? "test" : "validate");
    trainer.lastValidationTime = performance.now();
    return results;
  }

  get #isEmpty(): boolean {
    return this.maxBatches.reduce((sum, limit) => sum + limit, 0) === 0;
  }

  /** Gets the loaders, if they are not there yet or should be read anew. */
  async setupData(): Promise<void> {
    const { trainer } = this;
    const reload = trainer.reloadDataloadersEveryNEpochs;
    const shouldReload = reload > 0 && trainer.currentEpoch - this.#lastReloadEpoch >= reload;
    if (this.loader && this.purpose === "fit" && !shouldReload) return;
    const testing = this.purpose === "test";
    const limit = testing ? trainer.limitTestBatches : trainer.limitValBatches;
    const module = trainer.run.module;
    if (isZero(limit) || !isOverridden(module, testing ? "testStep" : "validationStep", LightningModule))
      return;
    // the sanity check counts as reading the loaders only if the epoch would validate anyway
    if (this.purpose === "fit" && (!trainer.sanityChecking || trainer.fitLoop.validatesInEpoch)) {
      this.#lastReloadEpoch = trainer.currentEpoch;
    }
    const loader = this.source.combine(await this.source.request(trainer), "sequential");
    trainer.strategy.barrier();
    loader.flattened = loader.flattened.map((each) =>
      prepareLoader(trainer.strategy, each, {
        overfit: this.purpose === "fit" && trainer.overfits,
        stage: testing ? "test" : "val",
      }),
    );
    this.loader = loader;
    const name = testing ? "limitTestBatches" : "limitValBatches";
    this.#limits = limitsOf(loader, limit, name);
    this.#seenBatches = [];
  }

  /** Begins to read the loaders from the start. */
  async reset(): Promise<void> {
    this.#resetProgress();
    const { prefix } = hooksOf[this.purpose === "test" ? "test" : "validation"];
    this.#fetcher = new Fetcher(this.loader!, this.trainer.run.recorder, `[_EvaluationLoop].${prefix}_next`);
    await this.#fetcher.start();
    this.#fetcher.fetched += this.progress.current.ready;
  }

  #resetProgress(): void {
    const { trainer } = this;
    this.hasRun = false;
    if (!this.restarting || trainer.state.fn !== "fit") resetCurrent(this.progress);
    else rewind(this.progress);
    for (const loader of this.loader!.flattened)
      setSamplerEpoch(loader, trainer.fitLoop.progress.epoch.current.processed);
    this.loader!.limits = this.maxBatches;
  }

  /** Keeps the metrics of the loader that was read to its end. */
  #endLoader(outputs: Record<string, Tensor>[]): void {
    this.trainer.run.logging.endOfEpochReached();
    outputs.push({ ...this.trainer.run.logging.evaluationEpochMetrics() });
  }

  /** Finds out where the checkpoint that the run goes on from was saved. */
  updateRestartStage(): void {
    const { total } = this.progress;
    this.restartedInside =
      this.restarting &&
      total.started === total.ready &&
      total.processed === total.started - 1 &&
      total.completed === total.processed;
  }

  /** Counts all batches as evaluated: the checkpoint was saved after them. */
  async skipToEnd(): Promise<void> {
    await this.setupData();
    if (this.#isEmpty) return;
    this.#resetProgress();
    const most = Math.max(...this.maxBatches);
    if (Number.isFinite(most)) skipAhead(this.progress, most, true);
  }

  /**
   * Reads all batches for nothing but the random numbers that are drawn for them: a run that goes on from a checkpoint leaves this
   * validation out, and the uninterrupted one did not.
   */
  async readThrough(): Promise<void> {
    await this.setupData();
    if (this.#isEmpty) return;
    this.loader!.limits = this.maxBatches;
    const fetcher = new Fetcher(this.loader!, null, "");
    await fetcher.start();
    while ((await fetcher.next()) !== null);
  }

  /** Goes to a state as if nothing had been begun from there. */
  startFrom(state: Record<string, unknown>): void {
    this.loadStateDict(state);
    this.restarting = false;
  }

  stateDict(): Record<string, unknown> {
    return evaluationProgressState(this.progress);
  }

  loadStateDict(state: Record<string, unknown>): void {
    restoreBatchProgress(this.progress, state);
    this.restarting = true;
  }
}
