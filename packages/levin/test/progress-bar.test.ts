import * as torch from "@levin/torch";
import { nn, optim, type Tensor } from "@levin/torch";
import { LightningModule, ProgressBar, setQuiet, TQDMProgressBar, Trainer } from "levin";
import { beforeAll, describe, expect, it } from "vitest";
import { asTerminal, drawnLines, keptLines, type Outcome, runProgram } from "./child.js";

beforeAll(() => setQuiet(true));

const net = `
  import { setTimeout as sleep } from "node:timers/promises";
  import * as torch from "@levin/torch";
  import { LightningModule, setQuiet, TQDMProgressBar, Trainer } from "levin";
  setQuiet(true);
  class Net extends LightningModule {
    layer = new torch.nn.Linear(1, 1);
    async trainingStep(batch, batchIdx) {
      await sleep(120);
      if (batchIdx === 1) console.log("a message");
      this.log("loss", 0.25, { progBar: true });
      return this.layer.forward(batch).mean();
    }
    async validationStep() { await sleep(120); }
    async testStep() { await sleep(120); }
    async predictStep() { await sleep(120); }
    configureOptimizers() { return new torch.optim.SGD(this.parameters(), { lr: 0 }); }
  }
  const batches = (count) => Array.from({ length: count }, () => torch.ones([1, 1]));
  const makeTrainer = (bar, options) => new Trainer({ accelerator: "cpu", maxEpochs: 2, logger: false, callbacks: bar,
    enableCheckpointing: false, enableModelSummary: false, numSanityValSteps: 1, ...options });
`;

const fit = `
  const trainer = makeTrainer(new TQDMProgressBar(barOptions));
  const module = new Net();
  await trainer.fit(module, { trainDataloaders: new Set(batches(3)), valDataloaders: new Set(batches(2)) });
  await trainer.test(module, { dataloaders: new Set(batches(2)), verbose: false });
  await trainer.predict(module, { dataloaders: new Set(batches(2)) });
`;

describe("TQDMProgressBar", () => {
  let inTerminal: Outcome;
  beforeAll(async () => {
    inTerminal = await runProgram(`${asTerminal} ${net} const barOptions = {}; ${fit}`);
  });

  it("shows batches, rate, time and metrics of each stage in a terminal", () => {
    const { stdout, code } = inTerminal;
    const lines = drawnLines(stdout);
    expect(code).toBe(0);
    const bar = (start: string, count: string) =>
      new RegExp(`^${start}\\|[█▏▎▍▌▋▊▉ ]+\\| ${count} \\[00:0\\d<(\\?|00:0\\d), +(\\?|\\d+\\.\\d\\d)it/s`);
    for (const expected of [
      bar("Sanity Checking DataLoader 0: 100%", "1/1"),
      bar("Epoch 0:  33%", "1/3"),
      bar("Epoch 1: 100%", "3/3"),
      bar("Validation DataLoader 0:  50%", "1/2"),
      bar("Testing DataLoader 0: 100%", "2/2"),
      bar("Predicting DataLoader 0: 100%", "2/2"),
    ]) {
      expect(lines.some((line) => expected.test(line))).toBe(true);
    }
    expect(lines.find((line) => line.startsWith("Epoch 1: 100%"))).toMatch(/, loss=0\.250\]$/);
    expect(lines.every((line) => line.length <= 100)).toBe(true);
  });

  it("lets what the program prints appear on lines of its own", () => {
    expect(drawnLines(inTerminal.stdout).filter((line) => line.includes("a message"))).toEqual([
      "a message",
      "a message",
    ]);
  });

  it("leaves one bar at the end of a fit, or one for each epoch", async () => {
    const kept = (stdout: string) => keptLines(stdout).filter((line) => line.startsWith("Epoch"));
    expect(kept(inTerminal.stdout).map((line) => line.slice(0, 7))).toEqual(["Epoch 1"]);
    const all = await runProgram(`${asTerminal} ${net} const barOptions = { leave: true }; ${fit}`);
    expect(kept(all.stdout).map((line) => line.slice(0, 7))).toEqual(["Epoch 0", "Epoch 1"]);
  });

  it("is silent where the output is no terminal, and with refreshRate 0", async () => {
    const piped = await runProgram(`${net} const barOptions = {}; ${fit}`);
    expect(piped.stdout).toBe("a message\na message\n");
    const off = await runProgram(`${asTerminal} ${net} const barOptions = { refreshRate: 0 }; ${fit}`);
    expect(off.stdout).toBe("a message\na message\n");
  });

  it("reads the values of metrics only when it draws", async () => {
    const { stdout } = await runProgram(`${asTerminal} ${net}
      class Fast extends Net {
        trainingStep(batch) {
          const loss = this.layer.forward(batch).mean();
          this.log("loss", loss, { progBar: true });
          return loss;
        }
      }
      let items = 0;
      const item = torch.Tensor.prototype.item;
      torch.Tensor.prototype.item = function () { items++; return item.call(this); };
      const trainer = makeTrainer([], { maxEpochs: 1, logger: false });
      await trainer.fit(new Fast(), { trainDataloaders: new Set(batches(5000)) });
      console.log(\`read \${items}\`);`);
    const read = Number(/read (\d+)/.exec(stdout)?.[1]);
    expect(read).toBeGreaterThan(0);
    expect(read).toBeLessThan(1000);
  });

  it("gives the terminal back when the run fails", async () => {
    const { stdout, stderr, code } = await runProgram(`${asTerminal} ${net}
      class Failing extends Net {
        async trainingStep(batch, batchIdx) {
          if (batchIdx === 2) throw new Error("no more");
          return super.trainingStep(batch, batchIdx);
        }
      }
      const before = process.stdout.write;
      const trainer = makeTrainer([], {});
      await trainer.fit(new Failing(), { trainDataloaders: new Set(batches(3)) }).catch((error) => console.error(error.message));
      console.log(String(process.stdout.write === before));`);
    expect([code, stderr, stdout.endsWith("true\n")]).toEqual([0, "no more\n", true]);
    expect(drawnLines(stdout).some((line) => /^Epoch 0: {2}67%/.test(line))).toBe(true);
  });

  it("refuses a refresh rate that is no number of batches", () => {
    expect(() => new TQDMProgressBar({ refreshRate: -1 })).toThrow(/refreshRate was given -1/);
  });
});

describe("ProgressBar", () => {
  class Net extends LightningModule<Tensor> {
    readonly layer = new nn.Linear(1, 1);
    override trainingStep(batch: Tensor) {
      this.log("loss", 0.5, { progBar: true });
      return this.layer.forward(batch).mean();
    }
    override validationStep() {}
    override configureOptimizers() {
      return new optim.SGD(this.parameters(), { lr: 0 });
    }
  }

  it("tells its subclasses how many batches there are, and which metrics to show", async () => {
    const seen: unknown[] = [];
    class Own extends ProgressBar {
      enable() {}
      disable() {}
      override onTrainBatchEnd(trainer: Trainer, module: LightningModule) {
        seen.push([this.totalTrainBatches, this.totalValBatches, this.getMetrics(trainer, module)]);
      }
      override onValidationBatchStart(
        _trainer: Trainer,
        _module: LightningModule,
        _batch: unknown,
        _batchIdx: number,
        dataloaderIdx = 0,
      ) {
        if (this.hasDataloaderChanged(dataloaderIdx)) seen.push(this.totalValBatchesCurrentDataloader);
      }
    }
    const batches = (count: number) => new Set(Array.from({ length: count }, () => torch.ones([1, 1])));
    const trainer = new Trainer({
      accelerator: "cpu",
      maxEpochs: 1,
      logger: false,
      callbacks: new Own(),
      enableCheckpointing: false,
      enableModelSummary: false,
      numSanityValSteps: 0,
    });
    await trainer.fit(new Net(), { trainDataloaders: batches(1), valDataloaders: [batches(2), batches(3)] });
    expect(seen).toEqual([[1, 5, { loss: 0.5 }], 2, 3]);
    expect(trainer.progressBarCallback).toBeInstanceOf(Own);
  });
});
