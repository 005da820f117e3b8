import * as torch from "@levin/torch";
import { flat, functionOf } from "../levin.js";
import { build, type Spec } from "../models.js";
import { evaluate } from "../python/evaluate.js";
import { parsePython } from "../python/parse.js";
import { arrange, signatures } from "../signatures.js";
import { expectClose, expectExact, expectNumber, expectSame, sha256 } from "./compare.js";
import { type Group, loadGroup, part } from "./group.js";
import { forwardArguments } from "./layers.js";

interface Seeded {
  key: string;
  seed: number | bigint;
  next_rand: number;
}

interface RandomAbout {
  init: (Seeded & { function: string; shape: number[]; kwargs: Record<string, unknown> })[];
  modules: (Seeded & { model: Spec; sha256: Record<string, string> })[];
  draws: (Seeded & { call: string })[];
  dropout: (Seeded & { model: Spec; input_shapes: number[][] })[];
  sequence: { seed: number } | null;
}

/** Fails where the generator has been asked for a number too many or too few. */
function expectNextRand(want: number): void {
  expectNumber("the next torch.rand(1)", torch.rand([1]).item(), want, { rtol: 0, atol: 0 });
}

/** Initialisers, default initial weights, draws, dropout: bit for bit what PyTorch gives under the same seed. */
export const random: Group = async (folder, report) => {
  const group = loadGroup<RandomAbout>(folder, "random");
  if (group === undefined) return;
  const { about, tensors } = group;
  const recorded = (key: string) => tensors[key] as torch.Tensor;

  for (const { key, seed, function: name, shape, kwargs, next_rand } of about.init) {
    await report.run(`random/${key}`, () => {
      const fn = functionOf(torch.nn.init, "nn.init", name);
      const x = torch.zeros(shape);
      torch.manualSeed(seed);
      fn(...arrange(signatures.init[name], [x], kwargs));
      expectExact("values", x, recorded(key));
      expectNextRand(next_rand);
    });
  }
  for (const { key, seed, model, sha256: digests, next_rand } of about.modules) {
    await report.run(`random/${key}`, () => {
      torch.manualSeed(seed);
      const state = build(model).stateDict();
      const next = torch.rand([1]).item<number>();
      expectSame("names of the state", Object.keys(state), Object.keys(digests));
      for (const [name, want] of Object.entries(part(tensors, `${key}/`)))
        expectExact(name, state[name], want);
      for (const [name, value] of Object.entries(state))
        expectSame(`sha256 of ${name}`, sha256(value), digests[name]);
      expectNumber("the next torch.rand(1)", next, next_rand, { rtol: 0, atol: 0 });
    });
  }
  for (const { key, seed, call, next_rand } of about.draws) {
    await report.run(`random/${key} ${call}`, () => {
      const tree = parsePython(call);
      torch.manualSeed(seed);
      expectExact("values", evaluate(tree) as torch.Tensor, recorded(key));
      expectNextRand(next_rand);
    });
  }
  for (const { key, seed, model, input_shapes, next_rand } of about.dropout) {
    await report.run(`random/${key}`, () => {
      torch.manualSeed(seed);
      const module = build(model);
      module.train();
      const inputs = input_shapes.map((shape) => torch.rand(shape).add(0.5));
      const [output] = flat(module.forward(...forwardArguments(model[0], inputs)));
      // Which numbers are dropped is exact; what is computed from the rest may be rounded differently.
      expectClose("output", output, recorded(`${key}/output`), { rtol: 0, atol: 1e-6 });
      expectNextRand(next_rand);
    });
  }
  if (about.sequence) {
    const { seed } = about.sequence;
    await report.run("random/state", () => {
      torch.setRngState(recorded("state/rng_state"));
      expectExact("what follows from the state", torch.randn([20]), recorded("state/next"));
      torch.manualSeed(seed);
      torch.randn([10]);
      torch.rand([3]);
      expectExact("the state after the same draws", torch.getRngState(), recorded("state/rng_state"));
    });
  }
};
