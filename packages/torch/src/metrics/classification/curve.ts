import { ArgumentError } from "../../errors.js";
import * as ops from "../../ops.js";
import { Tensor } from "../../tensor.js";
import { cat } from "../sync.js";
import {
  ClassificationMetric,
  type ClassificationOptions,
  countIndices,
  probabilities,
  safeDivide,
  sigmoid,
  type Task,
} from "./task.js";

/** Options of the metrics that rest on a curve over thresholds. */
export interface CurveOptions extends ClassificationOptions {
  /**
   * The thresholds: how many between 0 and 1, or which. Then the state has a fixed size, where it else keeps all scores, and
   * the curve is that at these thresholds only. Default: null, for all scores that occur.
   */
  thresholds?: number | readonly number[] | Tensor | null;
}

/** Decisions at each threshold: how many positives and negatives are taken for positives, and how many there are. */
export interface Decisions {
  tps: Tensor;
  fps: Tensor;
  positives: Tensor;
  negatives: Tensor;
}

/** The scores of one class, or of all labels together, with which of them are to be positive. */
export interface Scored {
  scores: Tensor;
  isPositive: Tensor;
  /** Whether all targets are 0: one value, on the device. */
  allZero: Tensor;
}

/** The two ways to make a curve. */
export interface CurveMaker<C> {
  /** At each score that occurs. */
  atScores(scored: Scored): C;
  /** At given thresholds, `(T)`, from decisions of the shape `(T)` or `(T, C)`. */
  atThresholds(decisions: Decisions, thresholds: Tensor): C;
}

/**
 * The base of the metrics that rest on a curve over thresholds.
 *
 * `update(preds, target)` takes scores, which are logits where any is outside of 0 to 1:
 * - "binary": preds `(N, ...)`, target `(N, ...)`
 * - "multiclass": preds `(N, C, ...)`, target `(N, ...)`
 * - "multilabel": preds `(N, L, ...)`, target `(N, L, ...)`
 */
export abstract class CurveMetric<Value> extends ClassificationMetric<Value> {
  /** All scores so far, where there are no thresholds. */
  preds: Tensor[] = [];
  /** Their targets. */
  target: Tensor[] = [];
  /** How often each target (second to last dimension) was taken for each class (last one) at each threshold (first one). */
  confmat: Tensor | null = null;
  thresholds: Tensor | null = null;
  private areThresholdsSorted = true;

  constructor(task: Task, options: CurveOptions = {}) {
    super(task, options);
    const thresholds = thresholdsOf(options.thresholds ?? null, this.constructor.name);
    if (thresholds === null) {
      this.preds = this.addState<Tensor[]>("preds", [], { distReduceFx: "cat" });
      this.target = this.addState<Tensor[]>("target", [], { distReduceFx: "cat" });
    } else {
      this.registerBuffer("thresholds", thresholds, { persistent: false });
      this.areThresholdsSorted = thresholds.diff().ge(0).all().item<boolean>();
      const shape = [thresholds.numel(), ...(task === "binary" ? [] : [this.numClasses]), 2, 2];
      this.confmat = this.addState("confmat", ops.zeros(shape, { dtype: "int64" }), { distReduceFx: "sum" });
    }
  }

  override get computeGroup(): string | null {
    const { task, numClasses, ignoreIndex, validateArgs, thresholds } = this;
    const points = thresholds === null ? "" : thresholds.toTypedArray().join(",");
    return `Curve ${[task, numClasses, ignoreIndex, validateArgs, points].join(" ")}`;
  }

  override update(preds: Tensor, target: Tensor): void {
    this.check(preds, target);
    const rows = (tensor: Tensor): Tensor =>
      this.task === "multilabel" ? perClass(tensor) : tensor.flatten();
    this.checkTarget(target);
    const counts = this.countable(target);
    const counted = counts && rows(counts);
    const scores = this.format(preds, counted);
    const targets = rows(target);
    if (this.thresholds !== null && this.confmat !== null) {
      this.confmat.add_(this.countAt(this.thresholds, scores, targets, counted));
    } else {
      this.preds.push(scores);
      this.target.push(targets);
    }
  }

  /** The curve at the given thresholds or of the task "binary"; else one for each class. */
  protected curves<C>(make: CurveMaker<C>): C | C[] {
    if (this.confmat !== null) return make.atThresholds(decisionsOf(this.confmat), this.thresholds as Tensor);
    if (this.task === "binary") return make.atScores(this.scored(null));
    return Array.from({ length: this.numClasses }, (_, i) => make.atScores(this.scored(i)));
  }

  /** The curve of all labels together. */
  protected jointCurve<C>(make: CurveMaker<C>): C {
    if (this.confmat === null) return make.atScores(this.scored(null));
    return make.atThresholds(decisionsOf(this.confmat.sum(1)), this.thresholds as Tensor);
  }

  private scored(index: number | null): Scored {
    let scores = cat(this.preds);
    let target = cat(this.target);
    if (index === null) {
      scores = scores.flatten();
      target = target.flatten();
    } else {
      scores = scores.select(1, index);
      if (this.task === "multilabel") target = target.select(1, index);
    }
    if (this.ignoreIndex !== null) {
      const counted = target.ne(this.ignoreIndex);
      scores = scores.get(counted);
      target = target.get(counted);
    }
    const positive = this.task === "multiclass" && index !== null ? index : 1;
    return { scores, isPositive: target.eq(positive), allZero: target.eq(0).all() };
  }

  /** How many targets there are of each class, in floating point. */
  protected support(): Tensor {
    if (this.confmat !== null) return this.confmat.select(0, 0).select(-2, 1).sum(-1).float();
    const target = cat(this.target);
    if (this.task === "multilabel") return target.eq(1).sum(0).float();
    const counted = this.ignoreIndex === null ? target : target.get(target.ne(this.ignoreIndex));
    return counted.to("int64").bincount(null, this.numClasses).float();
  }

  private check(preds: Tensor, target: Tensor): void {
    if (this.task === "multilabel") this.checkLabels(preds, target);
    else if (this.task === "binary") this.checkSameShape(preds, target);
    else if (!this.checkClasses(preds, target)) {
      this.refuse("preds must be scores, with one dimension more than target: the shape (N, C, ...).");
    }
    if (!preds.isFloatingPoint()) {
      this.refuse(`preds must be scores of a floating point type, but they are ${preds.dtype}.`);
    }
    if (target.isFloatingPoint())
      this.refuse(`target must have an integer type or bool, but is ${target.dtype}.`);
  }

  /** Probabilities, flat or in the shape `(M, C)`. */
  private format(preds: Tensor, counted: Tensor | null): Tensor {
    if (this.task === "binary") return probabilities(preds.flatten(), sigmoid, counted);
    // As in torchmetrics, ignored scores do not tell whether all are logits, but for labels they do.
    if (this.task === "multilabel") return probabilities(perClass(preds), sigmoid);
    return probabilities(perClass(preds), (scores) => scores.softmax(1), counted?.unsqueeze(1));
  }

  /**
   * Counts each target with each decision at each threshold. The place of a score among the sorted thresholds tells all its
   * decisions, so that the work grows with the number of scores and not with that number times the thresholds.
   */
  private countAt(thresholds: Tensor, scores: Tensor, target: Tensor, counted: Tensor | null): Tensor {
    if (!this.areThresholdsSorted) {
      const { values, indices } = thresholds.sort();
      const counts = this.countAtSorted(values, scores, target, counted);
      return ops.emptyLike(counts).indexCopy_(0, indices, counts);
    }
    return this.countAtSorted(thresholds, scores, target, counted);
  }

  private countAtSorted(thresholds: Tensor, scores: Tensor, target: Tensor, counted: Tensor | null): Tensor {
    const { task } = this;
    const count = thresholds.numel();
    const bins = 2 * (count + 1);
    // How many thresholds a score reaches: 0 to `count`. In float64 both types are exact.
    const isSame = scores.dtype === thresholds.dtype;
    const [left, right] = isSame ? [scores, thresholds] : [scores.double(), thresholds.double()];
    const reached = ops.bucketize(left.contiguous(), right, { right: true });
    const isPositive =
      task === "multiclass"
        ? target.unsqueeze(1).eq(ops.arange(this.numClasses, { dtype: "int64", device: target.device }))
        : target.eq(1);
    const places = reached.add_(isPositive, { alpha: count + 1 });
    const which = task === "multiclass" ? counted?.unsqueeze(1) : counted;
    // One more bin takes all that does not count.
    const indices = which ? ops.where(which, places, bins) : places;
    const lists = task === "binary" ? indices : indices.T.contiguous();
    const counts = countIndices(lists, bins + 1).narrow(-1, 0, bins);
    // ([C,] 2, T + 1): how many reach at least so many thresholds
    const atLeast = counts
      .unflatten(-1, [2, count + 1])
      .flip([-1])
      .cumsum(-1)
      .flip([-1]);
    const yes = atLeast.narrow(-1, 1, count);
    const no = atLeast.narrow(-1, 0, 1).sub(yes);
    return ops.stack([no, yes], -1).movedim(-2, 0);
  }
}

/** `(N, C, ...)` as `(M, C)`. */
function perClass(tensor: Tensor): Tensor {
  return tensor.transpose(0, 1).flatten(1).T;
}

function thresholdsOf(given: number | readonly number[] | Tensor | null, name: string): Tensor | null {
  if (given === null) return null;
  if (given instanceof Tensor) {
    if (given.ndim === 1 && given.isFloatingPoint()) return given;
  } else if (typeof given === "number") {
    if (Number.isInteger(given) && given >= 2) return ops.linspace(0, 1, given);
  } else if (given.every((value) => value >= 0 && value <= 1)) {
    return ops.tensor(given);
  }
  throw new ArgumentError(
    `${name}: thresholds was given ${String(given)}; it is null, an integer of at least 2, a list of numbers from 0 to 1, or a ` +
      "floating point tensor with one dimension.",
  );
}

function decisionsOf(confmat: Tensor): Decisions {
  const [tns, fps] = confmat.select(-2, 0).unbind(-1) as [Tensor, Tensor];
  const [fns, tps] = confmat.select(-2, 1).unbind(-1) as [Tensor, Tensor];
  return { tps, fps, positives: tps.add(fns), negatives: fps.add(tns) };
}

/** Decisions at each score that occurs, from the highest on. */
export function decisionsAtScores({ scores, isPositive }: Scored): Decisions & { thresholds: Tensor } {
  const count = scores.numel();
  if (count === 0) throw new ArgumentError("There is no sample to compute a curve of: all were ignored.");
  const { values: sorted, indices } = scores.sort({ descending: true });
  const positive = isPositive.indexSelect(0, indices).to("int64");
  // Scores that are equal are decided together: only the last of them counts.
  const changes = sorted.narrow(0, 1, count - 1).sub(sorted.narrow(0, 0, count - 1));
  const last = ops.tensor([count - 1], { dtype: "int64", device: scores.device });
  const ends = ops.cat([changes.nonzero().flatten(), last]);
  const tps = positive.cumsum(0).indexSelect(0, ends);
  const fps = ends.add(1).sub(tps);
  const final = (counts: Tensor): Tensor => counts.narrow(0, counts.numel() - 1, 1);
  return { tps, fps, positives: final(tps), negatives: final(fps), thresholds: sorted.indexSelect(0, ends) };
}

/** The average over classes, without those that are nan. */
export function averageOfClasses(
  values: Tensor,
  average: "macro" | "weighted" | "none",
  support: () => Tensor,
): Tensor {
  if (average === "none") return values;
  if (average === "macro") return values.nanmean();
  const defined = values.isnan().logicalNot_();
  const weights = ops.where(defined, support(), 0);
  return ops.where(defined, values, 0).mul(safeDivide(weights, weights.sum())).sum();
}

/** Curves of several classes as lists by what they hold. */
export function listsOf<K extends string>(
  curves: Record<K, Tensor>[],
  fields: readonly K[],
): Record<K, Tensor[]> {
  return Object.fromEntries(fields.map((field) => [field, curves.map((curve) => curve[field])])) as Record<
    K,
    Tensor[]
  >;
}
