import { nn, type Tensor } from "@levin/torch";
import { Callback } from "../callback.js";
import type { Checkpoint } from "../checkpoint/layout.js";
import { MisconfigurationError } from "../errors.js";
import { note } from "../messages.js";
import { LightningModule } from "../module.js";
import { formatNumber } from "../python-format.js";
import type { Trainer } from "../trainer.js";

const { prune } = nn.utils;

/** A parameter of a module, by its name. */
export type ParameterToPrune = readonly [module: nn.Module, name: string];

/** The functions of `nn.utils.prune` that {@link ModelPruning} knows by name. */
export type PruningFunctionName =
  | "ln_structured"
  | "l1_unstructured"
  | "random_structured"
  | "random_unstructured";

/** A pruning method of one's own, made with the amount. */
export type PruningMethod = new (amount: number) => nn.utils.prune.BasePruningMethod;

/** Options of {@link ModelPruning}. */
export interface ModelPruningOptions {
  /** What is pruned. Default: each parameter of `parameterNames` in the model. */
  parametersToPrune?: readonly ParameterToPrune[];
  /** Which parameters of each module. Default: "weight" and "bias". */
  parameterNames?: readonly ("weight" | "bias")[] | null;
  /** Whether the values of all parameters are judged together. Default: true. */
  useGlobalUnstructured?: boolean;
  /** How many values (integers), or which part of them, by epoch if it is a function. Default: 0.5. */
  amount?: number | ((epoch: number) => number);
  /** Whether it prunes at all, by epoch if it is a function. Default: true. */
  applyPruning?: boolean | ((epoch: number) => boolean);
  /** Whether checkpoints, and the model after the fit, have ordinary parameters. Default: true. */
  makePruningPermanent?: boolean;
  /** Whether what is left is set back to its first values. Default: true. @see https://arxiv.org/abs/1803.03635 */
  useLotteryTicketHypothesis?: boolean | ((epoch: number) => boolean);
  /** With it: whether new first values are drawn. Default: false. */
  resampleParameters?: boolean;
  /** The dimension of the slices, for structured methods. */
  pruningDim?: number | null;
  /** Which norm, for "ln_structured". */
  pruningNorm?: number | null;
  /** 1: reports how much is pruned, 2: of each parameter. Default: 0. */
  verbose?: 0 | 1 | 2;
  /** Whether it prunes at the end of training epochs, else of validation. Default: true. */
  pruneOnTrainEpochEnd?: boolean;
}

/** How many values of a parameter are pruned, and how many there are. */
type Stats = [zeros: number, total: number];

type Prune = (module: nn.Module, name: string, amount: number) => void;

/** The first values of a module, and which of the parameters to prune are its own. */
interface Original {
  copy: nn.Module;
  parameters: ParameterToPrune[];
}

const allNames = ["weight", "bias"] as const;
const functionNames = ["ln_structured", "l1_unstructured", "random_structured", "random_unstructured"];

/**
 * Sets parameters to zero while a model is trained: the least important, or random ones, more each epoch.
 *
 * ```ts
 * new Trainer({ callbacks: new ModelPruning("l1_unstructured", { amount: 0.2 }) });
 * ```
 *
 * @see https://docs.pytorch.org/tutorials/intermediate/pruning_tutorial.html
 */
export class ModelPruning extends Callback {
  static readonly PARAMETER_NAMES = allNames;
  readonly amount: number | ((epoch: number) => number);
  readonly #options: ModelPruningOptions;
  readonly #name: string;
  /** For all parameters together; null where each is pruned by itself. */
  readonly #globalMethod: PruningMethod | null;
  readonly #pruneOne: Prune | null;
  #parameters: readonly ParameterToPrune[];
  #originals: Original[] = [];

  /**
   * @param pruningFn a function of `nn.utils.prune` by name, or a pruning method's class
   * @throws MisconfigurationError where options do not fit each other
   */
  constructor(pruningFn: PruningFunctionName | PruningMethod, options: ModelPruningOptions = {}) {
    super();
    this.#options = options;
    this.#parameters = options.parametersToPrune ?? [];
    for (const name of options.parameterNames ?? []) {
      if (!allNames.includes(name)) {
        throw wrong(`parameterNames was given "${name}"; there are ${allNames.join(" and ")}.`);
      }
    }
    this.amount = options.amount ?? 0.5;
    if (typeof this.amount !== "number" && typeof this.amount !== "function") {
      throw wrong(`amount was given ${String(this.amount)}; it is a number, or a function of the epoch.`);
    }
    if (![0, 1, 2].includes(options.verbose ?? 0)) {
      throw wrong(`verbose was given ${String(options.verbose)}; it is 0, 1 or 2.`);
    }
    const together = options.useGlobalUnstructured ?? true;
    if (typeof pruningFn === "string") {
      this.#name = pruningFn.toLowerCase();
      this.#pruneOne = together ? null : pruneFunction(this.#name, options);
      this.#globalMethod = together ? globalMethod(this.#name, options) : null;
    } else {
      this.#name = pruningFn?.name ?? String(pruningFn);
      this.#pruneOne = null;
      this.#globalMethod = checkMethod(pruningFn, together);
    }
  }

  /** Says which of the parameters are pruned; override it to leave some out. */
  filterParametersToPrune(parametersToPrune: readonly ParameterToPrune[]): readonly ParameterToPrune[] {
    return parametersToPrune;
  }

  override setup(_trainer: Trainer, module: LightningModule): void {
    const { parameterNames } = this.#options;
    const names = parameterNames?.length ? parameterNames : allNames;
    const all = ModelPruning.sanitizeParametersToPrune(module, this.#parameters, names);
    this.#parameters = this.filterParametersToPrune(all);
    if ((this.#options.useLotteryTicketHypothesis ?? true) === false) return;
    const originals = new Map<nn.Module, Original>();
    for (const parameter of this.#parameters) {
      const [owner] = parameter;
      if (!originals.has(owner)) originals.set(owner, { copy: nn.utils.deepCopy(owner), parameters: [] });
      originals.get(owner)!.parameters.push(parameter);
    }
    this.#originals = [...originals.values()];
  }

  override onTrainEpochEnd(_trainer: Trainer, module: LightningModule): void {
    if (this.#options.pruneOnTrainEpochEnd ?? true) this.#run(module.currentEpoch);
  }

  override onValidationEpochEnd(trainer: Trainer, module: LightningModule): void {
    if (!trainer.sanityChecking && this.#options.pruneOnTrainEpochEnd === false)
      this.#run(module.currentEpoch);
  }

  override onTrainEnd(_trainer: Trainer, module: LightningModule): void {
    if (this.#options.makePruningPermanent ?? true) this.makePruningPermanent(module);
  }

  override onSaveCheckpoint(_trainer: Trainer, module: LightningModule, checkpoint: Checkpoint): void {
    // the module itself keeps its masks, to be pruned further
    if (this.#options.makePruningPermanent ?? true) checkpoint.state_dict = permanent(module.stateDict());
  }

  #run(epoch: number): void {
    const { applyPruning = true, useLotteryTicketHypothesis = true } = this.#options;
    const applies = typeof applyPruning === "function" ? applyPruning(epoch) : applyPruning;
    const amount = typeof this.amount === "function" ? this.amount(epoch) : this.amount;
    if (!applies || !amount) return;
    this.applyPruning(amount);
    const resets =
      typeof useLotteryTicketHypothesis === "function"
        ? useLotteryTicketHypothesis(epoch)
        : useLotteryTicketHypothesis;
    if (resets) this.applyLotteryTicketHypothesis();
  }

  /** Prunes so many more values (integers), or such a part of them. */
  applyPruning(amount: number): void {
    const { verbose = 0 } = this.#options;
    const before = verbose ? this.#parameters.map(statsOf) : [];
    if (this.#globalMethod) prune.globalUnstructured(this.#parameters, this.#globalMethod, { amount });
    else for (const [module, name] of this.#parameters) this.#pruneOne!(module, name, amount);
    if (verbose) this.#report(before, this.#parameters.map(statsOf), amount);
  }

  /** Sets the parameters back to their first values (or, with `resampleParameters`, to new ones); what is pruned stays so. */
  applyLotteryTicketHypothesis(): void {
    for (const { copy, parameters } of this.#originals) {
      let source = copy as nn.Module & { resetParameters?: () => void };
      if (this.#options.resampleParameters && typeof source.resetParameters === "function") {
        source = nn.utils.deepCopy(source);
        source.resetParameters!();
      }
      for (const [module, name] of parameters) copyParameter(source, module, name);
    }
  }

  /** Makes pruned parameters ordinary ones, in which what was pruned is zero. */
  makePruningPermanent(module: nn.Module): void {
    for (const each of module.modules()) {
      for (const [key] of each.namedBuffers({ recurse: false })) {
        if (key.endsWith("_mask")) prune.remove(each, key.slice(0, -"_mask".length));
      }
    }
  }

  #report(before: Stats[], after: Stats[], amount: number): void {
    const sum = (stats: Stats[], index: 0 | 1) => stats.reduce((total, each) => total + each[index], 0);
    const share = (zeros: number, total: number) => `(${formatNumber(zeros / total, ".2%", true)})`;
    const total = sum(after, 1);
    const [old, now] = [sum(before, 0), sum(after, 0)];
    note(
      `Applied \`${this.#name}\`. Pruned: ${old}/${total} ${share(old, total)} -> ${now}/${total} ${share(now, total)}`,
    );
    if (this.#options.verbose !== 2) return;
    for (const [i, [module, name]] of this.#parameters.entries()) {
      const [zeros, size] = before[i]!;
      const [newZeros, newSize] = after[i]!;
      note(
        `Applied \`${this.#name}\` to \`${module}.${name}\` with amount=${amount}. Pruned: ` +
          `${zeros} ${share(zeros, size)} -> ${newZeros} ${share(newZeros, newSize)}`,
      );
    }
  }

  /**
   * The parameters to prune: those given, or all of these names in the model.
   *
   * @throws MisconfigurationError where a given one is not in the model
   */
  static sanitizeParametersToPrune(
    module: LightningModule,
    parametersToPrune: readonly ParameterToPrune[] = [],
    parameterNames: readonly string[] = allNames,
  ): readonly ParameterToPrune[] {
    const modules = module.modules().filter((each) => !isContainer(each));
    if (parametersToPrune.length === 0) {
      return parameterNames.flatMap((name) =>
        modules
          .filter((each) => fieldOf(each, name) instanceof nn.Parameter)
          .map((each): ParameterToPrune => [each, name]),
      );
    }
    const isPair = ([owner, name]: ParameterToPrune) =>
      owner instanceof nn.Module && typeof name === "string";
    if (!Array.isArray(parametersToPrune) || !parametersToPrune.every(isPair)) {
      throw wrong("parametersToPrune is a list of [module, name of the parameter].");
    }
    for (const [owner, name] of parametersToPrune) {
      if (!modules.includes(owner)) {
        throw wrong(`parametersToPrune has a ${owner.constructor.name} that is not in the model.`);
      }
      if (fieldOf(owner, name) === undefined) {
        throw wrong(`parametersToPrune names "${name}", which ${owner.constructor.name} does not have.`);
      }
    }
    return parametersToPrune;
  }
}

function isContainer(module: nn.Module): boolean {
  return (
    module instanceof LightningModule ||
    module instanceof nn.Sequential ||
    module instanceof nn.ModuleList ||
    module instanceof nn.ModuleDict
  );
}

function fieldOf(module: nn.Module, name: string): unknown {
  return (module as unknown as Record<string, unknown>)[name];
}

/** The function that prunes one parameter, by its name. */
function pruneFunction(name: string, options: ModelPruningOptions): Prune {
  const { pruningDim: dim, pruningNorm: norm } = options;
  checkName(name, options);
  switch (name) {
    case "ln_structured":
      return (module, parameter, amount) => void prune.lnStructured(module, parameter, amount, norm!, dim!);
    case "random_structured":
      return (module, parameter, amount) => void prune.randomStructured(module, parameter, amount, dim!);
    case "l1_unstructured":
      return prune.l1Unstructured;
    default:
      return prune.randomUnstructured;
  }
}

/** The method that prunes all parameters together, by its function's name. */
function globalMethod(name: string, options: ModelPruningOptions): PruningMethod {
  checkName(name, options);
  if (name.endsWith("_structured")) throw notUnstructured(name, "structured");
  return name === "l1_unstructured" ? prune.L1Unstructured : prune.RandomUnstructured;
}

function checkName(name: string, { pruningDim, pruningNorm }: ModelPruningOptions): void {
  if (!functionNames.includes(name)) {
    throw wrong(
      `pruningFn was given "${name}"; it is one of ${functionNames.join(", ")}, or a pruning method's class.`,
    );
  }
  if (!name.endsWith("_structured")) return;
  if (pruningDim == null) throw wrong(`"${name}" needs pruningDim, the dimension of the slices.`);
  if (name === "ln_structured" && pruningNorm == null) throw wrong('"ln_structured" needs pruningNorm.');
}

function checkMethod(method: PruningMethod, together: boolean): PruningMethod {
  if (typeof method !== "function" || !(method.prototype instanceof prune.BasePruningMethod)) {
    throw wrong(
      `pruningFn was given ${String(method)}; it is one of ${functionNames.join(", ")}, or a pruning method's class (not an instance).`,
    );
  }
  if (!together) throw wrong("a pruning method's class needs useGlobalUnstructured.");
  const { pruningType } = new method(0.5);
  if (pruningType !== "unstructured") throw notUnstructured(method.name, pruningType);
  return method;
}

function notUnstructured(name: string, type: string): MisconfigurationError {
  return wrong(
    `with useGlobalUnstructured only methods of the type "unstructured" can be used, but ${name} is "${type}".`,
  );
}

function wrong(what: string): MisconfigurationError {
  return new MisconfigurationError(`ModelPruning: ${what}`);
}

function statsOf([module, name]: ParameterToPrune): Stats {
  const mask = fieldOf(module, `${name}Mask`) as Tensor | undefined;
  return mask === undefined ? [0, 1] : [Number(mask.eq(0).sum().item()), mask.numel()];
}

function copyParameter(from: nn.Module, to: nn.Module, name: string): void {
  // always a copy: Lightning takes none on a CPU, where training on then changes the first values
  const source = fieldOf(from, name) as Tensor;
  const target = (fieldOf(to, `${name}Orig`) ?? fieldOf(to, name)) as Tensor;
  target.data = source.data.to({ device: target.device, copy: true });
}

/** A state dict in which masks are applied, and gone. */
function permanent(state: Record<string, Tensor>): Record<string, Tensor> {
  const kept = { ...state };
  for (const key of Object.keys(state)) {
    if (!key.endsWith("_mask")) continue;
    const name = key.replace("_mask", "");
    const original = state[`${name}_orig`]!;
    delete kept[`${name}_orig`];
    delete kept[key];
    kept[name] = state[key]!.to(original.dtype).mul(original);
  }
  return Object.fromEntries(Object.entries(kept).map(([key, tensor]) => [key, tensor.to("cpu")]));
}
