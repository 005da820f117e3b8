import type { Tensor } from "@levin/torch";
import { build, type Spec } from "../models.js";
import { arrange, type Parameter, signatures } from "../signatures.js";
import { expectForwardBackward } from "./calls.js";
import { expectClose, expectSame, type Tolerance } from "./compare.js";
import { type Group, loadGroup, part } from "./group.js";

interface LayerCase {
  name: string;
  module: string;
  args: unknown[];
  module_kwargs: Record<string, unknown>;
  mode: "train" | "eval";
  call_kwargs: Record<string, unknown>;
  inputs_as_tuple_from: number | null;
  state_keys: string[];
}

/** Forward and gradients of modules with given weights. */
export const layers: Group = async (folder, report) => {
  const group = loadGroup<Tolerance & { cases: LayerCase[] }>(folder, "layers");
  if (group === undefined) return;
  const { about, tensors } = group;
  for (const case_ of about.cases) {
    const { name } = case_;
    await report.run(`layers/${name}`, () => {
      const module = build([case_.module, case_.args, case_.module_kwargs] satisfies Spec);
      expectSame("names of the state", Object.keys(module.stateDict()), case_.state_keys);
      module.loadStateDict(part(tensors, `${name}/state/`));
      module.train(case_.mode === "train");
      const at = case_.inputs_as_tuple_from;
      const call = (inputs: Tensor[]) => {
        const given = at ? [...inputs.slice(0, at), inputs.slice(at)] : inputs;
        return module.forward(...forwardArguments(case_.module, given, case_.call_kwargs));
      };
      expectForwardBackward(name, tensors, call, new Map(module.namedParameters()), about);
      const buffers = new Map(module.namedBuffers());
      for (const [key, want] of Object.entries(part(tensors, `${name}/buffer_after/`))) {
        expectClose(`buffer ${key}`, buffers.get(key), want, about);
      }
    });
  }
};

/** What levin takes by place although Python has a default for it. */
const BY_PLACE = new Set(["hx", "offsets", "per_sample_weights"]);

/** Inputs go by place, but for those with a default in Python, such as masks: these are options, as keyword arguments are. */
export function forwardArguments(
  module: string,
  inputs: unknown[],
  kwargs: Record<string, unknown> = {},
): unknown[] {
  const signature = signatures.forwards[module]?.map(
    ([name, optional]): Parameter => [name, optional && !BY_PLACE.has(name)],
  );
  return signature === undefined ? [...inputs] : arrange(signature, inputs, kwargs);
}
