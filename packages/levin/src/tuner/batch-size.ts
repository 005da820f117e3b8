import type { CombinedLoader } from "../combined-loader.js";
import { DummyLogger } from "../loggers/dummy.js";
import { EvaluationLoop } from "../loops/evaluate.js";
import { FitLoop } from "../loops/fit.js";
import type { BatchLimit } from "../loops/source.js";
import { note, warn } from "../messages.js";
import type { Trainer } from "../trainer.js";
import { getAttribute, setAttribute } from "./attributes.js";
import { freeMemory, isOutOfMemory } from "./out-of-memory.js";
import { Snapshot } from "./snapshot.js";

/** How a batch size is looked for. */
export interface ScaleBatchSizeOptions {
  /** "power": doubles the size until memory doesn't suffice; "binsearch": then looks further between the last two sizes. Default: "power". */
  mode?: "power" | "binsearch";
  /** How many steps are run with each size. Default: 3. */
  stepsPerTrial?: number;
  /** The size to begin with. Default: 2. */
  initVal?: number;
  /** How many sizes are tried at most. Default: 25. */
  maxTrials?: number;
  /** The field of module, data module or their hyperparameters that the loaders take the size from. Default: "batchSize". */
  batchArgName?: string;
  /** By which part the size found with "binsearch" is reduced, to be safe. Default: 0.05. */
  margin?: number;
  /** The largest size. Default: 8192. */
  maxVal?: number;
}

/** What the search changes, to set it back. */
type Limits = "limitTrainBatches" | "limitValBatches" | "limitTestBatches";

/** Looks for the largest batch size that memory suffices for, and goes back to the state before. Null with `fastDevRun`. */
export async function scaleBatchSize(
  trainer: Trainer,
  options: Required<ScaleBatchSizeOptions>,
): Promise<number | null> {
  if (trainer.fastDevRun) {
    warn("With fastDevRun no batch size is looked for.");
    return null;
  }
  const { activeLoop: loop, callbacks, loggers, maxSteps } = trainer;
  const { limitTrainBatches, limitValBatches, limitTestBatches } = trainer;
  const verbose = loop instanceof EvaluationLoop && loop.verbose;
  const snapshot = new Snapshot(trainer);
  const search = new Search(trainer, options);
  let size: number;
  try {
    trainer.progressBarCallback?.disable();
    trainer.exchangeCallbacks([]);
    if (loggers.length > 0) trainer.loggers = [new DummyLogger()];
    limitSteps(trainer, options.stepsPerTrial);
    size = await search.run();
    freeMemory();
    note(`The search for a batch size has ended: ${size}.`);
  } finally {
    trainer.exchangeCallbacks(callbacks);
    Object.assign(trainer, { loggers, maxSteps, limitTrainBatches, limitValBatches, limitTestBatches });
    if (loop instanceof EvaluationLoop) loop.verbose = verbose;
    trainer.progressBarCallback?.enable();
    loop.startFrom(search.begin);
    await search.reload();
    if (!(loop instanceof FitLoop)) await loop.reset();
    snapshot.restore();
    loop.startFrom(search.begin);
  }
  return size;
}

/** Lets each trial be short. Predictions are all made, as in Lightning. */
function limitSteps(trainer: Trainer, count: number): void {
  const limit = (name: Limits, value: BatchLimit) => {
    trainer[name] = value;
  };
  const { activeLoop: loop } = trainer;
  if (loop instanceof FitLoop) {
    limit("limitTrainBatches", { fraction: 1 });
    limit("limitValBatches", { count });
    trainer.maxSteps = count;
  } else if (loop instanceof EvaluationLoop) {
    limit(loop.purpose === "test" ? "limitTestBatches" : "limitValBatches", { count });
    loop.verbose = false;
  }
}

class Search {
  /** The state of the loop before the first trial. */
  readonly begin: Record<string, unknown>;
  readonly #name: string;

  constructor(
    readonly trainer: Trainer,
    readonly options: Required<ScaleBatchSizeOptions>,
  ) {
    this.begin = structuredClone(trainer.activeLoop.stateDict());
    this.#name = options.batchArgName;
  }

  async run(): Promise<number> {
    const [first] = await this.#change({ value: this.options.initVal });
    return this.options.mode === "power" ? this.#byPowers(first) : this.#byBisection(first);
  }

  /** Doubles until it fails, or halves until it works. */
  async #byPowers(first: number): Promise<number> {
    const { maxTrials, maxVal } = this.options;
    let size = first;
    let anySuccess = false;
    for (let trial = 1; trial <= maxTrials; trial++) {
      this.#prepare();
      if (this.#isTooLarge(size, maxVal)) break;
      if (await this.#works()) {
        if (trial === maxTrials) break;
        const [next, changed] = await this.#change({ factor: 2, outcome: "succeeded" });
        size = next;
        if (!changed) break;
        await this.reload();
        anySuccess = true;
      } else {
        freeMemory();
        [size] = await this.#change({ factor: 0.5, outcome: "failed" });
        await this.reload();
        if (anySuccess) break;
      }
    }
    return size;
  }

  /** Doubles until it fails, then halves the distance between what works and what doesn't. */
  async #byBisection(first: number): Promise<number> {
    const { maxTrials, maxVal, margin } = this.options;
    let size = first;
    let low = 1;
    let high: number | null = null;
    for (let successes = 0; ; ) {
      this.#prepare();
      if (this.#isTooLarge(size, maxVal)) break;
      if (await this.#works()) {
        successes++;
        if (successes >= maxTrials) break;
        low = size;
        if (high !== null && high - low <= 1) break;
        const next = high === null ? { factor: 2 } : { value: Math.floor((high + low) / 2) };
        const [changedSize, changed] = await this.#change({ ...next, outcome: "succeeded" });
        size = changedSize;
        if (!changed) break;
        await this.reload();
      } else {
        freeMemory();
        high = size;
        [size] = await this.#change({ value: Math.floor((high + low) / 2), outcome: "failed" });
        await this.reload();
        if (high - low <= 1) break;
      }
    }
    const reduced = Math.max(1, Math.trunc(size * (1 - margin)));
    if (margin > 0 && reduced !== size) {
      note(`The batch size ${size} is reduced to ${reduced}, to be safe.`);
      setAttribute(this.trainer.run.module, this.#name, reduced);
      return reduced;
    }
    return size;
  }

  #prepare(): void {
    freeMemory();
    this.trainer.fitLoop.resetProgress();
  }

  #isTooLarge(size: number, maxVal: number): boolean {
    if (size < maxVal) return false;
    note(`The batch size has reached its limit of ${maxVal}.`);
    return true;
  }

  /** Whether memory suffices for a trial. */
  async #works(): Promise<boolean> {
    const { activeLoop: loop } = this.trainer;
    try {
      loop.startFrom(this.begin);
      await loop.run();
      return true;
    } catch (error) {
      if (isOutOfMemory(error)) return false;
      throw error;
    }
  }

  /** Sets another batch size, unless there are no more samples than in a batch now. */
  async #change(change: {
    value?: number;
    factor?: number;
    outcome?: string;
  }): Promise<[size: number, changed: boolean]> {
    const { trainer } = this;
    const { module } = trainer.run;
    const { value, factor = 1, outcome } = change;
    const { activeLoop: loop } = trainer;
    await loop.setupData();
    const size = Number(getAttribute(module, this.#name));
    const samples = samplesOf(loop.loader!);
    if (samples !== null && size >= samples) {
      note(`The batch size ${size} is not below the number of samples: ${samples}.`);
      return [size, false];
    }
    const next = Math.min(value ?? Math.trunc(size * factor), this.options.maxVal);
    if (outcome !== undefined) note(`Batch size ${size} ${outcome}, trying batch size ${next}.`);
    setAttribute(module, this.#name, next);
    return [next, next !== size];
  }

  /** Makes the loaders anew, with the batch size there is now. */
  async reload(): Promise<void> {
    const { activeLoop: loop } = this.trainer;
    loop.loader = null;
    await loop.setupData();
    if (!(loop instanceof FitLoop)) return;
    loop.validation.loader = null;
    await loop.validation.setupData();
  }
}

/** The number of samples that a combined loader reads; null where none of its loaders knows. */
function samplesOf(loader: CombinedLoader): number | null {
  const lengths = loader.flattened
    .map((each) => (each as { dataset?: { length?: unknown } }).dataset?.length)
    .filter((length) => typeof length === "number");
  if (lengths.length === 0) return null;
  if (loader.mode === "sequential") return lengths.reduce((sum, length) => sum + length, 0);
  return loader.mode === "min_size" ? Math.min(...lengths) : Math.max(...lengths);
}
