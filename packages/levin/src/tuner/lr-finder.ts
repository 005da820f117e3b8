import { writeFileSync } from "node:fs";
import * as torch from "@levin/torch";
import { Tensor } from "@levin/torch";
import { Callback } from "../callback.js";
import { MisconfigurationError } from "../errors.js";
import type { StepOutput } from "../hooks.js";
import { DummyLogger } from "../loggers/dummy.js";
import { note, warn } from "../messages.js";
import type { LightningModule } from "../module.js";
import { epochScheduler } from "../optimizers.js";
import type { Trainer } from "../trainer.js";
import { hasAttribute, setAttribute } from "./attributes.js";
import { plotLearningRates } from "./lr-plot.js";
import { RisingExponentialLR, RisingLinearLR } from "./lr-schedulers.js";
import { Snapshot } from "./snapshot.js";

/** How the learning rate is raised. */
export type LRFinderMode = "exponential" | "linear";

/** How a learning rate is looked for. */
export interface LRFindOptions {
  /** The learning rate to begin with. Default: 1e-8. */
  minLr?: number;
  /** The learning rate to end with. Default: 1. */
  maxLr?: number;
  /** How many are tried. Default: 100. */
  numTraining?: number;
  /** How the learning rate is raised from batch to batch. Default: "exponential". */
  mode?: LRFinderMode;
  /** Ends the search when the loss is so many times the best one; null: never. Default: 4. */
  earlyStopThreshold?: number | null;
  /** Whether the module's field and the optimizer get the suggested learning rate. */
  updateAttr?: boolean;
  /** The field, of the module or its hyperparameters. Default: `lr`, `learningRate` or `learning_rate`, whichever is there. */
  attrName?: string;
}

/** What was found out: the smoothed loss at each learning rate. */
export class LRFinder {
  /** The learning rates that were tried, with the loss at each. */
  results: { lr: number[]; loss: number[] } = { lr: [], loss: [] };
  #optimal: number | null = null;

  constructor(
    readonly mode: LRFinderMode,
    readonly lrMin: number,
    readonly lrMax: number,
    readonly numTraining: number,
  ) {}

  /**
   * The learning rate where the loss falls most steeply, to begin a fit with; null where too few were tried.
   *
   * @param options `skipBegin` (default 10), `skipEnd` (default 1): how many of the first and last are not looked at
   */
  suggestion(options: { skipBegin?: number; skipEnd?: number } = {}): number | null {
    const { skipBegin = 10, skipEnd = 1 } = options;
    const { lr, loss } = this.results;
    const indices = [...loss.keys()]
      .slice(skipBegin, -skipEnd)
      .filter((i) => Number.isFinite(Math.fround(loss[i]!)));
    this.#optimal = null;
    if (indices.length < 2) {
      warn(
        "There are not enough losses to suggest a learning rate: try more of them (numTraining), with more batches.",
      );
      return null;
    }
    const losses = torch.tensor(indices.map((i) => loss[i]!));
    const rates = torch.tensor(indices.map((i) => lr[i]!));
    const [gradients] = torch.gradient(losses, { spacing: [rates] }) as [Tensor];
    this.#optimal = indices[Number(gradients.argmin().item())]!;
    return lr[this.#optimal]!;
  }

  /**
   * A picture (SVG) of the loss over the learning rate.
   *
   * @param options `suggest` (default false): whether the suggested learning rate is marked; `path`: a file to write the picture into
   */
  plot(options: { suggest?: boolean; path?: string | null } = {}): string {
    const { lr, loss } = this.results;
    if (options.suggest) this.suggestion();
    const mark = options.suggest && this.#optimal !== null ? this.#optimal : null;
    const svg = plotLearningRates(
      lr.map((rate, i) => [rate, loss[i]!] as const),
      this.mode === "exponential",
      mark === null ? null : [lr[mark]!, loss[mark]!],
    );
    if (options.path) writeFileSync(options.path, svg);
    return svg;
  }
}

const attributeNames = ["lr", "learningRate", "learning_rate"] as const;

/** Tries learning rates, a batch each, and goes back to the state before. Null with `fastDevRun`. */
export async function lrFind(
  trainer: Trainer,
  module: LightningModule,
  options: LRFindOptions = {},
): Promise<LRFinder | null> {
  const { minLr = 1e-8, maxLr = 1, numTraining = 100, mode = "exponential" } = options;
  const { earlyStopThreshold = 4, updateAttr = false, attrName = "" } = options;
  if (trainer.fastDevRun) {
    warn("With fastDevRun no learning rate is looked for.");
    return null;
  }
  const attribute = updateAttr ? attributeOf(module, attrName) : null;

  const { fitLoop } = trainer;
  const { callbacks, loggers, maxSteps, limitValBatches, lrSchedulerConfigs } = trainer;
  const snapshot = new Snapshot(trainer);
  const begin = structuredClone(fitLoop.stateDict());
  const stepsBefore = trainer.globalStep;
  const finder = new LRFinder(mode, minLr, maxLr, numTraining);
  const sweep = new Sweep(earlyStopThreshold);
  try {
    // a run of its own, without the callbacks, loggers and schedulers of the fit
    trainer.progressBarCallback?.disable();
    trainer.exchangeCallbacks([sweep]);
    if (loggers.length > 0) trainer.loggers = [new DummyLogger()];
    trainer.maxSteps = numTraining + stepsBefore;
    trainer.limitValBatches = { count: numTraining };
    trainer.lrSchedulerConfigs = [{ ...epochScheduler(makeScheduler(trainer, finder)), interval: "step" }];
    fitLoop.startFrom(begin);
    await fitLoop.run();
    if (trainer.globalStep !== numTraining + stepsBefore) {
      note(`The search for a learning rate ended after ${trainer.globalStep} steps, as the loss diverged.`);
    }
    finder.results = trainer.strategy.broadcast({ lr: sweep.lrs, loss: sweep.losses });
  } finally {
    trainer.exchangeCallbacks(callbacks);
    Object.assign(trainer, { loggers, maxSteps, limitValBatches, lrSchedulerConfigs, shouldStop: false });
    trainer.progressBarCallback?.enable();
    snapshot.restore();
    fitLoop.startFrom(begin);
    fitLoop.loader = null;
    fitLoop.validation.loader = null;
    await fitLoop.setupData();
  }

  // only now, as it would have been lost with the rest
  const suggested = attribute === null ? null : finder.suggestion();
  if (attribute !== null && suggested !== null) {
    setAttribute(module, attribute, suggested);
    for (const optimizer of trainer.optimizers) {
      for (const group of optimizer.paramGroups) group.lr = suggested;
    }
    note(`Learning rate set to ${suggested}.`);
  }
  return finder;
}

function attributeOf(module: LightningModule, given: string): string {
  const found = (given ? [given] : attributeNames).find((name) => hasAttribute(module, name));
  if (found !== undefined) return found;
  throw new MisconfigurationError(
    given
      ? `attrName was given "${given}", but neither ${module.constructor.name} nor its hparams have such a field.`
      : `${module.constructor.name} and its hparams have none of the fields ${attributeNames.join(", ")}, which would get the learning rate. ` +
          "Name it with attrName, or set updateAttr: false.",
  );
}

function makeScheduler(trainer: Trainer, finder: LRFinder): RisingLinearLR | RisingExponentialLR {
  const { optimizers } = trainer;
  if (optimizers.length !== 1) {
    throw new MisconfigurationError(
      `A learning rate can only be looked for with one optimizer; configureOptimizers returned ${optimizers.length}.`,
    );
  }
  const optimizer = optimizers[0]!;
  for (const group of optimizer.paramGroups)
    Object.assign(group, { lr: finder.lrMin, initialLr: finder.lrMin });
  const Rising = finder.mode === "linear" ? RisingLinearLR : RisingExponentialLR;
  return new Rising(optimizer, finder.lrMax, finder.numTraining);
}

/** How much of the loss so far stays in the running average. */
const beta = 0.98;

/** Notes the learning rate before each optimizer step and the smoothed loss after it; ends the run when it diverges. */
class Sweep extends Callback {
  readonly lrs: number[] = [];
  readonly losses: number[] = [];
  #average = 0;
  #best = 0;

  constructor(readonly earlyStopThreshold: number | null) {
    super();
  }

  override onTrainBatchStart(trainer: Trainer): void {
    if (!this.#steps(trainer)) return;
    this.lrs.push((trainer.lrSchedulerConfigs[0]!.scheduler as RisingLinearLR).lr[0]!);
  }

  override onTrainBatchEnd(trainer: Trainer, _module: LightningModule, outputs: StepOutput): void {
    if (!this.#steps(trainer)) return;
    const loss = outputs instanceof Tensor ? outputs : outputs?.loss;
    if (!loss) {
      // there must be as many as learning rates; it is not looked at
      this.losses.push(Number.NaN);
      return;
    }
    const step = trainer.globalStep;
    this.#average = beta * this.#average + (1 - beta) * loss.item();
    const smoothed = this.#average / (1 - beta ** (step + 1));
    const { earlyStopThreshold: threshold } = this;
    if (threshold !== null && step > 1 && smoothed > threshold * this.#best) trainer.shouldStop = true;
    trainer.shouldStop = trainer.strategy.broadcast(trainer.shouldStop);
    if (smoothed < this.#best || step === 1) this.#best = smoothed;
    this.losses.push(smoothed);
  }

  #steps(trainer: Trainer): boolean {
    return (trainer.fitLoop.batchIdx + 1) % trainer.accumulateGradBatches === 0;
  }
}
