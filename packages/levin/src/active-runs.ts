import { MisconfigurationError } from "./errors.js";
import type { TrainerFunction } from "./hooks.js";
import { attachment, type LightningModule } from "./module.js";
import type { Trainer } from "./trainer.js";

/** The trainers that are running on this thread: each but the last one waits in a hook for the one behind it. */
const running: Trainer[] = [];

/**
 * Refuses a run that would be beside another one: whether gradients are recorded, among others, belongs to the thread, and so does the
 * order of random numbers. A run of another trainer and module within a hook, which waits for it, is well.
 */
export function checkRun(trainer: Trainer, module: LightningModule, fn: TrainerFunction): void {
  const other = running.at(-1);
  if (other === undefined) return;
  const what = `trainer.${fn}() was called while`;
  if (running.includes(trainer)) {
    throw new MisconfigurationError(
      `${what} trainer.${trainer.state.fn}() of the same trainer is running. Await that first; within a hook, use another Trainer.`,
    );
  }
  if (running.some((each) => each.lightningModule === module)) {
    throw new MisconfigurationError(
      `${what} another trainer is running the same ${module.constructor.name}. Await that first, or use a copy of the module.`,
    );
  }
  if (other.lightningModule?.[attachment].currentHook === null) throw beside(fn);
}

/** Begins a run; what it returns ends it. */
export function beginRun(trainer: Trainer): () => void {
  running.push(trainer);
  return () => running.splice(running.lastIndexOf(trainer), 1);
}

/** Throws where another run has begun on this thread, and this one has not waited for its end. */
export function throwIfOvertaken(trainer: Trainer): void {
  if (running[running.length - 1] !== trainer) throw beside(trainer.state.fn!);
}

function beside(fn: TrainerFunction): MisconfigurationError {
  return new MisconfigurationError(
    `trainer.${fn}() runs while another trainer is running on the same thread. Await the one before calling the other, or use a worker thread or process for each.`,
  );
}
