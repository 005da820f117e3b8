/** How far something got: `ready` before it, `started` after its start hooks, `processed` after its work, `completed` after its end hooks. */
export interface Tracker {
  ready: number;
  completed: number;
  started?: number;
  processed?: number;
}

/** A count over the whole run, and since the current epoch (or run of a loop) began. */
export interface Progress<T extends Tracker = Tracker> {
  total: T;
  current: T;
}

type Full = Required<Tracker>;

/** The progress of batches. */
export interface BatchProgress extends Progress<Full> {
  isLastBatch: boolean;
}

/** Where a fit is: everything that is needed to go on from there. */
export interface FitProgress {
  epoch: Progress<Full>;
  batch: BatchProgress;
  scheduler: Progress;
  optimizerStep: Progress;
  zeroGrad: Progress<Tracker & { started: number }>;
  /** Steps of optimizers in manual optimization. */
  manualStep: Progress;
  validation: BatchProgress;
  /** Batches that ended with an optimizer step: the step that loggers see. */
  batchesThatStepped: number;
}

const full = (): Full => ({ ready: 0, completed: 0, started: 0, processed: 0 });
const readyCompleted = (): Tracker => ({ ready: 0, completed: 0 });
const untilStarted = (): Tracker & { started: number } => ({ ready: 0, completed: 0, started: 0 });

export function newBatchProgress(): BatchProgress {
  return { total: full(), current: full(), isLastBatch: false };
}

export function newFitProgress(): FitProgress {
  return {
    epoch: { total: full(), current: full() },
    batch: newBatchProgress(),
    scheduler: { total: readyCompleted(), current: readyCompleted() },
    optimizerStep: { total: readyCompleted(), current: readyCompleted() },
    zeroGrad: { total: untilStarted(), current: untilStarted() },
    manualStep: { total: readyCompleted(), current: readyCompleted() },
    validation: newBatchProgress(),
    batchesThatStepped: 0,
  };
}

/** Counts one more. */
export function advance<K extends keyof Tracker>(
  progress: Progress<Tracker & Record<K, number>>,
  key: K,
): void {
  advanceTracker(progress.total, key);
  advanceTracker(progress.current, key);
}

// by name: a key that varies would be looked up at every step
function advanceTracker<K extends keyof Tracker>(tracker: Tracker & Record<K, number>, key: K): void {
  const counts = tracker as Full;
  if (key === "ready") counts.ready++;
  else if (key === "completed") counts.completed++;
  else if (key === "started") counts.started++;
  else counts.processed++;
}

/** Sets a count back to zero. */
export function resetTracker(tracker: Tracker): void {
  for (const key of Object.keys(tracker) as (keyof Tracker)[]) tracker[key] = 0;
}

/** Begins a new count of the current epoch. */
export function resetCurrent(progress: Progress): void {
  resetTracker(progress.current);
  if ("isLastBatch" in progress) (progress as BatchProgress).isLastBatch = false;
}

/** Sets everything back to zero. */
export function resetProgress(progress: Progress): void {
  resetTracker(progress.total);
  resetCurrent(progress);
}

/** Goes back to what was completed, when a run goes on from a checkpoint. */
export function rewind(progress: Progress): void {
  const current = progress.current;
  for (const key of Object.keys(current) as (keyof Tracker)[]) current[key] = current.completed;
}

/** Counts `n` more of everything at once. */
export function skipAhead(progress: BatchProgress, n: number, isLastBatch: boolean): void {
  for (const tracker of [progress.total, progress.current]) {
    for (const key of Object.keys(tracker) as (keyof Tracker)[]) tracker[key] = (tracker[key] ?? 0) + n;
  }
  progress.isLastBatch = isLastBatch;
}

type State = Record<string, unknown>;

const saved = (progress: Progress): State => ({
  total: { ...progress.total },
  current: { ...progress.current },
});
const savedBatches = (progress: BatchProgress): State => ({
  ...saved(progress),
  is_last_batch: progress.isLastBatch,
});

/** The progress of a fit in the layout of Lightning's checkpoints. */
export function fitProgressState(progress: FitProgress): State {
  return {
    state_dict: {},
    "epoch_loop.state_dict": { _batches_that_stepped: progress.batchesThatStepped },
    "epoch_loop.batch_progress": savedBatches(progress.batch),
    "epoch_loop.scheduler_progress": saved(progress.scheduler),
    "epoch_loop.automatic_optimization.state_dict": {},
    "epoch_loop.automatic_optimization.optim_progress": {
      optimizer: { step: saved(progress.optimizerStep), zero_grad: saved(progress.zeroGrad) },
    },
    "epoch_loop.manual_optimization.state_dict": {},
    "epoch_loop.manual_optimization.optim_step_progress": saved(progress.manualStep),
    "epoch_loop.val_loop.state_dict": {},
    "epoch_loop.val_loop.batch_progress": savedBatches(progress.validation),
    epoch_progress: saved(progress.epoch),
  };
}

/** The progress of an evaluation in the layout of Lightning's checkpoints. */
export function evaluationProgressState(progress: BatchProgress): State {
  return { state_dict: {}, batch_progress: savedBatches(progress) };
}

/** The progress of a prediction in the layout of Lightning's checkpoints: without `is_last_batch`. */
export function predictionProgressState(progress: BatchProgress): State {
  return { state_dict: {}, batch_progress: saved(progress) };
}

function restore(progress: Progress, state: unknown): void {
  if (typeof state !== "object" || state === null) return;
  const { total, current, is_last_batch } = state as State;
  for (const [tracker, values] of [
    [progress.total, total],
    [progress.current, current],
  ] as const) {
    for (const key of Object.keys(tracker) as (keyof Tracker)[]) {
      const value = (values as State | undefined)?.[key];
      if (value !== undefined) tracker[key] = Number(value);
    }
  }
  if (is_last_batch !== undefined) (progress as BatchProgress).isLastBatch = Boolean(is_last_batch);
}

/** Takes back what {@link fitProgressState} gave. */
export function restoreFitProgress(progress: FitProgress, state: State): void {
  const optimizer = (state["epoch_loop.automatic_optimization.optim_progress"] as State | undefined)
    ?.optimizer as State | undefined;
  restore(progress.epoch, state.epoch_progress);
  restore(progress.batch, state["epoch_loop.batch_progress"]);
  restore(progress.scheduler, state["epoch_loop.scheduler_progress"]);
  restore(progress.optimizerStep, optimizer?.step);
  restore(progress.zeroGrad, optimizer?.zero_grad);
  restore(progress.manualStep, state["epoch_loop.manual_optimization.optim_step_progress"]);
  restore(progress.validation, state["epoch_loop.val_loop.batch_progress"]);
  const own = state["epoch_loop.state_dict"] as State | undefined;
  progress.batchesThatStepped = Number(own?._batches_that_stepped ?? 0);
}

/** Takes back what {@link evaluationProgressState} or {@link predictionProgressState} gave. */
export function restoreBatchProgress(progress: BatchProgress, state: State): void {
  restore(progress, state.batch_progress);
}
