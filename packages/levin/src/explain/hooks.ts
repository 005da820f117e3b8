import { type Callback, Callback as CallbackBase } from "../callback.js";
import type { LightningDataModule } from "../data-module.js";
import { LightningDataModule as DataModuleBase } from "../data-module.js";
import { isOverridden } from "../dispatch.js";
import { LightningModule } from "../module.js";

/** A hook, or a part of the run with the hooks in it. */
type Entry = string | Part;

interface Part extends ReadonlyArray<string | Part> {
  readonly 0: string;
}

/** The hooks of a fit in their order. */
const order: readonly Entry[] = [
  "prepareData",
  "setup",
  "configureModel",
  "configureOptimizers",
  "onFitStart",
  ["sanity check", "onSanityCheckStart", "onSanityCheckEnd"],
  "onTrainStart",
  [
    "each epoch",
    "onTrainEpochStart",
    [
      "each batch",
      "onBeforeBatchTransfer",
      "transferBatchToDevice",
      "onAfterBatchTransfer",
      "onTrainBatchStart",
      "optimizerStep",
      "trainingStep",
      "onBeforeZeroGrad",
      "optimizerZeroGrad",
      "onBeforeBackward",
      "backward",
      "onAfterBackward",
      "onBeforeOptimizerStep",
      "configureGradientClipping",
      "lrSchedulerStep",
      "onTrainBatchEnd",
    ],
    [
      "each validation",
      "onValidationModelZeroGrad",
      "onValidationModelEval",
      "onValidationStart",
      "onValidationEpochStart",
      ["each batch", "onValidationBatchStart", "validationStep", "onValidationBatchEnd"],
      "onValidationEpochEnd",
      "onValidationEnd",
      "onValidationModelTrain",
    ],
    "onTrainEpochEnd",
  ],
  ["each checkpoint", "onSaveCheckpoint"],
  "onTrainEnd",
  "onFitEnd",
  "teardown",
];

/** Who takes part in a fit. */
export interface Participants {
  readonly module: LightningModule;
  readonly datamodule: LightningDataModule | null;
  readonly callbacks: readonly Callback[];
}

/** Lines with the hooks of a fit that somebody defines, in their order, and who does. */
export function describeHooks(participants: Participants): string[] {
  return order.flatMap((entry) => linesOf(entry, participants));
}

function linesOf(entry: Entry, participants: Participants): string[] {
  if (typeof entry === "string") {
    const names = implementersOf(entry, participants);
    return names.length === 0 ? [] : [`${entry.padEnd(26)}${names.join(", ")}`];
  }
  const [part, ...entries] = entry as readonly [string, ...Entry[]];
  const lines = entries.flatMap((each) => linesOf(each, participants));
  return lines.length === 0 ? [] : [`${part}:`, ...lines.map((line) => `  ${line}`)];
}

function implementersOf(name: string, { module, datamodule, callbacks }: Participants): string[] {
  const others = callbacks.filter((callback) => isOverridden(callback, name, CallbackBase));
  const isLate = (callback: Callback) => name === "onTrainEpochEnd" && callback.monitors;
  const classes = [
    ...(datamodule && isOverridden(datamodule, name, DataModuleBase) ? [datamodule] : []),
    ...others.filter((callback) => !isLate(callback)),
    ...(isOverridden(module, name, LightningModule) ? [module] : []),
    ...others.filter(isLate),
  ].map((who) => who.constructor.name);
  return [...new Set(classes)].map((each) => {
    const count = classes.filter((other) => other === each).length;
    return count === 1 ? each : `${each} (${count})`;
  });
}
