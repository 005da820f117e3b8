import { refusePromise, requireFunction } from "./checks.js";
import { native } from "./native.js";

/** @internal Runs a function that must not return a promise, then `leave`. */
export function runSynchronously<T>(name: string, body: () => T, leave: () => void): T {
  let result: T;
  try {
    result = body();
  } finally {
    leave();
  }
  refusePromise(result, name);
  return result;
}

function withGradEnabled<T>(name: string, enabled: boolean, body: () => T): T {
  requireFunction(body, name);
  const before = native.isGradEnabled();
  native.setGradEnabled(enabled);
  return runSynchronously(name, body, () => native.setGradEnabled(before));
}

/**
 * Runs a synchronous function without recording its operators for gradients.
 *
 * @throws ArgumentError where the function returns a promise
 * @see https://pytorch.org/docs/stable/generated/torch.no_grad.html
 */
export function noGrad<T>(body: () => T): T {
  return withGradEnabled("noGrad", false, body);
}

/** Runs a synchronous function with operators recorded for gradients, also inside {@link noGrad}. */
export function enableGrad<T>(body: () => T): T {
  return withGradEnabled("enableGrad", true, body);
}

/**
 * Runs a synchronous function in inference mode: like {@link noGrad}, with less work per operator; what is made inside can
 * never take part in a graph.
 *
 * @see https://pytorch.org/docs/stable/generated/torch.autograd.grad_mode.inference_mode.html
 */
export function inferenceMode<T>(body: () => T): T {
  requireFunction(body, "inferenceMode");
  return runSynchronously("inferenceMode", body, enterInferenceMode());
}

/** Enters inference mode (or, with `false`, leaves it for a while); the function it returns ends that, in reverse order of entering. */
export function enterInferenceMode(enabled = true): () => void {
  const depth = native.enterInferenceMode(enabled);
  return () => native.leaveInferenceMode(depth);
}

/** Whether operators are recorded for gradients on this thread from now on. */
export function setGradEnabled(enabled: boolean): void {
  native.setGradEnabled(enabled);
}

/** Whether operators are recorded for gradients on this thread. */
export function isGradEnabled(): boolean {
  return native.isGradEnabled();
}

/** Whether inference mode is on. */
export function isInferenceModeEnabled(): boolean {
  return native.isInferenceMode();
}
