import { readdirSync } from "node:fs";
import * as torch from "@levin/torch";
import { data, nn, optim, type Tensor } from "@levin/torch";
import { LightningModule, setQuiet, Trainer, type TrainerOptions } from "levin";
import { beforeAll, describe, expect, it } from "vitest";

beforeAll(() => setQuiet(true));

type Batch = [x: Tensor, y: Tensor];

class Net extends LightningModule<Batch> {
  readonly layer = new nn.Linear(3, 1);
  readonly losses: number[] = [];

  override trainingStep([x, y]: Batch): Tensor {
    const loss = nn.functional.mseLoss(this.layer.forward(x), y);
    this.losses.push(loss.item());
    return loss;
  }

  override validationStep([x]: Batch): void {
    this.layer.forward(x);
  }

  override configureOptimizers() {
    return new optim.SGD(this.parameters(), { lr: 0.1 });
  }
}

/** The number of this process's threads, where the system tells. */
const threads = () => (process.platform === "linux" ? readdirSync("/proc/self/task").length : 0);

async function train(numWorkers: number, options: TrainerOptions): Promise<number[]> {
  torch.manualSeed(0);
  const dataset = new data.TensorDataset(torch.randn([24, 3]), torch.randn([24, 1]));
  const loader = new data.DataLoader(dataset, { batchSize: 4, shuffle: true, numWorkers });
  const net = new Net();
  const trainer = new Trainer({
    accelerator: "cpu",
    logger: false,
    enableCheckpointing: false,
    enableProgressBar: false,
    enableModelSummary: false,
    ...options,
  });
  await trainer.fit(net, { trainDataloaders: loader, valDataloaders: loader });
  await loader.close();
  return net.losses;
}

describe("loaders with workers", () => {
  it("train as loaders without", async () => {
    expect(await train(2, { maxEpochs: 2 })).toEqual(await train(0, { maxEpochs: 2 }));
  });

  it("have stopped their workers when an epoch ends early", async () => {
    const before = threads();
    const losses = await train(2, { maxEpochs: 3, limitTrainBatches: 2, limitValBatches: 1 });
    expect(losses).toHaveLength(6);
    expect(threads()).toBeLessThanOrEqual(before);
  });
});
