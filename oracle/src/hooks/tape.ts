import * as torch from "@levin/torch";
import { camelCase } from "../names.js";
import type { Parameter } from "../signatures.js";
import type { Event } from "./scenario.js";

/** What the recorder uses of a trainer. */
export interface AnyTrainer {
  currentEpoch: number;
  globalStep: number;
  sanityChecking: boolean;
  shouldStop: boolean;
  callbackMetrics: Record<string, unknown>;
  loggedMetrics: Record<string, unknown>;
  progressBarMetrics: Record<string, unknown>;
  checkpointCallback: { bestModelPath: string; bestModelScore: unknown } | null | undefined;
}

/** A value as a trace shows it: tensors of one element as numbers, larger things by their kind. */
export function simple(value: unknown, depth = 0): unknown {
  if (value === undefined || value === null) return null;
  if (typeof value === "number" && !Number.isFinite(value))
    return Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
  if (typeof value === "number" || typeof value === "boolean" || typeof value === "string") return value;
  if (typeof value === "bigint") return Number(value);
  if (value instanceof torch.Tensor)
    return value.numel() === 1 ? simple(value.item<number>()) : { tensor: value.shape };
  if (Array.isArray(value) && depth < 2) return value.map((item) => simple(item, depth + 1));
  if (isPlainObject(value) && depth < 2) {
    const entries = value instanceof Map ? [...value] : Object.entries(value);
    return Object.fromEntries(entries.map(([key, item]) => [String(key), simple(item, depth + 1)]));
  }
  return { is: (value as object).constructor.name };
}

function isPlainObject(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false;
  return value instanceof Map || [Object.prototype, null].includes(Object.getPrototypeOf(value));
}

/** Notes every hook with the state at that moment. */
export class Tape {
  readonly events: Event[] = [];
  trainer: AnyTrainer | undefined;
  module: torch.nn.Module | undefined;

  note(who: string, hook: string, args: Record<string, unknown> = {}): void {
    const shown = Object.fromEntries(Object.entries(args).map(([key, value]) => [key, simple(value)]));
    this.events.push([who, hook, shown, this.#state()]);
  }

  #state(): number[] | null {
    const { trainer, module } = this;
    if (trainer === undefined) return null;
    return [
      trainer.currentEpoch,
      trainer.globalStep,
      Number(module?.training ?? false),
      Number(torch.isGradEnabled()),
      Number(trainer.sanityChecking),
    ];
  }
}

const SHOWN = new Set([
  "batch_idx",
  "dataloader_idx",
  "stage",
  "outputs",
  "gradient_clip_val",
  "gradient_clip_algorithm",
  "metric",
  "loss",
]);

/** The simple ones of a hook's arguments by their Python names; what levin takes in an options object counts like the rest. */
export function pickedArguments(signature: Parameter[], args: readonly unknown[]): Record<string, unknown> {
  const picked: Record<string, unknown> = {};
  for (const [i, [name, optional]] of signature.entries()) {
    if (!SHOWN.has(name)) continue;
    const key = camelCase(name);
    const options = args.at(-1);
    const inOptions = optional && isPlainObject(options) && key in options;
    if (inOptions) picked[name] = (options as Record<string, unknown>)[key];
    else if (i < args.length) picked[name] = args[i];
  }
  return picked;
}
