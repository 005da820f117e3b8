import { describe, expect, it } from "vitest";
import { numberIn, runExample } from "../../run.js";
import { type Batch, Characters } from "../dist/data.js";

describe("the LSTM example, on a few batches", () => {
  const run = runExample("lstm", "--fast");

  it("learns to predict characters, the better for what it remembers", () => {
    const after = numberIn(run.output, /([\d.]+) after/);
    expect(numberIn(run.output, /([\d.]+) before/)).toBeGreaterThan(4);
    expect(after).toBeLessThan(3);
    expect(numberIn(run.output, /it would be ([\d.]+)\./)).toBeGreaterThan(after);
  });
});

describe("its batches", () => {
  it("go on, row by row, where the batch before has ended", () => {
    const [first, second] = [...new Characters({ windowSize: 8, batchSize: 4 }).valDataloader()].slice(0, 2);
    const [[, targets], [tokens]] = [first, second] as [Batch, Batch];
    expect(tokens.shape).toEqual([4, 8]);
    expect(tokens.get(["...", 0]).equal(targets.get(["...", -1]))).toBe(true);
  });
});
