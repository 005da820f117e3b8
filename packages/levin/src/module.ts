import type { BackwardOptions, Device, DType } from "@levin/torch";
import {
  accelerator,
  getDefaultDevice,
  getDefaultDtype,
  metrics,
  nn,
  type optim,
  Tensor,
} from "@levin/torch";
import type { Callback } from "./callback.js";
import type { Checkpoint } from "./checkpoint/layout.js";
import { type LoadFromCheckpointOptions, loadModule } from "./checkpoint/load.js";
import type { Loaders } from "./combined-loader.js";
import { describe } from "./describe.js";
import { MisconfigurationError } from "./errors.js";
import type {
  Awaitable,
  LogOptions,
  LogValue,
  ModuleHooks,
  StepOutput,
  Synchronous,
  TrainerFunction,
} from "./hooks.js";
import { Hyperparameters, type SaveHyperparametersOptions } from "./hyperparameters.js";
import type { Logger } from "./loggers/logger.js";
import type { LoggedMetric } from "./logging/results.js";
import { warnOnce } from "./messages.js";
import {
  type LightningOptimizer,
  type OneOrSeveral,
  type OptimizerConfiguration,
  parametersOf,
  type Scheduler,
  unwrap,
} from "./optimizers.js";
import type { Recorder } from "./profilers/recorder.js";
import type { AllGatherOptions } from "./strategies/strategy.js";
import type { Trainer } from "./trainer.js";
import { mapTensors } from "./tree.js";

/** What the trainer keeps at a module. */
interface Attachment {
  trainer: Trainer | null;
  /** The hook that is running: `log` behaves as it allows. */
  currentHook: string | null;
  /** Who is told of each action, if anybody is. */
  recorder: Recorder | null;
  readonly hyperparameters: Hyperparameters;
  /** Where the module was moved last, and to which type. */
  device: Device;
  dtype: DType;
  requiresGrad: Map<Tensor, boolean> | null;
  /** The names of the metrics in the module, as far as they were logged. */
  metricAttributes: Map<LoggedMetric, string>;
}

/** The key of a module's {@link Attachment}; a symbol, so that listings of fields pass over it. */
export const attachment = Symbol("levin.attachment");

const noLogOptions: LogOptions = {};

/**
 * A model with everything that belongs to its training: the steps, the optimizers, and hooks for all that happens
 * between. `Batch` is what its loaders give.
 *
 * ```ts
 * class Classifier extends LightningModule<[Tensor, Tensor]> {
 *   net = new nn.Linear(784, 10);
 *
 *   override trainingStep([x, y]: [Tensor, Tensor]) {
 *     const loss = nn.functional.crossEntropy(this.net.forward(x), y);
 *     this.log("train_loss", loss);
 *     return loss;
 *   }
 *
 *   override configureOptimizers() {
 *     return new optim.Adam(this.parameters(), { lr: 1e-3 });
 *   }
 * }
 * ```
 *
 * The hooks and their places in a run: {@link ModuleHooks}.
 */
export class LightningModule<Batch = unknown> extends nn.Module implements ModuleHooks<Batch> {
  declare readonly [attachment]: Attachment;

  /** If false, `trainingStep` computes gradients and steps optimizers by itself. */
  automaticOptimization = true;
  /** Whether checkpoints must have exactly the module's keys. */
  strictLoading = true;
  /** An input that `forward` takes: for the summary's sizes and the logger's graph. */
  exampleInputArray: unknown = null;
  /** Whether `prepareData` is called on each machine, else once in all. */
  prepareDataPerNode = true;

  constructor() {
    super();
    const state: Attachment = {
      trainer: null,
      currentHook: null,
      recorder: null,
      hyperparameters: new Hyperparameters(),
      device: getDefaultDevice(),
      dtype: getDefaultDtype(),
      requiresGrad: null,
      metricAttributes: new Map(),
    };
    Object.defineProperty(this, attachment, { value: state });
  }

  /** The trainer that runs the module. Throws where there is none. */
  get trainer(): Trainer {
    const trainer = this[attachment].trainer;
    if (!trainer) throw new MisconfigurationError(`${this.constructor.name} is not attached to a Trainer.`);
    return trainer;
  }

  /** Whether a trainer runs the module. */
  get hasTrainer(): boolean {
    return this[attachment].trainer !== null;
  }

  /** The epoch, from 0; 0 without a trainer. */
  get currentEpoch(): number {
    return this[attachment].trainer?.currentEpoch ?? 0;
  }

  /** The number of optimizer steps; 0 without a trainer. */
  get globalStep(): number {
    return this[attachment].trainer?.globalStep ?? 0;
  }

  /** The index of this process among all. */
  get globalRank(): number {
    return this[attachment].trainer?.globalRank ?? 0;
  }

  /** The index of this process on its machine. */
  get localRank(): number {
    return this[attachment].trainer?.localRank ?? 0;
  }

  /** The first logger of the trainer. */
  get logger(): Logger | null {
    return this[attachment].trainer?.logger ?? null;
  }

  /** The loggers of the trainer. */
  get loggers(): Logger[] {
    return this[attachment].trainer?.loggers ?? [];
  }

  /** Where the module is: where it was moved last, the trainer's device from the hook `setup` on. */
  get device(): Device {
    return this[attachment].device;
  }

  /** The type that the module was converted to last. */
  get dtype(): DType {
    return this[attachment].dtype;
  }

  /** Whether the module is on a CUDA device. */
  get onGpu(): boolean {
    return this.device.startsWith("cuda");
  }

  // Devices and types

  override to(target: Parameters<nn.Module["to"]>[0]): this {
    super.to(target);
    if (typeof target !== "string") return moved(this, target);
    const isDevice = /^(cpu|cuda|mps|xpu|meta)(:\d+)?$/.test(target);
    return moved(this, isDevice ? { device: target as Device } : { dtype: target as DType });
  }

  /** Moves everything to a GPU. Default: the current CUDA device. */
  override cuda(device?: number): this {
    return this.to({ device: `cuda:${device ?? accelerator.currentDeviceIndex()}` });
  }

  override cpu(): this {
    return this.to({ device: "cpu" });
  }

  override float(): this {
    super.float();
    return moved(this, { dtype: "float32" });
  }

  override double(): this {
    super.double();
    return moved(this, { dtype: "float64" });
  }

  override half(): this {
    super.half();
    return moved(this, { dtype: "float16" });
  }

  override bfloat16(): this {
    super.bfloat16();
    return moved(this, { dtype: "bfloat16" });
  }

  override type(dstType: DType): this {
    super.type(dstType);
    return moved(this, { dtype: dstType });
  }

  // Steps

  /**
   * Computes the loss of a batch. Returns it, or an object with `loss`, or nothing to skip the batch.
   */
  trainingStep(_batch: Batch, _batchIdx: number): Awaitable<StepOutput> {
    throw notDefined("trainingStep");
  }

  /** Evaluates a batch of validation; `dataloaderIdx` is given where there are several loaders. */
  validationStep(_batch: Batch, _batchIdx: number, _dataloaderIdx?: number): unknown {
    return undefined;
  }

  /** Evaluates a batch of testing. */
  testStep(_batch: Batch, _batchIdx: number, _dataloaderIdx?: number): unknown {
    return undefined;
  }

  /** Predicts a batch. Default: `forward(batch)`. */
  predictStep(batch: Batch, _batchIdx: number, _dataloaderIdx?: number): unknown {
    return (this.forward as (input: unknown) => unknown)(batch);
  }

  // Loaders

  /** The loader(s) of training. */
  trainDataloader(): Awaitable<Loaders> {
    throw notDefined("trainDataloader");
  }

  /** The loader(s) of validation. */
  valDataloader(): Awaitable<Loaders> {
    throw notDefined("valDataloader");
  }

  /** The loader(s) of testing. */
  testDataloader(): Awaitable<Loaders> {
    throw notDefined("testDataloader");
  }

  /** The loader(s) of prediction. */
  predictDataloader(): Awaitable<Loaders> {
    throw notDefined("predictDataloader");
  }

  // Hooks

  prepareData(): Awaitable<void> {}
  setup(_stage: TrainerFunction): Awaitable<void> {}
  teardown(_stage: TrainerFunction): Awaitable<void> {}
  configureModel(): Awaitable<void> {}
  configureCallbacks(): Callback | Callback[] {
    return [];
  }
  configureOptimizers(): Awaitable<OptimizerConfiguration> {
    throw notDefined("configureOptimizers");
  }
  onFitStart(): Awaitable<void> {}
  onFitEnd(): Awaitable<void> {}

  onTrainStart(): Awaitable<void> {}
  onTrainEnd(): Awaitable<void> {}
  onTrainEpochStart(): Awaitable<void> {}
  onTrainEpochEnd(): Awaitable<void> {}
  onTrainBatchStart(_batch: Batch, _batchIdx: number): Awaitable<number | void> {}
  onTrainBatchEnd(_outputs: StepOutput, _batch: Batch, _batchIdx: number): Awaitable<void> {}

  onValidationStart(): Awaitable<void> {}
  onValidationEnd(): Awaitable<void> {}
  onValidationEpochStart(): Awaitable<void> {}
  onValidationEpochEnd(): Awaitable<void> {}
  onValidationBatchStart(_batch: Batch, _batchIdx: number, _dataloaderIdx?: number): Awaitable<void> {}
  onValidationBatchEnd(
    _outputs: unknown,
    _batch: Batch,
    _batchIdx: number,
    _dataloaderIdx?: number,
  ): Awaitable<void> {}

  onTestStart(): Awaitable<void> {}
  onTestEnd(): Awaitable<void> {}
  onTestEpochStart(): Awaitable<void> {}
  onTestEpochEnd(): Awaitable<void> {}
  onTestBatchStart(_batch: Batch, _batchIdx: number, _dataloaderIdx?: number): Awaitable<void> {}
  onTestBatchEnd(
    _outputs: unknown,
    _batch: Batch,
    _batchIdx: number,
    _dataloaderIdx?: number,
  ): Awaitable<void> {}

  onPredictStart(): Awaitable<void> {}
  onPredictEnd(): Awaitable<void> {}
  onPredictEpochStart(): Awaitable<void> {}
  onPredictEpochEnd(): Awaitable<void> {}
  onPredictBatchStart(_batch: Batch, _batchIdx: number, _dataloaderIdx?: number): Awaitable<void> {}
  onPredictBatchEnd(
    _outputs: unknown,
    _batch: Batch,
    _batchIdx: number,
    _dataloaderIdx?: number,
  ): Awaitable<void> {}

  onValidationModelZeroGrad(): Synchronous {
    this.zeroGrad();
  }
  onValidationModelEval(): Synchronous {
    this.eval();
  }
  onValidationModelTrain(): Synchronous {
    this.train();
  }
  onTestModelEval(): Synchronous {
    this.eval();
  }
  onTestModelTrain(): Synchronous {
    this.train();
  }
  onPredictModelEval(): Synchronous {
    this.eval();
  }

  onBeforeZeroGrad(_optimizer: optim.Optimizer): Synchronous {}
  onBeforeBackward(_loss: Tensor): Synchronous {}
  backward(loss: Tensor, options?: BackwardOptions): Synchronous {
    if (options) loss.backward(null, options);
    else loss.backward();
  }
  onAfterBackward(): Synchronous {}
  onBeforeOptimizerStep(_optimizer: optim.Optimizer): Synchronous {}

  configureGradientClipping(
    optimizer: optim.Optimizer,
    options: { gradientClipVal: number | null; gradientClipAlgorithm: "norm" | "value" | null },
  ): Synchronous {
    this.clipGradients(optimizer, options);
  }

  optimizerStep(
    _epoch: number,
    _batchIdx: number,
    optimizer: LightningOptimizer,
    optimizerClosure: () => Tensor | null,
  ): Synchronous {
    optimizer.step(optimizerClosure);
  }

  optimizerZeroGrad(_epoch: number, _batchIdx: number, optimizer: optim.Optimizer): Synchronous {
    optimizer.zeroGrad();
  }

  lrSchedulerStep(scheduler: Scheduler, metric: Tensor | number | null): Synchronous {
    if (metric === null) scheduler.step();
    else scheduler.step(metric);
  }

  onBeforeBatchTransfer(batch: Batch, _dataloaderIdx: number): Awaitable<Batch> {
    return batch;
  }
  transferBatchToDevice(batch: Batch, device: string, _dataloaderIdx: number): Awaitable<Batch> {
    return moveToDevice(batch, device as Device);
  }
  onAfterBatchTransfer(batch: Batch, _dataloaderIdx: number): Awaitable<Batch> {
    return batch;
  }

  onSaveCheckpoint(_checkpoint: Checkpoint): Synchronous {}
  onLoadCheckpoint(_checkpoint: Checkpoint): Synchronous {}

  // Logging

  /**
   * Logs a value: to the loggers, the progress bar, and as a metric that callbacks can monitor.
   *
   * A metric, of `torch.metrics` or one's own, is to be in a field of the module: at a step the value of its last `forward` is
   * logged, at the end of the epoch that of `compute`, and then it is reset.
   *
   * When it is logged depends on the hook: in training hooks at each (log) step, in evaluation hooks as a mean over the
   * epoch. With both `onStep` and `onEpoch` the names get `_step` and `_epoch`.
   *
   * @throws MisconfigurationError where the hook doesn't allow it, or the name was logged there with other options
   */
  log(name: string, value: LogValue, options: LogOptions = noLogOptions): void {
    const attached = this[attachment];
    const trainer = attached.trainer;
    if (!trainer) {
      warnOnce(
        `${this.constructor.name}.log("${name}", ...) was called, but the module has no trainer yet: nothing is logged.`,
      );
      return;
    }
    if (trainer.barebones) {
      warnOnce("`log` was called, but Trainer({ barebones: true }) logs nothing.");
      return;
    }
    const results = trainer.results;
    if (!results) {
      throw new MisconfigurationError(
        `this.log("${name}", ...) was called where nothing can be logged: outside of a running loop, or in prediction.`,
      );
    }
    const hook = attached.currentHook;
    if (hook === null) {
      throw new MisconfigurationError(
        `this.log("${name}", ...) was called, but not from a hook that the Trainer has called.`,
      );
    }
    if (options.logger === true && trainer.loggers.length === 0) {
      warnOnce(`this.log("${name}", value, { logger: true }) was called, but the trainer has no logger.`);
    }
    const logging = trainer.logging;
    if (logging.startsAnew(hook)) results.resetValues(hook);
    if (value instanceof metrics.Metric) {
      const attribute = options.metricAttribute ?? metricAttribute(this, name, value);
      results.logMetric(hook, name, value, attribute, options);
    } else {
      results.log(hook, name, oneValue(name, value), options);
    }
    logging.lastHook = hook;
  }

  /** Logs several values, or the metrics of a collection, with the same options. */
  logDict(
    dictionary: Record<string, LogValue> | metrics.MetricCollection,
    options: LogOptions = noLogOptions,
  ): void {
    if (!isDictionary(dictionary)) {
      throw new MisconfigurationError(
        `this.logDict was given ${describe(dictionary)}; it takes an object of values by name, or a MetricCollection.`,
      );
    }
    const entries =
      dictionary instanceof metrics.MetricCollection
        ? (dictionary.items({ copyState: false }) as [string, LogValue][])
        : Object.entries(dictionary);
    for (const [name, value] of entries) this.log(name, value, options);
  }

  /** Prints from the first process only, without disturbing the progress bar. */
  print(...items: unknown[]): void {
    const trainer = this[attachment].trainer;
    if (trainer && !trainer.isGlobalZero) return;
    const bar = trainer?.progressBarCallback as
      | { isEnabled?: boolean; print?(...items: unknown[]): void }
      | null
      | undefined;
    if (bar?.isEnabled && bar.print) bar.print(...items);
    else console.log(...items);
  }

  // Manual optimization

  /**
   * The optimizers of the fit: one, or a list of several. For several, say how many:
   *
   * ```ts
   * const optimizer = this.optimizers();
   * const [ofGenerator, ofDiscriminator] = this.optimizers<2>();
   * ```
   *
   * @param options `useLightningOptimizer` (default true): whether their steps go through precision and hooks, and are counted
   */
  optimizers<Count extends number = 1>(options: {
    useLightningOptimizer: false;
  }): OneOrSeveral<optim.Optimizer, Count>;
  optimizers<Count extends number = 1>(options?: {
    useLightningOptimizer?: true;
  }): OneOrSeveral<LightningOptimizer, Count>;
  optimizers(options: { useLightningOptimizer?: boolean } = {}): unknown {
    const { lightningOptimizers, optimizers } = this.trainer;
    const all = (options.useLightningOptimizer ?? true) ? lightningOptimizers : optimizers;
    return all.length === 1 ? all[0]! : all;
  }

  /** The learning rate schedulers of the fit: one, or a list of several (`this.lrSchedulers<2>()`); null where there are none. */
  lrSchedulers<Count extends number = 1>(): OneOrSeveral<Scheduler, Count>;
  lrSchedulers(): unknown {
    const all = this.trainer.lrSchedulerConfigs.map((config) => config.scheduler);
    return all.length === 0 ? null : all.length === 1 ? all[0] : all;
  }

  /** Computes gradients in manual optimization: with the hooks around it, and with the precision's scaling. */
  manualBackward(loss: Tensor, options?: BackwardOptions): void {
    if (this.automaticOptimization) {
      throw new MisconfigurationError(
        "manualBackward is for manual optimization: set `automaticOptimization = false` in the module.",
      );
    }
    this.trainer.backward(loss, options);
  }

  /** Lets only the parameters of one optimizer want gradients, until {@link untoggleOptimizer}. */
  toggleOptimizer(optimizer: optim.Optimizer | LightningOptimizer): void {
    const before = new Map<Tensor, boolean>();
    for (const other of this.trainer.optimizers) {
      for (const parameter of parametersOf(other)) {
        if (before.has(parameter)) continue;
        before.set(parameter, parameter.requiresGrad);
        parameter.requiresGrad = false;
      }
    }
    for (const parameter of parametersOf(optimizer)) parameter.requiresGrad = before.get(parameter) ?? true;
    this[attachment].requiresGrad = before;
  }

  /** Sets back what {@link toggleOptimizer} changed. */
  untoggleOptimizer(optimizer: optim.Optimizer | LightningOptimizer): void {
    const before = this[attachment].requiresGrad;
    const own = unwrap(optimizer);
    for (const other of this.trainer.optimizers) {
      if (other === own) continue;
      for (const parameter of parametersOf(other)) {
        const value = before?.get(parameter);
        if (value !== undefined) parameter.requiresGrad = value;
      }
    }
    this[attachment].requiresGrad = null;
  }

  /** Runs a function while only one optimizer's parameters want gradients. */
  toggledOptimizer<T>(optimizer: optim.Optimizer | LightningOptimizer, run: () => T): T {
    this.toggleOptimizer(optimizer);
    try {
      return run();
    } finally {
      this.untoggleOptimizer(optimizer);
    }
  }

  /**
   * The tensors of all processes, stacked along a new first dimension; in one process they stay as they are.
   *
   * @param data a tensor, or arrays and objects of tensors
   * @param options `group`: the processes, default all; `syncGrads` (default false): whether gradients flow back to them
   */
  allGather<T>(data: T, options: AllGatherOptions = {}): T {
    return mapTensors(data, (tensor) => this.trainer.strategy.allGather(tensor, options));
  }

  /** Clips the gradients of an optimizer's parameters: by their common norm, or each by its value. */
  clipGradients(
    optimizer: optim.Optimizer | LightningOptimizer,
    options: { gradientClipVal?: number | null; gradientClipAlgorithm?: "norm" | "value" | null } = {},
  ): void {
    const trainer = this.trainer;
    const { gradientClipVal, gradientClipAlgorithm } = options;
    if (
      gradientClipVal != null &&
      trainer.gradientClipVal !== null &&
      gradientClipVal !== trainer.gradientClipVal
    ) {
      throw new MisconfigurationError(
        `Trainer({ gradientClipVal: ${trainer.gradientClipVal} }) and clipGradients({ gradientClipVal: ${gradientClipVal} }) are both ` +
          "given: use only one of them.",
      );
    }
    const value = gradientClipVal ?? trainer.gradientClipVal ?? 0;
    const given = gradientClipAlgorithm?.toLowerCase();
    if (
      given !== undefined &&
      trainer.gradientClipAlgorithm !== null &&
      given !== trainer.gradientClipAlgorithm
    ) {
      throw new MisconfigurationError(
        `Trainer({ gradientClipAlgorithm: "${trainer.gradientClipAlgorithm}" }) and clipGradients({ gradientClipAlgorithm: "${given}" }) ` +
          "are both given: use only one of them.",
      );
    }
    const algorithm = given ?? trainer.gradientClipAlgorithm ?? "norm";
    if (typeof value !== "number") {
      throw new MisconfigurationError(
        `clipGradients: gradientClipVal should be a number, got ${String(value)}.`,
      );
    }
    if (algorithm !== "norm" && algorithm !== "value") {
      throw new MisconfigurationError(
        `clipGradients: gradientClipAlgorithm "${algorithm}" is invalid. Allowed: "norm", "value".`,
      );
    }
    if (value <= 0) return;
    trainer.strategy.precision.checkClipping(unwrap(optimizer));
    if (algorithm === "norm") trainer.strategy.clipGradientsByNorm(unwrap(optimizer), value);
    else trainer.strategy.clipGradientsByValue(unwrap(optimizer), value);
  }

  /** Stops all parameters from wanting gradients, and sets evaluation mode. */
  freeze(): this {
    for (const parameter of this.parameters()) parameter.requiresGrad = false;
    return this.eval();
  }

  /** Lets all parameters want gradients, and sets training mode. */
  unfreeze(): this {
    for (const parameter of this.parameters()) parameter.requiresGrad = true;
    return this.train();
  }

  // Hyperparameters

  /** What {@link saveHyperparameters} was given. May be changed. */
  get hparams(): Record<string, unknown> {
    return this[attachment].hyperparameters.current;
  }

  /** The hyperparameters as they were when they were saved. */
  get hparamsInitial(): Record<string, unknown> {
    return this[attachment].hyperparameters.initial;
  }

  /**
   * Keeps hyperparameters with the module: they are logged, and saved in checkpoints, from which
   * {@link LightningModule.loadFromCheckpoint} gives them to the constructor.
   *
   * @param hparams names and values: usually what the constructor was given
   */
  saveHyperparameters(hparams: object, options: SaveHyperparametersOptions = {}): void {
    this[attachment].hyperparameters.save(hparams, options);
  }

  /** Forgets hyperparameters that a base class has saved. */
  removeIgnoredHparams(ignoreList: readonly string[]): void {
    this[attachment].hyperparameters.remove(ignoreList);
  }

  /**
   * Makes a module from a checkpoint: constructed with the hyperparameters saved there, and with its weights.
   *
   * ```ts
   * const net = Net.loadFromCheckpoint("last.ckpt", { hparams: { dropout: 0 } });
   * ```
   */
  static loadFromCheckpoint<M extends LightningModule>(
    this: new (
      hparams: never,
    ) => M,
    checkpointPath: string,
    options: LoadFromCheckpointOptions = {},
  ): M {
    return loadModule(this as new (hparams: Record<string, unknown>) => M, checkpointPath, options);
  }
}

/** Notes, at a module and those inside, where they are now. A function, as copies of modules have no private methods. */
function moved<M extends nn.Module>(root: M, { device, dtype }: { device?: Device; dtype?: DType }): M {
  for (const module of root.modules()) {
    if (!(module instanceof LightningModule)) continue;
    if (device !== undefined) module[attachment].device = device;
    if (dtype !== undefined) module[attachment].dtype = dtype;
  }
  return root;
}

/** Moves each tensor in a batch to a device. */
export function moveToDevice<T>(batch: T, device: Device): T {
  return mapTensors(batch, (tensor) => (tensor.device === device ? tensor : tensor.to({ device })));
}

function notDefined(method: string): MisconfigurationError {
  return new MisconfigurationError(`${method} must be defined in the module to be used with the Trainer.`);
}

function isDictionary(values: unknown): boolean {
  return typeof values === "object" && values !== null && !Array.isArray(values) && !(values instanceof Map);
}

/** The name of a metric that is logged, in the module. */
function metricAttribute(module: LightningModule, name: string, metric: LoggedMetric): string {
  const attached = module[attachment];
  const known = attached.metricAttributes.get(metric);
  if (known !== undefined) return known;
  const metricsOfModule = module
    .namedModules()
    .flatMap(([path, part]): [LoggedMetric, string][] =>
      part instanceof metrics.Metric ? [[part, path]] : [],
    );
  attached.metricAttributes = new Map(metricsOfModule);
  const found = attached.metricAttributes.get(metric);
  if (found !== undefined) return found;
  const others = metricsOfModule.map(([, path]) => path).join(", ");
  throw new MisconfigurationError(
    `this.log("${name}", metric): the metric is in no field of ${module.constructor.name} or of a module in it, which is what moves ` +
      `and keeps it. Put it into a field${others === "" ? "" : `, or give { metricAttribute } with one of ${others}`}.`,
  );
}

function oneValue(name: string, value: LogValue): Tensor | number {
  // numbers are kept in float32 like PyTorch's tensors of them
  if (typeof value === "number") return Math.fround(value);
  if (value instanceof Tensor) {
    if (value.ndim === 0) return value;
    if (value.numel() === 1) return value.detach().reshape([]);
    throw new MisconfigurationError(
      `this.log("${name}", value): the tensor has the shape [${value.shape.join(", ")}], but must have a single element. ` +
        `Log its mean instead: this.log("${name}", value.mean()).`,
    );
  }
  if (typeof value === "boolean" || typeof value === "bigint") return Math.fround(Number(value));
  throw new MisconfigurationError(
    `this.log("${name}", value) was called with ${describe(value)}: a value is a number, a tensor with one element, or a Metric. Log several with logDict.`,
  );
}
