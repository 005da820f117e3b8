// Learns the digits 5 to 9 of a few images, with what was learned of many images of 0 to 4, and without.
//
//   npm run example -- transfer             in the root of the repository
//   npm run example -- transfer --fast      a few batches only
import { parseArgs } from "node:util";
import {
  BackboneFinetuning,
  type Callback,
  CSVLogger,
  LearningRateMonitor,
  ModelCheckpoint,
  seedEverything,
  Trainer,
} from "levin";
import { Classifier } from "./classifier.js";
import { FiveDigits } from "./data.js";

const { fast } = parseArgs({ options: { fast: { type: "boolean", default: false } } }).values;

// the digits 0 to 4, of which there are 30,000 images
seedEverything(42);
const checkpoint = new ModelCheckpoint();
const pretraining = new Trainer({
  maxEpochs: 1,
  ...(fast ? { limitTrainBatches: 60 } : {}),
  logger: new CSVLogger("runs", { name: "transfer-pretraining" }),
  callbacks: checkpoint,
});
await pretraining.fit(new Classifier({ lr: 2e-3 }), {
  datamodule: new FiveDigits({ first: 0, batchSize: 128 }),
});

// the digits 5 to 9, of which there are 5 images each
const few = new FiveDigits({ first: 5, perDigit: 5, batchSize: 10 });

/** Trains a classifier on the few images; says how many of those in the test set it recognises then. */
async function learn(name: string, model: Classifier, callbacks: Callback[] = []): Promise<number> {
  const trainer = new Trainer({
    maxEpochs: 30,
    logEveryNSteps: 3,
    logger: new CSVLogger("runs", { name }),
    callbacks: [new LearningRateMonitor(), ...callbacks],
  });
  await trainer.fit(model, { datamodule: few });
  const [results] = await trainer.test(model, { datamodule: few, verbose: false });
  return 100 * results!.test_acc!;
}

seedEverything(42);
const scratch = await learn("transfer-scratch", new Classifier());
seedEverything(42);
const finetuned = await learn(
  "transfer-finetuned",
  new Classifier({ pretrained: checkpoint.bestModelPath }),
  // the head alone at first, then the backbone at a tenth of the head's learning rate, which grows by half each epoch
  [new BackboneFinetuning({ unfreezeBackboneAtEpoch: 10, lambdaFunc: () => 1.5 })],
);

console.log("\nThe digits 5 to 9, after 30 epochs on 5 images of each:");
console.log(`${scratch.toFixed(1)} % of the test images are recognised by a network that knew nothing,`);
console.log(`${finetuned.toFixed(1)} % by one that had learned the digits 0 to 4 before.`);
