import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { numberIn, runExample } from "../../run.js";

describe("the MNIST example, on a few batches", () => {
  const run = runExample("mnist", "--fast");
  const logs = join(run.folder, "runs", "mnist", "version_0");

  it("trains, tests, and shows the first five digits of the test set", () => {
    expect(run.output).toMatch(/^test_acc +0\.\d+$/m);
    expect(run.output).toMatch(/█/);
    expect(run.output).toMatch(/^\d \(\d+\.\d %\).*( {2}\d \(\d+\.\d %\).*){4}$/m);
    expect(numberIn(run.output, /^([\d.]+) % of the test images/m)).toBeGreaterThan(60);
  });

  it("leaves logs and the best checkpoint", () => {
    const rows = readFileSync(join(logs, "metrics.csv"), "utf8").split("\r\n");
    expect(rows[0]).toBe("epoch,lr-Adam,step,test_acc,test_loss,train_loss,val_acc,val_loss");
    expect(readdirSync(logs).some((name) => name.startsWith("events.out.tfevents."))).toBe(true);
    expect(existsSync(join(logs, "hparams.yaml"))).toBe(true);
    expect(readdirSync(join(logs, "checkpoints"))).toEqual([
      expect.stringMatching(/^epoch=0-val_acc=0\.\d{4}\.ckpt$/),
    ]);
  });
});
