import * as torch from "@levin/torch";
import { ArgumentError, type Tensor } from "@levin/torch";

/** Values of a tensor sorted into buckets, as TensorBoard keeps them. */
export interface Histogram {
  min: number;
  max: number;
  num: number;
  sum: number;
  sumSquares: number;
  /** The right ends of the buckets. */
  bucketLimits: readonly number[];
  /** How many values each bucket holds. */
  bucketCounts: readonly number[];
}

/** Between the buckets: growing by a tenth from 1e-12 to 1e20 to both sides of zero. */
const tensorflowEdges = makeTensorflowEdges();

function makeTensorflowEdges(): number[] {
  const positive: number[] = [];
  for (let limit = 1e-12; limit < 1e20; limit *= 1.1) positive.push(limit);
  return [...positive.map((limit) => -limit).reverse(), 0, ...positive];
}

/** Into which buckets a histogram sorts: TensorFlow's, so many of equal width, or those between the given edges. */
export type HistogramBins = "tensorflow" | number | readonly number[];

/** Sorts the values of a tensor into buckets. */
export function histogramOf(
  values: Tensor,
  bins: HistogramBins = "tensorflow",
  maxBins?: number | null,
): Histogram {
  if (values.numel() === 0)
    throw new ArgumentError("addHistogram: values is empty; there is nothing to count.");
  return torch.noGrad(() => {
    const flat = values.detach().to({ device: "cpu", dtype: "float64" }).flatten();
    const [min, max] = [flat.min().item() as number, flat.max().item() as number];
    let edges = edgesOf(bins, min, max);
    let counts = countBetween(flat, edges);
    if (maxBins && counts.length > maxBins) [counts, edges] = joinBuckets(counts, edges, maxBins);
    const first = Math.max(
      counts.findIndex((count) => count > 0),
      0,
    );
    const last = Math.max(
      counts.findLastIndex((count) => count > 0),
      0,
    );
    return {
      min,
      max,
      num: flat.numel(),
      sum: flat.sum().item(),
      sumSquares: flat.dot(flat).item(),
      // an empty bucket goes before the first, to tell where that begins
      bucketLimits: edges.slice(first, last + 2),
      bucketCounts: [0, ...counts.slice(first, last + 1)],
    };
  });
}

function edgesOf(bins: HistogramBins, min: number, max: number): readonly number[] {
  if (bins === "tensorflow") return tensorflowEdges;
  if (typeof bins !== "number") return bins;
  const [low, high] = min === max ? [min - 0.5, max + 0.5] : [min, max];
  return Array.from({ length: bins + 1 }, (_, i) => (i === bins ? high : low + (i * (high - low)) / bins));
}

/** How many values lie between each two edges; the last bucket holds its right edge, too. */
function countBetween(flat: Tensor, edges: readonly number[]): number[] {
  // place i: edges[i - 1] <= value < edges[i]; the outermost places are out of range
  const places = torch.bucketize(flat, torch.fromTypedArray(Float64Array.from(edges)), { right: true });
  const counts = Array.from(
    torch.bincount(places, { minlength: edges.length + 1 }).toTypedArray() as BigInt64Array,
    Number,
  );
  const inside = counts.slice(1, edges.length);
  inside[inside.length - 1]! += Number(
    flat
      .eq(edges.at(-1) as number)
      .sum()
      .item(),
  );
  return inside;
}

/** Joins neighbours, so that about the given number of buckets is left. */
function joinBuckets(counts: number[], edges: readonly number[], most: number): [number[], number[]] {
  const together = Math.floor(counts.length / most);
  const joined: number[] = [];
  const limits: number[] = [];
  for (let i = 0; i < counts.length; i += together) {
    joined.push(counts.slice(i, i + together).reduce((sum, count) => sum + count, 0));
    limits.push(edges[i]!);
  }
  return [joined, [...limits, edges.at(-1)!]];
}
