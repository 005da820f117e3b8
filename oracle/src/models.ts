import type { Tensor } from "@levin/torch";
import * as torch from "@levin/torch";
import { type Constructor, classOf, functionOf } from "./levin.js";
import { arrange, type Parameter, signatures } from "./signatures.js";

const { nn } = torch;

/** What the readers use of a module; classes are looked up by name, so their own types are not known here. */
export interface AnyModule extends torch.nn.Module {
  forward(...args: unknown[]): unknown;
}

function module(name: string, ...args: unknown[]): AnyModule {
  return new (classOf<AnyModule>(nn, "nn", name))(...args);
}

function F(name: string, ...args: unknown[]): Tensor {
  return functionOf(nn.functional, "nn.functional", name)(...args) as Tensor;
}

/** Positions 0 .. time - 1 of a batch of tokens, as indices. */
function positions(ids: Tensor): Tensor {
  return torch.arange(ids.size(1), { dtype: "int64" });
}

interface SequenceOptions {
  bidirectional?: boolean;
}

/** Tokens (batch, time) -> Embedding -> recurrent layers -> Linear -> logits (batch, time, vocab). */
class SequenceModel extends nn.Module {
  embed: AnyModule;
  cell: AnyModule;
  head: AnyModule;

  constructor(
    cell: string,
    vocab: number,
    width: number,
    hidden: number,
    layers: number,
    { bidirectional = false }: SequenceOptions = {},
  ) {
    super();
    this.embed = module("Embedding", vocab, width);
    this.cell = module(cell, width, hidden, { numLayers: layers, batchFirst: true, bidirectional });
    this.head = module("Linear", hidden * (bidirectional ? 2 : 1), vocab);
  }

  override forward(ids: Tensor): unknown {
    const [output] = this.cell.forward(this.embed.forward(ids)) as [Tensor];
    return this.head.forward(output);
  }
}

class DecoderLayer extends nn.Module {
  ln1: AnyModule;
  ln2: AnyModule;
  qkv: AnyModule;
  out: AnyModule;
  up: AnyModule;
  down: AnyModule;
  readonly #heads: number;

  constructor(width: number, heads: number) {
    super();
    this.#heads = heads;
    this.ln1 = module("LayerNorm", width);
    this.ln2 = module("LayerNorm", width);
    this.qkv = module("Linear", width, 3 * width);
    this.out = module("Linear", width, width);
    this.up = module("Linear", width, 4 * width);
    this.down = module("Linear", 4 * width, width);
  }

  override forward(input: Tensor): Tensor {
    let x = input;
    const [b, t, c] = x.shape as [number, number, number];
    const projected = this.qkv.forward(this.ln1.forward(x)) as Tensor;
    const heads = projected.view([b, t, 3, this.#heads, c / this.#heads]).permute([2, 0, 3, 1, 4]);
    const y = F("scaled_dot_product_attention", heads.select(0, 0), heads.select(0, 1), heads.select(0, 2), {
      isCausal: true,
    });
    x = x.add(this.out.forward(y.transpose(1, 2).reshape([b, t, c])) as Tensor);
    const up = this.up.forward(this.ln2.forward(x)) as Tensor;
    return x.add(this.down.forward(F("gelu", up, { approximate: "tanh" })) as Tensor);
  }
}

interface DecoderOptions {
  tied?: boolean;
}

/** A small GPT: token and position embeddings, pre-norm layers, a head that may share the embedding's weight. */
class CausalDecoder extends nn.Module {
  tok: AnyModule;
  pos: AnyModule;
  layers: AnyModule;
  norm: AnyModule;
  head: AnyModule & { weight: unknown };
  readonly #layers: DecoderLayer[];

  constructor(
    vocab: number,
    block: number,
    width: number,
    layers: number,
    heads: number,
    { tied = true }: DecoderOptions = {},
  ) {
    super();
    this.tok = module("Embedding", vocab, width);
    this.pos = module("Embedding", block, width);
    this.#layers = Array.from({ length: layers }, () => new DecoderLayer(width, heads));
    this.layers = module("ModuleList", this.#layers);
    this.norm = module("LayerNorm", width);
    this.head = module("Linear", width, vocab, { bias: false }) as CausalDecoder["head"];
    if (tied) this.head.weight = (this.tok as unknown as { weight: unknown }).weight;
  }

  override forward(ids: Tensor): unknown {
    let x = (this.tok.forward(ids) as Tensor).add(this.pos.forward(positions(ids)) as Tensor);
    for (const layer of this.#layers) x = layer.forward(x);
    return this.head.forward(this.norm.forward(x));
  }
}

interface EncoderOptions {
  normFirst?: boolean;
  activation?: string;
}

/** `nn.TransformerEncoder` over tokens, the mean over time, a Linear: logits (batch, classes). */
class EncoderClassifier extends nn.Module {
  tok: AnyModule;
  pos: AnyModule;
  encoder: AnyModule;
  head: AnyModule;

  constructor(
    vocab: number,
    block: number,
    width: number,
    heads: number,
    ff: number,
    layers: number,
    classes: number,
    { normFirst = false, activation = "relu" }: EncoderOptions = {},
  ) {
    super();
    this.tok = module("Embedding", vocab, width);
    this.pos = module("Embedding", block, width);
    const layer = module("TransformerEncoderLayer", width, heads, {
      dimFeedforward: ff,
      dropout: 0,
      activation,
      batchFirst: true,
      normFirst,
    });
    this.encoder = module("TransformerEncoder", layer, layers, {
      norm: module("LayerNorm", width),
      enableNestedTensor: false,
    });
    this.head = module("Linear", width, classes);
  }

  override forward(ids: Tensor): unknown {
    const x = (this.tok.forward(ids) as Tensor).add(this.pos.forward(positions(ids)) as Tensor);
    return this.head.forward((this.encoder.forward(x) as Tensor).mean(1));
  }
}

/** relu(body(x) + x) with body = conv3x3, batch norm, relu, conv3x3, batch norm. */
class Residual extends nn.Module {
  body: AnyModule;

  constructor(channels: number) {
    super();
    const conv = () => module("Conv2d", channels, channels, 3, { padding: 1, bias: false });
    const norm = () => module("BatchNorm2d", channels);
    this.body = module("Sequential", conv(), norm(), module("ReLU"), conv(), norm());
  }

  override forward(x: Tensor): unknown {
    return F("relu", (this.body.forward(x) as Tensor).add(x));
  }
}

function required(...names: string[]): Parameter[] {
  return names.map((name) => [name, false]);
}

/** The models that are more than a chain of standard modules, with the parameters of their Python constructors. */
const MODELS: Record<string, { model: Constructor<AnyModule>; signature: Parameter[] }> = {
  SequenceModel: {
    model: SequenceModel as unknown as Constructor<AnyModule>,
    signature: [...required("cell", "vocab", "width", "hidden", "layers"), ["bidirectional", true]],
  },
  CausalDecoder: {
    model: CausalDecoder as unknown as Constructor<AnyModule>,
    signature: [...required("vocab", "block", "width", "layers", "heads"), ["tied", true]],
  },
  EncoderClassifier: {
    model: EncoderClassifier as unknown as Constructor<AnyModule>,
    signature: [
      ...required("vocab", "block", "width", "heads", "ff", "layers", "classes"),
      ["norm_first", true],
      ["activation", true],
    ],
  },
  Residual: { model: Residual as unknown as Constructor<AnyModule>, signature: required("channels") },
};

/** A module as the files describe it: its name, positional and keyword arguments; an argument may be a module itself. */
export type Spec = [name: string, args?: unknown[], kwargs?: Record<string, unknown>];

function isSpec(value: unknown): value is Spec {
  return Array.isArray(value) && typeof value[0] === "string";
}

/** Builds the module that a spec describes, parts first. */
export function build([name, args = [], kwargs = {}]: Spec): AnyModule {
  const own = MODELS[name];
  const model = own?.model ?? classOf<AnyModule>(nn, "nn", name);
  // The parts are built before the whole, in order, as Python does: random numbers are drawn in that order.
  const parts = args.map((arg) => (isSpec(arg) ? build(arg) : arg));
  return new model(...arrange(own?.signature ?? signatures.modules[name], parts, kwargs));
}
