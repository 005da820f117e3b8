import { ArgumentError } from "../errors.js";
import { type Collate, defaultConvert, makeDefaultCollate, type NumberCollate } from "./collate.js";
import { type Dataset, type IterableDataset, isIterableDataset } from "./dataset.js";
import { isStateful, type ReaderState } from "./state.js";

/** What makes a batch of a dataset: what a worker needs to know of a loader. */
export interface ReaderOptions {
  /** Whether samples are put together to batches. */
  batched: boolean;
  /** Of an iterable dataset; null for single samples. */
  batchSize: number | null;
  /** Of an iterable dataset: whether a last batch that isn't full is left out. */
  dropLast: boolean;
  collate: Collate | undefined;
  /** How numbers become tensors where `collate` is the default. */
  collateNumbers: NumberCollate;
}

/** The number of a sample, the numbers of the samples of a batch, or null where samples have no numbers. */
export type SampleIndex = number | readonly number[] | null;

/** Makes batches of a dataset, one after the other. */
export interface Reader {
  /**
   * Goes to where {@link makeReader} was told to begin, before the first batch: an iterable dataset without a state is read up to there.
   * Returns a promise where the dataset gives promises.
   */
  start(): void | PromiseLike<void>;
  /** A batch, `end`, or a promise of either. */
  read(index: SampleIndex): unknown;
  /** Where it is. */
  state(): ReaderState;
  /** Tells the dataset that no more is wanted. */
  close(): void;
}

/** There are no more batches. */
export const end: unique symbol = Symbol("end");

/** Reads a dataset, from the beginning or from a state. */
export function makeReader(
  dataset: Dataset | IterableDataset | readonly unknown[],
  options: ReaderOptions,
  state?: ReaderState,
): Reader {
  if (state?.dataset && isStateful(dataset)) dataset.loadStateDict(state.dataset);
  const numYielded = state?.numYielded ?? 0;
  return isIterableDataset(dataset)
    ? new StreamReader(dataset, options, numYielded, state?.iterator ?? null)
    : new IndexReader(dataset, makeFetch(dataset, options), numYielded);
}

type Fetch = (index: SampleIndex) => unknown;

/** How batches of a dataset with numbered samples are made. */
function makeFetch(dataset: Dataset | readonly unknown[], options: ReaderOptions): Fetch {
  const { batched, collate, collateNumbers } = options;
  const source: Dataset = Array.isArray(dataset)
    ? { length: dataset.length, getItem: (index) => dataset[index] }
    : (dataset as Dataset);

  if (!batched) {
    const convert = (collate as ((sample: unknown) => unknown) | undefined) ?? defaultConvert;
    return (index) => then(source.getItem(index as number), convert);
  }
  // A collate function is made for samples, so it must be given those.
  const { getItems } = source;
  if (getItems && !collate) return (indices) => getItems.call(source, indices as readonly number[]);

  const putTogether = collate ?? makeDefaultCollate(collateNumbers);
  return (indices) => {
    const samples: unknown[] = [];
    let waiting = false;
    for (const index of indices as readonly number[]) {
      const sample = source.getItem(index);
      waiting ||= isThenable(sample);
      samples.push(sample);
    }
    return waiting ? Promise.all(samples).then(putTogether) : putTogether(samples);
  };
}

/** Reads a dataset with numbered samples. */
class IndexReader implements Reader {
  constructor(
    readonly dataset: object,
    readonly fetch: Fetch,
    private numYielded: number,
  ) {}

  start(): void {}

  read(index: SampleIndex): unknown {
    this.numYielded++;
    return this.fetch(index);
  }

  state(): ReaderState {
    return {
      numYielded: this.numYielded,
      dataset: isStateful(this.dataset) ? this.dataset.stateDict() : null,
      iterator: null,
    };
  }

  close(): void {}
}

/** Reads an iterable dataset. */
class StreamReader implements Reader {
  readonly #dataset: IterableDataset;
  readonly #iterator: Iterator<unknown> | AsyncIterator<unknown>;
  readonly #batchSize: number | null;
  readonly #dropLast: boolean;
  readonly #putTogether: (samples: never) => unknown;
  #ended = false;
  #numYielded = 0;
  #toSkip: number;

  constructor(
    dataset: IterableDataset,
    options: ReaderOptions,
    numYielded: number,
    iteratorState: Record<string, unknown> | null,
  ) {
    const source = dataset as Partial<Iterable<unknown> & AsyncIterable<unknown>>;
    this.#dataset = dataset;
    this.#iterator = source[Symbol.iterator]?.() ?? source[Symbol.asyncIterator]!();
    this.#batchSize = options.batched ? options.batchSize : null;
    this.#dropLast = options.dropLast;
    this.#putTogether =
      options.collate ??
      (this.#batchSize === null ? defaultConvert : makeDefaultCollate(options.collateNumbers));

    const hasState = isStateful(this.#iterator) || isStateful(dataset);
    if (iteratorState && isStateful(this.#iterator)) this.#iterator.loadStateDict(iteratorState);
    this.#toSkip = hasState ? 0 : numYielded;
    if (hasState) this.#numYielded = numYielded;
  }

  start(): void | PromiseLike<void> {
    while (this.#toSkip > 0) {
      this.#toSkip--;
      const batch = this.read();
      if (isThenable(batch)) return batch.then(() => this.start());
    }
  }

  read(): unknown {
    if (this.#ended) return end;
    const batch = this.#batchSize === null ? this.#readOne() : this.#fill([]);
    this.#numYielded++;
    return batch;
  }

  state(): ReaderState {
    return {
      numYielded: this.#numYielded,
      dataset: isStateful(this.#dataset) ? this.#dataset.stateDict() : null,
      iterator: isStateful(this.#iterator) ? this.#iterator.stateDict() : null,
    };
  }

  close(): void {
    const closing = this.#iterator.return?.();
    // what an asynchronous generator throws in its `finally` has nowhere to go
    if (isThenable(closing)) closing.then(undefined, () => {});
  }

  #next(): IteratorResult<unknown> | Promise<IteratorResult<unknown>> {
    return this.#iterator.next();
  }

  #readOne(): unknown {
    return then(this.#next(), (item) => {
      if (!item.done) return then(item.value, this.#putTogether as (sample: unknown) => unknown);
      this.#ended = true;
      return end;
    });
  }

  #fill(samples: unknown[]): unknown {
    while (!this.#ended && samples.length < this.#batchSize!) {
      const item = this.#next();
      if (isThenable(item)) return this.#fillLater(samples, item);
      this.#take(samples, item);
    }
    return this.#finish(samples);
  }

  async #fillLater(samples: unknown[], pending: PromiseLike<IteratorResult<unknown>>): Promise<unknown> {
    this.#take(samples, await pending);
    while (!this.#ended && samples.length < this.#batchSize!) this.#take(samples, await this.#next());
    return this.#finish(samples);
  }

  #take(samples: unknown[], item: IteratorResult<unknown>): void {
    if (item.done) this.#ended = true;
    else samples.push(item.value);
  }

  #finish(samples: unknown[]): unknown {
    if (samples.length === 0 || (this.#dropLast && samples.length < this.#batchSize!)) return end;
    const putTogether = this.#putTogether as (samples: unknown[]) => unknown;
    return samples.some(isThenable) ? Promise.all(samples).then(putTogether) : putTogether(samples);
  }
}

/** Whether something is to be awaited. */
export function isThenable<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return (
    typeof value === "object" &&
    value !== null &&
    typeof (value as Partial<PromiseLike<T>>).then === "function"
  );
}

/** Applies a function now, or when the value is there. */
export function then<T, R>(value: T | PromiseLike<T>, fn: (value: T) => R): R | PromiseLike<Awaited<R>> {
  return isThenable(value) ? (value.then(fn) as PromiseLike<Awaited<R>>) : fn(value);
}

/** The value, where it needn't be awaited. */
export function now<T>(value: T | PromiseLike<T>): T {
  if (isThenable(value)) {
    throw new ArgumentError(
      "DataLoader: the dataset (or the collate function) returned a promise: read the loader with `for await`.",
    );
  }
  return value;
}
