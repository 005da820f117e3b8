import { ArgumentError } from "../errors.js";
import * as ops from "../ops.js";
import type { Tensor } from "../tensor.js";

/** What a state is: a tensor that adds up, or a list that tensors are appended to. */
export type State = Tensor | Tensor[];

/**
 * How the values of one state become one: those of several processes, or those of a batch and of all before it.
 * A function gets the values stacked along the first dimension; null keeps them as they are.
 */
export type StateReduction = "sum" | "mean" | "cat" | "min" | "max" | ((stacked: Tensor) => Tensor) | null;

/** Brings the states of all processes together. */
export interface StateSync {
  /** Whether there are other processes. */
  isAvailable(): boolean;
  /** The tensor of each process, in the order of their ranks; they may differ in shape. */
  gather(tensor: Tensor): Tensor[];
}

let installed: StateSync | null = null;

/** Installs what metrics synchronize their states with, unless they were given their own; null for nothing. */
export function setStateSync(sync: StateSync | null): void {
  installed = sync;
}

/** What {@link setStateSync} has installed. */
export function getStateSync(): StateSync | null {
  return installed;
}

/** Joins tensors along their first dimension; those without dimensions become one element each. */
export function cat(state: State): Tensor {
  if (!Array.isArray(state)) return state;
  if (state.length === 0) throw new ArgumentError("No samples to concatenate: call update before compute.");
  return ops.cat(state.map((tensor) => (tensor.ndim === 0 ? tensor.unsqueeze(0) : tensor)));
}

/** Reduces values that are stacked along the first dimension. */
function reduce(stacked: Tensor, reduction: StateReduction): Tensor {
  switch (reduction) {
    case "sum":
      return stacked.sum(0);
    case "mean":
      return stacked.mean(0);
    case "max":
      return stacked.amax(0);
    case "min":
      return stacked.amin(0);
    case "cat":
      return stacked.flatten(0, 1);
    case null:
      return stacked;
    default:
      return reduction(stacked);
  }
}

/** The state that all processes have together. `empty` stands for a list without tensors, which must be gathered, too. */
export function gatherState(state: State, reduction: StateReduction, sync: StateSync, empty: Tensor): State {
  if (!Array.isArray(state)) return reduce(ops.stack(sync.gather(state)), reduction);
  // One tensor for a list keeps the number of gatherings equal in all processes.
  if (reduction !== "cat") return state.flatMap((tensor) => sync.gather(tensor));
  const all = sync.gather(state.length === 0 ? empty : cat(state));
  const filled = all.filter((tensor) => tensor.numel() > 0);
  return filled.length === 0 ? [] : [cat(filled)];
}

/** The state after more was added: `added` to `state`, which holds what `count - 1` updates have made. */
export function mergeState(state: State, added: State, reduction: StateReduction, count: number): State {
  if (Array.isArray(state) || Array.isArray(added)) return [state, added].flat();
  switch (reduction) {
    case "sum":
      return state.add(added);
    case "mean":
      return state
        .mul(count - 1)
        .add(added)
        .float()
        .div(count);
    case "max":
      return ops.maximum(state, added);
    case "min":
      return ops.minimum(state, added);
    case "cat":
      return ops.cat([state, added]);
    default:
      return reduce(ops.stack([state, added]), reduction);
  }
}
