import { nn, optim, type Tensor } from "@levin/torch";
import { LightningModule } from "levin";
import type { Batch } from "./data.js";

/** What an LSTM remembers: its output and its memory, (layers, N, hiddenSize) each. */
type States = [h: Tensor, c: Tensor];

export interface LanguageModelOptions {
  /** How many different tokens there are. */
  vocabularySize: number;
  /** Default: 192. */
  hiddenSize?: number;
  /** Default: 3e-3. */
  lr?: number;
}

/** Predicts each next character of a text, and remembers across batches what came before. */
export class LanguageModel extends LightningModule<Batch> {
  readonly embedding: nn.Embedding;
  readonly lstm: nn.LSTM;
  readonly head: nn.Linear;
  readonly #lr: number;
  #trainStates: States | null = null;
  #valStates: States | null = null;

  constructor({ vocabularySize, hiddenSize = 192, lr = 3e-3 }: LanguageModelOptions) {
    super();
    this.#lr = lr;
    this.saveHyperparameters({ vocabularySize, hiddenSize, lr });
    this.embedding = new nn.Embedding(vocabularySize, 64);
    this.lstm = new nn.LSTM(64, hiddenSize, { batchFirst: true });
    this.head = new nn.Linear(hiddenSize, vocabularySize);
  }

  /** Logits (N, T, vocabularySize) of the tokens after these (N, T), and the states to go on with. */
  override forward(tokens: Tensor, states: States | null = null): [logits: Tensor, states: States] {
    const [output, next] = this.lstm.forward(this.embedding.forward(tokens), states);
    return [this.head.forward(output), next];
  }

  override onTrainEpochStart(): void {
    this.#trainStates = null; // the text begins anew
  }

  override trainingStep([tokens, targets]: Batch): Tensor {
    const [logits, [h, c]] = this.forward(tokens, this.#trainStates);
    this.#trainStates = [h.detach(), c.detach()]; // gradients flow through one window only
    const loss = lossOf(logits, targets);
    this.log("train_loss", loss, { progBar: true });
    return loss;
  }

  override onValidationEpochStart(): void {
    this.#valStates = null;
  }

  override validationStep([tokens, targets]: Batch): void {
    const [logits, states] = this.forward(tokens, this.#valStates);
    this.#valStates = states;
    this.log("val_loss", lossOf(logits, targets), { progBar: true });
    // what it would be without memory of the windows before
    this.log("val_loss_forgetful", lossOf(this.forward(tokens)[0], targets));
  }

  override configureOptimizers() {
    return new optim.Adam(this.parameters(), { lr: this.#lr });
  }
}

function lossOf(logits: Tensor, targets: Tensor): Tensor {
  return nn.functional.crossEntropy(logits.flatten(0, 1), targets.flatten());
}
