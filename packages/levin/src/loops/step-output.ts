import { Tensor } from "@levin/torch";
import { MisconfigurationError } from "../errors.js";
import type { StepOutput } from "../hooks.js";

/** The output of a training step, made ready for the rest of the batch. */
export interface StepResult {
  /** The loss that gradients are computed of; null where the step returned nothing. */
  loss: Tensor | null;
  /** What else the step returned. */
  extra: Record<string, unknown> | null;
}

/** Of a step that returned nothing. */
export const noResult: StepResult = { loss: null, extra: null };

/** The loss of a step's output; divided by the number of batches that add up. */
export function readStepOutput(output: StepOutput, accumulate: number): StepResult {
  if (output === null || output === undefined) return noResult;
  let loss: unknown = output;
  let extra: Record<string, unknown> | null = null;
  if (!(output instanceof Tensor)) {
    if (typeof output !== "object") {
      throw new MisconfigurationError(
        `In automatic optimization trainingStep must return a tensor, an object with \`loss\`, or nothing; it returned ${typeof output}.`,
      );
    }
    ({ loss, ...extra } = output as Record<string, unknown>);
    if (!(loss instanceof Tensor)) {
      throw new MisconfigurationError(
        "In automatic optimization, when trainingStep returns an object, it needs a tensor under the key `loss`.",
      );
    }
  }
  const tensor = loss as Tensor;
  return { loss: accumulate === 1 ? tensor : tensor.div(accumulate), extra };
}

/** The output of a step in manual optimization. */
export function readManualOutput(output: StepOutput): StepResult {
  if (output === null || output === undefined) return noResult;
  if (output instanceof Tensor) return { loss: output, extra: null };
  if (typeof output === "object") {
    const { loss, ...extra } = output as Record<string, unknown>;
    return { loss: loss instanceof Tensor ? loss : null, extra };
  }
  throw new MisconfigurationError(
    `In manual optimization trainingStep must return a tensor, an object, or nothing; it returned ${typeof output}.`,
  );
}
