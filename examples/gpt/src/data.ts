import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { data, type Tensor } from "@levin/torch";
import { LightningDataModule } from "levin";

/** Tokens (N, T), and those one place further (N, T), which are to be predicted. */
export type Batch = [tokens: Tensor, targets: Tensor];

/** Shakespeare's plays, in the public domain: 1.1 million characters. The benchmarks have the file. */
export const shakespeare = fileURLToPath(
  new URL("../../../benchmarks/data/tinyshakespeare/input.txt.gz", import.meta.url),
);

export interface CharactersOptions {
  /** A text file, plain or as `.gz`. Default: Shakespeare's plays. */
  file?: string;
  /** How many characters a window has. Default: 64. */
  blockSize?: number;
  /** Default: 16. */
  batchSize?: number;
}

/** The characters of a text in random windows: the first 90 % to train with, the rest to validate with. */
export class Characters extends LightningDataModule<Batch> {
  /** The characters of the text in order: that at index i is token i. */
  readonly vocabulary: string;
  readonly #blockSize: number;
  readonly #batchSize: number;
  readonly #train: number[];
  readonly #val: number[];

  constructor({ file = shakespeare, blockSize = 64, batchSize = 16 }: CharactersOptions = {}) {
    super();
    this.#blockSize = blockSize;
    this.#batchSize = batchSize;
    this.saveHyperparameters({ file, blockSize, batchSize });
    const bytes = readFileSync(file);
    const characters = [...(file.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8")];
    const vocabulary = [...new Set(characters)].sort();
    const tokenOf = new Map(vocabulary.map((character, token) => [character, token]));
    const tokens = characters.map((character) => tokenOf.get(character)!);
    const split = Math.floor(0.9 * tokens.length);
    this.vocabulary = vocabulary.join("");
    this.#train = tokens.slice(0, split);
    this.#val = tokens.slice(split);
  }

  override trainDataloader() {
    const windows = new data.TextWindowDataset(this.#train, this.#blockSize);
    return new data.DataLoader(windows, { batchSize: this.#batchSize, shuffle: true });
  }

  override valDataloader() {
    const windows = new data.TextWindowDataset(this.#val, this.#blockSize, { stride: this.#blockSize });
    return new data.DataLoader(windows, { batchSize: 64 });
  }
}
