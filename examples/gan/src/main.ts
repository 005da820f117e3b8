// Trains a generative adversarial network on MNIST: it makes images of digits of noise.
//
//   npm run example -- gan              in the root of the repository
//   npm run example -- gan --fast       a few batches only
import { join } from "node:path";
import { parseArgs } from "node:util";
import * as torch from "@levin/torch";
import { CSVLogger, seedEverything, Trainer } from "levin";
import { Digits } from "./data.js";
import { GAN } from "./gan.js";
import { Judge } from "./judge.js";
import { savePicture } from "./picture.js";
import { SampleScore } from "./sample-score.js";

const { fast } = parseArgs({ options: { fast: { type: "boolean", default: false } } }).values;
seedEverything(42);
const digits = new Digits();

// a network that reads digits, to judge by
const judge = new Judge();
await new Trainer({
  maxEpochs: 1,
  limitTrainBatches: fast ? 100 : 400,
  logger: false,
  enableCheckpointing: false,
  enableModelSummary: false,
}).fit(judge, { datamodule: digits });
judge.freeze();

const gan = new GAN();
const logger = new CSVLogger("runs", { name: "gan" });
const sampleScore = new SampleScore(judge);
const trainer = new Trainer({
  maxEpochs: fast ? 1 : 3,
  ...(fast ? { limitTrainBatches: 80 } : {}),
  logger,
  callbacks: sampleScore,
});
await trainer.fit(gan, { datamodule: digits });

const file = join(logger.logDir, "digits.png");
gan.eval();
const images = torch.noGrad(() => gan.sample(60));
await savePicture(images.add(1).div(2).view([5, 12, 1, 28, 28]), file);
const [first, last] = [sampleScore.scores[0]!, sampleScore.scores.at(-1)!];
console.log(
  `\nLike how many kinds of digits the images look: ${first.toFixed(2)} before, ${last.toFixed(2)} after training; 10 at best.`,
);
console.log(`Images that the generator made: ${file}`);
