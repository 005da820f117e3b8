import * as torch from "@levin/torch";
import { beforeAll, describe, expect, it } from "vitest";
import { camelCase } from "../../dist/names.js";
import { arrange, signatures } from "../../dist/signatures.js";
import { compare, flat, Outcome, type RecordedCall, type Recording, record } from "./recording.js";

let recording: Recording;
beforeAll(() => {
  torch.setNumThreads(1);
  recording = record("record_operators.py");
}, 900_000);

type Callable = (...args: unknown[]) => unknown;

function callableOf(call: RecordedCall, self: unknown): Callable {
  let found: unknown = call.kind === "method" ? self : torch;
  for (const part of call.name.split("."))
    found = (found as Record<string, unknown> | undefined)?.[camelCase(part)];
  if (typeof found !== "function") throw new Error("there is no such function");
  return found.bind(self) as Callable;
}

/** Calls levin as PyTorch was called. */
function repeat(call: RecordedCall): { args: unknown[]; result: unknown } {
  const args = recording.decode(call.args) as unknown[];
  const kwargs = recording.decode({ kwargs: call.kwargs }) as Record<string, unknown>;
  if (call.gradients !== undefined) for (const tensor of differentiable(args)) tensor.requiresGrad_();
  torch.manualSeed(recording.seed);
  if (call.kind === "method")
    return { args, result: callableOf(call, args[0])(...arrange(undefined, args.slice(1), kwargs)) };
  const inFunctional = /^nn\.functional\.(.+)$/.exec(call.name)?.[1];
  const signature = inFunctional === undefined ? undefined : signatures.functional[inFunctional];
  return { args, result: callableOf(call, undefined)(...arrange(signature, args, kwargs)) };
}

const differentiable = (value: unknown): torch.Tensor[] =>
  flat(value).filter(
    (part): part is torch.Tensor =>
      part instanceof torch.Tensor && (part.isFloatingPoint() || part.isComplex()),
  );

function gradientsOf(args: unknown[], result: unknown): (torch.Tensor | null)[] {
  const sums = differentiable(result)
    .filter((output) => output.requiresGrad)
    .map((output) => (output.isComplex() ? output.abs() : output).sum());
  const [first, ...others] = sums as [torch.Tensor, ...torch.Tensor[]];
  const total = others.reduce((sum, other) => sum.add(other), first);
  return torch.autograd.grad(total, differentiable(args), { allowUnused: true });
}

describe("operators, called with the inputs of PyTorch's own tests", () => {
  it("give what PyTorch gives", () => {
    const outcome = new Outcome();
    for (const call of recording.calls) {
      outcome.add(`${call.kind} ${call.name}`, () =>
        compare(repeat(call).result, recording.decode(call.result)),
      );
    }
    expect(Object.fromEntries(outcome.failed)).toEqual({});
    expect(outcome.names.size).toBeGreaterThan(1000);
    console.log(
      `${outcome.names.size} functions and methods in ${outcome.same + outcome.close} calls, ${outcome.same} to the bit`,
    );
  });

  it("have PyTorch's gradients", () => {
    const outcome = new Outcome();
    for (const call of recording.calls) {
      if (call.gradients === undefined) continue;
      outcome.add(`${call.kind} ${call.name}`, () => {
        const { args, result } = repeat(call);
        return compare(gradientsOf(args, result), recording.decode(call.gradients));
      });
    }
    expect(Object.fromEntries(outcome.failed)).toEqual({});
    expect(outcome.names.size).toBeGreaterThan(500);
    console.log(
      `gradients of ${outcome.names.size} in ${outcome.same + outcome.close} calls, ${outcome.same} to the bit`,
    );
  });
});
