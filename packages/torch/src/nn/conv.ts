import { ArgumentError } from "../errors.js";
import * as ops from "../ops.js";
import type { Tensor } from "../tensor.js";
import { expand, type FactoryOptions, factory, integer, oneOf, type Size } from "./arguments.js";
import { resetWeightAndBias } from "./linear.js";
import { Module } from "./module.js";
import { type PaddingMode, pad } from "./padding.js";
import { Parameter } from "./parameter.js";
import { repr } from "./repr.js";

/** What a convolution sees beyond the border. */
export type ConvPaddingMode = "zeros" | "reflect" | "replicate" | "circular";

/** Options of the convolutions, in the order of PyTorch's positional arguments. */
export interface ConvOptions extends FactoryOptions {
  /** Step of the kernel. Default: 1. */
  stride?: Size;
  /** Added on both sides of each dimension; `"valid"` is none, `"same"` as much as keeps the size. Default: 0. */
  padding?: Size | "same" | "valid";
  /** Distance of the kernel's elements. Default: 1. */
  dilation?: Size;
  /** Into how many independent groups the channels are divided. Default: 1. */
  groups?: number;
  /** Whether a bias is learned. Default: true. */
  bias?: boolean;
  /** Default: `"zeros"`. */
  paddingMode?: ConvPaddingMode;
}

/** Options of the transposed convolutions, in the order of PyTorch's positional arguments. */
export interface ConvTransposeOptions extends FactoryOptions {
  /** Step of the kernel on the output. Default: 1. */
  stride?: Size;
  /** Taken off both sides of each output dimension. Default: 0. */
  padding?: Size;
  /** Added to one side of each output dimension. Default: 0. */
  outputPadding?: Size;
  /** Into how many independent groups the channels are divided. Default: 1. */
  groups?: number;
  /** Whether a bias is learned. Default: true. */
  bias?: boolean;
  /** Distance of the kernel's elements. Default: 1. */
  dilation?: Size;
  /** Only `"zeros"`. */
  paddingMode?: "zeros";
}

type ConvOp = (
  input: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  stride: number[],
  padding: number[] | string,
  dilation: number[],
  groups: number,
) => Tensor;

type ConvTransposeOp = (
  input: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  stride: number[],
  padding: number[],
  outputPadding: number[],
  groups: number,
  dilation: number[],
) => Tensor;

/** What convolutions have in common. */
export abstract class ConvBase extends Module {
  inChannels: number;
  outChannels: number;
  readonly kernelSize: number[];
  readonly stride: number[];
  readonly padding: number[] | "same" | "valid";
  readonly dilation: number[];
  readonly outputPadding: number[];
  readonly groups: number;
  readonly paddingMode: ConvPaddingMode;
  weight: Parameter;
  bias: Parameter | null;

  constructor(
    dims: number,
    transposed: boolean,
    inChannels: number,
    outChannels: number,
    kernelSize: Size,
    options: ConvOptions & ConvTransposeOptions,
  ) {
    super();
    const { groups = 1, padding = 0, paddingMode = "zeros" } = options as ConvOptions;
    integer(inChannels, "inChannels");
    integer(outChannels, "outChannels");
    if (!Number.isInteger(groups) || groups <= 0) {
      throw new ArgumentError(`groups must be a positive integer, but got ${String(groups)}.`);
    }
    if (inChannels % groups !== 0) {
      throw new ArgumentError(
        `inChannels must be divisible by groups, but ${inChannels} is not divisible by ${groups}.`,
      );
    }
    if (outChannels % groups !== 0) {
      throw new ArgumentError(
        `outChannels must be divisible by groups, but ${outChannels} is not divisible by ${groups}.`,
      );
    }
    oneOf(paddingMode, ["zeros", "reflect", "replicate", "circular"], "paddingMode");
    this.inChannels = inChannels;
    this.outChannels = outChannels;
    this.kernelSize = expand(kernelSize, dims, "kernelSize");
    this.stride = expand(options.stride ?? 1, dims, "stride");
    this.padding =
      typeof padding === "string"
        ? oneOf<"same" | "valid">(padding, ["same", "valid"], "padding")
        : expand(padding, dims, "padding");
    if (padding === "same" && this.stride.some((step) => step !== 1)) {
      throw new ArgumentError(
        `padding "same" is not supported for strided convolutions, but stride is ${repr(this.stride)}: give the padding in numbers.`,
      );
    }
    this.dilation = expand(options.dilation ?? 1, dims, "dilation");
    this.outputPadding = expand(options.outputPadding ?? 0, dims, "outputPadding");
    this.groups = groups;
    this.paddingMode = paddingMode;
    const shape = transposed ? [inChannels, outChannels / groups] : [outChannels, inChannels / groups];
    this.weight = new Parameter(ops.empty([...shape, ...this.kernelSize], factory(options)));
    this.bias = (options.bias ?? true) ? new Parameter(ops.empty([outChannels], factory(options))) : null;
    this.resetParameters();
  }

  /** Draws weight and bias uniformly from ±1 / sqrt(fan in). */
  resetParameters(): void {
    resetWeightAndBias(this.weight, this.bias);
  }

  override extraRepr(): string {
    const parts = [
      `${this.inChannels}, ${this.outChannels}`,
      `kernel_size=${repr(this.kernelSize)}`,
      `stride=${repr(this.stride)}`,
    ];
    if (typeof this.padding === "string") parts.push(`padding=${this.padding}`);
    else if (this.padding.some((n) => n !== 0)) parts.push(`padding=${repr(this.padding)}`);
    if (this.dilation.some((n) => n !== 1)) parts.push(`dilation=${repr(this.dilation)}`);
    if (this.outputPadding.some((n) => n !== 0)) parts.push(`output_padding=${repr(this.outputPadding)}`);
    if (this.groups !== 1) parts.push(`groups=${this.groups}`);
    if (this.bias === null) parts.push("bias=False");
    if (this.paddingMode !== "zeros") parts.push(`padding_mode=${this.paddingMode}`);
    return parts.join(", ");
  }
}

abstract class Conv extends ConvBase {
  /** Padding as {@link pad} takes it, last dimension first; for modes the operator does not know. */
  protected readonly reversedPadding: number[];

  constructor(dims: number, inChannels: number, outChannels: number, kernelSize: Size, options: ConvOptions) {
    super(dims, false, inChannels, outChannels, kernelSize, options as ConvOptions & ConvTransposeOptions);
    this.reversedPadding = this.kernelSize
      .flatMap((size, i) => {
        if (this.padding === "valid") return [0, 0];
        const given = this.padding === "same" ? undefined : this.padding[i];
        if (given !== undefined) return [given, given];
        const total = (this.dilation[i] ?? 1) * (size - 1);
        const left = Math.floor(total / 2);
        // Reversed below, so the right side comes first.
        return [total - left, left];
      })
      .reverse();
  }

  protected convolve(op: ConvOp, input: Tensor): Tensor {
    const { weight, bias, stride, dilation, groups, paddingMode } = this;
    if (paddingMode === "zeros") return op(input, weight, bias, stride, this.padding, dilation, groups);
    const padded = pad(input, this.reversedPadding, { mode: paddingMode as PaddingMode });
    return op(padded, weight, bias, stride, Array<number>(stride.length).fill(0), dilation, groups);
  }
}

/**
 * Convolution over one dimension.
 *
 * Shapes: input `(N, Cin, L)` or `(Cin, L)`, output `(N, Cout, Lout)`,
 * `Lout = floor((L + 2 padding - dilation (kernelSize - 1) - 1) / stride + 1)`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv1d.html
 */
export class Conv1d extends Conv {
  constructor(inChannels: number, outChannels: number, kernelSize: Size, options: ConvOptions = {}) {
    super(1, inChannels, outChannels, kernelSize, options);
  }

  override forward(input: Tensor): Tensor {
    return this.convolve(ops.conv1d as ConvOp, input);
  }
}

/**
 * Convolution over two dimensions.
 *
 * Shapes: input `(N, Cin, H, W)` or `(Cin, H, W)`, output `(N, Cout, Hout, Wout)`, each size as in {@link Conv1d}.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv2d.html
 */
export class Conv2d extends Conv {
  constructor(inChannels: number, outChannels: number, kernelSize: Size, options: ConvOptions = {}) {
    super(2, inChannels, outChannels, kernelSize, options);
  }

  override forward(input: Tensor): Tensor {
    return this.convolve(ops.conv2d as ConvOp, input);
  }
}

/**
 * Convolution over three dimensions.
 *
 * Shapes: input `(N, Cin, D, H, W)` or `(Cin, D, H, W)`, output `(N, Cout, Dout, Hout, Wout)`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv3d.html
 */
export class Conv3d extends Conv {
  constructor(inChannels: number, outChannels: number, kernelSize: Size, options: ConvOptions = {}) {
    super(3, inChannels, outChannels, kernelSize, options);
  }

  override forward(input: Tensor): Tensor {
    return this.convolve(ops.conv3d as ConvOp, input);
  }
}

abstract class ConvTranspose extends ConvBase {
  constructor(
    dims: number,
    inChannels: number,
    outChannels: number,
    kernelSize: Size,
    options: ConvTransposeOptions,
  ) {
    if (options.paddingMode !== undefined && options.paddingMode !== "zeros") {
      throw new ArgumentError(
        `Only "zeros" padding mode is supported for transposed convolutions, but got "${String(options.paddingMode)}".`,
      );
    }
    super(dims, true, inChannels, outChannels, kernelSize, options as ConvOptions & ConvTransposeOptions);
  }

  protected convolve(op: ConvTransposeOp, input: Tensor, outputSize?: readonly number[]): Tensor {
    const padding = this.padding as number[];
    const outputPadding = outputSize ? this.outputPaddingFor(input, outputSize) : this.outputPadding;
    return op(input, this.weight, this.bias, this.stride, padding, outputPadding, this.groups, this.dilation);
  }

  /** The output padding that leads to a size; several inputs sizes fit one output size, and the reverse. */
  private outputPaddingFor(input: Tensor, outputSize: readonly number[]): number[] {
    const dims = this.kernelSize.length;
    const skipped = input.dim() - dims;
    const sizes = outputSize.length === input.dim() ? outputSize.slice(skipped) : outputSize;
    if (sizes.length !== dims) {
      throw new ArgumentError(
        `ConvTranspose${dims}d: for ${input.dim()}D input, outputSize must have ${dims} or ${input.dim()} elements (got ${outputSize.length}).`,
      );
    }
    const padding = this.padding as number[];
    const least = this.kernelSize.map(
      (kernel, d) =>
        (input.size(d + skipped) - 1) * (this.stride[d] ?? 1) -
        2 * (padding[d] ?? 0) +
        (this.dilation[d] ?? 1) * (kernel - 1) +
        1,
    );
    const most = least.map((size, d) => size + (this.stride[d] ?? 1) - 1);
    if (sizes.some((size, d) => size < (least[d] ?? 0) || size > (most[d] ?? 0))) {
      throw new ArgumentError(
        `requested an output size of ${repr(sizes)}, but valid sizes range from ${repr(least)} to ${repr(most)} (for an input of ${repr(input.shape.slice(skipped))}).`,
      );
    }
    return sizes.map((size, d) => size - (least[d] ?? 0));
  }
}

/** Options of the `forward` of transposed convolutions. */
export interface ConvTransposeForwardOptions {
  /** The size wanted, where stride leaves several possible. */
  outputSize?: readonly number[];
}

/**
 * Transposed convolution over one dimension.
 *
 * Shapes: input `(N, Cin, L)` or `(Cin, L)`, output `(N, Cout, Lout)`,
 * `Lout = (L - 1) stride - 2 padding + dilation (kernelSize - 1) + outputPadding + 1`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ConvTranspose1d.html
 */
export class ConvTranspose1d extends ConvTranspose {
  constructor(inChannels: number, outChannels: number, kernelSize: Size, options: ConvTransposeOptions = {}) {
    super(1, inChannels, outChannels, kernelSize, options);
  }

  override forward(input: Tensor, options: ConvTransposeForwardOptions = {}): Tensor {
    return this.convolve(ops.convTranspose1d as ConvTransposeOp, input, options.outputSize);
  }
}

/**
 * Transposed convolution over two dimensions.
 *
 * Shapes: input `(N, Cin, H, W)` or `(Cin, H, W)`, output `(N, Cout, Hout, Wout)`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ConvTranspose2d.html
 */
export class ConvTranspose2d extends ConvTranspose {
  constructor(inChannels: number, outChannels: number, kernelSize: Size, options: ConvTransposeOptions = {}) {
    super(2, inChannels, outChannels, kernelSize, options);
  }

  override forward(input: Tensor, options: ConvTransposeForwardOptions = {}): Tensor {
    return this.convolve(ops.convTranspose2d as ConvTransposeOp, input, options.outputSize);
  }
}

/**
 * Transposed convolution over three dimensions.
 *
 * Shapes: input `(N, Cin, D, H, W)` or `(Cin, D, H, W)`, output `(N, Cout, Dout, Hout, Wout)`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ConvTranspose3d.html
 */
export class ConvTranspose3d extends ConvTranspose {
  constructor(inChannels: number, outChannels: number, kernelSize: Size, options: ConvTransposeOptions = {}) {
    super(3, inChannels, outChannels, kernelSize, options);
  }

  override forward(input: Tensor, options: ConvTransposeForwardOptions = {}): Tensor {
    return this.convolve(ops.convTranspose3d as ConvTransposeOp, input, options.outputSize);
  }
}
