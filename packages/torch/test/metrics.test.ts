import * as torch from "@levin/torch";
import { metrics, nn, type Tensor } from "@levin/torch";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

const {
  Accuracy,
  AUROC,
  ConfusionMatrix,
  F1Score,
  MeanMetric,
  MetricCollection,
  Precision,
  Recall,
  SumMetric,
} = metrics;

const labels = (...values: number[]): Tensor => torch.tensor(values, { dtype: "int64" });
const scalar = (value: unknown): number => (value as Tensor).item();

/** Counts what is positive; keeps all values as well. */
class Positives extends metrics.Metric<[values: Tensor]> {
  static override readonly stateNames = { valuesSeen: "values_seen" };
  override readonly fullStateUpdate: boolean = false;
  count = this.addState("count", torch.tensor(0), { distReduceFx: "sum" });
  valuesSeen = this.addState<Tensor[]>("valuesSeen", [], { distReduceFx: "cat", persistent: true });

  override update(values: Tensor): void {
    this.count.add_(values.gt(0).sum());
    this.valuesSeen.push(values);
  }
  override compute(): Tensor {
    return this.count;
  }
}

let warnings: ReturnType<typeof vi.spyOn>;
beforeEach(() => {
  warnings = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
});
afterEach(() => {
  warnings.mockRestore();
  metrics.setStateSync(null);
});

describe("a metric", () => {
  it("gives by forward the value of a batch, and by compute that of all", () => {
    const accuracy = new Accuracy("multiclass", { numClasses: 3 });
    expect(scalar(accuracy.forward(labels(0, 1), labels(0, 2)))).toBe(0.5);
    expect(scalar(accuracy.forward(labels(2, 1), labels(2, 1)))).toBe(1);
    expect(scalar(accuracy.compute())).toBe(0.75);
    expect(accuracy.updateCount).toBe(2);
  });

  it("starts anew after a reset", () => {
    const sum = new SumMetric();
    sum.forward(3);
    sum.reset();
    expect([sum.updateCalled, sum.forwardCache]).toEqual([false, undefined]);
    sum.update(2);
    expect(scalar(sum.compute())).toBe(2);
  });

  it("keeps the result of compute until the next update, as a tensor of its own", () => {
    const sum = new SumMetric();
    sum.update(1);
    const first = sum.compute();
    expect(sum.compute()).toBe(first);
    sum.update(1);
    expect([scalar(first), scalar(sum.compute())]).toEqual([1, 2]);
  });

  it("warns when compute comes before update", () => {
    new SumMetric().compute();
    expect(warnings).toHaveBeenCalledWith(expect.stringContaining("before update"));
  });

  it("gives a batch's value a gradient, but the state none", () => {
    const error = new metrics.MeanSquaredError();
    const preds = torch.tensor([1, 2], { requiresGrad: true });
    const value = error.forward(preds, torch.tensor([0, 0]));
    value.backward();
    expect(preds.grad?.toArray()).toEqual([1, 2]);
    expect(error.sumSquaredError.requiresGrad).toBe(false);
    expect(torch.isGradEnabled()).toBe(true);
  });

  it("leaves the state as it was when a batch fails in forward", () => {
    const accuracy = new Accuracy("multiclass", { numClasses: 3 });
    accuracy.update(labels(1), labels(1));
    expect(() => accuracy.forward(labels(1), labels(1, 2))).toThrow(/same shape/);
    expect([scalar(accuracy.compute()), accuracy.updateCount]).toEqual([1, 1]);
  });

  it("can be updated outside of inference mode when it was reset and updated inside", () => {
    const error = new metrics.MeanSquaredError();
    torch.inferenceMode(() => {
      error.reset();
      error.forward(torch.ones([2]), torch.zeros([2]));
    });
    error.update(torch.ones([2]), torch.zeros([2]));
    expect(scalar(error.compute())).toBe(1);
  });

  it("refuses an update that is asynchronous", () => {
    class Late extends metrics.Metric<[]> {
      override async update(): Promise<void> {}
      override compute(): Tensor {
        return torch.tensor(0);
      }
    }
    expect(() => new Late().update()).toThrow(/synchronous/);
  });

  it("updates twice in forward where it needs the whole state", () => {
    class Highest extends metrics.Metric<[value: number]> {
      value = this.addState("value", torch.tensor(0), { distReduceFx: "max" });
      override update(value: number): void {
        this.value = torch.maximum(this.value, torch.tensor(value));
      }
      override compute(): Tensor {
        return this.value;
      }
    }
    const highest = new Highest();
    expect([3, 1].map((value) => scalar(highest.forward(value)))).toEqual([3, 1]);
    expect([scalar(highest.compute()), highest.updateCount]).toEqual([3, 2]);
  });

  it.each([
    ["a list with values", [torch.ones([1])], {}, /empty list/],
    ["a number", 0, {}, /tensor or an empty list/],
    ["a list with a sum", [], { distReduceFx: "sum" }, /for a list it is "cat", null/],
    ["an unknown reduction", torch.ones([1]), { distReduceFx: "median" }, /"sum", "mean"/],
  ])("refuses %s as a state", (_, initial, options, message) => {
    const metric = new Positives();
    expect(() => metric.addState("other", initial as Tensor, options as metrics.AddStateOptions)).toThrow(
      message,
    );
  });
});

describe("the state", () => {
  it("is part of the state dict where it is persistent, by torchmetrics' names", () => {
    const metric = new Positives();
    metric.update(torch.tensor([1, -1]));
    expect(Object.keys(metric.stateDict())).toEqual(["values_seen"]);
    metric.persistent(true);
    expect(Object.keys(metric.stateDict())).toEqual(["count", "values_seen"]);
    const other = new Positives();
    other.persistent(true);
    other.loadStateDict(metric.stateDict());
    other.update(torch.tensor([5]));
    expect(scalar(other.compute())).toBe(2);
    expect(other.valuesSeen).toHaveLength(2);
    expect(scalar(metric.compute())).toBe(1);
  });

  it("is moved and converted with the module that holds the metric", () => {
    const module = new (class extends nn.Module {
      metric = new Positives();
    })();
    module.metric.update(torch.tensor([1]));
    module.to("float64");
    expect([module.metric.count.dtype, module.metric.valuesSeen[0]?.dtype, module.metric.dtype]).toEqual(
      Array(3).fill("float64"),
    );
    module.to("meta");
    expect([module.metric.count.device, module.metric.valuesSeen[0]?.device, module.metric.device]).toEqual(
      Array(3).fill("meta"),
    );
    module.metric.reset();
    expect(module.metric.count.device).toBe("meta");
  });

  it("keeps its type in half, float and double, and changes it by setDtype", () => {
    const metric = new Positives();
    metric.half();
    expect(metric.count.dtype).toBe("float32");
    expect(metric.setDtype("float16").count.dtype).toBe("float16");
  });

  it("is copied by clone", () => {
    const metric = new Positives();
    metric.update(torch.tensor([1]));
    const copy = metric.clone();
    copy.update(torch.tensor([1]));
    expect([scalar(metric.compute()), scalar(copy.compute())]).toEqual([1, 2]);
  });

  it("takes in that of another metric", () => {
    const [a, b] = [new Positives(), new Positives()];
    a.update(torch.tensor([1]));
    b.update(torch.tensor([1, 2]));
    a.mergeState(b);
    expect(scalar(a.compute())).toBe(3);
    expect(() => a.mergeState(new SumMetric())).toThrow(/a Positives is needed, but got a SumMetric/);
    expect(() => a.mergeState({})).toThrow(/no "count"/);
  });
});

describe("synchronization", () => {
  /** Two processes, of which the other one has the double of each value. */
  const two: metrics.StateSync = { isAvailable: () => true, gather: (tensor) => [tensor, tensor.mul(2)] };

  it("lets compute see the states of all processes, and afterwards the own ones", () => {
    metrics.setStateSync(two);
    const metric = new Positives();
    metric.update(torch.tensor([1, 2]));
    expect(scalar(metric.compute())).toBe(6);
    expect(scalar(metric.count)).toBe(2);
    metric.sync();
    expect(metric.valuesSeen.map((tensor) => tensor.toArray())).toEqual([[1, 2, 2, 4]]);
    expect(() => metric.sync()).toThrow(/already/);
    expect(() => metric.forward(torch.tensor([1]))).toThrow(/unsync/);
    metric.unsync();
    expect(() => metric.unsync()).toThrow(/not synchronized/);
  });

  it.each([
    ["sum", 9],
    ["mean", 4.5],
    ["max", 6],
    ["min", 3],
    [(stacked: Tensor) => stacked.prod(), 18],
  ] as const)("reduces a tensor by %s", (distReduceFx, expected) => {
    const metric = new Positives({ stateSync: two });
    const state = metric.addState("other", torch.tensor(3), { distReduceFx });
    expect(state.item()).toBe(3);
    metric.sync();
    expect(scalar((metric as unknown as { other: Tensor }).other)).toBe(expected);
  });

  it("gathers as often in a process that got no batch", () => {
    const gathered: number[][] = [];
    const metric = new Positives({
      stateSync: {
        isAvailable: () => true,
        gather(tensor) {
          gathered.push(tensor.shape);
          return [tensor, tensor.ndim === 0 ? tensor : torch.ones([3])];
        },
      },
    });
    metric.sync();
    expect(gathered).toEqual([[], [0]]);
    expect(metric.valuesSeen.map((tensor) => tensor.shape)).toEqual([[3]]);
  });

  it("is left out in forward, unless asked for, and where syncOnCompute is false", () => {
    const step = new Positives({ stateSync: two, distSyncOnStep: true });
    expect(scalar(step.forward(torch.tensor([1])))).toBe(3);
    const plain = new Positives({ stateSync: two, syncOnCompute: false });
    expect(scalar(plain.forward(torch.tensor([1])))).toBe(1);
    expect(scalar(plain.compute())).toBe(1);
  });
});

describe("update", () => {
  const scores = torch.rand([4, 3]);
  const target = torch.zeros([4], { dtype: "int64" });
  const several = torch.zeros([4, 3], { dtype: "int64" });
  const cases: [string, metrics.Metric<never[], unknown>, Tensor[]][] = [];
  for (const [task, size, preds, wanted] of [
    ["binary", {}, scores, several],
    ["multiclass", { numClasses: 3 }, scores, target],
    ["multilabel", { numLabels: 3 }, scores, several],
  ] as const) {
    for (const ignoreIndex of [null, -1]) {
      const options = { ...size, ignoreIndex };
      cases.push([`Accuracy ${task} ${ignoreIndex}`, new Accuracy(task, options), [preds, wanted]]);
      cases.push([
        `F1Score ${task} ${ignoreIndex}`,
        new F1Score(task, { ...options, average: "macro" }),
        [preds, wanted],
      ]);
      cases.push([
        `ConfusionMatrix ${task} ${ignoreIndex}`,
        new ConfusionMatrix(task, options),
        [preds, wanted],
      ]);
      cases.push([`AUROC ${task} ${ignoreIndex}`, new AUROC(task, options), [preds, wanted]]);
      cases.push([
        `AUROC ${task} ${ignoreIndex} at thresholds`,
        new AUROC(task, { ...options, thresholds: 5 }),
        [preds, wanted],
      ]);
    }
  }
  cases.push(["MeanSquaredError", new metrics.MeanSquaredError(), [scores, scores]]);
  cases.push(["MeanAbsoluteError", new metrics.MeanAbsoluteError(), [scores, scores]]);
  cases.push(["R2Score", new metrics.R2Score(), [scores, scores]]);
  cases.push([
    "Perplexity",
    new metrics.Perplexity({ ignoreIndex: 0 }),
    [scores.unsqueeze(0), target.unsqueeze(0)],
  ]);
  for (const make of [MeanMetric, SumMetric, metrics.MaxMetric, metrics.MinMetric, metrics.CatMetric]) {
    cases.push([make.name, new make(), [scores]]);
  }

  // These wait for an accelerator: they give values, or results whose shape depends on values. (So does bincount, which is
  // used on the CPU only.)
  const waiting = ["item", "toArray", "toTypedArray", "nonzero", "maskedSelect", "get"] as const;
  it.each(cases)("of %s reads no value from the device", (_, metric, args) => {
    const spies = waiting.map((name) => vi.spyOn(torch.Tensor.prototype, name));
    metric.update(...(args as never[]));
    metric.update(...(args as never[]));
    const called = waiting.filter((_, i) => (spies[i]?.mock.calls.length ?? 0) > 0);
    for (const spy of spies) spy.mockRestore();
    expect(called).toEqual([]);
    expect(metric.updateCount).toBe(2);
  });

  it("tells how to move a metric that is on another device", () => {
    const meta = torch.rand([4], { device: "meta" });
    expect(() => new metrics.MeanSquaredError().update(scores.select(1, 0), meta)).toThrow(
      /MeanSquaredError.*metric.to\(device\)/s,
    );
  });
});

describe("wrong arguments", () => {
  it.each([
    ["an unknown task", () => new Accuracy("regression" as "binary"), /task must be one of "binary"/],
    ["a missing number of classes", () => new Accuracy("multiclass"), /numClasses is needed/],
    [
      "a missing number of labels",
      () => new Accuracy("multilabel", { numClasses: 3 }),
      /numLabels is needed/,
    ],
    ["a threshold above 1", () => new Accuracy("binary", { threshold: 2 }), /threshold was given 2/],
    [
      "more of the top than classes",
      () => new Accuracy("multiclass", { numClasses: 3, topK: 4 }),
      /only 3 classes/,
    ],
    [
      "an average for one class",
      () => new AUROC("multiclass", { numClasses: 3, average: "micro" }),
      /average must be one of/,
    ],
    [
      "a limit for several classes",
      () => new AUROC("multiclass", { numClasses: 3, maxFpr: 0.1 }),
      /task "binary"/,
    ],
    [
      "thresholds out of range",
      () => new AUROC("binary", { thresholds: [0.5, 2] }),
      /thresholds was given 0.5,2/,
    ],
    ["a divisor of zero", () => new Precision("binary", { zeroDivision: 2 as 1 }), /it is 0 or 1/],
    ["a negative beta", () => new metrics.FBetaScore("binary", { beta: -1 }), /beta was given -1/],
    [
      "a strategy that is none",
      () => new SumMetric({ nanStrategy: "drop" as "warn" }),
      /nanStrategy was given drop/,
    ],
  ])("are refused: %s", (_, make, message) => {
    expect(make).toThrow(message);
  });

  it.each([
    [
      "shapes that differ",
      new Accuracy("binary"),
      [labels(1), labels(1, 0)],
      /same shape, but got \[1\] and \[2\]/,
    ],
    [
      "too few scores",
      new Accuracy("multiclass", { numClasses: 3 }),
      [torch.rand([2, 2]), labels(0, 1)],
      /numClasses = 3/,
    ],
    [
      "too few labels",
      new Accuracy("multilabel", { numLabels: 3 }),
      [torch.rand([2, 2]), torch.ones([2, 2])],
      /numLabels = 3/,
    ],
    ["classes for a curve", new AUROC("binary"), [labels(1), labels(1)], /floating point type/],
    [
      "a sample without more dimensions",
      new Accuracy("binary", { multidimAverage: "samplewise" }),
      [labels(1), labels(1)],
      /samplewise/,
    ],
    [
      "logits that are flat",
      new metrics.Perplexity(),
      [torch.rand([2, 3]), labels(1, 2)],
      /\(N, length, vocabulary\)/,
    ],
  ])("are refused by update: %s", (_, metric, args, message) => {
    expect(() => metric.update(...(args as [Tensor, Tensor]))).toThrow(message);
  });

  it("are told by compute where values are no classes, and not where they are ignored", () => {
    const accuracy = new Accuracy("multiclass", { numClasses: 3, ignoreIndex: -100 });
    accuracy.update(labels(0, 1, 2), labels(0, -100, 2));
    expect(scalar(accuracy.compute())).toBe(1);
    accuracy.update(labels(0, 1), labels(3, -1));
    expect(() => accuracy.compute()).toThrow(
      /MulticlassAccuracy: target has values other than the classes 0 to 2.*reach from -1 to 3/,
    );
    accuracy.reset();
    accuracy.update(labels(0), labels(0));
    expect(scalar(accuracy.compute())).toBe(1);
  });

  it("are not looked for where validateArgs is false", () => {
    const accuracy = new Accuracy("multiclass", { numClasses: 3, validateArgs: false });
    accuracy.update(labels(0, 1), labels(0, 7));
    expect(scalar(accuracy.compute())).toBe(0.5);
  });

  it("are nan, by the strategy: an error or a warning of compute", () => {
    const strict = new SumMetric({ nanStrategy: "error" });
    strict.update(torch.tensor([1, Number.NaN]));
    expect(() => strict.compute()).toThrow(/given nan/);
    const lenient = new MeanMetric();
    lenient.update(torch.tensor([1, Number.NaN]));
    expect(scalar(lenient.compute())).toBe(1);
    expect(warnings).toHaveBeenCalledWith(expect.stringContaining("left out"));
  });
});

describe("MetricCollection", () => {
  const three = { numClasses: 3, average: "macro" } as const;
  const collection = (options = {}) =>
    new MetricCollection(
      [
        new Accuracy("multiclass", { numClasses: 3 }),
        new Precision("multiclass", three),
        new Recall("multiclass", three),
      ],
      options,
    );
  const batch = [labels(0, 1, 2, 2), labels(0, 2, 2, 1)] as const;

  it("names metrics by their classes, with a prefix and a postfix", () => {
    const all = collection({ prefix: "val_", postfix: "_x" });
    expect(all.keys()).toEqual([
      "val_MulticlassAccuracy_x",
      "val_MulticlassPrecision_x",
      "val_MulticlassRecall_x",
    ]);
    expect(all.keys({ keepBase: true })[0]).toBe("MulticlassAccuracy");
    expect(all.get("val_MulticlassRecall_x")).toBe(all.get("MulticlassRecall"));
    all.update(...batch);
    expect(Object.keys(all.compute())).toEqual(all.keys());
    expect(String(all)).toContain("(MulticlassAccuracy): Accuracy()");
  });

  it("updates metrics with equal states once, and gives what each gives by itself", () => {
    const all = collection();
    expect(all.computeGroups).toEqual([["MulticlassAccuracy"], ["MulticlassPrecision", "MulticlassRecall"]]);
    all.update(...batch);
    expect(all.items({ copyState: false }).map(([, metric]) => metric.updateCount)).toEqual([1, 1, 1]);
    const forward = all.forward(...batch);
    const alone = collection({ computeGroups: false });
    expect(alone.computeGroups).toHaveLength(3);
    alone.update(...batch);
    for (const [name, value] of Object.entries(alone.compute())) {
      expect(scalar(all.compute()[name])).toBe(scalar(value));
      expect(scalar(forward[name])).toBe(scalar(value));
    }
  });

  it("hands out metrics that can be updated by themselves", () => {
    const all = collection();
    all.update(...batch);
    const recall = all.get("MulticlassRecall") as metrics.Recall;
    recall.update(...batch);
    expect(all.get("MulticlassPrecision").updateCount).toBe(1);
    expect(recall.updateCount).toBe(2);
  });

  it("takes metrics by name, in alphabetical order, and other collections", () => {
    const inner = new MetricCollection([new MeanMetric(), new SumMetric()], { prefix: "p_" });
    const all = new MetricCollection({ b: new metrics.MaxMetric(), a: inner }, { postfix: "_x" });
    expect(all.keys()).toEqual(["a_p_MeanMetric_x", "a_p_SumMetric_x", "b_x"]);
    all.update(2);
    expect(Object.values(all.compute()).map(scalar)).toEqual([2, 2, 2]);
    all.reset();
    all.persistent();
    expect(Object.keys(all.stateDict())).toEqual([
      "a_p_MeanMetric.mean_value",
      "a_p_MeanMetric.weight",
      "a_p_SumMetric.sum_value",
      "b.max_value",
    ]);
    expect(scalar((all.clone({ prefix: "q_" }).get("q_b_x") as metrics.MaxMetric).maxValue)).toBe(-Infinity);
  });

  it("names the parts of metrics that give several values", () => {
    class Ends extends SumMetric {
      override compute(): Tensor {
        return { low: this.sumValue, high: this.sumValue.mul(2) } as unknown as Tensor;
      }
    }
    const names = (all: metrics.MetricCollection): string[] => {
      all.update(1);
      return Object.keys(all.compute());
    };
    expect(names(new MetricCollection({ q: new Ends(), r: new SumMetric() }))).toEqual(["low", "high", "r"]);
    expect(names(new MetricCollection({ q: new Ends(), r: new Ends() }))).toEqual([
      "q_low",
      "q_high",
      "r_low",
      "r_high",
    ]);
  });

  it("refuses two metrics of one name, and what is no metric", () => {
    expect(() => new MetricCollection([new SumMetric(), new SumMetric()])).toThrow(
      /two metrics named "SumMetric"/,
    );
    expect(() => new MetricCollection({ a: 3 as unknown as metrics.SumMetric })).toThrow(
      /"a" must be a Metric/,
    );
    expect(() => new MetricCollection([new SumMetric()], { computeGroups: [["x"]] })).toThrow(
      /no metric "x"/,
    );
  });
});
