import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as torch from "@levin/torch";
import { describe, expect, it } from "vitest";
import { runProgram } from "./child.js";
import { folder, useFolder } from "./folder.js";

useFolder();

/** Trains without an end and without a single await, with a logger and checkpoints, and tells what happens. */
const program = `
  import * as torch from "@levin/torch";
  import { Callback, CSVLogger, LightningDataModule, LightningModule, ModelCheckpoint, setQuiet, Trainer } from "levin";
  setQuiet(true);
  const [folder, options] = [process.argv[1], JSON.parse(process.argv[2] ?? "{}")];
  const batches = { iterate: () => ({ next: () => ({ done: false, value: torch.ones([1, 64]) }) }) };
  class Net extends LightningModule {
    layer = new torch.nn.Linear(64, 512);
    trainingStep(batch) {
      const loss = this.layer.forward(batch).pow(2).mean();
      this.log("loss", loss);
      return loss;
    }
    configureOptimizers() { return new torch.optim.Adam(this.parameters()); }
  }
  class Data extends LightningDataModule {
    trainDataloader() { return batches; }
    onException(error) { console.log("data", error.name); }
  }
  class Told extends Callback {
    onTrainBatchEnd(trainer, module, outputs, batch, batchIdx) { if (batchIdx === 20) console.log("training"); }
    onException(trainer, module, error) {
      console.log("callback", error.name);
      if (options.hang) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60_000);
    }
  }
  const trainer = new Trainer({ accelerator: "cpu", maxEpochs: 1, logEveryNSteps: 1, enableProgressBar: false,
    logger: new CSVLogger(folder, { name: "csv", version: "" }), enableModelSummary: false,
    callbacks: [new Told(), new ModelCheckpoint({ dirpath: folder, saveOnException: true, ...options.checkpoint })] });
  try {
    await trainer.fit(new Net(), { datamodule: new Data() });
  } catch (error) {
    console.log(error.name, trainer.state.status, process.listenerCount("SIGINT"));
    process.exitCode = 3;
  }
`;

const checkpoints = () => readdirSync(folder).filter((name) => name.endsWith(".ckpt"));

describe("Ctrl-C", () => {
  it("ends a fit with its hooks, its logs, and a checkpoint", async () => {
    const { code, stdout } = await runProgram(program, {
      args: [folder],
      onOutput: (text, child) => {
        if (text === "training\n") child.kill("SIGINT");
      },
    });
    expect(stdout).toBe(
      "training\ncallback KeyboardInterrupt\ndata KeyboardInterrupt\nKeyboardInterrupt interrupted 0\n",
    );
    expect(code).toBe(3);
    const [name, ...others] = checkpoints();
    expect(others).toEqual([]);
    const steps = Number(/step=(\d+)/.exec(name!)?.[1]);
    expect((torch.load(join(folder, name!)) as { global_step: number }).global_step).toBe(steps);
    const rows = readFileSync(join(folder, "csv", "metrics.csv"), "utf8")
      .trim()
      .split("\n");
    expect(rows.length - 1).toBe(steps);
  });

  it("pressed twice ends the process at once, even where it does not come to the event loop", async () => {
    let pressed = 0;
    const { code, signal, stdout } = await runProgram(program, {
      args: [folder, JSON.stringify({ hang: true })],
      onOutput: (text, child) => {
        if (pressed === 0 && text.includes("training")) {
          pressed = 1;
          child.kill("SIGINT");
        } else if (pressed === 1 && text.includes("callback")) {
          pressed = 2;
          child.kill("SIGINT");
        }
      },
    });
    expect(stdout).toBe("training\ncallback KeyboardInterrupt\n");
    expect(signal ?? code).toBe("SIGINT");
  });

  it("leaves whole checkpoints, as even a kill does", async () => {
    await runProgram(program, {
      args: [folder, JSON.stringify({ checkpoint: { everyNTrainSteps: 1, saveTopK: -1 } })],
      onOutput: (text, child) => {
        if (text === "training\n") child.kill("SIGKILL");
      },
    });
    expect(checkpoints().length).toBeGreaterThanOrEqual(20);
    for (const name of checkpoints()) torch.load(join(folder, name));
  });
});
