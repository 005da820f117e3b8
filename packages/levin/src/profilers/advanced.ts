import { mkdirSync, writeFileSync } from "node:fs";
import { type Profiler as CpuProfiler, Session } from "node:inspector";
import { basename, join } from "node:path";
import { ArgumentError } from "@levin/torch";
import type { TrainerFunction } from "../hooks.js";
import { Profiler, type ProfilerOptions, type ProfilerSetup } from "./profiler.js";

/** Options of {@link AdvancedProfiler}. */
export interface AdvancedProfilerOptions extends ProfilerOptions {
  /** How many functions are reported of each action: a number of them, or a part up to 1. Default: 1, all. */
  lineCountRestriction?: number;
  /** Whether the profile is written into `dirpath` as a `.cpuprofile` file, which a browser's developer tools open. Default: false. */
  dumpStats?: boolean;
}

/** The time between two samples, in microseconds. */
const samplingInterval = 250;

/** A time in which an action went on, in microseconds. */
type Interval = [start: number, end: number];

interface Usage {
  self: number;
  total: number;
}

type Profile = CpuProfiler.Profile;

/**
 * Samples which JavaScript functions the time of each action goes to, with the CPU profiler of Node.
 *
 * ```ts
 * new Trainer({ profiler: new AdvancedProfiler({ dirpath: "profiles", filename: "run", dumpStats: true }) });
 * ```
 */
export class AdvancedProfiler extends Profiler {
  readonly #lineCountRestriction: number;
  readonly #dumpStats: boolean;
  readonly #intervals = new Map<string, Interval[]>();
  readonly #open = new Map<string, number>();
  #session: Session | null = null;
  /** The clock when sampling began, in microseconds. */
  #begin = 0;

  constructor(options: AdvancedProfilerOptions = {}) {
    super(options);
    this.#lineCountRestriction = options.lineCountRestriction ?? 1;
    this.#dumpStats = options.dumpStats ?? false;
  }

  override setup(stage: TrainerFunction, options: ProfilerSetup = {}): void {
    super.setup(stage, options);
    this.#sample();
  }

  override start(actionName: string): void {
    this.#sample();
    this.#open.set(actionName, now());
  }

  /** @throws ArgumentError where the action was not started */
  override stop(actionName: string): void {
    const start = this.#open.get(actionName);
    if (start === undefined) {
      throw new ArgumentError(
        `Attempting to stop recording an action (${actionName}) which was never started.`,
      );
    }
    this.#open.delete(actionName);
    const intervals = this.#intervals.get(actionName);
    if (intervals) intervals.push([start, now()]);
    else this.#intervals.set(actionName, [[start, now()]]);
  }

  /** Ends the sampling; what comes later is sampled anew. */
  override summary(): string {
    const profile = this.#end();
    if (!profile || this.#intervals.size === 0) return "";
    if (this.#dumpStats) this.#dump(profile);
    const stats = new Map<string, string>();
    for (const [action, intervals] of this.#intervals) {
      const calls = `${intervals.length} calls, ${seconds(durationOf(intervals))} s\n`;
      stats.set(action, calls + this.#table(usageIn(profile, intervals, this.#begin)));
    }
    return this.statsToString(stats);
  }

  override teardown(stage: TrainerFunction | null): void {
    super.teardown(stage);
    this.#end();
    this.#intervals.clear();
    this.#open.clear();
  }

  #table(usage: ReadonlyMap<string, Usage>): string {
    const rows = [...usage].sort(([, a], [, b]) => b.total - a.total);
    const limit = this.#lineCountRestriction;
    const count = limit <= 1 ? Math.ceil(limit * rows.length) : limit;
    const lines = rows
      .slice(0, count)
      .map(
        ([name, { self, total }]) => `${seconds(self).padStart(9)} ${seconds(total).padStart(9)}  ${name}`,
      );
    return ["  selftime   cumtime  function", ...lines, ""].join("\n");
  }

  #dump(profile: Profile): void {
    if (!this.dirpath) {
      throw new ArgumentError(
        "AdvancedProfiler({ dumpStats: true }) needs dirpath, the folder of the profile.",
      );
    }
    mkdirSync(this.dirpath, { recursive: true });
    const path = join(this.dirpath, this.prepareFilename({ extension: ".cpuprofile" }));
    writeFileSync(path, JSON.stringify(profile));
  }

  #sample(): void {
    if (this.#session) return;
    const session = new Session();
    session.connect();
    // in the own process these are done when they return
    session.post("Profiler.enable");
    session.post("Profiler.setSamplingInterval", { interval: samplingInterval });
    session.post("Profiler.start");
    this.#session = session;
    this.#begin = now();
  }

  #end(): Profile | null {
    const session = this.#session;
    if (!session) return null;
    this.#session = null;
    let profile: Profile | null = null;
    session.post("Profiler.stop", (error, result) => {
      if (!error) profile = result.profile;
    });
    session.disconnect();
    return profile;
  }
}

/** The time that functions took within intervals, by their names with file and line. */
function usageIn(profile: Profile, intervals: readonly Interval[], begin: number): Map<string, Usage> {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const parents = new Map(
    profile.nodes.flatMap((node) => (node.children ?? []).map((child) => [child, node.id])),
  );
  const usage = new Map<string, Usage>();
  const { samples = [], timeDeltas = [], startTime } = profile;
  // V8 has the clock of process.hrtime, but on some systems: there, what it says is no time that can be
  let time = Math.abs(startTime - begin) < 60e6 ? startTime : begin;
  let next = 0;
  for (const [i, sample] of samples.entries()) {
    const delta = timeDeltas[i + 1] ?? 0;
    time += timeDeltas[i]!;
    while (next < intervals.length && intervals[next]![1] < time) next++;
    if (next === intervals.length) break;
    if (time < intervals[next]![0]) continue;
    const seen = new Set<string>();
    for (let id: number | undefined = sample; id !== undefined; id = parents.get(id)) {
      const name = nameOf(nodes.get(id)!);
      if (name === "(root)" || seen.has(name)) continue;
      seen.add(name);
      const entry = usage.get(name) ?? { self: 0, total: 0 };
      if (id === sample) entry.self += delta;
      entry.total += delta;
      usage.set(name, entry);
    }
  }
  return usage;
}

function nameOf({ callFrame }: CpuProfiler.ProfileNode): string {
  const { functionName, url, lineNumber } = callFrame;
  const name = functionName || "(anonymous)";
  return url === "" ? name : `${name} (${basename(url)}:${lineNumber + 1})`;
}

function durationOf(intervals: readonly Interval[]): number {
  return intervals.reduce((sum, [start, end]) => sum + end - start, 0);
}

const seconds = (microseconds: number) => (microseconds / 1e6).toFixed(4);

/** The clock in microseconds. */
function now(): number {
  return Number(process.hrtime.bigint() / 1000n);
}
