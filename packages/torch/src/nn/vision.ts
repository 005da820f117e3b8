import { ArgumentError } from "../errors.js";
import * as ops from "../ops.js";
import type { Tensor } from "../tensor.js";
import { expand, oneOf, type Size } from "./arguments.js";
import { Module } from "./module.js";
import { adaptiveAvgPool1d, adaptiveAvgPool2d, adaptiveAvgPool3d } from "./pooling.js";
import { floatRepr, repr } from "./repr.js";

/** How {@link interpolate} finds values between the given ones. */
export type InterpolateMode =
  | "nearest"
  | "nearest-exact"
  | "linear"
  | "bilinear"
  | "bicubic"
  | "trilinear"
  | "area"
  | "lanczos";

/** Options of {@link interpolate}: either `size` or `scaleFactor` is given. */
export interface InterpolateOptions {
  /** Size of the output. */
  size?: Size | null;
  /** By how much each dimension grows. */
  scaleFactor?: number | readonly number[] | null;
  /** Default: `"nearest"`. */
  mode?: InterpolateMode;
  /** Whether the centres of the corner values stay in the corners; only for linear and cubic modes. Default: false. */
  alignCorners?: boolean | null;
  /** Whether the factor is computed again from the (rounded) output size. */
  recomputeScaleFactor?: boolean | null;
  /** Whether to filter when shrinking; for bilinear, bicubic and lanczos. Default: false. */
  antialias?: boolean;
}

/** Spatial dimensions -> mode -> operator. */
const upsamplers: Record<number, Partial<Record<InterpolateMode, string>>> = {
  1: {
    nearest: "upsample_nearest1d",
    "nearest-exact": "_upsample_nearest_exact1d",
    linear: "upsample_linear1d",
  },
  2: {
    nearest: "upsample_nearest2d",
    "nearest-exact": "_upsample_nearest_exact2d",
    bilinear: "upsample_bilinear2d",
    bicubic: "upsample_bicubic2d",
    lanczos: "_upsample_lanczos2d_aa",
  },
  3: {
    nearest: "upsample_nearest3d",
    "nearest-exact": "_upsample_nearest_exact3d",
    trilinear: "upsample_trilinear3d",
  },
};

/** Modes that know where corners are. */
const cornered: readonly InterpolateMode[] = ["linear", "bilinear", "bicubic", "trilinear", "lanczos"];

/**
 * Enlarges or shrinks the spatial dimensions.
 *
 * Shapes: input `(N, C, L)`, `(N, C, H, W)` or `(N, C, D, H, W)`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.interpolate.html
 */
export function interpolate(input: Tensor, options: InterpolateOptions = {}): Tensor {
  const { size = null, scaleFactor = null, mode = "nearest", antialias = false } = options;
  const alignCorners = options.alignCorners ?? null;
  if (alignCorners !== null && !cornered.includes(mode)) {
    throw new ArgumentError(
      `interpolate: alignCorners can only be set with the modes linear, bilinear, bicubic and trilinear, but mode is "${mode}".`,
    );
  }
  const spatial = input.shape.slice(2);
  const dims = spatial.length;
  if ((size === null) === (scaleFactor === null)) {
    throw new ArgumentError(
      size === null
        ? "interpolate: either size or scaleFactor should be defined."
        : "interpolate: only one of size or scaleFactor should be defined.",
    );
  }
  if (options.recomputeScaleFactor && size !== null) {
    throw new ArgumentError("interpolate: recomputeScaleFactor is not meaningful with an explicit size.");
  }
  if (antialias && !(["bilinear", "bicubic", "lanczos"].includes(mode) && dims === 2)) {
    throw new ArgumentError(
      `interpolate: antialias is restricted to the modes bilinear, bicubic and lanczos and a 4-D input, but mode is "${mode}" and the input ${dims + 2}-D.`,
    );
  }
  let outputSize = size === null ? null : expand(size, dims, "size");
  let factors = scaleFactor === null ? null : scaleFactors(scaleFactor, dims);
  if (factors !== null && (mode === "area" || options.recomputeScaleFactor)) {
    outputSize = spatial.map((n, i) => Math.floor(n * (factors?.[i] as number)));
    factors = null;
  }
  if (mode === "area" && outputSize !== null) {
    if (dims === 1) return adaptiveAvgPool1d(input, outputSize);
    if (dims === 2) return adaptiveAvgPool2d(input, outputSize);
    if (dims === 3) return adaptiveAvgPool3d(input, outputSize);
  }
  let name = upsamplers[dims]?.[mode];
  if (name === undefined) {
    throw new ArgumentError(
      `interpolate: got a ${dims + 2}D input for mode "${mode}"; 3D inputs take nearest, nearest-exact, area and linear, 4D ones nearest, nearest-exact, area, bilinear and bicubic, 5D ones nearest, nearest-exact, area and trilinear.`,
    );
  }
  if (mode === "lanczos" && !antialias)
    throw new ArgumentError("interpolate: lanczos requires antialias: true.");
  if (antialias && mode !== "lanczos") name = `_${name}_aa`;
  const corners = cornered.includes(mode) ? [alignCorners ?? false] : [];
  return ops.call(`aten::${name}`, input, outputSize, ...corners, factors) as Tensor;
}

/** {@link interpolate} under its older name. */
export function upsample(input: Tensor, options: UpsampleOptions = {}): Tensor {
  return interpolate(input, options);
}

/** {@link interpolate} by nearest neighbours, under its older name. */
export function upsampleNearest(
  input: Tensor,
  options: Pick<InterpolateOptions, "size" | "scaleFactor"> = {},
): Tensor {
  return interpolate(input, { ...options, mode: "nearest" });
}

/** {@link interpolate} bilinearly with aligned corners, under its older name. */
export function upsampleBilinear(
  input: Tensor,
  options: Pick<InterpolateOptions, "size" | "scaleFactor"> = {},
): Tensor {
  return interpolate(input, { ...options, mode: "bilinear", alignCorners: true });
}

function scaleFactors(value: number | readonly number[], dims: number): number[] {
  const factors = typeof value === "number" ? Array<number>(dims).fill(value) : [...value];
  if (factors.length === dims && factors.every((factor) => typeof factor === "number")) return factors;
  throw new ArgumentError(
    `scaleFactor was given ${JSON.stringify(value)}; it is a number or ${dims} numbers, one for each spatial dimension.`,
  );
}

/** How {@link gridSample} finds values between the given ones. */
export type GridSampleMode = "bilinear" | "nearest" | "bicubic";
const gridModes: readonly GridSampleMode[] = ["bilinear", "nearest", "bicubic"];
/** What {@link gridSample} sees beyond the border. */
export type GridSamplePaddingMode = "zeros" | "border" | "reflection";
const gridPaddingModes: readonly GridSamplePaddingMode[] = ["zeros", "border", "reflection"];

/** Options of {@link gridSample}. */
export interface GridSampleOptions {
  /** Default: `"bilinear"`. */
  mode?: GridSampleMode;
  /** Default: `"zeros"`. */
  paddingMode?: GridSamplePaddingMode;
  /** Whether -1 and 1 are the centres of the outermost values, instead of their outer edges. Default: false. */
  alignCorners?: boolean | null;
}

/**
 * Takes values at the places that a grid names, in coordinates from -1 to 1.
 *
 * Shapes: input `(N, C, H, W)`, grid `(N, Hout, Wout, 2)`, output `(N, C, Hout, Wout)`; or with depth.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.grid_sample.html
 */
export function gridSample(input: Tensor, grid: Tensor, options: GridSampleOptions = {}): Tensor {
  const mode = oneOf(options.mode ?? "bilinear", gridModes, "mode");
  const paddingMode = oneOf(options.paddingMode ?? "zeros", gridPaddingModes, "paddingMode");
  return ops.gridSampler(
    input,
    grid,
    gridModes.indexOf(mode),
    gridPaddingModes.indexOf(paddingMode),
    options.alignCorners ?? false,
  );
}

/**
 * The grid of an affine map, for {@link gridSample}.
 *
 * Shapes: theta `(N, 2, 3)` for a size of four numbers, `(N, 3, 4)` for five.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.affine_grid.html
 */
export function affineGrid(
  theta: Tensor,
  size: readonly number[],
  options: { alignCorners?: boolean | null } = {},
): Tensor {
  const dims = size.length - 2;
  const [, rows, columns] = theta.shape;
  if (!theta.isFloatingPoint()) {
    throw new ArgumentError(
      `affineGrid: expected theta to have floating point type, but got ${theta.dtype}.`,
    );
  }
  if (dims !== 2 && dims !== 3) {
    throw new ArgumentError(`affineGrid only supports sizes of 4 and 5 numbers, but got ${repr(size)}.`);
  }
  if (theta.dim() !== 3 || rows !== dims || columns !== dims + 1) {
    throw new ArgumentError(
      `affineGrid: expected a batch of ${dims}D affine matrices of shape Nx${dims}x${dims + 1} for size ${repr(size)}, but got [${theta.shape}].`,
    );
  }
  if (size.some((n) => n <= 0))
    throw new ArgumentError(`affineGrid: expected non-zero, positive output size, but got ${repr(size)}.`);
  return ops.affineGridGenerator(theta, [...size], options.alignCorners ?? false);
}

/** Options of {@link Upsample}, in the order of PyTorch's positional arguments. */
export type UpsampleOptions = Omit<InterpolateOptions, "antialias">;

/**
 * Enlarges the spatial dimensions: {@link interpolate} as a module.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Upsample.html
 */
export class Upsample extends Module {
  readonly size: Size | null;
  readonly scaleFactor: number | readonly number[] | null;
  readonly mode: InterpolateMode;
  readonly alignCorners: boolean | null;
  readonly recomputeScaleFactor: boolean | null;

  constructor(options: UpsampleOptions) {
    super();
    this.size = options.size ?? null;
    this.scaleFactor = options.scaleFactor ?? null;
    this.mode = options.mode ?? "nearest";
    this.alignCorners = options.alignCorners ?? null;
    this.recomputeScaleFactor = options.recomputeScaleFactor ?? null;
  }

  override forward(input: Tensor): Tensor {
    return interpolate(input, this);
  }

  override extraRepr(): string {
    const factor = this.scaleFactor;
    const what =
      factor === null
        ? `size=${repr(this.size)}`
        : `scale_factor=${typeof factor === "number" ? floatRepr(factor) : `(${factor.map(floatRepr).join(", ")})`}`;
    return `${what}, mode=${repr(this.mode)}`;
  }
}

/**
 * {@link Upsample} by nearest neighbours.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.UpsamplingNearest2d.html
 */
export class UpsamplingNearest2d extends Upsample {
  constructor(options: Pick<UpsampleOptions, "size" | "scaleFactor">) {
    super({ ...options, mode: "nearest" });
  }
}

/**
 * {@link Upsample} by bilinear interpolation with aligned corners.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.UpsamplingBilinear2d.html
 */
export class UpsamplingBilinear2d extends Upsample {
  constructor(options: Pick<UpsampleOptions, "size" | "scaleFactor">) {
    super({ ...options, mode: "bilinear", alignCorners: true });
  }
}

/**
 * Turns channels into pixels. Shapes: input `(*, C r^2, H, W)`, output `(*, C, H r, W r)`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.PixelShuffle.html
 */
export class PixelShuffle extends Module {
  constructor(readonly upscaleFactor: number) {
    super();
  }

  override forward(input: Tensor): Tensor {
    return ops.pixelShuffle(input, this.upscaleFactor);
  }

  override extraRepr(): string {
    return `upscale_factor=${this.upscaleFactor}`;
  }
}

/**
 * Turns pixels into channels: the reverse of {@link PixelShuffle}.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.PixelUnshuffle.html
 */
export class PixelUnshuffle extends Module {
  constructor(readonly downscaleFactor: number) {
    super();
  }

  override forward(input: Tensor): Tensor {
    return ops.pixelUnshuffle(input, this.downscaleFactor);
  }

  override extraRepr(): string {
    return `downscale_factor=${this.downscaleFactor}`;
  }
}

/**
 * Mixes the channels of groups. Shapes: input and output `(N, C, *)`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ChannelShuffle.html
 */
export class ChannelShuffle extends Module {
  constructor(readonly groups: number) {
    super();
  }

  override forward(input: Tensor): Tensor {
    return ops.channelShuffle(input, this.groups);
  }

  override extraRepr(): string {
    return `groups=${this.groups}`;
  }
}

/** Options of {@link Unfold} and {@link Fold}, in the order of PyTorch's positional arguments. */
export interface FoldOptions {
  /** Distance of the window's elements. Default: 1. */
  dilation?: Size;
  /** Border of zeros on both sides. Default: 0. */
  padding?: Size;
  /** Step of the window. Default: 1. */
  stride?: Size;
}

/** See {@link Unfold}. */
export function unfold(input: Tensor, kernelSize: Size, options: FoldOptions = {}): Tensor {
  return ops.im2col(
    input,
    expand(kernelSize, 2, "kernelSize"),
    expand(options.dilation ?? 1, 2, "dilation"),
    expand(options.padding ?? 0, 2, "padding"),
    expand(options.stride ?? 1, 2, "stride"),
  );
}

/** See {@link Fold}. */
export function fold(input: Tensor, outputSize: Size, kernelSize: Size, options: FoldOptions = {}): Tensor {
  return ops.col2im(
    input,
    expand(outputSize, 2, "outputSize"),
    expand(kernelSize, 2, "kernelSize"),
    expand(options.dilation ?? 1, 2, "dilation"),
    expand(options.padding ?? 0, 2, "padding"),
    expand(options.stride ?? 1, 2, "stride"),
  );
}

/**
 * The windows of an image as columns. Shapes: input `(N, C, H, W)`, output `(N, C kernel, windows)`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Unfold.html
 */
export class Unfold extends Module {
  readonly kernelSize: Size;
  readonly dilation: Size;
  readonly padding: Size;
  readonly stride: Size;

  constructor(kernelSize: Size, options: FoldOptions = {}) {
    super();
    this.kernelSize = kernelSize;
    this.dilation = options.dilation ?? 1;
    this.padding = options.padding ?? 0;
    this.stride = options.stride ?? 1;
  }

  override forward(input: Tensor): Tensor {
    return unfold(input, this.kernelSize, this);
  }

  override extraRepr(): string {
    return `kernel_size=${repr(this.kernelSize)}, dilation=${repr(this.dilation)}, padding=${repr(this.padding)}, stride=${repr(this.stride)}`;
  }
}

/**
 * The sum of columns laid out as windows of an image: the transpose of {@link Unfold}.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Fold.html
 */
export class Fold extends Module {
  readonly outputSize: Size;
  readonly kernelSize: Size;
  readonly dilation: Size;
  readonly padding: Size;
  readonly stride: Size;

  constructor(outputSize: Size, kernelSize: Size, options: FoldOptions = {}) {
    super();
    this.outputSize = outputSize;
    this.kernelSize = kernelSize;
    this.dilation = options.dilation ?? 1;
    this.padding = options.padding ?? 0;
    this.stride = options.stride ?? 1;
  }

  override forward(input: Tensor): Tensor {
    return fold(input, this.outputSize, this.kernelSize, this);
  }

  override extraRepr(): string {
    return `output_size=${repr(this.outputSize)}, kernel_size=${repr(this.kernelSize)}, dilation=${repr(this.dilation)}, padding=${repr(this.padding)}, stride=${repr(this.stride)}`;
  }
}
