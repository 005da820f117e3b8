import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  cat,
  type DType,
  load,
  manualSeed,
  nn,
  noGrad,
  optim,
  randn,
  save,
  setNumThreads,
  type Tensor,
} from "@levin/torch";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

type Options = Record<string, unknown>;
/** For each option the values that are tried. */
type Choices = Record<string, readonly unknown[]>;

interface Case {
  optimizer: string;
  options: Options;
  groups: { params: number[]; options: Options }[];
  dtype: DType;
  sparse: boolean;
  steps: number;
}

interface Recorded {
  half: Tensor[];
  state: optim.OptimizerStateDict;
  end: Tensor[];
  resumed: Tensor[];
}

const decay = { weightDecay: [0, 0.05], maximize: [false, true], foreach: [null, null, false, true] };
const choices: Record<string, Choices> = {
  SGD: { lr: [0.1, 0.01], momentum: [0, 0.9], dampening: [0, 0.2], nesterov: [false, true], ...decay },
  Adam: {
    lr: [0.01],
    betas: [
      [0.9, 0.999],
      [0.7, 0.9],
    ],
    eps: [1e-8, 1e-4],
    amsgrad: [false, true],
    fused: [null, false],
    ...decay,
  },
  AdamW: {
    lr: [0.01],
    betas: [
      [0.9, 0.999],
      [0.7, 0.9],
    ],
    amsgrad: [false, true],
    fused: [null, false],
    ...decay,
  },
  Adamax: {
    lr: [0.01, 0.1],
    betas: [
      [0.9, 0.999],
      [0.7, 0.9],
    ],
    eps: [1e-8, 1e-3],
    ...decay,
  },
  NAdam: {
    lr: [0.01],
    betas: [
      [0.9, 0.999],
      [0.7, 0.9],
    ],
    momentumDecay: [4e-3, 0.1],
    decoupledWeightDecay: [false, true],
    ...decay,
  },
  RAdam: {
    lr: [0.01],
    betas: [
      [0.9, 0.999],
      [0.7, 0.8],
    ],
    decoupledWeightDecay: [false, true],
    ...decay,
  },
  RMSprop: { lr: [0.01], alpha: [0.99, 0.5], momentum: [0, 0.9], centered: [false, true], ...decay },
  Rprop: {
    lr: [0.01, 0.1],
    etas: [
      [0.5, 1.2],
      [0.3, 1.5],
    ],
    stepSizes: [
      [1e-6, 50],
      [1e-3, 0.02],
    ],
    maximize: [false, true],
  },
  Adagrad: { lr: [0.1], lrDecay: [0, 0.1], initialAccumulatorValue: [0, 0.5], ...decay },
  Adadelta: { lr: [1, 0.1], rho: [0.9, 0.5], eps: [1e-6, 1e-3], ...decay },
  ASGD: { lr: [0.01, 0.1], lambd: [1e-4, 0.1], alpha: [0.75, 0.5], t0: [1e6, 2], ...decay },
  SparseAdam: {
    lr: [0.01, 0.1],
    betas: [
      [0.9, 0.999],
      [0.7, 0.9],
    ],
    maximize: [false, true],
  },
  Adafactor: {
    lr: [0.01, 0.5],
    beta2Decay: [-0.8, -0.5],
    eps: [
      [null, 1e-3],
      [1e-6, 0.1],
    ],
    d: [1, 2],
    weightDecay: [0, 0.1],
    maximize: [false, true],
  },
  Muon: {
    lr: [0.01],
    momentum: [0.95, 0.5],
    nesterov: [true, false],
    weightDecay: [0, 0.1],
    adjustLrFn: [null, "original", "match_rms_adamw", "spectral_unclamped"],
  },
  LBFGS: { lr: [1, 0.05], maxIter: [5, 20], historySize: [3, 100], lineSearchFn: [null, "strong_wolfe"] },
};
const sets = 7;

const shapes: Record<string, number[][]> = {
  SparseAdam: [
    [7, 3],
    [5, 2],
  ],
  Muon: [
    [4, 6],
    [6, 3],
  ],
};
const usualShapes = [[3, 4], [4], [2, 3, 2], []];

/** Numbers that are the same in every run. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function makeCases(): Case[] {
  const pick = numbers(7);
  const oneOf = <T>(values: readonly T[]): T => values[pick(values.length)] as T;
  const cases: Case[] = [];
  for (const [optimizer, pool] of Object.entries(choices)) {
    for (let set = 0; set < sets; set++) {
      const options: Options = {};
      for (const [name, values] of Object.entries(pool)) options[name] = oneOf(values);
      if (options.nesterov && optimizer === "SGD") Object.assign(options, { momentum: 0.9, dampening: 0 });
      if (options.foreach !== null && options.foreach !== undefined) delete options.fused;
      const real = ["SparseAdam", "Adafactor", "Muon", "LBFGS"].includes(optimizer);
      const special = ({ 4: "complex64", 5: "float64", 6: "bfloat16" } as const)[set];
      const refused = real && special === "complex64";
      const searches = optimizer === "LBFGS" && special === "bfloat16";
      const dtype = special === undefined || refused || searches ? "float32" : special;
      // the operators over lists round factors to 16 bits
      if (dtype === "bfloat16") delete options.foreach;
      const count = (shapes[optimizer] ?? usualShapes).length;
      const all = [...Array(count).keys()];
      const groups =
        set % 2 === 0 || optimizer === "LBFGS"
          ? [{ params: all, options: {} }]
          : [
              { params: all.slice(0, 1), options: { lr: 0.02 } },
              { params: all.slice(1), options: {} },
            ];
      cases.push({ optimizer, options, groups, dtype, sparse: optimizer === "SparseAdam", steps: 8 });
    }
  }
  for (const optimizer of ["SGD", "Adagrad"]) {
    const groups = [{ params: [0, 1], options: {} }];
    cases.push({ optimizer, options: { lr: 0.1 }, groups, dtype: "float32", sparse: true, steps: 8 });
  }
  return cases;
}

/** For optimizers that evaluate the loss themselves. */
function lossOf(params: readonly Tensor[], matrix: Tensor): Tensor {
  const x = cat(params.map((param) => param.reshape([-1])));
  return matrix.matmul(x).sub(1).pow(2).add(1).log().sum() as Tensor;
}

interface Built {
  params: Tensor[];
  optimizer: optim.Optimizer;
}

/** What the steps go by. */
interface Given {
  grads: (Tensor | null)[][];
  matrix: Tensor;
}

function build(about: Case, tensors: readonly Tensor[]): Built {
  const params = tensors.map((tensor) => new nn.Parameter(tensor.clone()));
  const groups = about.groups.map((group) => ({
    ...group.options,
    params: group.params.map((i) => params[i] as Tensor),
  }));
  const type = (
    optim as unknown as Record<string, new (params: unknown, options: Options) => optim.Optimizer>
  )[about.optimizer];
  if (type === undefined) throw new Error(`no optim.${about.optimizer}`);
  return { params, optimizer: new type(groups, about.options) };
}

function run(about: Case, { params, optimizer }: Built, { grads, matrix }: Given): void {
  for (const step of grads) {
    if (about.optimizer === "LBFGS") {
      optimizer.step(() => {
        optimizer.zeroGrad();
        const loss = lossOf(params, matrix);
        loss.backward();
        return loss;
      });
      continue;
    }
    for (const [i, param] of params.entries()) {
      const grad = step[i] ?? null;
      param.grad = grad !== null && about.sparse ? grad.toSparse(1) : grad;
    }
    optimizer.step();
  }
}

const copies = (params: readonly Tensor[]) => params.map((param) => param.detach().clone());

/** Gradients for each step; the third step has none for the last parameter. */
function makeGradients(about: Case, init: readonly Tensor[]): (Tensor | null)[][] {
  return Array.from({ length: about.steps }, (_, step) =>
    init.map((tensor, i) => {
      if (step === 2 && i === init.length - 1 && init.length > 1) return null;
      const grad = randn(tensor.shape, { dtype: about.dtype });
      // some rows of a sparse gradient are not there
      if (about.sparse) grad.narrow(0, step % 3, 2).zero_();
      return grad;
    }),
  );
}

const cases = makeCases();
const folder = mkdtempSync(join(tmpdir(), "levin-optim-"));
const mine: { half: Tensor[]; end: Tensor[]; state: optim.OptimizerStateDict; given: Given }[] = [];
const theirs: Recorded[] = [];

beforeAll(() => {
  setNumThreads(1);
  manualSeed(3);
  for (const [i, about] of cases.entries()) {
    const init = (shapes[about.sparse ? "SparseAdam" : about.optimizer] ?? usualShapes).map((shape) =>
      randn(shape, { dtype: about.dtype }),
    );
    const grads = makeGradients(about, init);
    const count = init.reduce((sum, tensor) => sum + tensor.numel(), 0);
    const matrix = randn([count, count], { dtype: about.dtype });
    const half = about.steps / 2;
    const built = build(about, init);
    run(about, built, { grads: grads.slice(0, half), matrix });
    const values = copies(built.params);
    const path = join(folder, `${i}.pt`);
    save({ init, grads, matrix, half: values, state: built.optimizer.stateDict() }, path);
    const { state } = load(path) as { state: optim.OptimizerStateDict };
    const rest = { grads: grads.slice(half), matrix };
    run(about, built, rest);
    mine.push({ half: values, end: copies(built.params), state, given: rest });
  }
  writeFileSync(join(folder, "cases.json"), JSON.stringify(cases));
  const python = process.env.LEVIN_PYTHON;
  if (!python) throw new Error("LEVIN_PYTHON must name a Python with torch: run `npm test`.");
  execFileSync(python, [fileURLToPath(new URL("optim_recorder.py", import.meta.url)), folder], {
    stdio: "pipe",
  });
  for (const i of cases.keys()) theirs.push(load(join(folder, `${i}.out.pt`)) as Recorded);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** How far levin may be from PyTorch: not at all, where both call the same operators in the same order. */
function tolerance({ optimizer, options, dtype }: Case): number {
  const fused = (optimizer === "Adam" || optimizer === "AdamW") && options.fused === null;
  const otherOrder = options.foreach === true && ["NAdam", "RAdam", "ASGD", "Adagrad"].includes(optimizer);
  // there PyTorch multiplies by a rate of single precision, here by the number that it was made from
  if (dtype === "float64") return otherOrder && optimizer === "ASGD" ? 1e-8 : 1e-12;
  return fused || otherOrder ? 2e-6 : 0;
}

function expectClose(got: Tensor, want: Tensor, tolerance: number): void {
  expect(got.shape).toEqual(want.shape);
  expect(got.dtype).toBe(want.dtype);
  const difference = noGrad(() =>
    got.numel() === 0 ? 0 : (got.sub(want).abs().max() as Tensor).item<number>(),
  );
  const size = Math.max(1, (want.abs().max() as Tensor).item<number>());
  expect(difference / size).toBeLessThanOrEqual(tolerance);
}

const entriesOf = (state: optim.OptimizerStateDict["state"]): [number, Options][] =>
  (state instanceof Map ? [...state] : Object.entries(state)).map(([id, kept]) => [Number(id), kept]);

describe.each(
  cases.map(
    (about, i) => [`${about.optimizer} ${about.dtype} ${JSON.stringify(about.options)}`, about, i] as const,
  ),
)("%s", (_, about, i) => {
  const bound = tolerance(about);

  test("takes PyTorch's steps", () => {
    const [own, other] = [mine[i], theirs[i]] as [(typeof mine)[0], Recorded];
    for (const k of other.half.keys()) expectClose(own.half[k] as Tensor, other.half[k] as Tensor, bound);
    for (const k of other.end.keys()) expectClose(own.end[k] as Tensor, other.end[k] as Tensor, bound);
  });

  test("has PyTorch's state", () => {
    const [own, other] = [(mine[i] as (typeof mine)[0]).state, (theirs[i] as Recorded).state];
    expect(own.param_groups).toEqual(other.param_groups);
    expect(entriesOf(own.state).map(([id]) => id)).toEqual(entriesOf(other.state).map(([id]) => id));
    for (const [k, [, kept]] of entriesOf(other.state).entries()) {
      const [, ours] = entriesOf(own.state)[k] as [number, Options];
      expect(Object.keys(ours).sort()).toEqual(Object.keys(kept).sort());
      for (const [key, value] of Object.entries(kept)) {
        // LBFGS holds some numbers as tensors, depending on the values
        if (about.optimizer === "LBFGS") continue;
        if (typeof value === "object" && value !== null)
          expectClose(ours[key] as Tensor, value as Tensor, bound);
        else expect(ours[key]).toEqual(value);
      }
    }
  });

  test("goes on from PyTorch's state, and PyTorch from this one", () => {
    const [own, other] = [mine[i], theirs[i]] as [(typeof mine)[0], Recorded];
    const built = build(about, other.half);
    built.optimizer.loadStateDict(other.state);
    run(about, built, own.given);
    // PyTorch gives some numbers of the state the parameters' type only when it is loaded
    const loaded = about.dtype === "float64" ? Math.max(bound, 1e-8) : bound;
    for (const k of built.params.keys()) {
      expectClose(built.params[k] as Tensor, other.end[k] as Tensor, loaded);
      expectClose(other.resumed[k] as Tensor, other.end[k] as Tensor, loaded);
    }
  });
});
