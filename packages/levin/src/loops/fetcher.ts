import {
  type BatchIterator,
  type CombinedBatch,
  type CombinedLoader,
  isStateful,
} from "../combined-loader.js";
import { type Recorder, record } from "../profilers/recorder.js";
import { getRngStates, type RngState } from "../rng.js";
import { isThenable } from "../thenable.js";

/** What must be known to read the same batches again. */
export interface FetcherState {
  /** The states of the loaders that have one. */
  loaders: Record<string, unknown>[];
  /** The random numbers before the reading began (or, where a batch is read ahead, before that one was). */
  rng: RngState | null;
}

/**
 * Reads a combined loader and knows whether a batch was the last one: from the length or, where that isn't known, by
 * reading one batch ahead.
 */
export class Fetcher {
  /** Batches read so far. */
  fetched = 0;
  /** Whether the last batch was read. */
  done = false;
  #iterator: BatchIterator | null = null;
  #length: number | undefined;
  /** The batch that was read ahead. */
  #ahead: CombinedBatch | null = null;
  /** The state before the reading began, or before the batch that was read ahead. */
  #before: FetcherState | null = null;
  readonly #isStateful: boolean;

  readonly #recorder: Recorder | null;
  readonly #actionName: string;

  /** @param actionName what `recorder`, if there is one, is told of each {@link next} */
  constructor(
    readonly loader: CombinedLoader,
    recorder: Recorder | null,
    actionName: string,
  ) {
    this.#recorder = recorder;
    this.#actionName = actionName;
    this.#isStateful = loader.flattened.length > 0 && loader.flattened.every(isStateful);
  }

  /** Whether it is in the middle of reading. */
  get reading(): boolean {
    return this.#iterator !== null && !this.done;
  }

  /** The state to go on from with the next batch that {@link next} would give. */
  state(): FetcherState {
    const before = this.#before;
    if (before && this.#length === undefined && this.#isStateful && !this.done) return before;
    return { loaders: this.loader.stateDicts(), rng: before?.rng ?? null };
  }

  /** Begins reading from the start. Returns a promise where the batch that is read ahead has to be awaited. */
  start(): void | Promise<void> {
    this.stop();
    this.#before = { loaders: [], rng: getRngStates() };
    this.#iterator = this.loader.iterate();
    this.fetched = 0;
    this.#ahead = null;
    this.#length = this.loader.length;
    this.done = this.#length === 0;
    if (this.#length !== undefined) return;
    const item = this.#readAhead();
    if (isThenable(item)) {
      return item.then((settled) => {
        this.#ahead = settled;
        this.done = settled === null;
      });
    }
    this.#ahead = item;
    this.done = item === null;
  }

  /** Lets the loaders stop their workers. Their state stays what it is. */
  stop(): void {
    this.#iterator?.close();
  }

  /** The next batch, null at the end, or a promise of either. */
  next(): CombinedBatch | null | Promise<CombinedBatch | null> {
    if (this.#recorder === null || this.done) return this.#next();
    return record(this.#recorder, this.#actionName, () => this.#next());
  }

  #next(): CombinedBatch | null | Promise<CombinedBatch | null> {
    if (this.#length === undefined) return this.#nextOfUnknownLength();
    if (this.done) return null;
    const item = this.#iterator!.next();
    return isThenable(item) ? item.then((settled) => this.#count(settled)) : this.#count(item);
  }

  #count(item: CombinedBatch | null): CombinedBatch | null {
    if (item === null) {
      this.done = true;
      return null;
    }
    this.fetched++;
    this.done = this.fetched >= this.#length!;
    return item;
  }

  #nextOfUnknownLength(): CombinedBatch | null | Promise<CombinedBatch | null> {
    const current = this.#ahead;
    if (current === null) return null;
    const item = this.#readAhead();
    const take = (settled: CombinedBatch | null): CombinedBatch => {
      this.fetched++;
      this.#ahead = settled;
      this.done = settled === null;
      return current;
    };
    return isThenable(item) ? item.then(take) : take(item);
  }

  #readAhead(): CombinedBatch | null | Promise<CombinedBatch | null> {
    if (this.#isStateful) this.#before = { loaders: this.loader.stateDicts(), rng: getRngStates() };
    return this.#iterator!.next();
  }
}
