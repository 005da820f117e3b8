import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Callback } from "../callback.js";
import { timelinePage } from "../explain/timeline-page.js";
import type { Recorder } from "../profilers/recorder.js";
import type { Trainer } from "../trainer.js";

/** Options of {@link HookTimeline}. */
export interface HookTimelineOptions {
  /** The folder of the files. Default: the trainer's `logDir`. */
  dirpath?: string | null;
  /** The name of the files, without the extension. Default: "hooks". */
  filename?: string;
  /** How many actions are kept at most; later ones are left out. Default: 200,000. */
  maxEvents?: number;
}

/** An action of a run, in microseconds since the recording began. */
export interface TimelineEvent {
  /** As Lightning's profilers name it: "[Callback]EarlyStopping.on_train_end". */
  readonly name: string;
  readonly start: number;
  readonly duration: number;
  /** How many other actions it lies in. */
  readonly depth: number;
}

/**
 * Records every hook with its time. At the end of each run, however it ends, it writes `hooks.trace.json`, which a browser's trace viewer
 * (`chrome://tracing`, https://ui.perfetto.dev) opens, and `hooks.html`, a page that shows the same by itself.
 *
 * ```ts
 * new Trainer({ callbacks: new HookTimeline({ dirpath: "timeline" }) });
 * ```
 */
export class HookTimeline extends Callback implements Recorder {
  /** What was recorded, by the end of each action. */
  readonly events: TimelineEvent[] = [];
  /** How many actions were left out. */
  leftOut = 0;
  readonly #options: HookTimelineOptions;
  readonly #open: { name: string; start: number }[] = [];
  readonly #begin = now();

  constructor(options: HookTimelineOptions = {}) {
    super();
    this.#options = options;
  }

  /** @internal */
  start(actionName: string): void {
    this.#open.push({ name: actionName, start: now() });
  }

  /** @internal */
  stop(actionName: string): void {
    const end = now();
    // what an error has left open is closed with what it lies in
    for (let action = this.#open.pop(); action; action = this.#open.pop()) {
      this.#add(action.name, action.start, end);
      if (action.name === actionName) return;
    }
  }

  #add(name: string, start: number, end: number): void {
    if (this.events.length >= (this.#options.maxEvents ?? 200_000)) {
      this.leftOut++;
      return;
    }
    this.events.push({ name, start: start - this.#begin, duration: end - start, depth: this.#open.length });
  }

  override teardown(trainer: Trainer): void {
    this.#write(trainer);
  }

  override onException(trainer: Trainer): void {
    this.#write(trainer);
  }

  /** The recording in the format of Chrome's trace viewer. */
  toTrace(): object {
    const traceEvents = this.events.map(({ name, start, duration }) => ({
      name,
      cat: /^\[(\w+)\]/.exec(name)?.[1] ?? "run",
      ph: "X",
      ts: start,
      dur: duration,
      pid: process.pid,
      tid: 0,
    }));
    return { traceEvents, displayTimeUnit: "ms" };
  }

  #write(trainer: Trainer): void {
    if (!trainer.isGlobalZero) return;
    const folder = this.#options.dirpath ?? trainer.logDir ?? trainer.defaultRootDir;
    const base = join(folder, this.#options.filename ?? "hooks");
    mkdirSync(folder, { recursive: true });
    writeFileSync(`${base}.trace.json`, JSON.stringify(this.toTrace()));
    writeFileSync(`${base}.html`, timelinePage(this.events, this.leftOut));
  }
}

function now(): number {
  return performance.now() * 1000;
}
