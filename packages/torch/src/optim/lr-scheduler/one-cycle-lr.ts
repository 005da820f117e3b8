import { ArgumentError } from "../../errors.js";
import { camelCase, snakeCase } from "../names.js";
import type { Optimizer } from "../optimizer.js";
import { LRScheduler, type LRSchedulerOptions } from "./lr-scheduler.js";
import { setMomentum, usesBeta1 } from "./momentum.js";
import { checkOptimizer, groupsOf, perGroup, required, type SchedulerStateDict } from "./scheduler-base.js";

/** Options of {@link OneCycleLR}: `totalSteps`, or `epochs` with `stepsPerEpoch`, must be given. */
export interface OneCycleLROptions extends LRSchedulerOptions {
  /** The number of steps of the cycle. */
  totalSteps?: number | null;
  /** The number of epochs. */
  epochs?: number | null;
  /** The number of steps of an epoch. */
  stepsPerEpoch?: number | null;
  /** Which part of the cycle goes up. Default: 0.3. */
  pctStart?: number;
  /** The form of the curve. Default: `"cos"`. */
  annealStrategy?: "cos" | "linear";
  /** Whether the momentum goes the other way. Default: true. */
  cycleMomentum?: boolean;
  /** The lowest momentum. Default: 0.85. */
  baseMomentum?: number | readonly number[];
  /** The highest momentum. Default: 0.95. */
  maxMomentum?: number | readonly number[];
  /** The learning rate begins at `maxLr / divFactor`. Default: 25. */
  divFactor?: number;
  /** It ends at what it began with, divided by this. Default: 1e4. */
  finalDivFactor?: number;
  /** Whether it goes down in two phases, the first back to where it began. Default: false. */
  threePhase?: boolean;
}

type RateKey = "initialLr" | "maxLr" | "minLr";
type MomentumKey = "maxMomentum" | "baseMomentum";

/** A part of the cycle: between which of a group's options the values go. */
interface SchedulePhase {
  endStep: number;
  startLr: RateKey;
  endLr: RateKey;
  startMomentum: MomentumKey;
  endMomentum: MomentumKey;
}

/**
 * One cycle over the whole training: the learning rate rises to `maxLr` and falls to almost nothing. Call `step` after each batch.
 *
 * ```ts
 * new optim.lrScheduler.OneCycleLR(optimizer, 0.1, { totalSteps: 1000 });
 * ```
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.OneCycleLR.html
 * @see https://arxiv.org/abs/1708.07120
 */
export class OneCycleLR extends LRScheduler {
  totalSteps: number;
  cycleMomentum: boolean;
  useBeta1?: boolean;
  protected _schedulePhases: SchedulePhase[];
  protected _annealFuncType: "cos" | "linear";

  /**
   * @param maxLr the highest learning rate: for all groups, or one for each.
   */
  constructor(optimizer: Optimizer, maxLr: number | readonly number[], options: OneCycleLROptions = {}) {
    required("OneCycleLR", { maxLr });
    const {
      pctStart = 0.3,
      annealStrategy = "cos",
      cycleMomentum = true,
      baseMomentum = 0.85,
      maxMomentum = 0.95,
    } = options;
    const { divFactor = 25, finalDivFactor = 1e4, threePhase = false, lastEpoch = -1 } = options;
    checkOptimizer(optimizer);
    const totalSteps = stepsOf(options);
    if (!(pctStart >= 0 && pctStart <= 1))
      throw new ArgumentError(`Expected a number between 0 and 1 for pctStart, but got ${pctStart}`);
    if (annealStrategy !== "cos" && annealStrategy !== "linear") {
      throw new ArgumentError(
        `annealStrategy must be one of 'cos' or 'linear', instead got ${String(annealStrategy)}`,
      );
    }
    const maxLrs = perGroup("maxLr", optimizer, maxLr);
    const useBeta1 = cycleMomentum && usesBeta1(optimizer);
    const maxMomentums = perGroup("maxMomentum", optimizer, maxMomentum);
    const baseMomentums = perGroup("baseMomentum", optimizer, baseMomentum);
    if (lastEpoch === -1) {
      for (const [i, group] of groupsOf(optimizer).entries()) {
        const [maxLr, high, low] = [
          maxLrs[i] as number,
          maxMomentums[i] as number,
          baseMomentums[i] as number,
        ];
        const initialLr = maxLr / divFactor;
        Object.assign(group, { initialLr, maxLr, minLr: initialLr / finalDivFactor });
        if (!cycleMomentum) continue;
        setMomentum(group, useBeta1, high);
        Object.assign(group, { maxMomentum: high, baseMomentum: low });
      }
    }
    super(optimizer, options);
    this.totalSteps = totalSteps;
    this._schedulePhases = phasesOf(totalSteps, pctStart, threePhase);
    this._annealFuncType = annealStrategy;
    this.cycleMomentum = cycleMomentum;
    if (cycleMomentum) this.useBeta1 = useBeta1;
    this.initialStep();
  }

  protected override getLr(): number[] {
    const { lastEpoch, totalSteps, _schedulePhases: phases } = this;
    if (lastEpoch > totalSteps) {
      throw new ArgumentError(
        `Tried to step ${lastEpoch} times. The specified number of total steps is ${totalSteps}`,
      );
    }
    const found = phases.findIndex((phase) => lastEpoch <= phase.endStep);
    const index = found < 0 ? phases.length - 1 : found;
    const phase = phases[index] as SchedulePhase;
    const start = phases[index - 1]?.endStep ?? 0;
    const done = (lastEpoch - start) / (phase.endStep - start);
    return groupsOf(this.optimizer).map((group) => {
      const between = (from: string, to: string) =>
        this.#anneal(group[from] as number, group[to] as number, done);
      if (this.cycleMomentum)
        setMomentum(group, this.useBeta1 === true, between(phase.startMomentum, phase.endMomentum));
      return between(phase.startLr, phase.endLr);
    });
  }

  #anneal(start: number, end: number, done: number): number {
    if (this._annealFuncType === "linear") return (end - start) * done + start;
    return end + ((start - end) / 2) * (Math.cos(Math.PI * done) + 1);
  }

  override stateDict(): SchedulerStateDict {
    const { use_beta1, ...state } = super.stateDict();
    return {
      ...state,
      ...(this.cycleMomentum && { use_beta1 }),
      _schedule_phases: this._schedulePhases.map((phase) => renamed(phase, snakeCase)),
    };
  }

  override loadStateDict({ _schedule_phases, ...state }: SchedulerStateDict): void {
    super.loadStateDict(state);
    if (_schedule_phases === undefined) return;
    this._schedulePhases = (_schedule_phases as object[]).map(
      (phase) => renamed(phase, camelCase) as unknown as SchedulePhase,
    );
  }
}

function stepsOf({ totalSteps, epochs, stepsPerEpoch }: OneCycleLROptions): number {
  const positive = (name: string, value: number): number => {
    if (!Number.isInteger(value) || value <= 0)
      throw new ArgumentError(`Expected positive integer ${name}, but got ${value}`);
    return value;
  };
  if (typeof totalSteps === "number") return positive("totalSteps", totalSteps);
  if (typeof epochs === "number" && typeof stepsPerEpoch === "number") {
    return positive("epochs", epochs) * positive("stepsPerEpoch", stepsPerEpoch);
  }
  throw new ArgumentError("You must define either totalSteps OR (epochs AND stepsPerEpoch)");
}

function phasesOf(totalSteps: number, pctStart: number, threePhase: boolean): SchedulePhase[] {
  const up = {
    startLr: "initialLr",
    endLr: "maxLr",
    startMomentum: "maxMomentum",
    endMomentum: "baseMomentum",
  } as const;
  const first = { endStep: pctStart * totalSteps - 1, ...up };
  const last = { endStep: totalSteps - 1, endLr: "minLr", endMomentum: "maxMomentum" } as const;
  if (!threePhase) return [first, { ...last, startLr: "maxLr", startMomentum: "baseMomentum" }];
  return [
    first,
    {
      endStep: 2 * pctStart * totalSteps - 2,
      startLr: "maxLr",
      endLr: "initialLr",
      startMomentum: "baseMomentum",
      endMomentum: "maxMomentum",
    },
    { ...last, startLr: "initialLr", startMomentum: "maxMomentum" },
  ];
}

/** The phase with its keys, and the keys that are its values, in the other way of writing. */
function renamed(phase: object, rename: (name: string) => string): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(phase).map(([key, value]) => [
      rename(key),
      typeof value === "string" ? rename(value) : value,
    ]),
  );
}
