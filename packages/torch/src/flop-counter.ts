import { ArgumentError } from "./errors.js";
import { native } from "./native.js";

type Shape = readonly number[];
type Values = readonly unknown[];

const product = (numbers: Shape): number => numbers.reduce((result, number) => result * number, 1);

/** A multiplication and an addition for each product of two entries. */
const ofMatrices = ([m, k]: Shape, [, n]: Shape): number => 2 * m! * n! * k!;
const ofBatches = ([b, m, k]: Shape, [, , n]: Shape): number => 2 * b! * m! * n! * k!;

/** Each point of the output (of the input, where it is transposed) meets the whole filter. */
function ofConvolution(input: Shape, weight: Shape, output: Shape, transposed: boolean): number {
  return 2 * input[0]! * product((transposed ? input : output).slice(2)) * product(weight);
}

function ofConvolutionBackward(inputs: Values, outputs: Values): number {
  const [gradOutput, input, weight] = inputs as [Shape, Shape, Shape];
  const transposed = inputs[7] as boolean;
  const [gradInput, gradWeight] = outputs as [Shape | null, Shape | null];
  const swapped = ([first, second, ...rest]: Shape): Shape => [second!, first!, ...rest];
  let flops = 0;
  if (gradInput) flops += ofConvolution(gradOutput, weight, gradInput, !transposed);
  if (gradWeight) {
    const [moved, filter] = transposed ? [gradOutput, input] : [input, gradOutput];
    flops += ofConvolution(swapped(moved), swapped(filter), swapped(gradWeight), false);
  }
  return flops;
}

/** query x key, and the scores x value. */
function ofAttention([b, h, q, d]: Shape, [, , k]: Shape, value: Shape): number {
  const heads = b! * h!;
  return 2 * heads * q! * k! * (d! + value[3]!);
}

/** The scores once more, then the gradients of the scores, of the value, of the query and of the key. */
function ofAttentionBackward([b, h, q, d]: Shape, [, , k]: Shape, value: Shape): number {
  return 2 * b! * h! * q! * k! * (3 * d! + 2 * value[3]!);
}

type Formula = (inputs: Values, outputs: Values) => number;

const convolution: Formula = (inputs, outputs) =>
  ofConvolution(inputs[0] as Shape, inputs[1] as Shape, outputs[0] as Shape, inputs[6] as boolean);
const attention: Formula = (inputs) => ofAttention(...(inputs as [Shape, Shape, Shape]));
const attentionBackward: Formula = ([, ...inputs]) =>
  ofAttentionBackward(...(inputs as [Shape, Shape, Shape]));
const attentionKinds = [
  "efficient_attention",
  "flash_attention",
  "flash_attention_for_cpu",
  "cudnn_attention",
];

const formulas: Readonly<Record<string, Formula>> = {
  "aten::mm": (inputs) => ofMatrices(inputs[0] as Shape, inputs[1] as Shape),
  "aten::addmm": (inputs) => ofMatrices(inputs[1] as Shape, inputs[2] as Shape),
  "aten::bmm": (inputs) => ofBatches(inputs[0] as Shape, inputs[1] as Shape),
  "aten::baddbmm": (inputs) => ofBatches(inputs[1] as Shape, inputs[2] as Shape),
  "aten::_scaled_mm": (inputs) => ofMatrices(inputs[0] as Shape, inputs[1] as Shape),
  "aten::convolution": convolution,
  "aten::_convolution": convolution,
  "aten::convolution_backward": ofConvolutionBackward,
  ...Object.fromEntries(
    attentionKinds.flatMap((kind) => [
      [`aten::_scaled_dot_product_${kind}`, attention],
      [`aten::_scaled_dot_product_${kind}_backward`, attentionBackward],
    ]),
  ),
};

let running = false;

/**
 * Counts the floating point operations of matrix products, convolutions and attention; all other operators count
 * nothing. It goes by the shapes: `2 m n k` for a product of matrices of the sizes `(m, k)` and `(k, n)`.
 *
 * ```ts
 * const counter = new torch.FlopCounterMode();
 * counter.run(() => net.forward(x).sum().backward());
 * counter.getTotalFlops();
 * ```
 *
 * @see https://github.com/pytorch/pytorch/blob/main/torch/utils/flop_counter.py
 */
export class FlopCounterMode {
  #total = 0;
  #running = false;

  /**
   * Calls a function and counts what runs in it, from 0; returns what it returns.
   *
   * @throws ArgumentError where another counter is running, or the function is asynchronous
   */
  run<T>(fn: () => T): T {
    if (running)
      throw new ArgumentError("FlopCounterMode.run: a counter is already running; they cannot be nested.");
    this.#total = 0;
    native.recordCalls(Object.keys(formulas));
    running = true;
    this.#running = true;
    try {
      const result = fn();
      if (typeof (result as { then?: unknown } | null)?.then === "function") {
        throw new ArgumentError(
          "FlopCounterMode.run: takes a synchronous function, but this one returned a promise.",
        );
      }
      this.getTotalFlops();
      return result;
    } finally {
      this.#running = false;
      running = false;
      native.recordCalls(null);
    }
  }

  /** What was counted in the last (or up to now in the current) {@link run}. */
  getTotalFlops(): number {
    if (this.#running) {
      for (const [name, inputs, outputs] of native.takeCalls())
        this.#total += formulas[name]!(inputs, outputs);
    }
    return this.#total;
  }
}
