import { isAutocastEnabled } from "../amp/autocast.js";
import { ArgumentError } from "../errors.js";
import { isGradEnabled } from "../grad-mode.js";
import * as ops from "../ops.js";
import type { Tensor } from "../tensor.js";
import { type FactoryOptions, factory, integer } from "./arguments.js";
import * as init from "./init.js";
import { type Linear, NonDynamicallyQuantizableLinear } from "./linear.js";
import { Module } from "./module.js";
import { Parameter } from "./parameter.js";

/** Options of {@link multiHeadAttentionForward}. */
export interface MultiHeadAttentionForwardOptions {
  /** Whether dropout is applied. Default: true. */
  training?: boolean;
  /** Keys that are not attended to, `(N, S)` or `(S)`: true (or `-inf`, which is added) excludes a key. */
  keyPaddingMask?: Tensor | null;
  /** Whether the weights are returned; without them attention is faster. Default: true. */
  needWeights?: boolean;
  /** Pairs that are not attended to, `(L, S)` or `(N * numHeads, L, S)`; as for `keyPaddingMask`. */
  attnMask?: Tensor | null;
  /** Whether `qProjWeight`, `kProjWeight` and `vProjWeight` take the place of `inProjWeight`. Default: false. */
  useSeparateProjWeight?: boolean;
  /** `(E, E)`. */
  qProjWeight?: Tensor | null;
  /** `(E, Ek)`. */
  kProjWeight?: Tensor | null;
  /** `(E, Ev)`. */
  vProjWeight?: Tensor | null;
  /** Taken for the projected keys, `(N * numHeads, S, E / numHeads)`. */
  staticK?: Tensor | null;
  /** Taken for the projected values, `(N * numHeads, S, E / numHeads)`. */
  staticV?: Tensor | null;
  /** Whether the weights returned are the mean over the heads. Default: true. */
  averageAttnWeights?: boolean;
  /** Says that `attnMask` is the causal mask, which lets a faster way be taken. Default: false. */
  isCausal?: boolean;
}

/** The output `(L, N, E)`, and the weights `(N, L, S)`, or null where they are not needed. */
export type Attended = [output: Tensor, weights: Tensor | null];

function refuse(message: string): never {
  throw new ArgumentError(`multiHeadAttentionForward: ${message}`);
}

const sizes = (shape: readonly number[]): string => `(${shape.join(", ")})`;

function expectShape(tensor: Tensor, expected: readonly number[], what: string): void {
  const shape = tensor.shape;
  if (shape.length === expected.length && shape.every((size, i) => size === expected[i])) return;
  refuse(`${what} must have shape ${sizes(expected)}, but has ${sizes(shape)}.`);
}

/** Throws unless the inputs are all with a batch or all without one; whether they are with one. */
function checkDims(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  keyPaddingMask: Tensor | null,
  attnMask: Tensor | null,
): boolean {
  const dims = query.ndim;
  if (dims !== 2 && dims !== 3) {
    refuse(`query must be (L, N, E), or (L, E) without a batch, but has ${dims} dimensions.`);
  }
  if (key.ndim !== dims || value.ndim !== dims) {
    refuse(`key and value must have ${dims} dimensions like query, but have ${key.ndim} and ${value.ndim}.`);
  }
  if (keyPaddingMask !== null && keyPaddingMask.ndim !== dims - 1) {
    const wanted = dims === 3 ? "(N, S)" : "(S)";
    refuse(`keyPaddingMask must be ${wanted}, but has ${keyPaddingMask.ndim} dimensions.`);
  }
  if (attnMask !== null && attnMask.ndim !== 2 && attnMask.ndim !== 3) {
    refuse(`attnMask must be (L, S) or (N * numHeads, L, S), but has ${attnMask.ndim} dimensions.`);
  }
  return dims === 3;
}

/** A mask as numbers that are added to the scores: `-inf` where a boolean mask is true. */
export function additiveMask(mask: Tensor, like: Tensor, name: string): Tensor {
  if (mask.isFloatingPoint()) return mask;
  if (mask.dtype !== "bool")
    refuse(`${name} must be bool or of a floating point type, but is ${mask.dtype}.`);
  return ops.zerosLike(mask, { dtype: like.dtype }).maskedFill_(mask, Number.NEGATIVE_INFINITY);
}

/** The parts of a projection to several things at once, each in memory of its own. */
function parts(projected: Tensor, count: number, width: number): Tensor[] {
  return projected
    .unflatten(-1, [count, width])
    .unsqueeze(0)
    .transpose(0, -2)
    .squeeze(-2)
    .contiguous()
    .unbind(0);
}

function projectPacked(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  weight: Tensor,
  bias: Tensor | null,
): Tensor[] {
  const width = query.size(-1);
  if (key === value && query === key) return parts(ops.linear(query, weight, bias), 3, width);
  if (key === value) {
    const [queryWeight, restWeight] = weight.splitWithSizes([width, 2 * width]) as [Tensor, Tensor];
    const [queryBias = null, restBias = null] = bias?.splitWithSizes([width, 2 * width]) ?? [];
    return [
      ops.linear(query, queryWeight, queryBias),
      ...parts(ops.linear(key, restWeight, restBias), 2, width),
    ];
  }
  const weights = weight.chunk(3);
  const biases = bias?.chunk(3);
  return [query, key, value].map((input, i) => ops.linear(input, weights[i] as Tensor, biases?.[i] ?? null));
}

function projectSeparately(
  inputs: readonly [query: Tensor, key: Tensor, value: Tensor],
  weights: readonly (Tensor | null)[],
  bias: Tensor | null,
): Tensor[] {
  const width = inputs[0].size(-1);
  const biases = bias?.chunk(3);
  return inputs.map((input, i) => {
    const name = `${"qkv"[i]}ProjWeight`;
    const weight = weights[i] ?? refuse(`${name} is needed where useSeparateProjWeight is true.`);
    expectShape(weight, [width, input.size(-1)], name);
    return ops.linear(input, weight, biases?.[i] ?? null);
  });
}

/** A column for one more key, which no mask excludes. */
const oneMoreKey = (mask: Tensor | null): Tensor | null => (mask === null ? null : ops.pad(mask, [0, 1]));

/**
 * Attention with several heads over projections of queries, keys and values. See {@link MultiheadAttention}.
 *
 * Shapes: query `(L, N, E)`, key `(S, N, Ek)`, value `(S, N, Ev)`, all with or all without `N`.
 *
 * @throws ArgumentError where shapes do not fit, or `isCausal` is given without `attnMask`
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiheadAttention.html
 */
export function multiHeadAttentionForward(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  embedDimToCheck: number,
  numHeads: number,
  inProjWeight: Tensor | null,
  inProjBias: Tensor | null,
  biasK: Tensor | null,
  biasV: Tensor | null,
  addZeroAttn: boolean,
  dropoutP: number,
  outProjWeight: Tensor,
  outProjBias: Tensor | null,
  options: MultiHeadAttentionForwardOptions = {},
): Attended {
  const {
    training = true,
    needWeights = true,
    useSeparateProjWeight = false,
    averageAttnWeights = true,
  } = options;
  const {
    qProjWeight = null,
    kProjWeight = null,
    vProjWeight = null,
    staticK = null,
    staticV = null,
  } = options;
  let { keyPaddingMask = null, attnMask = null, isCausal = false } = options;

  const batched = checkDims(query, key, value, keyPaddingMask, attnMask);
  if (!batched) {
    query = query.unsqueeze(1);
    key = key.unsqueeze(1);
    value = value.unsqueeze(1);
    keyPaddingMask = keyPaddingMask?.unsqueeze(0) ?? null;
  }
  const [targetLength, batch, embedDim] = query.shape as [number, number, number];
  let sourceLength = key.size(0);
  const headDim = Math.floor(embedDim / numHeads);
  if (embedDim !== embedDimToCheck)
    refuse(`query must have ${embedDimToCheck} features, but has ${embedDim}.`);
  if (headDim * numHeads !== embedDim)
    refuse(`embedDim ${embedDim} must be divisible by numHeads ${numHeads}.`);
  if (useSeparateProjWeight) expectShape(value, [...key.shape.slice(0, 2), value.size(-1)], "value");
  else expectShape(value, key.shape, "value");

  if (keyPaddingMask !== null) keyPaddingMask = additiveMask(keyPaddingMask, query, "keyPaddingMask");
  if (isCausal && attnMask === null) {
    refuse("isCausal needs attnMask as well: nn.Transformer.generateSquareSubsequentMask(length) makes it.");
  }
  if (isCausal && keyPaddingMask === null && !needWeights) {
    attnMask = null;
  } else {
    if (attnMask !== null) attnMask = additiveMask(attnMask, query, "attnMask");
    // Merged with another one, the mask is no longer the causal one.
    if (keyPaddingMask !== null) isCausal = false;
  }

  let q: Tensor;
  let k: Tensor;
  let v: Tensor;
  if (useSeparateProjWeight) {
    const weights = [qProjWeight, kProjWeight, vProjWeight];
    [q, k, v] = projectSeparately([query, key, value], weights, inProjBias) as [Tensor, Tensor, Tensor];
  } else {
    if (inProjWeight === null) refuse("inProjWeight is needed where useSeparateProjWeight is false.");
    [q, k, v] = projectPacked(query, key, value, inProjWeight, inProjBias) as [Tensor, Tensor, Tensor];
  }

  if (attnMask?.ndim === 2) {
    expectShape(attnMask, [targetLength, sourceLength], "attnMask");
    attnMask = attnMask.unsqueeze(0);
  } else if (attnMask !== null) {
    expectShape(attnMask, [batch * numHeads, targetLength, sourceLength], "attnMask");
  }

  if (biasK !== null && biasV !== null) {
    if (staticK !== null || staticV !== null)
      refuse("biasK and biasV cannot be added to staticK or staticV.");
    k = ops.cat([k, biasK.repeat([1, batch, 1])]);
    v = ops.cat([v, biasV.repeat([1, batch, 1])]);
    attnMask = oneMoreKey(attnMask);
    keyPaddingMask = oneMoreKey(keyPaddingMask);
  } else if (biasK !== biasV) {
    refuse("biasK and biasV must be given both or none.");
  }

  // All heads of all examples as one batch, which comes first.
  const heads = batch * numHeads;
  const byHead = (tensor: Tensor) => tensor.view([tensor.size(0), heads, headDim]).transpose(0, 1);
  for (const [name, given] of [
    ["staticK", staticK],
    ["staticV", staticV],
  ] as const) {
    if (given !== null) expectShape(given, [heads, given.size(1), headDim], name);
  }
  q = byHead(q);
  k = staticK ?? byHead(k);
  v = staticV ?? byHead(v);
  if (addZeroAttn) {
    const zeros = ops.zeros([heads, 1, headDim], { dtype: k.dtype, device: k.device });
    k = ops.cat([k, zeros], 1);
    v = ops.cat([v, zeros], 1);
    attnMask = oneMoreKey(attnMask);
    keyPaddingMask = oneMoreKey(keyPaddingMask);
  }
  sourceLength = k.size(1);

  if (keyPaddingMask !== null) {
    expectShape(keyPaddingMask, [batch, sourceLength], "keyPaddingMask");
    const perHead = keyPaddingMask
      .view([batch, 1, 1, sourceLength])
      .expand([-1, numHeads, -1, -1])
      .reshape([heads, 1, sourceLength]);
    attnMask = attnMask === null ? perHead : attnMask.add(perHead);
  }

  const p = training ? dropoutP : 0;
  let output: Tensor;
  let weights: Tensor | null = null;
  if (needWeights) {
    const scaled = q.mul(Math.sqrt(1 / headDim));
    const keys = k.transpose(-2, -1);
    weights = attnMask === null ? ops.bmm(scaled, keys) : ops.baddbmm(attnMask, scaled, keys);
    weights = weights.softmax(-1);
    if (p > 0) weights = ops.dropout(weights, p, true);
    output = ops
      .bmm(weights, v)
      .transpose(0, 1)
      .reshape([targetLength * batch, embedDim]);
    weights = weights.view([batch, numHeads, targetLength, sourceLength]);
    if (averageAttnWeights) weights = weights.mean([1]);
    if (!batched) weights = weights.squeeze(0);
  } else {
    if (attnMask !== null) {
      attnMask =
        attnMask.size(0) === 1 ? attnMask.unsqueeze(0) : attnMask.view([batch, numHeads, -1, sourceLength]);
    }
    output = ops
      .scaledDotProductAttention(
        q.view([batch, numHeads, targetLength, headDim]),
        k.view([batch, numHeads, sourceLength, headDim]),
        v.view([batch, numHeads, sourceLength, headDim]),
        attnMask,
        p,
        isCausal,
      )
      .permute([2, 0, 1, 3])
      .reshape([batch * targetLength, embedDim]);
  }
  output = ops.linear(output, outProjWeight, outProjBias).view([targetLength, batch, -1]);
  return [batched ? output : output.squeeze(1), weights];
}

/** Options of {@link MultiheadAttention}, in the order of PyTorch's positional arguments. */
export interface MultiheadAttentionOptions extends FactoryOptions {
  /** Probability with which a weight of the attention is zeroed in training. Default: 0. */
  dropout?: number;
  /** Whether the projections have a bias. Default: true. */
  bias?: boolean;
  /** Whether a learned key and value are added to those given. Default: false. */
  addBiasKv?: boolean;
  /** Whether a key and a value of zeros are added to those given. Default: false. */
  addZeroAttn?: boolean;
  /** Features of the keys. Default: `embedDim`. */
  kdim?: number | null;
  /** Features of the values. Default: `embedDim`. */
  vdim?: number | null;
  /** Whether the batch comes first, `(N, L, E)`, instead of second. Default: false. */
  batchFirst?: boolean;
}

/** Options of the `forward` of {@link MultiheadAttention}. */
export interface MultiheadAttentionForwardOptions {
  /** Keys that are not attended to, `(N, S)` or `(S)`: true (or `-inf`, which is added) excludes a key. */
  keyPaddingMask?: Tensor | null;
  /** Whether the weights are returned; without them attention is faster. Default: true. */
  needWeights?: boolean;
  /** Pairs that are not attended to, `(L, S)` or `(N * numHeads, L, S)`; as for `keyPaddingMask`. */
  attnMask?: Tensor | null;
  /** Whether the weights returned are the mean over the heads. Default: true. */
  averageAttnWeights?: boolean;
  /** Says that `attnMask` is the causal mask, which lets a faster way be taken. Default: false. */
  isCausal?: boolean;
}

/**
 * Attention with several heads: for each query the mean of the values, weighted by how well their keys fit.
 *
 * Shapes: query and output `(L, N, E)`, key `(S, N, Ek)`, value `(S, N, Ev)`; `(N, L, E)` and so on with `batchFirst`;
 * all without `N` for a single example. Weights `(N, L, S)`, or `(N, numHeads, L, S)` where they are not averaged.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiheadAttention.html
 */
export class MultiheadAttention extends Module {
  static override readonly stateNames: Readonly<Record<string, string>> = {
    qProjWeight: "q_proj_weight",
    kProjWeight: "k_proj_weight",
    vProjWeight: "v_proj_weight",
    inProjWeight: "in_proj_weight",
    inProjBias: "in_proj_bias",
    biasK: "bias_k",
    biasV: "bias_v",
    outProj: "out_proj",
  };

  readonly embedDim: number;
  readonly kdim: number;
  readonly vdim: number;
  readonly numHeads: number;
  readonly headDim: number;
  readonly batchFirst: boolean;
  readonly addZeroAttn: boolean;
  dropout: number;
  qProjWeight: Parameter | null;
  kProjWeight: Parameter | null;
  vProjWeight: Parameter | null;
  /** The three projections in one, where queries, keys and values have the same features. */
  inProjWeight: Parameter | null;
  inProjBias: Parameter | null;
  biasK: Parameter | null;
  biasV: Parameter | null;
  outProj: Linear;

  constructor(embedDim: number, numHeads: number, options: MultiheadAttentionOptions = {}) {
    super();
    const { dropout = 0, bias = true, addBiasKv = false, addZeroAttn = false, batchFirst = false } = options;
    this.embedDim = integer(embedDim, "embedDim", 1);
    this.numHeads = integer(numHeads, "numHeads", 1);
    if (embedDim % numHeads !== 0) {
      throw new ArgumentError(
        `embedDim must be divisible by numHeads, but ${embedDim} is not divisible by ${numHeads}.`,
      );
    }
    this.headDim = embedDim / numHeads;
    this.kdim = integer(options.kdim ?? embedDim, "kdim", 1);
    this.vdim = integer(options.vdim ?? embedDim, "vdim", 1);
    this.dropout = dropout;
    this.batchFirst = batchFirst;
    this.addZeroAttn = addZeroAttn;
    const made = factory(options);
    const parameter = (...shape: number[]) => new Parameter(ops.empty(shape, made));
    const packed = this.packed;
    this.qProjWeight = packed ? null : parameter(embedDim, embedDim);
    this.kProjWeight = packed ? null : parameter(embedDim, this.kdim);
    this.vProjWeight = packed ? null : parameter(embedDim, this.vdim);
    this.inProjWeight = packed ? parameter(3 * embedDim, embedDim) : null;
    this.inProjBias = bias ? parameter(3 * embedDim) : null;
    this.outProj = new NonDynamicallyQuantizableLinear(embedDim, embedDim, { ...made, bias });
    this.biasK = addBiasKv ? parameter(1, 1, embedDim) : null;
    this.biasV = addBiasKv ? parameter(1, 1, embedDim) : null;
    this.resetParameters();
  }

  /** Whether queries, keys and values have the same features, so that one weight projects all three. */
  get packed(): boolean {
    return this.kdim === this.embedDim && this.vdim === this.embedDim;
  }

  /** Draws the projections by Xavier's rule, and zeroes their biases. */
  resetParameters(): void {
    for (const weight of [this.inProjWeight, this.qProjWeight, this.kProjWeight, this.vProjWeight]) {
      if (weight !== null) init.xavierUniform_(weight);
    }
    if (this.inProjBias !== null) {
      init.zeros_(this.inProjBias);
      init.zeros_(this.outProj.bias as Parameter);
    }
    if (this.biasK !== null) init.xavierNormal_(this.biasK);
    if (this.biasV !== null) init.xavierNormal_(this.biasV);
  }

  override forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    options: MultiheadAttentionForwardOptions = {},
  ): Attended {
    const { needWeights = true, averageAttnWeights = true, isCausal = false } = options;
    const { keyPaddingMask = null, attnMask = null } = options;
    if (!this.training && query === key && key === value) {
      const attended = this.attendFast(query, keyPaddingMask, attnMask, needWeights, averageAttnWeights);
      if (attended !== null) return attended;
    }
    const swapped = this.batchFirst && query.ndim === 3;
    if (swapped) {
      // The tensors that are one stay one: the projection is then a single product.
      const same = new Map([query, key, value].map((tensor) => [tensor, tensor.transpose(1, 0)]));
      query = same.get(query) as Tensor;
      key = same.get(key) as Tensor;
      value = same.get(value) as Tensor;
    }
    const [output, weights] = multiHeadAttentionForward(
      query,
      key,
      value,
      this.embedDim,
      this.numHeads,
      this.inProjWeight,
      this.inProjBias,
      this.biasK,
      this.biasV,
      this.addZeroAttn,
      this.dropout,
      this.outProj.weight,
      this.outProj.bias,
      {
        training: this.training,
        keyPaddingMask,
        needWeights,
        attnMask,
        useSeparateProjWeight: !this.packed,
        qProjWeight: this.qProjWeight,
        kProjWeight: this.kProjWeight,
        vProjWeight: this.vProjWeight,
        averageAttnWeights,
        isCausal,
      },
    );
    return [swapped ? output.transpose(1, 0) : output, weights];
  }

  /** Self-attention without gradients, by one operator; null where that does not do what is asked for. */
  private attendFast(
    input: Tensor,
    keyPaddingMask: Tensor | null,
    attnMask: Tensor | null,
    needWeights: boolean,
    averageAttnWeights: boolean,
  ): Attended | null {
    const { inProjWeight, inProjBias, outProj } = this;
    if (inProjWeight === null || inProjBias === null || outProj.bias === null) return null;
    if (!this.batchFirst || this.numHeads % 2 !== 0) return null;
    if (this.biasK !== null || this.biasV !== null || this.addZeroAttn) return null;
    if (keyPaddingMask?.isFloatingPoint() || attnMask?.isFloatingPoint()) return null;
    if (input.ndim !== 3 || input.dtype !== inProjWeight.dtype || input.dtype !== inProjBias.dtype)
      return null;
    if (!canSkipGraph([input, inProjWeight, inProjBias, outProj.weight, outProj.bias])) return null;
    const [mask, maskType] = this.mergeMasks(
      attnMask && additiveMask(attnMask, input, "attnMask"),
      keyPaddingMask && additiveMask(keyPaddingMask, input, "keyPaddingMask"),
      input,
    );
    return ops.call(
      "aten::_native_multi_head_attention",
      input,
      input,
      input,
      this.embedDim,
      this.numHeads,
      inProjWeight,
      inProjBias,
      outProj.weight,
      outProj.bias,
      mask,
      needWeights,
      averageAttnWeights,
      maskType,
    ) as Attended;
  }

  /**
   * The two kinds of masks as one, with its type for libtorch's operators: 1 for keys alone, 2 for pairs.
   *
   * @param query `(N, L, E)`
   */
  mergeMasks(
    attnMask: Tensor | null,
    keyPaddingMask: Tensor | null,
    query: Tensor,
  ): [mask: Tensor | null, maskType: number | null] {
    if (attnMask === null) return [keyPaddingMask, keyPaddingMask === null ? null : 1];
    const [batch, length] = query.shape as [number, number];
    const pairs =
      attnMask.ndim === 3
        ? attnMask.view([batch, -1, length, length])
        : attnMask.view([1, 1, length, length]).expand([batch, this.numHeads, -1, -1]);
    if (keyPaddingMask === null) return [pairs, 2];
    const keys = keyPaddingMask.view([batch, 1, 1, length]).expand([-1, this.numHeads, -1, -1]);
    return [pairs.add(keys), 2];
  }
}

/** Whether operators without a gradient do for these tensors: nothing is recorded, or nothing of theirs would be. */
export function canSkipGraph(tensors: readonly Tensor[]): boolean {
  if (isAutocastEnabled("cuda")) return false;
  if (tensors.some(({ device }) => device !== "cpu" && !device.startsWith("cuda"))) return false;
  return !isGradEnabled() || !tensors.some((tensor) => tensor.requiresGrad);
}
