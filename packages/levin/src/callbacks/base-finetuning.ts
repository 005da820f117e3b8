import { nn, type optim } from "@levin/torch";
import { isBatchNorm } from "../batch-norm.js";
import { Callback } from "../callback.js";
import { warn } from "../messages.js";
import type { LightningModule } from "../module.js";
import type { Trainer } from "../trainer.js";

/** A module, or several in any nesting. */
export type Modules = nn.Module | Iterable<Modules>;

/** Options of `unfreezeAndAddParamGroup`. */
export interface UnfreezeOptions {
  /** The learning rate. Default: that of the optimizer's first group, divided by `initialDenomLr`. */
  lr?: number | null;
  /** Default: 10. */
  initialDenomLr?: number;
  /** Whether batch norms are trained, too. Default: true. */
  trainBn?: boolean;
}

/** A group of an optimizer as checkpoints keep it: with names for parameters. */
type NamedGroup = Record<string, unknown> & { params: string[] };

/**
 * The base of callbacks that train parts of a model from later epochs on: override `freezeBeforeTraining` and `finetuneFunction`.
 *
 * ```ts
 * class UnfreezeAtTen extends BaseFinetuning {
 *   override freezeBeforeTraining(module: Net) {
 *     this.freeze(module.features);
 *   }
 *   override finetuneFunction(module: Net, epoch: number, optimizer: optim.Optimizer) {
 *     if (epoch === 10) this.unfreezeAndAddParamGroup(module.features, optimizer);
 *   }
 * }
 * ```
 *
 * Give the optimizer only what is to be trained at first: `this.parameters().filter((each) => each.requiresGrad)`.
 */
export abstract class BaseFinetuning extends Callback {
  /** The groups of each optimizer, by its index. */
  #groups = new Map<number, NamedGroup[]>();
  #restarting = false;

  /** Freezes what is not to be trained at first; called before the optimizers are made. */
  abstract freezeBeforeTraining(module: LightningModule): void;

  /** Unfreezes what is to be trained from this epoch on; called for each optimizer when an epoch begins. */
  abstract finetuneFunction(module: LightningModule, epoch: number, optimizer: optim.Optimizer): void;

  override setup(_trainer: Trainer, module: LightningModule): void {
    this.freezeBeforeTraining(module);
  }

  override onFitStart(trainer: Trainer, module: LightningModule): void {
    if (!this.#restarting) return;
    this.#restarting = false;
    // the groups that were added before the checkpoint was saved
    const parameters = new Map(module.namedParameters());
    for (const [i, optimizer] of trainer.optimizers.entries()) {
      const groups = this.#groups.get(i);
      if (groups) optimizer.paramGroups = groups.map((group) => withParameters(group, parameters));
    }
  }

  override onTrainEpochStart(trainer: Trainer, module: LightningModule): void {
    for (const [i, optimizer] of trainer.optimizers.entries()) {
      const before = optimizer.paramGroups.length;
      this.finetuneFunction(module, trainer.currentEpoch, optimizer);
      const kept = this.#groups.get(i);
      if (!kept) this.#groups.set(i, namedGroups(module, optimizer, 0));
      else if (optimizer.paramGroups.length !== before) kept.push(...namedGroups(module, optimizer, before));
    }
  }

  /** The modules without children, and those with parameters of their own, in order. */
  flattenModules(modules: Modules): nn.Module[] {
    const parts = modules instanceof nn.ModuleDict ? modules.values() : modules;
    const all = isSeveral(parts)
      ? [...parts].flatMap((each) => this.flattenModules(each))
      : (parts as nn.Module).modules();
    return all.filter((each) => each.children().length === 0 || each.parameters(false).length > 0);
  }

  /** The parameters that want gradients (or, with `requiresGrad: false`, that don't). */
  filterParams(
    modules: Modules,
    options: { trainBn?: boolean; requiresGrad?: boolean } = {},
  ): nn.Parameter[] {
    const { trainBn = true, requiresGrad = true } = options;
    return this.flattenModules(modules)
      .filter((each) => trainBn || !isBatchNorm(each))
      .flatMap((each) => each.parameters(false))
      .filter((parameter) => parameter.requiresGrad === requiresGrad);
  }

  /** Lets all parameters be trained. */
  makeTrainable(modules: Modules): void {
    for (const module of this.flattenModules(modules)) {
      if (isBatchNorm(module)) module.trackRunningStats = true;
      for (const parameter of module.parameters(false)) parameter.requiresGrad = true;
    }
  }

  /** Keeps the parameters of one module, not of those in it, from being trained. */
  freezeModule(module: nn.Module): void {
    if (isBatchNorm(module)) module.trackRunningStats = false;
    for (const parameter of module.parameters(false)) parameter.requiresGrad = false;
  }

  /** Keeps all parameters from being trained; with `trainBn` (the default) not those of batch norms. */
  freeze(modules: Modules, options: { trainBn?: boolean } = {}): void {
    const { trainBn = true } = options;
    for (const module of this.flattenModules(modules)) {
      if (isBatchNorm(module) && trainBn) this.makeTrainable(module);
      else this.freezeModule(module);
    }
  }

  /** The parameters that the optimizer doesn't have. */
  filterOnOptimizer(optimizer: optim.Optimizer, params: Iterable<nn.Parameter>): nn.Parameter[] {
    const known = new Set(optimizer.paramGroups.flatMap((group) => group.params));
    const all = [...params];
    const others = all.filter((parameter) => !known.has(parameter));
    if (others.length < all.length) {
      const name = optimizer.constructor.name;
      warn(
        `${all.length - others.length} of the parameters to be unfrozen are in a group of ${name} already, and stay in it. ` +
          `Make the optimizer of trainable parameters only: new ${name}(this.parameters().filter((each) => each.requiresGrad)).`,
      );
    }
    return others;
  }

  /** Lets modules be trained, with their parameters in a new group of the optimizer. */
  unfreezeAndAddParamGroup(
    modules: Modules,
    optimizer: optim.Optimizer,
    options: UnfreezeOptions = {},
  ): void {
    const { lr = null, initialDenomLr = 10, trainBn = true } = options;
    this.makeTrainable(modules);
    const rate = lr ?? Number(optimizer.paramGroups[0]?.lr) / initialDenomLr;
    const params = this.filterOnOptimizer(optimizer, this.filterParams(modules, { trainBn }));
    if (params.length > 0) optimizer.addParamGroup({ params, lr: rate });
  }

  override stateDict(): Record<string, unknown> {
    return { internal_optimizer_metadata: this.#groups };
  }

  override loadStateDict(state: Record<string, unknown>): void {
    this.#restarting = true;
    // before Lightning 1.6 there was nothing around it
    const saved = (state.internal_optimizer_metadata ?? state) as object;
    const entries: [unknown, unknown][] = saved instanceof Map ? [...saved] : Object.entries(saved);
    this.#groups = new Map(entries.map(([i, groups]) => [Number(i), groups as NamedGroup[]]));
  }
}

function isSeveral(modules: Modules): modules is Iterable<Modules> {
  return typeof (modules as { [Symbol.iterator]?: unknown })[Symbol.iterator] === "function";
}

/** The groups of an optimizer from an index on, in PyTorch's form, with names for parameters. */
function namedGroups(module: LightningModule, optimizer: optim.Optimizer, from: number): NamedGroup[] {
  const names = new Map(module.namedParameters().map(([name, parameter]) => [parameter as object, name]));
  const { param_groups } = optimizer.stateDict();
  return param_groups.slice(from).map((group, i) => {
    const { params } = optimizer.paramGroups[from + i]!;
    const { params: _, ...options } = group;
    return { ...options, params: params.map((parameter) => names.get(parameter)!) };
  });
}

function withParameters(
  group: NamedGroup,
  parameters: ReadonlyMap<string, nn.Parameter>,
): optim.Optimizer["paramGroups"][number] {
  const options = Object.entries(group).map(([key, value]) => [
    key.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase()),
    Array.isArray(value) ? [...value] : value,
  ]);
  const params = group.params.map((name) => parameters.get(name)!);
  return { ...Object.fromEntries(options), params };
}
