import { Tensor } from "@levin/torch";
import { callModuleSync } from "../dispatch.js";
import { LightningError, MisconfigurationError } from "../errors.js";
import { warn } from "../messages.js";
import type { LightningModule } from "../module.js";
import { recordIf } from "../profilers/recorder.js";
import { mustBeSync } from "../thenable.js";
import type { Trainer } from "../trainer.js";
import { isPlainObject, mapTensors } from "../tree.js";
import type { ExactState } from "./exact.js";

/** The version of Lightning whose layout checkpoints have. */
const lightningVersion = "2.6.6";

/**
 * The content of a checkpoint, in Lightning's layout: what a Lightning user reads with `torch.load`. Hooks may add
 * keys of their own.
 */
export interface Checkpoint {
  /** The epoch it was saved in. */
  epoch: number;
  /** The number of optimizer steps. */
  global_step: number;
  "pytorch-lightning_version": string;
  /** The module's weights. */
  state_dict: Record<string, Tensor>;
  /** Where the loops are. */
  loops?: Record<string, Record<string, unknown>>;
  /** The state of each callback, by its state key. */
  callbacks?: Record<string, Record<string, unknown>>;
  optimizer_states?: unknown[];
  lr_schedulers?: unknown[];
  hparams_name?: string | null;
  hyper_parameters?: Record<string, unknown>;
  datamodule_hparams_name?: string | null;
  datamodule_hyper_parameters?: Record<string, unknown>;
  /** What levin needs besides, to go on to the bit. */
  levin?: ExactState;
  [key: string]: unknown;
}

/** Collects everything that a checkpoint holds; with `weightsOnly`, no states of optimizers, schedulers and callbacks. */
export function dumpCheckpoint(trainer: Trainer, module: LightningModule, weightsOnly: boolean): Checkpoint {
  const { strategy, datamodule } = trainer;
  const { recorder } = trainer.run;
  const checkpoint: Checkpoint = {
    epoch: trainer.currentEpoch,
    global_step: trainer.globalStep,
    "pytorch-lightning_version": lightningVersion,
    state_dict: strategy.moduleStateDict(module),
    loops: {
      fit_loop: trainer.fitLoop.stateDict(),
      validate_loop: trainer.validateLoop.stateDict(),
      test_loop: trainer.testLoop.stateDict(),
      predict_loop: trainer.predictLoop.stateDict(),
    },
  };
  if (!weightsOnly) {
    checkpoint.callbacks = {};
    for (const callback of trainer.callbacks) {
      const state = mustBeSync(callback.stateDict(), `stateDict of ${callback.stateKey}`);
      if (Object.keys(state).length > 0) checkpoint.callbacks[callback.stateKey] = state;
    }
    checkpoint.optimizer_states = trainer.optimizers.map((optimizer) =>
      withNumberedParameters(strategy.optimizerStateDict(optimizer)),
    );
    checkpoint.lr_schedulers = trainer.lrSchedulerConfigs.map((config) => config.scheduler.stateDict());
    const precision = strategy.precision.stateDict();
    if (precision) checkpoint[strategy.precision.stateKey] = precision;
    if (trainer.state.fn === "fit") checkpoint.levin = trainer.fitLoop.exactState();
  }
  if (Object.keys(module.hparams).length > 0) {
    checkpoint.hparams_name = "kwargs";
    checkpoint.hyper_parameters = { ...module.hparams };
  }
  if (datamodule) {
    if (Object.keys(datamodule.hparams).length > 0) {
      checkpoint.datamodule_hparams_name = "kwargs";
      checkpoint.datamodule_hyper_parameters = { ...datamodule.hparams };
    }
    const state = mustBeSync(datamodule.stateDict(), `stateDict of ${datamodule.constructor.name}`);
    if (Object.keys(state).length > 0) checkpoint[datamodule.constructor.name] = state;
  }
  if (!weightsOnly) {
    trainer.withCurrentHook("onSaveCheckpoint", () => {
      for (const callback of trainer.callbacks) {
        recordIf(recorder, `[Callback]${callback.stateKey}.on_save_checkpoint`, () =>
          mustBeSync(
            callback.onSaveCheckpoint(trainer, module, checkpoint),
            `onSaveCheckpoint of ${callback.stateKey}`,
          ),
        );
      }
    });
  }
  callModuleSync(module, "onSaveCheckpoint", () => module.onSaveCheckpoint(checkpoint));
  return checkpoint;
}

/** Refuses what was read of a file that is no checkpoint. */
export function requireWeights(checkpoint: Checkpoint, path: string | null): void {
  if (isPlainObject(checkpoint) && typeof checkpoint.state_dict === "object") return;
  throw new MisconfigurationError(
    `${path} is no checkpoint of a trainer: there is no state_dict in it. Weights alone are read by torch.load() and module.loadStateDict().`,
  );
}

/** Takes weights, data module and callbacks from a checkpoint: what can be restored before the optimizers exist. */
export function restoreModules(trainer: Trainer, module: LightningModule, checkpoint: Checkpoint): void {
  requireWeights(checkpoint, trainer.ckptPath);
  callModuleSync(module, "onLoadCheckpoint", () => module.onLoadCheckpoint(checkpoint));
  trainer.strategy.loadModuleStateDict(module, checkpoint.state_dict, module.strictLoading);

  const { datamodule } = trainer;
  const data = datamodule && checkpoint[datamodule.constructor.name];
  if (data) {
    const { name } = datamodule.constructor;
    mustBeSync(datamodule.loadStateDict(data as Record<string, unknown>), `loadStateDict of ${name}`);
  }

  const states = checkpoint.callbacks;
  if (!states) return;
  const known = new Set(trainer.callbacks.map((callback) => callback.stateKey));
  const missing = Object.keys(states).filter((key) => !known.has(key));
  if (missing.length > 0) {
    warn(
      "The checkpoint was saved with callbacks that this trainer doesn't have; their state is not restored. " +
        `To restore it, add: ${missing.join(", ")}.`,
    );
  }
  trainer.withCurrentHook("onLoadCheckpoint", () => {
    for (const callback of trainer.callbacks) {
      recordIf(trainer.run.recorder, `[Callback]${callback.stateKey}.on_load_checkpoint`, () =>
        mustBeSync(
          callback.onLoadCheckpoint(trainer, module, checkpoint),
          `onLoadCheckpoint of ${callback.stateKey}`,
        ),
      );
    }
  });
  for (const callback of trainer.callbacks) {
    const state = states[callback.stateKey];
    if (state && Object.keys(state).length > 0)
      mustBeSync(callback.loadStateDict(copy(state)), `loadStateDict of ${callback.stateKey}`);
  }
}

/** Takes the loops' progress from a checkpoint and, for a fit, the states of optimizers and schedulers. */
export function restoreTraining(trainer: Trainer, checkpoint: Checkpoint): void {
  const { precision } = trainer.strategy;
  // the second is the key of Lightning before 1.8
  const scaling = checkpoint[precision.stateKey] ?? checkpoint.native_amp_scaling_state;
  if (scaling) precision.loadStateDict(scaling as Record<string, unknown>);

  const { loops } = checkpoint;
  const fn = trainer.state.fn;
  if (loops) {
    if (fn === "fit" && loops.fit_loop) trainer.fitLoop.loadStateDict(loops.fit_loop, checkpoint.levin);
    if (fn === "validate" && loops.validate_loop) trainer.validateLoop.loadStateDict(loops.validate_loop);
    if (fn === "test" && loops.test_loop) trainer.testLoop.loadStateDict(loops.test_loop);
    if (fn === "predict" && loops.predict_loop) trainer.predictLoop.loadStateDict(loops.predict_loop);
  }
  if (fn !== "fit") return;
  const { maxEpochs } = trainer;
  if (maxEpochs !== null && maxEpochs !== -1 && trainer.currentEpoch > maxEpochs) {
    throw new MisconfigurationError(
      `The checkpoint was saved in epoch ${trainer.currentEpoch}, but Trainer({ maxEpochs: ${maxEpochs} }) ends before that. ` +
        "Give a larger maxEpochs to go on training.",
    );
  }
  if (!checkpoint.optimizer_states || !checkpoint.lr_schedulers) {
    throw new LightningError(
      "The states of optimizers and schedulers cannot be restored: the checkpoint has only the weights, " +
        "probably because ModelCheckpoint({ saveWeightsOnly: true }) saved it. Load it with LightningModule.loadFromCheckpoint instead.",
    );
  }
  for (const [i, optimizer] of trainer.optimizers.entries()) {
    const state = checkpoint.optimizer_states[i];
    if (state)
      optimizer.loadStateDict(likeOwn(optimizer, state) as Parameters<typeof optimizer.loadStateDict>[0]);
  }
  trainer.strategy.setupOptimizers(trainer.optimizers);
  for (const [i, config] of trainer.lrSchedulerConfigs.entries()) {
    const state = checkpoint.lr_schedulers[i];
    if (state) config.scheduler.loadStateDict(state as Record<string, unknown>);
  }
}

function copy<T>(state: T): T {
  if (state instanceof Tensor) return state;
  return mapTensors(Array.isArray(state) ? ([...state] as T) : ({ ...state } as T), (tensor) =>
    tensor.clone(),
  );
}

/** An optimizer's state as Python has it: parameters are counted by numbers, where an object's keys are strings. */
function withNumberedParameters(saved: Record<string, unknown>): Record<string, unknown> {
  const { state } = saved;
  if (!isPlainObject(state)) return saved;
  return { ...saved, state: new Map(Object.entries(state).map(([index, value]) => [Number(index), value])) };
}

/** A saved state in the form that the optimizer's own has. */
function likeOwn(optimizer: { stateDict(): unknown }, saved: unknown): unknown {
  const { state } = saved as { state?: unknown };
  const own = (optimizer.stateDict() as { state?: unknown }).state;
  if (!(state instanceof Map) || own instanceof Map) return saved;
  return { ...(saved as object), state: Object.fromEntries(state) };
}
