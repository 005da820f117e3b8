// Trains an LSTM that keeps its state from batch to batch on the characters of Shakespeare's plays.
//
//   npm run example -- lstm             in the root of the repository
//   npm run example -- lstm --fast      a few batches only
import { parseArgs } from "node:util";
import { CSVLogger, ModelCheckpoint, seedEverything, Trainer } from "levin";
import { Characters } from "./data.js";
import { LanguageModel } from "./language-model.js";

const { fast } = parseArgs({ options: { fast: { type: "boolean", default: false } } }).values;
seedEverything(42);

const text = new Characters();
const model = new LanguageModel({ vocabularySize: text.vocabularySize });
const trainer = new Trainer({
  maxEpochs: fast ? 1 : 2,
  ...(fast ? { limitTrainBatches: 50, limitValBatches: 10 } : {}),
  gradientClipVal: 1,
  logger: new CSVLogger("runs", { name: "lstm" }),
  callbacks: new ModelCheckpoint({ monitor: "val_loss" }),
});
const [before] = await trainer.validate(model, { datamodule: text, verbose: false });
await trainer.fit(model, { datamodule: text });
const [after] = await trainer.validate(null, { datamodule: text, ckptPath: "best", verbose: false });

console.log(
  `\nLoss of a character: ${before!.val_loss!.toFixed(3)} before, ${after!.val_loss!.toFixed(3)} after training.`,
);
console.log(`Without memory of the windows before it would be ${after!.val_loss_forgetful!.toFixed(3)}.`);
