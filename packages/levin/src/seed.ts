import * as torch from "@levin/torch";
import { MisconfigurationError } from "./errors.js";
import { note } from "./messages.js";

/**
 * Seeds all random numbers of libtorch, so that a run can be repeated. The seed is kept in the environment
 * (`PL_GLOBAL_SEED`) for processes started from here.
 *
 * @param seed Default: `PL_GLOBAL_SEED` of the environment, else 0.
 * @param options `workers`: whether the workers of data loaders are seeded too; `verbose`: whether the seed is reported
 * @returns the seed
 */
export function seedEverything(
  seed?: number | null,
  options: { workers?: boolean; verbose?: boolean } = {},
): number {
  const value = seed ?? Number(process.env.PL_GLOBAL_SEED ?? 0);
  if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) {
    throw new MisconfigurationError(
      `seedEverything: the seed was given ${String(seed ?? process.env.PL_GLOBAL_SEED)}; it is an integer from 0 to 4294967295.`,
    );
  }
  if (options.verbose ?? true) note(`Seed set to ${value}`);
  process.env.PL_GLOBAL_SEED = String(value);
  process.env.PL_SEED_WORKERS = options.workers ? "1" : "0";
  torch.manualSeed(value);
  return value;
}
