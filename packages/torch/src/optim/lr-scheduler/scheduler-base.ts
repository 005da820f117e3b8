import { inspect } from "node:util";
import { ArgumentError } from "../../errors.js";
import { Tensor } from "../../tensor.js";
import { numberOf } from "../arguments.js";
import { camelCase, snakeCase } from "../names.js";
import { Optimizer } from "../optimizer.js";
import type { ParamGroup } from "../param-group.js";

/** A scheduler's state, with PyTorch's names. */
export type SchedulerStateDict = Record<string, unknown>;

/** What all schedulers have in common, also those that only call others. */
export abstract class SchedulerBase {
  readonly optimizer: Optimizer;
  /** @internal */
  _lastLr: number[] = [];

  /** @throws ArgumentError where `optimizer` is none */
  constructor(optimizer: Optimizer) {
    checkOptimizer(optimizer);
    this.optimizer = optimizer;
  }

  /** Sets the learning rates for what comes next. */
  abstract step(value?: number | Tensor): void;

  /** @internal Sets the learning rates of the first epoch. */
  initialStep(): void {
    this.step();
  }

  /** The learning rates that the scheduler has set last: one for each group. */
  getLastLr(): number[] {
    return this._lastLr;
  }

  /** Everything that the scheduler needs to go on, with PyTorch's names. */
  stateDict(): SchedulerStateDict {
    const entries = Object.entries(this).filter(
      ([key, value]) => key !== "optimizer" && typeof value !== "function",
    );
    return Object.fromEntries(entries.map(([key, value]) => [snakeCase(key), value]));
  }

  /** Takes over a state, of levin's or PyTorch's making. Load the optimizer's state too: the learning rates are there. */
  loadStateDict(state: SchedulerStateDict): void {
    for (const [key, value] of Object.entries(state)) {
      (this as Record<string, unknown>)[camelCase(key)] = loaded(value);
    }
  }
}

/** Any options of a group, by name. */
export type Group = ParamGroup & Record<string, unknown>;

/** The optimizer's groups, to be asked for any option. */
export function groupsOf(optimizer: Optimizer): Group[] {
  return optimizer.paramGroups as Group[];
}

/** Throws unless `optimizer` is one. */
export function checkOptimizer(optimizer: unknown): asserts optimizer is Optimizer {
  if (!(optimizer instanceof Optimizer))
    throw new ArgumentError(`${inspect(optimizer, { depth: 0 })} is not an Optimizer`);
}

/** Throws where an argument without a default is not given. */
export function required(name: string, given: Record<string, unknown>): void {
  for (const [key, value] of Object.entries(given)) {
    if (value === undefined) {
      throw new ArgumentError(
        `${name} needs ${key}: new ${name}(optimizer, ${Object.keys(given).join(", ")})`,
      );
    }
  }
}

/** A value for each group of the optimizer: the one given for all, or one of a list for each. */
export function perGroup(name: string, optimizer: Optimizer, value: number | readonly number[]): number[] {
  const count = optimizer.paramGroups.length;
  if (typeof value === "number") return Array<number>(count).fill(value);
  if (value.length !== count) {
    throw new ArgumentError(
      `${name} must have the same length as optimizer.paramGroups. ${name} has ${value.length} values, paramGroups has ${count}.`,
    );
  }
  return [...value];
}

/** What the groups have for an option that is a number, or a tensor that holds one. */
export function valuesOf(optimizer: Optimizer, key: string): number[] {
  return groupsOf(optimizer).map((group) => numberOf(group[key] as number | Tensor));
}

/** Sets an option of a group; a tensor is filled, so that whoever holds it has the new value. */
export function setValue(group: Group, key: string, value: number): void {
  const current = group[key];
  if (current instanceof Tensor) current.detach().fill_(value);
  else (group as Record<string, unknown>)[key] = value;
}

/** How many of the milestones, in ascending order, have been reached. */
export function reached(milestones: readonly number[], epoch: number): number {
  let count = 0;
  while (count < milestones.length && (milestones[count] as number) <= epoch) count += 1;
  return count;
}

/** A value of a saved state; learning rates that were tensors become numbers. */
function loaded(value: unknown): unknown {
  if (value instanceof Tensor && value.numel() === 1) return value.item();
  return Array.isArray(value) ? value.map(loaded) : value;
}
