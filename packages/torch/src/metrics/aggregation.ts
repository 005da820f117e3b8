import { ArgumentError } from "../errors.js";
import * as ops from "../ops.js";
import { Tensor } from "../tensor.js";
import { Metric, type MetricOptions } from "./metric.js";
import { cat } from "./sync.js";

/** Options of the metrics that aggregate values. */
export interface AggregatorOptions extends MetricOptions {
  /**
   * What becomes of nan: `"error"`, `"warn"` and `"ignore"` leave it out, the first two with an error or a warning; a number
   * stands in for it; `"disable"` takes it as it is. In tensors it is found by `compute`. Default: `"warn"`.
   */
  nanStrategy?: "error" | "warn" | "ignore" | "disable" | number;
}

/** Whether it can be seen without the device that a value is not nan. */
const isPlain = (value: Tensor | number): boolean => typeof value === "number" && !Number.isNaN(value);

/** What the metrics that aggregate values have in common. */
abstract class Aggregator<Args extends unknown[]> extends Metric<Args> {
  override readonly fullStateUpdate: boolean = false;
  readonly nanStrategy: "error" | "warn" | "ignore" | "disable" | number;

  constructor(options: AggregatorOptions = {}) {
    super(options);
    const { nanStrategy = "warn" } = options;
    if (typeof nanStrategy !== "number" && !["error", "warn", "ignore", "disable"].includes(nanStrategy)) {
      throw new ArgumentError(
        `${this.constructor.name}: nanStrategy was given ${nanStrategy}; it is "error", "warn", "ignore", "disable" or a number.`,
      );
    }
    this.nanStrategy = nanStrategy;
  }

  /** A value as a tensor of the metric's type, on its device. */
  protected asTensor(value: Tensor | number): Tensor {
    if (value instanceof Tensor) return value.to(this.dtype);
    return ops.tensor(value, { dtype: this.dtype, device: this.device });
  }

  /** Where values are nan and to be left out; null where there is nothing to look for. Reports them as the strategy says. */
  protected nans(values: Tensor): Tensor | null {
    const { nanStrategy } = this;
    if (nanStrategy === "disable") return null;
    const nans = values.isnan();
    if (nanStrategy === "error") this.report(nans.sum(), "update was given nan");
    else if (nanStrategy === "warn")
      this.report(nans.sum(), "update was given nan, which is left out", "warning");
    return nans;
  }

  /** A value as a tensor, with others in place of nan: that of a numeric strategy, else `neutral`, which changes nothing. */
  protected withoutNan(value: Tensor | number, neutral: number): Tensor {
    const values = this.asTensor(value);
    const nans = isPlain(value) ? null : this.nans(values);
    if (nans === null) return values;
    return ops.where(nans, typeof this.nanStrategy === "number" ? this.nanStrategy : neutral, values);
  }
}

/**
 * The sum of all values. `update(value)` takes a number or a tensor.
 *
 * @see https://lightning.ai/docs/torchmetrics/stable/aggregation/sum.html
 */
export class SumMetric extends Aggregator<[value: Tensor | number]> {
  static override readonly stateNames = { sumValue: "sum_value" };
  sumValue = this.addState("sumValue", ops.tensor(0), { distReduceFx: "sum" });

  override update(value: Tensor | number): void {
    this.sumValue.add_(this.withoutNan(value, 0).sum());
  }

  override compute(): Tensor {
    return this.sumValue;
  }
}

/**
 * The mean of all values. `update(value, weight)` takes numbers or tensors; the weight is 1 where it is not given.
 *
 * @see https://lightning.ai/docs/torchmetrics/stable/aggregation/mean.html
 */
export class MeanMetric extends Aggregator<[value: Tensor | number, weight?: Tensor | number]> {
  static override readonly stateNames = { meanValue: "mean_value" };
  meanValue = this.addState("meanValue", ops.tensor(0), { distReduceFx: "sum" });
  weight = this.addState("weight", ops.tensor(0), { distReduceFx: "sum" });

  override update(value: Tensor | number, weight: Tensor | number = 1): void {
    let values = this.asTensor(value);
    let weights = this.asTensor(weight).expand(values.shape);
    const nans = isPlain(value) && isPlain(weight) ? null : this.nans(values.add(weights));
    if (nans !== null) {
      const given = typeof this.nanStrategy === "number";
      values = ops.where(nans, given ? this.nanStrategy : 0, values);
      weights = ops.where(nans, given ? 1 : 0, weights);
    }
    this.meanValue.add_(values.mul(weights).sum());
    this.weight.add_(weights.sum());
  }

  override compute(): Tensor {
    return this.meanValue.div(this.weight);
  }
}

/**
 * The highest of all values. `update(value)` takes a number or a tensor.
 *
 * @see https://lightning.ai/docs/torchmetrics/stable/aggregation/maximum.html
 */
export class MaxMetric extends Aggregator<[value: Tensor | number]> {
  static override readonly stateNames = { maxValue: "max_value" };
  maxValue = this.addState("maxValue", ops.tensor(-Infinity), { distReduceFx: "max" });

  override update(value: Tensor | number): void {
    const values = this.withoutNan(value, -Infinity);
    if (values.numel() > 0) this.maxValue = ops.maximum(this.maxValue, values.max());
  }

  override compute(): Tensor {
    return this.maxValue;
  }
}

/**
 * The lowest of all values. `update(value)` takes a number or a tensor.
 *
 * @see https://lightning.ai/docs/torchmetrics/stable/aggregation/minimum.html
 */
export class MinMetric extends Aggregator<[value: Tensor | number]> {
  static override readonly stateNames = { minValue: "min_value" };
  minValue = this.addState("minValue", ops.tensor(Infinity), { distReduceFx: "min" });

  override update(value: Tensor | number): void {
    const values = this.withoutNan(value, Infinity);
    if (values.numel() > 0) this.minValue = ops.minimum(this.minValue, values.min());
  }

  override compute(): Tensor {
    return this.minValue;
  }
}

/**
 * All values, one after the other. `update(value)` takes a number or a tensor.
 *
 * @see https://lightning.ai/docs/torchmetrics/stable/aggregation/concatenation.html
 */
export class CatMetric extends Aggregator<[value: Tensor | number]> {
  value = this.addState<Tensor[]>("value", [], { distReduceFx: "cat" });

  override update(value: Tensor | number): void {
    const values = this.asTensor(value);
    const nans = isPlain(value) ? null : this.nans(values);
    const replaced = nans !== null && typeof this.nanStrategy === "number";
    this.value.push(replaced ? ops.where(nans, this.nanStrategy as number, values) : values);
  }

  override compute(): Tensor {
    if (this.value.length === 0) return ops.zeros([0], { dtype: this.dtype, device: this.device });
    const values = cat(this.value);
    // What is left out is found here: it changes the shape, which only the host can do.
    return this.nanStrategy === "disable" ? values : values.get(values.isnan().logicalNot_());
  }
}
