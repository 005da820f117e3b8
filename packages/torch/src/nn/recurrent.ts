import { isAutocastEnabled } from "../amp/autocast.js";
import { ArgumentError } from "../errors.js";
import { noGrad } from "../grad-mode.js";
import * as ops from "../ops.js";
import type { Tensor } from "../tensor.js";
import { type FactoryOptions, factory, integer, oneOf } from "./arguments.js";
import * as init from "./init.js";
import { Module } from "./module.js";
import { Parameter } from "./parameter.js";
import { floatRepr } from "./repr.js";
import { PackedSequence } from "./utils/rnn.js";

/** Options of the recurrent layers, in the order of PyTorch's positional arguments. */
export interface GRUOptions extends FactoryOptions {
  /** How many layers, each on the output of the one before. Default: 1. */
  numLayers?: number;
  /** Whether biases are learned. Default: true. */
  bias?: boolean;
  /** Whether input and output are `(N, L, *)` instead of `(L, N, *)`; states are not affected. Default: false. */
  batchFirst?: boolean;
  /** Probability of a zero in what one layer passes to the next, in training. Default: 0. */
  dropout?: number;
  /** Whether each layer also runs from the end to the beginning; the outputs are put together. Default: false. */
  bidirectional?: boolean;
}

/** Options of {@link RNN}, in the order of PyTorch's positional arguments. */
export interface RNNOptions extends GRUOptions {
  /** Default: `"tanh"`. */
  nonlinearity?: "tanh" | "relu";
}

/** Options of {@link LSTM}, in the order of PyTorch's positional arguments. */
export interface LSTMOptions extends GRUOptions {
  /** Features to which the hidden state is projected; 0 for no projection. Default: 0. */
  projSize?: number;
}

/** Which operator a recurrent layer runs. */
export type RNNMode = "RNN_TANH" | "RNN_RELU" | "LSTM" | "GRU";

const gates: Record<RNNMode, number> = { RNN_TANH: 1, RNN_RELU: 1, LSTM: 4, GRU: 3 };

/** cuDNN's numbers. */
const cudnnModes: Record<RNNMode, number> = { RNN_RELU: 0, RNN_TANH: 1, LSTM: 2, GRU: 3 };

/** A sequence as a tensor, or several of different lengths. */
type Sequence = Tensor | PackedSequence;

function sameShape(shape: readonly number[], wanted: readonly number[]): boolean {
  return shape.length === wanted.length && shape.every((size, i) => size === wanted[i]);
}

/**
 * What the recurrent layers have in common.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.RNNBase.html
 */
export abstract class RNNBase extends Module {
  /** The weights of the further layers, named like those of the first; with `Reverse`, those of the other direction. */
  readonly [weight: `weight${"Ih" | "Hh" | "Hr"}L${number}${"" | "Reverse"}`]: Parameter;
  /** The biases of the further layers, where there are biases. */
  readonly [bias: `bias${"Ih" | "Hh"}L${number}${"" | "Reverse"}`]: Parameter;
  declare readonly weightIhL0: Parameter;
  declare readonly weightHhL0: Parameter;
  declare readonly biasIhL0: Parameter;
  declare readonly biasHhL0: Parameter;

  readonly mode: RNNMode;
  readonly inputSize: number;
  readonly hiddenSize: number;
  readonly numLayers: number;
  readonly bias: boolean;
  readonly batchFirst: boolean;
  dropout: number;
  readonly bidirectional: boolean;
  readonly projSize: number;
  /** The fields of the parameters, one list for each layer and direction. */
  private readonly weightNames: string[][] = [];

  constructor(mode: RNNMode, inputSize: number, hiddenSize: number, options: LSTMOptions = {}) {
    super();
    const { numLayers = 1, bias = true, batchFirst = false, dropout = 0, bidirectional = false } = options;
    const { projSize = 0 } = options;
    if (!(dropout >= 0 && dropout <= 1)) {
      throw new ArgumentError(
        `dropout should be a number in range [0, 1], the probability of an element being zeroed, but got ${String(dropout)}.`,
      );
    }
    this.mode = mode;
    this.inputSize = integer(inputSize, "inputSize", 1);
    this.hiddenSize = integer(hiddenSize, "hiddenSize", 1);
    this.numLayers = integer(numLayers, "numLayers", 1);
    this.bias = bias;
    this.batchFirst = batchFirst;
    this.dropout = dropout;
    this.bidirectional = bidirectional;
    this.projSize = integer(projSize, "projSize");
    if (projSize >= hiddenSize) {
      throw new ArgumentError(
        `projSize has to be smaller than hiddenSize, but they are ${projSize} and ${hiddenSize}.`,
      );
    }
    if (dropout > 0 && numLayers === 1) {
      process.emitWarning(
        `dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects numLayers greater than 1, but got dropout=${dropout} and numLayers=${numLayers}.`,
      );
    }
    for (let layer = 0; layer < numLayers; layer++) {
      for (const direction of bidirectional ? ["", "reverse"] : [""])
        this.addWeights(layer, direction, options);
    }
    this.flattenParameters();
    this.resetParameters();
  }

  private addWeights(layer: number, direction: string, options: FactoryOptions): void {
    const { inputSize, hiddenSize, projSize, directions } = this;
    const size = gates[this.mode] * hiddenSize;
    const stateSize = projSize || hiddenSize;
    const shapes: [kind: string, shape: number[]][] = [
      ["weight_ih", [size, layer === 0 ? inputSize : stateSize * directions]],
      ["weight_hh", [size, stateSize]],
    ];
    if (this.bias) shapes.push(["bias_ih", [size]], ["bias_hh", [size]]);
    if (projSize > 0) shapes.push(["weight_hr", [projSize, hiddenSize]]);
    const fields = shapes.map(([kind, shape]) => {
      const stateName = `${kind}_l${layer}${direction && `_${direction}`}`;
      const field = stateName.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
      this.registerParameter(field, new Parameter(ops.empty(shape, factory(options))), { stateName });
      return field;
    });
    this.weightNames.push(fields);
  }

  private get directions(): number {
    return this.bidirectional ? 2 : 1;
  }

  /** The parameters, one list for each layer and direction. */
  get allWeights(): Parameter[][] {
    const fields = this as unknown as Record<string, Parameter>;
    return this.weightNames.map((names) => names.map((name) => fields[name] as Parameter));
  }

  /** All parameters in the order in which the operators take them. */
  private flatWeights(): Parameter[] {
    const fields = this as unknown as Record<string, Parameter>;
    return this.weightNames.flat().map((name) => fields[name] as Parameter);
  }

  /** Draws all parameters uniformly from ±1 / sqrt(hiddenSize). */
  resetParameters(): void {
    const bound = 1 / Math.sqrt(this.hiddenSize);
    for (const parameter of this.parameters()) init.uniform_(parameter, { a: -bound, b: bound });
  }

  /** Lays the parameters into one piece of memory, as cuDNN wants it; does nothing where it is not used. */
  flattenParameters(): void {
    const weights = this.flatWeights();
    const dtype = (weights[0] as Parameter).dtype;
    if (dtype !== "float16" && dtype !== "float32" && dtype !== "float64") return;
    if (!weights.every((weight) => weight.device.startsWith("cuda") && weight.dtype === dtype)) return;
    const places = new Set(weights.map((weight) => `${weight.storageId} ${weight.storageOffset()}`));
    if (places.size < weights.length || !ops.call("aten::_use_cudnn_rnn_flatten_weight")) return;
    noGrad(() =>
      ops.call(
        "aten::_cudnn_rnn_flatten_weight",
        weights,
        (this.bias ? 4 : 2) + (this.projSize > 0 ? 1 : 0),
        this.inputSize,
        cudnnModes[this.mode],
        this.hiddenSize,
        this.projSize,
        this.numLayers,
        this.batchFirst,
        this.bidirectional,
      ),
    );
  }

  protected override afterConversion(): void {
    this.flattenParameters();
  }

  /** Calls libtorch's operator; `batchSizes` is null for sequences of one length. */
  protected abstract run(
    input: Tensor,
    batchSizes: Tensor | null,
    states: readonly Tensor[],
    weights: readonly Tensor[],
  ): Tensor[];

  /** How many states there are: two for an LSTM. */
  protected abstract readonly stateCount: number;

  /** Runs over a sequence from the states given, or zeros. */
  protected recur<S extends Sequence>(
    sequence: S,
    given: readonly Tensor[] | null,
  ): [output: S, states: Tensor[]];
  protected recur(sequence: Sequence, given: readonly Tensor[] | null): [output: Sequence, states: Tensor[]] {
    return sequence instanceof PackedSequence
      ? this.recurPacked(sequence, given)
      : this.recurOne(sequence, given);
  }

  private recurPacked(packed: PackedSequence, given: readonly Tensor[] | null): [PackedSequence, Tensor[]] {
    const { data, batchSizes, sortedIndices, unsortedIndices } = packed;
    const weights = this.flatWeights();
    this.checkInput(data, 2, weights);
    const sorted =
      sortedIndices === null ? given : (given?.map((state) => state.indexSelect(1, sortedIndices)) ?? null);
    const states = this.statesFor(data, batchSizes.select(0, 0).item(), sorted);
    const [output, ...after] = this.run(data, batchSizes, states, weights) as [Tensor, ...Tensor[]];
    return [
      new PackedSequence(output, batchSizes, sortedIndices, unsortedIndices),
      unsortedIndices === null ? after : after.map((state) => state.indexSelect(1, unsortedIndices)),
    ];
  }

  private recurOne(sequence: Tensor, given: readonly Tensor[] | null): [Tensor, Tensor[]] {
    const name = this.constructor.name;
    const dims = sequence.ndim;
    if (dims !== 2 && dims !== 3) {
      throw new ArgumentError(`${name}: expected input to be 2D or 3D, got ${dims}D instead.`);
    }
    for (const state of given ?? []) {
      if (state.ndim === dims) continue;
      const kind = dims === 3 ? "batched" : "unbatched";
      throw new ArgumentError(
        `${name}: for ${kind} ${dims}-D input, states should also be ${dims}-D, but got a ${state.ndim}-D tensor.`,
      );
    }
    const batchDim = this.batchFirst ? 0 : 1;
    const batched = dims === 3;
    const input = batched ? sequence : sequence.unsqueeze(batchDim);
    const weights = this.flatWeights();
    this.checkInput(input, 3, weights);
    const before = batched ? given : (given?.map((state) => state.unsqueeze(1)) ?? null);
    const states = this.statesFor(input, input.size(batchDim), before);
    const [output, ...after] = this.run(input, null, states, weights) as [Tensor, ...Tensor[]];
    if (batched) return [output, after];
    return [output.squeeze(batchDim), after.map((state) => state.squeeze(1))];
  }

  private checkInput(input: Tensor, dims: number, weights: readonly Parameter[]): void {
    const name = this.constructor.name;
    const shape = input.shape;
    if (shape.length !== dims)
      throw new ArgumentError(`${name}: input must have ${dims} dimensions, got ${shape.length}.`);
    if (shape[dims - 1] !== this.inputSize) {
      throw new ArgumentError(
        `${name}: input.size(-1) must be equal to inputSize. Expected ${this.inputSize}, got ${shape[dims - 1]}.`,
      );
    }
    const wanted = (weights[0] as Parameter).dtype;
    if (input.dtype !== wanted && !isAutocastEnabled("cpu") && !isAutocastEnabled("cuda")) {
      throw new ArgumentError(
        `${name}: input dtype (${input.dtype}) does not match weight dtype (${wanted}). Convert input: input.to("${wanted}"), or convert the module: module.to("${input.dtype}").`,
      );
    }
  }

  /** The states given, checked, or zeros. */
  private statesFor(input: Tensor, batch: number, given: readonly Tensor[] | null): readonly Tensor[] {
    const rows = this.numLayers * this.directions;
    const shapes = [
      [rows, batch, this.projSize || this.hiddenSize],
      [rows, batch, this.hiddenSize],
    ].slice(0, this.stateCount);
    if (given === null) {
      const { dtype, device } = input;
      const first = ops.zeros(shapes[0] as number[], { dtype, device });
      if (shapes.length === 1) return [first];
      // The operator only reads them: one tensor does for both.
      return [first, this.projSize === 0 ? first : ops.zeros(shapes[1] as number[], { dtype, device })];
    }
    shapes.forEach((shape, i) => {
      const got = given[i]?.shape ?? [];
      if (sameShape(got, shape)) return;
      const which = this.stateCount > 1 ? `hidden[${i}]` : "hidden";
      throw new ArgumentError(
        `${this.constructor.name}: expected ${which} size (${shape.join(", ")}), got [${got.join(", ")}].`,
      );
    });
    return given;
  }

  override extraRepr(): string {
    const parts = [`${this.inputSize}, ${this.hiddenSize}`];
    if (this.projSize !== 0) parts.push(`proj_size=${this.projSize}`);
    if (this.numLayers !== 1) parts.push(`num_layers=${this.numLayers}`);
    if (!this.bias) parts.push("bias=False");
    if (this.batchFirst) parts.push("batch_first=True");
    if (this.dropout !== 0) parts.push(`dropout=${floatRepr(this.dropout)}`);
    if (this.bidirectional) parts.push("bidirectional=True");
    return parts.join(", ");
  }
}

/** The operators of layers with a single state, which differ in nothing but the name. */
type SingleStateOp = typeof ops.gru;

function runSingle(
  op: SingleStateOp,
  layer: RNNBase,
  input: Tensor,
  batchSizes: Tensor | null,
  state: Tensor,
  weights: readonly Tensor[],
): Tensor[] {
  const { bias, numLayers, dropout, training, bidirectional, batchFirst } = layer;
  return batchSizes === null
    ? op(input, state, weights, bias, numLayers, dropout, training, bidirectional, batchFirst)
    : op(input, batchSizes, state, weights, bias, numLayers, dropout, training, bidirectional);
}

/**
 * The plain recurrent network: `h_t = tanh(W_ih x_t + b_ih + W_hh h_(t-1) + b_hh)`.
 *
 * Shapes: input `(L, N, inputSize)`, output `(L, N, D * hiddenSize)`, state `(D * numLayers, N, hiddenSize)`, where `D` is the
 * number of directions; all without `N` for a single sequence.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.RNN.html
 */
export class RNN extends RNNBase {
  readonly nonlinearity: "tanh" | "relu";

  constructor(inputSize: number, hiddenSize: number, options: RNNOptions = {}) {
    const nonlinearity = oneOf(options.nonlinearity ?? "tanh", ["tanh", "relu"], "nonlinearity");
    super(
      nonlinearity === "tanh" ? "RNN_TANH" : "RNN_RELU",
      inputSize,
      hiddenSize,
      withoutProjection("RNN", options),
    );
    this.nonlinearity = nonlinearity;
  }

  protected override get stateCount(): number {
    return 1;
  }

  protected override run(
    input: Tensor,
    batchSizes: Tensor | null,
    [state]: readonly [Tensor],
    weights: readonly Tensor[],
  ): Tensor[] {
    const op = this.nonlinearity === "tanh" ? ops.rnnTanh : ops.rnnRelu;
    return runSingle(op, this, input, batchSizes, state, weights);
  }

  /** @param hx the initial state. Default: zeros */
  override forward<S extends Tensor | PackedSequence>(
    input: S,
    hx: Tensor | null = null,
  ): [output: S, state: Tensor] {
    const [output, states] = this.recur(input, hx && [hx]);
    return [output, states[0] as Tensor];
  }
}

/**
 * The long short-term memory.
 *
 * Shapes: input `(L, N, inputSize)`, output `(L, N, D * H)`, states `(D * numLayers, N, H)` and
 * `(D * numLayers, N, hiddenSize)`, where `D` is the number of directions and `H` is `projSize`, or `hiddenSize` without
 * projection; all without `N` for a single sequence.
 *
 * ```ts
 * const lstm = new nn.LSTM(10, 20, { numLayers: 2 });
 * const [output, [h, c]] = lstm.forward(torch.randn([5, 3, 10]));
 * ```
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTM.html
 */
export class LSTM extends RNNBase {
  constructor(inputSize: number, hiddenSize: number, options: LSTMOptions = {}) {
    super("LSTM", inputSize, hiddenSize, options);
  }

  protected override get stateCount(): number {
    return 2;
  }

  protected override run(
    input: Tensor,
    batchSizes: Tensor | null,
    states: readonly Tensor[],
    weights: readonly Tensor[],
  ): Tensor[] {
    const { bias, numLayers, dropout, training, bidirectional, batchFirst } = this;
    return batchSizes === null
      ? ops.lstm(input, states, weights, bias, numLayers, dropout, training, bidirectional, batchFirst)
      : ops.lstm(input, batchSizes, states, weights, bias, numLayers, dropout, training, bidirectional);
  }

  /** @param hx the initial states of output and memory. Default: zeros */
  override forward<S extends Tensor | PackedSequence>(
    input: S,
    hx: readonly [h: Tensor, c: Tensor] | null = null,
  ): [output: S, states: [h: Tensor, c: Tensor]] {
    return this.recur(input, hx) as [S, [Tensor, Tensor]];
  }
}

/**
 * The network of gated recurrent units.
 *
 * Shapes: as those of {@link RNN}.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.GRU.html
 */
export class GRU extends RNNBase {
  constructor(inputSize: number, hiddenSize: number, options: GRUOptions = {}) {
    super("GRU", inputSize, hiddenSize, withoutProjection("GRU", options));
  }

  protected override get stateCount(): number {
    return 1;
  }

  protected override run(
    input: Tensor,
    batchSizes: Tensor | null,
    [state]: readonly [Tensor],
    weights: readonly Tensor[],
  ): Tensor[] {
    return runSingle(ops.gru, this, input, batchSizes, state, weights);
  }

  /** @param hx the initial state. Default: zeros */
  override forward<S extends Tensor | PackedSequence>(
    input: S,
    hx: Tensor | null = null,
  ): [output: S, state: Tensor] {
    const [output, states] = this.recur(input, hx && [hx]);
    return [output, states[0] as Tensor];
  }
}

function withoutProjection(name: string, options: GRUOptions): GRUOptions {
  if ("projSize" in options) throw new ArgumentError(`projSize is only supported for LSTM, not for ${name}.`);
  return options;
}
