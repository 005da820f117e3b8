import { availableParallelism } from "node:os";
import { inspect } from "node:util";
import { cuda } from "../device.js";
import { ArgumentError } from "../errors.js";
import { fromTypedArray } from "../ops.js";
import { defaultGenerator, Generator } from "../random.js";
import type { Tensor } from "../tensor.js";
import { type Collate, type Collated, keepNumberTypes, type NumberType } from "./collate.js";
import { type Dataset, type IterableDataset, isIterableDataset } from "./dataset.js";
import { type LoaderIterator, LocalEpoch } from "./epoch.js";
import { makeReader } from "./fetch.js";
import { Order, unnumbered } from "./order.js";
import {
  BatchSampler,
  boolean,
  drawSeed,
  numBatches,
  positiveInteger,
  RandomSampler,
  type Sampler,
  SequentialSampler,
} from "./sampler.js";
import { isStateful, type Progress, type ReaderState } from "./state.js";
import { WorkerEpoch } from "./workers/epoch.js";
import { isWorkerThread } from "./workers/info.js";
import { WorkerPool } from "./workers/pool.js";
import { pack } from "./workers/portable.js";
import type { WorkerState } from "./workers/protocol.js";

/** What a {@link DataLoader} may be told. */
export interface DataLoaderOptions<Sample = unknown, Batch = unknown> {
  /** How many samples make a batch; null: none are made, the loader gives single samples. Default: 1. */
  batchSize?: number | null;
  /** Reads the samples in a new random order each epoch. Default: false. */
  shuffle?: boolean;
  /** The order of the samples. Default: by `shuffle`. */
  sampler?: Sampler;
  /** The lists of samples that make batches; in place of `batchSize`, `shuffle`, `sampler` and `dropLast`. */
  batchSampler?: Sampler<readonly number[]>;
  /** Leaves out a last batch that isn't full. Default: false. */
  dropLast?: boolean;
  /** Makes a batch of samples. Default: {@link defaultCollate}, with the type of numbers decided by the first batch. */
  collate?: (samples: Sample[]) => Batch | Promise<Batch>;
  /** Source of the random order. Default: the default generator. */
  generator?: Generator;
  /**
   * How many threads load; 0: the one that reads. Each thread has a copy of the dataset, with the memory of tensors shared, and makes its part of the batches; see
   * {@link forWorkers} for what a class of one's own needs to be copied. Default: 0.
   */
  numWorkers?: number;
  /** How many batches each worker makes ahead. Default: 2. */
  prefetchFactor?: number;
  /** Keeps the workers and their datasets between epochs, until {@link DataLoader.close}. Default: false. */
  persistentWorkers?: boolean;
  /** How many seconds a batch of the workers is waited for; 0: without end. Default: 0. */
  timeout?: number;
  /** Called in each worker with its number, after seeding and before the first batch. */
  workerInit?: (workerId: number) => void | Promise<void>;
  /** Whether batches come in the order of the sampler, or as workers have them ready. Default: true. */
  inOrder?: boolean;
  /** Puts the tensors of batches into pinned memory, from which CUDA copies without waiting. Default: false. */
  pinMemory?: boolean;
}

/** What a {@link DataLoader} of single samples may be told. */
export interface UnbatchedLoaderOptions<Sample = unknown, Batch = unknown>
  extends Omit<DataLoaderOptions<Sample, Batch>, "batchSize" | "collate"> {
  /** No batches are made. */
  batchSize: null;
  /** Converts one sample. Default: {@link defaultConvert}. */
  collate?: (sample: Sample) => Batch | Promise<Batch>;
}

const optionNames = [
  "batchSize",
  "shuffle",
  "sampler",
  "batchSampler",
  "dropLast",
  "collate",
  "generator",
  "numWorkers",
  "prefetchFactor",
  "persistentWorkers",
  "timeout",
  "workerInit",
  "inOrder",
  "pinMemory",
];

/** What a loader saves of itself; its form may change between versions. */
interface LoaderState {
  /** Whether an epoch has begun and not ended. */
  within: boolean;
  generators: Tensor[];
  /** Those at the place where the order was drawn; null where it was not yet. */
  orderGenerators?: Tensor[] | null;
  drewSeed: boolean;
  seed: bigint | null;
  numYielded: number;
  sampler: Record<string, unknown> | null;
  ahead: number[];
  reader: ReaderState | null;
  workers: ((Omit<WorkerState, "generator"> & { generator: Tensor }) | null)[];
  lastWorker: number;
  numberTypes: NumberType[];
}

/** Stops the threads of epochs that nobody goes on reading, and of loaders that are gone. */
const abandoned = new FinalizationRegistry<WorkerPool>((pool) => pool.close());

/**
 * Reads a dataset in batches: shuffled or not, in PyTorch's order under the same seed.
 *
 * ```ts
 * const loader = new DataLoader(dataset, { batchSize: 64, shuffle: true, numWorkers: 2 });
 * for (const [images, labels] of loader) { ... }
 * ```
 *
 * Each iteration is an epoch. A dataset whose samples are promises is read with `for await`; so may be all others, which with workers lets the
 * thread do other things while it waits. A loader that can be saved in the middle of an epoch is a {@link StatefulDataLoader}.
 *
 * @see https://pytorch.org/docs/stable/data.html#torch.utils.data.DataLoader
 */
export class DataLoader<Sample = unknown, Batch = Collated<Sample>> {
  readonly dataset: Dataset<Sample> | IterableDataset<Sample> | readonly Sample[];
  /** What it was told, to make another one like it. */
  readonly options: Readonly<DataLoaderOptions<never, Batch>>;
  /** Null where there are no batches, or a `batchSampler` makes them. */
  readonly batchSize: number | null;
  readonly dropLast: boolean;
  /** The order of the samples; null for iterable datasets and where a `batchSampler` was given. */
  readonly sampler: Sampler | null;
  /** Null where there are no batches, and for iterable datasets. */
  readonly batchSampler: Sampler<readonly number[]> | null;
  // not of `Sample`, so that a loader of any samples can be taken for a DataLoader<unknown>
  readonly collate: ((samples: never) => Batch | Promise<Batch>) | undefined;
  readonly generator: Generator | undefined;
  readonly numWorkers: number;
  /** Null without workers. */
  readonly prefetchFactor: number | null;
  readonly persistentWorkers: boolean;
  readonly timeout: number;
  readonly inOrder: boolean;
  readonly pinMemory: boolean;

  /** Kept between epochs, as the type of numbers is decided once. */
  #numberTypes: NumberType[] = [];
  /** How far the epoch has come that was begun last. */
  #progress: Progress | null = null;
  /** Where the next epoch is to begin. */
  #resume: LoaderState | null = null;
  /** Those that live on between epochs. */
  #persistent: WorkerPool | null = null;
  readonly #pools = new Set<WorkerPool>();

  /** @throws ArgumentError where options are wrong or exclude each other */
  constructor(
    dataset: Dataset<Sample> | IterableDataset<Sample> | readonly Sample[],
    options: UnbatchedLoaderOptions<Sample, Batch>,
  );
  constructor(
    dataset: Dataset<Sample> | IterableDataset<Sample> | readonly Sample[],
    options?: DataLoaderOptions<Sample, Batch>,
  );
  constructor(
    dataset: Dataset<Sample> | IterableDataset<Sample> | readonly Sample[],
    options: DataLoaderOptions<never, Batch> = {},
  ) {
    check(dataset, options);
    const { batchSize = 1, shuffle = false, dropLast = false, numWorkers = 0 } = options;

    this.dataset = dataset;
    this.options = { ...options };
    this.batchSize = options.batchSampler ? null : batchSize;
    this.dropLast = dropLast;
    this.collate = options.collate;
    this.generator = options.generator;
    this.numWorkers = numWorkers;
    this.prefetchFactor = numWorkers > 0 ? (options.prefetchFactor ?? 2) : null;
    this.persistentWorkers = options.persistentWorkers ?? false;
    this.timeout = options.timeout ?? 0;
    this.inOrder = options.inOrder ?? true;
    this.pinMemory = options.pinMemory ?? false;

    if (isIterableDataset(dataset)) {
      this.sampler = null;
      this.batchSampler = null;
      return;
    }
    const sized = dataset as Dataset;
    this.sampler = options.batchSampler
      ? null
      : (options.sampler ??
        (shuffle ? new RandomSampler(sized, { generator: this.generator }) : new SequentialSampler(sized)));
    this.batchSampler =
      options.batchSampler ??
      (batchSize === null ? null : new BatchSampler(this.sampler!, batchSize, { dropLast }));
  }

  /** The number of batches; undefined where the sampler or an iterable dataset doesn't tell. */
  get length(): number | undefined {
    const order = this.batchSampler ?? this.sampler;
    if (order) return order.length;
    const { length } = this.dataset;
    if (length === undefined || this.batchSize === null) return length;
    return numBatches(length, this.batchSize, this.dropLast);
  }

  /**
   * Begins an epoch. What {@link LoaderIterator.next} gives is a promise only where the dataset gives promises, or a worker hasn't a batch ready.
   *
   * @throws ArgumentError where there are workers and the dataset cannot be given to them
   */
  iterate(): LoaderIterator<Batch> {
    const resume = this.#resume;
    this.#resume = null;
    const within = resume?.within ? resume : null;
    const sources = this.#generators();
    // The order of an epoch that is gone on with is drawn anew; what the program itself draws is not to be disturbed by it.
    const undisturbed = within && sources.includes(defaultGenerator) ? defaultGenerator.getState() : null;
    if (resume) restore(within ? sources : withoutDefault(sources), resume.generators);

    const generators = sources.map((source) => source.getState());
    const leftOut = within?.ahead ?? [];
    const samplers = this.#samplers();
    if (within?.sampler) samplers.find(isStateful)?.loadStateDict(within.sampler);
    const pool = this.#livingPool();
    const kept = pool?.seed ?? (this.persistentWorkers ? (resume?.seed ?? null) : null);
    const drewSeed = within ? within.drewSeed : kept === null;
    // An epoch takes one number of the generator, before the order is drawn: the seed of its workers, also where there are none.
    const seed = drewSeed ? drawSeed(this.generator) : kept!;

    const progress: Progress = {
      generators,
      orderGenerators: null,
      drewSeed,
      seed,
      numYielded: within?.numYielded ?? 0,
      finished: false,
      sampler: within?.sampler ?? null,
      ahead: leftOut,
      reader: null,
      workers: this.#workerStates(resume),
      lastWorker: within && within.workers.length === this.numWorkers ? within.lastWorker : -1,
      expected: this.sampler || this.batchSampler ? undefined : this.dataset.length,
    };
    const order = new Order(this.batchSampler ?? this.sampler ?? unnumbered, samplers, leftOut, () => {
      progress.orderGenerators = sources.map((source) => source.getState());
    });
    if (within && within.orderGenerators !== null) {
      if (within.orderGenerators) restore(sources, within.orderGenerators);
      order.goTo(within.numYielded - leftOut.length);
    }
    if (undisturbed) defaultGenerator.setState(undisturbed);
    this.#progress = progress;
    return this.numWorkers === 0
      ? this.#local(order, progress, resume?.reader ?? null)
      : this.#withWorkers(order, progress, pool ?? this.#makePool(seed));
  }

  #local(order: Order, progress: Progress, state: ReaderState | null): LoaderIterator<Batch> {
    const { numYielded } = progress;
    const reader = makeReader(
      this.dataset,
      { ...this.#readerOptions(), collateNumbers: keepNumberTypes(this.#numberTypes) },
      state ?? (numYielded > 0 ? { numYielded, dataset: null, iterator: null } : undefined),
    );
    progress.reader = reader;
    return new LocalEpoch<Batch>(order, reader, progress, this.#pins());
  }

  #withWorkers(order: Order, progress: Progress, pool: WorkerPool): LoaderIterator<Batch> {
    const { numWorkers, inOrder, timeout, persistentWorkers } = this;
    const epoch = new WorkerEpoch<Batch>(pool, order, progress, {
      numWorkers,
      prefetchFactor: this.prefetchFactor!,
      inOrder,
      timeout,
      persistentWorkers,
      collateNumbers: keepNumberTypes(this.#numberTypes),
    });
    if (!persistentWorkers) abandoned.register(epoch, pool);
    return epoch;
  }

  #readerOptions() {
    const { batchSize, dropLast } = this;
    const batched = this.batchSampler !== null || (this.sampler === null && batchSize !== null);
    return { batched, batchSize, dropLast, collate: this.collate as Collate | undefined };
  }

  #pins(): boolean {
    return this.pinMemory && cuda.isAvailable();
  }

  #livingPool(): WorkerPool | null {
    if (this.#persistent && (this.#persistent.closed || this.#persistent.failure)) this.#persistent = null;
    return this.#persistent;
  }

  #makePool(seed: bigint): WorkerPool {
    if (isWorkerThread()) {
      throw new ArgumentError(
        "DataLoader: this thread is itself a worker of a loader, so numWorkers must be 0. If a worker imports the program's main module, " +
          "move the dataset to a module of its own.",
      );
    }
    const { collate, ...options } = this.#readerOptions();
    const { workerInit } = this.options;
    const pool = new WorkerPool({
      ...options,
      numWorkers: this.numWorkers,
      seed,
      pinMemory: this.#pins(),
      pack: () => ({
        dataset: pack(this.dataset, "dataset"),
        collate: collate && pack(collate, "collate"),
        workerInit: workerInit && pack(workerInit, "workerInit"),
      }),
    });
    this.#pools.add(pool);
    pool.ended.then(() => this.#pools.delete(pool));
    if (this.persistentWorkers) {
      this.#persistent = pool;
      abandoned.register(this, pool);
    }
    return pool;
  }

  /** Where each worker goes on. */
  #workerStates(resume: LoaderState | null): (WorkerState | null)[] {
    const { numWorkers } = this;
    const states = resume && (resume.within || this.persistentWorkers) ? resume.workers : [];
    if (states.length !== numWorkers) return Array(numWorkers).fill(null);
    return states.map((state) => {
      if (state === null) return null;
      const position = resume!.within ? {} : { numYielded: 0, iterator: null };
      return { ...state, ...position, generator: state.generator.toTypedArray() as Uint8Array };
    });
  }

  [Symbol.iterator](): IterableIterator<Batch> {
    const iterator = this.iterate();
    return {
      next: () => iterator.nextSync(),
      return: () => iterator.return(),
      [Symbol.iterator]() {
        return this;
      },
    };
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Batch> {
    const iterator = this.iterate();
    return {
      next: async () => iterator.next(),
      return: async () => iterator.return(),
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  /** Where the loader is, for {@link StatefulDataLoader}. */
  protected saveState(): Record<string, unknown> {
    if (this.#resume) return { ...this.#resume };
    const progress = this.#progress;
    const within = progress !== null && !progress.finished;
    const sources = withoutDefault(this.#generators());
    const state: LoaderState = {
      within,
      generators: within ? [...progress.generators] : sources.map((source) => source.getState()),
      orderGenerators: within ? progress.orderGenerators && [...progress.orderGenerators] : null,
      drewSeed: progress?.drewSeed ?? true,
      seed: progress?.seed ?? null,
      numYielded: within ? progress.numYielded : 0,
      sampler: within ? progress.sampler : null,
      ahead: within ? [...progress.ahead] : [],
      reader: progress?.reader
        ? readerState(progress.reader.state(), within ? progress.numYielded : null)
        : null,
      workers: (progress?.workers ?? []).map(
        (state) => state && { ...state, generator: fromTypedArray(state.generator) },
      ),
      lastWorker: within ? progress.lastWorker : -1,
      numberTypes: [...this.#numberTypes],
    };
    return state as unknown as Record<string, unknown>;
  }

  /** Makes the next iteration go on from a state that {@link saveState} gave. */
  protected restoreState(saved: Record<string, unknown>): void {
    const state = saved as unknown as LoaderState;
    const sources = this.#generators();
    const expected = state.within ? sources.length : withoutDefault(sources).length;
    if (
      !Array.isArray(state.generators) ||
      state.generators.length !== expected ||
      !Array.isArray(state.workers)
    ) {
      throw new ArgumentError(
        "DataLoader: the state is not that of a loader with the same sampler and generators: load it into one with the same options.",
      );
    }
    if (state.within && isIterableDataset(this.dataset) && state.workers.length !== this.numWorkers) {
      throw new ArgumentError(
        `DataLoader: the state was saved with ${state.workers.length} workers, this loader has ${this.numWorkers}: with an iterable dataset they must be equal.`,
      );
    }
    this.#resume = { ...state };
    this.#numberTypes = [...(state.numberTypes ?? [])];
    // living workers have read on
    this.#persistent?.close();
    this.#persistent = null;
  }

  /** Those that make the order, the outer one first. */
  #samplers(): unknown[] {
    return [this.batchSampler, (this.batchSampler as Partial<BatchSampler> | null)?.sampler, this.sampler];
  }

  /** Those that the order comes from, each one once. */
  #generators(): Generator[] {
    const own = this.#samplers().map(
      (sampler) => (sampler as { generator?: unknown } | null | undefined)?.generator,
    );
    const all = [this.generator ?? defaultGenerator, ...own].filter((one) => one instanceof Generator);
    return [...new Set(all)];
  }

  /**
   * Stops all workers. Needed for those that live on between epochs only, and for who wants to wait for the end of the threads: others stop with
   * their epoch.
   *
   * @returns a promise that is fulfilled when all threads have ended
   */
  async close(): Promise<void> {
    await Promise.all([...this.#pools].map((pool) => pool.join()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** The state of a dataset in the middle of an epoch, or at the beginning of one. */
function readerState(state: ReaderState, numYielded: number | null): ReaderState {
  return numYielded === null ? { ...state, numYielded: 0, iterator: null } : { ...state, numYielded };
}

function withoutDefault(generators: Generator[]): Generator[] {
  return generators.filter((generator) => generator !== defaultGenerator);
}

function restore(generators: Generator[], states: readonly Tensor[]): void {
  for (const [i, generator] of generators.entries()) generator.setState(states[i]!);
}

function check(dataset: unknown, options: DataLoaderOptions<never, unknown>): void {
  const isObject = typeof dataset === "object" && dataset !== null;
  const isMap =
    isObject && (Array.isArray(dataset) || typeof (dataset as Partial<Dataset>).getItem === "function");
  if (!isObject || !(isMap || isIterableDataset(dataset))) {
    throw new ArgumentError(
      `DataLoader: dataset was given ${inspect(dataset, { depth: 0 })}: it needs getItem(index) and length, or to be iterable.`,
    );
  }
  if (isMap && typeof (dataset as { length?: unknown }).length !== "number") {
    throw new ArgumentError(
      "DataLoader: dataset has getItem, but no length: the number of samples must be known.",
    );
  }
  for (const name of Object.keys(options)) {
    if (optionNames.includes(name)) continue;
    throw new ArgumentError(`DataLoader: there is no option "${name}"; there are ${optionNames.join(", ")}.`);
  }

  const { batchSize = 1, shuffle, sampler, batchSampler, dropLast = false, collate, generator } = options;
  if (shuffle !== undefined) boolean("DataLoader: shuffle", shuffle);
  boolean("DataLoader: dropLast", dropLast);
  if (batchSize !== null) positiveInteger("DataLoader: batchSize", batchSize);
  if (collate !== undefined && typeof collate !== "function") {
    throw new ArgumentError(`DataLoader: collate must be a function, got ${inspect(collate)}.`);
  }
  if (generator !== undefined && !(generator instanceof Generator)) {
    throw new ArgumentError(`DataLoader: generator must be a Generator, got ${inspect(generator)}.`);
  }
  for (const [name, value] of [
    ["sampler", sampler],
    ["batchSampler", batchSampler],
  ] as const) {
    if (value === undefined || typeof (value as Partial<Iterable<unknown>>)?.[Symbol.iterator] === "function")
      continue;
    throw new ArgumentError(`DataLoader: ${name} must be iterable, got ${inspect(value)}.`);
  }

  if (!isMap) {
    const given = shuffle ? "shuffle" : sampler ? "sampler" : batchSampler ? "batchSampler" : null;
    if (given) {
      throw new ArgumentError(
        `DataLoader: ${given} was given, but the dataset is iterable: it decides the order of its samples itself.`,
      );
    }
  }
  if (sampler && shuffle)
    throw new ArgumentError("DataLoader: sampler and shuffle exclude each other: give one of them.");
  if (batchSampler && (batchSize !== 1 || shuffle || sampler || dropLast)) {
    throw new ArgumentError(
      "DataLoader: batchSampler makes the batches, so batchSize, shuffle, sampler and dropLast must not be given.",
    );
  }
  if (batchSize === null && dropLast) {
    throw new ArgumentError(
      "DataLoader: batchSize null makes no batches, so there is no last one for dropLast to leave out.",
    );
  }
  checkWorkers(options);
}

function checkWorkers(options: DataLoaderOptions<never, unknown>): void {
  const { numWorkers = 0, prefetchFactor, persistentWorkers = false, timeout = 0, workerInit } = options;
  if (!Number.isInteger(numWorkers) || numWorkers < 0) {
    throw new ArgumentError(
      `DataLoader: numWorkers must be an integer of at least 0, got ${String(numWorkers)}.`,
    );
  }
  if (prefetchFactor !== undefined) positiveInteger("DataLoader: prefetchFactor", prefetchFactor);
  if (!(typeof timeout === "number" && timeout >= 0)) {
    throw new ArgumentError(
      `DataLoader: timeout must be a number of seconds of at least 0, got ${inspect(timeout)}.`,
    );
  }
  for (const name of ["persistentWorkers", "inOrder", "pinMemory"] as const) {
    if (options[name] !== undefined) boolean(`DataLoader: ${name}`, options[name]);
  }
  if (workerInit !== undefined && typeof workerInit !== "function") {
    throw new ArgumentError(`DataLoader: workerInit must be a function, got ${inspect(workerInit)}.`);
  }
  if (numWorkers === 0) {
    const given = Object.entries({ prefetchFactor, persistentWorkers, timeout }).find(([, value]) => value);
    if (given)
      throw new ArgumentError(
        `DataLoader: ${given[0]} is for workers: give a numWorkers above 0, or leave it out.`,
      );
  } else if (numWorkers > availableParallelism()) {
    process.emitWarning(
      `DataLoader: numWorkers is ${numWorkers}, but this machine can run only ${availableParallelism()} threads at once: loading may get slower.`,
    );
  }
  if (options.pinMemory && !cuda.isAvailable()) {
    process.emitWarning("DataLoader: pinMemory is set, but there is no CUDA device: memory is not pinned.");
  }
}
