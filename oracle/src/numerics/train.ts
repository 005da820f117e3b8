import { readdirSync } from "node:fs";
import { join } from "node:path";
import * as torch from "@levin/torch";
import { readJson } from "../json.js";
import { functionOf } from "../levin.js";
import { type AnyModule, build, type Spec } from "../models.js";
import { camelCase, camelCaseKeys } from "../names.js";
import { arrange, signatures } from "../signatures.js";
import { expectClose, expectNumbers, expectSame } from "./compare.js";
import { type Group, isFloating, loadTensors, number, part, type Tensors } from "./group.js";
import { type AnyOptimizer, optimizerOf, type SchedulerSpec, schedulerOf } from "./schedulers.js";

interface TrainCase {
  name: string;
  seed: number;
  model: Spec;
  optimizer: [string, Record<string, unknown>];
  steps: number;
  scheduler?: SchedulerSpec | null;
  loss?: [string, Record<string, unknown>];
  accumulate?: number;
  clip?: { norm?: number; norm_type?: number; value?: number } | null;
  groups?: ({ match: string } & Record<string, unknown>)[];
  precision?: string;
  losses: (number | string)[];
  grad_norms?: (number | string)[];
  evaluations?: number[];
  lrs: number[][];
  loss_rtol: number;
  grad_norm_rtol: number;
  weight_atol: Record<string, number>;
}

/** Whole training runs: one case each, whose losses, gradient norms, rates, final weights and optimizer state are compared. */
export const train: Group = async (folder, report) => {
  const directory = join(folder, "train");
  let files: string[];
  try {
    files = readdirSync(directory)
      .filter((file) => file.endsWith(".json"))
      .sort();
  } catch {
    return;
  }
  for (const file of files) {
    const path = join(directory, file.slice(0, -".json".length));
    const case_ = readJson<TrainCase>(`${path}.json`);
    await report.run(`train/${case_.name}`, () => run(case_, loadTensors(path)));
  }
};

function run(case_: TrainCase, tensors: Tensors): void {
  const model = makeModel(case_, tensors);
  const optimizer = makeOptimizer(case_, model);
  const scheduler = case_.scheduler ? schedulerOf(case_.scheduler, optimizer) : undefined;
  const micro = case_.accumulate ?? 1;
  const parameters = [...model.parameters()];
  const lossOf = lossFunction(case_);
  // as they were when this was recorded: matrix products may differ in the last bit with where in memory their numbers begin
  const [xs, ys] = ["batch/x", "batch/y"].map((name) => (tensors[name] as torch.Tensor).clone()) as [
    torch.Tensor,
    torch.Tensor,
  ];
  const [losses, extra, rates]: [number[], number[], number[][]] = [[], [], []];

  const backward = (i: number): torch.Tensor => {
    const loss = lossOf(model, batchAt(xs, i, case_), batchAt(ys, i, case_)).div(micro);
    loss.backward();
    return loss;
  };

  for (let step = 0; step < case_.steps; step++) {
    rates.push(optimizer.paramGroups.map((group) => group.lr));
    if (case_.optimizer[0] === "LBFGS") {
      const seen: number[] = [];
      optimizer.step(() => {
        optimizer.zeroGrad();
        const loss = backward(step);
        seen.push(loss.item());
        return loss;
      });
      losses.push(seen[0] as number);
      extra.push(seen.length);
    } else {
      optimizer.zeroGrad();
      for (let i = 0; i < micro; i++) losses.push(backward(step * micro + i).item());
      extra.push(gradNorm(parameters));
      clip(case_, parameters);
      optimizer.step();
    }
    if (scheduler === undefined) continue;
    if (case_.scheduler?.[0] === "ReduceLROnPlateau") scheduler.step(losses.at(-1));
    else scheduler.step();
  }

  const tolerance = (rtol: number) => ({ rtol, atol: 1e-3 * rtol });
  expectNumbers("losses", losses, case_.losses.map(number), tolerance(case_.loss_rtol));
  if (case_.evaluations !== undefined) expectSame("evaluations", extra, case_.evaluations);
  if (case_.grad_norms !== undefined) {
    expectNumbers("grad_norms", extra, case_.grad_norms.map(number), tolerance(case_.grad_norm_rtol));
  }
  expectNumbers("lrs", rates, case_.lrs, { rtol: 1e-12, atol: 0 });
  for (const [key, value] of Object.entries(model.stateDict())) {
    const atol = case_.weight_atol[key] ?? 0;
    expectClose(`final ${key}`, value, tensors[`final/${key}`] as torch.Tensor, { rtol: 0, atol });
  }
  expectState(optimizer, part(tensors, "optimizer/0/"), case_);
}

/** Compares what the optimizer keeps of its first parameter: as exactly as rounding, which shows in the gradients, allows. */
function expectState(optimizer: AnyOptimizer, wanted: Tensors, case_: TrainCase): void {
  const [state] = optimizer.state.values();
  for (const [key, want] of Object.entries(wanted)) {
    const largest = want.numel() === 0 ? 0 : want.abs().max().item<number>();
    const atol = Math.max(1e-6, 2 * case_.grad_norm_rtol * largest);
    expectClose(`state ${key}`, state?.[camelCase(key)] as torch.Tensor, want, { rtol: 0, atol });
  }
}

function makeModel(case_: TrainCase, tensors: Tensors): AnyModule {
  torch.manualSeed(case_.seed);
  const model = build(case_.model);
  model.train();
  if (case_.precision === "64-true") model.double();
  if (case_.precision === "bf16-true") model.bfloat16();
  const init = part(tensors, "init/");
  // The recorded start is what the seed gives, before any change of type.
  for (const [key, value] of Object.entries(model.stateDict())) {
    const want = init[key];
    if (want === undefined)
      expectSame("names of the state", Object.keys(model.stateDict()), Object.keys(init));
    else expectClose(`initial ${key}`, value, want.to(value.dtype), { rtol: 0, atol: 0 });
  }
  model.loadStateDict(init);
  return model;
}

function makeOptimizer(case_: TrainCase, model: AnyModule): AnyOptimizer {
  const [name, kwargs] = case_.optimizer;
  if (case_.groups === undefined) return optimizerOf(name, [...model.parameters()], kwargs);
  const groups = case_.groups.map(({ match, ...options }) => ({
    match,
    options,
    params: [] as torch.Tensor[],
  }));
  for (const [key, parameter] of model.namedParameters())
    groups.find(({ match }) => key.includes(match))?.params.push(parameter);
  return optimizerOf(
    name,
    groups.map(({ options, params }) => ({ ...camelCaseKeys(options), params })),
    kwargs,
  );
}

/** One micro batch of the recorded stream, in the run's precision. */
function batchAt(batches: torch.Tensor, i: number, case_: TrainCase): torch.Tensor {
  const one = batches.select(0, i);
  if (!isFloating(one)) return one;
  return case_.precision === "64-true"
    ? one.double()
    : case_.precision === "bf16-true"
      ? one.bfloat16()
      : one;
}

type LossOf = (model: AnyModule, x: torch.Tensor, y: torch.Tensor) => torch.Tensor;

function lossFunction(case_: TrainCase): LossOf {
  const [name, kwargs] = case_.loss ?? ["cross_entropy", {}];
  const fn = functionOf(torch.nn.functional, "nn.functional", name);
  const loss: LossOf = (model, x, y) => {
    const out = model.forward(x) as torch.Tensor;
    const sequence = name === "cross_entropy" && out.ndim === 3;
    const given = sequence ? [out.flatten(0, 1), y.flatten()] : [out, y];
    return fn(...arrange(signatures.functional[name], given, kwargs)) as torch.Tensor;
  };
  if (case_.precision !== "bf16-mixed") return loss;
  return (model, x, y) => torch.amp.autocast({ device: "cpu", dtype: "bfloat16" }, () => loss(model, x, y));
}

/** The 2-norm of all gradients. */
function gradNorm(parameters: torch.Tensor[]): number {
  let sum = 0;
  for (const { grad } of parameters) {
    if (grad !== null) sum += (grad.to("float64").pow(2).sum() as torch.Tensor).item<number>();
  }
  return Math.sqrt(sum);
}

function clip({ clip: how }: TrainCase, parameters: torch.Tensor[]): void {
  const utils = (torch.nn as unknown as { utils: unknown }).utils;
  if (how?.norm !== undefined) {
    const more = how.norm_type === undefined ? [] : [{ normType: how.norm_type }];
    functionOf(utils, "nn.utils", "clip_grad_norm_")(parameters, how.norm, ...more);
  } else if (how?.value !== undefined) {
    functionOf(utils, "nn.utils", "clip_grad_value_")(parameters, how.value);
  }
}
