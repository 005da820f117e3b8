import * as torch from "@levin/torch";
import { flat } from "../levin.js";
import { type AnyModule, build, type Spec } from "../models.js";
import { evaluate } from "../python/evaluate.js";
import { parsePython } from "../python/parse.js";
import { NotCovered } from "../report.js";
import { expectClose, expectSame, type Tolerance } from "./compare.js";
import { type Group, loadGroup, numbered, part, type Tensors } from "./group.js";
import { forwardArguments } from "./layers.js";

interface ModelCase {
  name: string;
  model: Spec;
  output_dtype: string;
  module_output_dtypes: Record<string, string[]>;
}

interface AutocastAbout extends Tolerance {
  device: torch.Device;
  dtype: "bfloat16" | "float16";
  models: ModelCase[];
  functions: ({ call: string } & Record<string, string>)[];
}

/** Mixed precision: values, gradients, and which type each module and call returns. */
export const autocast: Group = async (folder, report) => {
  const group = loadGroup<AutocastAbout>(folder, "autocast");
  if (group === undefined) return;
  const { about, tensors } = group;
  const cast = <T>(fn: () => T): T => torch.amp.autocast({ device: about.device, dtype: about.dtype }, fn);
  for (const case_ of about.models) {
    await report.run(`autocast/${case_.name}`, () => runModel(case_, about, tensors, cast));
  }
  for (const { call, ...columns } of about.functions) {
    await report.run(`autocast/${call}`, () => {
      const tree = parsePython(call);
      for (const [dtype, want] of Object.entries(columns)) {
        const names = Object.fromEntries(
          Object.entries(SHAPES).map(([name, shape]) => [name, torch.randn(shape).to(dtype as torch.DType)]),
        );
        expectSame(
          `type of the result for ${dtype}`,
          resultType(() => cast(() => evaluate(tree, names))),
          want,
        );
      }
    });
  }
};

/** The shapes of the variables in the calls. */
const SHAPES: Record<string, number[]> = { a: [4, 4], m: [1, 2, 8, 8], w: [3, 2, 3, 3] };

function resultType(fn: () => unknown): string {
  try {
    return flat(fn())[0]?.dtype ?? "no tensor";
  } catch (error) {
    if (error instanceof NotCovered) throw error;
    return "error";
  }
}

function runModel(
  case_: ModelCase,
  tolerance: Tolerance,
  tensors: Tensors,
  cast: <T>(fn: () => T) => T,
): void {
  const { name } = case_;
  const model = build(case_.model);
  model.loadStateDict(part(tensors, `${name}/state/`));
  const types: Record<string, string[]> = {};
  for (const [path, module] of model.namedModules() as Iterable<[string, AnyModule]>) {
    if ([...module.children()].length > 0) continue;
    module.registerForwardHook((_module: unknown, _inputs: unknown, output: unknown) => {
      types[path] = flat(output).map((t) => t.dtype);
    });
  }
  const given = forwardArguments(case_.model[0], numbered(tensors, `${name}/input/`));
  const [output] = flat(cast(() => model.forward(...given))) as [torch.Tensor];
  output
    .float()
    .mul(tensors[`${name}/cotangent`] as torch.Tensor)
    .sum()
    .backward();
  expectSame("output type", output.dtype, case_.output_dtype);
  for (const [path, want] of Object.entries(case_.module_output_dtypes))
    expectSame(`type of ${path}`, types[path], want);
  expectClose("output", output.float(), tensors[`${name}/output`] as torch.Tensor, tolerance);
  const parameters = new Map(model.namedParameters());
  for (const [key, want] of Object.entries(part(tensors, `${name}/grad/`))) {
    expectClose(`gradient of ${key}`, parameters.get(key)?.grad, want, tolerance);
  }
}
