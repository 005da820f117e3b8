import { ArgumentError } from "../errors.js";
import { type Dataset, type IterableDataset, isIterableDataset, outOfRange } from "./dataset.js";
import { isThenable } from "./fetch.js";
import { forWorkers } from "./workers/portable.js";

/**
 * Several datasets, one after the other.
 *
 * @see https://pytorch.org/docs/stable/data.html#torch.utils.data.ConcatDataset
 */
export class ConcatDataset<T> implements Dataset<T> {
  readonly datasets: readonly Dataset<T>[];
  /** Where each dataset ends: the sums of the lengths. */
  readonly cumulativeSizes: readonly number[];

  constructor(datasets: Iterable<Dataset<T>>) {
    this.datasets = [...datasets];
    if (this.datasets.length === 0) throw new ArgumentError("ConcatDataset: give at least one dataset.");
    let total = 0;
    this.cumulativeSizes = this.datasets.map((dataset, i) => {
      if (isIterableDataset(dataset)) {
        throw new ArgumentError(
          `ConcatDataset: datasets[${i}] is iterable: its samples have no numbers. Use a ChainDataset for those.`,
        );
      }
      total += dataset.length;
      return total;
    });
  }

  get length(): number {
    return this.cumulativeSizes.at(-1)!;
  }

  getItem(index: number): T | Promise<T> {
    const at = index < 0 ? this.length + index : index;
    if (!(at >= 0 && at < this.length)) throw outOfRange("ConcatDataset", index, this.length);
    let low = 0;
    for (let high = this.datasets.length - 1; low < high; ) {
      const middle = (low + high) >> 1;
      if (this.cumulativeSizes[middle]! <= at) low = middle + 1;
      else high = middle;
    }
    return this.datasets[low]!.getItem(at - (low === 0 ? 0 : this.cumulativeSizes[low - 1]!));
  }
}

/** The samples of the datasets at the same places: an array of theirs, or an object. */
export type Stacked<D> = { -readonly [K in keyof D]: D[K] extends Dataset<infer T> ? T : never };

/**
 * Several datasets of equal length, side by side: a sample holds one of each.
 *
 * ```ts
 * new StackDataset([images, captions]).getItem(0); // [image, caption]
 * new StackDataset({ image: images, caption: captions }).getItem(0); // { image, caption }
 * ```
 *
 * @see https://pytorch.org/docs/stable/data.html#torch.utils.data.StackDataset
 */
export class StackDataset<const D extends readonly Dataset[] | Readonly<Record<string, Dataset>>>
  implements Dataset<Stacked<D>>
{
  readonly datasets: D;
  readonly length: number;

  /** @throws ArgumentError where there are no datasets, or their lengths differ */
  constructor(datasets: D) {
    const list = Object.values(datasets);
    if (list.length === 0) throw new ArgumentError("StackDataset: give at least one dataset.");
    const lengths = list.map((dataset) => dataset.length);
    if (lengths.some((length) => length !== lengths[0])) {
      throw new ArgumentError(
        `StackDataset: the lengths of the datasets must be equal, got ${lengths.join(", ")}.`,
      );
    }
    this.datasets = datasets;
    this.length = lengths[0]!;
  }

  getItem(index: number): Stacked<D> | Promise<Stacked<D>> {
    return gather(this.datasets, (dataset) => dataset.getItem(index)) as Stacked<D> | Promise<Stacked<D>>;
  }

  /** There where all datasets have it. */
  get getItems(): ((indices: readonly number[]) => unknown) | undefined {
    if (!Object.values(this.datasets).every((dataset) => dataset.getItems)) return undefined;
    return (indices) => gather(this.datasets, (dataset) => dataset.getItems!(indices));
  }
}

/** What `read` gives for each dataset, in their form; a promise where one of them gives a promise. */
function gather(
  datasets: readonly Dataset[] | Readonly<Record<string, Dataset>>,
  read: (dataset: Dataset) => unknown,
): unknown {
  const parts = Object.values(datasets).map(read);
  const names = Array.isArray(datasets) ? null : Object.keys(datasets);
  const form = (values: unknown[]) =>
    names ? Object.fromEntries(names.map((name, i) => [name, values[i]])) : values;
  return parts.some(isThenable) ? Promise.all(parts).then(form) : form(parts);
}

/**
 * Several iterable datasets, one after the other.
 *
 * @see https://pytorch.org/docs/stable/data.html#torch.utils.data.ChainDataset
 */
export class ChainDataset<T> {
  readonly datasets: readonly IterableDataset<T>[];

  /** @throws ArgumentError where one of them is not iterable */
  constructor(datasets: Iterable<IterableDataset<T>>) {
    this.datasets = [...datasets];
    for (const [i, dataset] of this.datasets.entries()) {
      if (isIterableDataset(dataset)) continue;
      throw new ArgumentError(
        `ChainDataset: datasets[${i}] is not iterable. Use a ConcatDataset for samples with numbers.`,
      );
    }
  }

  /** The sum of the lengths, where all are known. */
  get length(): number | undefined {
    let sum = 0;
    for (const { length } of this.datasets) {
      if (length === undefined) return undefined;
      sum += length;
    }
    return sum;
  }

  /** There where all datasets can be read without promises. */
  get [Symbol.iterator](): (() => IterableIterator<T>) | undefined {
    if (!this.datasets.every((dataset) => Symbol.iterator in dataset)) return undefined;
    return () => chain(this.datasets as readonly Iterable<T>[]);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (const dataset of this.datasets) yield* dataset;
  }
}

function* chain<T>(datasets: readonly Iterable<T>[]): IterableIterator<T> {
  for (const dataset of datasets) yield* dataset;
}

forWorkers(import.meta.url, { ConcatDataset, StackDataset, ChainDataset });
