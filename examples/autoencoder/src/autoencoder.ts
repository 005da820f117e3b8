import * as torch from "@levin/torch";
import { nn, optim, type Tensor } from "@levin/torch";
import { LightningModule } from "levin";
import type { Batch } from "./data.js";

export interface AutoencoderOptions {
  /** How many numbers an image is squeezed into. Default: 16. */
  codeSize?: number;
  /** Default: 2e-3. */
  lr?: number;
}

/** Squeezes images into a few numbers and makes images of them again. */
export class Autoencoder extends LightningModule<Batch> {
  readonly encoder: nn.Sequential;
  readonly decoder: nn.Sequential;
  readonly #lr: number;

  constructor({ codeSize = 16, lr = 2e-3 }: AutoencoderOptions = {}) {
    super();
    this.#lr = lr;
    this.saveHyperparameters({ codeSize, lr });
    this.exampleInputArray = torch.zeros([1, 1, 28, 28]);
    this.encoder = new nn.Sequential(
      new nn.Flatten(),
      new nn.Linear(28 * 28, 256),
      new nn.ReLU(),
      new nn.Linear(256, codeSize),
    );
    this.decoder = new nn.Sequential(
      new nn.Linear(codeSize, 256),
      new nn.ReLU(),
      new nn.Linear(256, 28 * 28),
      new nn.Sigmoid(),
      new nn.Unflatten(1, [1, 28, 28]),
    );
  }

  /** The codes (N, codeSize) of images (N, 1, 28, 28): what one would use the model for. */
  override forward(images: Tensor): Tensor {
    return this.encoder.forward(images);
  }

  override trainingStep([images]: Batch): Tensor {
    const loss = this.#reconstructionLoss(images);
    this.log("train_loss", loss, { progBar: true });
    return loss;
  }

  override validationStep([images]: Batch): void {
    this.log("val_loss", this.#reconstructionLoss(images), { progBar: true });
  }

  /** Images above what was made of their codes: (2, N, 1, 28, 28). */
  override predictStep([images]: Batch): Tensor {
    return torch.stack([images, this.decoder.forward(this.forward(images))]);
  }

  override configureOptimizers() {
    return new optim.Adam(this.parameters(), { lr: this.#lr });
  }

  #reconstructionLoss(images: Tensor): Tensor {
    return nn.functional.mseLoss(this.decoder.forward(this.forward(images)), images);
  }
}
