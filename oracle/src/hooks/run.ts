import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import * as torch from "@levin/torch";
import * as levin from "levin";
import type { Callable, Constructor } from "../levin.js";
import { camelCaseKeys } from "../names.js";
import { NotCovered } from "../report.js";
import { levinClass, makeParts, type Parts } from "./parts.js";
import type { CallOptions, Result, Scenario, Trace } from "./scenario.js";
import { type AnyTrainer, simple, Tape } from "./tape.js";

/** A call's outcome with what was thrown, for comparing the meaning of errors. */
export interface LevinResult extends Result {
  thrown?: unknown;
}

/** What levin did in a scenario. */
export interface LevinTrace extends Trace {
  results: LevinResult[];
}

/** Runs a scenario in levin and writes down what it called. */
export async function runScenario(scenario: Scenario): Promise<LevinTrace> {
  const folder = mkdtempSync(join(tmpdir(), "levin-hooks-"));
  const tape = new Tape();
  try {
    return { name: scenario.name, events: tape.events, results: await runCalls(scenario, tape, folder) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function runCalls(scenario: Scenario, tape: Tape, folder: string): Promise<LevinResult[]> {
  torch.manualSeed(0);
  const results: LevinResult[] = [];
  let parts: Parts | undefined;
  let trainer: AnyTrainer | undefined;
  for (const call of scenario.calls) {
    const [[method, options]] = Object.entries(call) as [[string, CallOptions]];
    if (parts === undefined || trainer === undefined || options.new_trainer) {
      tape.trainer = undefined;
      parts = makeParts(scenario, tape, folder);
      trainer = makeTrainer(scenario, options, parts, tape, folder);
      tape.trainer = trainer;
      tape.module = parts.module;
    }
    tape.events.push(["run", method, { ckpt: options.ckpt ?? null }, null]);
    const outcome = await runCall(trainer, method, options, parts, folder);
    results.push({ ...outcome, ...stateAfter(trainer, parts, folder) });
  }
  return results;
}

function makeTrainer(
  scenario: Scenario,
  call: CallOptions,
  parts: Parts,
  tape: Tape,
  folder: string,
): AnyTrainer {
  const Trainer = levinClass<AnyTrainer>("Trainer");
  const checkpoint = (levin as Record<string, unknown>).ModelCheckpoint as Constructor<object> | undefined;
  const flags: Record<string, unknown> = {
    accelerator: "cpu",
    devices: 1,
    enable_progress_bar: false,
    enable_model_summary: false,
    log_every_n_steps: 1,
    enable_checkpointing:
      checkpoint !== undefined && parts.callbacks.some((callback) => callback instanceof checkpoint),
    ...scenario.trainer,
    ...call.trainer,
  };
  if (flags.barebones) {
    return new Trainer(
      camelCaseKeys({ barebones: true, accelerator: "cpu", devices: 1, ...scenario.trainer_barebones }),
    );
  }
  return new Trainer({
    ...camelCaseKeys(flags),
    ...(flags.plugins === undefined ? {} : { plugins: makePlugins(flags.plugins as Described[]) }),
    logger: makeLogger(tape),
    callbacks: parts.callbacks,
    defaultRootDir: folder,
  });
}

/** A class by name, with its arguments by name. */
type Described = Record<string, Record<string, unknown>>;

/** Plugins, whose arguments are all positional in levin. */
function makePlugins(described: Described[]): object[] {
  return described.flatMap((plugin) =>
    Object.entries(plugin).map(([kind, args]) => new (levinClass(kind))(...Object.values(args))),
  );
}

function makeLogger(tape: Tape): object {
  class Recording extends (levinClass("Logger") as Constructor<object>) {
    get name(): string {
      return "recording";
    }
    get version(): number {
      return 0;
    }
    get rootDir(): undefined {
      return undefined;
    }
    logHyperparams(params: Record<string, unknown>): void {
      tape.note("logger", "log_hyperparams", { params });
    }
    logMetrics(metrics: Record<string, number>, step?: number): void {
      tape.note("logger", "log_metrics", { metrics, step });
    }
    save(): void {
      tape.note("logger", "save");
    }
    finalize(status: string): void {
      tape.note("logger", "finalize", { status });
    }
  }
  return new Recording();
}

async function runCall(
  trainer: AnyTrainer,
  method: string,
  options: CallOptions,
  parts: Parts,
  folder: string,
): Promise<LevinResult> {
  const { ckpt } = options;
  const given: Record<string, unknown> = {};
  if (ckpt !== undefined) {
    given.ckptPath = ckpt === "best" || ckpt === "last" ? ckpt : join(folder, "checkpoints", ckpt);
    given.weightsOnly = false;
  }
  if (parts.datamodule !== undefined) given.datamodule = parts.datamodule;
  if (method === "predict" && options.return_predictions !== undefined)
    given.returnPredictions = options.return_predictions;
  const run = (trainer as unknown as Record<string, unknown>)[method];
  if (typeof run !== "function") throw new NotCovered(`no Trainer.${method} in levin`);
  try {
    const value = await (run as Callable).call(trainer, parts.module, given);
    if (method !== "predict") return { call: method, returned: simple(value) };
    return value === undefined || value === null
      ? { call: method }
      : { call: method, returned: predictions(value as unknown[]) };
  } catch (error) {
    if (error instanceof NotCovered) throw error;
    return {
      call: method,
      error: (error as Error)?.name ?? "thrown",
      message: String((error as Error)?.message ?? error),
      thrown: error,
    };
  }
}

/** Predictions as loaders of batches of rows. */
function predictions(value: unknown[]): unknown {
  const loaders = Array.isArray(value[0]) ? (value as unknown[][]) : [value];
  return loaders.map((loader) => loader.map((batch) => (batch as torch.Tensor).toArray()));
}

function stateAfter(trainer: AnyTrainer, { module }: Parts, folder: string): Record<string, unknown> {
  const checkpoints = join(folder, "checkpoints");
  const best = trainer.checkpointCallback;
  return {
    global_step: trainer.globalStep,
    current_epoch: trainer.currentEpoch,
    should_stop: trainer.shouldStop,
    state: statusOf(trainer),
    callback_metrics: simple(trainer.callbackMetrics),
    logged_metrics: simple(trainer.loggedMetrics),
    progress_bar_metrics: simple(trainer.progressBarMetrics),
    weight: module.net.weight.toArray(),
    bias: module.net.bias?.toArray(),
    files: existsSync(checkpoints) ? readdirSync(checkpoints).sort() : [],
    ...(best ? { best: basename(best.bestModelPath), best_score: simple(best.bestModelScore) } : {}),
  };
}

/** "initializing", "running", "finished" or "interrupted". */
function statusOf(trainer: AnyTrainer): unknown {
  const { state } = trainer as unknown as { state?: unknown };
  return typeof state === "object" && state !== null ? (state as { status?: unknown }).status : state;
}
