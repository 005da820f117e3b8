/**
 * Metrics over many batches and processes: torchmetrics' most used ones, with its names, options and numbers.
 *
 * @see https://lightning.ai/docs/torchmetrics/stable/
 */
export {
  type AggregatorOptions,
  CatMetric,
  MaxMetric,
  MeanMetric,
  MinMetric,
  SumMetric,
} from "./aggregation.js";
export { Accuracy } from "./classification/accuracy.js";
export { AUROC, type AUROCOptions } from "./classification/auroc.js";
export { AveragePrecision, type AveragePrecisionOptions } from "./classification/average-precision.js";
export { ConfusionMatrix, type ConfusionMatrixOptions } from "./classification/confusion-matrix.js";
export { CurveMetric, type CurveOptions } from "./classification/curve.js";
export { F1Score, FBetaScore, type FBetaScoreOptions } from "./classification/f-beta.js";
export { type PositiveScoreOptions, Precision, Recall } from "./classification/precision-recall.js";
export { type PrecisionRecall, PrecisionRecallCurve } from "./classification/precision-recall-curve.js";
export { type ReceiverOperatingCharacteristic, ROC } from "./classification/roc.js";
export { StatScores, type StatScoresOptions } from "./classification/stat-scores.js";
export {
  type Average,
  ClassificationMetric,
  type ClassificationOptions,
  type Task,
} from "./classification/task.js";
export {
  MetricCollection,
  type MetricCollectionOptions,
  type Metrics,
  type MetricsByName,
} from "./collection.js";
export { type AddStateOptions, type AnyMetric, Metric, type MetricOptions } from "./metric.js";
export { Perplexity, type PerplexityOptions } from "./perplexity.js";
export {
  MeanAbsoluteError,
  type MeanAbsoluteErrorOptions,
  MeanSquaredError,
  type MeanSquaredErrorOptions,
  R2Score,
  type R2ScoreOptions,
} from "./regression.js";
export { getStateSync, type State, type StateReduction, type StateSync, setStateSync } from "./sync.js";
