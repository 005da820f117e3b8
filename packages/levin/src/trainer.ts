import type { amp, BackwardOptions, Device, optim, Tensor } from "@levin/torch";
import * as torch from "@levin/torch";
import { beginRun, checkRun, throwIfOvertaken } from "./active-runs.js";
import { type EvaluateOptions, type FitOptions, type PredictOptions, readData } from "./call-options.js";
import type { Callback } from "./callback.js";
import { Checkpoint as CheckpointCallback } from "./callbacks/checkpoint.js";
import { addDefaultCallbacks, mergeCallbacks } from "./callbacks/defaults.js";
import { EarlyStopping } from "./callbacks/early-stopping.js";
import { ProgressBar } from "./callbacks/progress-bar.js";
import { Timer } from "./callbacks/timer.js";
import { type Checkpoint, dumpCheckpoint, restoreModules, restoreTraining } from "./checkpoint/layout.js";
import { requeue } from "./checkpoint/requeue.js";
import { selectCheckpointPath } from "./checkpoint/resume.js";
import { StorageQueue } from "./checkpoint/storage.js";
import { LightningDataModule } from "./data-module.js";
import { describe } from "./describe.js";
import {
  awaitModule,
  callDataModule,
  callModule,
  dispatch,
  type HookTable,
  isOverridden,
  makeHookTable,
  withHook,
} from "./dispatch.js";
import { withEnvironment } from "./environment-options.js";
import { SLURMEnvironment } from "./environments/slurm.js";
import { KeyboardInterrupt, MisconfigurationError, TunerExit } from "./errors.js";
import { explainFit } from "./explain/explain.js";
import type { Explanation } from "./explain/explanation.js";
import type { Awaitable, TrainerFunction } from "./hooks.js";
import { DummyLogger } from "./loggers/dummy.js";
import { finalizeLoggers, type Logger } from "./loggers/logger.js";
import { TensorBoardLogger } from "./loggers/tensorboard.js";
import { Logging } from "./logging/logging.js";
import type { Results } from "./logging/results.js";
import { EvaluationLoop } from "./loops/evaluate.js";
import { FitLoop } from "./loops/fit.js";
import { backward, makeOptimizerRun } from "./loops/gradients.js";
import { PredictionLoop } from "./loops/predict.js";
import { resetProgress } from "./loops/progress.js";
import { type BatchLimit, isZero, type LoaderSource } from "./loops/source.js";
import { makeTransfer, type Transfer } from "./loops/transfer.js";
import { note, warn } from "./messages.js";
import { attachment, LightningModule } from "./module.js";
import { checkModule } from "./module-checks.js";
import { LightningOptimizer, parseOptimizers, type SchedulerConfig } from "./optimizers.js";
import { MixedPrecision } from "./precision/mixed.js";
import type { Precision, PrecisionName } from "./precision/precision.js";
import { TruePrecision } from "./precision/true.js";
import { PassThroughProfiler } from "./profilers/pass-through.js";
import type { Profiler } from "./profilers/profiler.js";
import { makeProfiler } from "./profilers/profilers.js";
import { combineRecorders, isRecorder, type Recorder, recordIf } from "./profilers/recorder.js";
import { isolateRng } from "./rng.js";
import { RunSignals } from "./signals.js";
import { SingleDeviceStrategy } from "./strategies/single-device.js";
import type { Strategy } from "./strategies/strategy.js";
import { isThenable } from "./thenable.js";
import { setTorchFlags } from "./torch-flags.js";
import { readOptions, type TrainerOptions } from "./trainer-options.js";

/** What the trainer is doing at the moment. */
export type Stage = "train" | "sanity_check" | "validate" | "test" | "predict";

/** How far the trainer is with what it was called for last. */
export interface TrainerState {
  status: "initializing" | "running" | "finished" | "interrupted";
  fn: TrainerFunction | null;
  stage: Stage | null;
}

/** What belongs to one call of the trainer. */
export interface Run {
  readonly module: LightningModule;
  readonly hooks: HookTable;
  readonly transfer: Transfer;
  readonly logging: Logging;
  /** Who is told of each action, if anybody is. */
  readonly recorder: Recorder | null;
}

/**
 * Runs a {@link LightningModule}: `fit`, `validate`, `test`, `predict`.
 *
 * ```ts
 * const trainer = new Trainer({ maxEpochs: 3 });
 * await trainer.fit(module, { trainDataloaders: loader });
 * ```
 */
export class Trainer {
  readonly state: TrainerState = { status: "initializing", fn: null, stage: null };
  /** Set it to end the fit after the current batch (and its validation). */
  shouldStop = false;
  callbacks: Callback[];
  loggers: Logger[];
  readonly strategy: Strategy;
  readonly logging: Logging;
  readonly fitLoop: FitLoop;
  readonly validateLoop: EvaluationLoop;
  readonly testLoop: EvaluationLoop;
  readonly predictLoop: PredictionLoop;
  datamodule: LightningDataModule | null = null;
  /** The optimizers of the fit, as `configureOptimizers` gave them. */
  optimizers: optim.Optimizer[] = [];
  /** The optimizers as `this.optimizers()` of the module gives them. */
  lightningOptimizers: LightningOptimizer[] = [];
  /** The schedulers of the fit, and when they are stepped. */
  lrSchedulerConfigs: SchedulerConfig[] = [];
  /** What `log` collects in the running loop; null where nothing can be logged. */
  results: Results | null = null;
  /** What measures how long each action takes. */
  readonly profiler: Profiler;
  /** When the last validation ended. */
  lastValidationTime = 0;

  // what the options say
  readonly barebones: boolean;
  readonly fastDevRun: boolean | number;
  maxSteps: number;
  minSteps: number | null;
  limitTrainBatches: BatchLimit;
  limitValBatches: BatchLimit;
  limitTestBatches: BatchLimit;
  limitPredictBatches: BatchLimit;
  /** Whether training and validation see only a few batches, always the same. */
  readonly overfits: boolean;
  valCheckInterval: BatchLimit;
  /** The time between validations in milliseconds, where it is given. */
  readonly valCheckTimeInterval: number | null;
  checkValEveryNEpoch: number | null;
  numSanityValSteps: number;
  logEveryNSteps: number;
  accumulateGradBatches: number;
  gradientClipVal: number | null;
  gradientClipAlgorithm: "norm" | "value" | null;
  readonly inferenceMode: boolean;
  readonly detectAnomaly: boolean;
  readonly reloadDataloadersEveryNEpochs: number;
  readonly defaultRootDir: string;
  readonly enableAutologHparams: boolean;

  #ckptPath: string | null = null;
  /** The path that the user has set. */
  #ownCkptPath: string | null = null;
  #run: Run | null = null;
  #module: LightningModule | null = null;
  readonly #signals: RunSignals;
  readonly #storage = new StorageQueue();

  /** Options that are not given are taken from environment variables such as `PL_TRAINER_MAX_EPOCHS`. */
  constructor(given: TrainerOptions = {}) {
    const options = withEnvironment(given);
    const settings = readOptions(options);
    this.barebones = settings.barebones;
    this.fastDevRun = settings.fastDevRun;
    this.maxSteps = settings.maxSteps;
    this.minSteps = settings.minSteps;
    this.limitTrainBatches = settings.limitTrainBatches;
    this.limitValBatches = settings.limitValBatches;
    this.limitTestBatches = settings.limitTestBatches;
    this.limitPredictBatches = settings.limitPredictBatches;
    this.overfits = !isZero(settings.overfitBatches);
    this.valCheckInterval = settings.valCheckInterval;
    this.valCheckTimeInterval = settings.valCheckTimeInterval;
    this.checkValEveryNEpoch = settings.checkValEveryNEpoch;
    this.numSanityValSteps = settings.numSanityValSteps;
    this.logEveryNSteps = settings.logEveryNSteps;
    this.accumulateGradBatches = settings.accumulateGradBatches;
    this.gradientClipVal = settings.gradientClipVal;
    this.gradientClipAlgorithm = settings.gradientClipAlgorithm;
    this.inferenceMode = settings.inferenceMode;
    this.detectAnomaly = settings.detectAnomaly;
    this.reloadDataloadersEveryNEpochs = settings.reloadDataloadersEveryNEpochs;
    this.defaultRootDir = settings.defaultRootDir;
    this.enableAutologHparams = settings.enableAutologHparams;
    setTorchFlags(options);

    const { plugins } = settings;
    this.strategy =
      typeof options.strategy === "object" && options.strategy !== null
        ? options.strategy
        : new SingleDeviceStrategy({ device: settings.device });
    if (plugins.precision) this.strategy.precision = plugins.precision;
    else if (settings.precision)
      this.strategy.precision = makePrecision(settings.precision, this.strategy.rootDevice);
    if (plugins.checkpointIO) this.strategy.checkpointIO = plugins.checkpointIO;
    const environment = plugins.environment ?? (SLURMEnvironment.detect() ? new SLURMEnvironment() : null);
    if (SLURMEnvironment.detect()) environment?.validateSettings(this.numDevices, this.numNodes);
    this.#signals = new RunSignals(environment);
    this.profiler = makeProfiler(settings.profiler);
    this.callbacks = addDefaultCallbacks(settings);
    this.loggers = settings.logger === true ? [new TensorBoardLogger(this.defaultRootDir)] : settings.logger;
    if (this.fastDevRun && this.loggers.length > 0) this.loggers = [new DummyLogger()];
    this.logging = new Logging(this);
    this.fitLoop = new FitLoop(this);
    this.maxEpochs = settings.maxEpochs;
    this.minEpochs = settings.minEpochs;
    this.validateLoop = new EvaluationLoop(this, "validate");
    this.testLoop = new EvaluationLoop(this, "test");
    this.predictLoop = new PredictionLoop(this);
  }

  // The four calls

  /** Trains a module. */
  async fit(model: LightningModule, options: FitOptions | LightningDataModule = {}): Promise<void> {
    this.#attach(model, "fit");
    this.shouldStop = false;
    this.setStage("train");
    await this.#guard(async () => {
      const { trainDataloaders, valDataloaders, datamodule, ckptPath } = readData(
        options,
        "fit",
        "trainDataloaders",
        "valDataloaders",
      );
      this.#attachData(
        model,
        { trainDataloader: trainDataloaders, valDataloader: valDataloaders },
        datamodule,
      );
      await this.#runAll(model, await this.#pathOf("fit", ckptPath, true));
      this.#endStage("train");
    });
  }

  /**
   * Prints what {@link fit} with the same arguments is going to do, without running it: batches, optimizer steps, validations and
   * checkpoints of each epoch, and who takes part in which hook. The loaders are made, but not read.
   *
   * @param options `verbose` (default true): whether it is printed
   */
  async explain(
    model: LightningModule,
    options:
      | (Omit<FitOptions, "ckptPath" | "weightsOnly"> & { verbose?: boolean })
      | LightningDataModule = {},
  ): Promise<Explanation> {
    const { trainDataloaders, valDataloaders, datamodule, verbose } = readData(
      options as FitOptions & { verbose?: boolean },
      "explain",
      "trainDataloaders",
      "valDataloaders",
    );
    const data = { trainDataloaders, valDataloaders, datamodule: datamodule ?? null };
    const explanation = await explainFit(this, model, data);
    if (verbose ?? true) this.print(String(explanation));
    return explanation;
  }

  /** Evaluates a module (default: the one of the last call) on validation data; gives the metrics of each loader. */
  async validate(
    model?: LightningModule | null,
    options: EvaluateOptions | LightningDataModule = {},
  ): Promise<Record<string, number>[]> {
    return this.#evaluate("validate", this.validateLoop, model ?? null, options);
  }

  /** Evaluates a module (default: the one of the last call) on test data; gives the metrics of each loader. */
  async test(
    model?: LightningModule | null,
    options: EvaluateOptions | LightningDataModule = {},
  ): Promise<Record<string, number>[]> {
    return this.#evaluate("test", this.testLoop, model ?? null, options);
  }

  /** Predicts with a module (default: the one of the last call); gives the predictions, by loader where there are several. */
  async predict(
    model?: LightningModule | null,
    options: PredictOptions | LightningDataModule = {},
  ): Promise<unknown[] | null> {
    const used = this.#moduleFor("predict", model ?? null);
    this.#attach(used, "predict");
    this.setStage("predict");
    return this.#guard(async () => {
      const { dataloaders, datamodule, ckptPath, returnPredictions } = readData(
        options as PredictOptions,
        "predict",
        "dataloaders",
      );
      this.predictLoop.returnPredictions = returnPredictions ?? true;
      this.#attachData(used, { predictDataloader: dataloaders }, datamodule);
      const path = await this.#pathOf("predict", ckptPath, model != null);
      const predictions = await this.#runAll(used, path);
      this.#endStage("predict");
      return predictions as unknown[] | null;
    });
  }

  async #evaluate(
    fn: "validate" | "test",
    loop: EvaluationLoop,
    module: LightningModule | null,
    options: EvaluateOptions | LightningDataModule,
  ): Promise<Record<string, number>[]> {
    const used = this.#moduleFor(fn, module);
    this.#attach(used, fn);
    this.setStage(fn);
    return this.#guard(async () => {
      const { dataloaders, datamodule, ckptPath, verbose } = readData(
        options as EvaluateOptions,
        fn,
        "dataloaders",
      );
      loop.verbose = verbose ?? true;
      const method = fn === "test" ? "testDataloader" : "valDataloader";
      this.#attachData(used, { [method]: dataloaders }, datamodule);
      const path = await this.#pathOf(fn, ckptPath, module !== null);
      const results = await this.#runAll(used, path);
      this.#endStage(fn);
      return results as Record<string, number>[];
    });
  }

  /** The checkpoint that a run begins from: what its caller names, else what `trainer.ckptPath` was set to. */
  async #pathOf(
    fn: TrainerFunction,
    given: string | null | undefined,
    moduleGiven: boolean,
  ): Promise<string | null> {
    if (this.#ownCkptPath !== null) {
      if (given == null) return this.#ownCkptPath;
      warn(
        `trainer.ckptPath was set to "${this.#ownCkptPath}", but ${fn}({ ckptPath: "${given}" }) was called: the latter is loaded.`,
      );
      this.#ownCkptPath = null;
    }
    return selectCheckpointPath(this, fn, given ?? null, moduleGiven);
  }

  #moduleFor(fn: TrainerFunction, module: LightningModule | null): LightningModule {
    const used = module ?? this.#module;
    if (!used) {
      throw new MisconfigurationError(
        `trainer.${fn}() needs a LightningModule: none was given now or in a call before.`,
      );
    }
    return used;
  }

  #attach(module: LightningModule, fn: TrainerFunction): void {
    if (!(module instanceof LightningModule)) {
      throw new MisconfigurationError(
        `trainer.${fn}() was given ${describe(module)}; it takes a LightningModule.`,
      );
    }
    checkRun(this, module, fn);
    this.#module = module;
    this.state.fn = fn;
    this.state.status = "running";
  }

  #attachData(
    module: LightningModule,
    given: Partial<Record<LoaderSource["method"], unknown>>,
    datamodule: LightningDataModule | null | undefined,
  ): void {
    const loops = [this.fitLoop, this.fitLoop.validation, this.validateLoop, this.testLoop, this.predictLoop];
    for (const loop of loops) {
      loop.loader = null;
      loop.source.instance = datamodule ?? given[loop.source.method] ?? module;
    }
    if (datamodule) {
      this.datamodule = datamodule;
      datamodule.trainer = this;
    }
    for (const each of module.modules()) {
      if (each instanceof LightningModule) each[attachment].trainer = this;
    }
  }

  // A run

  /** One call from its begin to its end. */
  async #runAll(module: LightningModule, ckptPath: string | null): Promise<unknown> {
    const { state } = this;
    if (state.fn === "fit") this.#setFitLimits();
    module[attachment].hyperparameters.removeUnsavable();
    this.datamodule?.removeUnsavableHparams();
    if (this.barebones) note("Trainer({ barebones: true }) has begun. There is no progress bar.");

    // who takes part
    module[attachment].recorder = this.#recorder;
    const own = callModule(module, "configureCallbacks", () => module.configureCallbacks());
    this.callbacks = mergeCallbacks(this.callbacks, own);
    for (const callback of this.callbacks) callback.attach(module);
    this.#prepareRun(module);
    checkModule(this, module);
    this.profiler.lightningModule = module;
    this.profiler.setup(state.fn!, {
      localRank: this.worldSize > 1 ? this.globalRank : null,
      logDir: this.logDir,
    });

    // set up data and module
    const { datamodule } = this;
    const { recorder } = this.run;
    if (datamodule && isOverridden(datamodule, "prepareData", LightningDataModule))
      await callDataModule(recorder, datamodule, "prepareData", () => datamodule.prepareData());
    if (isOverridden(module, "prepareData", LightningModule)) {
      await awaitModule(module, "prepareData", () => module.prepareData());
    }
    this.strategy.barrier("setup");
    // it is not there yet, but the hook `setup` may ask for its device
    for (const each of module.modules()) {
      if (each instanceof LightningModule) each[attachment].device = this.strategy.rootDevice;
    }
    if (datamodule) await callDataModule(recorder, datamodule, "setup", () => datamodule.setup(state.fn!));
    await dispatch(this.run.hooks.setup, state.fn);
    await this.#configureModel(module);

    // weights of a checkpoint
    this.#ckptPath = ckptPath;
    const { checkpointIO } = this.strategy;
    const checkpoint = ckptPath === null ? null : await checkpointIO.loadCheckpoint(ckptPath);
    if (checkpoint) restoreModules(this, module, checkpoint);

    // optimizers
    this.logging.resetResults();
    this.logging.resetMetrics();
    this.strategy.setupModule(module);
    if (state.fn === "fit") await this.#setUpOptimizers(module);
    this.#prepareRun(module);
    if (state.fn === "fit") await dispatch(this.run.hooks.onFitStart);
    if (this.enableAutologHparams) this.#logHparams(module);
    if (checkpoint) restoreTraining(this, checkpoint);

    // the loop
    this.#signals.start();
    const results = await this.#runStage(module);

    // the end
    await this.#teardown();
    if (state.fn === "fit") await dispatch(this.run.hooks.onFitEnd);
    await this.#end(module);
    return results;
  }

  /** The hooks at the end of a call, and the reports. */
  async #end(module: LightningModule): Promise<void> {
    const { state, datamodule } = this;
    if (datamodule)
      await callDataModule(this.run.recorder, datamodule, "teardown", () => datamodule.teardown(state.fn!));
    await dispatch(this.run.hooks.teardown, state.fn);
    module[attachment].currentHook = null;
    await finalizeLoggers(this.loggers, "success");
    this.profiler.describe();
    state.status = "finished";
    this.setStage(null);
  }

  async #runStage(module: LightningModule): Promise<unknown> {
    this.strategy.barrier("run");
    module.zeroGrad();
    if (this.state.stage === "validate") return this.validateLoop.run();
    if (this.state.stage === "test") return this.testLoop.run();
    if (this.state.stage === "predict") return this.predictLoop.run();
    await isolateRng(() => this.#sanityCheck());
    if (!this.detectAnomaly) {
      await this.fitLoop.run();
      return;
    }
    const before = torch.autograd.isAnomalyEnabled();
    torch.autograd.setDetectAnomaly(true);
    try {
      await this.fitLoop.run();
    } finally {
      torch.autograd.setDetectAnomaly(before);
    }
  }

  /** A few validation batches before training, so that an error there is found at once. */
  async #sanityCheck(): Promise<void> {
    const { validation } = this.fitLoop;
    if (!this.enableValidation || this.numSanityValSteps === 0 || validation.restarting) return;
    const { stage } = this.state;
    this.setStage("sanity_check");
    this.logging.resetResults();
    this.logging.resetMetrics();
    await dispatch(this.run.hooks.onSanityCheckStart);
    await validation.run();
    await dispatch(this.run.hooks.onSanityCheckEnd);
    this.logging.resetResults();
    this.logging.resetMetrics();
    resetProgress(validation.progress);
    this.setStage(stage);
  }

  #setFitLimits(): void {
    if (this.maxEpochs === null) {
      const limited = this.maxSteps !== -1 || this.callbacks.some((callback) => callback instanceof Timer);
      if (!limited)
        warn(
          "maxEpochs was not set: training ends after 1000 epochs. To train without a limit, set maxEpochs: -1.",
        );
      this.maxEpochs = limited ? -1 : 1000;
    }
    this.minEpochs ??= this.minSteps !== null ? 1 : 0;
  }

  #prepareRun(module: LightningModule): void {
    const { strategy } = this;
    const recorder = this.#recorder;
    module[attachment].recorder = recorder;
    this.#run = {
      module,
      hooks: makeHookTable(this, module, strategy, recorder),
      transfer: makeTransfer(
        module,
        this.datamodule,
        strategy.rootDevice,
        recorder && { recorder, strategy },
      ),
      logging: this.logging,
      recorder,
    };
  }

  /** The profiler, and callbacks that record actions. */
  get #recorder(): Recorder | null {
    const recorders: Recorder[] = this.callbacks.filter((callback) => isRecorder(callback));
    if (!(this.profiler instanceof PassThroughProfiler)) recorders.unshift(this.profiler);
    return combineRecorders(recorders);
  }

  async #configureModel(module: LightningModule): Promise<void> {
    if (!isOverridden(module, "configureModel", LightningModule)) return;
    const leave = this.strategy.precision.enterInit?.();
    try {
      await awaitModule(module, "configureModel", () => module.configureModel());
    } finally {
      leave?.();
    }
  }

  async #setUpOptimizers(module: LightningModule): Promise<void> {
    const configuration = await awaitModule(module, "configureOptimizers", () =>
      module.configureOptimizers(),
    );
    const customStep = isOverridden(module, "lrSchedulerStep", LightningModule);
    const { optimizers, schedulers } = parseOptimizers(
      configuration,
      module.automaticOptimization,
      customStep,
    );
    this.optimizers = optimizers;
    this.lrSchedulerConfigs = schedulers;
    const run = makeOptimizerRun(this);
    this.lightningOptimizers = optimizers.map((optimizer) => new LightningOptimizer(optimizer, run));
    this.strategy.setupOptimizers(optimizers);
  }

  /** Computes the gradients of a loss, with the hooks around it. */
  backward(loss: Tensor, options?: BackwardOptions): void {
    backward(this, loss, options);
  }

  #logHparams(module: LightningModule): void {
    if (this.loggers.length === 0) return;
    const ofModule = module[attachment].hyperparameters.logged ? module.hparamsInitial : null;
    const ofData = this.datamodule?.logsHparams ? this.datamodule.hparamsInitial : null;
    for (const key of Object.keys(ofModule ?? {})) {
      if (ofData && key in ofData && ofData[key] !== ofModule![key]) {
        throw new MisconfigurationError(
          `The hyperparameter "${key}" has different values in the module and in the data module.`,
        );
      }
    }
    for (const logger of this.loggers) {
      if (ofModule || ofData) logger.logHyperparams({ ...ofModule, ...ofData });
      logger.logGraph(module);
      logger.save();
    }
  }

  /** Runs a call, and brings it to a proper end where it fails. */
  async #guard<T>(run: () => Promise<T>): Promise<T> {
    const grad = torch.isGradEnabled();
    const endRun = beginRun(this);
    try {
      return await run();
    } catch (error) {
      torch.setGradEnabled(grad);
      if (error instanceof TunerExit) {
        await this.#end(this.#module!);
        await this.#teardown();
        return undefined as T;
      }
      try {
        await this.#fail(error);
      } catch (another) {
        // what the caller is told is why the run ended
        if (another !== error) warn(`The end of a failed run has failed, too: ${describeError(another)}`);
      }
      // after Ctrl-C the trainer stays where it was, as Lightning's does
      if (!(error instanceof KeyboardInterrupt)) this.setStage(null);
      throw error;
    } finally {
      this.#signals.stop();
      endRun();
    }
  }

  async #fail(error: unknown): Promise<void> {
    this.state.status = "interrupted";
    const module = this.#module!;
    if (!this.#run || this.#run.module !== module) this.#prepareRun(module);
    try {
      await dispatch(this.run.hooks.onException, error);
      if (this.datamodule) await this.datamodule.onException(error);
    } finally {
      try {
        await finalizeLoggers(this.loggers, "failed");
      } finally {
        this.profiler.teardown(this.state.fn);
        await this.#teardown();
      }
    }
  }

  async #teardown(): Promise<void> {
    this.strategy.teardown(this.#module, this.optimizers);
    this.logging.flush();
    this.#signals.stop();
    try {
      await this.#storage.settle();
    } finally {
      await this.strategy.checkpointIO.teardown();
    }
  }

  #endStage(stage: Stage): void {
    if (this.state.stage === stage) this.setStage(null);
  }

  /** Throws what Ctrl-C asked for, and where another trainer has begun to run meanwhile. */
  throwIfInterrupted(): void {
    this.#signals.throwIfInterrupted();
    throwIfOvertaken(this);
  }

  /** Throws what SIGTERM asked for. */
  throwIfTerminated(): void {
    this.#signals.throwIfTerminated();
  }

  /** Whether SIGTERM came in this run, which will then end gracefully. */
  get receivedSigterm(): boolean {
    return this.#signals.receivedSigterm;
  }

  /** Whether there is something to do beside the loop: then await {@link work}. */
  get hasWork(): boolean {
    return this.#storage.isBusy || this.#signals.requeueRequested;
  }

  /** Waits for storage, and queues the job again where SLURM wants it to be. */
  async work(): Promise<void> {
    await this.#storage.settle();
    if (!this.#signals.requeueRequested) return;
    this.#signals.requeueRequested = false;
    await requeue(this);
  }

  /** Waits for checkpoints that are being saved or removed. */
  settleStorage(): Promise<void> {
    return this.#storage.settle();
  }

  /** Sets what the trainer is doing. */
  setStage(stage: Stage | null): void {
    this.state.stage = stage;
    if (stage === "train") this.results = this.fitLoop.results;
    else if (stage === "test") this.results = this.testLoop.results;
    else if (stage === "sanity_check" || stage === "validate") {
      this.results = (this.state.fn === "fit" ? this.fitLoop.validation : this.validateLoop).results;
    } else this.results = null;
  }

  /** Lets other callbacks take part from now on. */
  exchangeCallbacks(callbacks: Callback[]): void {
    this.callbacks = callbacks;
    this.#prepareRun(this.run.module);
  }

  /** The loop of what the trainer was called for. */
  get activeLoop(): FitLoop | EvaluationLoop | PredictionLoop {
    const { fn } = this.state;
    if (fn === "fit") return this.fitLoop;
    return fn === "predict" ? this.predictLoop : this.evaluationLoop;
  }

  /** The current call. Throws outside of one. */
  get run(): Run {
    if (!this.#run)
      throw new MisconfigurationError("The trainer has no module yet: call fit, validate, test or predict.");
    return this.#run;
  }

  /** Calls a function as part of a hook, for `log`. */
  withCurrentHook<T>(name: string, call: () => T): T {
    return withHook(this.run.module, name, call);
  }

  // Checkpoints

  /**
   * Saves a checkpoint of the run. Where the storage takes its time, it gives a promise, and the loops wait for it before the next batch.
   *
   * @param options `weightsOnly` (default false): without the states of optimizers, schedulers and callbacks; `storageOptions`: for a
   * CheckpointIO that takes some
   * @throws MisconfigurationError where no call of the trainer was made yet
   */
  saveCheckpoint(
    filepath: string,
    options: { weightsOnly?: boolean | null; storageOptions?: unknown } = {},
  ): Awaitable<void> {
    if (typeof filepath !== "string" || filepath === "") {
      throw new MisconfigurationError(
        `trainer.saveCheckpoint() was given ${describe(filepath)}; it takes the path of a file.`,
      );
    }
    const module = this.#module;
    if (!module) {
      throw new MisconfigurationError(
        "trainer.saveCheckpoint() needs a module: call fit, validate, test or predict first.",
      );
    }
    return recordIf(this.#recorder, "save_checkpoint", () => {
      const { weightsOnly, storageOptions } = options;
      const checkpoint: Checkpoint = dumpCheckpoint(this, module, weightsOnly ?? false);
      const { checkpointIO } = this.strategy;
      const given = storageOptions === undefined ? {} : { storageOptions };
      const pending = this.isGlobalZero
        ? this.#storage.run(() => checkpointIO.saveCheckpoint(checkpoint, filepath, given))
        : undefined;
      this.strategy.barrier("saveCheckpoint");
      return pending;
    });
  }

  /** Does something when the checkpoints that are being saved are written; at once where there are none. */
  whenSaved(action: () => void): Awaitable<void> {
    return this.#storage.run(() => this.strategy.checkpointIO.whenSaved(action));
  }

  /** Removes a checkpoint, after those that are being saved. */
  removeCheckpoint(filepath: string): Awaitable<void> {
    if (!this.isGlobalZero) return;
    return this.#storage.run(() => this.strategy.checkpointIO.removeCheckpoint(filepath));
  }

  /**
   * The checkpoint that the last call began from. Set it to have the next calls begin from there, until it is set back to null.
   */
  get ckptPath(): string | null {
    return this.#ckptPath;
  }

  set ckptPath(path: string | null) {
    this.#ckptPath = path;
    this.#ownCkptPath = path || null;
  }

  // Where the run is

  /** The module of the last call. */
  get lightningModule(): LightningModule | null {
    return this.#module;
  }

  /** The module, as the strategy wraps it. */
  get model(): LightningModule | null {
    return this.#module;
  }

  /** After how many epochs a fit ends: -1: never; null: not decided yet. Set it to have the next fit go on. */
  get maxEpochs(): number | null {
    return this.fitLoop.maxEpochs;
  }

  set maxEpochs(epochs: number | null) {
    this.fitLoop.maxEpochs = epochs;
  }

  /** How many epochs a fit has at least. */
  get minEpochs(): number | null {
    return this.fitLoop.minEpochs;
  }

  set minEpochs(epochs: number | null) {
    this.fitLoop.minEpochs = epochs;
  }

  /** The epoch, from 0. */
  get currentEpoch(): number {
    return this.fitLoop.progress.epoch.current.completed;
  }

  /** The number of optimizer steps. */
  get globalStep(): number {
    return this.fitLoop.globalStep;
  }

  /** The step that loggers see. */
  get loggedStep(): number {
    return this.fitLoop.progress.batchesThatStepped;
  }

  get training(): boolean {
    return this.state.stage === "train";
  }

  get sanityChecking(): boolean {
    return this.state.stage === "sanity_check";
  }

  get validating(): boolean {
    return this.state.stage === "validate";
  }

  get testing(): boolean {
    return this.state.stage === "test";
  }

  get predicting(): boolean {
    return this.state.stage === "predict";
  }

  /** Whether a validation or a test is running. */
  get evaluating(): boolean {
    return this.sanityChecking || this.validating || this.testing;
  }

  get interrupted(): boolean {
    return this.state.status === "interrupted";
  }

  /** Whether the batch is the last one of the epoch. */
  get isLastBatch(): boolean {
    return this.fitLoop.progress.batch.isLastBatch;
  }

  /** Whether fits have validation: a loader, a validationStep, and a limit above 0. */
  get enableValidation(): boolean {
    const module = this.#module;
    return (
      module !== null &&
      this.fitLoop.validation.source.isDefined &&
      isOverridden(module, "validationStep", LightningModule) &&
      !isZero(this.limitValBatches)
    );
  }

  /** Whether this step is one that is logged. */
  get shouldUpdateLogs(): boolean {
    if (this.logEveryNSteps === 0) return false;
    const { stage } = this.state;
    if (stage === null) return true;
    const step =
      stage === "train"
        ? this.fitLoop.progress.batchesThatStepped + 1
        : stage === "predict"
          ? this.predictLoop.progress.current.ready
          : this.evaluationLoop.progress.current.ready;
    return step % this.logEveryNSteps === 0 || this.shouldStop;
  }

  /** The loop of the validation or test that is running or ran last. */
  get evaluationLoop(): EvaluationLoop {
    if (this.state.fn === "fit") return this.fitLoop.validation;
    return this.state.fn === "test" ? this.testLoop : this.validateLoop;
  }

  /** The number of training batches of an epoch. */
  get numTrainingBatches(): number {
    return this.fitLoop.maxBatches;
  }

  /** The number of validation batches of each loader. */
  get numValBatches(): number[] {
    return this.state.fn === "validate" ? this.validateLoop.maxBatches : this.fitLoop.validation.limits;
  }

  /** The number of batches of the sanity check of each loader. */
  get numSanityValBatches(): number[] {
    return this.fitLoop.validation.maxBatches.map((batches) => Math.min(this.numSanityValSteps, batches));
  }

  /** The number of test batches of each loader. */
  get numTestBatches(): number[] {
    return this.testLoop.maxBatches;
  }

  /** The number of batches to predict of each loader. */
  get numPredictBatches(): number[] {
    return this.predictLoop.maxBatches;
  }

  /** The training loader(s), once they are there. */
  get trainDataloader(): unknown {
    return this.fitLoop.loader?.iterables ?? null;
  }

  /** The validation loader(s), once they are there. */
  get valDataloaders(): unknown {
    return (this.fitLoop.validation.loader ?? this.validateLoop.loader)?.iterables ?? null;
  }

  /** The test loader(s), once they are there. */
  get testDataloaders(): unknown {
    return this.testLoop.loader?.iterables ?? null;
  }

  /** The loader(s) to predict, once they are there. */
  get predictDataloaders(): unknown {
    return this.predictLoop.loader?.iterables ?? null;
  }

  /** How many optimizer steps the fit will take: for schedulers that need to know. Makes the training loaders if need be. */
  get estimatedSteppingBatches(): number {
    const maxEpochs = this.maxEpochs ?? -1;
    if (maxEpochs === -1) return this.maxSteps === -1 ? Number.POSITIVE_INFINITY : this.maxSteps;
    this.fitLoop.setupDataNow();
    const batches = this.numTrainingBatches;
    if (batches === Number.POSITIVE_INFINITY) return this.maxSteps;
    const steps = Math.ceil(batches / this.accumulateGradBatches) * Math.max(maxEpochs, 1);
    return this.maxSteps === -1 ? steps : Math.min(steps, this.maxSteps);
  }

  // Metrics

  /** The metrics that callbacks can monitor. */
  get callbackMetrics(): Record<string, Tensor> {
    return this.logging.callbackMetrics;
  }

  /** The metrics that loggers get. */
  get loggedMetrics(): Record<string, Tensor> {
    return this.logging.loggedMetrics;
  }

  /** The metrics of the progress bar. */
  get progressBarMetrics(): Record<string, number> {
    return this.logging.progressBarMetrics;
  }

  // Loggers and callbacks

  /** The first logger. */
  get logger(): Logger | null {
    return this.loggers[0] ?? null;
  }

  set logger(logger: Logger | null) {
    this.loggers = logger ? [logger] : [];
  }

  /** The folder of the run: the first logger's, else `defaultRootDir`. */
  get logDir(): string | null {
    const logger = this.logger;
    if (!logger) return this.defaultRootDir;
    return logger.logDir ?? logger.saveDir ?? null;
  }

  get checkpointCallback(): CheckpointCallback | null {
    return this.checkpointCallbacks[0] ?? null;
  }

  get checkpointCallbacks(): CheckpointCallback[] {
    return this.callbacks.filter((callback) => callback instanceof CheckpointCallback);
  }

  get earlyStoppingCallback(): EarlyStopping | null {
    return this.earlyStoppingCallbacks[0] ?? null;
  }

  get earlyStoppingCallbacks(): EarlyStopping[] {
    return this.callbacks.filter((callback) => callback instanceof EarlyStopping);
  }

  get progressBarCallback(): ProgressBar | null {
    return this.callbacks.find((callback) => callback instanceof ProgressBar) ?? null;
  }

  // Processes

  get globalRank(): number {
    return this.strategy.globalRank;
  }

  get localRank(): number {
    return this.strategy.localRank;
  }

  get worldSize(): number {
    return this.strategy.worldSize;
  }

  /** The index of this machine. */
  get nodeRank(): number {
    return this.strategy.nodeRank;
  }

  /** The number of machines. */
  get numNodes(): number {
    return this.strategy.numNodes;
  }

  /** What computes. */
  get accelerator(): "cpu" | "cuda" | "mps" {
    return this.strategy.rootDevice.split(":")[0] as "cpu" | "cuda" | "mps";
  }

  /** The indices of the devices of this machine. */
  get deviceIds(): readonly number[] {
    return this.strategy.deviceIds;
  }

  /** The number of devices of this machine. */
  get numDevices(): number {
    return this.deviceIds.length;
  }

  /** What `DistributedSampler` is given; null where samples are not spread over processes. */
  get distributedSamplerKwargs(): { numReplicas: number; rank: number } | null {
    return this.strategy.distributedSamplerKwargs;
  }

  /** Whether this is the first of all processes. */
  get isGlobalZero(): boolean {
    return this.strategy.isGlobalZero;
  }

  /** The name of the types that are computed in. */
  get precision(): PrecisionName {
    return this.strategy.precision.name;
  }

  /** What says in which types is computed. */
  get precisionPlugin(): Precision {
    return this.strategy.precision;
  }

  /** What scales the loss in "16-mixed"; null in other precisions. */
  get scaler(): amp.GradScaler | null {
    return this.strategy.precision.scaler;
  }

  /**
   * Makes a module at once where it will be used: on the trainer's device, in the type of its precision.
   *
   * ```ts
   * const net = trainer.initModule(() => new Net());
   * ```
   */
  initModule<T>(make: () => T): T {
    const before = torch.getDefaultDevice();
    const leave = this.strategy.precision.enterInit?.();
    torch.setDefaultDevice(this.strategy.rootDevice);
    try {
      const made = make();
      if (isThenable(made))
        throw new MisconfigurationError("trainer.initModule: the function must be synchronous.");
      return made;
    } finally {
      torch.setDefaultDevice(before);
      leave?.();
    }
  }

  /** Prints from the first process of each machine only. */
  print(...items: unknown[]): void {
    if (this.localRank === 0) console.log(...items);
  }
}

function makePrecision(name: PrecisionName, device: Device): Precision {
  return name === "16-mixed" || name === "bf16-mixed"
    ? new MixedPrecision(name, device)
    : new TruePrecision(name);
}

function describeError(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
