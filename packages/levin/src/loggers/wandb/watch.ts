import * as torch from "@levin/torch";
import { ArgumentError, type nn, type RemovableHandle, type Tensor } from "@levin/torch";
import type { WandbRun } from "./run.js";

/** What {@link WandbLogger.watch} may be told. */
export interface WatchOptions {
  /** Of what histograms are logged. Default: `"gradients"`. */
  log?: "gradients" | "parameters" | "all" | null;
  /** In how many backward passes once. Default: 100. */
  logFreq?: number;
}

const BUCKETS = 64;

/** Logs histograms of a model's gradients and parameters, with the row that follows a backward pass. */
export function watch(run: WandbRun, model: nn.Module, options: WatchOptions = {}): RemovableHandle[] {
  const { log = "gradients", logFreq = 100 } = options;
  if (!Number.isInteger(logFreq) || logFreq < 1)
    throw new ArgumentError(`watch: logFreq must be a positive integer, got ${String(logFreq)}.`);
  if (log === null) return [];
  return [...model.namedParameters()]
    .filter(([, parameter]) => parameter.requiresGrad)
    .map(([name, parameter]) => {
      let passes = 0;
      return parameter.registerHook((gradient) => {
        if (passes++ % logFreq !== 0) return;
        if (log !== "parameters") run.logLater({ [`gradients/${name}`]: histogram(gradient) });
        if (log !== "gradients") run.logLater({ [`parameters/${name}`]: histogram(parameter) });
      });
    });
}

/** The finite values in buckets of equal width; null where there are none. */
function histogram(values: Tensor): object | null {
  return torch.noGrad(() => {
    const flat = values.detach().to({ device: "cpu", dtype: "float32" }).flatten();
    const finite = flat.maskedSelect(flat.isfinite());
    if (finite.numel() === 0) return null;
    let [min, max] = [finite.min().item() as number, finite.max().item() as number];
    if (min === max) [min, max] = [min - 1, max + 1];
    const counts = torch.histc(finite, { bins: BUCKETS, min, max }).toArray();
    const bins = Array.from({ length: BUCKETS + 1 }, (_, i) => min + (i * (max - min)) / BUCKETS);
    return { _type: "histogram", values: counts, bins };
  });
}
