import { ArgumentError } from "../../errors.js";
import { numberOf } from "../arguments.js";
import type { Optimizer } from "../optimizer.js";
import { CompositeScheduler } from "./chained-scheduler.js";
import { LRScheduler, type LRSchedulerOptions } from "./lr-scheduler.js";
import { groupsOf, reached, required, type SchedulerBase, setValue } from "./scheduler-base.js";

/** Options of {@link SequentialLR}. */
export type SequentialLROptions = LRSchedulerOptions;

/**
 * Runs one scheduler after another.
 *
 * ```ts
 * const warmUp = new optim.lrScheduler.LinearLR(optimizer, { startFactor: 0.1, totalIters: 5 });
 * const decay = new optim.lrScheduler.CosineAnnealingLR(optimizer, 95);
 * const scheduler = new optim.lrScheduler.SequentialLR(optimizer, [warmUp, decay], [5]);
 * ```
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.SequentialLR.html
 */
export class SequentialLR extends CompositeScheduler {
  lastEpoch: number;
  protected readonly _milestones: readonly number[];

  /**
   * @param schedulers the schedulers, in the order of their turns.
   * @param milestones the epochs at which the next one takes over: one less than there are schedulers.
   * @throws ArgumentError where the numbers of schedulers and milestones don't fit, or the schedulers have several optimizers
   */
  constructor(
    optimizer: Optimizer,
    schedulers: readonly SchedulerBase[],
    milestones: readonly number[],
    options: SequentialLROptions = {},
  ) {
    required("SequentialLR", { schedulers, milestones });
    const { lastEpoch = -1 } = options;
    if (schedulers.length < 1)
      throw new ArgumentError("SequentialLR expects at least one scheduler, but got no scheduler.");
    super(optimizer, schedulers, "SequentialLR");
    if (milestones.length !== schedulers.length - 1) {
      throw new ArgumentError(
        "Sequential Schedulers expects number of schedulers provided to be one more than the number of milestone points, but got " +
          `number of schedulers ${schedulers.length} and the number of milestones to be equal to ${milestones.length}`,
      );
    }
    const later = schedulers.slice(1).find((scheduler) => !(scheduler instanceof LRScheduler));
    if (later !== undefined) {
      throw new ArgumentError(
        `a ${later.constructor.name} can only be the first scheduler of a SequentialLR`,
      );
    }
    this._milestones = [...milestones];
    this.lastEpoch = lastEpoch + 1;
    // each scheduler has taken its first step when it was made: take that back, and let the one whose turn it is take its own
    for (const group of groupsOf(optimizer)) setValue(group, "lr", numberOf(group.initialLr ?? group.lr));
    for (const scheduler of schedulers) undoStep(scheduler);
    const first = schedulers[reached(milestones, 0)] as SchedulerBase;
    first.initialStep();
    this._lastLr = first.getLastLr();
  }

  override step(): void {
    this.lastEpoch += 1;
    const index = reached(this._milestones, this.lastEpoch);
    const scheduler = this._schedulers[index] as SchedulerBase;
    if (index > 0 && this._milestones[index - 1] === this.lastEpoch) (scheduler as LRScheduler).updateLr(0);
    else scheduler.step();
    this._lastLr = scheduler.getLastLr();
  }
}

function undoStep(scheduler: SchedulerBase): void {
  if (scheduler instanceof CompositeScheduler) scheduler._schedulers.forEach(undoStep);
  else if (scheduler instanceof LRScheduler) scheduler.lastEpoch -= 1;
}
