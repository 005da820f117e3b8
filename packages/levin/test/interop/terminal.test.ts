import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { drawnLines, runProgram } from "../child.js";
import { runPython } from "./python.js";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "levin-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A fit with everything that is on by default. */
const program = (root: string) => `
  import * as torch from "@levin/torch";
  import { LightningModule, Trainer } from "levin";
  class Net extends LightningModule {
    layer = new torch.nn.Linear(1, 1);
    trainingStep(batch) {
      const loss = this.layer.forward(batch).mean();
      this.log("loss", loss, { progBar: true });
      return loss;
    }
    configureOptimizers() { return new torch.optim.SGD(this.parameters(), { lr: 0.1 }); }
  }
  const batches = new Set(Array.from({ length: 300 }, () => torch.ones([1, 1])));
  const trainer = new Trainer({ accelerator: "cpu", maxEpochs: 1, defaultRootDir: ${JSON.stringify(root)} });
  await trainer.fit(new Net(), { trainDataloaders: batches });
`;

describe("a fit with everything that is on by default", () => {
  it("shows the summary and the progress in a terminal", async () => {
    const source = program(folder);
    const output = await runPython(
      "run_in_terminal.py",
      process.execPath,
      "--input-type=module",
      "-e",
      source,
    );
    const lines = drawnLines(output.replaceAll("\r", ""));
    expect(lines).toContain("0 | layer | Linear | 2      | train | 0    ");
    expect(lines).toContain("2         Total params");
    expect(
      lines.some((line) =>
        /^Epoch 0: 100%\|█+\| 300\/300 \[00:0\d<00:00, .*it\/s, v_num=0, loss=/.test(line),
      ),
    ).toBe(true);
    expect(lines.every((line) => line.length <= 100)).toBe(true);
  });

  it("prints nothing where the output is no terminal", async () => {
    const { stdout, stderr, code } = await runProgram(program(folder));
    expect([stdout, stderr, code]).toEqual(["", "", 0]);
  });
});
