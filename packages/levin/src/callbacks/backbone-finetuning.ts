import { nn, type optim } from "@levin/torch";
import { MisconfigurationError } from "../errors.js";
import { note } from "../messages.js";
import type { LightningModule } from "../module.js";
import type { Trainer } from "../trainer.js";
import { BaseFinetuning } from "./base-finetuning.js";

/** Options of {@link BackboneFinetuning}. */
export interface BackboneFinetuningOptions {
  /** The epoch from which the backbone is trained, too. Default: 10. */
  unfreezeBackboneAtEpoch?: number;
  /** By what the backbone's learning rate is multiplied at the begin of each further epoch. Default: 2. */
  lambdaFunc?: (epoch: number) => number;
  /** The part of the other learning rate that the backbone's is at first. Default: 0.1. */
  backboneInitialRatioLr?: number;
  /** The backbone's learning rate at first. Default: by the ratio. */
  backboneInitialLr?: number | null;
  /** Whether the backbone's learning rate stays at the other one, when it has reached it. Default: true. */
  shouldAlign?: boolean;
  /** Default: 10. */
  initialDenomLr?: number;
  /** Whether the backbone's batch norms are trained, too. Default: true. */
  trainBn?: boolean;
  /** Whether it reports the learning rates. Default: false. */
  verbose?: boolean;
  /** How many decimals of them it reports. Default: 12. */
  rounding?: number;
}

/** A module with a part that was trained before. */
type WithBackbone = LightningModule & { backbone: nn.Module };

/**
 * Trains the rest of a model first and its field `backbone` later, with a learning rate that grows up to the other one.
 *
 * ```ts
 * new Trainer({ callbacks: new BackboneFinetuning({ unfreezeBackboneAtEpoch: 5, lambdaFunc: () => 1.5 }) });
 * ```
 */
export class BackboneFinetuning extends BaseFinetuning {
  readonly unfreezeBackboneAtEpoch: number;
  readonly lambdaFunc: (epoch: number) => number;
  readonly backboneInitialRatioLr: number;
  readonly backboneInitialLr: number | null;
  readonly shouldAlign: boolean;
  readonly initialDenomLr: number;
  readonly trainBn: boolean;
  readonly verbose: boolean;
  readonly rounding: number;
  previousBackboneLr: number | null = null;

  constructor(options: BackboneFinetuningOptions = {}) {
    super();
    this.unfreezeBackboneAtEpoch = options.unfreezeBackboneAtEpoch ?? 10;
    this.lambdaFunc = options.lambdaFunc ?? (() => 2);
    this.backboneInitialRatioLr = options.backboneInitialRatioLr ?? 0.1;
    this.backboneInitialLr = options.backboneInitialLr ?? null;
    this.shouldAlign = options.shouldAlign ?? true;
    this.initialDenomLr = options.initialDenomLr ?? 10;
    this.trainBn = options.trainBn ?? true;
    this.verbose = options.verbose ?? false;
    this.rounding = options.rounding ?? 12;
  }

  override freezeBeforeTraining(module: LightningModule): void {
    if (!hasBackbone(module)) throw noBackbone(module);
    this.freeze(module.backbone);
  }

  override onFitStart(trainer: Trainer, module: LightningModule): void {
    if (!hasBackbone(module)) throw noBackbone(module);
    super.onFitStart(trainer, module);
  }

  override finetuneFunction(module: LightningModule, epoch: number, optimizer: optim.Optimizer): void {
    if (epoch < this.unfreezeBackboneAtEpoch) return;
    const current = Number(optimizer.paramGroups[0]!.lr);
    let own: number;
    if (epoch === this.unfreezeBackboneAtEpoch) {
      own = this.backboneInitialLr ?? current * this.backboneInitialRatioLr;
      const { trainBn, initialDenomLr } = this;
      this.unfreezeAndAddParamGroup((module as WithBackbone).backbone, optimizer, {
        lr: own,
        trainBn,
        initialDenomLr,
      });
    } else {
      own = this.lambdaFunc(epoch + 1) * this.previousBackboneLr!;
      if (this.shouldAlign && own > current) own = current;
      optimizer.paramGroups.at(-1)!.lr = own;
    }
    this.previousBackboneLr = own;
    if (this.verbose) note(`Current lr: ${this.#rounded(current)}, Backbone lr: ${this.#rounded(own)}`);
  }

  #rounded(rate: number): number {
    return Number(rate.toFixed(this.rounding));
  }

  override stateDict(): Record<string, unknown> {
    return { ...super.stateDict(), previous_backbone_lr: this.previousBackboneLr };
  }

  override loadStateDict(state: Record<string, unknown>): void {
    this.previousBackboneLr = state.previous_backbone_lr as number | null;
    super.loadStateDict(state);
  }
}

function hasBackbone(module: LightningModule): module is WithBackbone {
  return (module as { backbone?: unknown }).backbone instanceof nn.Module;
}

function noBackbone(module: LightningModule): MisconfigurationError {
  return new MisconfigurationError(
    `BackboneFinetuning: ${module.constructor.name} has no field \`backbone\` with a module, which is what is trained later.`,
  );
}
