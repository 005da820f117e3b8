import * as torch from "@levin/torch";
import { nn, optim, type Tensor } from "@levin/torch";
import { LightningModule } from "levin";
import type { Batch } from "./data.js";

/** Makes images (N, 1, 28, 28) of noise (N, noiseSize). */
class Generator extends nn.Sequential {
  constructor(noiseSize: number) {
    super(
      new nn.Linear(noiseSize, 64 * 7 * 7),
      new nn.Unflatten(1, [64, 7, 7]),
      new nn.BatchNorm2d(64),
      new nn.ReLU(),
      new nn.ConvTranspose2d(64, 16, 4, { stride: 2, padding: 1, bias: false }),
      new nn.BatchNorm2d(16),
      new nn.ReLU(),
      new nn.ConvTranspose2d(16, 1, 4, { stride: 2, padding: 1 }),
      new nn.Tanh(),
    );
  }
}

/** Tells real images (N, 1, 28, 28) from made ones: logits (N, 1). */
class Discriminator extends nn.Sequential {
  constructor() {
    super(
      new nn.Conv2d(1, 16, 4, { stride: 2, padding: 1 }),
      new nn.LeakyReLU({ negativeSlope: 0.2 }),
      new nn.Conv2d(16, 32, 4, { stride: 2, padding: 1, bias: false }),
      new nn.BatchNorm2d(32),
      new nn.LeakyReLU({ negativeSlope: 0.2 }),
      new nn.Flatten(),
      new nn.Dropout(0.3),
      new nn.Linear(32 * 7 * 7, 1),
    );
  }
}

export interface GANOptions {
  /** How many random numbers an image is made of. Default: 64. */
  noiseSize?: number;
  /** Default: 1e-3. */
  lr?: number;
}

/** Two networks that learn from each other: one makes images, the other tells them from real ones. */
export class GAN extends LightningModule<Batch> {
  readonly generator: Generator;
  readonly discriminator = new Discriminator();
  readonly #noiseSize: number;
  readonly #lr: number;

  constructor({ noiseSize = 64, lr = 1e-3 }: GANOptions = {}) {
    super();
    this.#noiseSize = noiseSize;
    this.#lr = lr;
    this.saveHyperparameters({ noiseSize, lr });
    this.generator = new Generator(noiseSize);
    this.automaticOptimization = false; // two optimizers take turns: trainingStep steps them itself
  }

  /** Makes so many images: (count, 1, 28, 28). */
  sample(count: number): Tensor {
    return this.generator.forward(torch.randn([count, this.#noiseSize], { device: this.device }));
  }

  override trainingStep([images]: Batch): void {
    const [ofGenerator, ofDiscriminator] = this.optimizers<2>();

    // the generator wants its images to be taken for real
    this.toggleOptimizer(ofGenerator);
    const made = this.sample(images.size(0));
    const generatorLoss = adversarialLoss(this.discriminator.forward(made), 1);
    ofGenerator.zeroGrad();
    this.manualBackward(generatorLoss);
    ofGenerator.step();
    this.untoggleOptimizer(ofGenerator);

    // the discriminator wants to tell which is which
    this.toggleOptimizer(ofDiscriminator);
    const discriminatorLoss = adversarialLoss(this.discriminator.forward(images), 0.9)
      .add(adversarialLoss(this.discriminator.forward(made.detach()), 0))
      .div(2);
    ofDiscriminator.zeroGrad();
    this.manualBackward(discriminatorLoss);
    ofDiscriminator.step();
    this.untoggleOptimizer(ofDiscriminator);

    this.logDict({ g_loss: generatorLoss, d_loss: discriminatorLoss }, { progBar: true });
  }

  override configureOptimizers() {
    const options = { lr: this.#lr, betas: [0.5, 0.999] as [number, number] };
    return [
      new optim.Adam(this.generator.parameters(), options),
      new optim.Adam(this.discriminator.parameters(), options),
    ];
  }
}

/** How far logits are from saying `target` (1: real, 0: made) of all images. */
function adversarialLoss(logits: Tensor, target: number): Tensor {
  return nn.functional.binaryCrossEntropyWithLogits(logits, torch.fullLike(logits, target));
}
