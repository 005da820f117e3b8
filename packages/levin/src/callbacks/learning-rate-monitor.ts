import type { optim } from "@levin/torch";
import * as torch from "@levin/torch";
import { Callback } from "../callback.js";
import { MisconfigurationError } from "../errors.js";
import { warn } from "../messages.js";
import type { SchedulerConfig } from "../optimizers.js";
import type { Trainer } from "../trainer.js";

/** Options of {@link LearningRateMonitor}. */
export interface LearningRateMonitorOptions {
  /** Whether it logs at steps or at epochs. Default: as the interval of each scheduler says. */
  loggingInterval?: "step" | "epoch" | null;
  /** Whether momentum (or the first beta) is logged too. Default: false. */
  logMomentum?: boolean;
  /** Whether weight decay is logged too. Default: false. */
  logWeightDecay?: boolean;
}

type Group = Record<string, unknown>;

/** The optimizers of a run and the names of their parameter groups. */
interface Named {
  optimizer: optim.Optimizer;
  names: string[];
  interval: "step" | "epoch" | null;
}

/** Logs the learning rates: of each scheduler's optimizer, and of optimizers without a scheduler. */
export class LearningRateMonitor extends Callback {
  /** The learning rates that were logged, by name. */
  lrs: Record<string, number[]> = {};
  readonly #interval: "step" | "epoch" | null;
  readonly #options: LearningRateMonitorOptions;

  constructor(options: LearningRateMonitorOptions = {}) {
    super();
    this.#interval = options.loggingInterval ?? null;
    if (this.#interval !== null && this.#interval !== "step" && this.#interval !== "epoch") {
      throw new MisconfigurationError(
        `LearningRateMonitor: loggingInterval was given "${String(this.#interval)}"; it is "step", "epoch" or null.`,
      );
    }
    this.#options = options;
  }

  override onTrainStart(trainer: Trainer): void {
    if (trainer.loggers.length === 0) {
      throw new MisconfigurationError(
        "LearningRateMonitor needs a logger, but the trainer has none: give it one, or leave it out.",
      );
    }
    const { optimizers } = trainer;
    const has = (key: string) => optimizers.every((optimizer) => key in (optimizer.defaults as Group));
    if (this.#options.logMomentum && !has("momentum") && !has("betas")) {
      warn(
        "LearningRateMonitor({ logMomentum: true }): some optimizers have no momentum; 0 is logged for them.",
      );
    }
    this.lrs = Object.fromEntries(
      nameOptimizers(trainer).flatMap(({ names }) => names.map((name) => [name, []])),
    );
  }

  override onTrainBatchStart(trainer: Trainer): void {
    if (this.#interval !== "epoch" && trainer.shouldUpdateLogs) this.#log(trainer, "step");
  }

  override onTrainEpochStart(trainer: Trainer): void {
    if (this.#interval !== "step") this.#log(trainer, "epoch");
  }

  #log(trainer: Trainer, at: "step" | "epoch"): void {
    const values: Record<string, number> = {};
    const named = nameOptimizers(trainer);
    for (const { names } of named) this.#rename(names[0]!);
    for (const { optimizer, names, interval } of named) {
      // without an interval of its own, a scheduler's optimizer is logged when the scheduler is stepped; others always
      if (this.#interval === null && interval !== null && interval !== at) continue;
      for (const [i, name] of names.entries()) Object.assign(values, this.#values(optimizer, i, name));
    }
    Object.assign(
      trainer.callbackMetrics,
      Object.fromEntries(Object.entries(values).map(([name, value]) => [name, torch.tensor(value)])),
    );
    if (Object.keys(values).length === 0) return;
    for (const logger of trainer.loggers) logger.logMetrics(values, trainer.loggedStep);
  }

  /** What was logged of an optimizer's only group belongs to its first, once there are more. */
  #rename(first: string): void {
    const before = first.replace("/pg1", "");
    if (first === before || !(before in this.lrs)) return;
    this.lrs[first] = this.lrs[before]!;
    delete this.lrs[before];
  }

  #values(optimizer: optim.Optimizer, index: number, name: string): Record<string, number> {
    const group = optimizer.paramGroups[index] as unknown as Group;
    const lr = toNumber(group.lr);
    this.lrs[name] ??= [];
    this.lrs[name].push(lr);
    const values: Record<string, number> = { [name]: lr };
    if (this.#options.logMomentum) {
      const betas = "betas" in (optimizer.defaults as Group) ? (group.betas as number[]) : null;
      values[`${name}-momentum`] = toNumber(betas ? betas[0] : (group.momentum ?? 0));
    }
    if (this.#options.logWeightDecay) values[`${name}-weight_decay`] = toNumber(group.weightDecay);
    return values;
  }
}

function toNumber(value: unknown): number {
  return value instanceof torch.Tensor ? Number(value.item()) : Number(value);
}

/** "lr-SGD", with a number for the second of a kind, and the group's where there are several. */
function nameOptimizers(trainer: Trainer): Named[] {
  const named: Named[] = [];
  const seen = new Set<optim.Optimizer>();
  const counts = new Map<string, number>();
  const add = (optimizer: optim.Optimizer, config: SchedulerConfig | null) => {
    seen.add(optimizer);
    const kind = optimizer.constructor.name;
    let base = config?.name ?? null;
    if (base === null) {
      counts.set(kind, (counts.get(kind) ?? 0) + 1);
      base = `lr-${kind}`;
    }
    const count = counts.get(kind) ?? 0;
    const prefix = count > 1 ? `${base}-${count - 1}` : base;
    const groups = optimizer.paramGroups as unknown as Group[];
    const names = groups.map((group, i) => {
      const own = group.name ?? (groups.length > 1 ? `pg${i + 1}` : null);
      return own === null ? prefix : `${prefix}/${String(own)}`;
    });
    if (new Set(names).size < names.length) {
      throw new MisconfigurationError(
        `LearningRateMonitor: parameter groups of ${kind} have the same name: ${names.join(", ")}. Give each its own.`,
      );
    }
    named.push({ optimizer, names, interval: config?.interval ?? null });
  };
  for (const config of trainer.lrSchedulerConfigs)
    if (config.scheduler.optimizer) add(config.scheduler.optimizer, config);
  for (const optimizer of trainer.optimizers) if (!seen.has(optimizer)) add(optimizer, null);
  return named;
}
