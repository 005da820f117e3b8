import { EarlyStopping, Trainer, type TrainerOptions } from "levin";
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
  ["a duration that is a number", { maxTime: 3 }, /maxTime was given 3/],
  ["an interval of nothing", { valCheckInterval: 0 }, /valCheckInterval/],
  ["a misspelt name, with the right one", { maxEpoch: 1 }, /should be maxEpochs/],
  [
    "the class of a callback",
    { callbacks: [EarlyStopping] },
    /given the class EarlyStopping; it is a Callback/,
  ],
  ["callbacks that have yet to come", { callbacks: Promise.resolve([]) }, /given a promise/],
  ["the name of a logger", { logger: "csv" }, /given "csv"; it is a Logger/],
  ["an object that is no strategy", { strategy: {} }, /strategy }\) was given an object/],
  ["a text for a switch", { fastDevRun: "no" }, /fastDevRun/],
  ["an unknown kind of determinism", { deterministic: "yes" }, /true, false or "warn"/],
  ["a folder that is no path", { defaultRootDir: 3 }, /the path of a folder/],
  ["no batch to add up gradients over", { accumulateGradBatches: 0 }, /accumulateGradBatches/],
];

describe("Trainer options", () => {
  it.each(wrong)("refuse %s before anything runs", (_, options, message) => {
    expect(() => new Trainer(options as TrainerOptions)).toThrow(message);
  });

  it("refuse what is no object", () => {
    expect(() => new Trainer(null as never)).toThrow(/takes an object of options/);
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
