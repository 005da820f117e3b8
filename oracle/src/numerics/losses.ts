import * as torch from "@levin/torch";
import { classOf } from "../levin.js";
import type { AnyModule } from "../models.js";
import { arrange, signatures } from "../signatures.js";
import { expectClose, expectNumber, type Tolerance } from "./compare.js";
import { type Group, loadGroup, number, numbered, part } from "./group.js";

interface LossCase {
  name: string;
  loss: string;
  kwargs: Record<string, unknown>;
  reductions: string[];
  values: Record<string, number | string>;
}

/** Values and gradients of loss modules for every reduction. */
export const losses: Group = async (folder, report) => {
  const group = loadGroup<Tolerance & { cases: LossCase[] }>(folder, "losses");
  if (group === undefined) return;
  const { about, tensors } = group;
  for (const { name, loss, kwargs, reductions, values } of about.cases) {
    await report.run(`losses/${name}`, () => {
      const cls = classOf<AnyModule>(torch.nn, "nn", loss);
      for (const reduction of reductions) {
        const grads = part(tensors, `${name}/${reduction}/grad/`);
        const inputs = numbered(tensors, `${name}/input/`).map((x, i) =>
          String(i) in grads ? x.requiresGrad_() : x,
        );
        const options = { reduction, ...kwargs, ...part(tensors, `${name}/option/`) };
        const value = new cls(...arrange(signatures.modules[loss], [], options)).forward(
          ...inputs,
        ) as torch.Tensor;
        if (reduction === "none")
          expectClose("none", value, tensors[`${name}/none/value`] as torch.Tensor, about);
        else expectNumber(reduction, value.item(), number(values[reduction] as number | string), about);
        value.sum().backward();
        for (const [i, want] of Object.entries(grads)) {
          expectClose(`${reduction}: gradient of input ${i}`, inputs[Number(i)]?.grad, want, about);
        }
      }
    });
  }
};
