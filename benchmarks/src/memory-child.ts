// One memory test, alone in its process: prints resident memory as JSON.

import * as torch from "@levin/torch";
import { data, nn, type Tensor } from "@levin/torch";
import { Callback, LightningModule, Trainer, type TrainerOptions } from "levin";
import { makeLoader } from "./data.js";
import { Bench, QUIET } from "./levin-engine.js";
import { makeModel } from "./models.js";

function residentMb(): number {
  return process.memoryUsage.rss() / 2 ** 20;
}

/** Samples resident memory every so many steps. */
class Sampler extends Callback {
  readonly samples: number[] = [];
  readonly #every: number;
  #steps = 0;

  constructor(every: number) {
    super();
    this.#every = every;
  }

  override onTrainBatchEnd(): void {
    this.#steps += 1;
    if (this.#steps % this.#every === 0) this.samples.push(residentMb());
  }
}

async function flat(workload: "tiny" | "mlp", limit: TrainerOptions, every: number): Promise<number[]> {
  const sampler = new Sampler(every);
  const trainer = new Trainer({
    accelerator: "cpu",
    devices: 1,
    maxEpochs: -1,
    callbacks: [sampler],
    ...limit,
    ...QUIET,
  });
  const module = new Bench(makeModel(workload), { logs: workload !== "tiny", progBar: false });
  await trainer.fit(module, { trainDataloaders: makeLoader(workload) });
  return sampler.samples;
}

const [WIDTH, DEPTH, ROWS, BATCHES] = [1024, 40, 2048, 2];

/** Validates a deep chain of layers whose outputs are large: kept alive, they would add up to 640 MB. */
class Deep extends LightningModule {
  net: nn.Sequential;

  constructor() {
    super();
    torch.manualSeed(0);
    this.net = new nn.Sequential(
      ...Array.from({ length: DEPTH }, () => [new nn.Linear(WIDTH, WIDTH), new nn.ReLU()]).flat(),
    );
  }

  override validationStep(batch: unknown): void {
    this.log("mean", (this.net.forward(batch as Tensor) as Tensor).mean());
  }
}

async function deep(): Promise<{ before: number; peak: number; parameters: number }> {
  const module = new Deep();
  const rows = torch.randn([ROWS, WIDTH]);
  const dataset = { length: ROWS * BATCHES, getItem: (i: number) => rows.select(0, i % ROWS) };
  const loader = new data.DataLoader(dataset, { batchSize: ROWS });
  const parameters = [...module.parameters()].reduce((sum, p) => sum + 4 * p.numel(), 0) / 2 ** 20;
  const before = residentMb();
  await new Trainer({ accelerator: "cpu", devices: 1, ...QUIET }).validate(module, {
    dataloaders: loader,
    verbose: false,
  });
  return { before, peak: process.resourceUsage().maxRSS / 1024, parameters };
}

switch (process.argv[2]) {
  case "flat-tiny":
    console.log(JSON.stringify({ samples: await flat("tiny", { maxSteps: 200_000 }, 1000) }));
    break;
  case "flat-mlp":
    console.log(JSON.stringify({ samples: await flat("mlp", { maxEpochs: 20 }, 100) }));
    break;
  case "deep":
    console.log(JSON.stringify(await deep()));
    break;
  default:
    throw new Error(`no memory test ${process.argv[2]}`);
}
