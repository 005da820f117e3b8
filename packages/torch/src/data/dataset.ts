import { ArgumentError } from "../errors.js";
import * as ops from "../ops.js";
import type { Generator } from "../random.js";
import { Tensor } from "../tensor.js";
import { forWorkers } from "./workers/portable.js";

/**
 * Samples that are reached by their number.
 *
 * Plain objects and classes alike may be datasets; an array is one, too, where a {@link DataLoader} takes it.
 *
 * @see https://pytorch.org/docs/stable/data.html#torch.utils.data.Dataset
 */
export interface Dataset<T = unknown> {
  /** The number of samples. */
  readonly length: number;

  /** One sample, or a promise of it: such a dataset is read with `for await`. */
  getItem(index: number): T | Promise<T>;

  /**
   * A whole batch at once: what collating the samples would give, or a promise of it. A loader without `collate` of its own asks for it where it is
   * there, which saves the work per sample.
   */
  getItems?: ((indices: readonly number[]) => unknown) | undefined;
}

/**
 * Samples that come one after the other, from a stream or a generator; `length` may tell how many, where that is known.
 *
 * @see https://pytorch.org/docs/stable/data.html#torch.utils.data.IterableDataset
 */
export type IterableDataset<T = unknown> = (Iterable<T> | AsyncIterable<T>) & {
  readonly length?: number | undefined;
};

/** Whether samples come one after the other and have no number. */
export function isIterableDataset(dataset: object): dataset is IterableDataset {
  if (Array.isArray(dataset) || typeof (dataset as Partial<Dataset>).getItem === "function") return false;
  return Symbol.iterator in dataset || Symbol.asyncIterator in dataset;
}

/** A tensor of row numbers, for gathering; negative ones count from the end of `length`. */
export function indexTensor(indices: readonly number[], length: number): Tensor {
  return ops.fromTypedArray(Int32Array.from(indices, (index) => (index < 0 ? index + length : index)));
}

/** One row of each of several tensors. */
export type Row<T extends Tensor[]> = { [I in keyof T]: Tensor };

/**
 * Tensors of equal first size, read row by row: a sample holds one row of each.
 *
 * A batch takes a single gather for each tensor.
 *
 * @see https://pytorch.org/docs/stable/data.html#torch.utils.data.TensorDataset
 */
export class TensorDataset<T extends Tensor[] = Tensor[]> implements Dataset<Row<T>> {
  readonly tensors: T;
  readonly length: number;

  /** @throws ArgumentError where the tensors differ in their first size */
  constructor(...tensors: T) {
    if (tensors.length === 0) throw new ArgumentError("TensorDataset: give at least one tensor.");
    const sizes = tensors.map((tensor, i) => {
      if (!(tensor instanceof Tensor))
        throw new ArgumentError(`TensorDataset: argument ${i} is not a Tensor.`);
      if (tensor.dim() === 0)
        throw new ArgumentError(`TensorDataset: argument ${i} has no dimensions, so no rows.`);
      return tensor.size(0);
    });
    if (sizes.some((size) => size !== sizes[0])) {
      throw new ArgumentError(`TensorDataset: the first sizes must be equal, got ${sizes.join(", ")}.`);
    }
    this.tensors = tensors;
    this.length = sizes[0]!;
  }

  getItem(index: number): Row<T> {
    return this.tensors.map((tensor) => tensor.select(0, index)) as Row<T>;
  }

  getItems(indices: readonly number[]): Row<T> {
    const rows = indexTensor(indices, this.length);
    return this.tensors.map((tensor) => tensor.indexSelect(0, rows)) as Row<T>;
  }
}

/**
 * Some samples of a dataset, in the order of `indices`.
 *
 * @see https://pytorch.org/docs/stable/data.html#torch.utils.data.Subset
 */
export class Subset<T> implements Dataset<T> {
  readonly dataset: Dataset<T>;
  readonly indices: readonly number[];

  constructor(dataset: Dataset<T>, indices: readonly number[]) {
    this.dataset = dataset;
    this.indices = indices;
  }

  get length(): number {
    return this.indices.length;
  }

  getItem(index: number): T | Promise<T> {
    return this.dataset.getItem(innerIndex(this, index));
  }

  /** There where the dataset has it. */
  get getItems(): ((indices: readonly number[]) => unknown) | undefined {
    if (!this.dataset.getItems) return undefined;
    return (indices) => this.dataset.getItems!(indices.map((index) => innerIndex(this, index)));
  }
}

function innerIndex(subset: Subset<unknown>, index: number): number {
  const inner = subset.indices.at(index);
  if (inner === undefined) throw outOfRange("Subset", index, subset.indices.length);
  return inner;
}

/**
 * Deals the samples of a dataset out at random into parts that do not overlap.
 *
 * @param lengths the sizes of the parts, or fractions that sum up to 1: what rounding leaves over goes one by one to the parts, from the first on
 * @param options `generator`: default is the default generator
 * @throws ArgumentError where the sizes don't add up to the length of the dataset
 * @see https://pytorch.org/docs/stable/data.html#torch.utils.data.random_split
 */
export function randomSplit<T, const Lengths extends readonly number[]>(
  dataset: Dataset<T>,
  lengths: Lengths,
  options: { generator?: Generator } = {},
): { -readonly [I in keyof Lengths]: Subset<T> } {
  const sizes = partSizes(dataset.length, lengths);
  const order = ops.randperm(dataset.length, { generator: options.generator ?? null }).toArray() as number[];
  let end = 0;
  const parts = sizes.map((size) => {
    end += size;
    return new Subset(dataset, order.slice(end - size, end));
  });
  return parts as { -readonly [I in keyof Lengths]: Subset<T> };
}

function partSizes(length: number, lengths: readonly number[]): readonly number[] {
  const sum = lengths.reduce((total, part) => total + part, 0);
  if (sum <= 1 && Math.abs(sum - 1) <= 1e-9) {
    const sizes = lengths.map((fraction, i) => {
      if (!(fraction >= 0 && fraction <= 1)) {
        throw new ArgumentError(
          `randomSplit: lengths[${i}] is ${fraction}; a fraction lies between 0 and 1.`,
        );
      }
      return Math.floor(length * fraction);
    });
    const rest = length - sizes.reduce((total, part) => total + part, 0);
    for (let i = 0; i < rest; i++) sizes[i % sizes.length]!++;
    const empty = sizes.indexOf(0);
    if (empty >= 0)
      process.emitWarning(`randomSplit: part ${empty} has no samples, with fractions of ${length}.`);
    return sizes;
  }
  const wrong = lengths.findIndex((part) => !Number.isInteger(part) || part < 0);
  if (wrong >= 0 || sum !== length) {
    throw new ArgumentError(
      `randomSplit: lengths were given as [${lengths.join(", ")}] for ${length} samples: ` +
        "give whole numbers that add up to that, or fractions that add up to 1.",
    );
  }
  return lengths;
}

/** @internal */
export function outOfRange(what: string, index: number, length: number): ArgumentError {
  return new ArgumentError(`${what}: index ${index} is out of range for ${length} samples.`);
}

forWorkers(import.meta.url, { TensorDataset, Subset });
