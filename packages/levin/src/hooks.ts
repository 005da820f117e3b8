import type { BackwardOptions, metrics, optim, Tensor } from "@levin/torch";
import type { Callback } from "./callback.js";
import type { Checkpoint } from "./checkpoint/layout.js";
import type { LightningOptimizer, OptimizerConfiguration, Scheduler } from "./optimizers.js";

/** A value, or a promise of it: hooks may be synchronous or asynchronous. */
export type Awaitable<T> = T | PromiseLike<T>;

/** What hooks return that must be synchronous: nothing. Unlike `void` alone, it does not take a promise. */
export type Synchronous = void | undefined;

/** What the trainer is called for. */
export type TrainerFunction = "fit" | "validate" | "test" | "predict";

/** What a training step may return: the loss, an object with it, or nothing to skip the batch. */
export type StepOutput = Tensor | ({ loss?: Tensor } & Record<string, unknown>) | null | undefined | void;

/** How the values that are logged within an epoch become one. */
export type ReduceFx = "mean" | "min" | "max" | "sum" | "avg";

/** What can be logged: a number, a tensor with one element, or a metric whose value is one. */
export type LogValue = number | bigint | boolean | Tensor | metrics.Metric<never[], Tensor>;

/** Options of `log` and `logDict`. */
export interface LogOptions {
  /** Whether the progress bar shows it. Default: false. */
  progBar?: boolean;
  /** Whether the loggers get it. Default: true. */
  logger?: boolean;
  /** Whether the value of each step is logged. Default: as the hook has it (training hooks: true, evaluation hooks: false). */
  onStep?: boolean;
  /** Whether the values of an epoch are reduced and logged at its end. Default: as the hook has it (the reverse). */
  onEpoch?: boolean;
  /** How the values of an epoch are reduced. The mean is weighted by the size of the batches. Default: "mean". */
  reduceFx?: ReduceFx;
  /** Whether the value keeps its graph. Default: false. */
  enableGraph?: boolean;
  /** Whether the value is reduced over processes. Default: false. */
  syncDist?: boolean;
  /** The processes over which it is reduced. Default: all. */
  syncDistGroup?: unknown;
  /** Whether "/dataloader_idx_N" is added to the name where there are several loaders. Default: true. */
  addDataloaderIdx?: boolean;
  /** The weight in the mean. Default: the size of the batch's first tensor. */
  batchSize?: number;
  /** The name in the module of the `Metric` that is logged; needed where it is not in a field of a module. */
  metricAttribute?: string;
  /** Whether only the first process logs. Default: false. */
  rankZeroOnly?: boolean;
}

/**
 * The hooks of a module, in the places where a run calls them. Callbacks have hooks of the same names, which run
 * before the module's. The page `docs/hooks.md` has the order of all runs in full.
 *
 * ```text
 * fit:
 *   configureCallbacks, prepareData, setup, configureModel, onLoadCheckpoint (when resuming), configureOptimizers
 *   onFitStart
 *   (sanity check: a few validation batches)
 *   onTrainStart
 *   for each epoch:
 *     onTrainEpochStart
 *     for each batch:
 *       onBeforeBatchTransfer, transferBatchToDevice, onAfterBatchTransfer
 *       onTrainBatchStart                      -> -1 ends the epoch
 *       optimizerStep(closure):                (only the closure while gradients accumulate)
 *         optimizer.step(closure):
 *           trainingStep
 *           onBeforeZeroGrad, optimizerZeroGrad
 *           onBeforeBackward, backward, onAfterBackward
 *           onBeforeOptimizerStep
 *           configureGradientClipping
 *       lrSchedulerStep                        (interval "step"; at the last batch also "epoch")
 *       onTrainBatchEnd
 *       if it is time to validate:
 *         onValidationModelZeroGrad, onValidationModelEval
 *         onValidationStart, onValidationEpochStart
 *         for each batch:
 *           onBeforeBatchTransfer, transferBatchToDevice, onAfterBatchTransfer
 *           onValidationBatchStart, validationStep, onValidationBatchEnd
 *         onValidationEpochEnd, onValidationEnd, onValidationModelTrain
 *       lrSchedulerStep                        (ReduceLROnPlateau)
 *     onTrainEpochEnd                          (callbacks that monitor a metric run after the module)
 *   onTrainEnd
 *   onFitEnd
 *   teardown
 * ```
 *
 * A hook may return a promise, which is awaited, except for those inside the optimizer step.
 */
export interface ModuleHooks<Batch> {
  /** Loads or downloads data, once per node. */
  prepareData(): Awaitable<void>;
  /** When fit, validate, test or predict begins. */
  setup(stage: TrainerFunction): Awaitable<void>;
  /** When fit, validate, test or predict ends. */
  teardown(stage: TrainerFunction): Awaitable<void>;
  /** Makes layers late, where they should be made on the device or in shards; called before each stage. */
  configureModel(): Awaitable<void>;
  /** Callbacks that belong to the model; one of the same class in the trainer is replaced. */
  configureCallbacks(): Callback | Callback[];
  /** The optimizers, and learning rate schedulers. */
  configureOptimizers(): Awaitable<OptimizerConfiguration>;
  /** When a fit begins, after the optimizers are made. */
  onFitStart(): Awaitable<void>;
  /** When a fit ends. */
  onFitEnd(): Awaitable<void>;

  /** When training begins. */
  onTrainStart(): Awaitable<void>;
  /** When training ends. */
  onTrainEnd(): Awaitable<void>;
  /** When an epoch of training begins. */
  onTrainEpochStart(): Awaitable<void>;
  /** When an epoch of training ends. */
  onTrainEpochEnd(): Awaitable<void>;
  /** Before a batch of training; -1 skips the rest of the epoch. */
  onTrainBatchStart(batch: Batch, batchIdx: number): Awaitable<number | void>;
  /** After a batch of training, with what the step returned. */
  onTrainBatchEnd(outputs: StepOutput, batch: Batch, batchIdx: number): Awaitable<void>;

  /** When validation begins. */
  onValidationStart(): Awaitable<void>;
  /** When validation ends. */
  onValidationEnd(): Awaitable<void>;
  /** When an epoch of validation begins. */
  onValidationEpochStart(): Awaitable<void>;
  /** When an epoch of validation ends. */
  onValidationEpochEnd(): Awaitable<void>;
  /** Before a batch of validation; `dataloaderIdx` is given where there are several loaders. */
  onValidationBatchStart(batch: Batch, batchIdx: number, dataloaderIdx?: number): Awaitable<void>;
  /** After a batch of validation, with what the step returned. */
  onValidationBatchEnd(
    outputs: unknown,
    batch: Batch,
    batchIdx: number,
    dataloaderIdx?: number,
  ): Awaitable<void>;

  /** When testing begins. */
  onTestStart(): Awaitable<void>;
  /** When testing ends. */
  onTestEnd(): Awaitable<void>;
  /** When an epoch of testing begins. */
  onTestEpochStart(): Awaitable<void>;
  /** When an epoch of testing ends. */
  onTestEpochEnd(): Awaitable<void>;
  /** Before a batch of testing; `dataloaderIdx` is given where there are several loaders. */
  onTestBatchStart(batch: Batch, batchIdx: number, dataloaderIdx?: number): Awaitable<void>;
  /** After a batch of testing, with what the step returned. */
  onTestBatchEnd(outputs: unknown, batch: Batch, batchIdx: number, dataloaderIdx?: number): Awaitable<void>;

  /** When prediction begins. */
  onPredictStart(): Awaitable<void>;
  /** When prediction ends. */
  onPredictEnd(): Awaitable<void>;
  /** When an epoch of prediction begins. */
  onPredictEpochStart(): Awaitable<void>;
  /** When an epoch of prediction ends. */
  onPredictEpochEnd(): Awaitable<void>;
  /** Before a batch of prediction; `dataloaderIdx` is given where there are several loaders. */
  onPredictBatchStart(batch: Batch, batchIdx: number, dataloaderIdx?: number): Awaitable<void>;
  /** After a batch of prediction, with what the step returned. */
  onPredictBatchEnd(
    outputs: unknown,
    batch: Batch,
    batchIdx: number,
    dataloaderIdx?: number,
  ): Awaitable<void>;

  /** Frees gradients before a validation inside training. Default: `zeroGrad()`. */
  onValidationModelZeroGrad(): Synchronous;
  /** Sets evaluation mode before validation. */
  onValidationModelEval(): Synchronous;
  /** Sets training mode after validation; where it is not overridden, each submodule gets back the mode it had. */
  onValidationModelTrain(): Synchronous;
  /** Sets evaluation mode before testing. */
  onTestModelEval(): Synchronous;
  /** Sets training mode after testing; where it is not overridden, each submodule gets back the mode it had. */
  onTestModelTrain(): Synchronous;
  /** Sets evaluation mode before prediction. */
  onPredictModelEval(): Synchronous;

  /** Before the gradients are set back. Synchronous. */
  onBeforeZeroGrad(optimizer: optim.Optimizer): Synchronous;
  /** Before the gradients of the loss are computed. Synchronous. */
  onBeforeBackward(loss: Tensor): Synchronous;
  /** Computes the gradients of the loss. Synchronous. Default: `loss.backward()`. */
  backward(loss: Tensor, options?: BackwardOptions): Synchronous;
  /** After the gradients of the loss are computed. Synchronous. */
  onAfterBackward(): Synchronous;
  /** Before the optimizer changes the parameters, and before gradients are clipped. Synchronous. */
  onBeforeOptimizerStep(optimizer: optim.Optimizer): Synchronous;
  /** Clips gradients. Synchronous. Default: as the trainer's options say. */
  configureGradientClipping(
    optimizer: optim.Optimizer,
    options: { gradientClipVal: number | null; gradientClipAlgorithm: "norm" | "value" | null },
  ): Synchronous;
  /** One optimizer step; `closure` runs the training step and computes the gradients. Synchronous. */
  optimizerStep(
    epoch: number,
    batchIdx: number,
    optimizer: LightningOptimizer,
    closure: () => Tensor | null,
  ): Synchronous;
  /** Sets the gradients back. Synchronous. Default: `optimizer.zeroGrad()`. */
  optimizerZeroGrad(epoch: number, batchIdx: number, optimizer: optim.Optimizer): Synchronous;
  /** One step of a learning rate scheduler; with the monitored value, if it needs one. */
  lrSchedulerStep(scheduler: Scheduler, metric: Tensor | number | null): Synchronous;

  /** Before a batch goes to the device. */
  onBeforeBatchTransfer(batch: Batch, dataloaderIdx: number): Awaitable<Batch>;
  /** Moves a batch to the device. */
  transferBatchToDevice(batch: Batch, device: string, dataloaderIdx: number): Awaitable<Batch>;
  /** When a batch is on the device. */
  onAfterBatchTransfer(batch: Batch, dataloaderIdx: number): Awaitable<Batch>;

  /** Before a checkpoint is written; may add to it. */
  onSaveCheckpoint(checkpoint: Checkpoint): Synchronous;
  /** When a checkpoint was read, before the weights are taken from it. */
  onLoadCheckpoint(checkpoint: Checkpoint): Synchronous;
}
