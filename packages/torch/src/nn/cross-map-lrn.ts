import { Function as AutogradFunction, type FunctionContext } from "../autograd.js";
import { ArgumentError } from "../errors.js";
import * as ops from "../ops.js";
import type { Tensor } from "../tensor.js";
import { integer } from "./arguments.js";
import { Module } from "./module.js";
import type { LocalResponseNormOptions } from "./norm.js";
import { floatRepr, repr } from "./repr.js";

interface Settings {
  size: number;
  alpha: number;
  beta: number;
  k: number;
}

/**
 * What the values of each channel are divided by, before the power.
 *
 * Two things are kept as PyTorch has them, for the same numbers: the first channel is never taken out of the window again,
 * and the window of the gradient lies before the channel, not around it.
 */
function scaleOf(input: Tensor, { size, alpha, k }: Settings): Tensor {
  const squares = input.pow(2).unbind(1);
  const channels = squares.length;
  const half = Math.floor((size - 1) / 2 + 1);
  let sum = squares.slice(0, half).reduce((a, b) => a.add(b));
  const sums = squares.map((_, channel) => {
    if (channel > 0 && channel <= channels - half) sum = sum.add(squares[channel + half - 1] as Tensor);
    if (channel > half) sum = sum.sub(squares[channel - half] as Tensor);
    return sum;
  });
  return ops
    .stack(sums, 1)
    .mul(alpha / size)
    .add(k);
}

class CrossMap extends AutogradFunction {
  static override forward(ctx: FunctionContext, input: Tensor, settings: Settings): Tensor {
    const scale = scaleOf(input, settings);
    const output = scale.pow(-settings.beta).mul(input);
    ctx.settings = settings;
    ctx.saveForBackward(input, output, scale);
    return output;
  }

  static override backward(ctx: FunctionContext, gradient: Tensor): (Tensor | null)[] {
    const [input, output, scale] = ctx.savedTensors as [Tensor, Tensor, Tensor];
    const { size, alpha, beta } = ctx.settings as Settings;
    const before = Math.floor(size - (size - 1) / 2);
    const ratio = ops.pad(gradient.mul(output).div(scale), [0, 0, 0, 0, before, size - 1 - before]);
    const sums = ratio.unfold(1, size, 1).sum([-1]);
    const own = scale.pow(-beta).mul(gradient);
    return [own.sub(input.mul(sums).mul((2 * alpha * beta) / size)), null];
  }
}

/**
 * An older form of {@link LocalResponseNorm}, for images. Shapes: input and output `(N, C, H, W)`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LocalResponseNorm.html
 */
export class CrossMapLRN2d extends Module {
  readonly size: number;
  readonly alpha: number;
  readonly beta: number;
  readonly k: number;

  constructor(size: number, options: LocalResponseNormOptions = {}) {
    super();
    this.size = integer(size, "size", 1);
    this.alpha = options.alpha ?? 1e-4;
    this.beta = options.beta ?? 0.75;
    this.k = options.k ?? 1;
  }

  override forward(input: Tensor): Tensor {
    if (input.ndim !== 4) {
      throw new ArgumentError(`CrossMapLRN2d: expected input to be 4D, got ${input.ndim}D instead.`);
    }
    const { size, alpha, beta, k } = this;
    return CrossMap.apply(input, { size, alpha, beta, k });
  }

  override extraRepr(): string {
    return `${this.size}, alpha=${floatRepr(this.alpha)}, beta=${floatRepr(this.beta)}, k=${repr(this.k)}`;
  }
}
