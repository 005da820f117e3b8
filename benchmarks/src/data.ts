import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import * as torch from "@levin/torch";
import { data, type Tensor } from "@levin/torch";
import { Augmented } from "./augmented.js";
import { DATA, mnistFolder } from "./folders.js";
import { BATCH, type Workload, workersOf } from "./plan.js";

/** A file, plain or as `.gz`. */
function readBytes(path: string): Buffer {
  return existsSync(path) ? readFileSync(path) : gunzipSync(readFileSync(`${path}.gz`));
}

/** The tensor in an idx file of bytes. */
function readIdx(path: string): Tensor {
  const raw = readBytes(path);
  const rank = raw.readUInt8(3);
  const shape = Array.from({ length: rank }, (_, i) => raw.readUInt32BE(4 + 4 * i));
  return torch.fromTypedArray(new Uint8Array(raw.buffer, raw.byteOffset + 4 + 4 * rank), shape);
}

function mnistBytes(): [images: Tensor, labels: Tensor] {
  const folder = mnistFolder();
  return [
    readIdx(join(folder, "train-images-idx3-ubyte")),
    readIdx(join(folder, "train-labels-idx1-ubyte")).long(),
  ];
}

/** Pixels as float32 in [0, 1], labels as int64: the whole training set in memory. */
function mnist(flat: boolean): data.TensorDataset {
  const [bytes, labels] = mnistBytes();
  const images = bytes.float().div_(255);
  return new data.TensorDataset(flat ? images.view([-1, 784]) : images.unsqueeze(1), labels);
}

/** Rows of normal numbers, in order. */
class Rows implements data.Dataset<Tensor> {
  readonly length: number;
  readonly #rows: Tensor;

  constructor(rows: Tensor) {
    this.#rows = rows;
    this.length = rows.size(0);
  }

  getItem(i: number): Tensor {
    return this.#rows.select(0, i);
  }
}

/** Endless batches of random windows: (tokens, the tokens one place further). */
class Windows {
  readonly #block: number;
  readonly #batch: number;
  readonly #generator: torch.Generator;
  readonly #ids: Tensor;

  constructor(block: number, batch: number, generator: torch.Generator) {
    this.#block = block;
    this.#batch = batch;
    this.#generator = generator;
    const text = readBytes(join(DATA, "tinyshakespeare", "input.txt")).toString("utf8");
    const index = new Map([...new Set(text)].sort().map((c, i) => [c, i]));
    this.#ids = torch.tensor(
      [...text].map((c) => index.get(c) as number),
      { dtype: "int64" },
    );
  }

  *[Symbol.iterator](): Generator<[Tensor, Tensor]> {
    const [ids, block] = [this.#ids, this.#block];
    for (;;) {
      const starts = torch
        .randint(0, ids.size(0) - block, [this.#batch], { generator: this.#generator })
        .toArray() as number[];
      yield [
        torch.stack(starts.map((at) => ids.narrow(0, at, block))),
        torch.stack(starts.map((at) => ids.narrow(0, at + 1, block))),
      ];
    }
  }
}

/** The batches of a workload; the same as the reference's, in the same order. */
export function makeLoader(workload: Workload): data.DataLoader<unknown> {
  const generator = new torch.Generator().manualSeed(0);
  const batchSize = BATCH[workload];
  switch (workload) {
    case "tiny":
    case "tiny-log":
      return new data.DataLoader(new Rows(torch.randn([20000, 32], { generator })), { batchSize });
    case "mlp":
    case "mlp-default":
    case "cnn":
      return new data.DataLoader(mnist(workload !== "cnn"), { batchSize, shuffle: true, generator });
    case "infer":
    case "val":
      return new data.DataLoader(mnist(true), { batchSize });
    case "loader":
    case "loader-workers2":
      return new data.DataLoader(new Augmented(...mnistBytes()), {
        batchSize,
        shuffle: true,
        generator,
        numWorkers: workersOf(workload),
      });
    case "loader-single":
    case "loader-single-workers2": {
      // A collate function of its own makes the loader ask for single samples.
      const collate = data.defaultCollate as (samples: [Tensor, Tensor][]) => unknown;
      const numWorkers = workersOf(workload);
      return new data.DataLoader(new Augmented(...mnistBytes()), {
        batchSize,
        shuffle: true,
        generator,
        collate,
        numWorkers,
      });
    }
    case "gpt":
    case "lstm":
      return new data.DataLoader(new Windows(workload === "gpt" ? 128 : 64, batchSize, generator), {
        batchSize: null,
      });
  }
}
