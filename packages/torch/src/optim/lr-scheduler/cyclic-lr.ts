import { ArgumentError } from "../../errors.js";
import type { Optimizer } from "../optimizer.js";
import { LRScheduler, type LRSchedulerOptions } from "./lr-scheduler.js";
import { setMomentum, usesBeta1 } from "./momentum.js";
import {
  checkOptimizer,
  groupsOf,
  perGroup,
  required,
  type SchedulerStateDict,
  setValue,
} from "./scheduler-base.js";

/** How the height of a cycle changes. */
export type CyclicMode = "triangular" | "triangular2" | "exp_range";

/** Options of {@link CyclicLR}. */
export interface CyclicLROptions extends LRSchedulerOptions {
  /** How many steps go up. Default: 2000. */
  stepSizeUp?: number;
  /** How many steps go down. Default: `stepSizeUp`. */
  stepSizeDown?: number | null;
  /** `"triangular"`: all cycles have one height; `"triangular2"`: each has half of the one before; `"exp_range"`: by `gamma`. Default: `"triangular"`. */
  mode?: CyclicMode;
  /** For `"exp_range"`, the factor of the height in each step. Default: 1. */
  gamma?: number;
  /** The factor of the height, instead of a mode. */
  scaleFn?: ((x: number) => number) | null;
  /** Whether `scaleFn` is given the number of the cycle or of the step. Default: `"cycle"`. */
  scaleMode?: "cycle" | "iterations";
  /** Whether the momentum goes the other way. Default: true. */
  cycleMomentum?: boolean;
  /** The lowest momentum. Default: 0.8. */
  baseMomentum?: number | readonly number[];
  /** The highest momentum. Default: 0.9. */
  maxMomentum?: number | readonly number[];
}

/**
 * Takes the learning rate up and down between two bounds, step by step.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.CyclicLR.html
 * @see https://arxiv.org/abs/1506.01186
 */
export class CyclicLR extends LRScheduler {
  maxLrs: number[];
  /** The steps of a cycle. */
  totalSize: number;
  /** Which part of them goes up. */
  stepRatio: number;
  mode: CyclicMode;
  gamma: number;
  scaleMode: "cycle" | "iterations";
  cycleMomentum: boolean;
  useBeta1?: boolean;
  baseMomentums?: number[];
  maxMomentums?: number[];
  readonly #scaleFn: ((x: number) => number) | null;

  /**
   * @param baseLr the lowest learning rate: for all groups, or one for each.
   * @param maxLr the highest learning rate: for all groups, or one for each.
   */
  constructor(
    optimizer: Optimizer,
    baseLr: number | readonly number[],
    maxLr: number | readonly number[],
    options: CyclicLROptions = {},
  ) {
    required("CyclicLR", { baseLr, maxLr });
    const {
      stepSizeUp = 2000,
      mode = "triangular",
      gamma = 1,
      scaleFn = null,
      scaleMode = "cycle",
    } = options;
    const { cycleMomentum = true, baseMomentum = 0.8, maxMomentum = 0.9, lastEpoch = -1 } = options;
    checkOptimizer(optimizer);
    if (scaleFn === null && !["triangular", "triangular2", "exp_range"].includes(mode)) {
      throw new ArgumentError(
        `mode must be "triangular", "triangular2" or "exp_range" where there is no scaleFn, got "${mode}"`,
      );
    }
    const lowest = perGroup("baseLr", optimizer, baseLr);
    const highest = perGroup("maxLr", optimizer, maxLr);
    const useBeta1 = cycleMomentum && usesBeta1(optimizer);
    const groups = groupsOf(optimizer);
    if (lastEpoch === -1)
      for (const [i, group] of groups.entries()) setValue(group, "lr", lowest[i] as number);
    super(optimizer, options);
    this.maxLrs = highest;
    this.totalSize = stepSizeUp + (options.stepSizeDown ?? stepSizeUp);
    this.stepRatio = stepSizeUp / this.totalSize;
    this.mode = mode;
    this.gamma = gamma;
    this.#scaleFn = scaleFn;
    this.scaleMode = scaleFn !== null ? scaleMode : mode === "exp_range" ? "iterations" : "cycle";
    this.cycleMomentum = cycleMomentum;
    if (cycleMomentum) {
      this.useBeta1 = useBeta1;
      this.baseMomentums = perGroup("baseMomentum", optimizer, baseMomentum);
      this.maxMomentums = perGroup("maxMomentum", optimizer, maxMomentum);
      if (lastEpoch === -1) {
        for (const [i, group] of groups.entries()) {
          const [low, high] = [this.baseMomentums[i] as number, this.maxMomentums[i] as number];
          setMomentum(group, useBeta1, high);
          Object.assign(group, { maxMomentum: high, baseMomentum: low });
        }
      }
    }
    this.initialStep();
    this.baseLrs = lowest;
  }

  /** The factor of the height of a cycle. */
  scaleFn(x: number): number {
    if (this.#scaleFn !== null) return this.#scaleFn(x);
    if (this.mode === "triangular2") return 1 / 2 ** (x - 1);
    return this.mode === "exp_range" ? this.gamma ** x : 1;
  }

  protected override getLr(): number[] {
    const { lastEpoch, totalSize, stepRatio, scaleMode } = this;
    const cycle = Math.floor(1 + lastEpoch / totalSize);
    const x = 1 + lastEpoch / totalSize - cycle;
    const height = x <= stepRatio ? x / stepRatio : (x - 1) / (stepRatio - 1);
    const scale = this.scaleFn(scaleMode === "cycle" ? cycle : lastEpoch);
    if (this.cycleMomentum) {
      for (const [i, group] of groupsOf(this.optimizer).entries()) {
        const [low, high] = [this.baseMomentums?.[i] as number, this.maxMomentums?.[i] as number];
        setMomentum(group, this.useBeta1 === true, high - (high - low) * height * scale);
      }
    }
    return this.baseLrs.map((low, i) => low + ((this.maxLrs[i] as number) - low) * height * scale);
  }

  /** Everything but `scaleFn`, which cannot be saved. */
  override stateDict(): SchedulerStateDict {
    const momentum = ["use_beta1", "base_momentums", "max_momentums"];
    const entries = Object.entries(super.stateDict());
    const kept = entries.filter(([key, value]) => value !== undefined || !momentum.includes(key));
    return { ...Object.fromEntries(kept), _scale_fn_custom: null };
  }

  override loadStateDict({ _scale_fn_custom: _, ...state }: SchedulerStateDict): void {
    super.loadStateDict(state);
  }
}
