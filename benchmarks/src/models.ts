import * as torch from "@levin/torch";
import { nn, optim, type Tensor } from "@levin/torch";
import type { Workload } from "./plan.js";

const F = nn.functional;

/** A batch of most workloads: inputs and targets. */
type Pair = [x: Tensor, y: Tensor];

/** A module that takes a tensor to a tensor. */
export interface Net extends nn.Module {
  forward(x: Tensor): Tensor;
}

/** A network and how to optimise it. */
export interface Model {
  net: Net;
  loss(net: Net, batch: unknown): Tensor;
  optimizer(parameters: Iterable<nn.Parameter>): optim.Optimizer;
}

/** Two convolutions with batch norm around a shortcut. */
class Block extends nn.Module {
  conv1: nn.Conv2d;
  bn1: nn.BatchNorm2d;
  conv2: nn.Conv2d;
  bn2: nn.BatchNorm2d;
  short: Net;

  constructor(channelsIn: number, channels: number, stride: number) {
    super();
    this.conv1 = new nn.Conv2d(channelsIn, channels, 3, { stride, padding: 1, bias: false });
    this.bn1 = new nn.BatchNorm2d(channels);
    this.conv2 = new nn.Conv2d(channels, channels, 3, { padding: 1, bias: false });
    this.bn2 = new nn.BatchNorm2d(channels);
    this.short = (
      stride === 1 && channelsIn === channels
        ? new nn.Identity()
        : new nn.Sequential(
            new nn.Conv2d(channelsIn, channels, 1, { stride, bias: false }),
            new nn.BatchNorm2d(channels),
          )
    ) as Net;
  }

  override forward(x: Tensor): Tensor {
    const y = F.relu(this.bn1.forward(this.conv1.forward(x)));
    return F.relu(this.bn2.forward(this.conv2.forward(y)).add(this.short.forward(x)));
  }
}

/** One pre-norm layer of a small GPT. */
class Layer extends nn.Module {
  ln1: nn.LayerNorm;
  ln2: nn.LayerNorm;
  qkv: nn.Linear;
  out: nn.Linear;
  up: nn.Linear;
  down: nn.Linear;
  readonly #heads: number;

  constructor(width: number, heads: number) {
    super();
    this.#heads = heads;
    this.ln1 = new nn.LayerNorm(width);
    this.ln2 = new nn.LayerNorm(width);
    this.qkv = new nn.Linear(width, 3 * width);
    this.out = new nn.Linear(width, width);
    this.up = new nn.Linear(width, 4 * width);
    this.down = new nn.Linear(4 * width, width);
  }

  override forward(input: Tensor): Tensor {
    const [b, t, c] = input.shape as [number, number, number];
    const heads = this.qkv
      .forward(this.ln1.forward(input))
      .view([b, t, 3, this.#heads, c / this.#heads])
      .permute([2, 0, 3, 1, 4]);
    const [q, k, v] = [heads.select(0, 0), heads.select(0, 1), heads.select(0, 2)];
    const y = F.scaledDotProductAttention(q, k, v, { isCausal: true });
    const x = input.add(this.out.forward(y.transpose(1, 2).reshape([b, t, c])));
    return x.add(this.down.forward(F.gelu(this.up.forward(this.ln2.forward(x)))));
  }
}

/** Characters to logits: 4 layers, head tied to the embedding. */
class GPT extends nn.Module {
  tok: nn.Embedding;
  pos: nn.Embedding;
  layers: nn.ModuleList<Layer>;
  norm: nn.LayerNorm;
  head: nn.Linear;

  constructor(vocab = 65, block = 128, width = 128, layers = 4, heads = 4) {
    super();
    this.tok = new nn.Embedding(vocab, width);
    this.pos = new nn.Embedding(block, width);
    this.layers = new nn.ModuleList(Array.from({ length: layers }, () => new Layer(width, heads)));
    this.norm = new nn.LayerNorm(width);
    this.head = new nn.Linear(width, vocab, { bias: false });
    this.head.weight = this.tok.weight;
    nn.init.normal_(this.tok.weight, { std: 0.02 });
    nn.init.normal_(this.pos.weight, { std: 0.02 });
  }

  override forward(ids: Tensor): Tensor {
    let x = this.tok.forward(ids).add(this.pos.forward(torch.arange(ids.size(1), { dtype: "int64" })));
    for (const layer of this.layers) x = layer.forward(x);
    return this.head.forward(this.norm.forward(x));
  }
}

/** Characters to logits through an LSTM. */
class CharLSTM extends nn.Module {
  embed: nn.Embedding;
  lstm: nn.LSTM;
  head: nn.Linear;

  constructor(vocab = 65, width = 64, hidden = 128) {
    super();
    this.embed = new nn.Embedding(vocab, width);
    this.lstm = new nn.LSTM(width, hidden, { numLayers: 1, batchFirst: true });
    this.head = new nn.Linear(hidden, vocab);
  }

  override forward(ids: Tensor): Tensor {
    return this.head.forward(this.lstm.forward(this.embed.forward(ids))[0]);
  }
}

function crossEntropy(net: Net, batch: unknown): Tensor {
  const [x, y] = batch as Pair;
  return F.crossEntropy(net.forward(x), y);
}

function sequenceCrossEntropy(net: Net, batch: unknown): Tensor {
  const [x, y] = batch as Pair;
  return F.crossEntropy(net.forward(x).flatten(0, 1), y.flatten());
}

/** The network of a workload, with the weights that the seed 0 gives. */
export function makeModel(workload: Workload): Model {
  torch.manualSeed(0);
  switch (workload) {
    case "tiny":
    case "tiny-log":
      return {
        net: new nn.Linear(32, 2),
        loss(net, batch) {
          const y = net.forward(batch as Tensor);
          return F.mseLoss(y, torch.onesLike(y));
        },
        optimizer: (parameters) => new optim.SGD(parameters, { lr: 0.1 }),
      };
    case "mlp":
    case "mlp-default":
    case "infer":
    case "val":
      return {
        net: new nn.Sequential(new nn.Linear(784, 256), new nn.ReLU(), new nn.Linear(256, 10)) as Net,
        loss: crossEntropy,
        optimizer: (parameters) => new optim.Adam(parameters, { lr: 1e-3 }),
      };
    case "cnn":
      return {
        net: new nn.Sequential(
          new nn.Conv2d(1, 16, 3, { padding: 1, bias: false }),
          new nn.BatchNorm2d(16),
          new nn.ReLU(),
          new Block(16, 16, 1),
          new Block(16, 32, 2),
          new Block(32, 64, 2),
          new nn.AdaptiveAvgPool2d(1),
          new nn.Flatten(),
          new nn.Linear(64, 10),
        ) as Net,
        loss: crossEntropy,
        optimizer: (parameters) => new optim.SGD(parameters, { lr: 0.05, momentum: 0.9, weightDecay: 5e-4 }),
      };
    case "gpt":
      return {
        net: new GPT(),
        loss: sequenceCrossEntropy,
        optimizer: (parameters) =>
          new optim.AdamW(parameters, { lr: 1e-3, weightDecay: 0.1, betas: [0.9, 0.95] }),
      };
    case "lstm":
      return {
        net: new CharLSTM(),
        loss: sequenceCrossEntropy,
        optimizer: (parameters) => new optim.Adam(parameters, { lr: 3e-3 }),
      };
    case "loader":
    case "loader-workers2":
    case "loader-single":
    case "loader-single-workers2":
      throw new Error(`the workload ${workload} has no model`);
  }
}
