import type { nn, Tensor } from "@levin/torch";
import type { RngState } from "../rng.js";

/**
 * What levin keeps in a checkpoint beyond Lightning's keys, under the key `levin`: with it, a run that goes on from there is the
 * uninterrupted one to the bit.
 */
export interface ExactState {
  /** The random numbers when the checkpoint was saved. */
  rng: RngState;
  /** Whether an epoch's data was being read, else the next batch is the first one of an epoch. */
  reading: boolean;
  /** The random numbers before that reading began (or, where a batch is read ahead, before that one was). */
  fetchRng: RngState | null;
  /** Over how many batches gradients add up in the epoch. */
  accumulateGradBatches: number;
  /** The gradients that had added up so far, by the names of the parameters. */
  gradients: Record<string, Tensor> | null;
}

/** The gradients of a module by the names of the parameters. */
export function gradientsOf(module: nn.Module): Record<string, Tensor> {
  const gradients: Record<string, Tensor> = {};
  for (const [name, parameter] of module.namedParameters()) {
    if (parameter.grad) gradients[name] = parameter.grad;
  }
  return gradients;
}

/** Puts gradients back that {@link gradientsOf} gave. */
export function restoreGradients(module: nn.Module, gradients: Record<string, Tensor>): void {
  for (const [name, parameter] of module.namedParameters()) {
    const gradient = gradients[name];
    if (gradient) parameter.grad = gradient.to({ device: parameter.device });
  }
}
