// Learns from a CSV file which customers of a telephone company are about to leave.
//
//   npm run example -- tabular             in the root of the repository
//   npm run example -- tabular --fast      fewer customers and epochs
import { join } from "node:path";
import { parseArgs } from "node:util";
import {
  CSVLogger,
  EarlyStopping,
  LearningRateMonitor,
  ModelCheckpoint,
  seedEverything,
  Trainer,
} from "levin";
import { Churn } from "./churn.js";
import { Customers } from "./data.js";

const { fast } = parseArgs({ options: { fast: { type: "boolean", default: false } } }).values;
seedEverything(42);

const file = join("runs", fast ? "few-customers.csv" : "customers.csv");
const customers = new Customers({ file, ...(fast ? { count: 4_000, batchSize: 64 } : {}) });
customers.prepareData();
customers.setup(); // the model is made for the columns of the file

const trainer = new Trainer({
  maxEpochs: fast ? 3 : 30,
  logEveryNSteps: 10,
  logger: new CSVLogger("runs", { name: "tabular" }),
  callbacks: [
    new EarlyStopping("val_loss", { patience: 4 }),
    new ModelCheckpoint({ monitor: "val_auroc", mode: "max" }),
    new LearningRateMonitor(),
  ],
});
const model = new Churn({ columns: customers.columns });
await trainer.fit(model, { datamodule: customers });
const [results] = await trainer.test(null, { datamodule: customers, ckptPath: "best", verbose: false });
const { test_auroc: auroc, test_auroc_best: best, test_acc: accuracy } = results!;

console.log(`\n${(100 * accuracy!).toFixed(1)} % of the customers in the test set were judged rightly.`);
console.log(
  `AUROC ${auroc!.toFixed(3)}; one who knew the true chances would have ${best!.toFixed(3)}, guessing has 0.5.`,
);
