import { copyFileSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { cuda } from "../device.js";
import { ArgumentError, LevinError } from "../errors.js";
import { native, type ProfilerResult } from "../native.js";
import { captureStack } from "../stack.js";
import { averagesOf, EventList, type FunctionEventAverage, type KeyAveragesOptions } from "./averages.js";
import { eventsOf, type FunctionEvent } from "./events.js";
import { beginRange } from "./record-function.js";
import type { ProfilerAction } from "./schedule.js";

/** What can be profiled: operators on the CPU, or work on an accelerator. */
export type ProfilerActivity = "cpu" | "cuda" | "xpu";

/** Options of {@link Profile} and {@link profile}. */
export interface ProfileOptions {
  /** What is profiled. Default: all that there is on this machine. */
  activities?: readonly ProfilerActivity[];
  /** What is done in which step; then {@link Profile.step} is to be called after each. Default: everything is recorded. */
  schedule?: (step: number) => ProfilerAction;
  /** Called when a recording is complete. */
  onTraceReady?: (profile: Profile) => void;
  /** Records the shapes of inputs. Default: false. */
  recordShapes?: boolean;
  /** Records allocations. Default: false. */
  profileMemory?: boolean;
  /** Records from which JavaScript frames operators were called; slow. Default: false. */
  withStack?: boolean;
  /** Estimates the floating point operations of matrix products and convolutions. Default: false. */
  withFlops?: boolean;
  /** Keeps the events of earlier cycles of the schedule. Default: false. */
  accEvents?: boolean;
}

/** What can be profiled on this machine. */
export function supportedActivities(): ProfilerActivity[] {
  return cuda.isAvailable() ? ["cpu", "cuda"] : ["cpu"];
}

/**
 * A profile of the operators that this thread runs between `start` and `stop`.
 *
 * ```ts
 * const prof = new profiler.Profile({
 *   schedule: profiler.schedule({ wait: 1, warmup: 1, active: 3 }),
 *   onTraceReady: profiler.tensorboardTraceHandler("runs/profile"),
 * });
 * prof.start();
 * for (const batch of loader) {
 *   trainStep(batch);
 *   prof.step();
 * }
 * prof.stop();
 * ```
 *
 * @see https://docs.pytorch.org/docs/stable/profiler.html#torch.profiler.profile
 */
export class Profile {
  /** The number of calls of {@link step}. */
  stepNum = 0;
  readonly #options: ProfileOptions;
  readonly #activities: readonly ProfilerActivity[];
  readonly #schedule: (step: number) => ProfilerAction;
  #action: ProfilerAction;
  #isStarted = false;
  #endStep: (() => void) | null = null;
  #result: ProfilerResult | null = null;
  #events: FunctionEvent[] | null = null;
  #earlierEvents: FunctionEvent[] = [];
  #savedTo: string | null = null;

  constructor(options: ProfileOptions = {}) {
    this.#options = options;
    this.#activities = availableOf(options.activities ?? supportedActivities());
    this.#schedule = options.schedule ?? (() => "record");
    this.#action = this.#schedule(0);
  }

  /** Starts to record, or whatever the schedule says for the first step. */
  start(): void {
    if (this.#isStarted) throw new LevinError("profile: start was called twice; call stop first.");
    this.#isStarted = true;
    try {
      this.#change("none", this.#action);
    } catch (error) {
      this.#isStarted = false;
      throw error;
    }
    this.#beginStep();
  }

  /** Says that a step of the schedule has ended. */
  step(): void {
    if (!this.#isStarted) throw new LevinError("profile: step was called without start.");
    this.#endStep?.();
    const before = this.#action;
    this.stepNum++;
    this.#action = this.#schedule(this.stepNum);
    this.#change(before, this.#action);
    this.#beginStep();
  }

  /** Ends the recording. */
  stop(): void {
    if (!this.#isStarted) throw new LevinError("profile: stop was called without start.");
    this.#endStep?.();
    this.#endStep = null;
    const isRecording = this.#action === "record" || this.#action === "record_and_save";
    if (isRecording) this.#take();
    else if (this.#action === "warmup") native.stopProfiler();
    this.#isStarted = false;
    if (isRecording) this.#options.onTraceReady?.(this);
  }

  [Symbol.dispose](): void {
    if (this.#isStarted) this.stop();
  }

  /** All events of the last recording, by their start. */
  events(): EventList<FunctionEvent> {
    return new EventList([...this.#earlierEvents, ...this.#ownEvents()], this.#profiled());
  }

  /** The sums over events of the same name. `keyAverages().table()` shows them. */
  keyAverages(options: KeyAveragesOptions = {}): EventList<FunctionEventAverage> {
    return new EventList(averagesOf(this.events(), options), this.#profiled());
  }

  /**
   * Writes the last recording as a file for `chrome://tracing`, Perfetto or TensorBoard; compressed where the name ends in `.gz`.
   *
   * @throws LevinError where nothing was recorded
   */
  exportChromeTrace(path: string): void {
    const { trace } = this.#recorded("exportChromeTrace");
    if (path.endsWith(".gz")) {
      const plain = path.slice(0, -".gz".length);
      this.exportChromeTrace(plain);
      writeFileSync(path, gzipSync(readFileSync(plain)));
      if (this.#savedTo === plain) this.#savedTo = path;
      rmSync(plain);
      return;
    }
    // kineto says nothing where it cannot write, and gives a trace away only once.
    writeFileSync(path, "");
    if (this.#savedTo === null) native.saveTrace(trace, path);
    else copyFileSync(this.#savedTo, path);
    this.#savedTo ??= path;
  }

  /** Writes the stacks of events with their times in microseconds, for flame graphs. Needs `withStack`. */
  exportStacks(path: string, metric: "selfCpuTimeTotal" | "selfDeviceTimeTotal" = "selfCpuTimeTotal"): void {
    if (!this.#options.withStack)
      throw new ArgumentError("exportStacks: no stacks were recorded; give { withStack: true }.");
    const lines: string[] = [];
    for (const event of this.events()) {
      const time = Math.trunc(event[metric]);
      if (event.stack.length === 0 || time <= 0) continue;
      const frames = [...event.stack].reverse().map((frame) => frame.replaceAll(/[ ;\t\n]/g, "_"));
      lines.push(`${frames.join(";")} ${time}\n`);
    }
    writeFileSync(path, lines.join(""));
  }

  /** Adds an entry to the trace that is being recorded. */
  addMetadata(key: string, value: string): void {
    native.addTraceMetadata(plainText(key), `"${plainText(value)}"`);
  }

  toString(): string {
    return this.#result === null ? "Profile (nothing recorded)" : this.keyAverages().table();
  }

  /** What leads from one action to the next. */
  #change(before: ProfilerAction, after: ProfilerAction): void {
    const isRecording = before === "record" || before === "record_and_save";
    const records = after === "record" || after === "record_and_save";
    if (before === "record" && !records) {
      process.emitWarning(
        `profile: the schedule is wrong: "record" is followed by "${after}", and what was recorded is lost.`,
      );
      this.#take();
      if (after === "warmup") this.#prepare();
      return;
    }
    if (before === "warmup" && after === "none") {
      process.emitWarning('profile: the schedule is wrong: "warmup" is followed by "none".');
      native.stopProfiler();
      return;
    }
    if (before === "record_and_save") {
      this.#take();
      this.#options.onTraceReady?.(this);
    }
    const goesOn = isRecording && before !== "record_and_save";
    if (after !== "none" && before !== "warmup" && !goesOn) this.#prepare();
    if (records && !goesOn) this.#record();
  }

  #prepare(): void {
    const { recordShapes = false, profileMemory = false, withFlops = false } = this.#options;
    native.prepareProfiler(this.#activities, recordShapes || withFlops, profileMemory, withFlops);
  }

  #record(): void {
    if (this.#options.accEvents) this.#earlierEvents.push(...this.#ownEvents());
    this.#result = null;
    this.#events = null;
    this.#savedTo = null;
    const { recordShapes, profileMemory, withStack, withFlops } = this.#options;
    native.startProfiler(withStack ? captureStack : null);
    // TensorBoard's plugin looks for these.
    const parts = {
      profile_memory: profileMemory,
      with_stack: withStack,
      record_shapes: recordShapes,
      with_flops: withFlops,
    };
    for (const [key, isOn] of Object.entries(parts)) if (isOn) native.addTraceMetadata(key, "1");
  }

  #take(): void {
    if (this.#activities.includes("cuda")) cuda.synchronize();
    this.#result = native.stopProfiler();
  }

  #beginStep(): void {
    this.#endStep = this.#options.schedule === undefined ? null : beginRange(`ProfilerStep#${this.stepNum}`);
  }

  #recorded(what: string): ProfilerResult {
    if (this.#result !== null) return this.#result;
    throw new LevinError(
      `${what}: nothing was recorded yet; the profile must have been started and stopped.`,
    );
  }

  #ownEvents(): FunctionEvent[] {
    if (this.#result === null) return [];
    this.#events ??= eventsOf(this.#result);
    return this.#events;
  }

  #profiled() {
    const { profileMemory = false, withFlops = false } = this.#options;
    const device = this.#activities.find((activity) => activity !== "cpu") ?? null;
    return { device, memory: profileMemory, flops: withFlops };
  }
}

/** Text without what kineto writes into its JSON as it is. */
function plainText(text: string): string {
  return text
    .replaceAll('"', "'")
    .replaceAll("\\", "/")
    .replaceAll(/\p{Cc}/gu, " ");
}

/** The activities that this machine has; warns of others, as PyTorch does. */
function availableOf(activities: readonly ProfilerActivity[]): readonly ProfilerActivity[] {
  const known: readonly string[] = ["cpu", "cuda", "xpu"];
  for (const activity of activities) {
    if (!known.includes(activity)) {
      throw new ArgumentError(
        `profile: activities was given "${activity}"; it is a list of "cpu", "cuda", "xpu".`,
      );
    }
  }
  const available = activities.filter((activity) => activity === "cpu" || native.deviceCount(activity) > 0);
  for (const activity of activities) {
    if (!available.includes(activity)) {
      process.emitWarning(`profile: ${activity.toUpperCase()} is not available, and is not profiled.`);
    }
  }
  if (available.length === 0)
    throw new ArgumentError("profile: activities has none that this machine can profile.");
  return available;
}

/**
 * Profiles a function, synchronous or not. Gives the profile, with events, averages and a trace.
 *
 * ```ts
 * const prof = profiler.profile({ recordShapes: true }, () => model.forward(input));
 * console.log(prof.keyAverages().table({ sortBy: "selfCpuTimeTotal", rowLimit: 10 }));
 * prof.exportChromeTrace("trace.json");
 * ```
 *
 * @throws ArgumentError where this or another thread of the process is being profiled already
 * @see https://docs.pytorch.org/docs/stable/profiler.html#torch.profiler.profile
 */
export function profile(
  options: ProfileOptions,
  fn: (profile: Profile) => Promise<unknown>,
): Promise<Profile>;
export function profile(options: ProfileOptions, fn: (profile: Profile) => unknown): Profile;
export function profile(
  options: ProfileOptions,
  fn: (profile: Profile) => unknown,
): Profile | Promise<Profile> {
  const made = new Profile(options);
  made.start();
  let result: unknown;
  try {
    result = fn(made);
  } catch (error) {
    made[Symbol.dispose]();
    throw error;
  }
  if (typeof (result as { then?: unknown } | null | undefined)?.then !== "function") {
    made[Symbol.dispose]();
    return made;
  }
  return Promise.resolve(result).then(
    () => {
      made[Symbol.dispose]();
      return made;
    },
    (error) => {
      made[Symbol.dispose]();
      throw error;
    },
  );
}
