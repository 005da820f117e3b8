import { ArgumentError } from "../errors.js";
import * as ops from "../ops.js";
import type { Tensor } from "../tensor.js";
import { expand, type Size } from "./arguments.js";
import { Module } from "./module.js";
import { floatRepr, repr } from "./repr.js";

/** What a pooling that may return indices returns. */
export type Pooled<Indices extends boolean> = Indices extends true
  ? [output: Tensor, indices: Tensor]
  : Tensor;

/** Options of max pooling, in the order of PyTorch's positional arguments. */
export interface MaxPoolOptions<Indices extends boolean = boolean> {
  /** Step of the window. Default: its size. */
  stride?: Size | null;
  /** Border of minus infinity on both sides; at most half the window. Default: 0. */
  padding?: Size;
  /** Distance of the window's elements. Default: 1. */
  dilation?: Size;
  /** Whether `[output, indices]` is returned, for {@link MaxUnpool2d} and the like. Default: false. */
  returnIndices?: Indices;
  /** Whether windows that stick out at the end count. Default: false. */
  ceilMode?: boolean;
}

/** Options of average pooling, in the order of PyTorch's positional arguments. */
export interface AvgPoolOptions {
  /** Step of the window. Default: its size. */
  stride?: Size | null;
  /** Border of zeros on both sides. Default: 0. */
  padding?: Size;
  /** Whether windows that stick out at the end count. Default: false. */
  ceilMode?: boolean;
  /** Whether the border counts in the average. Default: true. */
  countIncludePad?: boolean;
}

/** Options of average pooling over two and three dimensions. */
export interface AvgPoolNdOptions extends AvgPoolOptions {
  /** What is divided by, instead of the number of elements. */
  divisorOverride?: number | null;
}

/** A size for each dimension, where null stands for the input's. */
export type AdaptiveSize = number | null | readonly (number | null)[];

function list(value: Size): number[] {
  return typeof value === "number" ? [value] : [...value];
}

function strideOf(stride: Size | null | undefined): number[] {
  return stride === null || stride === undefined ? [] : list(stride);
}

function adaptive(input: Tensor, size: AdaptiveSize, dims: number): number[] {
  const sizes = typeof size === "number" || size === null ? Array<number | null>(dims).fill(size) : size;
  const shape = input.shape;
  if (sizes.length !== dims || shape.length < dims) {
    throw new ArgumentError(
      `adaptive pooling over ${dims} dimension(s) needs ${dims} output size(s) and an input of more dimensions, but got outputSize ${repr(size)} for an input of shape [${shape}].`,
    );
  }
  return sizes.map((n, i) => n ?? (shape[shape.length - dims + i] as number));
}

// Functional forms

type MaxPoolArgs = [
  input: Tensor,
  size: number[],
  stride: number[],
  padding: number[],
  dilation: number[],
  ceil: boolean,
];

function maxPool<Indices extends boolean>(
  plain: (...args: MaxPoolArgs) => Tensor,
  withIndices: (...args: MaxPoolArgs) => [Tensor, Tensor],
  input: Tensor,
  kernelSize: Size,
  options: MaxPoolOptions<Indices>,
): Pooled<Indices> {
  const { stride, padding = 0, dilation = 1, ceilMode = false, returnIndices } = options;
  const run = returnIndices ? withIndices : plain;
  return run(
    input,
    list(kernelSize),
    strideOf(stride),
    list(padding),
    list(dilation),
    ceilMode,
  ) as Pooled<Indices>;
}

/** See {@link MaxPool1d}. */
export function maxPool1d<Indices extends boolean = false>(
  input: Tensor,
  kernelSize: Size,
  options: MaxPoolOptions<Indices> = {},
): Pooled<Indices> {
  return maxPool(ops.maxPool1d, ops.maxPool1dWithIndices, input, kernelSize, options);
}

/** See {@link MaxPool2d}. */
export function maxPool2d<Indices extends boolean = false>(
  input: Tensor,
  kernelSize: Size,
  options: MaxPoolOptions<Indices> = {},
): Pooled<Indices> {
  return maxPool(ops.maxPool2d, ops.maxPool2dWithIndices, input, kernelSize, options);
}

/** See {@link MaxPool3d}. */
export function maxPool3d<Indices extends boolean = false>(
  input: Tensor,
  kernelSize: Size,
  options: MaxPoolOptions<Indices> = {},
): Pooled<Indices> {
  return maxPool(ops.maxPool3d, ops.maxPool3dWithIndices, input, kernelSize, options);
}

type MaxPoolWithIndicesOptions = Omit<MaxPoolOptions, "returnIndices">;

/** {@link maxPool1d} with the places of the maxima. */
export function maxPool1dWithIndices(
  input: Tensor,
  kernelSize: Size,
  options: MaxPoolWithIndicesOptions = {},
): Pooled<true> {
  return maxPool1d(input, kernelSize, { ...options, returnIndices: true });
}

/** {@link maxPool2d} with the places of the maxima. */
export function maxPool2dWithIndices(
  input: Tensor,
  kernelSize: Size,
  options: MaxPoolWithIndicesOptions = {},
): Pooled<true> {
  return maxPool2d(input, kernelSize, { ...options, returnIndices: true });
}

/** {@link maxPool3d} with the places of the maxima. */
export function maxPool3dWithIndices(
  input: Tensor,
  kernelSize: Size,
  options: MaxPoolWithIndicesOptions = {},
): Pooled<true> {
  return maxPool3d(input, kernelSize, { ...options, returnIndices: true });
}

/** See {@link AvgPool1d}. */
export function avgPool1d(input: Tensor, kernelSize: Size, options: AvgPoolOptions = {}): Tensor {
  const { stride, padding = 0, ceilMode = false, countIncludePad = true } = options;
  return ops.avgPool1d(input, list(kernelSize), strideOf(stride), list(padding), ceilMode, countIncludePad);
}

/** See {@link AvgPool2d}. */
export function avgPool2d(input: Tensor, kernelSize: Size, options: AvgPoolNdOptions = {}): Tensor {
  const { stride, padding = 0, ceilMode = false, countIncludePad = true, divisorOverride = null } = options;
  return ops.avgPool2d(
    input,
    list(kernelSize),
    strideOf(stride),
    list(padding),
    ceilMode,
    countIncludePad,
    divisorOverride,
  );
}

/** See {@link AvgPool3d}. */
export function avgPool3d(input: Tensor, kernelSize: Size, options: AvgPoolNdOptions = {}): Tensor {
  const { stride, padding = 0, ceilMode = false, countIncludePad = true, divisorOverride = null } = options;
  return ops.avgPool3d(
    input,
    list(kernelSize),
    strideOf(stride),
    list(padding),
    ceilMode,
    countIncludePad,
    divisorOverride,
  );
}

/** Options of power-average pooling. */
export interface LPPoolOptions {
  /** Step of the window. Default: its size. */
  stride?: Size | null;
  /** Whether windows that stick out at the end count. Default: false. */
  ceilMode?: boolean;
}

function lpPool(
  dims: 1 | 2 | 3,
  input: Tensor,
  normType: number,
  kernelSize: Size,
  { stride = null, ceilMode = false }: LPPoolOptions,
): Tensor {
  if (normType === 0) throw new ArgumentError(`normType must be a non-zero value, but got ${normType}.`);
  const options = { stride, ceilMode };
  if (Math.abs(normType) === Number.POSITIVE_INFINITY) {
    const max = [maxPool1d, maxPool2d, maxPool3d][dims - 1] as typeof maxPool2d;
    const sign = Math.sign(normType);
    const pooled = max(sign < 0 ? input.abs().neg() : input.abs(), kernelSize, options);
    return sign < 0 ? pooled.neg() : pooled;
  }
  const average = [avgPool1d, avgPool2d, avgPool3d][dims - 1] as typeof avgPool2d;
  const out = average(input.pow(normType), kernelSize, options);
  const count = expand(kernelSize, dims, "kernelSize").reduce((product, n) => product * n, 1);
  return out
    .sign()
    .mul(out.abs().relu())
    .mul(count)
    .pow(1 / normType);
}

/** See {@link LPPool1d}. */
export function lpPool1d(
  input: Tensor,
  normType: number,
  kernelSize: Size,
  options: LPPoolOptions = {},
): Tensor {
  return lpPool(1, input, normType, kernelSize, options);
}

/** See {@link LPPool2d}. */
export function lpPool2d(
  input: Tensor,
  normType: number,
  kernelSize: Size,
  options: LPPoolOptions = {},
): Tensor {
  return lpPool(2, input, normType, kernelSize, options);
}

/** See {@link LPPool3d}. */
export function lpPool3d(
  input: Tensor,
  normType: number,
  kernelSize: Size,
  options: LPPoolOptions = {},
): Tensor {
  return lpPool(3, input, normType, kernelSize, options);
}

/** See {@link AdaptiveAvgPool1d}. */
export function adaptiveAvgPool1d(input: Tensor, outputSize: AdaptiveSize): Tensor {
  return ops.adaptiveAvgPool1d(input, adaptive(input, outputSize, 1));
}

/** See {@link AdaptiveAvgPool2d}. */
export function adaptiveAvgPool2d(input: Tensor, outputSize: AdaptiveSize): Tensor {
  return ops.adaptiveAvgPool2d(input, adaptive(input, outputSize, 2));
}

/** See {@link AdaptiveAvgPool3d}. */
export function adaptiveAvgPool3d(input: Tensor, outputSize: AdaptiveSize): Tensor {
  return ops.adaptiveAvgPool3d(input, adaptive(input, outputSize, 3));
}

/** Options of adaptive max pooling. */
export interface AdaptiveMaxPoolOptions<Indices extends boolean = boolean> {
  /** Whether `[output, indices]` is returned. Default: false. */
  returnIndices?: Indices;
}

/** See {@link AdaptiveMaxPool1d}. */
export function adaptiveMaxPool1d<Indices extends boolean = false>(
  input: Tensor,
  outputSize: AdaptiveSize,
  options: AdaptiveMaxPoolOptions<Indices> = {},
): Pooled<Indices> {
  const both = ops.adaptiveMaxPool1d(input, adaptive(input, outputSize, 1));
  return (options.returnIndices ? both : both[0]) as Pooled<Indices>;
}

/** See {@link AdaptiveMaxPool2d}. */
export function adaptiveMaxPool2d<Indices extends boolean = false>(
  input: Tensor,
  outputSize: AdaptiveSize,
  options: AdaptiveMaxPoolOptions<Indices> = {},
): Pooled<Indices> {
  const both = ops.adaptiveMaxPool2d(input, adaptive(input, outputSize, 2));
  return (options.returnIndices ? both : both[0]) as Pooled<Indices>;
}

/** See {@link AdaptiveMaxPool3d}. */
export function adaptiveMaxPool3d<Indices extends boolean = false>(
  input: Tensor,
  outputSize: AdaptiveSize,
  options: AdaptiveMaxPoolOptions<Indices> = {},
): Pooled<Indices> {
  const both = ops.adaptiveMaxPool3d(input, adaptive(input, outputSize, 3));
  return (options.returnIndices ? both : both[0]) as Pooled<Indices>;
}

/** {@link adaptiveMaxPool1d} with the places of the maxima. */
export function adaptiveMaxPool1dWithIndices(input: Tensor, outputSize: AdaptiveSize): Pooled<true> {
  return adaptiveMaxPool1d(input, outputSize, { returnIndices: true });
}

/** {@link adaptiveMaxPool2d} with the places of the maxima. */
export function adaptiveMaxPool2dWithIndices(input: Tensor, outputSize: AdaptiveSize): Pooled<true> {
  return adaptiveMaxPool2d(input, outputSize, { returnIndices: true });
}

/** {@link adaptiveMaxPool3d} with the places of the maxima. */
export function adaptiveMaxPool3dWithIndices(input: Tensor, outputSize: AdaptiveSize): Pooled<true> {
  return adaptiveMaxPool3d(input, outputSize, { returnIndices: true });
}

/** Options of fractional max pooling, in the order of PyTorch's positional arguments; one of the two sizes is given. */
export interface FractionalMaxPoolOptions<Indices extends boolean = boolean> {
  /** Size of the output. */
  outputSize?: Size | null;
  /** Size of the output as a share of the input's, in (0, 1). */
  outputRatio?: number | readonly number[] | null;
  /** Whether `[output, indices]` is returned. Default: false. */
  returnIndices?: Indices;
  /** Where the windows lie: `(N, C, dimensions)` numbers in [0, 1), instead of random ones. */
  randomSamples?: Tensor | null;
}

function fractionalMaxPool<Indices extends boolean>(
  dims: 2 | 3,
  input: Tensor,
  kernelSize: Size,
  options: FractionalMaxPoolOptions<Indices>,
): Pooled<Indices> {
  const { outputSize = null, outputRatio = null } = options;
  const shape = input.shape;
  let size: number[];
  if (outputSize !== null) {
    size = expand(outputSize, dims, "outputSize");
  } else if (outputRatio !== null) {
    const ratios = typeof outputRatio === "number" ? Array<number>(dims).fill(outputRatio) : outputRatio;
    size = ratios.map((ratio, i) => Math.trunc((shape[shape.length - dims + i] as number) * ratio));
  } else {
    throw new ArgumentError(
      `fractionalMaxPool${dims}d requires specifying either an outputSize or an outputRatio.`,
    );
  }
  let samples = options.randomSamples ?? null;
  if (samples === null) {
    const batch = shape.length === dims + 1 ? 1 : (shape[0] as number);
    const channels = shape[shape.length - dims - 1] as number;
    samples = ops.rand([batch, channels, dims], { dtype: input.dtype, device: input.device });
  }
  const run = dims === 2 ? ops.fractionalMaxPool2d : ops.fractionalMaxPool3d;
  const both = run(input, expand(kernelSize, dims, "kernelSize"), size, samples);
  return (options.returnIndices ? both : both[0]) as Pooled<Indices>;
}

/** See {@link FractionalMaxPool2d}. */
export function fractionalMaxPool2d<Indices extends boolean = false>(
  input: Tensor,
  kernelSize: Size,
  options: FractionalMaxPoolOptions<Indices>,
): Pooled<Indices> {
  return fractionalMaxPool(2, input, kernelSize, options);
}

/** See {@link FractionalMaxPool3d}. */
export function fractionalMaxPool3d<Indices extends boolean = false>(
  input: Tensor,
  kernelSize: Size,
  options: FractionalMaxPoolOptions<Indices>,
): Pooled<Indices> {
  return fractionalMaxPool(3, input, kernelSize, options);
}

/** {@link fractionalMaxPool2d} with the places of the maxima. */
export function fractionalMaxPool2dWithIndices(
  input: Tensor,
  kernelSize: Size,
  options: Omit<FractionalMaxPoolOptions, "returnIndices">,
): Pooled<true> {
  return fractionalMaxPool2d(input, kernelSize, { ...options, returnIndices: true });
}

/** {@link fractionalMaxPool3d} with the places of the maxima. */
export function fractionalMaxPool3dWithIndices(
  input: Tensor,
  kernelSize: Size,
  options: Omit<FractionalMaxPoolOptions, "returnIndices">,
): Pooled<true> {
  return fractionalMaxPool3d(input, kernelSize, { ...options, returnIndices: true });
}

/** Options of max unpooling. */
export interface MaxUnpoolOptions {
  /** Step of the window. Default: its size. */
  stride?: Size | null;
  /** Border that the pooling had. Default: 0. */
  padding?: Size;
  /** The size wanted, where several lead to the same pooled size. */
  outputSize?: readonly number[] | null;
}

function maxUnpool(
  dims: 1 | 2 | 3,
  input: Tensor,
  indices: Tensor,
  kernelSize: Size,
  { stride, padding = 0, outputSize = null }: MaxUnpoolOptions,
): Tensor {
  const kernel = expand(kernelSize, dims, "kernelSize");
  const step = expand(stride ?? kernelSize, dims, "stride");
  const border = expand(padding, dims, "padding");
  const shape = input.shape.slice(-dims);
  const size = shape.map(
    (n, d) => (n - 1) * (step[d] as number) + (kernel[d] as number) - 2 * (border[d] as number),
  );
  if (outputSize !== null) {
    const wanted = outputSize.length === dims + 2 ? outputSize.slice(2) : outputSize;
    if (wanted.length !== dims) {
      throw new ArgumentError(
        `outputSize should be a sequence containing ${dims} or ${dims + 2} elements, but it has a length of ${outputSize.length}.`,
      );
    }
    wanted.forEach((n, d) => {
      const low = (size[d] as number) - (step[d] as number);
      const high = (size[d] as number) + (step[d] as number);
      if (n <= low || n >= high) {
        throw new ArgumentError(
          `invalid outputSize ${repr(wanted)} (dim ${d} must be between ${low} and ${high}).`,
        );
      }
      size[d] = n;
    });
  }
  if (dims === 1)
    return ops.maxUnpool2d(input.unsqueeze(-1), indices.unsqueeze(-1), [...size, 1]).squeeze(-1);
  if (dims === 2) return ops.maxUnpool2d(input, indices, size);
  return ops.maxUnpool3d(input, indices, size, step, border);
}

/** See {@link MaxUnpool1d}. */
export function maxUnpool1d(
  input: Tensor,
  indices: Tensor,
  kernelSize: Size,
  options: MaxUnpoolOptions = {},
): Tensor {
  return maxUnpool(1, input, indices, kernelSize, options);
}

/** See {@link MaxUnpool2d}. */
export function maxUnpool2d(
  input: Tensor,
  indices: Tensor,
  kernelSize: Size,
  options: MaxUnpoolOptions = {},
): Tensor {
  return maxUnpool(2, input, indices, kernelSize, options);
}

/** See {@link MaxUnpool3d}. */
export function maxUnpool3d(
  input: Tensor,
  indices: Tensor,
  kernelSize: Size,
  options: MaxUnpoolOptions = {},
): Tensor {
  return maxUnpool(3, input, indices, kernelSize, options);
}

// Modules

abstract class MaxPool<Indices extends boolean> extends Module {
  readonly kernelSize: Size;
  readonly stride: Size;
  readonly padding: Size;
  readonly dilation: Size;
  readonly returnIndices: Indices;
  readonly ceilMode: boolean;

  constructor(kernelSize: Size, options: MaxPoolOptions<Indices>) {
    super();
    this.kernelSize = kernelSize;
    this.stride = options.stride ?? kernelSize;
    this.padding = options.padding ?? 0;
    this.dilation = options.dilation ?? 1;
    this.returnIndices = options.returnIndices ?? (false as Indices);
    this.ceilMode = options.ceilMode ?? false;
  }

  override extraRepr(): string {
    return `kernel_size=${repr(this.kernelSize)}, stride=${repr(this.stride)}, padding=${repr(this.padding)}, dilation=${repr(this.dilation)}, ceil_mode=${repr(this.ceilMode)}`;
  }
}

/**
 * The largest value of each window.
 *
 * Shapes: input `(N, C, L)` or `(C, L)`, output `(N, C, Lout)`,
 * `Lout = floor((L + 2 padding - dilation (kernelSize - 1) - 1) / stride + 1)`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxPool1d.html
 */
export class MaxPool1d<Indices extends boolean = false> extends MaxPool<Indices> {
  constructor(kernelSize: Size, options: MaxPoolOptions<Indices> = {}) {
    super(kernelSize, options);
  }

  override forward(input: Tensor): Pooled<Indices> {
    return maxPool1d(input, this.kernelSize, this);
  }
}

/**
 * The largest value of each window. Shapes: input `(N, C, H, W)` or `(C, H, W)`, output sizes as in {@link MaxPool1d}.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxPool2d.html
 */
export class MaxPool2d<Indices extends boolean = false> extends MaxPool<Indices> {
  constructor(kernelSize: Size, options: MaxPoolOptions<Indices> = {}) {
    super(kernelSize, options);
  }

  override forward(input: Tensor): Pooled<Indices> {
    return maxPool2d(input, this.kernelSize, this);
  }
}

/**
 * The largest value of each window. Shapes: input `(N, C, D, H, W)` or `(C, D, H, W)`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxPool3d.html
 */
export class MaxPool3d<Indices extends boolean = false> extends MaxPool<Indices> {
  constructor(kernelSize: Size, options: MaxPoolOptions<Indices> = {}) {
    super(kernelSize, options);
  }

  override forward(input: Tensor): Pooled<Indices> {
    return maxPool3d(input, this.kernelSize, this);
  }
}

abstract class MaxUnpool extends Module {
  readonly kernelSize: number[];
  readonly stride: number[];
  readonly padding: number[];

  constructor(dims: number, kernelSize: Size, options: Omit<MaxUnpoolOptions, "outputSize">) {
    super();
    this.kernelSize = expand(kernelSize, dims, "kernelSize");
    this.stride = expand(options.stride ?? kernelSize, dims, "stride");
    this.padding = expand(options.padding ?? 0, dims, "padding");
  }

  override extraRepr(): string {
    return `kernel_size=${repr(this.kernelSize)}, stride=${repr(this.stride)}, padding=${repr(this.padding)}`;
  }
}

/** Options of the `forward` of unpooling. */
export interface MaxUnpoolForwardOptions {
  /** The size wanted, where several lead to the same pooled size. */
  outputSize?: readonly number[] | null;
}

/**
 * Puts the maxima of a {@link MaxPool1d} back at their places, among zeros.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxUnpool1d.html
 */
export class MaxUnpool1d extends MaxUnpool {
  constructor(kernelSize: Size, options: Omit<MaxUnpoolOptions, "outputSize"> = {}) {
    super(1, kernelSize, options);
  }

  override forward(input: Tensor, indices: Tensor, options: MaxUnpoolForwardOptions = {}): Tensor {
    const { kernelSize, stride, padding } = this;
    return maxUnpool1d(input, indices, kernelSize, {
      stride,
      padding,
      outputSize: options.outputSize ?? null,
    });
  }
}

/**
 * Puts the maxima of a {@link MaxPool2d} back at their places, among zeros.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxUnpool2d.html
 */
export class MaxUnpool2d extends MaxUnpool {
  constructor(kernelSize: Size, options: Omit<MaxUnpoolOptions, "outputSize"> = {}) {
    super(2, kernelSize, options);
  }

  override forward(input: Tensor, indices: Tensor, options: MaxUnpoolForwardOptions = {}): Tensor {
    const { kernelSize, stride, padding } = this;
    return maxUnpool2d(input, indices, kernelSize, {
      stride,
      padding,
      outputSize: options.outputSize ?? null,
    });
  }
}

/**
 * Puts the maxima of a {@link MaxPool3d} back at their places, among zeros.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxUnpool3d.html
 */
export class MaxUnpool3d extends MaxUnpool {
  constructor(kernelSize: Size, options: Omit<MaxUnpoolOptions, "outputSize"> = {}) {
    super(3, kernelSize, options);
  }

  override forward(input: Tensor, indices: Tensor, options: MaxUnpoolForwardOptions = {}): Tensor {
    const { kernelSize, stride, padding } = this;
    return maxUnpool3d(input, indices, kernelSize, {
      stride,
      padding,
      outputSize: options.outputSize ?? null,
    });
  }
}

abstract class AvgPool extends Module {
  readonly kernelSize: Size;
  readonly stride: Size;
  readonly padding: Size;
  readonly ceilMode: boolean;
  readonly countIncludePad: boolean;

  constructor(kernelSize: Size, options: AvgPoolOptions) {
    super();
    this.kernelSize = kernelSize;
    this.stride = options.stride ?? kernelSize;
    this.padding = options.padding ?? 0;
    this.ceilMode = options.ceilMode ?? false;
    this.countIncludePad = options.countIncludePad ?? true;
  }

  override extraRepr(): string {
    return `kernel_size=${repr(this.kernelSize)}, stride=${repr(this.stride)}, padding=${repr(this.padding)}`;
  }
}

/**
 * The average of each window. Shapes: input `(N, C, L)` or `(C, L)`, output `(N, C, Lout)`,
 * `Lout = floor((L + 2 padding - kernelSize) / stride + 1)`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.AvgPool1d.html
 */
export class AvgPool1d extends AvgPool {
  constructor(kernelSize: Size, options: AvgPoolOptions = {}) {
    const one = (size: Size) => expand(size, 1, "size");
    super(one(kernelSize), {
      ...options,
      stride: one(options.stride ?? kernelSize),
      padding: one(options.padding ?? 0),
    });
  }

  override forward(input: Tensor): Tensor {
    return avgPool1d(input, this.kernelSize, this);
  }
}

/**
 * The average of each window. Shapes: input `(N, C, H, W)` or `(C, H, W)`, output sizes as in {@link AvgPool1d}.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.AvgPool2d.html
 */
export class AvgPool2d extends AvgPool {
  readonly divisorOverride: number | null;

  constructor(kernelSize: Size, options: AvgPoolNdOptions = {}) {
    super(kernelSize, options);
    this.divisorOverride = options.divisorOverride ?? null;
  }

  override forward(input: Tensor): Tensor {
    return avgPool2d(input, this.kernelSize, this);
  }
}

/**
 * The average of each window. Shapes: input `(N, C, D, H, W)` or `(C, D, H, W)`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.AvgPool3d.html
 */
export class AvgPool3d extends AvgPool {
  readonly divisorOverride: number | null;

  constructor(kernelSize: Size, options: AvgPoolNdOptions = {}) {
    super(kernelSize, options);
    this.divisorOverride = options.divisorOverride ?? null;
  }

  override forward(input: Tensor): Tensor {
    return avgPool3d(input, this.kernelSize, this);
  }
}

abstract class LPPool extends Module {
  readonly normType: number;
  readonly kernelSize: Size;
  readonly stride: Size | null;
  readonly ceilMode: boolean;

  constructor(normType: number, kernelSize: Size, options: LPPoolOptions) {
    super();
    this.normType = normType;
    this.kernelSize = kernelSize;
    this.stride = options.stride ?? null;
    this.ceilMode = options.ceilMode ?? false;
  }

  override extraRepr(): string {
    return `norm_type=${repr(this.normType)}, kernel_size=${repr(this.kernelSize)}, stride=${repr(this.stride)}, ceil_mode=${repr(this.ceilMode)}`;
  }
}

/**
 * The p-norm of each window. Shapes as in {@link AvgPool1d}, without padding.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LPPool1d.html
 */
export class LPPool1d extends LPPool {
  constructor(normType: number, kernelSize: Size, options: LPPoolOptions = {}) {
    super(normType, kernelSize, options);
  }

  override forward(input: Tensor): Tensor {
    return lpPool1d(input, this.normType, this.kernelSize, this);
  }
}

/**
 * The p-norm of each window. Shapes as in {@link AvgPool2d}, without padding.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LPPool2d.html
 */
export class LPPool2d extends LPPool {
  constructor(normType: number, kernelSize: Size, options: LPPoolOptions = {}) {
    super(normType, kernelSize, options);
  }

  override forward(input: Tensor): Tensor {
    return lpPool2d(input, this.normType, this.kernelSize, this);
  }
}

/**
 * The p-norm of each window. Shapes as in {@link AvgPool3d}, without padding.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LPPool3d.html
 */
export class LPPool3d extends LPPool {
  constructor(normType: number, kernelSize: Size, options: LPPoolOptions = {}) {
    super(normType, kernelSize, options);
  }

  override forward(input: Tensor): Tensor {
    return lpPool3d(input, this.normType, this.kernelSize, this);
  }
}

abstract class AdaptivePool extends Module {
  readonly outputSize: AdaptiveSize;

  constructor(outputSize: AdaptiveSize) {
    super();
    this.outputSize = outputSize;
  }

  override extraRepr(): string {
    return `output_size=${repr(this.outputSize)}`;
  }
}

/**
 * Averages of as many windows as the output is long. Shapes: input `(N, C, L)`, output `(N, C, outputSize)`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveAvgPool1d.html
 */
export class AdaptiveAvgPool1d extends AdaptivePool {
  override forward(input: Tensor): Tensor {
    return adaptiveAvgPool1d(input, this.outputSize);
  }
}

/**
 * Averages of as many windows as the output has elements; null keeps a dimension's size.
 * Shapes: input `(N, C, H, W)`, output `(N, C, Hout, Wout)`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveAvgPool2d.html
 */
export class AdaptiveAvgPool2d extends AdaptivePool {
  override forward(input: Tensor): Tensor {
    return adaptiveAvgPool2d(input, this.outputSize);
  }
}

/**
 * Averages of as many windows as the output has elements; null keeps a dimension's size.
 * Shapes: input `(N, C, D, H, W)`, output `(N, C, Dout, Hout, Wout)`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveAvgPool3d.html
 */
export class AdaptiveAvgPool3d extends AdaptivePool {
  override forward(input: Tensor): Tensor {
    return adaptiveAvgPool3d(input, this.outputSize);
  }
}

abstract class AdaptiveMaxPool<Indices extends boolean> extends AdaptivePool {
  readonly returnIndices: Indices;

  constructor(outputSize: AdaptiveSize, options: AdaptiveMaxPoolOptions<Indices> = {}) {
    super(outputSize);
    this.returnIndices = options.returnIndices ?? (false as Indices);
  }
}

/**
 * Maxima of as many windows as the output is long. Shapes as in {@link AdaptiveAvgPool1d}.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveMaxPool1d.html
 */
export class AdaptiveMaxPool1d<Indices extends boolean = false> extends AdaptiveMaxPool<Indices> {
  override forward(input: Tensor): Pooled<Indices> {
    return adaptiveMaxPool1d(input, this.outputSize, this);
  }
}

/**
 * Maxima of as many windows as the output has elements. Shapes as in {@link AdaptiveAvgPool2d}.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveMaxPool2d.html
 */
export class AdaptiveMaxPool2d<Indices extends boolean = false> extends AdaptiveMaxPool<Indices> {
  override forward(input: Tensor): Pooled<Indices> {
    return adaptiveMaxPool2d(input, this.outputSize, this);
  }
}

/**
 * Maxima of as many windows as the output has elements. Shapes as in {@link AdaptiveAvgPool3d}.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveMaxPool3d.html
 */
export class AdaptiveMaxPool3d<Indices extends boolean = false> extends AdaptiveMaxPool<Indices> {
  override forward(input: Tensor): Pooled<Indices> {
    return adaptiveMaxPool3d(input, this.outputSize, this);
  }
}

abstract class FractionalMaxPool<Indices extends boolean> extends Module {
  readonly kernelSize: number[];
  readonly outputSize: number[] | null;
  readonly outputRatio: number[] | null;
  readonly returnIndices: Indices;

  constructor(dims: number, kernelSize: Size, options: FractionalMaxPoolOptions<Indices>) {
    super();
    const { outputSize = null, outputRatio = null } = options;
    if (Array.isArray(kernelSize) ? kernelSize.some((size) => size <= 0) : (kernelSize as number) <= 0) {
      throw new ArgumentError(`kernelSize must greater than zero, but got ${repr(kernelSize)}.`);
    }
    if ((outputSize === null) === (outputRatio === null)) {
      throw new ArgumentError(
        `FractionalMaxPool${dims}d requires specifying either an outputSize, or a pooling ratio: exactly one of outputSize and outputRatio.`,
      );
    }
    this.kernelSize = expand(kernelSize, dims, "kernelSize");
    this.outputSize = outputSize === null ? null : expand(outputSize, dims, "outputSize");
    this.outputRatio =
      outputRatio === null
        ? null
        : typeof outputRatio === "number"
          ? Array<number>(dims).fill(outputRatio)
          : [...outputRatio];
    if (this.outputRatio?.some((ratio) => !(ratio > 0 && ratio < 1))) {
      throw new ArgumentError(`outputRatio must be between 0 and 1 (got ${floatList(this.outputRatio)}).`);
    }
    this.returnIndices = options.returnIndices ?? (false as Indices);
    if (options.randomSamples) this.registerBuffer("randomSamples", options.randomSamples);
  }

  protected get samples(): Tensor | null {
    return (this as unknown as { randomSamples?: Tensor }).randomSamples ?? null;
  }
}

function floatList(values: number[]): string {
  return values.map(floatRepr).join(", ");
}

/**
 * The largest values of windows at random distances.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.FractionalMaxPool2d.html
 */
export class FractionalMaxPool2d<Indices extends boolean = false> extends FractionalMaxPool<Indices> {
  constructor(kernelSize: Size, options: FractionalMaxPoolOptions<Indices>) {
    super(2, kernelSize, options);
  }

  override forward(input: Tensor): Pooled<Indices> {
    const { outputSize, outputRatio, returnIndices, samples } = this;
    return fractionalMaxPool2d(input, this.kernelSize, {
      outputSize,
      outputRatio,
      returnIndices,
      randomSamples: samples,
    });
  }
}

/**
 * The largest values of windows at random distances.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.FractionalMaxPool3d.html
 */
export class FractionalMaxPool3d<Indices extends boolean = false> extends FractionalMaxPool<Indices> {
  constructor(kernelSize: Size, options: FractionalMaxPoolOptions<Indices>) {
    super(3, kernelSize, options);
  }

  override forward(input: Tensor): Pooled<Indices> {
    const { outputSize, outputRatio, returnIndices, samples } = this;
    return fractionalMaxPool3d(input, this.kernelSize, {
      outputSize,
      outputRatio,
      returnIndices,
      randomSamples: samples,
    });
  }
}
