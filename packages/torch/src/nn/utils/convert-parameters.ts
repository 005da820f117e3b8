import { ArgumentError } from "../../errors.js";
import * as ops from "../../ops.js";
import { Tensor } from "../../tensor.js";

/**
 * All parameters in one vector.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.parameters_to_vector.html
 */
export function parametersToVector(parameters: Iterable<Tensor>): Tensor {
  const list = [...parameters];
  const [first] = list;
  if (first !== undefined) sameDevice(list, first);
  return ops.cat(list.map((parameter) => parameter.reshape([-1])));
}

/**
 * Gives parameters the values of one vector, which they then share memory with.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.vector_to_parameters.html
 */
export function vectorToParameters(vector: Tensor, parameters: Iterable<Tensor>): void {
  if (!(vector instanceof Tensor))
    throw new ArgumentError(`vectorToParameters: expected a Tensor, but got ${typeof vector}.`);
  const list = [...parameters];
  sameDevice(list, list[0]);
  let at = 0;
  for (const parameter of list) {
    const count = parameter.numel();
    parameter.data = vector.narrow(0, at, count).viewAs(parameter).data;
    at += count;
  }
}

function sameDevice(parameters: readonly Tensor[], first: Tensor | undefined): void {
  if (parameters.some((parameter) => parameter.device !== first?.device)) {
    throw new ArgumentError("Found two parameters on different devices, this is currently not supported.");
  }
}
