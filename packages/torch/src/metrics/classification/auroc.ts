import { ArgumentError } from "../../errors.js";
import * as ops from "../../ops.js";
import type { Tensor } from "../../tensor.js";
import { curveAverage } from "./average-precision.js";
import { averageOfClasses, CurveMetric, type CurveOptions } from "./curve.js";
import { receiverOperatingCharacteristic } from "./roc.js";
import type { Average, Task } from "./task.js";

/** Options of {@link AUROC}. */
export interface AUROCOptions extends CurveOptions {
  /** How the values of classes become one; `"micro"` for the task "multilabel" only. Default: `"macro"`. */
  average?: Average;
  /** Only the area up to this rate of false positives counts, standardized; for the task "binary". Default: null, for all. */
  maxFpr?: number | null;
}

/**
 * The area under the curve of true over false positives: the probability that a positive gets a higher score than a negative.
 *
 * See {@link CurveMetric} for what `update` takes. Without `thresholds` all scores are kept.
 *
 * @see https://lightning.ai/docs/torchmetrics/stable/classification/auroc.html
 */
export class AUROC extends CurveMetric<Tensor> {
  override readonly higherIsBetter: boolean = true;
  readonly average: "micro" | "macro" | "weighted" | "none";
  readonly maxFpr: number | null;

  constructor(task: Task, options: AUROCOptions = {}) {
    super(task, options);
    const { maxFpr = null } = options;
    this.average = curveAverage(task, options.average, "AUROC");
    if (maxFpr !== null && !(task === "binary" && maxFpr > 0 && maxFpr <= 1)) {
      throw new ArgumentError(
        `AUROC: maxFpr was given ${maxFpr} for the task "${task}"; it is null, or for the task "binary" a number above 0 up to 1.`,
      );
    }
    this.maxFpr = maxFpr;
  }

  override compute(): Tensor {
    const make = receiverOperatingCharacteristic;
    if (this.average === "micro") {
      const { fpr, tpr } = this.jointCurve(make);
      return ops.trapezoid(tpr, fpr);
    }
    const curves = this.curves(make);
    const value = Array.isArray(curves)
      ? ops.stack(curves.map(({ fpr, tpr }) => ops.trapezoid(tpr, fpr)))
      : areaUpTo(curves.fpr, curves.tpr, this.maxFpr ?? 1);
    return this.task === "binary" ? value : averageOfClasses(value, this.average, () => this.support());
  }
}

/** The area up to a rate of false positives, standardized so that chance has 0.5. */
function areaUpTo(fpr: Tensor, tpr: Tensor, maxFpr: number): Tensor {
  if (maxFpr === 1 || fpr.sum().item() === 0 || tpr.sum().item() === 0) return ops.trapezoid(tpr, fpr);
  const limit = ops.tensor([maxFpr], { dtype: fpr.dtype, device: fpr.device });
  const stop = ops.bucketize(limit, fpr, { right: true }).item();
  const at = (tensor: Tensor, index: number): Tensor => tensor.narrow(0, index, 1);
  const weight = limit.sub(at(fpr, stop - 1)).div(at(fpr, stop).sub(at(fpr, stop - 1)));
  const end = ops.lerp(at(tpr, stop - 1), at(tpr, stop), weight);
  const partial = ops.trapezoid(
    ops.cat([tpr.narrow(0, 0, stop), end]),
    ops.cat([fpr.narrow(0, 0, stop), limit]),
  );
  const least = limit.square().mul(0.5);
  return partial.sub(least).div(limit.sub(least)).add(1).mul(0.5);
}
