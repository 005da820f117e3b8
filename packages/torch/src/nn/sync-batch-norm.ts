import { ArgumentError } from "../errors.js";
import { noGrad } from "../grad-mode.js";
import type { Tensor } from "../tensor.js";
import type { Module } from "./module.js";
import { BatchNorm, type BatchNormOptions } from "./norm.js";

/**
 * Batch normalisation for inputs of any shape `(N, C, ...)` whose statistics shall be those of the batches of all processes. There
 * are no process groups yet: like PyTorch's without one, it takes those of its own batch.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.SyncBatchNorm.html
 */
export class SyncBatchNorm extends BatchNorm {
  constructor(numFeatures: number, options: BatchNormOptions = {}) {
    super(numFeatures, options);
  }

  /**
   * A module with all its batch normalisations replaced by synchronised ones that take over parameters and statistics.
   *
   * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.SyncBatchNorm.html#torch.nn.SyncBatchNorm.convert_sync_batchnorm
   */
  static convertSyncBatchnorm<M extends Module>(module: M): M | SyncBatchNorm {
    if (module instanceof BatchNorm) return module instanceof SyncBatchNorm ? module : synchronised(module);
    for (const [name, child] of module.namedChildren()) {
      const converted = SyncBatchNorm.convertSyncBatchnorm(child);
      if (converted !== child) module.setSubmodule(name, converted);
    }
    return module;
  }

  protected override checkInput(input: Tensor): void {
    if (input.dim() < 2) throw new ArgumentError(`expected at least 2D input (got ${input.dim()}D input).`);
    if (input.size(1) === 0)
      throw new ArgumentError("SyncBatchNorm: the number of input channels must not be zero.");
  }
}

function synchronised(module: BatchNorm): SyncBatchNorm {
  const { numFeatures, eps, momentum, affine, trackRunningStats, weight, bias, training } = module;
  const made = new SyncBatchNorm(numFeatures, {
    eps,
    momentum,
    affine,
    trackRunningStats,
    bias: bias !== null,
  });
  return noGrad(() => {
    made.weight = weight;
    made.bias = bias;
    made.runningMean = module.runningMean;
    made.runningVar = module.runningVar;
    made.numBatchesTracked = module.numBatchesTracked;
    return made.train(training);
  });
}
