import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { numberIn, runExample } from "../../run.js";

describe("the GAN example, on a few batches", () => {
  const run = runExample("gan", "--fast");

  it("begins to make images that look like digits", () => {
    const before = numberIn(run.output, /([\d.]+) before/);
    const after = numberIn(run.output, /([\d.]+) after/);
    expect(after).toBeGreaterThan(before + 0.2);
  });

  it("writes a picture of what the generator makes", () => {
    expect(existsSync(join(run.folder, "runs/gan/version_0/digits.png"))).toBe(true);
  });
});
