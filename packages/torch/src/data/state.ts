import type { Tensor } from "../tensor.js";
import type { Reader } from "./fetch.js";
import type { WorkerState } from "./workers/protocol.js";

/** Something whose state can be saved and taken back. A dataset, its iterator or a sampler may be so; a {@link DataLoader} is. */
export interface Stateful {
  /** The state: of plain objects, arrays, numbers, strings and tensors, so that it can be saved in a checkpoint. */
  stateDict(): Record<string, unknown>;
  loadStateDict(state: Record<string, unknown>): void;
}

/** Whether the state of something can be saved. */
export function isStateful(value: unknown): value is Stateful {
  const candidate = value as Partial<Stateful> | null | undefined;
  return typeof candidate?.stateDict === "function" && typeof candidate.loadStateDict === "function";
}

/** How far a dataset has been read, by the loader itself or by one worker. */
export interface ReaderState {
  /** How many batches it has given. */
  numYielded: number;
  /** The dataset's own state, where it has one. */
  dataset: Record<string, unknown> | null;
  /** The state of an iterable dataset's iterator, where it has one. */
  iterator: Record<string, unknown> | null;
}

/** How far an epoch has come: what must be known to go on from here in another process. */
export interface Progress {
  /** The states of the generators before anything of the epoch was drawn from them. */
  readonly generators: readonly Tensor[];
  /** Their states before the order was drawn, which others may have come before; null while it is not. */
  orderGenerators: readonly Tensor[] | null;
  /** Whether the seed of the workers was drawn in this epoch. */
  readonly drewSeed: boolean;
  /** The base seed of the workers. */
  readonly seed: bigint;
  /** Batches that were given. */
  numYielded: number;
  /** Whether all were. */
  finished: boolean;
  /** The sampler's own state after the last batch that was given, where it has one. */
  sampler: Record<string, unknown> | null;
  /** Places in the order that were given although earlier ones were not, where batches come as they are ready. */
  ahead: readonly number[];
  /** Of the loader's own thread; null with workers. */
  reader: Pick<Reader, "state"> | null;
  /** The state of each worker after the last batch of it that was given; null before. */
  workers: (WorkerState | null)[];
  /** The worker whose batch was given last; -1 before. */
  lastWorker: number;
  /** The number of samples of an iterable dataset that tells one. */
  readonly expected: number | undefined;
}

/** Counts a batch. One more than there are samples means that workers read the same ones. */
export function countBatch(progress: Progress): void {
  progress.numYielded++;
  const { expected } = progress;
  if (expected === undefined || progress.numYielded !== expected + 1) return;
  process.emitWarning(
    `DataLoader: the length of the iterable dataset is ${expected}, but there are more batches than that. ` +
      "With workers, each one reads the whole dataset unless it is dealt out by getWorkerInfo().",
  );
}
