import { ArgumentError } from "../errors.js";
import * as ops from "../ops.js";
import type { Tensor } from "../tensor.js";
import { Metric, type MetricOptions } from "./metric.js";

/** Options of {@link Perplexity}. */
export interface PerplexityOptions extends MetricOptions {
  /** A target that is left out, such as that of padding. Default: null. */
  ignoreIndex?: number | null;
}

/**
 * How well a language model predicts: the exponential of the mean negative log-likelihood of a token.
 *
 * `update(preds, target)` takes logits `(N, length, vocabulary)` and tokens `(N, length)` in int64.
 *
 * @see https://lightning.ai/docs/torchmetrics/stable/text/perplexity.html
 */
export class Perplexity extends Metric<[preds: Tensor, target: Tensor]> {
  static override readonly stateNames = { totalLogProbs: "total_log_probs" };
  override readonly fullStateUpdate: boolean = false;
  override readonly higherIsBetter: boolean = false;
  override readonly isDifferentiable: boolean = true;
  readonly ignoreIndex: number | null;
  totalLogProbs = this.addState("totalLogProbs", ops.tensor(0), { distReduceFx: "sum" });
  count = this.addState("count", ops.tensor(0), { distReduceFx: "sum" });

  constructor(options: PerplexityOptions = {}) {
    super(options);
    const { ignoreIndex = null } = options;
    if (ignoreIndex !== null && !Number.isInteger(ignoreIndex)) {
      throw new ArgumentError(`Perplexity: ignoreIndex was given ${ignoreIndex}; it is null or an integer.`);
    }
    this.ignoreIndex = ignoreIndex;
  }

  override update(preds: Tensor, target: Tensor): void {
    checkLogits(preds, target);
    const logProbs = preds.softmax(-1).log();
    if (this.ignoreIndex === null) {
      this.totalLogProbs.sub_(logProbs.gather(-1, target.unsqueeze(-1)).sum());
      this.count.add_(target.numel());
      return;
    }
    const counted = target.ne(this.ignoreIndex);
    const ofTarget = logProbs.gather(-1, ops.where(counted, target, 0).unsqueeze(-1)).squeeze(-1);
    this.totalLogProbs.sub_(ops.where(counted, ofTarget, 0).sum());
    this.count.add_(counted.sum());
  }

  override compute(): Tensor {
    return this.totalLogProbs.div(this.count).exp();
  }
}

function checkLogits(preds: Tensor, target: Tensor): void {
  const [shape, targetShape] = [preds.shape, target.shape];
  if (
    shape.length !== 3 ||
    targetShape.length !== 2 ||
    shape[0] !== targetShape[0] ||
    shape[1] !== targetShape[1]
  ) {
    throw new ArgumentError(
      `Perplexity: preds must have the shape (N, length, vocabulary) and target (N, length), but got [${shape.join(", ")}] and ` +
        `[${targetShape.join(", ")}].`,
    );
  }
  if (!preds.isFloatingPoint())
    throw new ArgumentError(`Perplexity: preds must have a floating point type, but are ${preds.dtype}.`);
  if (target.dtype !== "int64")
    throw new ArgumentError(`Perplexity: target must be int64, but is ${target.dtype}.`);
}
