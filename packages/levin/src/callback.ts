import type { metrics, optim, Tensor } from "@levin/torch";
import type { Checkpoint as CheckpointContent } from "./checkpoint/layout.js";
import type { Awaitable, LogOptions, LogValue, StepOutput, Synchronous, TrainerFunction } from "./hooks.js";
import type { LightningModule } from "./module.js";
import type { Trainer } from "./trainer.js";

/**
 * Things to do at given places of a run that do not belong to the model. Override the hooks that are wanted; each runs
 * before the module's hook of the same name, in the order of the trainer's `callbacks`. Hooks may be synchronous or
 * asynchronous, but for those that run inside the optimizer step (`onBeforeZeroGrad`, `onBeforeBackward`,
 * `onAfterBackward`, `onBeforeOptimizerStep`): these are synchronous.
 *
 * Where each hook is called: see {@link ModuleHooks}.
 */
export abstract class Callback {
  /** The module that is being run; set by the trainer. */
  #module: LightningModule | null = null;

  /** The name under which the callback's state is kept in checkpoints; unique in a trainer. Default: the class's name. */
  get stateKey(): string {
    return this.constructor.name;
  }

  /**
   * Whether the callback looks at metrics: its `onTrainEpochEnd` then runs after the module's, to see what is logged there.
   */
  get monitors(): boolean {
    return false;
  }

  /** A state key that tells apart callbacks of one class with other arguments, in Lightning's form. */
  protected generateStateKey(args: Record<string, unknown>): string {
    return `${this.constructor.name}${pythonRepr(args)}`;
  }

  /** @internal */
  attach(module: LightningModule | null): void {
    this.#module = module;
  }

  /** The same as `log` of the module that is being run. */
  log(name: string, value: LogValue, options?: LogOptions): void {
    this.#module?.log(name, value, options);
  }

  /** The same as `logDict` of the module that is being run. */
  logDict(values: Record<string, LogValue> | metrics.MetricCollection, options?: LogOptions): void {
    this.#module?.logDict(values, options);
  }

  /** When fit, validate, test or predict begins. */
  setup(_trainer: Trainer, _module: LightningModule, _stage: TrainerFunction): Awaitable<void> {}
  /** When fit, validate, test or predict ends. */
  teardown(_trainer: Trainer, _module: LightningModule, _stage: TrainerFunction): Awaitable<void> {}
  /** When a fit begins, after the optimizers are made. */
  onFitStart(_trainer: Trainer, _module: LightningModule): Awaitable<void> {}
  /** When a fit ends. */
  onFitEnd(_trainer: Trainer, _module: LightningModule): Awaitable<void> {}
  /** Before the validation batches that try out the code. */
  onSanityCheckStart(_trainer: Trainer, _module: LightningModule): Awaitable<void> {}
  /** After the validation batches that try out the code. */
  onSanityCheckEnd(_trainer: Trainer, _module: LightningModule): Awaitable<void> {}

  /** When training begins. */
  onTrainStart(_trainer: Trainer, _module: LightningModule): Awaitable<void> {}
  /** When training ends. */
  onTrainEnd(_trainer: Trainer, _module: LightningModule): Awaitable<void> {}
  /** When an epoch of training begins. */
  onTrainEpochStart(_trainer: Trainer, _module: LightningModule): Awaitable<void> {}
  /** When an epoch of training ends. */
  onTrainEpochEnd(_trainer: Trainer, _module: LightningModule): Awaitable<void> {}
  /** Before a batch of training. */
  onTrainBatchStart(
    _trainer: Trainer,
    _module: LightningModule,
    _batch: unknown,
    _batchIdx: number,
  ): Awaitable<void> {}
  /** After a batch of training, with what the step returned. */
  onTrainBatchEnd(
    _trainer: Trainer,
    _module: LightningModule,
    _outputs: StepOutput,
    _batch: unknown,
    _batchIdx: number,
  ): Awaitable<void> {}

  /** When validation begins. */
  onValidationStart(_trainer: Trainer, _module: LightningModule): Awaitable<void> {}
  /** When validation ends. */
  onValidationEnd(_trainer: Trainer, _module: LightningModule): Awaitable<void> {}
  /** When an epoch of validation begins. */
  onValidationEpochStart(_trainer: Trainer, _module: LightningModule): Awaitable<void> {}
  /** When an epoch of validation ends. */
  onValidationEpochEnd(_trainer: Trainer, _module: LightningModule): Awaitable<void> {}
  /** Before a batch of validation; `dataloaderIdx` is given where there are several loaders. */
  onValidationBatchStart(
    _trainer: Trainer,
    _module: LightningModule,
    _batch: unknown,
    _batchIdx: number,
    _dataloaderIdx?: number,
  ): Awaitable<void> {}
  /** After a batch of validation, with what the step returned. */
  onValidationBatchEnd(
    _trainer: Trainer,
    _module: LightningModule,
    _outputs: unknown,
    _batch: unknown,
    _batchIdx: number,
    _dataloaderIdx?: number,
  ): Awaitable<void> {}

  /** When testing begins. */
  onTestStart(_trainer: Trainer, _module: LightningModule): Awaitable<void> {}
  /** When testing ends. */
  onTestEnd(_trainer: Trainer, _module: LightningModule): Awaitable<void> {}
  /** When an epoch of testing begins. */
  onTestEpochStart(_trainer: Trainer, _module: LightningModule): Awaitable<void> {}
  /** When an epoch of testing ends. */
  onTestEpochEnd(_trainer: Trainer, _module: LightningModule): Awaitable<void> {}
  /** Before a batch of testing; `dataloaderIdx` is given where there are several loaders. */
  onTestBatchStart(
    _trainer: Trainer,
    _module: LightningModule,
    _batch: unknown,
    _batchIdx: number,
    _dataloaderIdx?: number,
  ): Awaitable<void> {}
  /** After a batch of testing, with what the step returned. */
  onTestBatchEnd(
    _trainer: Trainer,
    _module: LightningModule,
    _outputs: unknown,
    _batch: unknown,
    _batchIdx: number,
    _dataloaderIdx?: number,
  ): Awaitable<void> {}

  /** When prediction begins. */
  onPredictStart(_trainer: Trainer, _module: LightningModule): Awaitable<void> {}
  /** When prediction ends. */
  onPredictEnd(_trainer: Trainer, _module: LightningModule): Awaitable<void> {}
  /** When an epoch of prediction begins. */
  onPredictEpochStart(_trainer: Trainer, _module: LightningModule): Awaitable<void> {}
  /** When an epoch of prediction ends. */
  onPredictEpochEnd(_trainer: Trainer, _module: LightningModule): Awaitable<void> {}
  /** Before a batch of prediction; `dataloaderIdx` is given where there are several loaders. */
  onPredictBatchStart(
    _trainer: Trainer,
    _module: LightningModule,
    _batch: unknown,
    _batchIdx: number,
    _dataloaderIdx?: number,
  ): Awaitable<void> {}
  /** After a batch of prediction, with what the step returned. */
  onPredictBatchEnd(
    _trainer: Trainer,
    _module: LightningModule,
    _outputs: unknown,
    _batch: unknown,
    _batchIdx: number,
    _dataloaderIdx?: number,
  ): Awaitable<void> {}

  /** Before the gradients are set back. Synchronous. */
  onBeforeZeroGrad(_trainer: Trainer, _module: LightningModule, _optimizer: optim.Optimizer): Synchronous {}
  /** Before the gradients of the loss are computed. Synchronous. */
  onBeforeBackward(_trainer: Trainer, _module: LightningModule, _loss: Tensor): Synchronous {}
  /** After the gradients of the loss are computed. Synchronous. */
  onAfterBackward(_trainer: Trainer, _module: LightningModule): Synchronous {}
  /** Before the optimizer changes the parameters, and before gradients are clipped. Synchronous. */
  onBeforeOptimizerStep(
    _trainer: Trainer,
    _module: LightningModule,
    _optimizer: optim.Optimizer,
  ): Synchronous {}

  /** When a run ends by an error, or by Ctrl-C ({@link KeyboardInterrupt}). */
  onException(_trainer: Trainer, _module: LightningModule, _exception: unknown): Awaitable<void> {}
  /** The state that belongs into a checkpoint; nothing is saved of an empty one. */
  stateDict(): Record<string, unknown> {
    return {};
  }
  /** Takes back what {@link stateDict} gave. */
  loadStateDict(_stateDict: Record<string, unknown>): Synchronous {}
  /** Before a checkpoint is written; may add to it. */
  onSaveCheckpoint(
    _trainer: Trainer,
    _module: LightningModule,
    _checkpoint: CheckpointContent,
  ): Synchronous {}
  /** When a checkpoint was read, before the states are taken from it. */
  onLoadCheckpoint(
    _trainer: Trainer,
    _module: LightningModule,
    _checkpoint: CheckpointContent,
  ): Synchronous {}
}

function pythonRepr(value: unknown): string {
  if (value === null || value === undefined) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (typeof value === "string") return `'${value}'`;
  if (typeof value === "object") {
    return `{${Object.entries(value)
      .map(([key, item]) => `'${key}': ${pythonRepr(item)}`)
      .join(", ")}}`;
  }
  return String(value);
}
