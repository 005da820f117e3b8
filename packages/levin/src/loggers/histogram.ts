import * as torch from "@levin/torch";
import { ArgumentError, type Tensor } from "@levin/torch";
import type { Histogram } from "./event-file.js";

/** Between the buckets: growing by a tenth from 1e-12 to 1e20 to both sides of zero. */
const limits = bucketLimits();
let limitsTensor: Tensor | undefined;

function bucketLimits(): number[] {
  const positive: number[] = [];
  for (let limit = 1e-12; limit < 1e20; limit *= 1.1) positive.push(limit);
  return [...positive.map((limit) => -limit).reverse(), 0, ...positive];
}

/** Sorts the values of a tensor into TensorBoard's buckets. */
export function histogramOf(values: Tensor): Histogram {
  if (values.numel() === 0)
    throw new ArgumentError("logHistogram: values is empty; there is nothing to count.");
  return torch.noGrad(() => {
    const flat = values.detach().to({ device: "cpu", dtype: "float64" }).flatten();
    limitsTensor ??= torch.fromTypedArray(Float64Array.from(limits));
    // place i: limits[i - 1] <= value < limits[i]; the outermost places are out of range
    const places = torch.bucketize(flat, limitsTensor, { right: true });
    const counts = Array.from(
      torch.bincount(places, { minlength: limits.length + 1 }).toTypedArray() as BigInt64Array,
      Number,
    );
    const inside = counts.slice(1, limits.length);
    const first = Math.max(
      inside.findIndex((count) => count > 0),
      0,
    );
    const last = Math.max(
      inside.findLastIndex((count) => count > 0),
      0,
    );
    return {
      min: flat.min().item(),
      max: flat.max().item(),
      num: flat.numel(),
      sum: flat.sum().item(),
      sumSquares: flat.dot(flat).item(),
      // an empty bucket goes before the first, to tell where that begins
      bucketLimits: limits.slice(first, last + 2),
      buckets: [0, ...inside.slice(first, last + 1)],
    };
  });
}
