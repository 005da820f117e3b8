import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

describe("the MNIST example, on a few batches", () => {
  const folder = mkdtempSync(join(tmpdir(), "levin-"));
  const run = join(folder, "runs", "mnist", "version_0");
  let output = "";
  afterAll(() => rmSync(folder, { recursive: true }));
  beforeAll(async () => {
    const env = { ...process.env, OMP_NUM_THREADS: "1" }; // beside other tests more would be slower
    const main = fileURLToPath(new URL("../dist/main.js", import.meta.url));
    output = (await promisify(execFile)(process.execPath, [main, "--fast"], { cwd: folder, env })).stdout;
  });

  it("trains, tests, and shows the first five digits of the test set", () => {
    expect(output).toMatch(/^test_acc +0\.\d+$/m);
    expect(output).toMatch(/█/);
    expect(output).toMatch(/^\d \(\d+\.\d %\).*( {2}\d \(\d+\.\d %\).*){4}$/m);
    const accuracy = Number(/^([\d.]+) % of the test images/m.exec(output)?.[1]);
    expect(accuracy).toBeGreaterThan(60);
  });

  it("leaves logs and the best checkpoint", () => {
    const rows = readFileSync(join(run, "metrics.csv"), "utf8").split("\r\n");
    expect(rows[0]).toBe("epoch,lr-Adam,step,test_acc,test_loss,train_loss,val_acc,val_loss");
    expect(readdirSync(run).some((name) => name.startsWith("events.out.tfevents."))).toBe(true);
    expect(existsSync(join(run, "hparams.yaml"))).toBe(true);
    expect(readdirSync(join(run, "checkpoints"))).toEqual([
      expect.stringMatching(/^epoch=0-val_acc=0\.\d{4}\.ckpt$/),
    ]);
  });
});
