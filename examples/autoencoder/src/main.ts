// Trains an autoencoder on MNIST, and draws digits beside what it makes of their codes.
//
//   npm run example -- autoencoder              in the root of the repository
//   npm run example -- autoencoder --fast       a few batches only
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Tensor } from "@levin/torch";
import { CSVLogger, ModelCheckpoint, seedEverything, Trainer } from "levin";
import { Autoencoder } from "./autoencoder.js";
import { Images } from "./data.js";
import { savePicture } from "./picture.js";

const { fast } = parseArgs({ options: { fast: { type: "boolean", default: false } } }).values;
seedEverything(42);

const logger = new CSVLogger("runs", { name: "autoencoder" });
const trainer = new Trainer({
  maxEpochs: fast ? 1 : 5,
  ...(fast ? { limitTrainBatches: 40, limitValBatches: 1 } : {}),
  logger,
  callbacks: new ModelCheckpoint({ monitor: "val_loss" }),
});

const model = new Autoencoder();
const images = new Images();
const [before] = await trainer.validate(model, { datamodule: images, verbose: false });
await trainer.fit(model, { datamodule: images });
const [after] = await trainer.validate(null, { datamodule: images, ckptPath: "best", verbose: false });

const [pictures] = (await trainer.predict(null, { datamodule: images, ckptPath: "best" })) as [Tensor];
const file = join(logger.logDir, "reconstructions.png");
await savePicture(pictures, file);

console.log(
  `\nReconstruction loss: ${before!.val_loss!.toFixed(4)} before, ${after!.val_loss!.toFixed(4)} after.`,
);
console.log(`Digits, and below them what was made of 16 numbers each: ${file}`);
