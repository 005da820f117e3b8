import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { numberIn, runExample } from "../../run.js";

describe("the autoencoder example, on a few batches", () => {
  const run = runExample("autoencoder", "--fast");

  it("learns to reconstruct images", () => {
    const before = numberIn(run.output, /([\d.]+) before/);
    const after = numberIn(run.output, /([\d.]+) after/);
    expect(after).toBeLessThan(before / 2);
  });

  it("writes a picture of images and their reconstructions", () => {
    const png = readFileSync(join(run.folder, "runs/autoencoder/version_0/reconstructions.png"));
    expect(png.subarray(1, 4).toString()).toBe("PNG");
    expect([png.readUInt32BE(16), png.readUInt32BE(20)]).toEqual([12 * 28, 2 * 28]);
  });
});
