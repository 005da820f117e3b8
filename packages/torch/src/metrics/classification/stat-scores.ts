import { ArgumentError } from "../../errors.js";
import { integer, oneOf } from "../../nn/arguments.js";
import * as ops from "../../ops.js";
import type { Tensor } from "../../tensor.js";
import { cat } from "../sync.js";
import {
  type Average,
  ClassificationMetric,
  type ClassificationOptions,
  countIndices,
  probabilities,
  safeDivide,
  shapeText,
  sigmoid,
  type Task,
} from "./task.js";

/** Options of the metrics that rest on counts of right and wrong decisions. */
export interface StatScoresOptions extends ClassificationOptions {
  /** The probability above which a score is a yes, for the tasks "binary" and "multilabel". Default: 0.5. */
  threshold?: number;
  /** How the values of classes or labels become one. Default: `"micro"`. */
  average?: Average;
  /** Counts over all (`"global"`), or for each sample apart over its further dimensions (`"samplewise"`). Default: `"global"`. */
  multidimAverage?: "global" | "samplewise";
  /** A class is right where it is among the `topK` highest scores, for the task "multiclass". Default: 1. */
  topK?: number;
}

/** True and false positives, true and false negatives: of shape `(C)` or `()`, with a sample dimension before it for `"samplewise"`. */
export interface Scores {
  tp: Tensor;
  fp: Tensor;
  tn: Tensor;
  fn: Tensor;
}

const averages = ["micro", "macro", "weighted", "none"] as const;

/**
 * Counts true positives, false positives, true negatives, false negatives and, as a fifth, the sum of positives.
 *
 * `update(preds, target)` takes, by the task:
 * - "binary": preds `(N, ...)` as scores (logits where any is outside of 0 to 1) or labels, target `(N, ...)`
 * - "multiclass": preds `(N, C, ...)` as scores or `(N, ...)` as classes, target `(N, ...)`
 * - "multilabel": preds `(N, L, ...)` as scores or labels, target `(N, L, ...)`
 *
 * The value has the shape `(5)`, or `(C, 5)` without an average, with a sample dimension before it for `"samplewise"`.
 *
 * @see https://lightning.ai/docs/torchmetrics/stable/classification/stat_scores.html
 */
export class StatScores extends ClassificationMetric {
  readonly threshold: number;
  readonly average: (typeof averages)[number];
  readonly multidimAverage: "global" | "samplewise";
  readonly topK: number;
  tp: Tensor | Tensor[];
  fp: Tensor | Tensor[];
  tn: Tensor | Tensor[];
  fn: Tensor | Tensor[];

  constructor(task: Task, options: StatScoresOptions = {}) {
    super(task, options);
    const { threshold = 0.5, average = "micro", multidimAverage = "global", topK = 1 } = options;
    const name = this.constructor.name;
    if (!(threshold >= 0 && threshold <= 1)) {
      throw new ArgumentError(`${name}: threshold was given ${threshold}; it is a number from 0 to 1.`);
    }
    this.threshold = threshold;
    this.average = oneOf(average ?? "none", averages, `${name}: average`);
    this.multidimAverage = oneOf(multidimAverage, ["global", "samplewise"], `${name}: multidimAverage`);
    this.topK = integer(topK, `${name}: topK`, 1);
    if (task === "multiclass" && topK > this.numClasses) {
      throw new ArgumentError(
        `${name}: topK was given ${topK}, but there are only ${this.numClasses} classes.`,
      );
    }
    const size = task === "binary" || (task === "multiclass" && this.countsAllClasses) ? 1 : this.numClasses;
    const add = (field: string): Tensor | Tensor[] =>
      multidimAverage === "samplewise"
        ? this.addState<Tensor[]>(field, [], { distReduceFx: "cat" })
        : this.addState(field, ops.zeros([size], { dtype: "int64" }), { distReduceFx: "sum" });
    this.tp = add("tp");
    this.fp = add("fp");
    this.tn = add("tn");
    this.fn = add("fn");
  }

  override get computeGroup(): string {
    const { task, numClasses, threshold, multidimAverage, topK, ignoreIndex, validateArgs } = this;
    const parts = [
      task,
      numClasses,
      threshold,
      multidimAverage,
      topK,
      ignoreIndex,
      validateArgs,
      this.countsAllClasses,
    ];
    return `StatScores ${parts.join(" ")}`;
  }

  override update(preds: Tensor, target: Tensor): void {
    const scores = this.count(preds, target);
    if (Array.isArray(this.tp)) {
      for (const field of ["tp", "fp", "tn", "fn"] as const) (this[field] as Tensor[]).push(scores[field]);
      return;
    }
    for (const field of ["tp", "fp", "tn", "fn"] as const)
      this[field] = (this[field] as Tensor).add(scores[field]);
  }

  override compute(): Tensor {
    const { tp, fp, tn, fn } = this.finalScores();
    const scores = ops.stack([tp, fp, tn, fn, tp.add(fn)], -1);
    if (this.task === "binary") return scores.squeeze();
    const dim = this.multidimAverage === "global" ? 0 : 1;
    if (this.average === "micro") return scores.sum(dim);
    if (this.average === "macro") return scores.float().mean(dim);
    if (this.average === "none") return scores;
    const support = tp.add(fn);
    const total = this.task === "multiclass" ? support.sum(-1, true) : support.sum();
    return scores.mul(support.div(total).unsqueeze(-1)).sum(dim);
  }

  /** The counts of all updates. */
  protected finalScores(): Scores {
    return { tp: cat(this.tp), fp: cat(this.fp), tn: cat(this.tn), fn: cat(this.fn) };
  }

  /** The counts for the average: added up over the classes where it is "micro". */
  protected averagedScores(): Scores {
    const scores = this.finalScores();
    if (this.task === "binary" || this.average !== "micro") return scores;
    const dim = this.multidimAverage === "global" ? 0 : 1;
    return { tp: scores.tp.sum(dim), fp: scores.fp.sum(dim), tn: scores.tn.sum(dim), fn: scores.fn.sum(dim) };
  }

  /** The average over classes of a score of each, where there is one to take. */
  protected averageOf(score: Tensor, { tp, fp, fn }: Scores, topK = 1): Tensor {
    if (this.task === "binary" || this.average === "micro" || this.average === "none") return score;
    let weights: Tensor;
    if (this.average === "weighted") {
      weights = tp.add(fn);
    } else if (this.task === "multilabel") {
      weights = ops.onesLike(score);
    } else {
      // A class that occurs nowhere does not count.
      const occurrences = topK === 1 ? tp.add(fp).add(fn) : tp.add(fn);
      weights = occurrences.ne(0).to(score.dtype);
    }
    return safeDivide(weights.mul(score), weights.sum(-1, true)).sum(-1);
  }

  private get countsAllClasses(): boolean {
    return this.average === "micro" && this.topK === 1;
  }

  private count(preds: Tensor, target: Tensor): Scores {
    if (this.multidimAverage === "samplewise" && target.ndim < (this.task === "multilabel" ? 3 : 2)) {
      this.refuse(
        `multidimAverage "samplewise" needs a target with a dimension besides those of samples${this.task === "multilabel" ? " and labels" : ""}, but got ${shapeText(target)}.`,
      );
    }
    if (this.task === "multiclass") return this.countClasses(preds, target);
    if (this.task === "multilabel") this.checkLabels(preds, target);
    else this.checkSameShape(preds, target);
    return this.countYes(preds, target);
  }

  /** Counts for yes and no, in all or for each label. */
  private countYes(preds: Tensor, target: Tensor): Scores {
    let yes: Tensor;
    if (preds.isFloatingPoint()) {
      yes = probabilities(preds, sigmoid).gt(this.threshold);
    } else {
      yes = preds.to("bool");
      if (preds.dtype !== "bool") this.checkLabelsOfPreds(preds);
    }
    this.checkTarget(target);
    const dims = this.summedDims(target.ndim);
    const sum = (tensor: Tensor): Tensor => (dims.length === 0 ? tensor.to("int64") : tensor.sum(dims));
    const counted = this.notIgnored(target);
    const positive = counted === null ? target.to("bool") : counted.logicalAnd(target);
    const decided = counted === null ? yes : counted.logicalAnd(yes);
    const tp = sum(positive.logicalAnd(yes));
    const fp = sum(decided).sub_(tp);
    const fn = sum(positive).sub_(tp);
    const all =
      counted === null ? dims.reduce((product, dim) => product * target.size(dim), 1) : sum(counted);
    return { tp, fp, tn: restOf(all, tp.add(fp).add_(fn)), fn };
  }

  /** The dimensions that counts of yes and no are summed over. */
  private summedDims(ndim: number): number[] {
    const all = Array.from({ length: ndim }, (_, i) => i);
    const kept: number[] = [];
    if (this.multidimAverage === "samplewise") kept.push(0);
    if (this.task === "multilabel") kept.push(1);
    return all.filter((dim) => !kept.includes(dim));
  }

  private countClasses(preds: Tensor, target: Tensor): Scores {
    const { numClasses, topK } = this;
    const areScores = this.checkClasses(preds, target);
    let classes = preds;
    if (areScores) {
      classes = topK === 1 ? preds.argmax(1) : bestOfTop(preds, target, topK);
    } else {
      if (topK !== 1) this.refuse("topK needs preds that are scores, of the shape (N, C, ...).");
      this.checkLabelsOfPreds(preds);
    }
    this.checkTarget(target);
    if (this.multidimAverage === "global" && this.countsAllClasses) return this.countAll(classes, target);
    const start = this.multidimAverage === "samplewise" ? 1 : 0;
    const counted = this.countable(target, areScores ? null : preds)?.flatten(start) ?? null;
    return countPerClass(classes.flatten(start), target.flatten(start), counted, numClasses);
  }

  /** Counts for all classes together: each wrong decision is one false positive and one false negative. */
  private countAll(classes: Tensor, target: Tensor): Scores {
    const counted = this.notIgnored(target);
    const right = classes.eq(target);
    const tp = (counted === null ? right : right.logicalAnd_(counted)).sum();
    const wrong = restOf(counted === null ? target.numel() : counted.sum(), tp.clone());
    const tn = wrong.mul(this.numClasses - 2).add_(tp, { alpha: this.numClasses - 1 });
    return { tp, fp: wrong, tn, fn: wrong };
  }
}

/** The target where it is among the highest scores, else the highest. */
function bestOfTop(scores: Tensor, target: Tensor, topK: number): Tensor {
  const { indices } = scores.topk(topK, 1);
  return ops.where(indices.eq(target.unsqueeze(1)).any(1), target, indices.select(1, 0));
}

/** What is left of all when some are taken; overwrites `taken`. */
function restOf(all: number | Tensor, taken: Tensor): Tensor {
  return (typeof all === "number" ? taken.sub_(all) : taken.sub_(all)).neg_();
}

/** Counts for each class along the last dimension. */
function countPerClass(classes: Tensor, target: Tensor, counted: Tensor | null, numClasses: number): Scores {
  // One more bin takes all that does not count.
  const only = (values: Tensor, which: Tensor): Tensor => ops.where(which, values, numClasses).to("int64");
  const right = classes.eq(target);
  const all =
    counted === null
      ? [target, classes].map((values) => values.to("int64"))
      : [target, classes].map((values) => only(values, counted));
  all.push(only(target, counted === null ? right : right.logicalAnd_(counted)));
  const count = (indices: Tensor): Tensor => countIndices(indices, numClasses + 1).narrow(-1, 0, numClasses);
  const [support, predicted, tp] = all.map(count) as [Tensor, Tensor, Tensor];
  const total = counted === null ? (target.shape.at(-1) as number) : support.sum(-1, true);
  const fp = predicted.sub(tp);
  return { tp, fp, tn: restOf(total, support.add(fp)), fn: support.sub(tp) };
}
