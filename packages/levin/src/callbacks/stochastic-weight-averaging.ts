import { type Device, nn, noGrad, optim, type Tensor } from "@levin/torch";
import { checkStrings } from "../argument-checks.js";
import { type AnyBatchNorm, isBatchNorm } from "../batch-norm.js";
import { Callback } from "../callback.js";
import { MisconfigurationError } from "../errors.js";
import { note, warn } from "../messages.js";
import type { LightningModule } from "../module.js";
import { epochScheduler } from "../optimizers.js";
import type { Trainer } from "../trainer.js";

type AvgFn = optim.swaUtils.AvgFn;

/** Options of {@link StochasticWeightAveraging}. */
export interface StochasticWeightAveragingOptions {
  /** The epoch from which weights are averaged (from 1), or a part of `maxEpochs` from 0 to below 1. Default: 0.8. */
  swaEpochStart?: number;
  /** In how many epochs the learning rate is reached. Default: 10. */
  annealingEpochs?: number;
  /** The form of the curve to it. Default: "cos". */
  annealingStrategy?: "cos" | "linear";
  /** The average of one parameter. Default: the mean of all values. */
  avgFn?: AvgFn | null;
  /** Where the averages are kept; null: where the module is. Default: "cpu". */
  device?: Device | null;
}

/**
 * Stochastic weight averaging: towards the end of a fit the learning rate is held at a constant, and the weights at the begin of each of
 * those epochs are averaged. The module ends with the averages. Where it has batch norms, one more pass over the training data, without
 * steps, computes their statistics anew.
 *
 * ```ts
 * new Trainer({ maxEpochs: 100, callbacks: new StochasticWeightAveraging(0.05) });
 * ```
 *
 * For one optimizer, whose scheduler, if there is one, is replaced.
 *
 * @see https://arxiv.org/abs/1803.05407
 */
export class StochasticWeightAveraging extends Callback {
  /** How many weights are in the averages; null before the first. */
  nAveraged: number | null = null;
  /** The momentum of each batch norm, while statistics are computed anew. */
  momenta = new Map<AnyBatchNorm, number | null>();
  #swaEpochStart: number;
  readonly #isPart: boolean;
  #swaLrs: number | readonly number[];
  readonly #annealingEpochs: number;
  readonly #annealingStrategy: "cos" | "linear";
  readonly #avgFn: AvgFn;
  readonly #device: Device | null;
  #containsBatchNorm = false;
  #averageModel: LightningModule | null = null;
  #initialized = false;
  #scheduler: optim.swaUtils.SWALR | null = null;
  #schedulerState: Record<string, unknown> | null = null;
  #initialCount = 0;
  #latestUpdateEpoch = -1;
  #maxEpochs = -1;
  #accumulateGradBatches = 1;

  /**
   * @param swaLrs the learning rate at the end: for all groups of the optimizer, or one for each
   */
  constructor(swaLrs: number | readonly number[], options: StochasticWeightAveragingOptions = {}) {
    super();
    const { swaEpochStart = 0.8, avgFn = null } = options;
    this.#isPart = !Number.isInteger(swaEpochStart) || swaEpochStart === 0;
    if (!(swaEpochStart >= 0) || (this.#isPart && swaEpochStart > 1)) {
      throw wrong(
        `swaEpochStart was given ${swaEpochStart}; it is an epoch from 1, or a part of them from 0 to below 1.`,
      );
    }
    const rates = typeof swaLrs === "number" ? [swaLrs] : swaLrs;
    if (!Array.isArray(rates) || !rates.every((rate) => typeof rate === "number" && rate > 0)) {
      throw wrong(`swaLrs was given ${String(swaLrs)}; it is a learning rate above 0, or a list of them.`);
    }
    if (avgFn !== null && typeof avgFn !== "function") throw wrong("avgFn must be a function.");
    if (options.device != null) checkStrings("StochasticWeightAveraging", { device: options.device });
    this.#swaEpochStart = swaEpochStart;
    this.#swaLrs = swaLrs;
    this.#annealingEpochs = options.annealingEpochs ?? 10;
    this.#annealingStrategy = options.annealingStrategy ?? "cos";
    if (this.#annealingStrategy !== "cos" && this.#annealingStrategy !== "linear") {
      throw wrong(`annealingStrategy was given ${String(this.#annealingStrategy)}; it is "cos" or "linear".`);
    }
    this.#avgFn = avgFn ?? StochasticWeightAveraging.avgFn;
    this.#device = options.device === undefined ? "cpu" : options.device;
  }

  /** The first epoch in which weights are averaged, from 0. */
  get swaStart(): number {
    return Math.max(this.#swaEpochStart - 1, 0);
  }

  /** The last epoch in which weights are averaged, from 0; Infinity where the fit has no last epoch. */
  get swaEnd(): number {
    return this.#maxEpochs === -1 ? Number.POSITIVE_INFINITY : this.#maxEpochs - 1;
  }

  /** Whether a module has a batch norm in it. */
  static plModuleContainsBatchNorm(module: nn.Module): boolean {
    return module.modules().some(isBatchNorm);
  }

  override setup(_trainer: Trainer, module: LightningModule): void {
    // copied before the module gets to its device
    this.#averageModel = nn.utils.deepCopy(module);
  }

  override onFitStart(trainer: Trainer, module: LightningModule): void {
    if (trainer.optimizers.length !== 1) {
      throw wrong(`it works with one optimizer; there are ${trainer.optimizers.length}.`);
    }
    if (trainer.lrSchedulerConfigs.length > 1) {
      throw wrong(`it works with one lrScheduler at most; there are ${trainer.lrSchedulerConfigs.length}.`);
    }
    const maxEpochs = trainer.maxEpochs ?? -1;
    if (this.#isPart) {
      if (maxEpochs === -1) {
        throw wrong(
          "swaEpochStart is a part of maxEpochs, but maxEpochs is -1: give the number of an epoch.",
        );
      }
      this.#swaEpochStart = Math.trunc(maxEpochs * this.#swaEpochStart);
    }
    this.#containsBatchNorm = StochasticWeightAveraging.plModuleContainsBatchNorm(module);
    this.#maxEpochs = maxEpochs;
    // one more epoch, for the statistics of batch norms
    if (this.#containsBatchNorm && maxEpochs !== -1) trainer.fitLoop.maxEpochs = maxEpochs + 1;
    // the checkpoint's scheduler is this callback's: it is restored in onTrainEpochStart
    if (this.#schedulerState !== null) trainer.lrSchedulerConfigs.length = 0;
  }

  override onTrainEpochStart(trainer: Trainer, module: LightningModule): void {
    const epoch = trainer.currentEpoch;
    const isAveraging = this.swaStart <= epoch && epoch <= this.swaEnd;
    if (isAveraging && !this.#initialized) this.#begin(trainer, module);
    if (isAveraging && epoch > this.#latestUpdateEpoch) {
      this.updateParameters(this.#averageModel!, module, this.nAveraged!, this.#avgFn);
      this.nAveraged!++;
      this.#latestUpdateEpoch = epoch;
    }
    if (this.#maxEpochs === -1 || epoch !== this.swaEnd + 1) return;

    // the additional epoch: statistics are computed, gradients are not
    this.transferWeights(this.#averageModel!, module);
    this.resetBatchNormAndSaveState(module);
    const { fitLoop } = trainer;
    fitLoop.maxBatches++;
    fitLoop.optimization.skipBackward = true;
    this.#accumulateGradBatches = trainer.accumulateGradBatches;
    if (!Number.isFinite(fitLoop.maxBatches))
      throw wrong("training loaders without a length are not supported.");
    trainer.accumulateGradBatches = fitLoop.maxBatches;
  }

  #begin(trainer: Trainer, module: LightningModule): void {
    this.#initialized = true;
    this.#averageModel!.to({ device: this.#device ?? module.device });
    const optimizer = trainer.optimizers[0]!;
    if (typeof this.#swaLrs === "number")
      this.#swaLrs = optimizer.paramGroups.map(() => this.#swaLrs as number);
    for (const [i, group] of optimizer.paramGroups.entries()) {
      const rate = this.#swaLrs[i];
      if (rate !== undefined) group.initialLr = rate;
    }
    this.#scheduler = new optim.swaUtils.SWALR(optimizer, this.#swaLrs, {
      annealEpochs: this.#annealingEpochs,
      annealStrategy: this.#annealingStrategy,
      lastEpoch: this.#annealingStrategy === "cos" ? trainer.fitLoop.maxEpochs! : -1,
    });
    if (this.#schedulerState !== null) this.#scheduler.loadStateDict(this.#schedulerState);
    else if (trainer.currentEpoch !== this.swaStart) {
      warn("StochasticWeightAveraging begins after swaEpochStart, without a state from a checkpoint.");
    }
    const [before] = trainer.lrSchedulerConfigs;
    if (before) {
      if (before.interval !== "epoch" || before.frequency !== 1) {
        warn(
          `StochasticWeightAveraging steps the learning rate every epoch; the scheduler it replaces was stepped every ${before.frequency} ${before.interval}(s).`,
        );
      }
      note(`StochasticWeightAveraging replaces the scheduler ${before.scheduler.constructor.name} by SWALR.`);
    }
    trainer.lrSchedulerConfigs[0] = epochScheduler(this.#scheduler);
    this.nAveraged ??= this.#initialCount;
  }

  override onTrainEpochEnd(trainer: Trainer): void {
    trainer.fitLoop.optimization.skipBackward = false;
  }

  override onTrainEnd(trainer: Trainer, module: LightningModule): void {
    // the epoch that has ended is counted already
    const epoch = trainer.currentEpoch - 1;
    if (this.#containsBatchNorm && this.#maxEpochs !== -1 && epoch === this.swaEnd + 1) {
      trainer.accumulateGradBatches = this.#accumulateGradBatches;
      trainer.fitLoop.maxBatches--;
      trainer.fitLoop.maxEpochs = this.#maxEpochs;
      this.resetMomenta();
    } else if ((epoch === this.swaEnd || this.#maxEpochs === -1) && this.#averageModel) {
      this.transferWeights(this.#averageModel, module);
    }
  }

  /** Copies the parameters of a module to another. */
  transferWeights(source: nn.Module, target: nn.Module): void {
    const values = source.parameters();
    noGrad(() => {
      for (const [i, parameter] of target.parameters().entries()) {
        parameter.detach().copy_(values[i]!.to(parameter.device));
      }
    });
  }

  /** Forgets the statistics of batch norms, and lets them be means of what comes. */
  resetBatchNormAndSaveState(module: nn.Module): void {
    this.momenta = new Map();
    for (const each of module.modules()) {
      if (!isBatchNorm(each)) continue;
      each.resetRunningStats();
      this.momenta.set(each, each.momentum);
      each.momentum = null;
    }
  }

  /** Gives the batch norms their momenta back. */
  resetMomenta(): void {
    for (const [module, momentum] of this.momenta) module.momentum = momentum;
  }

  /** Takes the parameters of a module into the averages; `nAveraged` values are in them. */
  updateParameters(averageModel: nn.Module, model: nn.Module, nAveraged: number, avgFn: AvgFn): void {
    const current = model.parameters();
    noGrad(() => {
      for (const [i, average] of averageModel.parameters().entries()) {
        const old = average.detach();
        const value = current[i]!.detach().to(old.device);
        old.copy_(nAveraged === 0 ? value : avgFn(old, value, nAveraged));
      }
    });
  }

  /** The mean of all values, with another one. */
  static avgFn(averagedModelParameter: Tensor, modelParameter: Tensor, numAveraged: number): Tensor {
    const change = modelParameter.sub(averagedModelParameter);
    return averagedModelParameter.add(change.div(numAveraged + 1));
  }

  override stateDict(): Record<string, unknown> {
    return {
      n_averaged: this.nAveraged ?? 0,
      latest_update_epoch: this.#latestUpdateEpoch,
      scheduler_state: this.#scheduler?.stateDict() ?? null,
      average_model_state: this.#averageModel?.stateDict() ?? null,
    };
  }

  override loadStateDict(state: Record<string, unknown>): void {
    this.#initialCount = Number(state.n_averaged);
    this.#latestUpdateEpoch = Number(state.latest_update_epoch);
    this.#schedulerState = state.scheduler_state as Record<string, unknown> | null;
    const weights = state.average_model_state as Record<string, Tensor> | null;
    if (weights) this.#averageModel?.loadStateDict(weights);
  }
}

function wrong(what: string): MisconfigurationError {
  return new MisconfigurationError(`StochasticWeightAveraging: ${what}`);
}
