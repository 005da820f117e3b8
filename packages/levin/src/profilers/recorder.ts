import { isThenable } from "../thenable.js";

/** Is told when an action of a run begins and ends. */
export interface Recorder {
  start(actionName: string): void;
  stop(actionName: string): void;
}

/** Whether something wants to be told of actions. */
export function isRecorder<T extends object>(value: T): value is T & Recorder {
  const { start, stop } = value as Partial<Recorder>;
  return typeof start === "function" && typeof stop === "function";
}

/** Does something as an action with a name; of an asynchronous function the action ends when its promise is settled. */
export function record<T>(recorder: Recorder, actionName: string, action: () => T): T {
  recorder.start(actionName);
  let result: T;
  try {
    result = action();
  } catch (error) {
    recorder.stop(actionName);
    throw error;
  }
  if (!isThenable(result)) {
    recorder.stop(actionName);
    return result;
  }
  const stop = () => recorder.stop(actionName);
  return result.then(
    (value) => {
      stop();
      return value;
    },
    (error) => {
      stop();
      throw error;
    },
  ) as T;
}

/** {@link record}, where there is a recorder. */
export function recordIf<T>(recorder: Recorder | null, actionName: string, action: () => T): T {
  return recorder ? record(recorder, actionName, action) : action();
}

/** Several recorders as one; null where there is none. */
export function combineRecorders(recorders: readonly Recorder[]): Recorder | null {
  const [first] = recorders;
  if (first === undefined) return null;
  if (recorders.length === 1) return first;
  return {
    start(actionName) {
      for (const recorder of recorders) recorder.start(actionName);
    },
    stop(actionName) {
      for (const recorder of recorders) recorder.stop(actionName);
    },
  };
}

/** A hook's name as Lightning's reports show it: `onTrainStart` -> `on_train_start`. */
export function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
