import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import * as torch from "@levin/torch";
import { data, type Tensor } from "@levin/torch";
import fc from "fast-check";
import { expect, it } from "vitest";
import { Rows, Stream } from "./data-fixtures.js";

const {
  BatchSampler,
  DataLoader,
  DistributedSampler,
  RandomSampler,
  SubsetRandomSampler,
  WeightedRandomSampler,
} = data;

interface Configuration {
  n: number;
  seed: number;
  generator: number | null;
  batch_size: number | null;
  shuffle: boolean;
  drop_last: boolean;
  workers: number;
  prefetch: number;
  persistent: boolean;
  epochs: number;
  iterable: boolean;
  short: number | null;
  sampler: "random" | "weighted" | "subset" | "distributed" | null;
  batch_sampler: boolean;
  replacement: boolean;
  num_samples: number;
  rank: number;
}

const configurations = fc.record<Configuration>({
  n: fc.integer({ min: 3, max: 70 }),
  seed: fc.integer({ min: 0, max: 2 ** 31 }),
  generator: fc.option(fc.integer({ min: 0, max: 1000 })),
  batch_size: fc.option(fc.integer({ min: 1, max: 9 }), { freq: 6 }),
  shuffle: fc.boolean(),
  drop_last: fc.boolean(),
  workers: fc.constantFrom(0, 0, 1, 2, 3),
  prefetch: fc.integer({ min: 1, max: 3 }),
  persistent: fc.boolean(),
  epochs: fc.integer({ min: 1, max: 3 }),
  iterable: fc.boolean(),
  short: fc.option(fc.integer({ min: 0, max: 4 })),
  sampler: fc.constantFrom("random", "weighted", "subset", "distributed", null, null),
  batch_sampler: fc.boolean(),
  replacement: fc.boolean(),
  num_samples: fc.integer({ min: 1, max: 80 }),
  rank: fc.integer({ min: 0, max: 2 }),
});

/** Without what excludes each other. */
function possible(c: Configuration): Configuration {
  const iterable = c.iterable;
  const sampler = iterable ? null : c.sampler;
  const most = sampler === "weighted" && !c.replacement ? Math.min(c.num_samples, c.n) : c.num_samples;
  return {
    ...c,
    sampler,
    batch_sampler: !iterable && c.batch_size !== null && c.batch_sampler,
    num_samples: most,
  };
}

function samplerOf(
  c: Configuration,
  dataset: Rows,
  generator: torch.Generator | undefined,
): data.Sampler | undefined {
  const { replacement, num_samples: numSamples, rank, shuffle, drop_last: dropLast } = c;
  switch (c.sampler) {
    case "random":
      return new RandomSampler(dataset, { replacement, numSamples, generator });
    case "weighted": {
      const weights = Array.from({ length: c.n }, (_, i) => 1 + (i % 3));
      return new WeightedRandomSampler(weights, numSamples, { replacement, generator });
    }
    case "subset": {
      const even = Array.from({ length: Math.ceil(c.n / 2) }, (_, i) => 2 * i);
      return new SubsetRandomSampler(even, { generator });
    }
    case "distributed":
      return new DistributedSampler(dataset, { numReplicas: 3, rank, shuffle, seed: 5, dropLast });
    case null:
      return undefined;
  }
}

async function run(c: Configuration): Promise<unknown> {
  torch.manualSeed(c.seed);
  const generator = c.generator === null ? undefined : new torch.Generator().manualSeed(c.generator);
  const dataset = c.iterable ? new Stream(c.n, c.short) : new Rows(c.n);
  const sampler = c.iterable ? undefined : samplerOf(c, dataset as Rows, generator);
  const { batch_size: batchSize, drop_last: dropLast, shuffle } = c;
  const options: data.DataLoaderOptions = c.batch_sampler
    ? {
        batchSampler: new BatchSampler(
          sampler ?? new RandomSampler(dataset as Rows),
          batchSize as number,
          dropLast,
        ),
      }
    : {
        batchSize,
        dropLast: dropLast && batchSize !== null,
        ...(sampler ? { sampler } : c.iterable ? {} : { shuffle }),
      };
  const workers = { numWorkers: c.workers, prefetchFactor: c.prefetch, persistentWorkers: c.persistent };
  const loader = new DataLoader(dataset as data.Dataset, {
    ...options,
    ...(c.workers > 0 ? workers : {}),
    generator,
  });

  const epochs: unknown[] = [];
  for (let epoch = 0; epoch < c.epochs; epoch++) {
    if (sampler instanceof DistributedSampler) sampler.setEpoch(epoch);
    const batches: unknown[] = [];
    for await (const [rows, drawn] of loader as AsyncIterable<[Tensor, Tensor]>) {
      batches.push([rows.toArray({ bigint: true }), drawn.toArray()]);
    }
    epochs.push({ batches, rand: torch.rand([1], { dtype: "float64" }).item() });
  }
  await loader.close();
  return { length: c.iterable ? null : loader.length, epochs };
}

/** As text, with all numbers as JavaScript writes them: JSON's numbers of Python may be too large for doubles. */
const text = (value: unknown) => JSON.stringify(value, (_, v) => (typeof v === "bigint" ? Number(v) : v));

it("gives the batches, seeds and random numbers of torch.utils.data, for random configurations", async () => {
  const all = fc
    .sample(configurations, { numRuns: 60, seed: Number(process.env.LEVIN_SEED ?? 1) })
    .map(possible);
  const script = fileURLToPath(new URL("./data_order.py", import.meta.url));
  const output = execFileSync(process.env.LEVIN_PYTHON as string, [script], {
    input: JSON.stringify(all),
    maxBuffer: 1 << 28,
    encoding: "utf8",
  });
  const expected = JSON.parse(output) as unknown[];
  for (const [i, configuration] of all.entries()) {
    expect(text(await run(configuration)), JSON.stringify(configuration)).toBe(text(expected[i]));
  }
});
