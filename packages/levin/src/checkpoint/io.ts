import { existsSync, mkdirSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { type Device, serialization } from "@levin/torch";
import { LightningError, MisconfigurationError } from "../errors.js";
import type { Awaitable } from "../hooks.js";
import { isThenable } from "../thenable.js";
import { mapTensors } from "../tree.js";
import { toPosted, WriterThread } from "./background.js";
import { fileSystemOf, remoteFileSystemOf } from "./file-system.js";
import type { Checkpoint } from "./layout.js";

/** Options of {@link CheckpointIO.saveCheckpoint}. */
export interface SaveCheckpointOptions {
  /** What the storage wants to know besides the path. */
  storageOptions?: unknown;
}

/** Options of {@link CheckpointIO.loadCheckpoint}. */
export interface LoadCheckpointOptions {
  /** Where the tensors go. Default: the devices they were saved from. */
  mapLocation?: Device;
  /** Checkpoints are always read without executing anything; for the sake of Lightning's signature. */
  weightsOnly?: boolean | null;
}

/**
 * How checkpoints get to storage and back: extend it and give it to the trainer as a plugin. Where a method returns a promise, the
 * trainer waits for it before the next batch.
 */
export abstract class CheckpointIO {
  abstract saveCheckpoint(
    checkpoint: Checkpoint,
    path: string,
    options?: SaveCheckpointOptions,
  ): Awaitable<void>;
  abstract loadCheckpoint(path: string, options?: LoadCheckpointOptions): Awaitable<Checkpoint>;
  abstract removeCheckpoint(path: string): Awaitable<void>;

  /** Copies what is to be saved, which may change afterwards, and gives the function that saves the copy. */
  snapshot(checkpoint: Checkpoint, path: string, options?: SaveCheckpointOptions): () => Awaitable<void> {
    const copy = mapTensors(checkpoint, (tensor) => tensor.detach().clone());
    return () => this.saveCheckpoint(copy, path, options);
  }

  /** Does something when the checkpoints that were to be saved are written. */
  whenSaved(action: () => void): Awaitable<void> {
    action();
  }

  /** When a run ends, in whatever way: waits for what is under way. */
  teardown(): Awaitable<void> {}
}

/**
 * Checkpoints as PyTorch's files, each written beside its place and then renamed, so that no half of one is ever seen; also in file
 * systems of {@link registerFileSystem}.
 */
export class TorchCheckpointIO extends CheckpointIO {
  readonly #writer = new WriterThread();

  saveCheckpoint(checkpoint: Checkpoint, path: string, options: SaveCheckpointOptions = {}): Awaitable<void> {
    checkOptions(options);
    const remote = remoteFileSystemOf(path);
    if (remote) return remote.write(path, serialization.encode(checkpoint));
    mkdirSync(dirname(path), { recursive: true });
    serialization.save(checkpoint, path);
  }

  override snapshot(
    checkpoint: Checkpoint,
    path: string,
    options: SaveCheckpointOptions = {},
  ): () => Awaitable<void> {
    checkOptions(options);
    const posted = remoteFileSystemOf(path) ? null : toPosted(checkpoint, path);
    if (posted) return () => this.#writer.write(posted);
    const bytes = serialization.encode(checkpoint);
    return () => fileSystemOf(path).write(path, bytes);
  }

  override teardown(): Promise<void> {
    return this.#writer.close();
  }

  loadCheckpoint(path: string, options: LoadCheckpointOptions = {}): Awaitable<Checkpoint> {
    // tensors go to the CPU: from there they are copied to where the module and the optimizers are
    const location = { mapLocation: options.mapLocation ?? "cpu" } as const;
    const remote = remoteFileSystemOf(path);
    if (remote) {
      const decode = (bytes: Uint8Array) => serialization.decode(bytes, location) as Checkpoint;
      const bytes = remote.read(path);
      return isThenable(bytes) ? bytes.then(decode) : decode(bytes);
    }
    if (!existsSync(path)) {
      throw new CheckpointNotFoundError(
        `Checkpoint file not found: ${path}. Check the path given as ckptPath.`,
      );
    }
    return serialization.load(path, location) as Checkpoint;
  }

  removeCheckpoint(path: string): Awaitable<void> {
    const remote = remoteFileSystemOf(path);
    if (remote) return remote.remove(path);
    rmSync(path, { recursive: true, force: true });
  }
}

function checkOptions({ storageOptions }: SaveCheckpointOptions): void {
  if (storageOptions === undefined || storageOptions === null) return;
  throw new MisconfigurationError(
    "trainer.saveCheckpoint({ storageOptions }) is not for TorchCheckpointIO, which has no use for them: write a CheckpointIO that has, " +
      "and give it to the trainer as a plugin.",
  );
}

/** There is no checkpoint at the path. */
export class CheckpointNotFoundError extends LightningError {
  override name = "CheckpointNotFoundError";
}
