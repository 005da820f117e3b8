import { ArgumentError } from "../errors.js";
import * as ops from "../ops.js";
import { Generator } from "../random.js";
import type { Tensor } from "../tensor.js";

/**
 * Tells in which order samples are read: numbers of samples or, for a `batchSampler`, lists of them.
 *
 * Each iteration is an epoch. An order is a function of the generator's state when its iteration begins, so an epoch is taken up again by setting
 * that state back and skipping what was read.
 */
export interface Sampler<I = number> extends Iterable<I> {
  /** How many it gives, where that is known. */
  readonly length?: number | undefined;
}

/** Anything with a number of samples. */
export interface Sized {
  readonly length: number;
}

/** A seed as PyTorch draws it: one number of the generator, 64 bits. */
export function drawSeed(generator?: Generator): bigint {
  return ops
    .empty([], { dtype: "int64" })
    .random_({ generator: generator ?? null })
    .item({ bigint: true }) as bigint;
}

/**
 * The samples in order.
 *
 * @see https://pytorch.org/docs/stable/data.html#torch.utils.data.SequentialSampler
 */
export class SequentialSampler implements Sampler {
  readonly dataSource: Sized;

  constructor(dataSource: Sized) {
    this.dataSource = dataSource;
  }

  get length(): number {
    return this.dataSource.length;
  }

  *[Symbol.iterator](): IterableIterator<number> {
    for (let i = 0; i < this.dataSource.length; i++) yield i;
  }
}

/** What a {@link RandomSampler} may be told. */
export interface RandomSamplerOptions {
  /** Draws with replacement. Default: false. */
  replacement?: boolean;
  /** How many are drawn. Default: the number of samples. */
  numSamples?: number;
  /** Default: each epoch one of its own, with a seed from the default generator. */
  generator?: Generator;
}

/**
 * The samples shuffled, or drawn with replacement; the order is PyTorch's under the same seed.
 *
 * @see https://pytorch.org/docs/stable/data.html#torch.utils.data.RandomSampler
 */
export class RandomSampler implements Sampler {
  readonly dataSource: Sized;
  readonly replacement: boolean;
  readonly generator: Generator | undefined;
  readonly #numSamples: number | undefined;

  /** @throws ArgumentError where nothing would be drawn */
  constructor(dataSource: Sized, options: RandomSamplerOptions = {}) {
    const { replacement = false, numSamples, generator } = options;
    this.dataSource = dataSource;
    this.replacement = boolean("RandomSampler: replacement", replacement);
    this.generator = generator;
    this.#numSamples = numSamples;
    if (numSamples === undefined && dataSource.length === 0) {
      throw new ArgumentError("RandomSampler: the dataset is empty, so there is nothing to draw.");
    }
    positiveInteger("RandomSampler: numSamples", this.length);
  }

  /** How many are drawn. */
  get numSamples(): number {
    return this.#numSamples ?? this.dataSource.length;
  }

  get length(): number {
    return this.numSamples;
  }

  *[Symbol.iterator](): IterableIterator<number> {
    const n = this.dataSource.length;
    const total = this.length;
    const generator = this.generator ?? new Generator().manualSeed(drawSeed());
    if (this.replacement) {
      for (let left = total; left >= 32; left -= 32) yield* values(ops.randint(0, n, [32], { generator }));
      yield* values(ops.randint(0, n, [total % 32], { generator }));
      return;
    }
    for (let left = total; left >= n; left -= n) yield* values(ops.randperm(n, { generator }));
    // PyTorch draws the last, cut permutation even where it is cut to nothing
    yield* values(ops.randperm(n, { generator }), total % n);
  }
}

/**
 * Samples of a list, shuffled.
 *
 * @see https://pytorch.org/docs/stable/data.html#torch.utils.data.SubsetRandomSampler
 */
export class SubsetRandomSampler implements Sampler {
  readonly indices: readonly number[];
  readonly generator: Generator | undefined;

  constructor(indices: Iterable<number>, options: { generator?: Generator } = {}) {
    this.indices = [...indices];
    this.generator = options.generator;
  }

  get length(): number {
    return this.indices.length;
  }

  *[Symbol.iterator](): IterableIterator<number> {
    const order = ops.randperm(this.indices.length, { generator: this.generator ?? null });
    for (const i of values(order)) yield this.indices[i]!;
  }
}

/**
 * Draws samples with given probabilities.
 *
 * @see https://pytorch.org/docs/stable/data.html#torch.utils.data.WeightedRandomSampler
 */
export class WeightedRandomSampler implements Sampler {
  /** The weights as a `float64` tensor. */
  readonly weights: Tensor;
  /** How many are drawn. */
  readonly numSamples: number;
  readonly replacement: boolean;
  readonly generator: Generator | undefined;

  /**
   * @param weights one for each sample; they need not sum up to 1
   * @param numSamples how many are drawn
   * @param options `replacement`: default true
   */
  constructor(
    weights: readonly number[] | ArrayBufferView | Tensor,
    numSamples: number,
    options: { replacement?: boolean; generator?: Generator } = {},
  ) {
    this.numSamples = positiveInteger("WeightedRandomSampler: numSamples", numSamples);
    this.replacement = boolean("WeightedRandomSampler: replacement", options.replacement ?? true);
    this.weights = ops.tensor(weights, { dtype: "float64" });
    if (this.weights.dim() !== 1) {
      throw new ArgumentError(
        `WeightedRandomSampler: weights must have one dimension, got the shape [${this.weights.shape.join(", ")}].`,
      );
    }
    this.generator = options.generator;
  }

  get length(): number {
    return this.numSamples;
  }

  *[Symbol.iterator](): IterableIterator<number> {
    const { weights, numSamples, replacement, generator } = this;
    yield* values(ops.multinomial(weights, numSamples, replacement, { generator: generator ?? null }));
  }
}

/**
 * Gathers what another sampler gives into lists.
 *
 * @see https://pytorch.org/docs/stable/data.html#torch.utils.data.BatchSampler
 */
export class BatchSampler implements Sampler<number[]> {
  readonly sampler: Sampler;
  readonly batchSize: number;
  readonly dropLast: boolean;

  /** @param dropLast leaves out a last batch that isn't full, also as an option; default false */
  constructor(sampler: Sampler, batchSize: number, dropLast: boolean | { dropLast?: boolean } = false) {
    this.sampler = sampler;
    this.batchSize = positiveInteger("BatchSampler: batchSize", batchSize);
    const given = typeof dropLast === "object" ? (dropLast.dropLast ?? false) : dropLast;
    this.dropLast = boolean("BatchSampler: dropLast", given);
  }

  get length(): number | undefined {
    const { length } = this.sampler;
    return length === undefined ? undefined : numBatches(length, this.batchSize, this.dropLast);
  }

  *[Symbol.iterator](): IterableIterator<number[]> {
    let batch: number[] = [];
    for (const index of this.sampler) {
      batch.push(index);
      if (batch.length < this.batchSize) continue;
      yield batch;
      batch = [];
    }
    if (batch.length > 0 && !this.dropLast) yield batch;
  }
}

/** What a {@link DistributedSampler} may be told. */
export interface DistributedSamplerOptions {
  /** The number of processes. */
  numReplicas: number;
  /** This process's number. */
  rank: number;
  /** Default: true. */
  shuffle?: boolean;
  /** Of the shuffling; the same in all processes. Default: 0. */
  seed?: number;
  /** Leaves out samples so that all processes get equally many, instead of giving some twice. Default: false. */
  dropLast?: boolean;
}

/**
 * One process's share of the samples. {@link setEpoch} must be called before each epoch for another order; the trainer does.
 *
 * @see https://pytorch.org/docs/stable/data.html#torch.utils.data.distributed.DistributedSampler
 */
export class DistributedSampler implements Sampler {
  readonly dataset: Sized;
  readonly numReplicas: number;
  readonly rank: number;
  readonly shuffle: boolean;
  readonly seed: number;
  readonly dropLast: boolean;
  epoch = 0;

  constructor(dataset: Sized, options: DistributedSamplerOptions) {
    const { numReplicas, rank, shuffle = true, seed = 0, dropLast = false } = options;
    this.numReplicas = positiveInteger("DistributedSampler: numReplicas", numReplicas);
    if (!Number.isInteger(rank) || rank < 0 || rank >= numReplicas) {
      throw new ArgumentError(
        `DistributedSampler: rank is ${rank}; it must be an integer from 0 to ${numReplicas - 1}.`,
      );
    }
    this.dataset = dataset;
    this.rank = rank;
    this.shuffle = boolean("DistributedSampler: shuffle", shuffle);
    this.seed = seed;
    this.dropLast = boolean("DistributedSampler: dropLast", dropLast);
  }

  /** How many samples each process gets. */
  get numSamples(): number {
    const { numReplicas } = this;
    const n = this.dataset.length;
    const dropped = this.dropLast && n % numReplicas !== 0 ? numReplicas : 0;
    return Math.max(0, Math.ceil((n - dropped) / numReplicas));
  }

  /** How many samples all processes get together. */
  get totalSize(): number {
    return this.numSamples * this.numReplicas;
  }

  get length(): number {
    return this.numSamples;
  }

  /** Tells which epoch begins, for an order of its own. */
  setEpoch(epoch: number): void {
    this.epoch = epoch;
  }

  *[Symbol.iterator](): IterableIterator<number> {
    const n = this.dataset.length;
    const order = this.shuffle
      ? (ops
          .randperm(n, { generator: new Generator().manualSeed(this.seed + this.epoch) })
          .toTypedArray() as BigInt64Array)
      : null;
    const total = this.totalSize;
    for (let i = this.rank; i < total; i += this.numReplicas) {
      // past the end the samples begin again
      yield order ? Number(order[i % n]) : i % n;
    }
  }
}

/** How many batches `count` samples make. */
export function numBatches(count: number, batchSize: number, dropLast: boolean): number {
  return dropLast ? Math.floor(count / batchSize) : Math.ceil(count / batchSize);
}

/** @internal */
export function positiveInteger(what: string, value: number): number {
  if (!Number.isInteger(value) || value <= 0) {
    throw new ArgumentError(`${what} must be a positive integer, got ${String(value)}.`);
  }
  return value;
}

/** @internal */
export function boolean(what: string, value: boolean): boolean {
  if (typeof value !== "boolean") throw new ArgumentError(`${what} must be a boolean, got ${String(value)}.`);
  return value;
}

/**
 * The values of an int64 tensor as numbers; those before `end`. Few are read at once: an array of a whole epoch would become garbage
 * that only a collection of everything frees.
 */
function* values(tensor: Tensor, end: number = tensor.size(0)): IterableIterator<number> {
  const most = 1024;
  for (let start = 0; start < end; start += most) {
    const array = tensor.narrow(0, start, Math.min(most, end - start)).toTypedArray() as BigInt64Array;
    for (let i = 0; i < array.length; i++) yield Number(array[i]);
  }
}
