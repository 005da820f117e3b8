import { end, isThenable, now, type Reader, then } from "./fetch.js";
import type { Order } from "./order.js";
import { pinMemory } from "./pin-memory.js";
import { countBatch, type Progress } from "./state.js";

/** Reads batches: the next one comes at once or as a promise, as the dataset and its workers have it. */
export interface LoaderIterator<Batch> {
  next(): IteratorResult<Batch, undefined> | Promise<IteratorResult<Batch, undefined>>;
  /** The next one at once: waits for workers in this call. Throws where the dataset gives promises. */
  nextSync(): IteratorResult<Batch, undefined>;
  /** Ends before the end. */
  return(): IteratorResult<Batch, undefined>;
}

/** There are no more batches. */
export const finished: IteratorReturnResult<undefined> = { done: true, value: undefined };

/** An epoch that is read in the loader's own thread. */
export class LocalEpoch<Batch> implements LoaderIterator<Batch> {
  #started = false;
  #closed = false;

  constructor(
    readonly order: Order,
    readonly reader: Reader,
    readonly progress: Progress,
    readonly pin: boolean,
  ) {}

  next(): IteratorResult<Batch, undefined> | Promise<IteratorResult<Batch, undefined>> {
    if (this.#started) return this.#read();
    this.#started = true;
    const starting = this.reader.start();
    const read = () => this.#read();
    return isThenable(starting) ? (starting.then(read) as Promise<IteratorResult<Batch, undefined>>) : read();
  }

  nextSync(): IteratorResult<Batch, undefined> {
    return now(this.next());
  }

  #read(): IteratorResult<Batch, undefined> | Promise<IteratorResult<Batch, undefined>> {
    if (this.#closed) return finished;
    const index = this.order.next();
    if (index.done) return this.#finish();
    const samplerState = this.order.samplerState();
    return then(this.reader.read(index.value), (batch) => {
      if (batch === end) return this.#finish();
      countBatch(this.progress);
      this.progress.sampler = samplerState;
      return { done: false, value: (this.pin ? pinMemory(batch) : batch) as Batch };
    }) as ReturnType<LoaderIterator<Batch>["next"]>;
  }

  #finish(): IteratorResult<Batch, undefined> {
    this.#closed = true;
    this.progress.finished = true;
    return finished;
  }

  return(): IteratorResult<Batch, undefined> {
    if (!this.#closed) {
      this.#closed = true;
      const state = this.reader.state();
      this.progress.reader = { state: () => state };
      this.order.close();
      this.reader.close();
    }
    return finished;
  }
}
