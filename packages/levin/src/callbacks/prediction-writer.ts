import { Callback } from "../callback.js";
import { MisconfigurationError } from "../errors.js";
import type { Awaitable } from "../hooks.js";
import type { LightningModule } from "../module.js";
import type { Trainer } from "../trainer.js";

/** When a {@link BasePredictionWriter} writes. */
export type WriteInterval = "batch" | "epoch" | "batch_and_epoch";

const intervals: readonly WriteInterval[] = ["batch", "epoch", "batch_and_epoch"];

/**
 * The base of callbacks that save predictions: override `writeOnBatchEnd`, `writeOnEpochEnd` or both.
 *
 * ```ts
 * class Writer extends BasePredictionWriter {
 *   override writeOnBatchEnd(_trainer: Trainer, _module: LightningModule, prediction: unknown, _indices: number[] | null, _batch: unknown, batchIdx: number) {
 *     torch.save(prediction, `predictions/${batchIdx}.pt`);
 *   }
 * }
 * const trainer = new Trainer({ callbacks: new Writer({ writeInterval: "batch" }) });
 * await trainer.predict(module, { dataloaders, returnPredictions: false });
 * ```
 */
export abstract class BasePredictionWriter extends Callback {
  readonly interval: WriteInterval;

  /**
   * @param options `writeInterval` (default "batch"): when it writes
   */
  constructor(options: { writeInterval?: WriteInterval } = {}) {
    super();
    this.interval = options.writeInterval ?? "batch";
    if (!intervals.includes(this.interval)) {
      throw new MisconfigurationError(
        `${this.constructor.name}: writeInterval was given "${String(this.interval)}"; it is one of ${intervals.join(", ")}.`,
      );
    }
  }

  /** Whether it writes each batch. */
  get onBatch(): boolean {
    return this.interval !== "epoch";
  }

  /** Whether it writes all batches at the end. */
  get onEpoch(): boolean {
    return this.interval !== "batch";
  }

  /** Writes the prediction of a batch; `batchIndices` are its samples' in the dataset, where the loader is a DataLoader. */
  writeOnBatchEnd(
    _trainer: Trainer,
    _module: LightningModule,
    _prediction: unknown,
    _batchIndices: readonly number[] | null,
    _batch: unknown,
    _batchIdx: number,
    _dataloaderIdx: number,
  ): Awaitable<void> {
    throw this.#notDefined("writeOnBatchEnd");
  }

  /** Writes all predictions; they and the indices are by batch, and by loader where there are several. */
  writeOnEpochEnd(
    _trainer: Trainer,
    _module: LightningModule,
    _predictions: readonly unknown[],
    _batchIndices: readonly (readonly (readonly number[])[])[],
  ): Awaitable<void> {
    throw this.#notDefined("writeOnEpochEnd");
  }

  override onPredictBatchEnd(
    trainer: Trainer,
    module: LightningModule,
    outputs: unknown,
    batch: unknown,
    batchIdx: number,
    dataloaderIdx = 0,
  ): Awaitable<void> {
    if (!this.onBatch) return;
    const indices = trainer.predictLoop.currentBatchIndices;
    return this.writeOnBatchEnd(trainer, module, outputs, indices, batch, batchIdx, dataloaderIdx);
  }

  override onPredictEpochEnd(trainer: Trainer, module: LightningModule): Awaitable<void> {
    if (!this.onEpoch) return;
    const { predictions, epochBatchIndices } = trainer.predictLoop;
    return this.writeOnEpochEnd(trainer, module, predictions, epochBatchIndices);
  }

  #notDefined(method: string): MisconfigurationError {
    return new MisconfigurationError(
      `${this.constructor.name} writes at the interval "${this.interval}", but does not define ${method}.`,
    );
  }
}
