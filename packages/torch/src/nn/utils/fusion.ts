/** Layers with a normalisation behind them as one layer, for evaluation. */
import { ArgumentError } from "../../errors.js";
import * as ops from "../../ops.js";
import type { Tensor } from "../../tensor.js";
import type { ConvBase } from "../conv.js";
import { deepCopy } from "../deep-copy.js";
import type { Linear } from "../linear.js";
import type { Module } from "../module.js";
import type { BatchNorm1d, BatchNorm2d, BatchNorm3d } from "../norm.js";
import { Parameter } from "../parameter.js";

/** Options of the fusions of convolutions. */
export interface FuseConvOptions {
  /** Whether the convolution is a transposed one. Default: false. */
  transpose?: boolean;
}

type BatchNorm = BatchNorm1d | BatchNorm2d | BatchNorm3d;

function statistics(layer: Module, bn: BatchNorm): [mean: Tensor, variance: Tensor] {
  if (layer.training || bn.training) {
    throw new ArgumentError("Layers are only fused for evaluation: call eval() on both before.");
  }
  if (bn.runningMean !== null && bn.runningVar !== null) return [bn.runningMean, bn.runningVar];
  throw new ArgumentError(
    "The batch norm to be fused has no running statistics: make it with trackRunningStats.",
  );
}

function parameterFrom(value: Tensor, like: Tensor): Parameter {
  return new Parameter(value.to(like.dtype), { requiresGrad: like.requiresGrad });
}

/**
 * A copy of a convolution that does what the convolution and a batch norm behind it do.
 *
 * @throws ArgumentError where one of them is in training mode, or the batch norm has no running statistics
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.fuse_conv_bn_eval.html
 */
export function fuseConvBnEval<C extends ConvBase>(conv: C, bn: BatchNorm, options: FuseConvOptions = {}): C {
  const [mean, variance] = statistics(conv, bn);
  const fused = deepCopy(conv);
  const { weight, bias } = fused;
  [fused.weight, fused.bias] = fuseConvBnWeights(
    weight,
    bias,
    mean,
    variance,
    bn.eps,
    bn.weight,
    bn.bias,
    options,
  );
  return fused;
}

/**
 * Weight and bias of a convolution with a batch norm behind it.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.fuse_conv_bn_weights.html
 */
export function fuseConvBnWeights(
  convW: Tensor,
  convB: Tensor | null,
  bnRm: Tensor,
  bnRv: Tensor,
  bnEps: number,
  bnW: Tensor | null,
  bnB: Tensor | null,
  { transpose = false }: FuseConvOptions = {},
): [weight: Parameter, bias: Parameter] {
  const bias = convB ?? ops.zerosLike(bnRm, { dtype: convW.dtype });
  const scale = bnRv.add(bnEps).rsqrt();
  const factors = bnW === null ? scale : bnW.mul(scale);
  const shape = convW.shape.map((_, d) => (d === (transpose ? 1 : 0) ? -1 : 1));
  const shifted = bias.sub(bnRm).mul(scale);
  const scaled = bnW === null ? shifted : shifted.mul(bnW);
  return [
    parameterFrom(convW.mul(factors.reshape(shape)), convW),
    parameterFrom(bnB === null ? scaled : scaled.add(bnB), bias),
  ];
}

/**
 * A copy of a linear layer that does what the layer and a batch norm behind it do.
 *
 * @throws ArgumentError where one of them is in training mode, or their sizes do not fit
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.fuse_linear_bn_eval.html
 */
export function fuseLinearBnEval<L extends Linear>(linear: L, bn: BatchNorm): L {
  const [mean, variance] = statistics(linear, bn);
  if (linear.outFeatures !== bn.numFeatures && bn.numFeatures !== 1) {
    throw new ArgumentError(
      `To fuse, the batch norm must have as many features as the linear layer has outputs, or one, but they have ${bn.numFeatures} and ${linear.outFeatures}.`,
    );
  }
  const fused = deepCopy(linear);
  const { weight, bias } = fused;
  [fused.weight, fused.bias] = fuseLinearBnWeights(weight, bias, mean, variance, bn.eps, bn.weight, bn.bias);
  return fused;
}

/**
 * Weight and bias of a linear layer with a batch norm behind it.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.fuse_linear_bn_weights.html
 */
export function fuseLinearBnWeights(
  linearW: Tensor,
  linearB: Tensor | null,
  bnRm: Tensor,
  bnRv: Tensor,
  bnEps: number,
  bnW: Tensor | null,
  bnB: Tensor | null,
): [weight: Parameter, bias: Parameter] {
  const bias = linearB ?? ops.zerosLike(bnRm, { dtype: linearW.dtype });
  const root = bnRv.add(bnEps).rsqrt();
  const scale = bnW === null ? root : bnW.mul(root);
  const scaled = bias.sub(bnRm).mul(scale);
  return [
    parameterFrom(linearW.mul(scale.unsqueeze(-1).to(linearW.dtype)), linearW),
    parameterFrom(bnB === null ? scaled : scaled.add(bnB), bias),
  ];
}
