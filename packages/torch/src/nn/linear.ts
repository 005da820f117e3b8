import { ArgumentError } from "../errors.js";
import * as ops from "../ops.js";
import type { Tensor } from "../tensor.js";
import { type FactoryOptions, factory, integer } from "./arguments.js";
import * as init from "./init.js";
import { Module } from "./module.js";
import { Parameter } from "./parameter.js";
import { repr } from "./repr.js";

/**
 * Passes on its input. Takes any arguments, so that it can stand for any module.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Identity.html
 */
export class Identity extends Module {
  // PyTorch's Identity ignores whatever it is given.
  constructor(..._args: unknown[]) {
    super();
  }

  override forward<T>(input: T): T {
    return input;
  }
}

/** Options of {@link Linear}. */
export interface LinearOptions extends FactoryOptions {
  /** Whether a bias is learned. Default: true. */
  bias?: boolean;
}

/**
 * `y = x A^T + b`.
 *
 * Shapes: input `(*, inFeatures)`, output `(*, outFeatures)`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Linear.html
 */
export class Linear extends Module {
  inFeatures: number;
  outFeatures: number;
  weight: Parameter;
  bias: Parameter | null;

  constructor(inFeatures: number, outFeatures: number, options: LinearOptions = {}) {
    super();
    this.inFeatures = integer(inFeatures, "inFeatures");
    this.outFeatures = integer(outFeatures, "outFeatures");
    this.weight = new Parameter(ops.empty([outFeatures, inFeatures], factory(options)));
    this.bias = (options.bias ?? true) ? new Parameter(ops.empty([outFeatures], factory(options))) : null;
    this.resetParameters();
  }

  /** Draws weight and bias uniformly from ±1 / sqrt(inFeatures). */
  resetParameters(): void {
    resetWeightAndBias(this.weight, this.bias);
  }

  override forward(input: Tensor): Tensor {
    return ops.linear(input, this.weight, this.bias);
  }

  override extraRepr(): string {
    return `in_features=${this.inFeatures}, out_features=${this.outFeatures}, bias=${repr(this.bias !== null)}`;
  }
}

/** {@link Linear} under the name by which PyTorch prints the output projection of attention. */
export class NonDynamicallyQuantizableLinear extends Linear {}

/** What linear layers and convolutions begin with: both uniform in ±1 / sqrt(fan in). */
export function resetWeightAndBias(weight: Parameter, bias: Parameter | null): void {
  init.kaimingUniform_(weight, { a: Math.sqrt(5) });
  if (bias === null) return;
  const [fanIn] = init.calculateFanInAndFanOut(weight);
  const bound = fanIn > 0 ? 1 / Math.sqrt(fanIn) : 0;
  init.uniform_(bias, { a: -bound, b: bound });
}

/**
 * `y = x1^T A x2 + b`.
 *
 * Shapes: inputs `(*, in1Features)` and `(*, in2Features)`, output `(*, outFeatures)`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Bilinear.html
 */
export class Bilinear extends Module {
  readonly in1Features: number;
  readonly in2Features: number;
  readonly outFeatures: number;
  weight: Parameter;
  bias: Parameter | null;

  constructor(in1Features: number, in2Features: number, outFeatures: number, options: LinearOptions = {}) {
    super();
    if (in1Features <= 0) {
      throw new ArgumentError(`in1_features must be > 0, but got (in1_features=${in1Features}).`);
    }
    this.in1Features = integer(in1Features, "in1Features");
    this.in2Features = integer(in2Features, "in2Features");
    this.outFeatures = integer(outFeatures, "outFeatures");
    this.weight = new Parameter(ops.empty([outFeatures, in1Features, in2Features], factory(options)));
    this.bias = (options.bias ?? true) ? new Parameter(ops.empty([outFeatures], factory(options))) : null;
    this.resetParameters();
  }

  resetParameters(): void {
    const bound = 1 / Math.sqrt(this.in1Features);
    init.uniform_(this.weight, { a: -bound, b: bound });
    if (this.bias !== null) init.uniform_(this.bias, { a: -bound, b: bound });
  }

  override forward(input1: Tensor, input2: Tensor): Tensor {
    return ops.bilinear(input1, input2, this.weight, this.bias);
  }

  override extraRepr(): string {
    return `in1_features=${this.in1Features}, in2_features=${this.in2Features}, out_features=${this.outFeatures}, bias=${repr(this.bias !== null)}`;
  }
}
