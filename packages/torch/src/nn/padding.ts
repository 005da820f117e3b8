import * as ops from "../ops.js";
import type { Tensor } from "../tensor.js";
import { expand, oneOf, type Size } from "./arguments.js";
import { Module } from "./module.js";
import { repr } from "./repr.js";

/** What stands beyond the border. */
export type PaddingMode = "constant" | "reflect" | "replicate" | "circular";

/** Options of {@link pad}. */
export interface PadOptions {
  /** Default: `"constant"`. */
  mode?: PaddingMode;
  /** The constant. Default: 0. */
  value?: number | null;
}

/**
 * Adds a border.
 *
 * @param padding before and after each dimension, the last dimension first: `[left, right, top, bottom]`
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.pad.html
 */
export function pad(input: Tensor, padding: readonly number[], options: PadOptions = {}): Tensor {
  const { mode = "constant", value = null } = options;
  oneOf(mode, ["constant", "reflect", "replicate", "circular"], "mode");
  if (mode === "constant") return ops.constantPadNd(input, padding, value ?? 0);
  return ops.pad(input, padding, mode, value);
}

abstract class Pad extends Module {
  /** Before and after each dimension, the last dimension first. */
  readonly padding: number[];

  constructor(dims: number, padding: Size) {
    super();
    this.padding = expand(padding, 2 * dims, "padding");
  }

  protected get mode(): PaddingMode {
    return "constant";
  }

  protected get fill(): number | null {
    return null;
  }

  override forward(input: Tensor): Tensor {
    return pad(input, this.padding, { mode: this.mode, value: this.fill });
  }

  override extraRepr(): string {
    return repr(this.padding);
  }
}

abstract class ConstantPad extends Pad {
  readonly value: number;

  constructor(dims: number, padding: Size, value: number) {
    super(dims, padding);
    this.value = value;
  }

  protected override get fill(): number {
    return this.value;
  }

  override extraRepr(): string {
    return `padding=${repr(this.padding)}, value=${repr(this.value)}`;
  }
}

/**
 * Pads with a constant: `[left, right]`, or one number for both.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ConstantPad1d.html
 */
export class ConstantPad1d extends ConstantPad {
  constructor(padding: Size, value: number) {
    super(1, padding, value);
  }
}

/**
 * Pads with a constant: `[left, right, top, bottom]`, or one number for all.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ConstantPad2d.html
 */
export class ConstantPad2d extends ConstantPad {
  constructor(padding: Size, value: number) {
    super(2, padding, value);
  }
}

/**
 * Pads with a constant: `[left, right, top, bottom, front, back]`, or one number for all.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ConstantPad3d.html
 */
export class ConstantPad3d extends ConstantPad {
  constructor(padding: Size, value: number) {
    super(3, padding, value);
  }
}

abstract class ZeroPad extends ConstantPad {
  constructor(dims: number, padding: Size) {
    super(dims, padding, 0);
  }

  override extraRepr(): string {
    return repr(this.padding);
  }
}

/**
 * Pads with zeros.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ZeroPad1d.html
 */
export class ZeroPad1d extends ZeroPad {
  constructor(padding: Size) {
    super(1, padding);
  }
}

/**
 * Pads with zeros.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ZeroPad2d.html
 */
export class ZeroPad2d extends ZeroPad {
  constructor(padding: Size) {
    super(2, padding);
  }
}

/**
 * Pads with zeros.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ZeroPad3d.html
 */
export class ZeroPad3d extends ZeroPad {
  constructor(padding: Size) {
    super(3, padding);
  }
}

abstract class ReflectionPad extends Pad {
  protected override get mode(): PaddingMode {
    return "reflect";
  }
}

/**
 * Pads with the values on this side of the border, mirrored at the outermost one.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ReflectionPad1d.html
 */
export class ReflectionPad1d extends ReflectionPad {
  constructor(padding: Size) {
    super(1, padding);
  }
}

/**
 * Pads with the values on this side of the border, mirrored at the outermost one.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ReflectionPad2d.html
 */
export class ReflectionPad2d extends ReflectionPad {
  constructor(padding: Size) {
    super(2, padding);
  }
}

/**
 * Pads with the values on this side of the border, mirrored at the outermost one.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ReflectionPad3d.html
 */
export class ReflectionPad3d extends ReflectionPad {
  constructor(padding: Size) {
    super(3, padding);
  }
}

abstract class ReplicationPad extends Pad {
  protected override get mode(): PaddingMode {
    return "replicate";
  }
}

/**
 * Pads with the outermost value.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ReplicationPad1d.html
 */
export class ReplicationPad1d extends ReplicationPad {
  constructor(padding: Size) {
    super(1, padding);
  }
}

/**
 * Pads with the outermost value.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ReplicationPad2d.html
 */
export class ReplicationPad2d extends ReplicationPad {
  constructor(padding: Size) {
    super(2, padding);
  }
}

/**
 * Pads with the outermost value.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ReplicationPad3d.html
 */
export class ReplicationPad3d extends ReplicationPad {
  constructor(padding: Size) {
    super(3, padding);
  }
}

abstract class CircularPad extends Pad {
  protected override get mode(): PaddingMode {
    return "circular";
  }
}

/**
 * Pads with the values from the other end.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.CircularPad1d.html
 */
export class CircularPad1d extends CircularPad {
  constructor(padding: Size) {
    super(1, padding);
  }
}

/**
 * Pads with the values from the other end.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.CircularPad2d.html
 */
export class CircularPad2d extends CircularPad {
  constructor(padding: Size) {
    super(2, padding);
  }
}

/**
 * Pads with the values from the other end.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.CircularPad3d.html
 */
export class CircularPad3d extends CircularPad {
  constructor(padding: Size) {
    super(3, padding);
  }
}
