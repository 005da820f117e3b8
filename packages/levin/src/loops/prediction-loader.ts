import { data } from "@levin/torch";

/** A loader as it is read in prediction. */
export interface PredictionLoader {
  loader: unknown;
  /** The indices in the dataset of each batch that was begun to be read, where they are recorded. */
  batches: readonly (readonly number[])[] | null;
}

/** Gives the lists of another sampler and notes them. */
class RecordingSampler implements data.Sampler<readonly number[]> {
  readonly batches: (readonly number[])[] = [];

  constructor(readonly batchSampler: data.Sampler<readonly number[]>) {}

  get length(): number | undefined {
    return this.batchSampler.length;
  }

  *[Symbol.iterator](): IterableIterator<readonly number[]> {
    this.batches.length = 0;
    for (const batch of this.batchSampler) {
      this.batches.push(batch);
      yield batch;
    }
  }
}

/** Nothing is left out in prediction: a DataLoader's last batch is read, too. The indices are recorded where they are wanted. */
export function makePredictionLoader(loader: unknown, recordsIndices: boolean): PredictionLoader {
  if (!(loader instanceof data.DataLoader)) return { loader, batches: null };
  const { batchSampler } = loader;
  const complete =
    batchSampler instanceof data.BatchSampler && batchSampler.dropLast
      ? new data.BatchSampler(batchSampler.sampler, batchSampler.batchSize)
      : batchSampler;
  if (complete === null || (complete === batchSampler && !recordsIndices)) return { loader, batches: null };
  const { batchSize: _, shuffle, sampler: given, dropLast, batchSampler: own, ...options } = loader.options;
  const recording = recordsIndices ? new RecordingSampler(complete) : null;
  const made = new data.DataLoader(loader.dataset as data.Dataset<never>, {
    ...options,
    batchSampler: recording ?? complete,
  });
  return { loader: made, batches: recording?.batches ?? null };
}
