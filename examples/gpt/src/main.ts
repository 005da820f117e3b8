// Trains a small GPT on the characters of Shakespeare's plays, and lets it write.
//
//   npm run example -- gpt                     in the root of the repository
//   npm run example -- gpt --file TEXT         on a text of one's own
//   npm run example -- gpt --prompt "JULIET:" --temperature 0.8 --topK 20
//   npm run example -- gpt --fast              a smaller one, and a few batches only
import { parseArgs } from "node:util";
import { CSVLogger, LearningRateMonitor, ModelCheckpoint, seedEverything, Trainer } from "levin";
import { Characters, shakespeare } from "./data.js";
import { GPT } from "./gpt.js";

const { values } = parseArgs({
  options: {
    file: { type: "string", default: shakespeare },
    prompt: { type: "string", default: "\n" },
    temperature: { type: "string", default: "0.8" },
    topK: { type: "string", default: "20" },
    fast: { type: "boolean", default: false },
  },
});
seedEverything(42);

const text = new Characters({ file: values.file });
const model = new GPT({ vocabulary: text.vocabulary, ...(values.fast ? { layers: 1, width: 64 } : {}) });
const trainer = new Trainer({
  maxSteps: values.fast ? 100 : 1000,
  valCheckInterval: values.fast ? 100 : 250,
  limitValBatches: values.fast ? 2 : 10,
  gradientClipVal: 1,
  logEveryNSteps: 10,
  logger: new CSVLogger("runs", { name: "gpt" }),
  callbacks: [new ModelCheckpoint({ monitor: "val_loss" }), new LearningRateMonitor()],
});
const [before] = await trainer.validate(model, { datamodule: text, verbose: false });
await trainer.fit(model, { datamodule: text });
const after = trainer.callbackMetrics.val_loss!.item();
console.log(
  `\nLoss of a character: ${before!.val_loss!.toFixed(3)} before, ${after.toFixed(3)} after training.\n`,
);

const best = GPT.loadFromCheckpoint(trainer.checkpointCallback!.bestModelPath);
const options = { temperature: Number(values.temperature), topK: Number(values.topK), maxNewTokens: 500 };
process.stdout.write(values.prompt);
for (const character of best.generate(values.prompt, options)) process.stdout.write(character);
console.log();
