import { ArgumentError } from "../../errors.js";
import type { Optimizer } from "../optimizer.js";
import { LRScheduler, type LRSchedulerOptions } from "./lr-scheduler.js";
import { required, type SchedulerStateDict } from "./scheduler-base.js";

/** A factor for the learning rate, by the number of the epoch. */
export type LRLambda = (epoch: number) => number;

/** Options of {@link LambdaLR} and {@link MultiplicativeLR}. */
export type LambdaLROptions = LRSchedulerOptions;

/** A scheduler by functions, which its state cannot hold. */
export abstract class FunctionLR extends LRScheduler {
  lrLambdas: LRLambda[];

  /**
   * @param lrLambda the factor by the number of the epoch: for all groups, or one for each.
   */
  constructor(optimizer: Optimizer, lrLambda: LRLambda | readonly LRLambda[], options: LambdaLROptions = {}) {
    required(new.target.name, { lrLambda });
    super(optimizer, options);
    const count = optimizer.paramGroups.length;
    const lambdas = typeof lrLambda === "function" ? Array<LRLambda>(count).fill(lrLambda) : [...lrLambda];
    if (lambdas.length !== count)
      throw new ArgumentError(`Expected ${count} lrLambdas, but got ${lambdas.length}`);
    for (const lambda of lambdas) {
      if (typeof lambda !== "function")
        throw new ArgumentError(`lrLambda should be a function, but got ${typeof lambda}`);
    }
    this.lrLambdas = lambdas;
    this.initialStep();
  }

  /** The factors for `lastEpoch`: one for each group. */
  protected factors(): number[] {
    return this.lrLambdas.map((lambda) => lambda(this.lastEpoch));
  }

  /** Everything but the functions, which cannot be saved. */
  override stateDict(): SchedulerStateDict {
    return { ...super.stateDict(), lr_lambdas: this.lrLambdas.map(() => null) };
  }

  override loadStateDict({ lr_lambdas: _, ...state }: SchedulerStateDict): void {
    super.loadStateDict(state);
  }
}

/**
 * The learning rate at the start, times a function of the epoch.
 *
 * ```ts
 * new optim.lrScheduler.LambdaLR(optimizer, (epoch) => 0.95 ** epoch);
 * ```
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.LambdaLR.html
 */
export class LambdaLR extends FunctionLR {
  protected override getLr(): number[] {
    const factors = this.factors();
    return this.baseLrs.map((rate, i) => rate * (factors[i] as number));
  }
}
