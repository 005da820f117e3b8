import { type Callback, Callback as CallbackBase } from "../callback.js";
import { describe } from "../describe.js";
import { isOverridden } from "../dispatch.js";
import { MisconfigurationError } from "../errors.js";
import type { Settings } from "../trainer-options.js";
import { BatchSizeFinder } from "./batch-size-finder.js";
import { Checkpoint as CheckpointCallback } from "./checkpoint.js";
import { LearningRateFinder } from "./learning-rate-finder.js";
import { ModelCheckpoint } from "./model-checkpoint.js";
import { ModelSummary } from "./model-summary.js";
import { ProgressBar, TQDMProgressBar } from "./progress-bar.js";
import { Timer } from "./timer.js";

/** The callbacks of a trainer: those given, and the default ones that its options leave on. */
export function addDefaultCallbacks(settings: Settings): Callback[] {
  const callbacks = [...settings.callbacks];
  const has = (kind: abstract new (...args: never[]) => Callback) =>
    callbacks.some((callback) => callback instanceof kind);
  if (has(CheckpointCallback)) {
    if (!settings.enableCheckpointing) {
      throw new MisconfigurationError(
        "Trainer({ enableCheckpointing: false }) was given, but there is a ModelCheckpoint in callbacks.",
      );
    }
  } else if (settings.enableCheckpointing) {
    callbacks.push(new ModelCheckpoint());
  }
  if (settings.maxTime !== null && !has(Timer))
    callbacks.push(new Timer({ duration: settings.maxTime, interval: "step" }));
  const bars = callbacks.filter((callback) => callback instanceof ProgressBar);
  if (bars.length > 1)
    throw new MisconfigurationError(
      "Trainer({ callbacks }) has several progress bars: only one is supported.",
    );
  if (bars.length === 1 && !settings.enableProgressBar) {
    throw new MisconfigurationError(
      "Trainer({ enableProgressBar: false }) was given, but there is a progress bar in callbacks.",
    );
  }
  if (bars.length === 0 && settings.enableProgressBar) callbacks.push(new TQDMProgressBar());
  if (settings.enableModelSummary && !has(ModelSummary)) callbacks.push(new ModelSummary());
  checkStateKeys(callbacks);
  return inOrder(callbacks);
}

/** A module's callbacks replace the trainer's of the same class. */
export function mergeCallbacks(callbacks: Callback[], given: Callback | Callback[] | null): Callback[] {
  const own = [given ?? []].flat();
  for (const callback of own) {
    if (callback instanceof CallbackBase) continue;
    throw new MisconfigurationError(
      `configureCallbacks returned ${describe(callback)}; it returns a Callback, or an array of them.`,
    );
  }
  if (own.length === 0) return callbacks;
  const replaced = callbacks.filter((callback) => own.some((each) => each instanceof callback.constructor));
  return inOrder([...callbacks.filter((callback) => !replaced.includes(callback)), ...own]);
}

/** What searches for settings comes first, and what saves checkpoints last. */
function inOrder(callbacks: Callback[]): Callback[] {
  const isFinder = (callback: Callback) =>
    callback instanceof BatchSizeFinder || callback instanceof LearningRateFinder;
  const isCheckpoint = (callback: Callback) => callback instanceof CheckpointCallback;
  return [
    ...callbacks.filter(isFinder),
    ...callbacks.filter((callback) => !isFinder(callback) && !isCheckpoint(callback)),
    ...callbacks.filter(isCheckpoint),
  ];
}

function checkStateKeys(callbacks: Callback[]): void {
  const seen = new Set<string>();
  for (const callback of callbacks) {
    if (!isOverridden(callback, "stateDict", CallbackBase)) continue;
    const key = callback.stateKey;
    if (seen.has(key)) {
      throw new MisconfigurationError(
        `There are several callbacks with state under the key ${key}: their stateKey must differ, so that checkpoints can keep both.`,
      );
    }
    seen.add(key);
  }
}
