import * as torch from "@levin/torch";
import { classOf } from "../levin.js";
import { camelCaseKeys } from "../names.js";
import { numberFunction } from "../python/evaluate.js";
import { parsePython } from "../python/parse.js";
import { arrange, signatures } from "../signatures.js";
import { expectNumbers } from "./compare.js";
import { type Group, loadGroup } from "./group.js";

/** A scheduler as the files describe it. Keyword arguments may hold other schedulers and the texts of lambdas. */
export type SchedulerSpec = [name: string, kwargs: Record<string, unknown>];

/** What the readers use of an optimizer. */
export interface AnyOptimizer {
  paramGroups: ({ params: torch.Tensor[]; lr: number } & Record<string, unknown>)[];
  step(closure?: () => torch.Tensor): unknown;
  zeroGrad(): void;
  state: Map<torch.Tensor, Record<string, unknown>>;
}

/** What the readers use of a scheduler. */
export interface AnyScheduler {
  step(metric?: number): void;
}

interface SchedulerCase {
  name: string;
  optimizer: string;
  optimizer_kwargs: Record<string, unknown>;
  groups: Record<string, unknown>[];
  scheduler: SchedulerSpec;
  steps: number;
  lrs: number[][];
  momenta?: number[][];
  metrics?: number[];
}

/** An optimizer by its class's name, over parameters or groups of them. */
export function optimizerOf(name: string, params: unknown, kwargs: Record<string, unknown>): AnyOptimizer {
  return new (classOf<AnyOptimizer>(torch.optim, "optim", name))(params, camelCaseKeys(kwargs));
}

/** Builds a scheduler, the ones inside it first, on one optimizer. */
export function schedulerOf([name, given]: SchedulerSpec, optimizer: AnyOptimizer): AnyScheduler {
  const space = torch.optim.lrScheduler;
  const swa = (torch.optim as unknown as { swaUtils?: unknown }).swaUtils;
  const inSwa =
    name === "SWALR" && typeof (space as Record<string, unknown>)[name] !== "function" && swa !== undefined;
  const cls = classOf<AnyScheduler>(
    inSwa ? swa : space,
    inSwa ? "optim.swaUtils" : "optim.lrScheduler",
    name,
  );
  const kwargs: Record<string, unknown> = { ...given, optimizer };
  if ("schedulers" in kwargs) {
    kwargs.schedulers = (kwargs.schedulers as SchedulerSpec[]).map((spec) => schedulerOf(spec, optimizer));
  }
  if ("lr_lambda" in kwargs) {
    const texts = kwargs.lr_lambda as string | string[];
    const lambda = (text: string) => numberFunction(parsePython(text), "t");
    kwargs.lr_lambda = Array.isArray(texts) ? texts.map(lambda) : lambda(texts);
  }
  return new cls(...arrange(signatures.schedulers[name], [], kwargs));
}

/** Learning rates (and momenta) step by step. */
export const schedulers: Group = async (folder, report) => {
  const group = loadGroup<{ rtol: number; cases: SchedulerCase[] }>(folder, "schedulers");
  if (group === undefined) return;
  const tolerance = { rtol: group.about.rtol, atol: 0 };
  for (const case_ of group.about.cases) {
    await report.run(`schedulers/${case_.name}`, () => {
      const groups = case_.groups.map((options) => ({
        ...camelCaseKeys(options),
        params: [new torch.nn.Parameter(torch.zeros([1]))],
      }));
      const optimizer = optimizerOf(case_.optimizer, groups, case_.optimizer_kwargs);
      const scheduler = schedulerOf(case_.scheduler, optimizer);
      const rates: number[][] = [];
      const momenta: number[][] = [];
      for (let t = 0; t <= case_.steps; t++) {
        rates.push(optimizer.paramGroups.map((g) => g.lr));
        momenta.push(
          optimizer.paramGroups.map((g) => (g.momentum ?? (g.betas as number[] | undefined)?.[0]) as number),
        );
        if (t === case_.steps) break;
        optimizer.step();
        if (case_.metrics === undefined) scheduler.step();
        else scheduler.step(case_.metrics[t]);
      }
      expectNumbers("rates", rates, case_.lrs, tolerance);
      if (case_.momenta !== undefined) expectNumbers("momenta", momenta, case_.momenta, tolerance);
    });
  }
};
