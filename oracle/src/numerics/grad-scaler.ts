import * as torch from "@levin/torch";
import { classOf, functionOf } from "../levin.js";
import { camelCaseKeys } from "../names.js";
import { expectNumbers, expectSame } from "./compare.js";
import { type Group, loadGroup, number } from "./group.js";

interface ScalerCase {
  name: string;
  kwargs: Record<string, unknown>;
  steps: number;
  bad_steps: Record<string, string>;
  clip_norm: number | null;
  x: number[][];
  init: { weight: number[][]; bias: number[] };
  scales: number[];
  trackers: number[];
  stepped: boolean[];
  losses: (number | string)[];
  final: { weight: number[][]; bias: number[] };
  state_dict: Record<string, number>;
}

/** What the reader uses of a gradient scaler. */
interface AnyScaler {
  scale(loss: torch.Tensor): torch.Tensor;
  unscale_(optimizer: unknown): void;
  step(optimizer: unknown): unknown;
  update(): void;
  getScale(): number;
  stateDict(): Record<string, unknown>;
}

/** Gradient scaling with injected infinities: scale, growth tracker, skipped steps, weights. */
export const gradScaler: Group = async (folder, report) => {
  const group = loadGroup<{ rtol: number; cases: ScalerCase[] }>(folder, "grad_scaler");
  if (group === undefined) return;
  const tolerance = { rtol: group.about.rtol, atol: group.about.rtol };
  for (const case_ of group.about.cases) {
    await report.run(`grad_scaler/${case_.name}`, () => {
      const cls = classOf<AnyScaler>(torch.amp, "amp", "GradScaler");
      const model = new torch.nn.Linear(4, 2);
      model.loadStateDict({ weight: torch.tensor(case_.init.weight), bias: torch.tensor(case_.init.bias) });
      const optimizer = new torch.optim.SGD(model.parameters(), { lr: 0.01 });
      const scaler = new cls({ device: "cpu", ...camelCaseKeys(case_.kwargs) });
      const x = torch.tensor(case_.x);
      const [losses, scales, stepped, trackers]: [number[], number[], boolean[], unknown[]] = [
        [],
        [],
        [],
        [],
      ];
      for (let t = 0; t < case_.steps; t++) {
        optimizer.zeroGrad();
        let loss = (model.forward(x) as torch.Tensor).pow(2).mean();
        const bad = case_.bad_steps[t];
        if (bad !== undefined) loss = loss.mul(number(bad));
        scaler.scale(loss).backward();
        if (case_.clip_norm) {
          scaler.unscale_(optimizer);
          const utils = (torch.nn as unknown as { utils: unknown }).utils;
          functionOf(utils, "nn.utils", "clip_grad_norm_")([...model.parameters()], case_.clip_norm);
        }
        const before = model.weight.detach().clone();
        scaler.step(optimizer);
        scaler.update();
        losses.push(loss.item());
        scales.push(scaler.getScale());
        trackers.push(scaler.stateDict()._growth_tracker ?? 0);
        stepped.push(!before.equal(model.weight));
      }
      expectNumbers("scales", scales, case_.scales, tolerance);
      expectSame("growth trackers", trackers, case_.trackers);
      expectSame("steps taken", stepped, case_.stepped);
      expectNumbers("losses", losses, case_.losses.map(number), tolerance);
      expectNumbers("final weight", model.weight.toArray(), case_.final.weight, tolerance);
      expectNumbers("final bias", model.bias?.toArray(), case_.final.bias, tolerance);
      expectSame("names of the state", Object.keys(scaler.stateDict()), Object.keys(case_.state_dict));
    });
  }
};
