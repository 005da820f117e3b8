import { inspect } from "node:util";
import { ArgumentError } from "../errors.js";
import { native } from "../native.js";
import { Tensor } from "../tensor.js";

/** Whether gradients with respect to a learning rate are recorded: in differentiable steps only. */
export function isRecorded(lr: number | Tensor): lr is Tensor {
  return lr instanceof Tensor && lr.requiresGrad && native.isGradEnabled();
}

/** A number, also where it is held by a tensor with one element. */
export function numberOf(value: number | Tensor): number {
  return typeof value === "number" ? value : value.item();
}

/**
 * A learning rate as a number.
 *
 * @throws ArgumentError where gradients with respect to it are recorded, which would get lost
 */
export function rateOf(lr: number | Tensor): number {
  if (!isRecorded(lr)) return numberOf(lr);
  throw new ArgumentError(
    "only SGD, Adam and AdamW have gradients with respect to the learning rate; give a number, or detach it",
  );
}

/** Throws unless `value` is a number of at least 0. */
export function nonNegative(value: unknown, what: string): void {
  if (!(typeof value === "number" && value >= 0)) throw invalid(value, what, "a number of at least 0");
}

/** Throws unless `lr` is a number of at least 0, or a tensor that holds one. */
export function checkLearningRate(lr: number | Tensor): void {
  if (lr instanceof Tensor && lr.numel() !== 1) throw new ArgumentError("Tensor lr must be 1-element");
  nonNegative(lr instanceof Tensor ? lr.item() : lr, "learning rate");
}

/** Throws unless both coefficients lie in [0, 1). */
export function checkBetas(betas: readonly number[], count = 2): void {
  if (!Array.isArray(betas) || betas.length !== count) {
    throw new ArgumentError(
      `betas must be ${count} numbers from 0 to 1, got ${inspect(betas, { depth: 1 })}`,
    );
  }
  for (const [i, beta] of betas.entries()) {
    if (!(typeof beta === "number" && beta >= 0 && beta < 1)) {
      throw invalid(beta, `beta parameter at index ${i}`, "a number of at least 0 and below 1");
    }
  }
}

/** The error for a value that is not allowed. */
export function invalid(value: unknown, what: string, allowed: string): ArgumentError {
  return new ArgumentError(`Invalid ${what}: ${inspect(value, { depth: 0 })}; it is ${allowed}.`);
}
