import * as torch from "@levin/torch";
import { nn, optim, type Tensor } from "@levin/torch";
import { LightningModule } from "levin";
import type { Batch } from "./data.js";

/** What the classifier says about a batch of images. */
export interface Prediction {
  images: Tensor;
  labels: Tensor;
  /** The digits it takes them for, and how sure it is, from 0 to 1. */
  digits: Tensor;
  confidence: Tensor;
}

const block = (inChannels: number, outChannels: number) =>
  new nn.Sequential(
    new nn.Conv2d(inChannels, outChannels, 3, { padding: 1, bias: false }),
    new nn.BatchNorm2d(outChannels),
    new nn.ReLU(),
    new nn.MaxPool2d(2),
  );

/** A small convolutional network: 0.2 million parameters. */
export class Classifier extends LightningModule<Batch> {
  readonly features = new nn.Sequential(block(1, 16), block(16, 32));
  readonly head = new nn.Sequential(
    new nn.Flatten(),
    new nn.Linear(32 * 7 * 7, 128),
    new nn.ReLU(),
    new nn.Dropout(0.3),
    new nn.Linear(128, 10),
  );
  readonly #lr: number;

  constructor({ lr = 2e-3 } = {}) {
    super();
    this.#lr = lr;
    this.saveHyperparameters({ lr });
    this.exampleInputArray = torch.zeros([1, 1, 28, 28]);
  }

  override forward(images: Tensor): Tensor {
    return this.head.forward(this.features.forward(images));
  }

  override trainingStep([images, labels]: Batch): Tensor {
    const loss = nn.functional.crossEntropy(this.forward(images), labels);
    this.log("train_loss", loss, { progBar: true });
    return loss;
  }

  override validationStep(batch: Batch): void {
    this.#evaluate("val", batch);
  }

  override testStep(batch: Batch): void {
    this.#evaluate("test", batch);
  }

  override predictStep([images, labels]: Batch): Prediction {
    const { values: confidence, indices: digits } = this.forward(images).softmax(1).max(1);
    return { images, labels, digits, confidence };
  }

  override configureOptimizers() {
    const optimizer = new optim.Adam(this.parameters(), { lr: this.#lr });
    // down to 0 on the way of half a cosine, batch by batch
    const scheduler = new optim.lrScheduler.CosineAnnealingLR(
      optimizer,
      this.trainer.estimatedSteppingBatches,
    );
    return { optimizer, lrScheduler: { scheduler, interval: "step" as const } };
  }

  #evaluate(stage: "val" | "test", [images, labels]: Batch): void {
    const logits = this.forward(images);
    const accuracy = logits.argmax(1).eq(labels).float().mean();
    this.log(`${stage}_loss`, nn.functional.crossEntropy(logits, labels));
    this.log(`${stage}_acc`, accuracy, { progBar: true });
  }
}
