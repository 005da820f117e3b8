import * as torch from "@levin/torch";
import { expect, it } from "vitest";
import { evaluate } from "../../dist/python/evaluate.js";
import { parsePython } from "../../dist/python/parse.js";
import { compare, Outcome, record } from "./recording.js";

it("Python expressions give what they give in PyTorch", () => {
  torch.setNumThreads(1);
  const { seed, calls, decode } = record("record_expressions.py", "expressions.txt");
  const outcome = new Outcome();
  const names: Record<string, unknown> = {};
  for (const { name, expression, result } of calls) {
    torch.manualSeed(seed);
    if (name !== undefined) names[name] = evaluate(parsePython(expression), names);
    else outcome.add(expression, () => compare(evaluate(parsePython(expression), names), decode(result)));
  }
  expect(Object.fromEntries(outcome.failed)).toEqual({});
  console.log(`${outcome.names.size} expressions, ${outcome.same} to the bit`);
});
