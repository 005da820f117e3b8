import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import * as torch from "@levin/torch";
import { data, type Tensor } from "@levin/torch";
import { beforeEach, describe, expect, it } from "vitest";
import * as fixtures from "./data-fixtures/datasets.js";

const { ConcatDataset, DataLoader, StackDataset, Subset, TensorDataset } = data;
const { AsyncStream, Noise, Private, Secretive, Stream, Thread, Traces, Trouble } = fixtures;

const list = (batch: unknown) => (batch as Tensor).toArray();

async function readAll<T>(loader: AsyncIterable<T>): Promise<T[]> {
  const batches: T[] = [];
  for await (const batch of loader) batches.push(batch);
  return batches;
}

/** The number of this process's threads, where the system tells. */
const threads = () => (process.platform === "linux" ? readdirSync("/proc/self/task").length : 0);

beforeEach(() => {
  torch.manualSeed(0);
});

describe("workers", () => {
  it("give PyTorch's order, are seeded as PyTorch's are, and take as much of the default generator", async () => {
    const loader = new DataLoader(new Traces(24), { batchSize: 4, shuffle: true, numWorkers: 2 });
    const batches = (await readAll(loader)).map((batch) => batch.toArray({ bigint: true }) as bigint[][]);
    expect(batches.map((batch) => batch.map(([index]) => Number(index)))).toEqual([
      [18, 23, 11, 2],
      [21, 3, 15, 19],
      [16, 10, 13, 9],
      [14, 5, 1, 0],
      [7, 22, 12, 4],
      [20, 17, 6, 8],
    ]);
    const seed = 900450186894289455n;
    expect(batches.map((batch) => batch[0]!.slice(1))).toEqual(
      [0, 1, 0, 1, 0, 1].map((id) => [BigInt(id), seed + BigInt(id)]),
    );
    expect(torch.rand([1]).item()).toBe(0.30742281675338745);
  });

  it("are read in a plain loop as with for await", () => {
    const loader = new DataLoader(new TensorDataset(torch.arange(10)), { batchSize: 3, numWorkers: 2 });
    expect([...loader].map(([x]) => list(x))).toEqual([[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]);
  });

  it("hand tensors over without copying them", async () => {
    const rows = torch.zeros([4, 2]);
    const [first] = await readAll(
      new DataLoader(new TensorDataset(rows), { batchSize: null, numWorkers: 1 }),
    );
    rows.fill_(7);
    expect(list(first![0])).toEqual([7, 7]);
  });

  it("get the built-in datasets by themselves, with functions and classes that a module has told about", async () => {
    const rows = torch.arange(12).view([6, 2]);
    const all = new ConcatDataset([new Subset(new TensorDataset(rows), [5, 0]), new TensorDataset(rows)]);
    const stack = new StackDataset({ rows: all, numbers: new Private(8, { offset: 10 }) });
    const batches = await readAll(new DataLoader(stack, { batchSize: 4, numWorkers: 2 }));
    expect(batches.map(({ rows: [x], numbers }) => [list(x), list(numbers)])).toEqual([
      [
        [
          [10, 11],
          [0, 1],
          [0, 1],
          [2, 3],
        ],
        [10, 11, 12, 13],
      ],
      [
        [
          [4, 5],
          [6, 7],
          [8, 9],
          [10, 11],
        ],
        [14, 15, 16, 17],
      ],
    ]);
    const sums = await readAll(
      new DataLoader([1, 2, 3, 4], { batchSize: 2, numWorkers: 2, collate: fixtures.sum }),
    );
    expect(sums).toEqual([
      { total: 3, worker: 0, when: new Date(0) },
      { total: 7, worker: 1, when: new Date(0) },
    ]);
  });

  it("draw random numbers by their seed alone, and leave the main thread's sequence as it is", async () => {
    const draw = async () => {
      torch.manualSeed(5);
      const loader = new DataLoader(new Noise(6), { batchSize: 2, numWorkers: 2 });
      const batches = await readAll(loader);
      return [...batches.map((batch) => batch.map(list)), torch.rand([1]).item()];
    };
    const first = await draw();
    expect(await draw()).toEqual(first);
    torch.manualSeed(5);
    torch.empty([], { dtype: "int64" }).random_();
    expect(first.at(-1)).toBe(torch.rand([1]).item());
    const drawn = new Set(first.slice(0, 3).flatMap((batch) => (batch as [unknown, number[][]])[1].flat()));
    expect(drawn.size).toBe(12);
  });

  it("decide the type of numbers together", async () => {
    // The first batch decides, not the first one of each worker.
    const batches = await readAll(new DataLoader([0.5, 1, 2, 3], { batchSize: 2, numWorkers: 2 }));
    expect(batches.map((batch) => batch.dtype)).toEqual(["float64", "float64"]);
    await expect(readAll(new DataLoader([1, 2, 0.5, 3], { batchSize: 2, numWorkers: 2 }))).rejects.toThrow(
      /whole in the first batch/,
    );
  });

  it("run workerInit first, with their own copy of the dataset", async () => {
    const loader = new DataLoader(new Thread(4), { batchSize: 1, numWorkers: 2, workerInit: fixtures.setUp });
    const batches = await readAll(loader);
    expect(batches.map((batch) => batch.map(list))).toEqual([
      [[0], [100], [1]],
      [[1], [101], [1]],
      [[0], [100], [2]],
      [[1], [101], [2]],
    ]);
  });

  it("live on between epochs when they are to, without a new seed", async () => {
    await using loader = new DataLoader(new Noise(4), {
      batchSize: 1,
      numWorkers: 2,
      persistentWorkers: true,
    });
    const first = (await readAll(loader)).map(([, x]) => list(x));
    const after = torch.getRngState();
    const second = (await readAll(loader)).map(([, x]) => list(x));
    expect(second).not.toEqual(first);
    expect(torch.getRngState().equal(after)).toBe(true);
    for await (const [index] of loader) {
      expect(list(index)).toEqual([0]);
      break;
    }
    expect((await readAll(loader)).map(([index]) => list(index))).toEqual([[0], [1], [2], [3]]);
  });

  it("give batches as they are ready where the order doesn't matter", async () => {
    const loader = new DataLoader(new Traces(20), { batchSize: 2, numWorkers: 2, inOrder: false });
    const batches = (await readAll(loader)).flatMap((batch) => batch.toArray({ bigint: true }) as bigint[][]);
    expect(batches.map(([index]) => Number(index)).sort((a, b) => a - b)).toEqual([...Array(20).keys()]);
  });
});

describe("iterable datasets", () => {
  it("are dealt out over workers by getWorkerInfo", async () => {
    for (const dataset of [new Stream(10), new AsyncStream(10)]) {
      const loader = new DataLoader(dataset, { batchSize: 2, numWorkers: 2 });
      expect((await readAll(loader)).map(list)).toEqual([[0, 2], [1, 3], [4, 6], [5, 7], [8], [9]]);
    }
    expect(
      [...new DataLoader(new Stream(10), { batchSize: 2, numWorkers: 2, dropLast: true })].map(list),
    ).toEqual([
      [0, 2],
      [1, 3],
      [4, 6],
      [5, 7],
    ]);
  });

  it("may end sooner in some workers than in others", async () => {
    const loader = new DataLoader(new Stream(12, true), { batchSize: 2, numWorkers: 3 });
    expect((await readAll(loader)).map(list)).toEqual([[0], [1, 4], [2, 5], [7, 10], [8, 11]]);
  });
});

describe("trouble in a worker", () => {
  it("surfaces as an error with the worker's stack, at the batch where it belongs", async () => {
    const loader = new DataLoader(new Trouble(5, "throw"), { batchSize: 2, numWorkers: 2 });
    const seen: unknown[] = [];
    const reading = (async () => {
      for await (const batch of loader) seen.push(list(batch));
    })();
    const error = await reading.then(
      () => expect.fail("nothing was thrown"),
      (reason: unknown) => reason as data.WorkerError,
    );
    expect(seen).toEqual([
      [0, 1],
      [2, 3],
    ]);
    expect(error).toBeInstanceOf(data.WorkerError);
    expect(error.workerId).toBe(0);
    expect(error.message).toMatch(
      /worker 0 failed: RangeError: sample 5 is bad\n {4}at .*getItem .*datasets\.ts/,
    );
    expect(error.cause).toBeInstanceOf(RangeError);
    expect(() => [...loader]).toThrow(/sample 5 is bad/);
  });

  it("is told when the worker cannot begin", async () => {
    const workerInit = fixtures.setUpBadly;
    await expect(readAll(new DataLoader([1, 2], { numWorkers: 1, workerInit }))).rejects.toThrow(
      /cannot set up/,
    );
    class Lost {}
    data.forWorkers(new URL("./data-fixtures/missing.js", import.meta.url), { Lost });
    await expect(readAll(new DataLoader([new Lost()], { numWorkers: 1 }))).rejects.toThrow(/missing\.js/);
    data.forWorkers(new URL("./data-fixtures/datasets.ts", import.meta.url), { Lost });
    await expect(readAll(new DataLoader([new Lost()], { numWorkers: 1 }))).rejects.toThrow(
      /exports no class or function Lost/,
    );
  });

  it.each(["exit", "uncaught"] as const)("is noticed when the worker dies (%s)", async (how) => {
    const message = { exit: /worker 1 died: .* code 3/, uncaught: /worker 1 died: .*nobody catches/s }[how];
    const make = () => new DataLoader(new Trouble(3, how), { batchSize: 2, numWorkers: 2 });
    const reading = make();
    await expect(readAll(reading)).rejects.toThrow(message);
    await reading.close();
    expect(() => [...make()]).toThrow(message);
  });

  it("is a timeout when the worker takes too long", async () => {
    const make = () => new DataLoader(new Trouble(0, "hang"), { numWorkers: 1, timeout: 0.5 });
    await expect(readAll(make())).rejects.toThrow(/timed out after 0\.5 seconds/);
    expect(() => [...make()]).toThrow(/timed out after 0\.5 seconds/);
  });
});

describe("what cannot be given to a worker", () => {
  const reading =
    (dataset: unknown, options: object = {}) =>
    () =>
      new DataLoader(dataset as number[], { numWorkers: 1, ...options }).iterate();

  it("is refused with a way out", () => {
    class Local implements data.Dataset<number> {
      length = 1;
      getItem = () => 1;
    }
    expect(reading(new Local())).toThrow(
      /dataset is a Local, a class that workers cannot import.*forWorkers\(import\.meta\.url, \{ Local \}\)/,
    );
    expect(reading({ length: 1, getItem: (i: number) => i })).toThrow(
      /dataset\.getItem is a function.*numWorkers: 0/,
    );
    expect(reading([{ a: [Symbol("x")] }])).toThrow(/dataset\.0\.a\.0 is a symbol/);
    expect(reading([1], { collate: () => 1 })).toThrow(/collate is a function/);
    const x = torch.ones([1], { requiresGrad: true });
    expect(reading(new TensorDataset(x.mul(2)))).toThrow(/tensors\.0 is a tensor whose gradient.*detach/);
    expect(() => data.forWorkers("./here.js", {})).toThrow(/address such as import\.meta\.url/);
    expect(() => data.forWorkers(import.meta.url, { x: 1 as never })).toThrow(
      /x must be a class or a function/,
    );
  });

  it("says what private fields need", async () => {
    await expect(readAll(new DataLoader(new Secretive(), { numWorkers: 1 }))).rejects.toThrow(
      /workerArguments\(\)/,
    );
  });
});

describe("threads", () => {
  it("end when reading stops early, when it ends, and when nobody goes on reading", async () => {
    const before = threads();
    const loader = new DataLoader(new Traces(100), { batchSize: 2, numWorkers: 2 });
    for await (const _ of loader) break;
    for (const _ of loader) break;
    await readAll(loader);
    await loader.close();
    expect(threads()).toBeLessThanOrEqual(before);

    loader.iterate().nextSync();
    for (let i = 0; i < 100 && threads() > before; i++) {
      torch.memory.collect();
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(threads()).toBeLessThanOrEqual(before);
  });

  it("free what was made ahead", async () => {
    const live = async () => {
      const loader = new DataLoader(new TensorDataset(torch.zeros([64, 1000])), {
        batchSize: 4,
        numWorkers: 2,
      });
      for await (const _ of loader) break;
      await loader.close();
      torch.memory.collect();
      return torch.memory.memoryStats().liveTensors;
    };
    const first = await live();
    expect(await live()).toBeLessThanOrEqual(first);
  });

  it("keep the settings of the main thread", async () => {
    const before = torch.getNumThreads();
    await readAll(new DataLoader([1, 2], { numWorkers: 2 }));
    expect(torch.getNumThreads()).toBe(before);
  });

  it("let the process end", () => {
    const script = fileURLToPath(new URL("./data-fixtures/abandons-its-loader.mjs", import.meta.url));
    expect(execFileSync(process.execPath, [script], { encoding: "utf8", timeout: 30_000 })).toBe("0\n1\n");
  });
});

describe("options for workers", () => {
  it("are checked", () => {
    const wrong: [object, RegExp][] = [
      [{ prefetchFactor: 2 }, /prefetchFactor is for workers/],
      [{ persistentWorkers: true }, /persistentWorkers is for workers/],
      [{ timeout: 1 }, /timeout is for workers/],
      [{ numWorkers: 1, prefetchFactor: 0 }, /prefetchFactor must be a positive integer/],
      [{ numWorkers: 1, timeout: -1 }, /timeout must be a number of seconds/],
      [{ numWorkers: 1, workerInit: 3 }, /workerInit must be a function/],
      [{ numWorkers: 1, inOrder: 1 }, /inOrder must be a boolean/],
    ];
    for (const [options, message] of wrong) expect(() => new DataLoader([1], options)).toThrow(message);
    expect(new DataLoader([1], { numWorkers: 1 }).prefetchFactor).toBe(2);
    expect(new DataLoader([1]).prefetchFactor).toBe(null);
  });
});
