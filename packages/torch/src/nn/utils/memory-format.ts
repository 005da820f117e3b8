/** How the weights of convolutions lie in memory. */
import type { MemoryFormat } from "../../dtype.js";
import { Conv2d, Conv3d, ConvTranspose2d, ConvTranspose3d } from "../conv.js";
import type { Module } from "../module.js";

type ConvClass = typeof Conv2d | typeof Conv3d | typeof ConvTranspose2d | typeof ConvTranspose3d;

function convert<M extends Module>(module: M, memoryFormat: MemoryFormat, types: readonly ConvClass[]): M {
  for (const part of module.modules()) {
    if (!types.some((type) => part instanceof type)) continue;
    const { weight } = part as Conv2d;
    weight.data = weight.detach().clone({ memoryFormat });
  }
  return module;
}

/**
 * Lays the weights of all two-dimensional convolutions of a module into memory in a certain order.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.convert_conv2d_weight_memory_format.html
 */
export function convertConv2dWeightMemoryFormat<M extends Module>(module: M, memoryFormat: MemoryFormat): M {
  return convert(module, memoryFormat, [Conv2d, ConvTranspose2d]);
}

/**
 * Lays the weights of all three-dimensional convolutions of a module into memory in a certain order.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.convert_conv3d_weight_memory_format.html
 */
export function convertConv3dWeightMemoryFormat<M extends Module>(module: M, memoryFormat: MemoryFormat): M {
  return convert(module, memoryFormat, [Conv3d, ConvTranspose3d]);
}
