import { notAllowed } from "../argument-checks.js";
import { AdvancedProfiler } from "./advanced.js";
import { PyTorchProfiler } from "./engine.js";
import { PassThroughProfiler } from "./pass-through.js";
import { Profiler } from "./profiler.js";
import { SimpleProfiler } from "./simple.js";

const makers = {
  simple: () => new SimpleProfiler(),
  advanced: () => new AdvancedProfiler(),
  pytorch: () => new PyTorchProfiler(),
};

/** The profilers that a trainer can be given by name. */
export type ProfilerName = keyof typeof makers;

/** The profiler that a trainer was given. */
export function makeProfiler(given: ProfilerName | Profiler | null): Profiler {
  if (given === null) return new PassThroughProfiler();
  if (given instanceof Profiler) return given;
  const name = String(given).toLowerCase();
  if (Object.hasOwn(makers, name)) return makers[name as ProfilerName]();
  throw notAllowed("Trainer({ profiler })", given, `one of ${Object.keys(makers).join(", ")}, or a Profiler`);
}
