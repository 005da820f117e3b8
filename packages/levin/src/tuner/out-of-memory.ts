import { accelerator, memory, OperatorError } from "@levin/torch";

/** Whether an error says that memory did not suffice. */
export function isOutOfMemory(error: unknown): boolean {
  if (error instanceof OperatorError && error.kind === "OutOfMemoryError") return true;
  const message = error instanceof Error ? error.message : "";
  return (
    /CUDA out of memory|CUDNN_STATUS_NOT_SUPPORTED|can't allocate memory/.test(message) ||
    (error instanceof RangeError && /allocation failed|Invalid typed array length/.test(message))
  );
}

/** Frees what nobody holds any more. */
export function freeMemory(): void {
  memory.collect();
  if (accelerator.isAvailable()) accelerator.emptyCache();
}
