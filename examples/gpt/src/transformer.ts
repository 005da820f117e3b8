import * as torch from "@levin/torch";
import { nn, type Tensor } from "@levin/torch";

export interface TransformerOptions {
  /** How many different tokens there are. */
  vocabularySize: number;
  /** How many tokens it looks back. */
  blockSize: number;
  layers: number;
  heads: number;
  width: number;
  dropout: number;
}

/** Each token looks at itself and those before it. */
class CausalSelfAttention extends nn.Module {
  readonly qkv: nn.Linear;
  readonly out: nn.Linear;
  readonly #heads: number;

  constructor({ width, heads }: TransformerOptions) {
    super();
    this.#heads = heads;
    this.qkv = new nn.Linear(width, 3 * width);
    this.out = new nn.Linear(width, width);
  }

  /** (N, T, width) to (N, T, width) */
  override forward(x: Tensor): Tensor {
    const [n, t, width] = x.shape as [number, number, number];
    const split = this.qkv.forward(x).view([n, t, 3, this.#heads, width / this.#heads]);
    const [q, k, v] = split.permute([2, 0, 3, 1, 4]).unbind(0) as [Tensor, Tensor, Tensor];
    const y = nn.functional.scaledDotProductAttention(q, k, v, { isCausal: true });
    return this.out.forward(y.transpose(1, 2).reshape([n, t, width]));
  }
}

/** Attention, then two linear layers on each token; each is added to what goes in. */
class Block extends nn.Module {
  readonly norm1: nn.LayerNorm;
  readonly attention: CausalSelfAttention;
  readonly norm2: nn.LayerNorm;
  readonly mlp: nn.Sequential;
  readonly dropout: nn.Dropout;

  constructor(options: TransformerOptions) {
    super();
    const { width, dropout } = options;
    this.norm1 = new nn.LayerNorm(width);
    this.attention = new CausalSelfAttention(options);
    this.norm2 = new nn.LayerNorm(width);
    this.mlp = new nn.Sequential(
      new nn.Linear(width, 4 * width),
      new nn.GELU(),
      new nn.Linear(4 * width, width),
    );
    this.dropout = new nn.Dropout(dropout);
  }

  override forward(input: Tensor): Tensor {
    const x = input.add(this.dropout.forward(this.attention.forward(this.norm1.forward(input))));
    return x.add(this.dropout.forward(this.mlp.forward(this.norm2.forward(x))));
  }
}

/** A GPT: tokens to logits of the tokens that follow. */
export class Transformer extends nn.Module {
  readonly tokens: nn.Embedding;
  readonly positions: nn.Embedding;
  readonly blocks: nn.Sequential;
  readonly norm: nn.LayerNorm;
  readonly head: nn.Linear;

  constructor(options: TransformerOptions) {
    super();
    const { vocabularySize, blockSize, layers, width } = options;
    this.tokens = new nn.Embedding(vocabularySize, width);
    this.positions = new nn.Embedding(blockSize, width);
    this.blocks = new nn.Sequential(...Array.from({ length: layers }, () => new Block(options)));
    this.norm = new nn.LayerNorm(width);
    this.head = new nn.Linear(width, vocabularySize, { bias: false });
    this.head.weight = this.tokens.weight; // one matrix for both
    for (const parameter of this.parameters()) {
      if (parameter.dim() > 1) nn.init.normal_(parameter, { std: 0.02 });
    }
  }

  /** (N, T) to (N, T, vocabularySize), T at most `blockSize` */
  override forward(tokens: Tensor): Tensor {
    const positions = torch.arange(tokens.size(1), { device: tokens.device });
    const x = this.tokens.forward(tokens).add(this.positions.forward(positions));
    return this.head.forward(this.norm.forward(this.blocks.forward(x)));
  }
}
