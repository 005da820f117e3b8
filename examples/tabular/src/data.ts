import { existsSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import * as torch from "@levin/torch";
import { data, type Tensor } from "@levin/torch";
import { LightningDataModule } from "levin";
import { makeCustomers } from "./make-customers.js";

/** Which category (N, 3), which numbers (N, 3), whether the customer left (N), and the true chance of that (N). */
export type Batch = [categories: Tensor, numbers: Tensor, left: Tensor, chance: Tensor];

/** What a model must know of the columns. */
export interface Columns {
  /** The values of each column of categories. */
  categories: Record<string, string[]>;
  /** The mean and the standard deviation of each column of numbers. */
  numbers: Record<string, { mean: number; std: number }>;
}

export interface CustomersOptions {
  /** A CSV file, which is made if it isn't there. */
  file: string;
  /** How many customers it is made of. Default: 20,000. */
  count?: number;
  /** Default: 256. */
  batchSize?: number;
}

/** Customers of a telephone company: 70 % to train with, 10 % to validate with, 20 % to test with. */
export class Customers extends LightningDataModule<Batch> {
  /** Set by {@link setup}. */
  columns!: Columns;
  readonly #options: Required<CustomersOptions>;
  #parts!: [train: data.Subset<Tensor[]>, val: data.Subset<Tensor[]>, test: data.Subset<Tensor[]>];

  constructor(options: CustomersOptions) {
    super();
    this.#options = { count: 20_000, batchSize: 256, ...options };
    this.saveHyperparameters(this.#options);
  }

  override prepareData(): void {
    const { file, count } = this.#options;
    if (existsSync(file)) return;
    mkdirSync(dirname(file), { recursive: true });
    makeCustomers(file, count);
  }

  override setup(): void {
    const table = new data.CSVDataset(this.#options.file);
    const names = ["plan", "city", "payment"];
    const categories = Object.fromEntries(
      names.map((name) => [name, [...new Set(table.values[name] as string[])].sort()]),
    );
    const indices = names.map((name) => {
      const indexOf = new Map(categories[name]!.map((value, i) => [value, i]));
      return torch.tensor(
        (table.values[name] as string[]).map((value) => indexOf.get(value)!),
        { dtype: "int64" },
      );
    });
    const numbers = ["months", "minutes", "price"];
    const values = table.tensor(numbers);
    const [left, chance] = table.tensor(["left", "chance"]).unbind(1) as [Tensor, Tensor];

    const all = new data.TensorDataset(torch.stack(indices, 1), values, left, chance);
    const generator = new torch.Generator().manualSeed(42);
    this.#parts = data.randomSplit(all, [0.7, 0.1, 0.2], { generator });

    // of the part to train with, and of what is known there
    const train = values.get(torch.tensor(this.#parts[0].indices, { dtype: "int64" }));
    const mean = train.nanmean(0);
    const std = train.sub(mean).square().nanmean(0).sqrt();
    this.columns = {
      categories,
      numbers: Object.fromEntries(
        numbers.map((name, i) => [name, { mean: mean.get(i).item(), std: std.get(i).item() }]),
      ),
    };
  }

  override trainDataloader() {
    return new data.DataLoader(this.#parts[0], { batchSize: this.#options.batchSize, shuffle: true });
  }

  override valDataloader() {
    return new data.DataLoader(this.#parts[1], { batchSize: 1000 });
  }

  override testDataloader() {
    return new data.DataLoader(this.#parts[2], { batchSize: 1000 });
  }
}
