import { ArgumentError } from "../errors.js";
import * as ops from "../ops.js";
import type { Tensor } from "../tensor.js";
import { probability } from "./arguments.js";
import { Module } from "./module.js";
import { repr } from "./repr.js";

/** Options of the functional forms of dropout. */
export interface DropoutFunctionOptions {
  /** Probability of a zero. Default: 0.5. */
  p?: number;
  /** Whether anything is dropped at all. Default: true (false for the alpha forms). */
  training?: boolean;
  /** Whether the input itself is changed. Default: false. */
  inplace?: boolean;
}

/** See {@link Dropout}. */
export function dropout(input: Tensor, options: DropoutFunctionOptions = {}): Tensor {
  const { p = 0.5, training = true, inplace = false } = options;
  probability(p);
  return inplace ? ops.dropout_(input, p, training) : ops.dropout(input, p, training);
}

/** See {@link AlphaDropout}. */
export function alphaDropout(input: Tensor, options: DropoutFunctionOptions = {}): Tensor {
  const { p = 0.5, training = false, inplace = false } = options;
  probability(p);
  return inplace ? ops.alphaDropout_(input, p, training) : ops.alphaDropout(input, p, training);
}

/** See {@link FeatureAlphaDropout}. */
export function featureAlphaDropout(input: Tensor, options: DropoutFunctionOptions = {}): Tensor {
  const { p = 0.5, training = false, inplace = false } = options;
  probability(p);
  return inplace ? ops.featureAlphaDropout_(input, p, training) : ops.featureAlphaDropout(input, p, training);
}

function channels(
  input: Tensor,
  { p = 0.5, training = true, inplace = false }: DropoutFunctionOptions,
): Tensor {
  probability(p);
  return inplace ? ops.featureDropout_(input, p, training) : ops.featureDropout(input, p, training);
}

/** See {@link Dropout1d}. */
export function dropout1d(input: Tensor, options: DropoutFunctionOptions = {}): Tensor {
  const dims = input.dim();
  if (dims !== 2 && dims !== 3) {
    throw new ArgumentError(
      `dropout1d: expected 2D or 3D input, but received a ${dims}D input: channels of one spatial dimension are dropped; use dropout for single values.`,
    );
  }
  return dims === 3 ? channels(input, options) : channels(input.unsqueeze(0), options).squeeze(0);
}

/** See {@link Dropout2d}. */
export function dropout2d(input: Tensor, options: DropoutFunctionOptions = {}): Tensor {
  const dims = input.dim();
  if (dims !== 4) {
    process.emitWarning(
      dims === 3
        ? "dropout2d: received a 3D input, which is taken as (N, C, L); use dropout1d for that."
        : `dropout2d: received a ${dims}D input; use dropout to drop single values.`,
    );
  }
  return channels(input, options);
}

/** See {@link Dropout3d}. */
export function dropout3d(input: Tensor, options: DropoutFunctionOptions = {}): Tensor {
  const dims = input.dim();
  if (dims !== 4 && dims !== 5) {
    process.emitWarning(`dropout3d: received a ${dims}D input; use dropout to drop single values.`);
  }
  return dims === 5 ? channels(input, options) : channels(input.unsqueeze(0), options).squeeze(0);
}

/** Options of the dropout modules, in the order of PyTorch's positional arguments. */
export interface DropoutOptions {
  /** Probability of a zero. Default: 0.5. */
  p?: number;
  /** Whether the input itself is changed. Default: false. */
  inplace?: boolean;
}

abstract class DropoutBase extends Module {
  p: number;
  inplace: boolean;

  /** @param p probability of a zero, or options. Default: 0.5 */
  constructor(p: number | DropoutOptions = {}, options: DropoutOptions = {}) {
    super();
    const given = typeof p === "number" ? { ...options, p } : p;
    this.p = probability(given.p ?? 0.5);
    this.inplace = given.inplace ?? false;
  }

  override extraRepr(): string {
    return `p=${repr(this.p)}, inplace=${repr(this.inplace)}`;
  }
}

/**
 * In training, zeroes values with probability `p` and scales the others by `1 / (1 - p)`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Dropout.html
 */
export class Dropout extends DropoutBase {
  override forward(input: Tensor): Tensor {
    return this.inplace
      ? ops.dropout_(input, this.p, this.training)
      : ops.dropout(input, this.p, this.training);
  }
}

/**
 * In training, zeroes whole channels. Shapes: `(N, C, L)` or `(C, L)`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Dropout1d.html
 */
export class Dropout1d extends DropoutBase {
  override forward(input: Tensor): Tensor {
    return dropout1d(input, this);
  }
}

/**
 * In training, zeroes whole channels. Shapes: `(N, C, H, W)` or `(N, C, L)`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Dropout2d.html
 */
export class Dropout2d extends DropoutBase {
  override forward(input: Tensor): Tensor {
    return dropout2d(input, this);
  }
}

/**
 * In training, zeroes whole channels. Shapes: `(N, C, D, H, W)` or `(C, D, H, W)`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Dropout3d.html
 */
export class Dropout3d extends DropoutBase {
  override forward(input: Tensor): Tensor {
    return dropout3d(input, this);
  }
}

/**
 * Dropout that keeps mean and variance, for networks of {@link SELU}.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.AlphaDropout.html
 */
export class AlphaDropout extends DropoutBase {
  override forward(input: Tensor): Tensor {
    return alphaDropout(input, { p: this.p, training: this.training });
  }
}

/**
 * {@link AlphaDropout} of whole channels.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.FeatureAlphaDropout.html
 */
export class FeatureAlphaDropout extends DropoutBase {
  override forward(input: Tensor): Tensor {
    return featureAlphaDropout(input, { p: this.p, training: this.training });
  }
}
