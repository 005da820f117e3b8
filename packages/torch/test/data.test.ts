import * as torch from "@levin/torch";
import { data, type Tensor } from "@levin/torch";
import { beforeEach, describe, expect, it } from "vitest";

const { BatchSampler, ConcatDataset, DataLoader, DistributedSampler, RandomSampler } = data;
const { SequentialSampler, Subset, SubsetRandomSampler, TensorDataset, WeightedRandomSampler, randomSplit } =
  data;

/** The numbers 0 .. length - 1. */
class Numbers implements data.Dataset<Tensor> {
  constructor(readonly length: number) {}
  getItem(index: number): Tensor {
    return torch.tensor(index, { dtype: "int64" });
  }
}

class AsyncNumbers implements data.Dataset<Tensor> {
  constructor(readonly length: number) {}
  async getItem(index: number): Promise<Tensor> {
    return torch.tensor(index, { dtype: "int64" });
  }
}

const lists = (loader: Iterable<unknown>) => [...loader].map((batch) => (batch as Tensor).toArray());
const nextRand = () => torch.rand([1]).item();

beforeEach(() => {
  torch.manualSeed(0);
});

describe("order", () => {
  it("is PyTorch's when a loader shuffles, and each epoch takes as much of the default generator", () => {
    const loader = new DataLoader(new Numbers(50), { batchSize: 8, shuffle: true });
    const first = lists(loader);
    expect(first[0]).toEqual([26, 37, 47, 16, 9, 11, 49, 31]);
    expect(first[6]).toEqual([46, 13]);
    expect(nextRand()).toBe(0.30742281675338745);
    expect(lists(loader)[0]).toEqual([1, 29, 28, 24, 10, 43, 6, 8]);
    expect(nextRand()).toBe(0.6323062777519226);
  });

  it("comes from the given generator alone", () => {
    const generator = new torch.Generator().manualSeed(7);
    const loader = new DataLoader(new Numbers(17), { batchSize: 4, shuffle: true, generator });
    expect(lists(loader)).toEqual([[8, 7, 15, 14], [6, 16, 10, 0], [2, 5, 12, 3], [11, 1, 4, 13], [9]]);
    expect(lists(loader)[0]).toEqual([9, 8, 7, 13]);
    expect(nextRand()).toBe(0.49625658988952637);
  });

  it("of a random sampler is PyTorch's, also beyond the number of samples", () => {
    const sampler = new RandomSampler(new Numbers(20), { numSamples: 33 });
    expect([...sampler]).toEqual([
      6, 9, 16, 14, 13, 10, 7, 3, 15, 1, 18, 12, 5, 4, 2, 8, 0, 19, 11, 17, 10, 8, 19, 16, 7, 18, 4, 9, 15, 0,
      12, 2, 13,
    ]);
    expect(sampler.length).toBe(33);
    expect(nextRand()).toBe(0.08847743272781372);
  });

  it("of a sampler with replacement is PyTorch's", () => {
    const drawn = [...new RandomSampler(new Numbers(20), { replacement: true, numSamples: 45 })];
    expect(drawn.slice(0, 8)).toEqual([6, 10, 4, 13, 9, 15, 17, 18]);
    expect(drawn).toHaveLength(45);
  });

  it("of a subset sampler is PyTorch's", () => {
    const sampler = new SubsetRandomSampler([3, 1, 4, 15, 9, 2, 6]);
    expect([[...sampler], [...sampler]]).toEqual([
      [9, 3, 2, 15, 4, 6, 1],
      [6, 4, 9, 3, 15, 2, 1],
    ]);
  });

  it("of a weighted sampler is PyTorch's", () => {
    const generator = new torch.Generator().manualSeed(2);
    const sampler = new WeightedRandomSampler([0.1, 0.9, 0.4, 0.7], 3, { replacement: false, generator });
    expect([[...sampler], [...sampler]]).toEqual([
      [1, 3, 2],
      [2, 3, 1],
    ]);
  });

  it("is dealt out to processes as PyTorch does", () => {
    const share = (rank: number) =>
      new DistributedSampler(new Numbers(10), { numReplicas: 4, rank, shuffle: false });
    expect([0, 1, 2, 3].map((rank) => [...share(rank)])).toEqual([
      [0, 4, 8],
      [1, 5, 9],
      [2, 6, 0],
      [3, 7, 1],
    ]);
    const shuffled = new DistributedSampler(new Numbers(23), { numReplicas: 3, rank: 0 });
    expect([...shuffled]).toEqual([19, 3, 22, 7, 9, 12, 11, 0]);
    shuffled.setEpoch(1);
    expect([...shuffled].slice(0, 4)).toEqual([9, 11, 13, 19]);
  });

  it("of a random split is PyTorch's, by counts and by fractions", () => {
    const [, second] = randomSplit(new Numbers(30), [20, 10]);
    expect(second!.indices).toEqual([15, 2, 19, 8, 17, 24, 3, 1, 5, 28]);
    const generator = new torch.Generator().manualSeed(42);
    const parts = randomSplit(new Numbers(31), [0.5, 0.3, 0.2], { generator });
    expect(parts.map((part) => part.length)).toEqual([16, 9, 6]);
    expect(parts[0]!.indices.slice(0, 4)).toEqual([19, 18, 23, 29]);
  });
});

describe("DataLoader", () => {
  it("leaves out or gives a last batch that isn't full, and knows its length", () => {
    const all = new DataLoader(new Numbers(5), { batchSize: 2 });
    const full = new DataLoader(new Numbers(5), { batchSize: 2, dropLast: true });
    expect([all.length, full.length]).toEqual([3, 2]);
    expect(lists(all)).toEqual([[0, 1], [2, 3], [4]]);
    expect(lists(full)).toEqual([
      [0, 1],
      [2, 3],
    ]);
  });

  it("asks a dataset for a whole batch where it can give one", () => {
    const asked: (readonly number[])[] = [];
    const dataset = {
      length: 5,
      getItem: (): number => expect.fail("a single sample was asked for"),
      getItems(indices: readonly number[]) {
        asked.push(indices);
        return indices.length;
      },
    };
    expect([...new DataLoader(dataset, { batchSize: 3 })]).toEqual([3, 2]);
    expect(asked).toEqual([
      [0, 1, 2],
      [3, 4],
    ]);
  });

  it("gives the same batches from a TensorDataset and its subsets as from single samples", () => {
    const dataset = new TensorDataset(torch.arange(12).view([6, 2]), torch.arange(6));
    const part = new Subset(dataset, [4, 1, 5]);
    const [[x, y]] = [...new DataLoader(part, { batchSize: 3 })] as [[Tensor, Tensor]];
    expect(x.toArray()).toEqual([
      [8, 9],
      [2, 3],
      [10, 11],
    ]);
    expect(y.toArray()).toEqual([4, 1, 5]);
    const singly = [...new DataLoader(part, { batchSize: 3, collate: data.defaultCollate })] as [
      [Tensor, Tensor],
    ];
    expect(singly[0][0].toArray()).toEqual(x.toArray());
  });

  it("gives single samples without a batch size", () => {
    const loader = new DataLoader(new Numbers(3), { batchSize: null });
    expect(lists(loader)).toEqual([0, 1, 2]);
    expect(loader.length).toBe(3);
  });

  it("takes lists of samples from a batch sampler", () => {
    const batchSampler = new BatchSampler(new SequentialSampler(new Numbers(5)), 2, { dropLast: true });
    const loader = new DataLoader(new Numbers(5), { batchSampler });
    expect(lists(loader)).toEqual([
      [0, 1],
      [2, 3],
    ]);
    expect(loader.length).toBe(2);
    expect(lists(new DataLoader(new Numbers(5), { batchSampler: [[4], [0, 3]] }))).toEqual([[4], [0, 3]]);
  });

  it("collates with a function of the user", () => {
    const collate = (samples: number[]) => samples.reduce((sum, sample) => sum + sample, 0);
    expect([...new DataLoader([1, 2, 3], { batchSize: 2, collate })]).toEqual([3, 3]);
  });

  it("reads an iterable dataset in batches and closes it when reading stops early", () => {
    let closed = false;
    const dataset = {
      *[Symbol.iterator]() {
        try {
          for (let i = 0; ; i++) yield i;
        } finally {
          closed = true;
        }
      },
    };
    const loader = new DataLoader(dataset, { batchSize: 2 });
    expect(loader.length).toBeUndefined();
    for (const batch of loader) {
      expect((batch as Tensor).toArray()).toEqual([0, 1]);
      break;
    }
    expect(closed).toBe(true);
  });

  it("reads asynchronous datasets with for await, in order", async () => {
    const batches: unknown[] = [];
    const loader = new DataLoader(new AsyncNumbers(5), { batchSize: 2 });
    for await (const batch of loader) batches.push((batch as Tensor).toArray());
    expect(batches).toEqual([[0, 1], [2, 3], [4]]);

    async function* stream() {
      for (let i = 0; i < 5; i++) yield i;
    }
    const streamed: unknown[] = [];
    const streaming = new DataLoader({ [Symbol.asyncIterator]: stream }, { batchSize: 2, dropLast: true });
    for await (const batch of streaming) streamed.push((batch as Tensor).toArray());
    expect(streamed).toEqual([
      [0, 1],
      [2, 3],
    ]);
  });

  it("says what to do when an asynchronous dataset is read synchronously", () => {
    expect(() => [...new DataLoader(new AsyncNumbers(2))]).toThrow(/for await/);
  });

  it("refuses options that are wrong or exclude each other", () => {
    const numbers = new Numbers(4);
    const sampler = new SequentialSampler(numbers);
    const wrong: [object, RegExp][] = [
      [{ batchSize: 0 }, /batchSize must be a positive integer, got 0/],
      [{ batchSize: 1.5 }, /batchSize/],
      [{ sampler, shuffle: true }, /sampler and shuffle/],
      [{ batchSampler: [[0]], batchSize: 2 }, /batchSampler makes the batches/],
      [{ batchSize: null, dropLast: true }, /dropLast/],
      [{ numWorkers: -1 }, /numWorkers/],
      [{ collate: 3 }, /collate must be a function/],
      [{ batch_size: 3 }, /no option "batch_size"/],
      [{ generator: 3 }, /generator must be a Generator/],
    ];
    for (const [options, message] of wrong) expect(() => new DataLoader(numbers, options)).toThrow(message);
    const stream = { *[Symbol.iterator]() {} };
    expect(() => new DataLoader(stream, { shuffle: true })).toThrow(/iterable/);
    expect(() => new DataLoader(3 as never)).toThrow(/getItem/);
    expect(() => new DataLoader(new Numbers(0), { shuffle: true })).toThrow(/empty/);
  });
});

describe("datasets", () => {
  it("are concatenated, with indices from the end too", () => {
    const both = new ConcatDataset([new Numbers(3), new Numbers(2)]);
    expect(both.length).toBe(5);
    const at = (i: number) => (both.getItem(i) as Tensor).item();
    expect([at(0), at(2), at(3), at(4), at(-1)]).toEqual([0, 2, 0, 1, 1]);
    expect(() => both.getItem(5)).toThrow(/out of range/);
  });

  it("refuse tensors of different lengths, and splits that don't add up", () => {
    expect(() => new TensorDataset(torch.zeros([3]), torch.zeros([2]))).toThrow(/3, 2/);
    expect(() => randomSplit(new Numbers(5), [3, 3])).toThrow(/add up/);
  });
});

describe("collate", () => {
  const { defaultCollate } = data;

  it("makes classes of whole numbers and quantities of others", () => {
    const labels = defaultCollate([7, 2, 1]);
    expect([labels.dtype, labels.toArray()]).toEqual(["int64", [7, 2, 1]]);
    expect(defaultCollate([0.5, 2]).dtype).toBe("float64");
    expect(defaultCollate([1n, 2n]).dtype).toBe("int64");
    expect(defaultCollate([true, false]).dtype).toBe("bool");
  });

  it("never changes the type of numbers between the batches of a loader", () => {
    const types = (numbers: number[]) =>
      [...new DataLoader(numbers, { batchSize: 2 })].map((batch) => batch.dtype);
    expect(types([0.5, 1, 1, 2])).toEqual(["float64", "float64"]);
    expect(() => types([1, 2, 0.5, 1])).toThrow(/torch\.tensor\(value\)/);
  });

  it("puts nested arrays, objects, maps, strings and typed arrays together", () => {
    const sample = (i: number) => ({
      image: torch.full([2], i),
      meta: [i, `name ${i}`] as const,
      bytes: Uint8Array.of(i, i + 1),
      byName: new Map([["a", i]]),
    });
    const batch = defaultCollate([sample(0), sample(1)]);
    expect(batch.image.shape).toEqual([2, 2]);
    expect(batch.meta[0].toArray()).toEqual([0, 1]);
    expect(batch.meta[1]).toEqual(["name 0", "name 1"]);
    expect([batch.bytes.dtype, batch.bytes.toArray()]).toEqual([
      "uint8",
      [
        [0, 1],
        [1, 2],
      ],
    ]);
    expect(batch.byName.get("a")!.toArray()).toEqual([0, 1]);
  });

  it("names the place where samples differ or cannot be put together", () => {
    expect(() => defaultCollate([{ x: torch.zeros([2]) }, { x: torch.zeros([3]) }])).toThrow(
      /sample\.x.*\[2\], \[3\]/,
    );
    expect(() => defaultCollate([[1], [1, 2]])).toThrow(/array of length 1 .* array of length 2/);
    expect(() => defaultCollate([{ a: 1 }, { b: 1 }])).toThrow(/"a"/);
    expect(() => defaultCollate([null])).toThrow(/null/);
    expect(() => defaultCollate([new Date()])).toThrow(/a Date.*`collate` function/s);
  });
});
