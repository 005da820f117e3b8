import type { Collated } from "./collate.js";
import { DataLoader } from "./loader.js";
import type { Stateful } from "./state.js";

/**
 * A {@link DataLoader} that can be saved in the middle of an epoch, so that a run goes on with the very next batch.
 *
 * ```ts
 * const loader = new StatefulDataLoader(dataset, { batchSize: 64, shuffle: true });
 * const state = loader.stateDict(); // after some batches
 * sameLoader.loadStateDict(state);  // its next batch is the one that would have come
 * ```
 *
 * @see https://meta-pytorch.org/data/main/torchdata.stateful_dataloader.html
 */
export class StatefulDataLoader<Sample = unknown, Batch = Collated<Sample>>
  extends DataLoader<Sample, Batch>
  implements Stateful
{
  /**
   * The state after the batch that was given last, in the middle of an epoch or between two. With it, a loader of the same options gives the
   * batches that this one would give next, also with workers, whose generators and datasets go on from there; a later epoch is the
   * same, too, where `generator` was given. An iterable dataset without a state of its own is read again up to there.
   *
   * It can be saved with `torch.save`.
   */
  stateDict(): Record<string, unknown> {
    return this.saveState();
  }

  /**
   * Makes the next iteration go on from a state that {@link stateDict} gave.
   *
   * @throws ArgumentError where the state is not one of a loader like this one
   */
  loadStateDict(stateDict: Record<string, unknown>): void {
    this.restoreState(stateDict);
  }
}
