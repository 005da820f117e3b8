import * as torch from "@levin/torch";
import { type Callable, functionIn, functionOf } from "../levin.js";
import { arrange, signatures } from "../signatures.js";
import { expectForwardBackward } from "./calls.js";
import type { Tolerance } from "./compare.js";
import { type Group, loadGroup } from "./group.js";

interface FunctionCase {
  name: string;
  function: string;
  args_before: unknown[];
  args_after: unknown[];
  inputs_as_list: boolean;
  kwargs: Record<string, unknown>;
}

/** Forward and gradients of functions. */
export const functions: Group = async (folder, report) => {
  const group = loadGroup<Tolerance & { cases: FunctionCase[] }>(folder, "functions");
  if (group === undefined) return;
  for (const case_ of group.about.cases) {
    await report.run(`functions/${case_.name}`, () => {
      const fn = pythonFunction(case_.function);
      const call = (inputs: torch.Tensor[]) =>
        fn(
          [...case_.args_before, ...(case_.inputs_as_list ? [inputs] : inputs), ...case_.args_after],
          case_.kwargs,
        );
      expectForwardBackward(case_.name, group.tensors, call, new Map(), group.about);
    });
  }
};

/** A function by its Python name (`F.x`, `torch.x`, `linalg.x`), to be called with Python's arguments. */
function pythonFunction(name: string): (args: unknown[], kwargs: Record<string, unknown>) => unknown {
  const dot = name.lastIndexOf(".");
  const [space, last] = [name.slice(0, dot).replace(/^torch\./, ""), name.slice(dot + 1)];
  if (space === "F" || space === "nn.functional") {
    const fn = functionOf(torch.nn.functional, "nn.functional", last);
    return (args, kwargs) => fn(...arrange(signatures.functional[last], args, kwargs));
  }
  const fn: Callable = space === "torch" ? functionOf(torch, "torch", last) : functionIn(space, last);
  return (args, kwargs) => fn(...arrange(undefined, args, kwargs));
}
