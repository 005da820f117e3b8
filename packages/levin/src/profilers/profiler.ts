import { appendFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import type { TrainerFunction } from "../hooks.js";
import { report } from "../messages.js";
import type { LightningModule } from "../module.js";
import { type Recorder, record } from "./recorder.js";

/** Options that every profiler has. */
export interface ProfilerOptions {
  /** The folder of the report. Default: the trainer's `logDir`. */
  dirpath?: string | null;
  /** The name of the report's file, without the extension. Default: it is printed. */
  filename?: string | null;
}

/** What a profiler is told when a run begins. */
export interface ProfilerSetup {
  /** The process's number, where there are several. */
  localRank?: number | null;
  /** The folder of the run. */
  logDir?: string | null;
}

/** The base of profilers: is told of each action of a run, and reports at its end. */
export abstract class Profiler implements Recorder {
  dirpath: string | null;
  filename: string | null;
  /** The module that is being run; set by the trainer. */
  lightningModule: LightningModule | null = null;
  #stage: TrainerFunction | null = null;
  #localRank: number | null = null;

  constructor(options: ProfilerOptions = {}) {
    this.dirpath = options.dirpath ?? null;
    this.filename = options.filename ?? null;
  }

  /** An action begins. */
  abstract start(actionName: string): void;

  /** An action has ended. */
  abstract stop(actionName: string): void;

  /** The report. */
  summary(): string {
    return "";
  }

  /** Does something as an action with a name. */
  profile<T>(actionName: string, action: () => T): T {
    return record(this, actionName, action);
  }

  /** Writes the report into the file, or prints it. */
  describe(): void {
    const summary = this.summary();
    if (summary !== "") {
      if (this.filename && this.dirpath) {
        mkdirSync(this.dirpath, { recursive: true });
        appendFileSync(join(this.dirpath, this.prepareFilename()), summary);
      } else if (this.localRank === 0) report(summary);
    }
    this.teardown(this.#stage);
  }

  /** A run begins. */
  setup(stage: TrainerFunction, options: ProfilerSetup = {}): void {
    this.#stage = stage;
    this.#localRank = options.localRank ?? null;
    this.dirpath = this.dirpath || (options.logDir ?? null);
  }

  /** A run has ended. */
  teardown(_stage: TrainerFunction | null): void {}

  /** The process's number. */
  get localRank(): number {
    return this.#localRank ?? 0;
  }

  /** What the profiler was set up for. */
  protected get stage(): TrainerFunction | null {
    return this.#stage;
  }

  /** A file's name: of the stage, the `filename`, the process and the action. */
  protected prepareFilename(options: { actionName?: string; extension?: string } = {}): string {
    const { actionName, extension = ".txt" } = options;
    const parts = [this.#stage, this.filename, this.#localRank, actionName];
    const base = parts
      .filter((part) => part !== null && part !== undefined && part !== "")
      .join("-")
      // what paths may not have on one platform or another
      .replace(/[\\/:*?"<>|\n\r\t]/g, "_")
      .replace(/_+/g, "_")
      .trim();
    return (base || "profile") + extension;
  }

  /** A report made of one for each action. */
  protected statsToString(stats: ReadonlyMap<string, string>): string {
    const rank = this.#localRank === null ? "" : ` rank: ${this.#localRank}`;
    const lines = [...stats].flatMap(([action, text]) => [`Profile stats for: ${action}${rank}`, text]);
    return [this.title, ...lines].join("\n");
  }

  /** The first line of a report. */
  protected get title(): string {
    return `${this.#stage ? `${this.#stage.toUpperCase()} ` : ""}Profiler Report`;
  }
}
