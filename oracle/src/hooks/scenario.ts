import { readFileSync } from "node:fs";
import { parseJson } from "../json.js";

/** What the module does in a hook, besides what it would do anyway. */
export interface Act {
  in: string;
  do: "raise" | "interrupt" | "stop" | "return -1" | "return none" | "nan";
  epoch?: number;
  batch?: number;
  sanity?: boolean;
}

/** A `self.log` in a hook; further keys are its keyword arguments. */
export interface Log extends Record<string, unknown> {
  in: string;
  name: string;
  value: number | "loss" | "batch" | "epoch" | "nan";
}

/** A scheduler that the module configures. */
export interface SchedulerConfig {
  kind: string;
  args?: Record<string, unknown>;
  optimizer?: number;
  interval?: string;
  frequency?: number;
  monitor?: string;
  strict?: boolean;
  name?: string;
}

/** The stages that have loaders. */
export type Stage = "train" | "val" | "test" | "predict";

/** The numbers of batches of loaders, in the structure of the loaders. */
export type Lengths = number | Lengths[] | { [key: string]: Lengths };

/** A scenario: pure data, see the README of the recordings. */
export interface Scenario {
  name: string;
  data: { [stage in Stage]?: Lengths } & { mode?: string; as_list?: boolean; iterable?: boolean };
  datamodule?: boolean;
  module?: {
    automatic_optimization?: boolean;
    toggle?: boolean;
    clip?: number;
    optimizers?: { lr: number; part?: number }[];
    schedulers?: SchedulerConfig[];
    log?: Log[];
    act?: Act[];
    dict_output?: boolean;
    hparams?: Record<string, unknown>;
  };
  callbacks?: Record<string, Record<string, unknown>>[];
  leave?: string[];
  trainer?: Record<string, unknown>;
  trainer_barebones?: Record<string, unknown>;
  calls: Record<string, CallOptions>[];
}

/** How a method of the trainer is called. */
export interface CallOptions {
  ckpt?: string;
  new_trainer?: boolean;
  trainer?: Record<string, unknown>;
  return_predictions?: boolean;
}

/** `[who, hook, arguments, state]`. */
export type Event = [who: string, hook: string, args: Record<string, unknown>, state: number[] | null];

/** What came of one call of the trainer. */
export interface Result extends Record<string, unknown> {
  call: string;
  error?: string;
  message?: string;
}

/** What the real Lightning did. */
export interface Trace {
  name: string;
  events: Event[];
  results: Result[];
}

/**
 * Reads a scenario. Python tells `1.0` (all batches) from `1` (one batch) and JavaScript does not: the flags where that matters
 * are left out for `1.0`, which is their default.
 */
export function readScenario(path: string): Scenario {
  const text = readFileSync(path, "utf8").replace(
    /"(limit_\w+_batches|val_check_interval)":\s*1\.0(?=\s*[,}])/g,
    '"$1": "default"',
  );
  const scenario = parseJson(text) as Scenario;
  const withoutDefaults = (flags: Record<string, unknown> | undefined) =>
    flags && Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== "default"));
  return {
    ...scenario,
    trainer: withoutDefaults(scenario.trainer) ?? {},
    calls: scenario.calls.map((call) =>
      Object.fromEntries(
        Object.entries(call).map(([method, options]) => [
          method,
          { ...options, trainer: withoutDefaults(options.trainer) ?? {} },
        ]),
      ),
    ),
  };
}
