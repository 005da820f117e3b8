import { ArgumentError } from "@levin/torch";
import { isThenable } from "./thenable.js";
import { flatten, type TreeSpec, unflatten } from "./tree.js";

/** How several loaders are combined. */
export type CombinedLoaderMode = "min_size" | "max_size_cycle" | "max_size" | "sequential";

/** A batch with its number in its loader, and the loader's number (sequential mode; else 0). */
export interface CombinedBatch {
  batch: unknown;
  batchIdx: number;
  dataloaderIdx: number;
}

/** Anything that gives batches: a DataLoader, or any iterable or async iterable. */
export type Loader = Iterable<unknown> | AsyncIterable<unknown>;

/** Loaders as the trainer takes them: one, or any nesting of arrays and objects of them. */
export type Loaders = Loader | readonly Loaders[] | { readonly [name: string]: Loaders };

/** The state a loader can save, so that a run can go on in the middle of an epoch. */
export interface StatefulLoader {
  stateDict(): Record<string, unknown>;
  loadStateDict(state: Record<string, unknown>): void;
}

type AnyIterator = {
  next(): IteratorResult<unknown> | Promise<IteratorResult<unknown>>;
  /** Set where the iterator is this one reading's own and may be ended before its end: what loaders with `iterate` give. */
  close?(): void;
};
/** A function that may have to wait: it yields promises and is given what they hold. */
type Steps<T> = Generator<PromiseLike<unknown>, T, unknown>;

const modes: readonly CombinedLoaderMode[] = ["min_size", "max_size_cycle", "max_size", "sequential"];

/**
 * Loaders (one, or any nesting of arrays and objects of them) read as one.
 *
 * - `"min_size"`: until the shortest is exhausted;
 * - `"max_size_cycle"`: until the longest is exhausted, the others begin again;
 * - `"max_size"`: until the longest is exhausted, null in place of the others' batches;
 * - `"sequential"`: one after the other.
 *
 * In all modes but the last a batch has the structure of the loaders.
 */
export class CombinedLoader {
  readonly mode: CombinedLoaderMode;
  readonly #spec: TreeSpec;
  #flattened: unknown[];
  #limits: number[] | null = null;

  constructor(iterables: Loaders, options: { mode?: CombinedLoaderMode } | CombinedLoaderMode = {}) {
    const mode = (typeof options === "string" ? options : options.mode) ?? "min_size";
    if (!modes.includes(mode)) {
      throw new ArgumentError(`CombinedLoader: mode was given "${mode}"; it is one of ${modes.join(", ")}.`);
    }
    this.mode = mode;
    [this.#flattened, this.#spec] = flatten(iterables, isLoader);
  }

  /** The loaders, in the structure they were given in. */
  get iterables(): unknown {
    return unflatten(this.#spec, this.#flattened);
  }

  /** The loaders as a list. */
  get flattened(): unknown[] {
    return this.#flattened;
  }

  set flattened(loaders: unknown[]) {
    if (loaders.length !== this.#flattened.length) {
      throw new ArgumentError(
        `CombinedLoader: flattened was given ${loaders.length} loaders; there are ${this.#flattened.length}.`,
      );
    }
    this.#flattened = loaders;
  }

  /** The samplers of the loaders, in their structure; null for a loader without one. */
  get sampler(): unknown {
    return this.#fromEach("sampler");
  }

  /** The batch samplers of the loaders, in their structure; null for a loader without one. */
  get batchSampler(): unknown {
    return this.#fromEach("batchSampler");
  }

  #fromEach(field: "sampler" | "batchSampler"): unknown {
    const values = this.#flattened.map((loader) => (loader as Record<string, unknown>)[field] ?? null);
    return unflatten(this.#spec, values);
  }

  /** How many batches are read of each loader at most. */
  get limits(): number[] | null {
    return this.#limits;
  }

  set limits(limits: number | number[] | null) {
    if (Array.isArray(limits) && limits.length !== this.#flattened.length) {
      throw new ArgumentError(
        `CombinedLoader: limits was given ${limits.length} numbers; there are ${this.#flattened.length} loaders.`,
      );
    }
    this.#limits = typeof limits === "number" ? this.#flattened.map(() => limits) : limits;
  }

  /** The number of batches, or undefined where a loader doesn't know its own. */
  get length(): number | undefined {
    const lengths = this.#flattened.map((loader) => lengthOf(loader) ?? Number.POSITIVE_INFINITY);
    const limits = this.#limits;
    const limited = limits ? lengths.map((length, i) => Math.min(length, limits[i]!)) : lengths;
    let length: number;
    if (this.mode === "sequential") length = limited.reduce((sum, value) => sum + value, 0);
    else if (this.mode === "min_size") length = Math.min(...limited);
    else length = Math.max(...limited);
    return Number.isFinite(length) ? length : undefined;
  }

  /** Begins reading. The iterator gives a batch, null at the end, or a promise of either. */
  iterate(): BatchIterator {
    if (this.#flattened.length === 1) {
      const sequential = this.mode === "sequential";
      const limit = sequential ? (this.#limits?.[0] ?? Number.POSITIVE_INFINITY) : Number.POSITIVE_INFINITY;
      return new SingleIterator(this.#flattened[0], sequential ? "leaf" : this.#spec, limit);
    }
    if (this.mode === "sequential") return new SequentialIterator(this.#flattened, this.#limits);
    return new ParallelIterator(this.#flattened, this.#spec, this.mode);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<CombinedBatch> {
    const iterator = this.iterate();
    for (let item = await iterator.next(); item !== null; item = await iterator.next()) yield item;
  }

  *[Symbol.iterator](): Generator<CombinedBatch> {
    const iterator = this.iterate();
    for (;;) {
      const item = iterator.next();
      if (isThenable(item)) {
        throw new ArgumentError("CombinedLoader: a loader is asynchronous; read it with `for await`.");
      }
      if (item === null) return;
      yield item;
    }
  }

  /** Stops the loaders' workers; the next iteration begins anew. */
  async reset(): Promise<void> {
    for (const loader of this.#flattened) await (loader as { close?(): unknown }).close?.();
  }

  /** The states of those loaders that have one. */
  stateDicts(): Record<string, unknown>[] {
    return this.#flattened.filter(isStateful).map((loader) => loader.stateDict());
  }

  /** Takes back what {@link stateDicts} gave. */
  loadStateDicts(states: Record<string, unknown>[]): void {
    if (states.length === 0) return;
    const stateful = this.#flattened.filter(isStateful);
    if (stateful.length !== states.length) {
      throw new ArgumentError(
        `CombinedLoader: there are ${stateful.length} stateful loaders, but ${states.length} states in the checkpoint. ` +
          "Define the same loaders as the run that saved it.",
      );
    }
    for (const [i, loader] of stateful.entries()) loader.loadStateDict(states[i]!);
  }
}

/** Reads batches: gives one, null at the end, or a promise of either. */
export interface BatchIterator {
  next(): CombinedBatch | null | Promise<CombinedBatch | null>;
  /** Tells the loaders that no more is wanted, so that they can stop their workers. */
  close(): void;
}

/** The number of batches of a loader, if it knows it. */
export function lengthOf(loader: unknown): number | undefined {
  const { length, size } = loader as { length?: unknown; size?: unknown };
  if (typeof length === "number") return length;
  return typeof size === "number" ? size : undefined;
}

export function isStateful(loader: unknown): loader is StatefulLoader {
  const candidate = loader as Partial<StatefulLoader> | null;
  return typeof candidate?.stateDict === "function" && typeof candidate.loadStateDict === "function";
}

/** Whether batches can be read of something. */
export function isLoader(value: unknown): value is Loader {
  if (typeof value !== "object" || value === null) return false;
  const candidate = value as {
    iterate?: unknown;
    [Symbol.iterator]?: unknown;
    [Symbol.asyncIterator]?: unknown;
  };
  return (
    typeof candidate.iterate === "function" ||
    typeof candidate[Symbol.iterator] === "function" ||
    typeof candidate[Symbol.asyncIterator] === "function"
  );
}

/** Begins to read a loader. */
export function iteratorOf(loader: unknown): AnyIterator {
  const source = loader as {
    iterate?(): AnyIterator & { return?(): unknown };
    [Symbol.iterator]?(): AnyIterator;
    [Symbol.asyncIterator]?(): AnyIterator;
  };
  if (source.iterate) {
    const iterator = source.iterate();
    return { next: () => iterator.next(), close: () => iterator.return?.() };
  }
  if (source[Symbol.iterator]) return source[Symbol.iterator]!();
  return source[Symbol.asyncIterator]!();
}

/** One loader: the usual case, without any work per batch. */
class SingleIterator implements BatchIterator {
  readonly #iterator: AnyIterator;
  #index = 0;

  constructor(
    loader: unknown,
    readonly spec: TreeSpec,
    readonly limit: number,
  ) {
    this.#iterator = iteratorOf(loader);
  }

  next(): CombinedBatch | null | Promise<CombinedBatch | null> {
    if (this.#index >= this.limit) return null;
    const result = this.#iterator.next();
    return isThenable(result) ? result.then((settled) => this.#item(settled)) : this.#item(result);
  }

  close(): void {
    this.#iterator.close?.();
  }

  #item(result: IteratorResult<unknown>): CombinedBatch | null {
    if (result.done) return null;
    const batch = this.spec === "leaf" ? result.value : unflatten(this.spec, [result.value]);
    return { batch, batchIdx: this.#index++, dataloaderIdx: 0 };
  }
}

class SequentialIterator implements BatchIterator {
  #iterator: AnyIterator | null = null;
  #loader = 0;
  #index = 0;

  constructor(
    readonly loaders: unknown[],
    readonly limits: number[] | null,
  ) {}

  next(): CombinedBatch | null | Promise<CombinedBatch | null> {
    return drive(this.#next());
  }

  close(): void {
    this.#iterator?.close?.();
  }

  *#next(): Steps<CombinedBatch | null> {
    while (this.#loader < this.loaders.length) {
      if (this.#index < (this.limits?.[this.#loader] ?? Number.POSITIVE_INFINITY)) {
        this.#iterator ??= iteratorOf(this.loaders[this.#loader]);
        const result = yield* read(this.#iterator);
        if (!result.done) {
          return { batch: result.value, batchIdx: this.#index++, dataloaderIdx: this.#loader };
        }
      }
      this.close();
      this.#loader++;
      this.#index = 0;
      this.#iterator = null;
    }
    return null;
  }
}

class ParallelIterator implements BatchIterator {
  readonly #iterators: AnyIterator[];
  readonly #consumed: boolean[];
  #index = 0;

  constructor(
    readonly loaders: unknown[],
    readonly spec: TreeSpec,
    readonly mode: CombinedLoaderMode,
  ) {
    this.#iterators = loaders.map(iteratorOf);
    this.#consumed = loaders.map(() => false);
  }

  next(): CombinedBatch | null | Promise<CombinedBatch | null> {
    return drive(this.#next());
  }

  close(): void {
    for (const iterator of this.#iterators) iterator.close?.();
  }

  *#next(): Steps<CombinedBatch | null> {
    const values: unknown[] = [];
    let exhausted = 0;
    for (let i = 0; i < this.#iterators.length; i++) {
      let result = yield* read(this.#iterators[i]!);
      if (result.done) {
        if (this.mode === "min_size") return null;
        exhausted++;
        this.#consumed[i] = true;
        if (this.mode === "max_size_cycle") {
          if (this.#consumed.every(Boolean)) return null;
          this.#iterators[i] = iteratorOf(this.loaders[i]);
          result = yield* read(this.#iterators[i]!);
          if (result.done) return null;
        }
      }
      values.push(result.done ? null : result.value);
    }
    if (this.mode === "max_size" && exhausted === values.length) return null;
    return { batch: unflatten(this.spec, values), batchIdx: this.#index++, dataloaderIdx: 0 };
  }
}

function* read(iterator: AnyIterator): Steps<IteratorResult<unknown>> {
  const result = iterator.next();
  return isThenable(result) ? ((yield result) as IteratorResult<unknown>) : result;
}

/** Runs steps to their end: at once, or, from the first promise they yield on, asynchronously. */
function drive<T>(steps: Steps<T>): T | Promise<T> {
  const first = steps.next();
  return first.done ? first.value : driveOn(steps, first.value);
}

async function driveOn<T>(steps: Steps<T>, pending: PromiseLike<unknown>): Promise<T> {
  for (let awaited = pending; ; ) {
    const state = steps.next(await awaited);
    if (state.done) return state.value;
    awaited = state.value;
  }
}
