import { type Device, noGrad, optim, type Tensor } from "@levin/torch";
import { Callback } from "../callback.js";
import type { Checkpoint } from "../checkpoint/layout.js";
import { isOverridden } from "../dispatch.js";
import type { TrainerFunction } from "../hooks.js";
import { note, warn } from "../messages.js";
import { LightningModule } from "../module.js";
import type { Trainer } from "../trainer.js";

const { AveragedModel } = optim.swaUtils;

/** Options of {@link WeightAveraging}. */
export interface WeightAveragingOptions {
  /** Where the averages are kept. Default: where the module is. */
  device?: Device | null;
  /** Averages buffers too, such as the statistics of batch norms. Default: true. */
  useBuffers?: boolean;
  /** The average of one tensor. Default: the mean of all values. */
  avgFn?: optim.swaUtils.AvgFn | null;
  /** The average of many tensors at once; instead of `avgFn`. */
  multiAvgFn?: optim.swaUtils.MultiAvgFn | null;
}

/** After what an average may be updated; one of the two is given. */
export interface AveragingMoment {
  /** The index of the optimizer step that was made. */
  stepIdx?: number | null;
  /** The index of the epoch that has ended. */
  epochIdx?: number | null;
}

const prefix = "module.";

/**
 * Keeps averages of the weights while training goes on. In validation, in checkpoints (`state_dict`) and after the fit the module has the
 * averages.
 *
 * Override {@link WeightAveraging.shouldUpdate} to say when they are updated:
 *
 * ```ts
 * class LateAveraging extends WeightAveraging {
 *   override shouldUpdate({ stepIdx }: AveragingMoment) {
 *     return stepIdx != null && stepIdx >= 100;
 *   }
 * }
 * ```
 */
export class WeightAveraging extends Callback {
  readonly #options: WeightAveragingOptions;
  #averageModel: InstanceType<typeof AveragedModel<LightningModule>> | null = null;
  /** The number of steps at the last update: 0, so that it is asked for the first time after a step. */
  #latestUpdateStep = 0;
  #latestUpdateEpoch = -1;

  constructor(options: WeightAveragingOptions = {}) {
    super();
    this.#options = options;
  }

  /** Whether the averages are updated now. Default: after each optimizer step. */
  shouldUpdate({ stepIdx = null }: AveragingMoment): boolean {
    return stepIdx !== null;
  }

  override async setup(_trainer: Trainer, module: LightningModule, stage: TrainerFunction): Promise<void> {
    if (stage !== "fit") return;
    const { device = null, useBuffers = true, avgFn = null, multiAvgFn = null } = this.#options;
    if (isOverridden(module, "configureModel", LightningModule)) {
      // the layers must be there to be copied
      await module.configureModel();
    }
    this.#averageModel = new AveragedModel(module, {
      device: device ?? module.device,
      useBuffers,
      avgFn,
      multiAvgFn,
    });
  }

  override onTrainBatchEnd(trainer: Trainer, module: LightningModule): void {
    const steps = trainer.globalStep;
    if (steps <= this.#latestUpdateStep || !this.shouldUpdate({ stepIdx: steps - 1 })) return;
    this.#averageModel!.updateParameters(module);
    this.#latestUpdateStep = steps;
  }

  override onTrainEpochEnd(trainer: Trainer, module: LightningModule): void {
    const epoch = trainer.currentEpoch;
    if (epoch <= this.#latestUpdateEpoch || !this.shouldUpdate({ epochIdx: epoch })) return;
    this.#averageModel!.updateParameters(module);
    this.#latestUpdateEpoch = epoch;
  }

  override onTrainEnd(_trainer: Trainer, module: LightningModule): void {
    noGrad(() => {
      for (const [average, current] of this.#pairs(module)) current.detach().copy_(average.detach());
    });
  }

  override onValidationEpochStart(_trainer: Trainer, module: LightningModule): void {
    this.#swap(module);
  }

  override onValidationEpochEnd(_trainer: Trainer, module: LightningModule): void {
    this.#swap(module);
  }

  override stateDict(): Record<string, unknown> {
    return { latest_update_step: this.#latestUpdateStep };
  }

  override loadStateDict(state: Record<string, unknown>): void {
    this.#latestUpdateStep = Number(state.latest_update_step);
  }

  override onSaveCheckpoint(_trainer: Trainer, _module: LightningModule, checkpoint: Checkpoint): void {
    if (!this.#averageModel) {
      note(
        "A checkpoint is saved outside of a fit: it has no averages of WeightAveraging besides the module's weights.",
      );
      return;
    }
    const entries = Object.entries(this.#averageModel.stateDict());
    const [averages, others] = [true, false].map((isAverage) =>
      entries.filter(([key]) => key.startsWith(prefix) === isAverage),
    ) as [[string, Tensor][], [string, Tensor][]];
    checkpoint.current_model_state = checkpoint.state_dict;
    checkpoint.state_dict = Object.fromEntries(
      averages.map(([key, value]) => [key.slice(prefix.length), value]),
    );
    checkpoint.averaging_state = Object.fromEntries(others);
  }

  override onLoadCheckpoint(_trainer: Trainer, module: LightningModule, checkpoint: Checkpoint): void {
    const { state_dict, current_model_state, averaging_state } = checkpoint;
    if (!this.#averageModel) {
      warn(
        "A checkpoint is loaded outside of a fit: the state of WeightAveraging is not restored, which testing and prediction do not need.",
      );
    } else if (current_model_state && averaging_state) {
      const averages = Object.entries(state_dict).map(([key, value]) => [prefix + key, value] as const);
      this.#averageModel.loadStateDict({ ...Object.fromEntries(averages), ...(averaging_state as object) });
      // the module has got the averages already: these are its own weights
      module.loadStateDict(current_model_state as Record<string, Tensor>);
    } else {
      warn(
        "The checkpoint was saved without WeightAveraging: the module's weights are taken for the averages, too.",
      );
      this.#averageModel.module.loadStateDict(state_dict, { strict: false });
    }
  }

  #swap(module: LightningModule): void {
    if (!this.#averageModel) return;
    noGrad(() => {
      for (const [average, current] of this.#pairs(module)) {
        const before = average.detach().clone();
        average.detach().copy_(current.detach());
        current.detach().copy_(before);
      }
    });
  }

  /** Each average with the tensor of the module that it is of. */
  #pairs(module: LightningModule): [average: Tensor, current: Tensor][] {
    const tensorsOf = (each: LightningModule): Tensor[] => [...each.parameters(), ...each.buffers()];
    const current = tensorsOf(module);
    return tensorsOf(this.#averageModel!.module).map((average, i) => [average, current[i]!]);
  }
}
