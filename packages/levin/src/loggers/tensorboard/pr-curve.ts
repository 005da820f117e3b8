import { ArgumentError, type Tensor } from "@levin/torch";

/** More would not fit into TensorBoard's data. */
export const MOST_THRESHOLDS = 127;
const leastCount = 1e-7;

/** The rows of a precision-recall curve at evenly spaced thresholds, as `prCurveSummary` takes them. */
export function prCurve(
  labels: Tensor,
  predictions: Tensor,
  numThresholds: number,
  weights: Tensor | null,
): Float64Array[] {
  const count = predictions.numel();
  if (labels.numel() !== count || (weights && weights.numel() !== count)) {
    throw new ArgumentError(
      "addPrCurve: labels, predictions and weights must have the same number of elements, " +
        `got ${labels.numel()}, ${count}${weights ? `, ${weights.numel()}` : ""}.`,
    );
  }
  const flat = (tensor: Tensor) =>
    tensor.detach().flatten().to({ device: "cpu", dtype: "float64" }).toTypedArray() as Float64Array;
  const places = flat(
    predictions
      .detach()
      .mul(numThresholds - 1)
      .floor(),
  );
  const [truths, weight] = [flat(labels), weights && flat(weights)];
  const positive = new Float64Array(numThresholds);
  const negative = new Float64Array(numThresholds);
  for (const [i, place] of places.entries()) {
    if (!(place >= 0 && place < numThresholds)) continue;
    const share = weight?.[i] ?? 1;
    positive[place]! += truths[i]! * share;
    negative[place]! += (1 - truths[i]!) * share;
  }
  // how many lie at a threshold or above
  for (let i = numThresholds - 2; i >= 0; i--) {
    positive[i]! += positive[i + 1]!;
    negative[i]! += negative[i + 1]!;
  }
  const trueNegative = negative.map((value) => negative[0]! - value);
  const falseNegative = positive.map((value) => positive[0]! - value);
  const precision = positive.map((value, i) => value / Math.max(leastCount, value + negative[i]!));
  const recall = positive.map((value, i) => value / Math.max(leastCount, value + falseNegative[i]!));
  return [positive, negative, trueNegative, falseNegative, precision, recall];
}
