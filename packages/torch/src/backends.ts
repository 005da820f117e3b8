import { ArgumentError } from "./errors.js";
import { native } from "./native.js";

/** Switches of cuDNN, which computes convolutions, recurrent networks and others on CUDA devices. */
export interface CuDNN {
  /** Whether it is used. Default: true. */
  enabled: boolean;
  /** Whether it tries several algorithms for each new shape and keeps the fastest. Default: false. */
  benchmark: boolean;
  /** Whether it only takes deterministic algorithms; without effect where `benchmark` is set. Default: false. */
  deterministic: boolean;
}

type Setting = keyof CuDNN;

function set(name: Setting, value: boolean): void {
  if (typeof value !== "boolean")
    throw new ArgumentError(`backends.cudnn.${name} must be true or false, got ${String(value)}`);
  native.cudnnSetting(name, value);
}

/**
 * Settings of libtorch's backends.
 *
 * ```ts
 * torch.backends.cudnn.benchmark = true;
 * ```
 *
 * @see https://pytorch.org/docs/stable/backends.html
 */
export const backends: { readonly cudnn: CuDNN } = {
  cudnn: {
    get enabled() {
      return native.cudnnSetting("enabled", null);
    },
    set enabled(value) {
      set("enabled", value);
    },
    get benchmark() {
      return native.cudnnSetting("benchmark", null);
    },
    set benchmark(value) {
      set("benchmark", value);
    },
    get deterministic() {
      return native.cudnnSetting("deterministic", null);
    },
    set deterministic(value) {
      set("deterministic", value);
    },
  },
};
