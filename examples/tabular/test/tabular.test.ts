import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { numberIn, runExample } from "../../run.js";

describe("the example of a table, with fewer customers", () => {
  const run = runExample("tabular", "--fast");

  it("tells who is about to leave, nearly as well as one can", () => {
    const auroc = numberIn(run.output, /AUROC (0\.\d+)/);
    const best = numberIn(run.output, /true chances would have (0\.\d+)/);
    expect(auroc).toBeGreaterThan(0.75);
    expect(auroc).toBeLessThanOrEqual(best + 0.01);
  });

  it("makes the table that it reads", () => {
    const lines = readFileSync(join(run.folder, "runs/few-customers.csv"), "utf8").split("\n");
    expect(lines[0]).toBe("plan,city,payment,months,minutes,price,chance,left");
    expect(lines[1]).toBe("plus,Bergen,invoice,26,209,33.50,0.5048,1");
    expect(lines).toHaveLength(4_002);
  });
});
