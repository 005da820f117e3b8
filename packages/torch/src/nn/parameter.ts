import { inspect } from "node:util";
import { ArgumentError } from "../errors.js";
import * as ops from "../ops.js";
import { Tensor } from "../tensor.js";
import { type FactoryOptions, factory } from "./arguments.js";

/** Options of {@link Parameter}. */
export interface ParameterOptions {
  /** Whether gradients are computed for it; needs a floating point or complex type. Default: true. */
  requiresGrad?: boolean;
}

function dataOf(data: Tensor | undefined, what: string): Tensor {
  if (data === undefined) return ops.empty([0]);
  if (data instanceof Tensor) return data;
  throw new ArgumentError(`${what}: data was given ${inspect(data, { depth: 0 })}; it is a Tensor.`);
}

/**
 * A tensor that a {@link Module} trains: assigned to a field of a module it is listed by `parameters()`.
 *
 * A parameter shares the memory of the tensor it is made of, but not its history.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.parameter.Parameter.html
 */
export class Parameter extends Tensor {
  /** @param data the values, shared and not copied. Default: none */
  constructor(data?: Tensor, { requiresGrad = true }: ParameterOptions = {}) {
    super(dataOf(data, "Parameter").detach().handle);
    if (requiresGrad) this.requiresGrad_(true);
  }

  override toString(): string {
    return `Parameter containing:\n${super.toString()}`;
  }

  override [inspect.custom](): string {
    return this.toString();
  }
}

/** Options of {@link Buffer}. */
export interface BufferOptions {
  /** Whether the state dict has it. Default: true. */
  persistent?: boolean;
}

/**
 * A tensor that belongs to a module's state but is not trained: assigned to a field of a module it is listed by `buffers()`.
 *
 * A buffer shares the memory of the tensor it is made of, but not its history.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.parameter.Buffer.html
 */
export class Buffer extends Tensor {
  readonly persistent: boolean;

  /** @param data the values, shared and not copied. Default: none */
  constructor(data?: Tensor, { persistent = true }: BufferOptions = {}) {
    const given = dataOf(data, "Buffer");
    super(given.detach().handle);
    this.persistent = persistent;
    if (given.requiresGrad) this.requiresGrad_(true);
  }
}

function noShapeYet(): never {
  throw new ArgumentError(
    "This parameter or buffer of a lazy module has no shape yet: call the module's forward once, which gives it one, or load a state dict.",
  );
}

function materialize(
  tensor: Tensor,
  shape: readonly number[],
  options: FactoryOptions,
  kind: { prototype: Tensor },
): void {
  const { dtype = tensor.dtype, device = tensor.device } = options;
  tensor.data = ops.empty([...shape], { dtype, device });
  // The object stays, so that an optimizer that already has it trains it.
  Object.setPrototypeOf(tensor, kind.prototype);
}

/**
 * A {@link Parameter} of a lazy module, whose shape follows from the first input.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.parameter.UninitializedParameter.html
 */
export class UninitializedParameter extends Parameter {
  constructor(options: ParameterOptions & FactoryOptions = {}) {
    super(ops.empty([0], factory(options)), options);
  }

  /** Makes it a {@link Parameter} of a shape, without values. */
  materialize(shape: readonly number[], options: FactoryOptions = {}): void {
    materialize(this, shape, options, Parameter);
  }

  override get shape(): number[] {
    return noShapeYet();
  }

  override size(): never {
    return noShapeYet();
  }

  override numel(): number {
    return noShapeYet();
  }

  override toString(): string {
    return "<UninitializedParameter>";
  }
}

/**
 * A {@link Buffer} of a lazy module, whose shape follows from the first input.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.parameter.UninitializedBuffer.html
 */
export class UninitializedBuffer extends Buffer {
  constructor(options: BufferOptions & FactoryOptions = {}) {
    super(ops.empty([0], factory(options)), options);
  }

  /** Makes it a {@link Buffer} of a shape, without values. */
  materialize(shape: readonly number[], options: FactoryOptions = {}): void {
    materialize(this, shape, options, Buffer);
  }

  override get shape(): number[] {
    return noShapeYet();
  }

  override size(): never {
    return noShapeYet();
  }

  override numel(): number {
    return noShapeYet();
  }

  override toString(): string {
    return "<UninitializedBuffer>";
  }

  override [inspect.custom](): string {
    return this.toString();
  }
}

/** Whether a parameter or buffer has no shape yet. */
export function isLazy(tensor: unknown): tensor is UninitializedParameter | UninitializedBuffer {
  return tensor instanceof UninitializedParameter || tensor instanceof UninitializedBuffer;
}
