import * as ops from "../../ops.js";
import type { Tensor } from "../../tensor.js";
import { type CurveMaker, CurveMetric, decisionsAtScores, listsOf } from "./curve.js";
import { safeDivide } from "./task.js";

/** The rates of false and true positives at each threshold: of the shape `(T)`, for several classes `(C, T)`, or one tensor for each. */
export interface ReceiverOperatingCharacteristic<T = Tensor | Tensor[]> {
  fpr: T;
  tpr: T;
  thresholds: T;
}

/** Makes curves of false and true positives, by falling thresholds. */
export const receiverOperatingCharacteristic: CurveMaker<ReceiverOperatingCharacteristic<Tensor>> = {
  atScores(scored) {
    const { tps, fps, positives, negatives, thresholds } = decisionsAtScores(scored);
    // The curve begins where nothing is positive.
    const first = tps.narrow(0, 0, 1);
    const rate = (counts: Tensor, all: Tensor): Tensor =>
      safeDivide(ops.cat([ops.zerosLike(first), counts]), all);
    const one = ops.onesLike(thresholds.narrow(0, 0, 1));
    return { fpr: rate(fps, negatives), tpr: rate(tps, positives), thresholds: ops.cat([one, thresholds]) };
  },
  atThresholds({ tps, fps, positives, negatives }, thresholds) {
    const rate = (counts: Tensor, all: Tensor): Tensor => safeDivide(counts, all).flip([0]).T;
    return { fpr: rate(fps, negatives), tpr: rate(tps, positives), thresholds: thresholds.flip([0]) };
  },
};

/**
 * The rates of false and true positives at each threshold.
 *
 * See {@link CurveMetric} for what `update` takes. Without given thresholds they are the scores that occur, and with several
 * classes there is a list with one tensor for each.
 *
 * @see https://lightning.ai/docs/torchmetrics/stable/classification/roc.html
 */
export class ROC extends CurveMetric<ReceiverOperatingCharacteristic> {
  override compute(): ReceiverOperatingCharacteristic {
    const curves = this.curves(receiverOperatingCharacteristic);
    return Array.isArray(curves) ? listsOf(curves, ["fpr", "tpr", "thresholds"]) : curves;
  }
}
