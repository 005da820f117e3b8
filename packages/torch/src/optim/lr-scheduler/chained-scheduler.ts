import { ArgumentError } from "../../errors.js";
import type { Optimizer } from "../optimizer.js";
import { ReduceLROnPlateau } from "./reduce-lr-on-plateau.js";
import { SchedulerBase, type SchedulerStateDict, valuesOf } from "./scheduler-base.js";

/** Options of {@link ChainedScheduler}. */
export interface ChainedSchedulerOptions {
  /** Default: the first scheduler's. */
  optimizer?: Optimizer;
}

/** A scheduler made of others. */
export abstract class CompositeScheduler extends SchedulerBase {
  /** @internal */
  readonly _schedulers: readonly SchedulerBase[];

  constructor(optimizer: Optimizer, schedulers: readonly SchedulerBase[], name: string) {
    super(optimizer);
    for (const [i, scheduler] of schedulers.entries()) {
      if (!(scheduler instanceof SchedulerBase))
        throw new ArgumentError(`${name} at index ${i} should be a scheduler`);
      if (scheduler instanceof ReduceLROnPlateau) {
        throw new ArgumentError(
          `${name} does not support \`ReduceLROnPlateau\` scheduler as it needs a metric when calling \`step\`, but got one at ` +
            `index ${i} in the given schedulers sequence.`,
        );
      }
      if (scheduler.optimizer !== optimizer) {
        throw new ArgumentError(
          `${name} expects all schedulers to belong to the same optimizer, but got scheduler ${scheduler.constructor.name} at ` +
            `index ${i} with another one.`,
        );
      }
    }
    this._schedulers = [...schedulers];
  }

  override stateDict(): SchedulerStateDict {
    return { ...super.stateDict(), _schedulers: this._schedulers.map((scheduler) => scheduler.stateDict()) };
  }

  override loadStateDict({ _schedulers, ...state }: SchedulerStateDict): void {
    super.loadStateDict(state);
    for (const [i, saved] of ((_schedulers ?? []) as SchedulerStateDict[]).entries())
      this._schedulers[i]?.loadStateDict(saved);
  }
}

/**
 * Steps several schedulers at once: each goes on from what the one before has set.
 *
 * ```ts
 * new optim.lrScheduler.ChainedScheduler([warmUp, decay]);
 * ```
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.ChainedScheduler.html
 */
export class ChainedScheduler extends CompositeScheduler {
  /** @throws ArgumentError where there is no scheduler, or they have several optimizers */
  constructor(schedulers: readonly SchedulerBase[], options: ChainedSchedulerOptions = {}) {
    const [first] = schedulers;
    if (first === undefined) {
      throw new ArgumentError(
        "ChainedScheduler expects at least one scheduler to be chained, but got no scheduler.",
      );
    }
    super(options.optimizer ?? first.optimizer, schedulers, "ChainedScheduler");
    this._lastLr = valuesOf(this.optimizer, "lr");
  }

  override step(): void {
    for (const scheduler of this._schedulers) scheduler.step();
    this._lastLr = valuesOf(this.optimizer, "lr");
  }
}
