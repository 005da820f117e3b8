import { nn, optim, type Tensor } from "@levin/torch";
import { LightningModule } from "levin";
import type { Batch } from "./data.ts";

export interface ClassifierOptions {
  /** How many units each hidden layer has. */
  hidden?: number;
  /** The learning rate. */
  lr?: number;
}

/** A small network that tells which spiral a point is on. */
export class Classifier extends LightningModule<Batch> {
  readonly net: nn.Sequential;
  readonly #lr: number;

  constructor({ hidden = 64, lr = 0.01 }: ClassifierOptions = {}) {
    super();
    this.#lr = lr;
    this.saveHyperparameters({ hidden, lr });
    this.net = new nn.Sequential(
      new nn.Linear(2, hidden),
      new nn.ReLU(),
      new nn.Linear(hidden, hidden),
      new nn.ReLU(),
      new nn.Linear(hidden, 2),
    );
  }

  override forward(points: Tensor): Tensor {
    return this.net.forward(points);
  }

  override trainingStep([points, labels]: Batch): Tensor {
    const loss = nn.functional.crossEntropy(this.forward(points), labels);
    this.log("train_loss", loss, { progBar: true });
    return loss;
  }

  override validationStep(batch: Batch): void {
    this.#evaluate("val", batch);
  }

  override testStep(batch: Batch): void {
    this.#evaluate("test", batch);
  }

  override configureOptimizers() {
    return new optim.Adam(this.parameters(), { lr: this.#lr });
  }

  #evaluate(stage: "val" | "test", [points, labels]: Batch): void {
    const logits = this.forward(points);
    this.log(`${stage}_loss`, nn.functional.crossEntropy(logits, labels));
    this.log(`${stage}_acc`, logits.argmax(1).eq(labels).float().mean(), { progBar: true });
  }
}
