// A run with all that has a state: random order, random data, dropout, batch norm, schedulers, gradients that add up, callbacks.
// usage: node train.mjs FOLDER VARIANT EPOCHS. Goes on from the last checkpoint in FOLDER; writes the final state to FOLDER/final.pt.
import { join } from "node:path";
import * as torch from "@levin/torch";
import { data, nn, optim } from "@levin/torch";
import {
  AsyncCheckpointIO,
  Callback,
  EarlyStopping,
  LightningModule,
  ModelCheckpoint,
  setQuiet,
  Trainer,
} from "levin";
import { Noisy, Stream } from "./noisy.mjs";

const [folder, variant, epochs] = process.argv.slice(2);
setQuiet(true);
torch.setNumThreads(1);
torch.manualSeed(1);

class Net extends LightningModule {
  constructor() {
    super();
    this.layers = new nn.Sequential(
      new nn.Linear(6, 8),
      new nn.BatchNorm1d(8),
      new nn.ReLU(),
      new nn.Dropout(0.3),
      new nn.Linear(8, 3),
    );
  }

  trainingStep(batch) {
    const [x, y] = Array.isArray(batch) ? batch : [0, 1].map((i) => torch.cat([batch.x[i], batch.y[i]]));
    const loss = nn.functional.crossEntropy(this.layers.forward(x), y);
    this.log("loss", loss, { onEpoch: true });
    return loss;
  }

  validationStep([x, y]) {
    this.log("v", nn.functional.crossEntropy(this.layers.forward(x), y));
  }

  configureOptimizers() {
    const optimizer = new optim.AdamW(this.parameters(), { lr: 0.01 });
    return [
      [optimizer],
      [
        { scheduler: new optim.lrScheduler.ExponentialLR(optimizer, 0.999), interval: "step" },
        { scheduler: new optim.lrScheduler.StepLR(optimizer, 2, { gamma: 0.9 }) },
      ],
    ];
  }
}

/** Tells how far the run is, so that it can be killed somewhere. */
class Reporter extends Callback {
  onTrainBatchEnd(trainer, _module, _outputs, _batch, batchIdx) {
    process.stdout.write(`epoch ${trainer.currentEpoch} batch ${batchIdx}\n`);
    return new Promise((resolve) => setTimeout(resolve, 2));
  }
}

const trainer = new Trainer({
  accelerator: "cpu",
  maxEpochs: Number(epochs),
  logger: false,
  enableProgressBar: false,
  enableModelSummary: false,
  defaultRootDir: folder,
  accumulateGradBatches: variant === "accumulate" ? 3 : 1,
  plugins: variant === "async" ? new AsyncCheckpointIO() : undefined,
  callbacks: [
    new Reporter(),
    new EarlyStopping("v", { patience: 1000 }),
    variant === "accumulate"
      ? new ModelCheckpoint({ dirpath: folder, saveLast: true, trainTimeInterval: { milliseconds: 1 } })
      : new ModelCheckpoint({ dirpath: folder, saveLast: true, everyNTrainSteps: 3 }),
    new ModelCheckpoint({ dirpath: join(folder, "best"), monitor: "v", saveTopK: 2 }),
  ],
});
const set = variant === "stream" ? new Stream() : new Noisy();
const numWorkers = variant === "workers" ? 2 : 0;
const shuffle = variant !== "stream";
const net = new Net();
await trainer.fit(net, {
  trainDataloaders:
    variant === "two loaders"
      ? {
          x: new data.StatefulDataLoader(set, { batchSize: 4, shuffle }),
          y: new data.StatefulDataLoader(set, { batchSize: 6, shuffle }),
        }
      : new data.StatefulDataLoader(set, { batchSize: 4, shuffle, numWorkers }),
  valDataloaders: new data.DataLoader(new Noisy(), { batchSize: 16 }),
  ckptPath: "last",
});
torch.save({ weights: net.stateDict(), rng: torch.getRngState() }, join(folder, "final.pt"));
