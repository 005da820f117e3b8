import * as ops from "../../ops.js";
import type { Tensor } from "../../tensor.js";
import { type CurveMaker, CurveMetric, decisionsAtScores, listsOf } from "./curve.js";

/** Precision and recall at each threshold: of the shape `(T)`, for several classes `(C, T)`, or one tensor for each class. */
export interface PrecisionRecall<T = Tensor | Tensor[]> {
  precision: T;
  recall: T;
  thresholds: T;
}

/** Adds the end of the curve, where nothing is positive: precision 1 and recall 0. */
function withEnd(precision: Tensor, recall: Tensor): { precision: Tensor; recall: Tensor } {
  const one = ops.onesLike(precision.narrow(0, 0, 1));
  return { precision: ops.cat([precision, one]), recall: ops.cat([recall, ops.zerosLike(one)]) };
}

/** Makes curves of precision and recall, by rising thresholds. */
export const precisionRecall: CurveMaker<PrecisionRecall<Tensor>> = {
  atScores(scored) {
    const { tps, fps, positives, thresholds } = decisionsAtScores(scored);
    // Without positives recall is not defined; torchmetrics sets it to 1.
    const recall = ops.where(scored.allZero, 1, tps.div(positives));
    const curve = withEnd(tps.div(tps.add(fps)).flip([0]), recall.flip([0]));
    return { ...curve, thresholds: thresholds.flip([0]) };
  },
  atThresholds({ tps, fps, positives }, thresholds) {
    const { precision, recall } = withEnd(tps.div(tps.add(fps)), tps.div(positives));
    return { precision: precision.T, recall: recall.T, thresholds };
  },
};

/**
 * Precision and recall at each threshold, with a last point where they are 1 and 0.
 *
 * See {@link CurveMetric} for what `update` takes. Without given thresholds they are the scores that occur, and with several
 * classes there is a list with one tensor for each.
 *
 * @see https://lightning.ai/docs/torchmetrics/stable/classification/precision_recall_curve.html
 */
export class PrecisionRecallCurve extends CurveMetric<PrecisionRecall> {
  override compute(): PrecisionRecall {
    const curves = this.curves(precisionRecall);
    return Array.isArray(curves) ? listsOf(curves, ["precision", "recall", "thresholds"]) : curves;
  }
}
