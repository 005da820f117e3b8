import { ArgumentError } from "../errors.js";
import * as ops from "../ops.js";
import type { Tensor } from "../tensor.js";
import { type FactoryOptions, factory, integer, oneOf } from "./arguments.js";
import * as init from "./init.js";
import { Module } from "./module.js";
import { Parameter } from "./parameter.js";

/** Options of the recurrent cells. */
export interface CellOptions extends FactoryOptions {
  /** Whether biases are learned. Default: true. */
  bias?: boolean;
}

/** Options of {@link RNNCell}, in the order of PyTorch's positional arguments. */
export interface RNNCellOptions extends CellOptions {
  /** Default: `"tanh"`. */
  nonlinearity?: "tanh" | "relu";
}

/**
 * What the recurrent cells have in common: one step of one layer.
 *
 * @see https://docs.pytorch.org/docs/stable/nn.html#recurrent-layers
 */
export abstract class RNNCellBase extends Module {
  static override readonly stateNames: Readonly<Record<string, string>> = {
    weightIh: "weight_ih",
    weightHh: "weight_hh",
    biasIh: "bias_ih",
    biasHh: "bias_hh",
  };

  readonly inputSize: number;
  readonly hiddenSize: number;
  readonly bias: boolean;
  weightIh: Parameter;
  weightHh: Parameter;
  biasIh: Parameter | null;
  biasHh: Parameter | null;

  constructor(
    inputSize: number,
    hiddenSize: number,
    bias: boolean,
    numChunks: number,
    options: FactoryOptions = {},
  ) {
    super();
    this.inputSize = integer(inputSize, "inputSize");
    this.hiddenSize = integer(hiddenSize, "hiddenSize");
    this.bias = bias;
    const size = numChunks * hiddenSize;
    const parameter = (...shape: number[]) => new Parameter(ops.empty(shape, factory(options)));
    this.weightIh = parameter(size, inputSize);
    this.weightHh = parameter(size, hiddenSize);
    this.biasIh = bias ? parameter(size) : null;
    this.biasHh = bias ? parameter(size) : null;
    this.resetParameters();
  }

  /** Draws all parameters uniformly from ±1 / sqrt(hiddenSize). */
  resetParameters(): void {
    const bound = this.hiddenSize > 0 ? 1 / Math.sqrt(this.hiddenSize) : 0;
    for (const parameter of this.parameters()) init.uniform_(parameter, { a: -bound, b: bound });
  }

  /** Runs a step on a batch, or on a single input as a batch of one. */
  protected step(
    input: Tensor,
    states: readonly (Tensor | null)[],
    run: (input: Tensor, states: Tensor[]) => Tensor[],
  ): Tensor[] {
    const name = this.constructor.name;
    const dims = input.ndim;
    if (dims !== 1 && dims !== 2) {
      throw new ArgumentError(`${name}: expected input to be 1D or 2D, got ${dims}D instead.`);
    }
    for (const state of states) {
      if (state !== null && state.ndim !== 1 && state.ndim !== 2) {
        throw new ArgumentError(`${name}: expected hidden to be 1D or 2D, got ${state.ndim}D instead.`);
      }
    }
    const batch = dims === 2 ? input : input.unsqueeze(0);
    const shape = [batch.size(0), this.hiddenSize];
    const { dtype, device } = input;
    const before = states.map((state) => {
      if (state === null) return ops.zeros(shape, { dtype, device });
      return dims === 2 ? state : state.unsqueeze(0);
    });
    const after = run(batch, before);
    return dims === 2 ? after : after.map((state) => state.squeeze(0));
  }

  override extraRepr(): string {
    return `${this.inputSize}, ${this.hiddenSize}${this.bias ? "" : ", bias=False"}`;
  }
}

/**
 * A step of {@link RNN}.
 *
 * Shapes: input `(N, inputSize)`, state and output `(N, hiddenSize)`; all without `N` for a single input.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.RNNCell.html
 */
export class RNNCell extends RNNCellBase {
  readonly nonlinearity: "tanh" | "relu";

  constructor(inputSize: number, hiddenSize: number, options: RNNCellOptions = {}) {
    super(inputSize, hiddenSize, options.bias ?? true, 1, options);
    this.nonlinearity = oneOf(options.nonlinearity ?? "tanh", ["tanh", "relu"], "nonlinearity");
  }

  /** @param hx the state. Default: zeros */
  override forward(input: Tensor, hx: Tensor | null = null): Tensor {
    const op = this.nonlinearity === "tanh" ? ops.rnnTanhCell : ops.rnnReluCell;
    const { weightIh, weightHh, biasIh, biasHh } = this;
    const run = (x: Tensor, [state]: Tensor[]) => [
      op(x, state as Tensor, weightIh, weightHh, biasIh, biasHh),
    ];
    return this.step(input, [hx], run)[0] as Tensor;
  }

  override extraRepr(): string {
    return super.extraRepr() + (this.nonlinearity === "tanh" ? "" : `, nonlinearity=${this.nonlinearity}`);
  }
}

/**
 * A step of {@link LSTM}.
 *
 * Shapes: input `(N, inputSize)`, states `(N, hiddenSize)`; all without `N` for a single input.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTMCell.html
 */
export class LSTMCell extends RNNCellBase {
  constructor(inputSize: number, hiddenSize: number, options: CellOptions = {}) {
    super(inputSize, hiddenSize, options.bias ?? true, 4, options);
  }

  /** @param hx the states of output and memory. Default: zeros */
  override forward(input: Tensor, hx: readonly [h: Tensor, c: Tensor] | null = null): [h: Tensor, c: Tensor] {
    const { weightIh, weightHh, biasIh, biasHh } = this;
    const run = (x: Tensor, states: Tensor[]) => ops.lstmCell(x, states, weightIh, weightHh, biasIh, biasHh);
    return this.step(input, hx ?? [null, null], run) as [Tensor, Tensor];
  }
}

/**
 * A step of {@link GRU}.
 *
 * Shapes: input `(N, inputSize)`, state and output `(N, hiddenSize)`; all without `N` for a single input.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.GRUCell.html
 */
export class GRUCell extends RNNCellBase {
  constructor(inputSize: number, hiddenSize: number, options: CellOptions = {}) {
    super(inputSize, hiddenSize, options.bias ?? true, 3, options);
  }

  /** @param hx the state. Default: zeros */
  override forward(input: Tensor, hx: Tensor | null = null): Tensor {
    const { weightIh, weightHh, biasIh, biasHh } = this;
    const run = (x: Tensor, [state]: Tensor[]) => [
      ops.gruCell(x, state as Tensor, weightIh, weightHh, biasIh, biasHh),
    ];
    return this.step(input, [hx], run)[0] as Tensor;
  }
}
