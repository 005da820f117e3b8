import type { Device } from "../../device.js";
import { noGrad } from "../../grad-mode.js";
import type { Module } from "../../nn/module.js";
import { BatchNorm1d, BatchNorm2d, BatchNorm3d } from "../../nn/norm.js";
import { Tensor } from "../../tensor.js";

/**
 * Computes the running statistics of a model's batch normalisation anew, in one pass over data: after its weights were averaged.
 *
 * @param loader batches: tensors, or lists whose first element is the model's input
 * @param options `device`: where the batches are moved
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.swa_utils.update_bn.html
 */
export async function updateBn(
  loader: Iterable<unknown> | AsyncIterable<unknown>,
  model: Module,
  options: { device?: Device } = {},
): Promise<void> {
  const momenta = new Map<{ momentum: number | null }, number | null>();
  for (const module of model.modules()) {
    if (module instanceof BatchNorm1d || module instanceof BatchNorm2d || module instanceof BatchNorm3d) {
      module.resetRunningStats();
      momenta.set(module, module.momentum);
    }
  }
  if (momenta.size === 0) return;
  const { training } = model;
  model.train();
  try {
    // without a momentum the statistics are means of all batches
    for (const module of momenta.keys()) module.momentum = null;
    for await (const batch of loader) {
      const input = Array.isArray(batch) ? batch[0] : batch;
      const { device } = options;
      const moved = device !== undefined && input instanceof Tensor ? input.to(device) : input;
      noGrad(() => model.forward(moved as never));
    }
  } finally {
    for (const [module, momentum] of momenta) module.momentum = momentum;
    model.train(training);
  }
}
