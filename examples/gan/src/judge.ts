import { nn, optim, type Tensor } from "@levin/torch";
import { LightningModule } from "levin";
import type { Batch } from "./data.js";

/** Reads digits, and so can tell whether images look like digits at all. */
export class Judge extends LightningModule<Batch> {
  readonly net = new nn.Sequential(
    new nn.Conv2d(1, 16, 3, { stride: 2, padding: 1 }),
    new nn.ReLU(),
    new nn.Conv2d(16, 32, 3, { stride: 2, padding: 1 }),
    new nn.ReLU(),
    new nn.Flatten(),
    new nn.Linear(32 * 7 * 7, 10),
  );

  override forward(images: Tensor): Tensor {
    return this.net.forward(images);
  }

  override trainingStep([images, labels]: Batch): Tensor {
    return nn.functional.crossEntropy(this.forward(images), labels);
  }

  override configureOptimizers() {
    return new optim.Adam(this.parameters(), { lr: 2e-3 });
  }

  /**
   * How much like ten kinds of digits images (N, 1, 28, 28) look, from 1 to 10: it is high when each is clearly one digit and all
   * digits are there.
   *
   * @see https://arxiv.org/abs/1606.03498, where it is called the inception score
   */
  score(images: Tensor): number {
    const chances = this.forward(images).softmax(1);
    const overall = chances.mean(0, { keepdim: true });
    const divergence = chances.mul(chances.log().sub(overall.log())).sum(1);
    return divergence.mean().exp().item();
  }
}
