import { notAllowed } from "../argument-checks.js";
import { Callback } from "../callback.js";
import { isOverridden } from "../dispatch.js";
import { MisconfigurationError } from "../errors.js";
import { warn } from "../messages.js";
import { LightningModule } from "../module.js";
import type { Trainer } from "../trainer.js";

/** Changes over how many batches gradients add up, from given epochs on: `new GradientAccumulationScheduler({ 0: 8, 4: 1 })`. */
export class GradientAccumulationScheduler extends Callback {
  readonly scheduling: Readonly<Record<number, number>>;

  /**
   * @param scheduling epoch -> number of batches
   */
  constructor(scheduling: Record<number, number>) {
    super();
    if (typeof scheduling !== "object" || scheduling === null || Array.isArray(scheduling)) {
      throw notAllowed(
        "GradientAccumulationScheduler: scheduling",
        scheduling,
        "an object of epochs with numbers of batches, such as { 0: 8, 4: 1 }",
      );
    }
    const entries = Object.entries(scheduling).map(([epoch, factor]) => [Number(epoch), factor] as const);
    if (entries.length === 0) {
      throw new MisconfigurationError(
        "GradientAccumulationScheduler: scheduling is empty: give at least one epoch.",
      );
    }
    for (const [epoch, factor] of entries) {
      if (!Number.isInteger(epoch) || epoch < 0) {
        throw new MisconfigurationError(
          `GradientAccumulationScheduler: scheduling has the epoch ${epoch}; an epoch is an integer >= 0.`,
        );
      }
      if (!Number.isInteger(factor) || factor < 1) {
        throw new MisconfigurationError(
          `GradientAccumulationScheduler: scheduling has ${factor} for epoch ${epoch}; a number of batches is an integer >= 1.`,
        );
      }
    }
    this.scheduling = { 0: 1, ...scheduling };
  }

  /** Whether there is an epoch in which gradients of several batches add up. */
  goingToAccumulateGradBatches(): boolean {
    return Object.values(this.scheduling).some((factor) => factor > 1);
  }

  /** Over how many batches gradients add up in an epoch. */
  getAccumulateGradBatches(epoch: number): number {
    let factor = 1;
    for (const [begin, value] of Object.entries(this.scheduling)) if (Number(begin) <= epoch) factor = value;
    return factor;
  }

  override onTrainStart(trainer: Trainer, module: LightningModule): void {
    if (!module.automaticOptimization) {
      throw new MisconfigurationError(
        "GradientAccumulationScheduler is for automatic optimization: in manual optimization, step the optimizer when you want to.",
      );
    }
    const overrides = ["optimizerStep", "optimizerZeroGrad"].some((name) =>
      isOverridden(module, name, LightningModule),
    );
    if (overrides && this.goingToAccumulateGradBatches()) {
      warn(
        "optimizerStep and optimizerZeroGrad of the module are not called for every batch where gradients add up, but for every optimizer step.",
      );
    }
    if (trainer.accumulateGradBatches !== 1) {
      throw new MisconfigurationError(
        "Trainer({ accumulateGradBatches }) and GradientAccumulationScheduler are both given: use one of them.",
      );
    }
  }

  override onTrainEpochStart(trainer: Trainer): void {
    trainer.accumulateGradBatches = this.getAccumulateGradBatches(trainer.currentEpoch);
  }
}
