// Trains a convolutional network on MNIST, tests the best of its checkpoints, and shows what it makes of a few digits.
//
//   npm run mnist              in the root of the repository
//   npm run mnist -- --fast    a few batches only
import { parseArgs } from "node:util";
import {
  CSVLogger,
  EarlyStopping,
  LearningRateMonitor,
  ModelCheckpoint,
  seedEverything,
  TensorBoardLogger,
  Trainer,
} from "levin";
import { Classifier, type Prediction } from "./classifier.js";
import { Digits } from "./data.js";
import { showDigits } from "./show.js";

const { fast } = parseArgs({ options: { fast: { type: "boolean", default: false } } }).values;
seedEverything(42);

const csv = new CSVLogger("runs", { name: "mnist" });
const tensorboard = new TensorBoardLogger("runs", { name: "mnist", version: csv.version });
const trainer = new Trainer({
  maxEpochs: fast ? 1 : 3,
  ...(fast ? { limitTrainBatches: 20, limitValBatches: 2, limitTestBatches: 2 } : {}),
  logEveryNSteps: 10,
  logger: [csv, tensorboard],
  callbacks: [
    new ModelCheckpoint({ monitor: "val_acc", mode: "max", filename: "{epoch}-{val_acc:.4f}" }),
    new EarlyStopping("val_acc", { mode: "max" }),
    new LearningRateMonitor(),
  ],
});

const digits = new Digits();
await trainer.fit(new Classifier(), { datamodule: digits });
const [results] = await trainer.test(null, { datamodule: digits, ckptPath: "best" });
const [prediction] = (await trainer.predict(null, { datamodule: digits, ckptPath: "best" })) as Prediction[];

console.log(`\n${showDigits(prediction!)}\n`);
console.log(`${(100 * results!.test_acc!).toFixed(2)} % of the test images were recognised.`);
console.log(`Logs and the best checkpoint are in ${csv.logDir}: tensorboard --logdir runs`);
