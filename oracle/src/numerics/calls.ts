import type * as torch from "@levin/torch";
import { flat } from "../levin.js";
import { expectClose, type Tolerance } from "./compare.js";
import { isFloating, numbered, part, type Tensors } from "./group.js";

/**
 * Runs a function on a case's inputs, backpropagates its cotangents and compares outputs and gradients with the recorded ones.
 *
 * @param parameters - Parameters by name, whose gradients are recorded under `grad/`.
 */
export function expectForwardBackward(
  name: string,
  tensors: Tensors,
  fn: (inputs: torch.Tensor[]) => unknown,
  parameters: Map<string, torch.Tensor>,
  tolerance: Tolerance,
): void {
  const inputs = numbered(tensors, `${name}/input/`).map((x) => (isFloating(x) ? x.requiresGrad_() : x));
  const outputs = flat(fn(inputs));
  const wanted = numbered(tensors, `${name}/output/`);
  wanted.forEach((want, i) => {
    expectClose(`output ${i}`, outputs[i], want, tolerance);
  });
  const cotangents = part(tensors, `${name}/cotangent/`);
  const terms = outputs.flatMap((output, i) => {
    const cotangent = cotangents[i];
    return cotangent === undefined ? [] : [output.mul(cotangent).sum()];
  });
  if (terms.length > 0) terms.reduce((a, b) => a.add(b)).backward();
  for (const [i, want] of Object.entries(part(tensors, `${name}/grad_input/`))) {
    expectClose(`gradient of input ${i}`, inputs[Number(i)]?.grad, want, tolerance);
  }
  for (const [key, want] of Object.entries(part(tensors, `${name}/grad/`))) {
    expectClose(`gradient of ${key}`, parameters.get(key)?.grad, want, tolerance);
  }
}
