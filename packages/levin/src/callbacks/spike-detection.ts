import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { Tensor } from "@levin/torch";
import { checkIntegers } from "../argument-checks.js";
import { Callback } from "../callback.js";
import { LightningError, MisconfigurationError } from "../errors.js";
import type { StepOutput } from "../hooks.js";
import type { LightningModule } from "../module.js";
import type { Trainer } from "../trainer.js";

/** Options of {@link SpikeDetection}. */
export interface SpikeDetectionOptions {
  /** Whether the loss should get smaller or larger. Default: "min". */
  mode?: "min" | "max";
  /** Over how many batches the mean is that a loss is compared with. Default: 10. */
  window?: number;
  /** From which batch of an epoch spikes are looked for. Default: 1. */
  warmup?: number;
  /** How far from the mean a spike is at least. Default: any. */
  atol?: number | null;
  /** How many times the mean a spike is at least away from it. Default: 2. */
  rtol?: number | null;
  /** The file for the batches to leave out, or its folder. Default: `skip_batches.json` in the trainer's `defaultRootDir`. */
  excludeBatchesPath?: string | null;
  /** Whether a loss that is not finite is a spike. Default: true. */
  finiteOnly?: boolean;
}

/** What {@link SpikeDetection} ends a fit with. */
export class TrainingSpikeException extends LightningError {
  override name = "TrainingSpikeException";
  constructor(readonly batchIdx: number) {
    super(`Training spike detected in batch ${batchIdx}.`);
  }
}

/**
 * Ends a fit with a {@link TrainingSpikeException} when the loss jumps, and writes the batch and the one before, either of which may be at
 * fault, into a file: to leave them out when the fit is run again.
 */
export class SpikeDetection extends Callback {
  mode: "min" | "max";
  readonly window: number;
  warmup: number;
  atol: number | null;
  rtol: number | null;
  readonly finiteOnly: boolean;
  /** The loss of the last batch that was no spike. */
  lastVal = 0;
  badBatches: number[] = [];
  excludeBatchesPath: string | null;
  #recent: number[] = [];

  constructor(options: SpikeDetectionOptions = {}) {
    super();
    this.mode = options.mode ?? "min";
    if (this.mode !== "min" && this.mode !== "max") {
      throw new MisconfigurationError(
        `SpikeDetection: mode was given "${String(this.mode)}"; it is "min" or "max".`,
      );
    }
    const { window = 10, warmup = 1 } = options;
    checkIntegers("SpikeDetection", { window }, 1);
    checkIntegers("SpikeDetection", { warmup }, 0);
    this.window = window;
    this.warmup = warmup;
    this.atol = options.atol ?? null;
    this.rtol = options.rtol === undefined ? 2 : options.rtol;
    this.finiteOnly = options.finiteOnly ?? true;
    this.excludeBatchesPath = options.excludeBatchesPath ?? null;
  }

  override onTrainBatchEnd(
    trainer: Trainer,
    _module: LightningModule,
    outputs: StepOutput,
    _batch: unknown,
    batchIdx: number,
  ): void {
    const loss = Number(lossOf(outputs).item());
    this.excludeBatchesPath ??= join(trainer.defaultRootDir, "skip_batches.json");
    if (!this.excludeBatchesPath.endsWith(".json")) {
      this.excludeBatchesPath = join(this.excludeBatchesPath, "skip_batches.json");
    }
    const { strategy } = trainer;
    const isSpike = batchIdx >= this.warmup && this.#isSpike(loss);
    strategy.barrier();
    // one process's spike ends all of them
    if (strategy.reduceBoolean(isSpike, false)) this.#end(trainer, batchIdx);
    if (this.finiteOnly || strategy.reduceBoolean(Number.isFinite(loss), true)) {
      this.#recent.push(loss);
      if (this.#recent.length > this.window) this.#recent.shift();
      this.lastVal = loss;
    }
  }

  #isSpike(loss: number): boolean {
    if (this.finiteOnly && !Number.isFinite(loss)) return true;
    const change = loss - this.lastVal;
    if (this.mode === "min" ? change <= 0 : change >= 0) return false;
    const mean = this.#recent.reduce((sum, each) => sum + each, 0) / this.#recent.length;
    const distance = Math.abs(loss - mean);
    return (
      (this.atol === null || distance >= Math.abs(this.atol)) &&
      (this.rtol === null || distance >= Math.abs(this.rtol * mean))
    );
  }

  #end(trainer: Trainer, batchIdx: number): never {
    this.badBatches.push(batchIdx - 1, batchIdx);
    const path = this.excludeBatchesPath!;
    if (trainer.isGlobalZero) {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, JSON.stringify(this.badBatches, null, 4));
    }
    throw new TrainingSpikeException(batchIdx);
  }

  override stateDict(): Record<string, unknown> {
    return {
      last_val: this.lastVal,
      mode: this.mode,
      warmup: this.warmup,
      atol: this.atol,
      rtol: this.rtol,
      bad_batches: this.badBatches,
      bad_batches_path: this.excludeBatchesPath,
      running: {},
      mean: {},
    };
  }

  override loadStateDict(state: Record<string, unknown>): void {
    this.lastVal = Number(state.last_val);
    this.mode = state.mode as "min" | "max";
    this.warmup = Number(state.warmup);
    this.atol = state.atol as number | null;
    this.rtol = state.rtol as number | null;
    this.badBatches = [...(state.bad_batches as number[])];
    this.excludeBatchesPath = state.bad_batches_path as string | null;
  }
}

function lossOf(outputs: StepOutput): Tensor {
  const loss = outputs instanceof Tensor ? outputs : outputs?.loss;
  if (loss instanceof Tensor) return loss;
  throw new MisconfigurationError(
    "SpikeDetection needs the loss of each batch, but trainingStep returned none.",
  );
}
