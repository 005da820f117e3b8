import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@levin/torch";
import { data, type Tensor } from "@levin/torch";
import { beforeEach, describe, expect, it } from "vitest";
import { Counter, Noise, Stream } from "./data-fixtures/datasets.js";

const { StatefulDataLoader } = data;

type State = Record<string, unknown>;

/** What batches hold, as plain values. */
function plain(batch: unknown): unknown {
  if (Array.isArray(batch)) return batch.map(plain);
  return (batch as Tensor).toArray();
}

/** All batches that are left, and those of the next epoch. */
async function rest(loader: data.StatefulDataLoader, epochs = 2): Promise<unknown[]> {
  const batches: unknown[] = [];
  for (let i = 0; i < epochs; i++) for await (const batch of loader) batches.push(plain(batch));
  return batches;
}

/** The state after some batches, and what came after it. */
async function interrupt(loader: data.StatefulDataLoader, after: number): Promise<[State, unknown[]]> {
  const iterator = loader.iterate();
  for (let i = 0; i < after; i++) await iterator.next();
  const state = loader.stateDict();
  const batches: unknown[] = [];
  for (let item = await iterator.next(); !item.done; item = await iterator.next())
    batches.push(plain(item.value));
  return [state, [...batches, ...(await rest(loader, 1))]];
}

/** The same state from a file. */
function saved(state: State): State {
  const folder = mkdtempSync(join(tmpdir(), "levin-"));
  try {
    torch.save(state, join(folder, "state.pt"));
    return torch.load(join(folder, "state.pt")) as State;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

beforeEach(() => {
  torch.manualSeed(3);
});

describe("a loader's state", () => {
  it.each([0, 1, 4])(
    "lets another loader go on after %i batches, and with the epochs after it",
    async (after) => {
      const make = (seed: number) =>
        new StatefulDataLoader([...Array(11).keys()], {
          batchSize: 3,
          shuffle: true,
          generator: new torch.Generator().manualSeed(seed),
        });
      const [state, expected] = await interrupt(make(1), after);
      const other = make(2);
      other.loadStateDict(saved(state));
      expect(await rest(other)).toEqual(expected);
    },
  );

  it.each([0, 2])(
    "goes on with the order that came from the default generator, and leaves that alone (%i workers)",
    async (numWorkers) => {
      const make = () =>
        new StatefulDataLoader([...Array(20).keys()], { batchSize: 3, shuffle: true, numWorkers });
      const loader = make();
      const iterator = loader.iterate();
      for (let i = 0; i < 3; i++) await iterator.next();
      const state = saved(loader.stateDict());
      const expected: unknown[] = [];
      for (let item = await iterator.next(); !item.done; item = await iterator.next())
        expected.push(plain(item.value));

      torch.manualSeed(99);
      const other = make();
      other.loadStateDict(state);
      const before = torch.getRngState();
      expect(await rest(other, 1)).toEqual(expected);
      expect(torch.getRngState().equal(before)).toBe(true);
    },
  );

  it.each([
    ["new workers each epoch", { persistentWorkers: false }],
    ["the same workers", { persistentWorkers: true }],
  ])("goes on with the random numbers of the workers (%s)", async (_, options) => {
    const make = (seed: number) =>
      new StatefulDataLoader(new Noise(18), {
        batchSize: 2,
        shuffle: true,
        generator: new torch.Generator().manualSeed(seed),
        numWorkers: 2,
        ...options,
      });
    for (const after of [3, 9]) {
      await using loader = make(1);
      const [state, expected] = await interrupt(loader, after);
      await using other = make(2);
      other.loadStateDict(saved(state));
      expect(await rest(other)).toEqual(expected);
    }
  });

  it.each([
    [0, new Stream(20)],
    [2, new Stream(20)],
    [2, new Stream(20, true)],
    [0, new Counter(9)],
    [2, new Counter(9)],
  ])("goes on with an iterable dataset (%i workers)", async (numWorkers, dataset) => {
    const make = () => new StatefulDataLoader(dataset as Iterable<unknown>, { batchSize: 2, numWorkers });
    const [state, expected] = await interrupt(make(), 3);
    const other = make();
    other.loadStateDict(saved(state));
    const batches = await rest(other);
    // of the Counter: a dataset with a state is not read again up to there
    const numbers = (all: unknown[]) =>
      all.map((batch) => (dataset instanceof Counter ? (batch as unknown[])[0] : batch));
    expect(numbers(batches)).toEqual(numbers(expected));
    if (dataset instanceof Counter) expect((batches[0] as unknown[])[1]).toEqual([1, 2]);
  });

  it("is that of a sampler that has one", async () => {
    class Resuming implements data.Sampler, data.Stateful {
      next = 0;
      readonly length = 10;
      *[Symbol.iterator]() {
        while (this.next < 10) yield this.next++;
        this.next = 0;
      }
      stateDict = () => ({ next: this.next });
      loadStateDict = (state: State) => {
        this.next = state.next as number;
      };
    }
    for (const numWorkers of [0, 2]) {
      const make = () =>
        new StatefulDataLoader([...Array(10).keys()], { sampler: new Resuming(), batchSize: 2, numWorkers });
      const [state, expected] = await interrupt(make(), 2);
      const other = make();
      other.loadStateDict(saved(state));
      expect(await rest(other)).toEqual(expected);
      expect(expected[0]).toEqual([4, 5]);
    }
  });

  it("gives every batch once where batches come as they are ready", async () => {
    const make = () =>
      new StatefulDataLoader([...Array(24).keys()], { batchSize: 2, numWorkers: 2, inOrder: false });
    const loader = make();
    const iterator = loader.iterate();
    const before: unknown[] = [];
    for (let i = 0; i < 5; i++) before.push(plain((await iterator.next()).value));
    const other = make();
    other.loadStateDict(saved(loader.stateDict()));
    iterator.return();
    const all = [...before, ...(await rest(other, 1))].flat() as number[];
    expect(all.sort((a, b) => a - b)).toEqual([...Array(24).keys()]);
  });

  it("survives leaving the loop, and may be asked for before it is used", async () => {
    const make = () => new StatefulDataLoader([...Array(6).keys()], { batchSize: 2 });
    const loader = make();
    for (const _ of loader) break;
    const other = make();
    other.loadStateDict(loader.stateDict());
    expect(other.stateDict().numYielded).toBe(1);
    expect(await rest(other, 1)).toEqual([
      [2, 3],
      [4, 5],
    ]);
    expect(await rest(loader, 1)).toHaveLength(3);
  });

  it("keeps the type of numbers", async () => {
    const make = () => new StatefulDataLoader([0.5, 1, 2, 3], { batchSize: 2 });
    const [state] = await interrupt(make(), 1);
    const other = make();
    other.loadStateDict(saved(state));
    expect([...other].map((batch) => batch.dtype)).toEqual(["float64"]);
  });

  it("is refused by a loader that is not like its own", () => {
    const loader = new StatefulDataLoader(new Stream(10), { batchSize: 2 });
    loader.iterate().nextSync();
    const state = loader.stateDict();
    const other = new StatefulDataLoader(new Stream(10), { batchSize: 2, numWorkers: 1 });
    expect(() => other.loadStateDict(state)).toThrow(/saved with 0 workers, this loader has 1/);
    expect(() => loader.loadStateDict({})).toThrow(/the state is not that of a loader/);
  });
});
