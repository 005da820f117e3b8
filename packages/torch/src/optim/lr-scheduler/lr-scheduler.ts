import { ArgumentError } from "../../errors.js";
import { Tensor } from "../../tensor.js";
import type { Optimizer } from "../optimizer.js";
import { groupsOf, SchedulerBase, setValue, valuesOf } from "./scheduler-base.js";

/** Options of every scheduler. */
export interface LRSchedulerOptions {
  /** The number of the last epoch, to go on from; then the groups need `initialLr`. Default: -1. */
  lastEpoch?: number;
}

/**
 * The base of learning rate schedulers: sets the learning rate of each parameter group, for the first epoch when it is made, and
 * for the next one with every {@link step}.
 *
 * A scheduler of one's own implements {@link getLr}, and calls {@link initialStep} at the end of its constructor:
 *
 * ```ts
 * class HalvingLR extends optim.lrScheduler.LRScheduler {
 *   constructor(optimizer: optim.Optimizer) {
 *     super(optimizer);
 *     this.initialStep();
 *   }
 *   protected override getLr() {
 *     return this.baseLrs.map((lr) => lr * 0.5 ** this.lastEpoch);
 *   }
 * }
 * ```
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.LRScheduler.html
 */
export abstract class LRScheduler extends SchedulerBase {
  /** The learning rates that the schedule begins with. */
  baseLrs: number[];
  /** The number of the epoch that the learning rates are for. */
  lastEpoch: number;
  /** How often `step` was called, with the first time in the constructor. */
  protected _stepCount = 0;
  /** Whether the constructor sets the first learning rates. */
  protected _isInitial = false;
  // only to have all keys of PyTorch's state
  protected readonly _getLrCalledWithinStep = false;

  /** @throws ArgumentError where `optimizer` is none, or `lastEpoch` is given and a group has no `initialLr` */
  constructor(optimizer: Optimizer, { lastEpoch = -1 }: LRSchedulerOptions = {}) {
    super(optimizer);
    for (const [i, group] of optimizer.paramGroups.entries()) {
      if (lastEpoch === -1) {
        group.initialLr ??= group.lr instanceof Tensor ? group.lr.detach().clone() : group.lr;
      } else if (group.initialLr === undefined) {
        throw new ArgumentError(
          `param 'initialLr' is not specified in paramGroups[${i}] when resuming a scheduler with lastEpoch >= 0. Load the ` +
            "optimizer's state first; for training from the start, leave lastEpoch out.",
        );
      }
    }
    this.baseLrs = valuesOf(optimizer, "initialLr");
    this.lastEpoch = lastEpoch;
  }

  /** Sets the learning rates of the first epoch: for the end of a constructor. */
  override initialStep(): void {
    this._stepCount = 0;
    this._isInitial = true;
    this.step();
    this._isInitial = false;
  }

  /** The learning rates for `lastEpoch`: one for each group, mostly from the ones before. */
  protected abstract getLr(): number[];

  /** The learning rates for `lastEpoch`, without regard to the ones before; where there is a formula for them. */
  protected getClosedFormLr?(): number[];

  /**
   * Sets the learning rates for the next epoch, or for the one given.
   *
   * @param epoch deprecated in PyTorch
   */
  step(epoch?: number): void {
    if (this._stepCount === 1 && !this.optimizer.stepCalled) {
      process.emitWarning(
        "scheduler.step() was called before optimizer.step(), so the first value of the learning rate schedule is skipped: call " +
          "optimizer.step() first.",
      );
    }
    this._stepCount += 1;
    this.updateLr(epoch);
  }

  /** @internal Goes to an epoch, the next one by default, and sets its learning rates. */
  updateLr(epoch?: number): void {
    this.lastEpoch = epoch ?? this.lastEpoch + 1;
    this.setRates((epoch === undefined ? undefined : this.getClosedFormLr?.()) ?? this.getLr());
  }

  /** Gives each group its learning rate. */
  protected setRates(rates: readonly number[]): void {
    const groups = groupsOf(this.optimizer);
    if (rates.length !== groups.length) {
      throw new ArgumentError(
        `getLr must give one learning rate for each of the ${groups.length} groups, got ${rates.length}`,
      );
    }
    for (const [i, group] of groups.entries()) setValue(group, "lr", rates[i] as number);
    this._lastLr = valuesOf(this.optimizer, "lr");
  }
}
