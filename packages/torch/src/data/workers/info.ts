import type { Dataset, IterableDataset } from "../dataset.js";

/** What the code of a dataset can know of the worker that it runs in. */
export interface WorkerInfo {
  /** Which worker this is, from 0. */
  readonly id: number;
  readonly numWorkers: number;
  /** The seed of this worker's default generator and of its `Math.random`: the loader's base seed and `id`. */
  readonly seed: bigint;
  /** This worker's copy of the dataset. */
  readonly dataset: Dataset | IterableDataset | readonly unknown[];
}

let current: WorkerInfo | null = null;

/**
 * The worker of a {@link DataLoader} that the code runs in; null outside of one. An iterable dataset deals out its samples by it, since
 * each worker reads a copy of the whole dataset:
 *
 * ```ts
 * *[Symbol.iterator]() {
 *   const { id, numWorkers } = data.getWorkerInfo() ?? { id: 0, numWorkers: 1 };
 *   for (let i = id; i < this.files.length; i += numWorkers) yield* readFile(this.files[i]);
 * }
 * ```
 *
 * @see https://pytorch.org/docs/stable/data.html#torch.utils.data.get_worker_info
 */
export function getWorkerInfo(): WorkerInfo | null {
  return current;
}

let inWorker = false;

/** Whether this thread was started by a loader. @internal */
export function isWorkerThread(): boolean {
  return inWorker;
}

/** @internal */
export function markWorkerThread(): void {
  inWorker = true;
}

/** @internal */
export function setWorkerInfo(info: WorkerInfo): void {
  current = info;
}
