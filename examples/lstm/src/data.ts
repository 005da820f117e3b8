import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { data, type Tensor } from "@levin/torch";
import { LightningDataModule } from "levin";

/** Tokens (N, T), and those one place further (N, T), which are to be predicted. */
export type Batch = [tokens: Tensor, targets: Tensor];

/** Shakespeare's plays, in the public domain: 1.1 million characters. The benchmarks have the file. */
const shakespeare = new URL("../../../benchmarks/data/tinyshakespeare/input.txt.gz", import.meta.url);

/**
 * Batches whose rows go on where the same rows of the batch before have ended: row r of all batches together is the r-th part of the
 * text, so that a network can keep its state from batch to batch.
 */
class ConsecutiveBatches implements data.Sampler<number[]> {
  /** The number of batches. */
  readonly length: number;
  readonly #batchSize: number;

  constructor(windows: data.TextWindowDataset, batchSize: number) {
    this.#batchSize = batchSize;
    this.length = Math.floor(windows.length / batchSize);
  }

  *[Symbol.iterator](): IterableIterator<number[]> {
    for (let i = 0; i < this.length; i++) {
      yield Array.from({ length: this.#batchSize }, (_, row) => row * this.length + i);
    }
  }
}

export interface CharactersOptions {
  /** How many characters a window has. Default: 32. */
  windowSize?: number;
  /** Default: 32. */
  batchSize?: number;
}

/** The characters of Shakespeare's plays: the first 90 % to train with, the rest to validate with. */
export class Characters extends LightningDataModule<Batch> {
  /** How many different characters there are. */
  readonly vocabularySize: number;
  readonly #options: Required<CharactersOptions>;
  readonly #train: number[];
  readonly #val: number[];

  constructor(options: CharactersOptions = {}) {
    super();
    this.#options = { windowSize: 32, batchSize: 32, ...options };
    this.saveHyperparameters(this.#options);
    const characters = [...gunzipSync(readFileSync(shakespeare)).toString("utf8")];
    const vocabulary = [...new Set(characters)].sort();
    const tokenOf = new Map(vocabulary.map((character, token) => [character, token]));
    const tokens = characters.map((character) => tokenOf.get(character)!);
    const split = Math.floor(0.9 * tokens.length);
    this.vocabularySize = vocabulary.length;
    this.#train = tokens.slice(0, split);
    this.#val = tokens.slice(split);
  }

  override trainDataloader() {
    return this.#loader(this.#train);
  }

  override valDataloader() {
    return this.#loader(this.#val);
  }

  #loader(tokens: number[]) {
    const { windowSize, batchSize } = this.#options;
    const windows = new data.TextWindowDataset(tokens, windowSize, { stride: windowSize });
    return new data.DataLoader(windows, { batchSampler: new ConsecutiveBatches(windows, batchSize) });
  }
}
