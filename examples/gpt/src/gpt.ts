import * as torch from "@levin/torch";
import { nn, optim, type Tensor } from "@levin/torch";
import { LightningModule } from "levin";
import type { Batch } from "./data.js";
import { Transformer } from "./transformer.js";

export interface GPTOptions {
  /** The characters that it knows. */
  vocabulary: string;
  /** How many characters it looks back. Default: 64. */
  blockSize?: number;
  /** Default: 4. */
  layers?: number;
  /** Default: 4. */
  heads?: number;
  /** Default: 128. */
  width?: number;
  /** Default: 0. */
  dropout?: number;
  /** The highest learning rate. Default: 3e-3. */
  lr?: number;
  /** Default: 0.1. */
  weightDecay?: number;
}

export interface GenerateOptions {
  /** Default: 200. */
  maxNewTokens?: number;
  /** Below 1 the likely characters are preferred more, above 1 less. Default: 1. */
  temperature?: number;
  /** Draws among so many of the likeliest characters only. Default: all. */
  topK?: number;
}

/** A language model of characters. */
export class GPT extends LightningModule<Batch> {
  readonly transformer: Transformer;
  readonly #options: Required<GPTOptions>;

  constructor(options: GPTOptions) {
    super();
    const defaults = {
      blockSize: 64,
      layers: 4,
      heads: 4,
      width: 128,
      dropout: 0,
      lr: 3e-3,
      weightDecay: 0.1,
    };
    this.#options = { ...defaults, ...options };
    this.saveHyperparameters(this.#options);
    this.transformer = new Transformer({ ...this.#options, vocabularySize: [...options.vocabulary].length });
  }

  override forward(tokens: Tensor): Tensor {
    return this.transformer.forward(tokens);
  }

  override trainingStep(batch: Batch): Tensor {
    const loss = this.#loss(batch);
    this.log("train_loss", loss, { progBar: true });
    return loss;
  }

  override validationStep(batch: Batch): void {
    this.log("val_loss", this.#loss(batch), { progBar: true });
  }

  override configureOptimizers() {
    const { lr, weightDecay } = this.#options;
    const all = this.parameters();
    const optimizer = new optim.AdamW(
      [
        { params: all.filter((parameter) => parameter.dim() >= 2), weightDecay },
        { params: all.filter((parameter) => parameter.dim() < 2), weightDecay: 0 }, // biases and norms
      ],
      { lr, betas: [0.9, 0.95] },
    );
    const totalSteps = this.trainer.estimatedSteppingBatches;
    const scheduler = new optim.lrScheduler.OneCycleLR(optimizer, lr, { totalSteps, pctStart: 0.1 });
    return { optimizer, lrScheduler: { scheduler, interval: "step" as const } };
  }

  /** Goes on with a text, character by character. */
  *generate(prompt: string, options: GenerateOptions = {}): Generator<string> {
    const { maxNewTokens = 200 } = options;
    const vocabulary = [...this.#options.vocabulary];
    const tokens = [...prompt].map((character) => vocabulary.indexOf(character));
    if (tokens.length === 0 || tokens.includes(-1)) {
      throw new RangeError(
        `generate: prompt must consist of the characters ${JSON.stringify(vocabulary.join(""))}.`,
      );
    }
    this.eval();
    for (let i = 0; i < maxNewTokens; i++) {
      const next = torch.inferenceMode(() => this.#draw(tokens.slice(-this.#options.blockSize), options));
      tokens.push(next);
      yield vocabulary[next]!;
    }
  }

  #draw(tokens: number[], { temperature = 1, topK }: GenerateOptions): number {
    const context = torch.tensor([tokens], { dtype: "int64", device: this.device });
    const logits = this.forward(context).get([0, -1]).div(temperature);
    if (topK === undefined) return logits.softmax(0).multinomial(1).item();
    const { values, indices } = logits.topk(topK);
    return indices.get(values.softmax(0).multinomial(1)).item();
  }

  #loss([tokens, targets]: Batch): Tensor {
    return nn.functional.crossEntropy(this.forward(tokens).flatten(0, 1), targets.flatten());
  }
}
