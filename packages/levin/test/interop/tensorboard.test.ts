import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@levin/torch";
import { nn, optim, type Tensor } from "@levin/torch";
import { LightningModule, setQuiet, TensorBoardLogger, Trainer } from "levin";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runPython } from "./python.js";

interface Events {
  scalars: Record<string, [step: number, value: number][]>;
  histograms: Record<string, { step: number; counts: number[]; limits: number[] }[]>;
  texts: Record<string, string[]>;
  hparams: Record<string, unknown>;
  metrics: string[];
}

class Net extends LightningModule<Tensor> {
  readonly layer = new nn.Linear(1, 1);

  constructor() {
    super();
    this.saveHyperparameters({ lr: 0.1, name: "net", nested: { deep: true } });
  }

  override trainingStep(batch: Tensor, batchIdx: number): Tensor {
    this.log("x", batchIdx / 4);
    return this.layer.forward(batch).mean();
  }

  override validationStep(): void {
    this.log("v", 0.1);
  }

  override configureOptimizers() {
    return new optim.SGD(this.parameters(), { lr: 0.1 });
  }
}

describe("event files", () => {
  const folder = mkdtempSync(join(tmpdir(), "levin-"));
  let events: Events;
  let histogram: Events;
  let reference: Events;
  afterAll(() => rmSync(folder, { recursive: true }));

  beforeAll(async () => {
    setQuiet(true);
    const logger = new TensorBoardLogger(folder, { name: "runs" });
    const trainer = new Trainer({
      accelerator: "cpu",
      maxEpochs: 2,
      logger,
      logEveryNSteps: 1,
      enableCheckpointing: false,
      enableProgressBar: false,
      enableModelSummary: false,
    });
    const batches = (count: number) => new Set(Array.from({ length: count }, () => torch.ones([2, 1])));
    await trainer.fit(new Net(), { trainDataloaders: batches(2), valDataloaders: batches(1) });
    logger.experiment.addText("note", "**it works**: ä", 1);
    logger.finalize("success");

    const values = [0, 0.001, -0.5, -0.5, 3, 3.0001, 1e-14, 250, -1e5];
    const histogramLogger = new TensorBoardLogger(folder, { name: "histogram" });
    histogramLogger.experiment.addHistogram("weights", torch.tensor(values), 3);
    histogramLogger.finalize("success");
    const written = join(folder, "reference");
    await runPython("write_events.py", written, JSON.stringify(values));

    const folders = [logger.logDir, histogramLogger.logDir, written];
    [events, histogram, reference] = JSON.parse(await runPython("read_events.py", ...folders));
  });

  it("hold scalars with their steps, that TensorBoard reads", () => {
    const v = Math.fround(0.1);
    expect(events.scalars).toEqual({
      hp_metric: [[0, -1]],
      x: [
        [0, 0],
        [1, 0.25],
        [2, 0],
        [3, 0.25],
      ],
      v: [
        [1, v],
        [3, v],
      ],
      epoch: [
        [0, 0],
        [1, 0],
        [1, 0],
        [2, 1],
        [3, 1],
        [3, 1],
      ],
    });
  });

  it("hold hyperparameters and texts", () => {
    expect(events.hparams).toEqual({ lr: 0.1, name: "net", "nested/deep": true });
    expect(events.metrics).toEqual(["hp_metric"]);
    expect(events.texts).toEqual({ "note/text_summary": ["**it works**: ä"] });
  });

  it("hold the same histograms as PyTorch's SummaryWriter", () => {
    expect(histogram.histograms).toEqual(reference.histograms);
  });
});
