// The metrics against torchmetrics: same data, same options, same numbers.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import * as torch from "@levin/torch";
import { metrics, Tensor } from "@levin/torch";
import { beforeAll, describe, expect, it } from "vitest";

type Argument = Tensor | number;
type AnyMetric = metrics.Metric<Argument[], unknown>;
type Options = Record<string, unknown>;

interface Case {
  name: string;
  /** Positional arguments of the constructor. */
  args: unknown[];
  options: Options;
  batches: Argument[][];
}

interface Result {
  forward: unknown[];
  compute: unknown;
  state: Record<string, unknown>;
}

const python = process.env.LEVIN_PYTHON as string;
const program = fileURLToPath(new URL("metrics.py", import.meta.url));
const snake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

function reference(cases: Case[]): Result[] {
  const input = cases.map(({ name, args, options, batches }) => ({
    metric: name,
    args,
    options: Object.fromEntries(
      Object.entries(options).map(([key, value]) => [snake(key), floats(key, value)]),
    ),
    batches: batches.map((batch) => batch.map((value) => (value instanceof Tensor ? encoded(value) : value))),
  }));
  const text = JSON.stringify(input).replace(/"float (\d+)"/g, "$1.0");
  const child = spawnSync(python, [program], { input: text, encoding: "utf8", maxBuffer: 1 << 28 });
  if (child.status !== 0) throw new Error(child.stderr);
  return JSON.parse(child.stdout) as Result[];
}

/** torchmetrics wants some options to be floats, which JSON does not tell from integers. */
function floats(key: string, value: unknown): unknown {
  const isFloat = ["threshold", "beta", "maxFpr", "nanStrategy"].includes(key) && Number.isInteger(value);
  return isFloat ? `float ${value}` : value;
}

const encoded = (tensor: Tensor) => ({ dtype: tensor.dtype, data: tensor.toArray() });

/** A value in the form in which the reference gives it. */
function plain(value: unknown): unknown {
  if (value instanceof Tensor) return plain(value.toArray());
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === "object" && value !== null) return Object.values(value).map(plain);
  return value;
}

function expectEqual(actual: unknown, expected: unknown, path: string): void {
  if (Array.isArray(expected)) {
    expect(Array.isArray(actual), `${path} is a list`).toBe(true);
    const list = actual as unknown[];
    expect(list.length, `length of ${path}`).toBe(expected.length);
    for (const [i, item] of expected.entries()) expectEqual(list[i], item, `${path}[${i}]`);
    return;
  }
  const number = expected === "nan" ? Number.NaN : Number(expected);
  if (Number.isNaN(number)) expect(actual, path).toBeNaN();
  else if (!Number.isFinite(number)) expect(actual, path).toBe(number);
  else
    expect(Math.abs(Number(actual) - number), `${path}: ${actual}, not ${number}`).toBeLessThanOrEqual(
      2e-6 * Math.max(1, Math.abs(number)),
    );
}

function run({ name, args, options, batches }: Case): Result {
  const make = metrics[name as keyof typeof metrics] as unknown as new (...args: unknown[]) => AnyMetric;
  const metric = new make(...args, options);
  const forward = batches.map((batch) => plain(metric.forward(...batch)));
  const compute = plain(metric.compute());
  metric.persistent(true);
  // Two updates without forward give the same.
  const other = new make(...args, options);
  for (const batch of batches) other.update(...batch);
  expectEqual(plain(other.compute()), compute, "compute after update");
  return { forward, compute, state: metric.stateDict() };
}

const describeOptions = (options: Options): string =>
  Object.entries(options)
    .map(([key, value]) => `${key} ${JSON.stringify(value)}`)
    .join(", ");

/** All combinations of the values of options. */
function combinations(choices: Record<string, unknown[]>): Options[] {
  let all: Options[] = [{}];
  for (const [key, values] of Object.entries(choices)) {
    all = all.flatMap((options) =>
      values.map((value) => (value === undefined ? options : { ...options, [key]: value })),
    );
  }
  return all;
}

// The cases of all suites go to Python at once: importing torchmetrics takes longer than all of them.
const allCases: Case[] = [];
let expected: Result[] = [];
beforeAll(() => {
  expected = reference(allCases);
});

function suite(title: string, cases: Case[], compareState = true): void {
  const first = allCases.push(...cases) - cases.length;
  describe(title, () => {
    it.each(
      cases.map(
        (one, i) => [`${one.name} ${one.args.join(" ")} ${describeOptions(one.options)}`, one, i] as const,
      ),
    )("%s", (_, one, i) => {
      const actual = run(one);
      const wanted = expected[first + i] as Result;
      for (const [k, value] of wanted.forward.entries())
        expectEqual(actual.forward[k], value, `forward[${k}]`);
      expectEqual(actual.compute, wanted.compute, "compute");
      if (!compareState) return;
      expect(Object.keys(actual.state).sort()).toEqual(Object.keys(wanted.state).sort());
      for (const [key, value] of Object.entries(wanted.state))
        expectEqual(plain(actual.state[key]), value, key);
    });
  });
}

const labels = (classes: number, shape: number[]): Tensor =>
  torch.randint(0, classes, shape, { dtype: "int64" });

/** Labels of which some are replaced by the one that is ignored. */
function withIgnored(target: Tensor, ignoreIndex: unknown): Tensor {
  if (typeof ignoreIndex !== "number") return target;
  return torch.where(torch.rand(target.shape).lt(0.2), ignoreIndex, target);
}

function batchesOf(
  task: string,
  options: Options,
  form: "logits" | "probabilities" | "labels",
  extra: number[],
): Argument[][] {
  const scores = (shape: number[]): Tensor =>
    form === "logits" ? torch.randn(shape).mul(2) : torch.rand(shape);
  return [13, 11, 12].map((size) => {
    const ignore = (target: Tensor) => withIgnored(target, options.ignoreIndex);
    if (task === "multiclass") {
      const classes = options.numClasses as number;
      const shape = [size, classes, ...extra];
      const preds =
        form === "labels"
          ? labels(classes, [size, ...extra])
          : form === "logits"
            ? scores(shape)
            : scores(shape).softmax(1);
      return [preds, ignore(labels(classes, [size, ...extra]))];
    }
    const shape = task === "binary" ? [size, ...extra] : [size, options.numLabels as number, ...extra];
    return [form === "labels" ? labels(2, shape) : scores(shape), ignore(labels(2, shape))];
  });
}

function statCases(names: string[], more: Record<string, unknown[]> = {}): Case[] {
  const forms = ["logits", "probabilities", "labels"] as const;
  const cases: Case[] = [];
  let next = 0;
  const add = (name: string, task: string, options: Options) => {
    const form =
      options.topK === undefined
        ? (forms[next++ % 3] as (typeof forms)[number])
        : (forms[next++ % 2] as (typeof forms)[number]);
    const extra = options.multidimAverage === "samplewise" || next % 2 === 0 ? [4] : [];
    cases.push({ name, args: [task], options, batches: batchesOf(task, options, form, extra) });
  };
  const averages = [undefined, "macro", "weighted", "none"];
  const multidimAverage = [undefined, "samplewise"];
  for (const name of names) {
    for (const options of combinations({
      threshold: [undefined, 0.3],
      ignoreIndex: [undefined, -1, 0, 1],
      multidimAverage,
      ...more,
    }))
      add(name, "binary", options);
    for (const options of combinations({
      numClasses: [4],
      average: averages,
      topK: [undefined, 2],
      ignoreIndex: [undefined, -100, 2],
      multidimAverage,
      ...more,
    }))
      add(name, "multiclass", options);
    for (const options of combinations({
      numLabels: [3],
      average: averages,
      threshold: [undefined, 0.6],
      ignoreIndex: [undefined, -1, 1],
      multidimAverage,
    }))
      add(name, "multilabel", options);
  }
  return cases;
}

torch.manualSeed(20);

suite("accuracy", statCases(["Accuracy", "StatScores"]), false);
suite(
  "precision, recall and F-beta",
  [
    ...statCases(["Precision", "F1Score"]),
    ...statCases(["Recall"], { zeroDivision: [undefined, 1] }),
    ...statCases(["FBetaScore"], { beta: [0.5] }),
  ],
  false,
);

const curveNames = ["AUROC", "AveragePrecision", "ROC", "PrecisionRecallCurve"];
const thresholds = [undefined, 5, [0.1, 0.7, 0.4], 200];
suite(
  "curves",
  curveNames.flatMap((name) => {
    const forms = ["logits", "probabilities"] as const;
    const averaged = name === "AUROC" || name === "AveragePrecision";
    const averages = averaged ? [undefined, "weighted", "none"] : [undefined];
    let next = 0;
    const make = (task: string, options: Options): Case => {
      const form = forms[next++ % 2] as (typeof forms)[number];
      return {
        name,
        args: [task],
        options,
        batches: batchesOf(task, options, form, next % 3 === 0 ? [3] : []),
      };
    };
    return [
      ...combinations({
        thresholds,
        ignoreIndex: [undefined, -1],
        ...(name === "AUROC" ? { maxFpr: [undefined, 0.4] } : {}),
      }).map((options) => make("binary", options)),
      ...combinations({
        numClasses: [3],
        thresholds,
        ignoreIndex: [undefined, -100, 1],
        average: averages,
      }).map((options) => make("multiclass", options)),
      ...combinations({
        numLabels: [3],
        thresholds,
        ignoreIndex: [undefined, -1],
        average: averaged ? [...averages, "micro"] : averages,
      }).map((options) => make("multilabel", options)),
    ];
  }),
  false,
);

suite(
  "confusion matrix",
  (["binary", "multiclass", "multilabel"] as const).flatMap((task) =>
    (["logits", "probabilities", "labels"] as const).flatMap((form) =>
      combinations({
        ...(task === "multiclass" ? { numClasses: [4] } : task === "multilabel" ? { numLabels: [3] } : {}),
        ignoreIndex: [undefined, -1, 1],
        normalize: [undefined, "true", "pred", "all"],
        ...(task === "multiclass" ? {} : { threshold: [0.4] }),
      }).map((options) => ({
        name: "ConfusionMatrix",
        args: [task],
        options,
        batches: batchesOf(task, options, form, form === "labels" ? [2] : []),
      })),
    ),
  ),
);

const pairs = (shape: number[], dtype: "float32" | "float64" = "float32"): Argument[][] =>
  [4, 6].map((size) => {
    const target = torch.randn([size, ...shape], { dtype });
    return [target.add(torch.randn([size, ...shape], { dtype })), target];
  });

suite("regression", [
  ...combinations({ squared: [undefined, false] }).map((options) => ({
    name: "MeanSquaredError",
    args: [],
    options,
    batches: pairs([]),
  })),
  { name: "MeanSquaredError", args: [], options: {}, batches: pairs([3], "float64") },
  { name: "MeanSquaredError", args: [], options: { numOutputs: 3 }, batches: pairs([3]) },
  { name: "MeanAbsoluteError", args: [], options: {}, batches: pairs([2]) },
  { name: "MeanAbsoluteError", args: [], options: { numOutputs: 2 }, batches: pairs([2]) },
  ...combinations({
    adjusted: [undefined, 2],
    multioutput: [undefined, "raw_values", "variance_weighted"],
  }).map((options) => ({ name: "R2Score", args: [], options, batches: pairs([2]) })),
  { name: "R2Score", args: [], options: {}, batches: pairs([]) },
  { name: "R2Score", args: [], options: {}, batches: [[torch.tensor([2, 2, 3]), torch.tensor([2, 2, 2])]] },
  { name: "R2Score", args: [], options: { adjusted: 8 }, batches: pairs([]) },
]);

suite("perplexity", [
  ...[undefined, -100, 3].map((ignoreIndex) => ({
    name: "Perplexity",
    args: [],
    options: ignoreIndex === undefined ? {} : { ignoreIndex },
    batches: [2, 3].map((size) => [
      torch.randn([size, 5, 8]),
      withIgnored(labels(8, [size, 5]), ignoreIndex),
    ]),
  })),
]);

const values = () =>
  torch.tensor([
    [1, -2.5, 3],
    [0.1, Number.NaN, 7],
  ]);
suite(
  "aggregation",
  ["SumMetric", "MeanMetric", "MaxMetric", "MinMetric"].flatMap((name) => [
    {
      name,
      args: [],
      options: {},
      batches: [[1], [2.5], [torch.tensor([3, 0.1])], [torch.tensor([1, 2], { dtype: "int64" })]],
    },
    ...["ignore", "warn", 1.5].map((nanStrategy) => ({
      name,
      args: [],
      options: { nanStrategy },
      batches: [[values()], [-4]],
    })),
    { name, args: [], options: { nanStrategy: "disable" }, batches: [[torch.randn([3])]] },
  ]),
);
suite("weighted mean", [
  {
    name: "MeanMetric",
    args: [],
    options: {},
    batches: [
      [2, 3],
      [torch.randn([4]), torch.rand([4])],
      [torch.randn([2, 3]), 0.5],
    ],
  },
]);
suite(
  "concatenation",
  ["ignore", 1.5].map((nanStrategy) => ({
    name: "CatMetric",
    args: [],
    options: { nanStrategy },
    batches: [[torch.tensor([1, Number.NaN])], [torch.tensor([3, 4, 5])]],
  })),
  false,
);
