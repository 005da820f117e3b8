import { metrics, nn, optim, type Tensor } from "@levin/torch";
import { LightningModule } from "levin";
import type { Batch } from "./data.js";

const block = (inChannels: number, outChannels: number) =>
  new nn.Sequential(
    new nn.Conv2d(inChannels, outChannels, 3, { padding: 1 }),
    new nn.GroupNorm(4, outChannels),
    new nn.ReLU(),
    new nn.MaxPool2d(2),
  );

export interface ClassifierOptions {
  /** The checkpoint of a classifier whose backbone this one takes over. Default: none, it learns from scratch. */
  pretrained?: string | null;
  /** Default: 5e-3. */
  lr?: number;
}

/** Tells five classes of images: a convolutional backbone, and a head on it. */
export class Classifier extends LightningModule<Batch> {
  readonly backbone: nn.Sequential;
  readonly head = new nn.Sequential(new nn.Flatten(), new nn.Linear(32 * 3 * 3, 5));
  readonly testAccuracy = new metrics.Accuracy("multiclass", { numClasses: 5 });
  readonly #lr: number;

  constructor({ pretrained = null, lr = 5e-3 }: ClassifierOptions = {}) {
    super();
    this.#lr = lr;
    this.saveHyperparameters({ lr }); // `pretrained` isn't needed again: a checkpoint has the weights
    this.backbone =
      pretrained === null
        ? new nn.Sequential(block(1, 16), block(16, 32), block(32, 32))
        : Classifier.loadFromCheckpoint(pretrained).backbone;
  }

  override forward(images: Tensor): Tensor {
    return this.head.forward(this.backbone.forward(images));
  }

  override trainingStep([images, labels]: Batch): Tensor {
    const loss = nn.functional.crossEntropy(this.forward(images), labels);
    this.log("train_loss", loss, { progBar: true });
    return loss;
  }

  override testStep([images, labels]: Batch): void {
    this.testAccuracy.update(this.forward(images), labels);
    this.log("test_acc", this.testAccuracy);
  }

  /** Of what is to be trained at first; `BackboneFinetuning` adds the backbone later. */
  override configureOptimizers() {
    const trainable = this.parameters().filter((parameter) => parameter.requiresGrad);
    return new optim.Adam(trainable, { lr: this.#lr });
  }
}
