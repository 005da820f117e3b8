import { ArgumentError } from "../../errors.js";
import { integer, oneOf } from "../../nn/arguments.js";
import * as ops from "../../ops.js";
import type { Tensor } from "../../tensor.js";
import { Metric, type MetricOptions } from "../metric.js";

/** What is classified: yes or no, one of several classes, or yes or no for each of several labels. */
export type Task = "binary" | "multiclass" | "multilabel";

/** How the values of classes or labels become one: `"none"` or null keeps them. */
export type Average = "micro" | "macro" | "weighted" | "none" | null;

/** Options of every classification metric. */
export interface ClassificationOptions extends MetricOptions {
  /** The number of classes; needed for the task "multiclass". */
  numClasses?: number;
  /** The number of labels; needed for the task "multilabel". */
  numLabels?: number;
  /** A target value that is left out. Default: null. */
  ignoreIndex?: number | null;
  /** Checks shapes and types in `update`, and has `compute` tell of values that are no class. Default: true. */
  validateArgs?: boolean;
}

const tasks: readonly Task[] = ["binary", "multiclass", "multilabel"];

/** What the classification metrics have in common. */
export abstract class ClassificationMetric<Value = Tensor> extends Metric<
  [preds: Tensor, target: Tensor],
  Value
> {
  override readonly fullStateUpdate: boolean = false;
  override readonly isDifferentiable: boolean = false;
  /** The number of classes or of labels; 2 for the task "binary". */
  readonly numClasses: number;
  readonly ignoreIndex: number | null;
  readonly validateArgs: boolean;

  /** @param task what is classified */
  constructor(
    readonly task: Task,
    options: ClassificationOptions = {},
  ) {
    super(options);
    const { ignoreIndex = null, validateArgs = true } = options;
    oneOf(task, tasks, `${this.constructor.name}: task`);
    this.numClasses =
      task === "binary" ? 2 : this.required(task === "multiclass" ? "numClasses" : "numLabels", options);
    if (ignoreIndex !== null && !Number.isInteger(ignoreIndex)) {
      throw new ArgumentError(
        `${this.constructor.name}: ignoreIndex was given ${ignoreIndex}; it is null or an integer.`,
      );
    }
    this.ignoreIndex = ignoreIndex;
    this.validateArgs = validateArgs;
  }

  override get className(): string {
    return this.task[0]?.toUpperCase() + this.task.slice(1) + this.constructor.name;
  }

  private required(name: "numClasses" | "numLabels", options: ClassificationOptions): number {
    const value = options[name];
    if (value !== undefined) return integer(value, `${this.constructor.name}: ${name}`, 2);
    throw new ArgumentError(
      `${this.constructor.name}: ${name} is needed for the task "${this.task}": give { ${name}: ... }.`,
    );
  }

  /** Throws an error about the arguments of `update`. */
  protected refuse(message: string): never {
    throw new ArgumentError(`${this.className}: ${message}`);
  }

  /** Throws unless preds and target have one shape. */
  protected checkSameShape(preds: Tensor, target: Tensor): void {
    if (sameShape(preds.shape, target.shape)) return;
    this.refuse(
      `preds and target must have the same shape, but got ${shapeText(preds)} and ${shapeText(target)}.`,
    );
  }

  /** For the task "multilabel": throws unless preds and target have one shape, with the labels in the second dimension. */
  protected checkLabels(preds: Tensor, target: Tensor): void {
    this.checkSameShape(preds, target);
    if (target.shape[1] === this.numClasses) return;
    this.refuse(
      `preds and target must have the shape (N, numLabels = ${this.numClasses}, ...), but got ${shapeText(target)}.`,
    );
  }

  /** For the task "multiclass": whether preds are scores `(N, C, ...)`, or else classes; throws where shapes don't fit. */
  protected checkClasses(preds: Tensor, target: Tensor): boolean {
    const shape = preds.shape;
    const targetShape = target.shape;
    if (shape.length === targetShape.length) {
      this.checkSameShape(preds, target);
      return false;
    }
    const [size, classes, ...others] = shape;
    if (classes !== this.numClasses || !sameShape([size as number, ...others], targetShape)) {
      this.refuse(
        `preds must have the shape of target (N, ...), or (N, numClasses = ${this.numClasses}, ...), but got preds of ` +
          `${shapeText(preds)} and target of ${shapeText(target)}.`,
      );
    }
    if (!preds.isFloatingPoint()) {
      this.refuse(
        `preds of the shape (N, C, ...) are scores and must have a floating point type, but are ${preds.dtype}.`,
      );
    }
    return true;
  }

  /** Has `compute` tell of targets that are no class. */
  protected checkTarget(target: Tensor): void {
    if (!this.validateArgs) return;
    const { ignoreIndex, lastClass } = this;
    const besides = ignoreIndex === null ? "" : `, besides ignoreIndex ${ignoreIndex}`;
    const message = `target has values other than the classes 0 to ${lastClass}${besides}`;
    const others = ignoreIndex === null ? target : ops.where(target.eq(ignoreIndex), 0, target);
    this.expectRange(others, 0, lastClass, message);
    if (target.isFloatingPoint())
      this.report(others.ne(others.round()).sum(), `${message}, which are integers`);
  }

  /** Has `compute` tell of preds, where they are no scores, that are no class. */
  protected checkLabelsOfPreds(preds: Tensor): void {
    if (!this.validateArgs) return;
    const message = `preds, which are no scores, have values other than the classes 0 to ${this.lastClass}`;
    this.expectRange(preds, 0, this.lastClass, message);
  }

  /** Which targets are not ignored; null for all. */
  protected notIgnored(target: Tensor): Tensor | null {
    return this.ignoreIndex === null ? null : target.ne(this.ignoreIndex);
  }

  /**
   * Which classes can be counted by their index; null for all. On an accelerator, where an index out of range would stop the
   * device, these are only those that there are.
   */
  protected countable(target: Tensor, preds: Tensor | null = null): Tensor | null {
    const notIgnored = this.notIgnored(target);
    if (target.device === "cpu") return notIgnored;
    let classes = this.areClasses(target);
    if (notIgnored !== null) classes = classes.logicalAnd_(notIgnored);
    return preds === null ? classes : classes.logicalAnd_(this.areClasses(preds));
  }

  /** The highest value that is a class. */
  protected get lastClass(): number {
    return this.task === "multiclass" ? this.numClasses - 1 : 1;
  }

  private areClasses(values: Tensor): Tensor {
    if (this.task !== "multiclass") return values.eq(0).logicalOr_(values.eq(1));
    return values.ge(0).logicalAnd_(values.le(this.lastClass));
  }
}

/** Probabilities: the scores where all lie between 0 and 1, else what `normalize` makes of them. Does not wait for the device. */
export function probabilities(
  scores: Tensor,
  normalize: (scores: Tensor) => Tensor,
  counted?: Tensor | null,
): Tensor {
  const outside = scores.lt(0).logicalOr_(scores.gt(1));
  return ops.where((counted ? outside.logicalAnd_(counted) : outside).any(), normalize(scores), scores);
}

/** The sigmoid of each score. */
export const sigmoid = (scores: Tensor): Tensor => scores.sigmoid();

/** The quotient as a floating point number, `zeroDivision` where the divisor is zero. */
export function safeDivide(dividend: Tensor, divisor: Tensor, zeroDivision = 0): Tensor {
  const quotient = floating(dividend).div(floating(divisor));
  return ops.where(divisor.ne(0), quotient, zeroDivision);
}

/** The tensor itself where it has a floating point type, else in float32. */
export function floating(tensor: Tensor): Tensor {
  return tensor.isFloatingPoint() ? tensor : tensor.float();
}

/**
 * How often each of the indices 0 to `count - 1` occurs along the last dimension.
 *
 * Unlike `bincount`, which is used on the CPU, this does not wait for an accelerator.
 */
export function countIndices(indices: Tensor, count: number): Tensor {
  if (indices.ndim === 1 && indices.device === "cpu") return bincount(indices, count);
  const shape = indices.shape;
  const one = ops.ones([1], { dtype: "int64", device: indices.device });
  const counts = ops.zeros([...shape.slice(0, -1), count], { dtype: "int64", device: indices.device });
  return counts.scatterAdd_(-1, indices, one.expand(shape));
}

function bincount(indices: Tensor, count: number): Tensor {
  let counts: Tensor;
  try {
    counts = indices.bincount(null, count);
  } catch (cause) {
    throw new ArgumentError(
      "target and preds must not have negative values, besides those that are ignored.",
      { cause },
    );
  }
  // Indices that are too high make it longer; compute tells of them.
  return counts.narrow(0, 0, count);
}

export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, i) => size === b[i]);
}

export function shapeText(tensor: Tensor): string {
  return `[${tensor.shape.join(", ")}]`;
}
