import { chmodSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { describe, expect, it } from "vitest";
import { runProgram } from "./child.js";
import { folder, useFolder } from "./folder.js";

useFolder();

/** Trains without an end and without a single await, and tells what happens. */
const program = `
  import * as torch from "@levin/torch";
  import { Callback, LightningModule, setQuiet, SIGTERMException, Trainer } from "levin";
  setQuiet(true);
  const say = (text) => process.stdout.write(text + "\\n");
  class Net extends LightningModule {
    layer = new torch.nn.Linear(4, 1);
    trainingStep(batch) { return this.layer.forward(batch).mean(); }
    configureOptimizers() { return new torch.optim.SGD(this.parameters(), { lr: 0.01 }); }
    onTrainStart() { say("start " + this.globalStep); }
    onTrainBatchEnd() { if (this.trainer.receivedSigterm) say("received"); }
  }
  class Watcher extends Callback {
    onException(trainer, module, error) { say("exception " + error.name); }
  }
  const trainer = new Trainer({
    accelerator: "cpu", maxEpochs: -1, logger: false, enableCheckpointing: false, enableProgressBar: false,
    enableModelSummary: false, callbacks: new Watcher(), defaultRootDir: process.argv[1],
  });
  try {
    await trainer.fit(new Net(), { trainDataloaders: new Set(Array.from({ length: 5 }, () => torch.ones([2, 4]))) });
  } catch (error) {
    if (!(error instanceof SIGTERMException)) throw error;
    say("ended " + trainer.state.status + " " + process.listenerCount("SIGTERM"));
  }
`;

describe("SIGTERM", () => {
  it("ends a fit after the batch, with onException, and listens no longer", async () => {
    let sent = false;
    const { code, stdout } = await runProgram(program, {
      args: [folder],
      onOutput(output, child) {
        if (sent || !output.includes("start")) return;
        sent = true;
        child.kill("SIGTERM");
      },
    });
    expect(stdout.trim().split("\n")).toEqual([
      "start 0",
      "received",
      "exception SIGTERMException",
      "ended interrupted 0",
    ]);
    expect(code).toBe(0);
  });
});

describe("in a job of SLURM", () => {
  /** A scontrol that writes down what it is called with. */
  function environment(): NodeJS.ProcessEnv {
    const bin = mkdtempSync(join(folder, "bin"));
    writeFileSync(join(bin, "scontrol"), `#!/bin/sh\necho "$@" > ${join(folder, "scontrol.log")}\n`);
    chmodSync(join(bin, "scontrol"), 0o755);
    return {
      PATH: `${bin}${delimiter}${process.env.PATH}`,
      SLURM_NTASKS: "1",
      SLURM_JOB_ID: "1234",
      SLURM_JOB_NAME: "train",
    };
  }

  it("SIGUSR1 saves a checkpoint and queues the job again, which goes on from there by itself", async () => {
    const env = environment();
    let requested = false;
    let terminated = false;
    const run = () =>
      runProgram(program, {
        args: [folder],
        env,
        onOutput(output, child) {
          if (!output.includes("start")) return;
          if (!requested) {
            requested = true;
            child.kill("SIGUSR1");
            // SLURM ends the job some time later
            const timer = setInterval(() => {
              if (!readdirSync(folder).includes("scontrol.log")) return;
              clearInterval(timer);
              child.kill("SIGTERM");
            }, 20);
          } else if (requested && !terminated && Number(/start (\d+)/.exec(output)?.[1]) > 0) {
            terminated = true;
            child.kill("SIGTERM");
          }
        },
      });
    expect((await run()).stdout).toMatch(/^start 0\n/);
    expect(readFileSync(join(folder, "scontrol.log"), "utf8")).toBe("requeue 1234\n");
    expect(readdirSync(folder)).toContain("hpc_ckpt_1.ckpt");
    expect((await run()).stdout).toMatch(/^start [1-9]\d*\n/);
  });
});
