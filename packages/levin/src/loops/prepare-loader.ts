import { data } from "@levin/torch";
import { type CombinedLoader, lengthOf } from "../combined-loader.js";
import { warn } from "../messages.js";
import type { Strategy } from "../strategies/strategy.js";
import { type BatchLimit, limitBatches } from "./source.js";

/** A loader as a run reads it. */
export function prepareLoader(
  strategy: Strategy,
  loader: unknown,
  options: { overfit: boolean; stage: "train" | "val" | "test" | "predict" },
): unknown {
  if (options.overfit) return strategy.processLoader(withoutShuffling(loader, options.stage));
  if (options.stage !== "train" && shuffles(loader)) {
    warn(`The ${options.stage} loader shuffles, which changes nothing but the order: turn shuffle off.`);
  }
  return strategy.processLoader(loader);
}

/** How many batches are read of each loader. */
export function limitsOf(loader: CombinedLoader, limit: BatchLimit, name: string): number[] {
  return loader.flattened.map((each) => {
    const length = lengthOf(each) ?? Number.POSITIVE_INFINITY;
    if (length === 0) warn(`A loader that ${name} is about has no batches. Is that intended?`);
    return limitBatches(length, limit, name);
  });
}

/** Whether a loader gives its samples in a random order. */
function shuffles(loader: unknown): boolean {
  const { DataLoader, RandomSampler } = data;
  return loader instanceof DataLoader && loader.sampler instanceof RandomSampler;
}

/** The loader with its samples in order. */
function withoutShuffling(loader: unknown, stage: string): unknown {
  const { DataLoader, SequentialSampler } = data;
  if (!(loader instanceof DataLoader)) return loader;
  if (loader.sampler === null || loader.sampler instanceof SequentialSampler) return loader;
  warn(`overfitBatches is set, but the ${stage} loader shuffles: it is read in order.`);
  const { shuffle: _, sampler: __, ...kept } = loader.options;
  return new DataLoader(loader.dataset as never, kept as never);
}
