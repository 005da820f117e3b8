import * as torch from "@levin/torch";
import { warn } from "./messages.js";
import type { TrainerOptions } from "./trainer-options.js";

/** Sets what `Trainer({ deterministic, benchmark })` asks of libtorch; what is not given stays as it is. */
export function setTorchFlags({
  deterministic = null,
  benchmark = null,
}: Pick<TrainerOptions, "deterministic" | "benchmark">): void {
  if (deterministic && benchmark) {
    warn(
      "Trainer({ deterministic, benchmark }): cuDNN looks for the fastest algorithms where benchmark is true, whether they are " +
        "deterministic or not. Leave benchmark out.",
    );
  }
  const searches = benchmark ?? (deterministic ? false : null);
  if (searches !== null) torch.backends.cudnn.benchmark = searches;
  if (deterministic === null) return;
  torch.useDeterministicAlgorithms(deterministic !== false, { warnOnly: deterministic === "warn" });
  // https://docs.nvidia.com/cuda/cublas/index.html#results-reproducibility
  if (deterministic !== false) process.env.CUBLAS_WORKSPACE_CONFIG = ":4096:8";
}
