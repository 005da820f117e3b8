/**
 * The gradients of convolutions, each by itself.
 *
 * @see https://docs.pytorch.org/docs/stable/nn.html
 */
import { call } from "../operator.js";
import type { Tensor } from "../tensor.js";
import { expand, type Size } from "./arguments.js";

/** Options of the gradients of convolutions: those of the convolution. */
export interface ConvGradOptions {
  /** Default: 1. */
  stride?: Size;
  /** Default: 0. */
  padding?: Size;
  /** Default: 1. */
  dilation?: Size;
  /** Default: 1. */
  groups?: number;
}

function gradients(
  dims: number,
  input: Tensor,
  weight: Tensor,
  gradOutput: Tensor,
  options: ConvGradOptions,
  wanted: [input: boolean, weight: boolean, bias: boolean],
): (Tensor | null)[] {
  return call(
    "aten::convolution_backward",
    gradOutput,
    input,
    weight,
    null,
    expand(options.stride ?? 1, dims, "stride"),
    expand(options.padding ?? 0, dims, "padding"),
    expand(options.dilation ?? 1, dims, "dilation"),
    false,
    [0],
    options.groups ?? 1,
    wanted,
  ) as (Tensor | null)[];
}

function ofInput(
  dims: number,
  inputSize: readonly number[],
  weight: Tensor,
  gradOutput: Tensor,
  options: ConvGradOptions,
): Tensor {
  // Only its shape is looked at.
  const input = gradOutput.newEmpty([1]).expand([...inputSize]);
  return gradients(dims, input, weight, gradOutput, options, [true, false, false])[0] as Tensor;
}

function ofWeight(
  dims: number,
  input: Tensor,
  weightSize: readonly number[],
  gradOutput: Tensor,
  options: ConvGradOptions,
): Tensor {
  const weight = gradOutput.newEmpty([1]).expand([...weightSize]);
  return gradients(dims, input, weight, gradOutput, options, [false, true, false])[1] as Tensor;
}

/** The gradient of {@link functional.conv1d} by its input, of a given size. */
export function conv1dInput(
  inputSize: readonly number[],
  weight: Tensor,
  gradOutput: Tensor,
  options: ConvGradOptions = {},
): Tensor {
  return ofInput(1, inputSize, weight, gradOutput, options);
}

/** The gradient of {@link functional.conv1d} by its weight, of a given size. */
export function conv1dWeight(
  input: Tensor,
  weightSize: readonly number[],
  gradOutput: Tensor,
  options: ConvGradOptions = {},
): Tensor {
  return ofWeight(1, input, weightSize, gradOutput, options);
}

/** The gradient of {@link functional.conv2d} by its input, of a given size. */
export function conv2dInput(
  inputSize: readonly number[],
  weight: Tensor,
  gradOutput: Tensor,
  options: ConvGradOptions = {},
): Tensor {
  return ofInput(2, inputSize, weight, gradOutput, options);
}

/** The gradient of {@link functional.conv2d} by its weight, of a given size. */
export function conv2dWeight(
  input: Tensor,
  weightSize: readonly number[],
  gradOutput: Tensor,
  options: ConvGradOptions = {},
): Tensor {
  return ofWeight(2, input, weightSize, gradOutput, options);
}

/** The gradient of {@link functional.conv3d} by its input, of a given size. */
export function conv3dInput(
  inputSize: readonly number[],
  weight: Tensor,
  gradOutput: Tensor,
  options: ConvGradOptions = {},
): Tensor {
  return ofInput(3, inputSize, weight, gradOutput, options);
}

/** The gradient of {@link functional.conv3d} by its weight, of a given size. */
export function conv3dWeight(
  input: Tensor,
  weightSize: readonly number[],
  gradOutput: Tensor,
  options: ConvGradOptions = {},
): Tensor {
  return ofWeight(3, input, weightSize, gradOutput, options);
}
