import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nn, type optim, type Tensor } from "@levin/torch";
import { Callback, CSVLogger, LightningModule, Trainer, type TrainerOptions } from "levin";
import type { Clock } from "./clock.js";
import { makeLoader } from "./data.js";
import { type Model, makeModel, type Net } from "./models.js";
import type { Workload } from "./plan.js";

/** The module of every workload, as a user would write it. */
export class Bench extends LightningModule {
  net: Net;
  readonly #model: Model;
  readonly #logs: boolean;
  readonly #progBar: boolean;

  constructor(model: Model, { logs, progBar }: { logs: boolean; progBar: boolean }) {
    super();
    this.net = model.net;
    this.#model = model;
    this.#logs = logs;
    this.#progBar = progBar;
  }

  override trainingStep(batch: unknown): Tensor {
    const loss = this.#model.loss(this.net, batch);
    if (this.#logs) this.log("train_loss", loss, { progBar: this.#progBar });
    return loss;
  }

  override validationStep(batch: unknown): void {
    const [x, y] = batch as [Tensor, Tensor];
    const out = this.net.forward(x);
    const batchSize = y.size(0);
    this.log("val_loss", nn.functional.crossEntropy(out, y), { batchSize });
    this.log("val_acc", out.argmax(1).eq(y).float().mean(), { batchSize });
  }

  override predictStep(batch: unknown): Tensor {
    return this.net.forward((batch as [Tensor, Tensor])[0]);
  }

  override configureOptimizers(): optim.Optimizer {
    return this.#model.optimizer(this.parameters());
  }
}

/** Tells the clock of every step. */
class Timer extends Callback {
  readonly #clock: Clock;

  constructor(clock: Clock) {
    super();
    this.#clock = clock;
  }

  override onTrainBatchEnd(_trainer: Trainer, _module: LightningModule, outputs: unknown): void {
    this.#clock.tick(() => (outputs as { loss: Tensor }).loss.item<number>());
  }

  override onValidationBatchEnd(): void {
    this.#clock.tick();
  }

  override onPredictBatchEnd(): void {
    this.#clock.tick();
  }
}

/** Everything off that is on by default and costs time. */
export const QUIET = {
  enableProgressBar: false,
  enableModelSummary: false,
  enableCheckpointing: false,
  logger: false,
} satisfies TrainerOptions;

/** Runs a workload under the Trainer. */
export async function runLevin(workload: Workload, clock: Clock): Promise<void> {
  const plain = workload !== "mlp-default";
  const module = new Bench(makeModel(workload), { logs: workload !== "tiny", progBar: !plain });
  const loader = makeLoader(workload);
  const folder = mkdtempSync(join(tmpdir(), "levin-bench-"));
  try {
    const options: TrainerOptions = {
      accelerator: "cpu",
      devices: 1,
      defaultRootDir: folder,
      callbacks: [new Timer(clock)],
      ...(plain ? QUIET : { logger: new CSVLogger(folder) }),
    };
    if (workload === "infer" || workload === "val") {
      const trainer = new Trainer(options);
      while (clock.seen < clock.total) {
        if (workload === "infer") await trainer.predict(module, { dataloaders: loader });
        else await trainer.validate(module, { dataloaders: loader, verbose: false });
      }
      if (workload === "val") clock.loss = Number(trainer.callbackMetrics.val_loss);
    } else {
      const trainer = new Trainer({ ...options, maxEpochs: -1, maxSteps: clock.total });
      await trainer.fit(module, { trainDataloaders: loader });
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
