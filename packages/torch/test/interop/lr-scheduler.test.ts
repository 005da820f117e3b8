import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { load, nn, ones, optim, save } from "@levin/torch";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

type Options = Record<string, unknown>;
/** A scheduler's name and options; `lrLambda` is the base of a power of the epoch. */
type Spec = [name: string, options: Options];

interface Case {
  optimizer: "SGD" | "Adam";
  optimizerOptions: Options;
  groups: Options[];
  scheduler: Spec;
  epochs: number;
  metrics: number[];
}

/** For each group the learning rate, and the momentum or the first beta. */
type Rates = [lr: number, momentum: number][][];

/** What has no default goes by place. */
const required: Record<string, readonly string[]> = {
  LambdaLR: ["lrLambda"],
  MultiplicativeLR: ["lrLambda"],
  StepLR: ["stepSize"],
  MultiStepLR: ["milestones"],
  ExponentialLR: ["gamma"],
  CosineAnnealingLR: ["TMax"],
  CosineAnnealingWarmRestarts: ["T0"],
  CyclicLR: ["baseLr", "maxLr"],
  OneCycleLR: ["maxLr"],
  SWALR: ["swaLr"],
  SequentialLR: ["schedulers", "milestones"],
};

const cyclic = { baseLr: 0.01, maxLr: 0.5, stepSizeUp: 4 };
const specs: Spec[] = [
  ["LambdaLR", { lrLambda: 0.9 }],
  ["MultiplicativeLR", { lrLambda: 0.97 }],
  ["StepLR", { stepSize: 3 }],
  ["StepLR", { stepSize: 5, gamma: 0.5 }],
  ["MultiStepLR", { milestones: [2, 9, 9, 14], gamma: 0.3 }],
  ["ConstantLR", {}],
  ["ConstantLR", { factor: 0.25, totalIters: 12 }],
  ["LinearLR", {}],
  ["LinearLR", { startFactor: 0.2, endFactor: 0.7, totalIters: 14 }],
  ["ExponentialLR", { gamma: 0.9 }],
  ["CosineAnnealingLR", { TMax: 7, etaMin: 0.01 }],
  ["PolynomialLR", { totalIters: 15, power: 2 }],
  ["CosineAnnealingWarmRestarts", { T0: 3, TMult: 2, etaMin: 0.01 }],
  ["CosineAnnealingWarmRestarts", { T0: 4 }],
  ["CyclicLR", cyclic],
  ["CyclicLR", { ...cyclic, mode: "triangular2", stepSizeDown: 2 }],
  ["CyclicLR", { ...cyclic, mode: "exp_range", gamma: 0.9, cycleMomentum: false }],
  ["OneCycleLR", { maxLr: 1, totalSteps: 30 }],
  [
    "OneCycleLR",
    { maxLr: 0.5, epochs: 5, stepsPerEpoch: 5, threePhase: true, annealStrategy: "linear", pctStart: 0.4 },
  ],
  ["ReduceLROnPlateau", { patience: 2, factor: 0.5 }],
  [
    "ReduceLROnPlateau",
    { mode: "max", patience: 1, cooldown: 2, minLr: 0.002, threshold: 0.1, thresholdMode: "abs" },
  ],
  ["SWALR", { swaLr: 0.02, annealEpochs: 12 }],
  ["SWALR", { swaLr: 0.3, annealStrategy: "linear" }],
  [
    "SequentialLR",
    {
      schedulers: [
        ["LinearLR", { startFactor: 0.1, totalIters: 4 }],
        ["CosineAnnealingLR", { TMax: 8 }],
        ["ExponentialLR", { gamma: 0.8 }],
      ],
      milestones: [4, 12],
    },
  ],
  [
    "ChainedScheduler",
    {
      schedulers: [
        ["ConstantLR", { factor: 0.1, totalIters: 4 }],
        ["ExponentialLR", { gamma: 0.9 }],
      ],
    },
  ],
];

const cases: Case[] = specs.map((scheduler, i) => ({
  optimizer: i % 2 === 0 ? "SGD" : "Adam",
  optimizerOptions: i % 2 === 0 ? { momentum: 0.9 } : {},
  groups: i % 3 === 0 ? [{}, { lr: 0.03 }] : [{}],
  scheduler,
  epochs: 20,
  metrics: Array.from({ length: 20 }, (_, epoch) => Math.sin(epoch * 1.3) + epoch / 20),
}));

function buildScheduler(optimizer: optim.Optimizer, [name, given]: Spec): optim.lrScheduler.SchedulerBase {
  const options = { ...given };
  if ("schedulers" in options)
    options.schedulers = (options.schedulers as Spec[]).map((part) => buildScheduler(optimizer, part));
  if (name === "ChainedScheduler") {
    return new optim.lrScheduler.ChainedScheduler(options.schedulers as optim.lrScheduler.SchedulerBase[]);
  }
  const { lrLambda } = options;
  if (typeof lrLambda === "number") options.lrLambda = (epoch: number) => lrLambda ** epoch;
  const types = { ...optim.lrScheduler, ...optim.swaUtils } as unknown as Record<
    string,
    new (
      optimizer: optim.Optimizer,
      ...args: unknown[]
    ) => optim.lrScheduler.SchedulerBase
  >;
  const type = types[name];
  if (type === undefined) throw new Error(`no scheduler ${name}`);
  const places = required[name] ?? [];
  const rest = Object.entries(options).filter(([key]) => !places.includes(key));
  return new type(optimizer, ...places.map((key) => options[key]), Object.fromEntries(rest));
}

function build(about: Case) {
  const groups = about.groups.map((options) => ({ ...options, params: [new nn.Parameter(ones([1]))] }));
  const optimizer: optim.Optimizer = new optim[about.optimizer](groups, {
    lr: 0.1,
    ...about.optimizerOptions,
  });
  return { optimizer, scheduler: buildScheduler(optimizer, about.scheduler) };
}

function run(
  about: Case,
  { optimizer, scheduler }: ReturnType<typeof build>,
  from: number,
  to: number,
): Rates {
  const rates: Rates = [];
  for (let epoch = from; epoch < to; epoch++) {
    optimizer.step();
    if (about.scheduler[0] === "ReduceLROnPlateau") scheduler.step(about.metrics[epoch]);
    else scheduler.step();
    rates.push(
      optimizer.paramGroups.map((group) => [
        Number(group.lr),
        Number(group.momentum ?? (group.betas as number[])[0]),
      ]),
    );
  }
  return rates;
}

const folder = mkdtempSync(join(tmpdir(), "levin-lr-scheduler-"));
const mine: { rates: Rates; state: Options }[] = [];

beforeAll(() => {
  for (const [i, about] of cases.entries()) {
    const half = about.epochs / 2;
    const built = build(about);
    const rates = run(about, built, 0, half);
    const path = join(folder, `${i}.pt`);
    save({ optimizer: built.optimizer.stateDict(), scheduler: built.scheduler.stateDict() }, path);
    rates.push(...run(about, built, half, about.epochs));
    mine.push({ rates, state: (load(path) as { scheduler: Options }).scheduler });
  }
  writeFileSync(join(folder, "cases.json"), JSON.stringify(cases));
  const python = process.env.LEVIN_PYTHON;
  if (!python) throw new Error("LEVIN_PYTHON must name a Python with torch: run `npm test`.");
  execFileSync(python, [fileURLToPath(new URL("lr_scheduler_recorder.py", import.meta.url)), folder], {
    stdio: "pipe",
  });
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function expectRates(got: Rates, want: Rates): void {
  expect(got.length).toBe(want.length);
  for (const [epoch, groups] of want.entries()) {
    for (const [g, [lr, momentum]] of groups.entries()) {
      const [ownLr, ownMomentum] = got[epoch]?.[g] ?? [];
      expect(ownLr).toBeCloseTo(lr, 12);
      expect(ownMomentum).toBeCloseTo(momentum, 12);
    }
  }
}

/** Numbers rounded, so that the last bit of a power or a cosine does not matter. */
function rounded(value: unknown): unknown {
  if (typeof value === "number" && Number.isFinite(value)) return Number(value.toPrecision(10));
  if (Array.isArray(value)) return value.map(rounded);
  if (value instanceof Map) return rounded(Object.fromEntries(value));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, rounded(each)]));
}

describe.each(
  cases.map((about, i) => [`${about.scheduler[0]} ${JSON.stringify(about.scheduler[1])}`, about, i] as const),
)("%s", (_, about, i) => {
  const recorded = () =>
    JSON.parse(readFileSync(join(folder, `${i}.out.json`), "utf8")) as { rates: Rates; resumed: Rates };

  test("sets PyTorch's learning rates and momenta", () => {
    expectRates(mine[i]?.rates ?? [], recorded().rates);
  });

  test("has PyTorch's state", () => {
    const { scheduler } = load(join(folder, `${i}.half.pt`), { weightsOnly: false }) as {
      scheduler: Options;
    };
    expect(rounded(mine[i]?.state)).toEqual(rounded(scheduler));
  });

  test("goes on from PyTorch's state, and PyTorch from this one", () => {
    const { rates, resumed } = recorded();
    const half = about.epochs / 2;
    const theirs = load(join(folder, `${i}.half.pt`), { weightsOnly: false }) as {
      optimizer: never;
      scheduler: Options;
    };
    const built = build(about);
    built.scheduler.loadStateDict(theirs.scheduler);
    built.optimizer.loadStateDict(theirs.optimizer);
    expectRates(run(about, built, half, about.epochs), rates.slice(half));
    expectRates(resumed, rates.slice(half));
  });
});
