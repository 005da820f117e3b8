import { oneOf } from "../../nn/arguments.js";
import * as ops from "../../ops.js";
import type { Tensor } from "../../tensor.js";
import { averageOfClasses, CurveMetric, type CurveOptions } from "./curve.js";
import { precisionRecall } from "./precision-recall-curve.js";
import type { Average, Task } from "./task.js";

/** Options of {@link AveragePrecision}. */
export interface AveragePrecisionOptions extends CurveOptions {
  /** How the values of classes become one; `"micro"` for the task "multilabel" only. Default: `"macro"`. */
  average?: Average;
}

/**
 * The mean of the precisions at each threshold, weighted by the growth of recall: the area under their curve.
 *
 * See {@link CurveMetric} for what `update` takes.
 *
 * @see https://lightning.ai/docs/torchmetrics/stable/classification/average_precision.html
 */
export class AveragePrecision extends CurveMetric<Tensor> {
  override readonly higherIsBetter: boolean = true;
  readonly average: "micro" | "macro" | "weighted" | "none";

  constructor(task: Task, options: AveragePrecisionOptions = {}) {
    super(task, options);
    this.average = curveAverage(task, options.average, "AveragePrecision");
  }

  override compute(): Tensor {
    if (this.average === "micro") {
      const { precision, recall } = this.jointCurve(precisionRecall);
      return area(precision.nanToNum(0), recall.nanToNum(0));
    }
    const curves = this.curves(precisionRecall);
    if (Array.isArray(curves)) {
      const values = ops.stack(curves.map(({ precision, recall }) => area(precision, recall)));
      return averageOfClasses(values, this.average, () => this.support());
    }
    const value = area(curves.precision.nanToNum(0), curves.recall.nanToNum(0));
    return this.task === "binary" ? value : averageOfClasses(value, this.average, () => this.support());
  }
}

/** The average of a metric of curves, which the task must allow. */
export function curveAverage(
  task: Task,
  average: Average | undefined,
  name: string,
): "micro" | "macro" | "weighted" | "none" {
  const common = ["macro", "weighted", "none"] as const;
  const allowed = task === "multilabel" ? (["micro", ...common] as const) : common;
  return oneOf<"micro" | "macro" | "weighted" | "none">(
    average === undefined ? "macro" : (average ?? "none"),
    allowed,
    `${name}: average`,
  );
}

/** The area under steps of the shape `(T)` or `(C, T)`, with recall falling. */
function area(precision: Tensor, recall: Tensor): Tensor {
  const steps = recall.shape.at(-1) as number;
  const growth = recall.narrow(-1, 1, steps - 1).sub(recall.narrow(-1, 0, steps - 1));
  return growth
    .mul(precision.narrow(-1, 0, steps - 1))
    .sum(-1)
    .neg();
}
