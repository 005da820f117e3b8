import type { CheckpointIO } from "./checkpoint/io.js";
import { SLURMEnvironment } from "./environments/slurm.js";
import { MisconfigurationError } from "./errors.js";
import type { Precision } from "./precision/precision.js";

/** What can be given as `plugins`: a part of the trainer that replaces its own. */
export type Plugin = Precision | CheckpointIO | SLURMEnvironment;

/** The plugins by what they are; null where none was given. */
export interface Plugins {
  precision: Precision | null;
  checkpointIO: CheckpointIO | null;
  environment: SLURMEnvironment | null;
}

/** Sorts plugins by what they are: at most one of a kind. */
export function readPlugins(given: Plugin | Plugin[] | null | undefined): Plugins {
  const found: Plugins = { precision: null, checkpointIO: null, environment: null };
  for (const plugin of [given ?? []].flat()) {
    const kind = kindOf(plugin);
    if (found[kind] !== null) {
      throw new MisconfigurationError(
        `Trainer({ plugins }) has several plugins for ${kind}: give one of a kind.`,
      );
    }
    found[kind] = plugin as Precision & CheckpointIO & SLURMEnvironment;
  }
  return found;
}

function kindOf(plugin: unknown): keyof Plugins {
  if (plugin instanceof SLURMEnvironment) return "environment";
  const has = (...methods: string[]) =>
    methods.every((method) => typeof (plugin as Record<string, unknown> | null)?.[method] === "function");
  if (has("convertModule", "optimizerStep")) return "precision";
  if (has("saveCheckpoint", "loadCheckpoint")) return "checkpointIO";
  const name = (plugin as object | null)?.constructor?.name ?? String(plugin);
  throw new MisconfigurationError(
    `Trainer({ plugins }) was given ${name}; a plugin is a Precision, a CheckpointIO, or a SLURMEnvironment.`,
  );
}
