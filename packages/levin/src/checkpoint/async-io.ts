import type { Awaitable } from "../hooks.js";
import {
  CheckpointIO,
  type LoadCheckpointOptions,
  type SaveCheckpointOptions,
  TorchCheckpointIO,
} from "./io.js";
import type { Checkpoint } from "./layout.js";

/**
 * Writes checkpoints while training goes on: the loop waits for the copy only, and for the checkpoint before, where that is still being
 * written. An error comes up at the next save, or at the end of the run, which waits for all that is under way.
 *
 * ```ts
 * const trainer = new Trainer({ plugins: new AsyncCheckpointIO() });
 * ```
 */
export class AsyncCheckpointIO extends CheckpointIO {
  /** Does what was asked for, one after the other. */
  #queue: Promise<void> = Promise.resolve();
  #pending = 0;
  /** An error that nobody was told of yet. */
  #failure: { error: unknown } | null = null;
  /** Whether a checkpoint could not be saved in this run. */
  #hasFailed = false;

  /** @param checkpointIO writes and reads the checkpoints; default: {@link TorchCheckpointIO} */
  constructor(readonly checkpointIO: CheckpointIO = new TorchCheckpointIO()) {
    super();
  }

  saveCheckpoint(checkpoint: Checkpoint, path: string, options?: SaveCheckpointOptions): Awaitable<void> {
    this.#throwFailure();
    const before = this.#pending > 0 ? this.#queue : null;
    this.#then(this.checkpointIO.snapshot(checkpoint, path, options));
    // no more than two copies in memory
    if (before) return before.then(() => this.#throwFailure());
  }

  override whenSaved(action: () => void): void {
    this.#then(() => (this.#hasFailed ? undefined : action()));
  }

  async loadCheckpoint(path: string, options?: LoadCheckpointOptions): Promise<Checkpoint> {
    await this.#settle();
    return this.checkpointIO.loadCheckpoint(path, options);
  }

  removeCheckpoint(path: string): void {
    // a checkpoint that was to take its place and is not there is no reason to remove it
    this.#then(() => (this.#hasFailed ? undefined : this.checkpointIO.removeCheckpoint(path)));
  }

  override async teardown(): Promise<void> {
    try {
      await this.#settle();
    } finally {
      this.#hasFailed = false;
      await this.checkpointIO.teardown();
    }
  }

  #then(action: () => Awaitable<void>): void {
    this.#pending++;
    this.#queue = this.#queue.then(action).catch((error: unknown) => {
      this.#failure ??= { error };
      this.#hasFailed = true;
    });
    this.#queue = this.#queue.then(() => {
      this.#pending--;
    });
  }

  async #settle(): Promise<void> {
    await this.#queue;
    this.#throwFailure();
  }

  #throwFailure(): void {
    const failure = this.#failure;
    if (!failure) return;
    this.#failure = null;
    throw failure.error;
  }
}
