import { Adam, type AdamOptions } from "./adam.js";
import type { Params } from "./param-group.js";

/** Options of {@link AdamW}. */
export type AdamWOptions = Omit<AdamOptions, "decoupledWeightDecay">;

/**
 * Adam with weight decay that acts on the parameters themselves. The default of `weightDecay` is 1e-2.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.AdamW.html
 * @see https://arxiv.org/abs/1711.05101
 */
export class AdamW extends Adam {
  /** @throws ArgumentError where an option is out of its range */
  constructor(params: Params<AdamOptions>, options: AdamWOptions = {}) {
    super(params, { ...options, weightDecay: options.weightDecay ?? 1e-2, decoupledWeightDecay: true });
  }
}
