import * as torch from "@levin/torch";
import { classOf, functionOf } from "../levin.js";
import { camelCaseKeys } from "../names.js";
import { expectNumber, expectSame } from "./compare.js";
import { type Group, loadGroup } from "./group.js";
import { Numbers } from "./numbers.js";

interface OrderCase {
  kind: "loader" | "sampler" | "distributed" | "split";
  n: number;
  seed: number | bigint;
  generator?: number | bigint | null;
  batch_size?: number;
  shuffle?: boolean;
  drop_last?: boolean;
  workers?: number;
  epochs_order?: unknown[][];
  rand_after_epoch?: number[];
  sampler?: string;
  first?: unknown;
  kwargs?: Record<string, unknown>;
  length?: number;
  next_rand?: number;
  replicas?: number;
  sampler_seed?: number;
  ranks?: number[][][];
  lengths?: number[];
  parts?: number[][];
}

/** Shuffling, samplers, workers' seeds and splits: exactly PyTorch's under the same seed. */
export const dataOrder: Group = async (folder, report) => {
  const group = loadGroup<{ cases: OrderCase[] }>(folder, "data_order");
  if (group === undefined) return;
  for (const [i, case_] of group.about.cases.entries()) {
    const detail = [case_.sampler, case_.workers ? `${case_.workers} workers` : undefined]
      .filter(Boolean)
      .join(" ");
    await report.run(`data_order/${i}-${case_.kind}${detail && ` ${detail}`}`, () => {
      torch.manualSeed(case_.seed);
      const seed = case_.generator;
      const options =
        seed === undefined || seed === null ? {} : { generator: new torch.Generator().manualSeed(seed) };
      return KINDS[case_.kind](case_, options);
    });
  }
};

type Options = { generator?: torch.Generator };

/** As recorded: bigints only where a number would not be exact. */
function numbersWhereExact(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(numbersWhereExact);
  return typeof value === "bigint" && Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

function expectRand(what: string, want: number): void {
  expectNumber(`torch.rand(1) ${what}`, torch.rand([1]).item(), want, { rtol: 0, atol: 0 });
}

const KINDS: Record<OrderCase["kind"], (case_: OrderCase, options: Options) => void | Promise<void>> = {
  async loader(case_, options) {
    const DataLoader = classOf<AsyncIterable<torch.Tensor>>(torch.data, "data", "DataLoader");
    const workers = case_.workers ?? 0;
    if (workers > 0) functionOf(torch.data, "data", "get_worker_info");
    const loader = new DataLoader(new Numbers(case_.n, workers > 0), {
      batchSize: case_.batch_size,
      shuffle: case_.shuffle,
      dropLast: case_.drop_last ?? false,
      ...(workers > 0 ? { numWorkers: workers } : {}),
      ...options,
    });
    for (const [epoch, want] of (case_.epochs_order ?? []).entries()) {
      const got: unknown[] = [];
      for await (const batch of loader) {
        got.push(
          workers > 0 ? numbersWhereExact(batch.toArray({ bigint: true })) : batch.flatten().toArray(),
        );
      }
      expectSame(`order of epoch ${epoch}`, got, want);
      expectRand(`after epoch ${epoch}`, case_.rand_after_epoch?.[epoch] as number);
    }
  },

  sampler(case_, options) {
    const Sampler = classOf<Iterable<number> & { length: number }>(
      torch.data,
      "data",
      case_.sampler as string,
    );
    const first = case_.first ?? new Numbers(case_.n);
    const kwargs = camelCaseKeys(case_.kwargs ?? {});
    const { numSamples, ...rest } = kwargs;
    // WeightedRandomSampler's number of samples has no default in PyTorch, so it goes by place; RandomSampler's has one.
    const sampler =
      case_.sampler === "WeightedRandomSampler"
        ? new Sampler(first, numSamples, { ...rest, ...options })
        : new Sampler(first, { ...kwargs, ...options });
    const got = (case_.epochs_order ?? []).map(() => [...sampler]);
    expectSame("order", got, case_.epochs_order);
    if (case_.length !== undefined) expectSame("length", sampler.length, case_.length);
    expectRand("afterwards", case_.next_rand as number);
  },

  distributed(case_) {
    const Sampler = classOf<Iterable<number> & { setEpoch(epoch: number): void }>(
      torch.data,
      "data",
      "DistributedSampler",
    );
    for (const [rank, epochs] of (case_.ranks ?? []).entries()) {
      const sampler = new Sampler(new Numbers(case_.n), {
        numReplicas: case_.replicas,
        rank,
        shuffle: case_.shuffle,
        seed: case_.sampler_seed,
        dropLast: case_.drop_last,
      });
      for (const [epoch, want] of epochs.entries()) {
        sampler.setEpoch(epoch);
        expectSame(`rank ${rank}, epoch ${epoch}`, [...sampler], want);
      }
    }
  },

  split(case_, options) {
    const parts = functionOf(torch.data, "data", "random_split")(
      new Numbers(case_.n),
      case_.lengths,
      options,
    );
    expectSame(
      "parts",
      (parts as { indices: number[] }[]).map((p) => [...p.indices]),
      case_.parts,
    );
    expectRand("afterwards", case_.next_rand as number);
  },
};
