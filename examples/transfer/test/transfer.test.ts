import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { numberIn, runExample } from "../../run.js";

describe("the transfer learning example, on a few batches", () => {
  const run = runExample("transfer", "--fast");

  it("learns new digits better with a backbone that knows others", () => {
    const scratch = numberIn(run.output, /^([\d.]+) % .* that knew nothing/m);
    const finetuned = numberIn(run.output, /^([\d.]+) % by one/m);
    expect(scratch).toBeGreaterThan(50);
    expect(finetuned).toBeGreaterThan(scratch);
  });

  it("trains the backbone from epoch 10 on, with a learning rate of its own that grows", () => {
    const csv = readFileSync(join(run.folder, "runs/transfer-finetuned/version_0/metrics.csv"), "utf8");
    const [names, ...rows] = csv
      .trim()
      .split("\r\n")
      .map((row) => row.split(","));
    const rates = (name: string) =>
      rows.map((row) => row[names!.indexOf(name)]!).filter((rate) => rate !== "");
    expect(new Set(rates("lr-Adam/pg1"))).toEqual(new Set(["0.005"]));
    expect([...new Set(rates("lr-Adam/pg2"))].map((rate) => Number(Number(rate).toFixed(6)))).toEqual([
      0.0005, 0.00075, 0.001125, 0.001688, 0.002531, 0.003797, 0.005,
    ]);
  });
});
