import { accelerator, type Device } from "@levin/torch";
import { LightningDataModule } from "../data-module.js";
import { isOverridden } from "../dispatch.js";
import { warnOnce } from "../messages.js";
import { attachment, LightningModule, moveToDevice } from "../module.js";
import { type Recorder, record, snakeCase } from "../profilers/recorder.js";
import type { Strategy } from "../strategies/strategy.js";
import { isThenable } from "../thenable.js";

type TransferHook = "onBeforeBatchTransfer" | "transferBatchToDevice" | "onAfterBatchTransfer";
type Owner = LightningModule | LightningDataModule;

/** Who implements the three hooks around a batch's way to the device; null where nobody does. */
export interface Transfer {
  readonly module: LightningModule;
  readonly device: Device;
  /** Whether there is only one device, so that all batches are on it already. */
  readonly isThere: boolean;
  readonly before: Owner | null;
  readonly move: Owner | null;
  readonly after: Owner | null;
  readonly recording: Recording | null;
}

/** Who is told of the hooks, and of what strategy. */
export interface Recording {
  readonly recorder: Recorder;
  readonly strategy: Strategy;
}

/** Looks up, once for a run, who implements the transfer hooks: the data module's come before the module's. */
export function makeTransfer(
  module: LightningModule,
  datamodule: LightningDataModule | null,
  device: Device,
  recording: Recording | null = null,
): Transfer {
  const owner = (name: TransferHook): Owner | null => {
    const onModule = isOverridden(module, name, LightningModule);
    if (datamodule && isOverridden(datamodule, name, LightningDataModule)) {
      if (onModule)
        warnOnce(`${name} is defined in both the module and the data module: the data module's is used.`);
      return datamodule;
    }
    return onModule ? module : null;
  };
  return {
    module,
    device,
    isThere: device === "cpu" && !accelerator.isAvailable(),
    recording,
    before: owner("onBeforeBatchTransfer"),
    move: owner("transferBatchToDevice"),
    after: owner("onAfterBatchTransfer"),
  };
}

/** Brings a batch to the device; returns a promise only where a hook does. */
export function transferBatch(transfer: Transfer, batch: unknown, dataloaderIdx: number): unknown {
  const { before, move, after } = transfer;
  if (transfer.recording) return transferRecorded(transfer, transfer.recording, batch, dataloaderIdx);
  if (before === null && move === null && after === null)
    return transfer.isThere ? batch : moveToDevice(batch, transfer.device);
  const attached = transfer.module[attachment];
  const outer = attached.currentHook;
  let moved = batch;
  if (before) {
    attached.currentHook = "onBeforeBatchTransfer";
    moved = before.onBeforeBatchTransfer(moved, dataloaderIdx);
  }
  if (isThenable(moved)) return transferRest(transfer, moved, dataloaderIdx, outer, true);
  attached.currentHook = "transferBatchToDevice";
  moved = move
    ? move.transferBatchToDevice(moved, transfer.device, dataloaderIdx)
    : moveToDevice(moved, transfer.device);
  if (isThenable(moved)) return transferRest(transfer, moved, dataloaderIdx, outer, false);
  if (after) {
    attached.currentHook = "onAfterBatchTransfer";
    moved = after.onAfterBatchTransfer(moved, dataloaderIdx);
  }
  attached.currentHook = outer;
  return moved;
}

/** {@link transferBatch} with each hook recorded, whether it is defined or not. */
async function transferRecorded(
  { module, device, before, move, after }: Transfer,
  { recorder, strategy }: Recording,
  batch: unknown,
  dataloaderIdx: number,
): Promise<unknown> {
  const attached = module[attachment];
  const outer = attached.currentHook;
  const call = (owner: Owner | null, hook: TransferHook, batch: unknown): unknown => {
    attached.currentHook = hook;
    const who = owner ?? module;
    const kind = who instanceof LightningDataModule ? "LightningDataModule" : "LightningModule";
    return record(recorder, `[${kind}]${who.constructor.name}.${snakeCase(hook)}`, () => {
      if (hook === "transferBatchToDevice") {
        return owner ? owner[hook](batch, device, dataloaderIdx) : moveToDevice(batch, device);
      }
      return owner ? owner[hook](batch, dataloaderIdx) : batch;
    });
  };
  const ready = await call(before, "onBeforeBatchTransfer", batch);
  const action = `[Strategy]${strategy.constructor.name}.batch_to_device`;
  const moved = await record(recorder, action, async () =>
    call(after, "onAfterBatchTransfer", await call(move, "transferBatchToDevice", ready)),
  );
  attached.currentHook = outer;
  return moved;
}

async function transferRest(
  { module, device, move, after }: Transfer,
  pending: PromiseLike<unknown>,
  dataloaderIdx: number,
  outer: string | null,
  stillToMove: boolean,
): Promise<unknown> {
  const attached = module[attachment];
  let moved = await pending;
  if (stillToMove) {
    attached.currentHook = "transferBatchToDevice";
    moved = move
      ? await move.transferBatchToDevice(moved, device, dataloaderIdx)
      : moveToDevice(moved, device);
  }
  if (after) {
    attached.currentHook = "onAfterBatchTransfer";
    moved = await after.onAfterBatchTransfer(moved, dataloaderIdx);
  }
  attached.currentHook = outer;
  return moved;
}
