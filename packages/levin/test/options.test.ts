import { Trainer, type TrainerOptions } from "levin";
import { describe, expect, it } from "vitest";

const wrong: [string, object, RegExp][] = [
  ["a name in snake case, with the right one", { max_epochs: 1 }, /should be maxEpochs/],
  ["an unknown name", { epochs: 1 }, /none of the options/],
  ["a negative number of epochs", { maxEpochs: -2 }, /maxEpochs/],
  ["a fraction of a batch above one", { limitTrainBatches: 1.5 }, /limitTrainBatches/],
  ["an unknown way to clip", { gradientClipAlgorithm: "cut" }, /"norm" or "value"/],
  [
    "a part of an epoch to validate over epochs",
    { valCheckInterval: 0.5, checkValEveryNEpoch: null },
    /valCheckInterval/,
  ],
  ["an unknown precision", { precision: "8" }, /precision/],
  ["several devices", { accelerator: "cpu", devices: 2 }, /devices/],
  ["a logger in barebones mode", { barebones: true, logger: true }, /barebones/],
  ["a duration that is none", { maxTime: "1h" }, /DD:HH:MM:SS/],
  ["no batch to add up gradients over", { accumulateGradBatches: 0 }, /accumulateGradBatches/],
];

describe("Trainer options", () => {
  it.each(wrong)("refuse %s before anything runs", (_, options, message) => {
    expect(() => new Trainer(options as TrainerOptions)).toThrow(message);
  });

  it("have Lightning's defaults", () => {
    const trainer = new Trainer({ accelerator: "cpu", logger: false });
    expect([
      trainer.logEveryNSteps,
      trainer.numSanityValSteps,
      trainer.accumulateGradBatches,
      trainer.checkValEveryNEpoch,
    ]).toEqual([50, 2, 1, 1]);
  });
});
