import { ArgumentError } from "../errors.js";
import * as ops from "../ops.js";
import type { Tensor } from "../tensor.js";
import { GELU, gelu, ReLU, relu } from "./activation.js";
import { type FactoryOptions, factory, oneOf } from "./arguments.js";
import { additiveMask, canSkipGraph, MultiheadAttention } from "./attention.js";
import { ModuleList } from "./container.js";
import { deepCopy } from "./deep-copy.js";
import { Dropout } from "./dropout.js";
import * as init from "./init.js";
import { Linear } from "./linear.js";
import { Module } from "./module.js";
import { hasForwardHooks } from "./module-hooks.js";
import { LayerNorm } from "./norm.js";

/** What stands between the two linear layers of a transformer's layer: by name, a function or a module. */
export type TransformerActivation = "relu" | "gelu" | ((input: Tensor) => Tensor) | Module;

/** Options of the layers of transformers, in the order of PyTorch's positional arguments. */
export interface TransformerLayerOptions extends FactoryOptions {
  /** Features between the two linear layers. Default: 2048. */
  dimFeedforward?: number;
  /** Default: 0.1. */
  dropout?: number;
  /** Default: `"relu"`. */
  activation?: TransformerActivation;
  /** `eps` of the layer norms. Default: 1e-5. */
  layerNormEps?: number;
  /** Whether the batch comes first, `(N, L, E)`, instead of second. Default: false. */
  batchFirst?: boolean;
  /** Whether each part normalises its input, instead of its output. Default: false. */
  normFirst?: boolean;
  /** Whether linear layers and layer norms have a bias. Default: true. */
  bias?: boolean;
}

/** Options of {@link Transformer}, in the order of PyTorch's positional arguments. */
export interface TransformerOptions extends TransformerLayerOptions {
  /** Features of inputs and output. Default: 512. */
  dModel?: number;
  /** Heads of each attention. Default: 8. */
  nhead?: number;
  /** Default: 6. */
  numEncoderLayers?: number;
  /** Default: 6. */
  numDecoderLayers?: number;
  /** Stands for the encoder; called like {@link TransformerEncoder.forward}. */
  customEncoder?: Module | null;
  /** Stands for the decoder; called like {@link TransformerDecoder.forward}. */
  customDecoder?: Module | null;
}

/** Options of the `forward` of {@link Transformer}. Masks are as those of {@link MultiheadAttention}. */
export interface TransformerForwardOptions {
  /** Which places of the source see which: `(S, S)`. Default: all. */
  srcMask?: Tensor | null;
  /** Which places of the target see which: `(T, T)`. Default: all. */
  tgtMask?: Tensor | null;
  /** Which places of the target see which of the encoded source: `(T, S)`. Default: all. */
  memoryMask?: Tensor | null;
  /** True where the source is padding: `(N, S)`. Default: nowhere. */
  srcKeyPaddingMask?: Tensor | null;
  /** True where the target is padding: `(N, T)`. Default: nowhere. */
  tgtKeyPaddingMask?: Tensor | null;
  /** True where the encoded source is padding: `(N, S)`. Default: nowhere. */
  memoryKeyPaddingMask?: Tensor | null;
  /** Says that `srcMask` is the causal mask. Default: found out by comparing it. */
  srcIsCausal?: boolean | null;
  /** Says that `tgtMask` is the causal mask. Default: found out by comparing it. */
  tgtIsCausal?: boolean | null;
  /** Says that `memoryMask` is the causal mask. Default: false. */
  memoryIsCausal?: boolean;
}

/** Options of {@link TransformerEncoder}, in the order of PyTorch's positional arguments. */
export interface TransformerEncoderOptions {
  /** Normalises the output. */
  norm?: Module | null;
  /** Whether evaluation leaves out padding; what stands there in the output is then zero. Default: true. */
  enableNestedTensor?: boolean;
  /** Whether the mask is checked to have all padding at the end before padding is left out. Default: true. */
  maskCheck?: boolean;
}

/** Options of the `forward` of {@link TransformerEncoder}. */
export interface TransformerEncoderForwardOptions {
  /** Which places see which: `(S, S)`. Default: all. */
  mask?: Tensor | null;
  /** True where the source is padding: `(N, S)`. Default: nowhere. */
  srcKeyPaddingMask?: Tensor | null;
  /** Says that `mask` is the causal mask. Default: found out by comparing it. */
  isCausal?: boolean | null;
}

/** Options of the `forward` of {@link TransformerEncoderLayer}. */
export interface TransformerEncoderLayerForwardOptions {
  /** Which places see which: `(S, S)`. Default: all. */
  srcMask?: Tensor | null;
  /** True where the source is padding: `(N, S)`. Default: nowhere. */
  srcKeyPaddingMask?: Tensor | null;
  /** Says that `srcMask` is the causal mask. Default: false. */
  isCausal?: boolean;
}

/** Options of {@link TransformerDecoder}. */
export interface TransformerDecoderOptions {
  /** Normalises the output. */
  norm?: Module | null;
}

/** Options of the `forward` of {@link TransformerDecoder}. */
export interface TransformerDecoderForwardOptions {
  /** Which places of the target see which: `(T, T)`. Default: all. */
  tgtMask?: Tensor | null;
  /** Which places of the target see which of the memory: `(T, S)`. Default: all. */
  memoryMask?: Tensor | null;
  /** True where the target is padding: `(N, T)`. Default: nowhere. */
  tgtKeyPaddingMask?: Tensor | null;
  /** True where the memory is padding: `(N, S)`. Default: nowhere. */
  memoryKeyPaddingMask?: Tensor | null;
  /** Says that `tgtMask` is the causal mask. Default: found out by comparing it; in a layer, false. */
  tgtIsCausal?: boolean | null;
  /** Says that `memoryMask` is the causal mask. Default: false. */
  memoryIsCausal?: boolean;
}

type Call = (...args: unknown[]) => Tensor;

function callable(activation: TransformerActivation): ((input: Tensor) => Tensor) | Module {
  if (typeof activation !== "string") return activation;
  return oneOf(activation, ["relu", "gelu"], "activation") === "relu" ? relu : gelu;
}

function activate(activation: ((input: Tensor) => Tensor) | Module, input: Tensor): Tensor {
  return activation instanceof Module ? (activation.forward as Call)(input) : activation(input);
}

function copies<M extends Module>(layer: M, count: number): ModuleList<M> {
  return new ModuleList(Array.from({ length: count }, () => deepCopy(layer)));
}

/** Whether a mask is the causal one of a length, unless that is known. */
function detectCausal(mask: Tensor | null, isCausal: boolean | null, length: number): boolean {
  if (isCausal !== null || mask === null) return isCausal === true;
  const shape = mask.shape;
  if (shape.length !== 2 || shape[0] !== length || shape[1] !== length) return false;
  return mask.eq(Transformer.generateSquareSubsequentMask(length, mask)).all().item<boolean>();
}

function lengthOf(input: Tensor, batchFirst: boolean): number {
  return input.size(input.ndim === 3 && batchFirst ? 1 : 0);
}

/** What the layers of encoder and decoder have in common: self-attention and two linear layers. */
abstract class TransformerLayer extends Module {
  static override readonly stateNames: Readonly<Record<string, string>> = {
    selfAttn: "self_attn",
    multiheadAttn: "multihead_attn",
  };

  readonly normFirst: boolean;
  selfAttn: MultiheadAttention;

  constructor(dModel: number, nhead: number, options: TransformerLayerOptions) {
    super();
    this.normFirst = options.normFirst ?? false;
    this.selfAttn = attention(dModel, nhead, options);
  }
}

function attention(dModel: number, nhead: number, options: TransformerLayerOptions): MultiheadAttention {
  const { dropout = 0.1, bias = true, batchFirst = false } = options;
  return new MultiheadAttention(dModel, nhead, { ...factory(options), dropout, bias, batchFirst });
}

/**
 * A layer of a transformer's encoder: self-attention, then two linear layers, each around a shortcut.
 *
 * Shapes: input and output `(L, N, E)`, or `(N, L, E)` with `batchFirst`, or `(L, E)` for a single example.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.TransformerEncoderLayer.html
 */
export class TransformerEncoderLayer extends TransformerLayer {
  linear1: Linear;
  dropout: Dropout;
  linear2: Linear;
  norm1: LayerNorm;
  norm2: LayerNorm;
  dropout1: Dropout;
  dropout2: Dropout;
  activation: ((input: Tensor) => Tensor) | Module;

  constructor(dModel: number, nhead: number, options: TransformerLayerOptions = {}) {
    super(dModel, nhead, options);
    const { dimFeedforward = 2048, dropout = 0.1, layerNormEps: eps = 1e-5, bias = true } = options;
    const made = { ...factory(options), bias };
    this.linear1 = new Linear(dModel, dimFeedforward, made);
    this.dropout = new Dropout(dropout);
    this.linear2 = new Linear(dimFeedforward, dModel, made);
    this.norm1 = new LayerNorm(dModel, { ...made, eps });
    this.norm2 = new LayerNorm(dModel, { ...made, eps });
    this.dropout1 = new Dropout(dropout);
    this.dropout2 = new Dropout(dropout);
    this.activation = callable(options.activation ?? "relu");
  }

  override forward(src: Tensor, options: TransformerEncoderLayerForwardOptions = {}): Tensor {
    const { isCausal = false } = options;
    const srcMask = options.srcMask ? additiveMask(options.srcMask, src, "srcMask") : null;
    const padding = options.srcKeyPaddingMask
      ? additiveMask(options.srcKeyPaddingMask, src, "srcKeyPaddingMask")
      : null;
    const fast = this.training ? null : this.forwardFast(src, srcMask, padding);
    if (fast !== null) return fast;
    const attend = (x: Tensor) =>
      this.dropout1.forward(
        this.selfAttn.forward(x, x, x, {
          attnMask: srcMask,
          keyPaddingMask: padding,
          needWeights: false,
          isCausal,
        })[0],
      );
    if (this.normFirst) {
      const x = src.add(attend(this.norm1.forward(src)));
      return x.add(this.feed(this.norm2.forward(x)));
    }
    const x = this.norm1.forward(src.add(attend(src)));
    return this.norm2.forward(x.add(this.feed(x)));
  }

  private feed(x: Tensor): Tensor {
    const hidden = this.dropout.forward(activate(this.activation, this.linear1.forward(x)));
    return this.dropout2.forward(this.linear2.forward(hidden));
  }

  /** Which activation libtorch's operator for the whole layer would have to compute; null for one it does not know. */
  get knownActivation(): "relu" | "gelu" | null {
    const { activation } = this;
    if (activation === relu || activation instanceof ReLU) return "relu";
    return activation === gelu || activation instanceof GELU ? "gelu" : null;
  }

  /** The whole layer without gradients, by one operator; null where that does not do what is asked for. */
  private forwardFast(src: Tensor, srcMask: Tensor | null, padding: Tensor | null): Tensor | null {
    const { selfAttn, norm1, norm2, knownActivation } = this;
    if (src.ndim !== 3 || !isPlain(selfAttn) || knownActivation === null || norm1.eps !== norm2.eps)
      return null;
    const parameters = parametersOf(this);
    if (parameters === null || !canSkipGraph([src, ...parameters]) || hasForwardHooks(this)) return null;
    const [mask, maskType] = selfAttn.mergeMasks(srcMask, padding, src);
    const [inWeight, inBias, outWeight, outBias, ...rest] = parameters;
    return ops.call(
      "aten::_transformer_encoder_layer_fwd",
      src,
      selfAttn.embedDim,
      selfAttn.numHeads,
      inWeight,
      inBias,
      outWeight,
      outBias,
      knownActivation === "gelu",
      this.normFirst,
      norm1.eps,
      ...rest,
      mask,
      maskType,
    ) as Tensor;
  }
}

/** Whether an attention is of the kind that libtorch's operator for a whole layer knows. */
function isPlain({ batchFirst, packed, inProjBias, numHeads }: MultiheadAttention): boolean {
  return batchFirst && packed && inProjBias !== null && numHeads % 2 === 0;
}

/** All parameters of a layer as libtorch's operator takes them, null where one is missing. */
function parametersOf(layer: TransformerEncoderLayer): Tensor[] | null {
  const { selfAttn, norm1, norm2, linear1, linear2 } = layer;
  const list = [selfAttn.inProjWeight, selfAttn.inProjBias, selfAttn.outProj.weight, selfAttn.outProj.bias];
  for (const { weight, bias } of [norm1, norm2, linear1, linear2]) list.push(weight, bias);
  return list.includes(null) ? null : (list as Tensor[]);
}

/**
 * A layer of a transformer's decoder: self-attention, attention to the encoder's output, then two linear layers, each
 * around a shortcut.
 *
 * Shapes: target and output `(T, N, E)`, memory `(S, N, E)`; with `N` first for `batchFirst`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.TransformerDecoderLayer.html
 */
export class TransformerDecoderLayer extends TransformerLayer {
  multiheadAttn: MultiheadAttention;
  linear1: Linear;
  dropout: Dropout;
  linear2: Linear;
  norm1: LayerNorm;
  norm2: LayerNorm;
  norm3: LayerNorm;
  dropout1: Dropout;
  dropout2: Dropout;
  dropout3: Dropout;
  activation: ((input: Tensor) => Tensor) | Module;

  constructor(dModel: number, nhead: number, options: TransformerLayerOptions = {}) {
    super(dModel, nhead, options);
    const { dimFeedforward = 2048, dropout = 0.1, layerNormEps: eps = 1e-5, bias = true } = options;
    const made = { ...factory(options), bias };
    this.multiheadAttn = attention(dModel, nhead, options);
    this.linear1 = new Linear(dModel, dimFeedforward, made);
    this.dropout = new Dropout(dropout);
    this.linear2 = new Linear(dimFeedforward, dModel, made);
    this.norm1 = new LayerNorm(dModel, { ...made, eps });
    this.norm2 = new LayerNorm(dModel, { ...made, eps });
    this.norm3 = new LayerNorm(dModel, { ...made, eps });
    this.dropout1 = new Dropout(dropout);
    this.dropout2 = new Dropout(dropout);
    this.dropout3 = new Dropout(dropout);
    this.activation = callable(options.activation ?? "relu");
  }

  override forward(tgt: Tensor, memory: Tensor, options: TransformerDecoderForwardOptions = {}): Tensor {
    const { tgtMask = null, memoryMask = null } = options;
    const { tgtKeyPaddingMask = null, memoryKeyPaddingMask = null } = options;
    const attend = (x: Tensor) => {
      const isCausal = options.tgtIsCausal ?? false;
      const masks = { attnMask: tgtMask, keyPaddingMask: tgtKeyPaddingMask, isCausal, needWeights: false };
      return this.dropout1.forward(this.selfAttn.forward(x, x, x, masks)[0]);
    };
    const attendToMemory = (x: Tensor) => {
      const isCausal = options.memoryIsCausal ?? false;
      const masks = {
        attnMask: memoryMask,
        keyPaddingMask: memoryKeyPaddingMask,
        isCausal,
        needWeights: false,
      };
      return this.dropout2.forward(this.multiheadAttn.forward(x, memory, memory, masks)[0]);
    };
    if (this.normFirst) {
      let x = tgt.add(attend(this.norm1.forward(tgt)));
      x = x.add(attendToMemory(this.norm2.forward(x)));
      return x.add(this.feed(this.norm3.forward(x)));
    }
    let x = this.norm1.forward(tgt.add(attend(tgt)));
    x = this.norm2.forward(x.add(attendToMemory(x)));
    return this.norm3.forward(x.add(this.feed(x)));
  }

  private feed(x: Tensor): Tensor {
    const hidden = this.dropout.forward(activate(this.activation, this.linear1.forward(x)));
    return this.dropout3.forward(this.linear2.forward(hidden));
  }
}

/**
 * Copies of an encoder layer, one after the other.
 *
 * Shapes: input and output as those of the layer.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.TransformerEncoder.html
 */
export class TransformerEncoder extends Module {
  layers: ModuleList<TransformerEncoderLayer>;
  readonly numLayers: number;
  norm: Module | null;
  readonly enableNestedTensor: boolean;
  readonly maskCheck: boolean;

  constructor(
    encoderLayer: TransformerEncoderLayer,
    numLayers: number,
    options: TransformerEncoderOptions = {},
  ) {
    super();
    this.layers = copies(encoderLayer, numLayers);
    this.numLayers = numLayers;
    this.norm = options.norm ?? null;
    this.enableNestedTensor = options.enableNestedTensor ?? true;
    this.maskCheck = options.maskCheck ?? true;
  }

  override forward(src: Tensor, options: TransformerEncoderForwardOptions = {}): Tensor {
    const mask = options.mask ? additiveMask(options.mask, src, "mask") : null;
    let padding = options.srcKeyPaddingMask
      ? additiveMask(options.srcKeyPaddingMask, src, "srcKeyPaddingMask")
      : null;
    const first = this.layers.get(0);
    const isCausal = detectCausal(mask, options.isCausal ?? null, lengthOf(src, first.selfAttn.batchFirst));
    let output = src;
    const leavesOutPadding = padding !== null && mask === null && this.canLeaveOutPadding(src, padding);
    if (leavesOutPadding) {
      // In the mask, zero stands for what is there; the operator takes true for that.
      output = ops.call(
        "aten::_nested_tensor_from_mask",
        src,
        (padding as Tensor).logicalNot(),
        false,
      ) as Tensor;
      padding = null;
    }
    for (const layer of this.layers) {
      output = layer.forward(output, { srcMask: mask, isCausal, srcKeyPaddingMask: padding });
    }
    if (leavesOutPadding) output = output.toPaddedTensor(0, src.shape);
    return this.norm === null ? output : (this.norm.forward as Call)(output);
  }

  private canLeaveOutPadding(src: Tensor, padding: Tensor): boolean {
    const layer = this.layers.get(0);
    if (!this.enableNestedTensor || layer.training || src.ndim !== 3) return false;
    if (!(layer instanceof TransformerEncoderLayer) || layer.normFirst || !isPlain(layer.selfAttn))
      return false;
    if (layer.knownActivation === null || layer.norm1.eps !== layer.norm2.eps) return false;
    const parameters = parametersOf(layer);
    if (parameters === null || !canSkipGraph([src, ...parameters])) return false;
    return (
      !this.maskCheck ||
      (ops.call("aten::_nested_tensor_from_mask_left_aligned", src, padding.logicalNot()) as boolean)
    );
  }
}

/**
 * Copies of a decoder layer, one after the other.
 *
 * Shapes: target, memory and output as those of the layer.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.TransformerDecoder.html
 */
export class TransformerDecoder extends Module {
  layers: ModuleList<TransformerDecoderLayer>;
  readonly numLayers: number;
  norm: Module | null;

  constructor(
    decoderLayer: TransformerDecoderLayer,
    numLayers: number,
    options: TransformerDecoderOptions = {},
  ) {
    super();
    this.layers = copies(decoderLayer, numLayers);
    this.numLayers = numLayers;
    this.norm = options.norm ?? null;
  }

  override forward(tgt: Tensor, memory: Tensor, options: TransformerDecoderForwardOptions = {}): Tensor {
    const length = lengthOf(tgt, this.layers.get(0).selfAttn.batchFirst);
    const tgtIsCausal = detectCausal(options.tgtMask ?? null, options.tgtIsCausal ?? null, length);
    let output = tgt;
    for (const layer of this.layers) {
      output = layer.forward(output, memory, { ...options, tgtIsCausal });
    }
    return this.norm === null ? output : (this.norm.forward as Call)(output);
  }
}

/**
 * The encoder and decoder of "Attention Is All You Need".
 *
 * Shapes: source `(S, N, E)`, target and output `(T, N, E)`; with `N` first for `batchFirst`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Transformer.html
 * @see https://arxiv.org/abs/1706.03762
 */
export class Transformer extends Module {
  encoder: Module;
  decoder: Module;
  readonly dModel: number;
  readonly nhead: number;
  readonly batchFirst: boolean;

  constructor(options: TransformerOptions = {}) {
    super();
    const { dModel = 512, nhead = 8, numEncoderLayers = 6, numDecoderLayers = 6 } = options;
    const { layerNormEps: eps = 1e-5, bias = true } = options;
    const norm = () => new LayerNorm(dModel, { ...factory(options), eps, bias });
    this.encoder =
      options.customEncoder ??
      new TransformerEncoder(new TransformerEncoderLayer(dModel, nhead, options), numEncoderLayers, {
        norm: norm(),
      });
    this.decoder =
      options.customDecoder ??
      new TransformerDecoder(new TransformerDecoderLayer(dModel, nhead, options), numDecoderLayers, {
        norm: norm(),
      });
    this.dModel = dModel;
    this.nhead = nhead;
    this.batchFirst = options.batchFirst ?? false;
    this.resetParameters();
  }

  /** Draws all parameters of more than one dimension by Xavier's rule. */
  resetParameters(): void {
    for (const parameter of this.parameters()) if (parameter.ndim > 1) init.xavierUniform_(parameter);
  }

  override forward(src: Tensor, tgt: Tensor, options: TransformerForwardOptions = {}): Tensor {
    const batch = this.batchFirst ? 0 : 1;
    if (src.ndim === 3 && src.size(batch) !== tgt.size(batch)) {
      throw new ArgumentError(
        `Transformer: the batch number of src and tgt must be equal, but they are ${src.size(batch)} and ${tgt.size(batch)}.`,
      );
    }
    if (src.size(-1) !== this.dModel || tgt.size(-1) !== this.dModel) {
      throw new ArgumentError(
        `Transformer: the feature number of src and tgt must be equal to dModel (${this.dModel}), but they are ${src.size(-1)} and ${tgt.size(-1)}.`,
      );
    }
    const memory = (this.encoder.forward as Call)(src, {
      mask: options.srcMask ?? null,
      srcKeyPaddingMask: options.srcKeyPaddingMask ?? null,
      isCausal: options.srcIsCausal ?? null,
    });
    return (this.decoder.forward as Call)(tgt, memory, {
      tgtMask: options.tgtMask ?? null,
      memoryMask: options.memoryMask ?? null,
      tgtKeyPaddingMask: options.tgtKeyPaddingMask ?? null,
      memoryKeyPaddingMask: options.memoryKeyPaddingMask ?? null,
      tgtIsCausal: options.tgtIsCausal ?? null,
      memoryIsCausal: options.memoryIsCausal ?? false,
    });
  }

  /** The causal mask, `(size, size)`: `-inf` above the diagonal, zero elsewhere. */
  static generateSquareSubsequentMask(size: number, options: FactoryOptions = {}): Tensor {
    return ops.full([size, size], Number.NEGATIVE_INFINITY, factory(options)).triu(1);
  }
}
