import { ArgumentError } from "@levin/torch";
import { formatShort } from "../python-format.js";
import { Profiler, type ProfilerOptions } from "./profiler.js";

/** Options of {@link SimpleProfiler}. */
export interface SimpleProfilerOptions extends ProfilerOptions {
  /** Whether the report has numbers of calls and percentages, too. Default: true. */
  extended?: boolean;
}

interface Row {
  action: string;
  calls: number;
  total: number;
  mean: number;
}

/**
 * Measures how long each action of a run takes in all and in the mean.
 *
 * ```ts
 * new Trainer({ profiler: "simple" });
 * ```
 */
export class SimpleProfiler extends Profiler {
  /** When the actions that are going on began, in seconds. */
  readonly currentActions = new Map<string, number>();
  /** How long each action took, in seconds. */
  readonly recordedDurations = new Map<string, number[]>();
  readonly extended: boolean;
  readonly startTime = now();

  constructor(options: SimpleProfilerOptions = {}) {
    super(options);
    this.extended = options.extended ?? true;
  }

  /** @throws ArgumentError where the action is going on already */
  override start(actionName: string): void {
    if (this.currentActions.has(actionName)) {
      throw new ArgumentError(`Attempted to start ${actionName} which has already started.`);
    }
    this.currentActions.set(actionName, now());
  }

  /** @throws ArgumentError where the action was not started */
  override stop(actionName: string): void {
    const end = now();
    const start = this.currentActions.get(actionName);
    if (start === undefined) {
      throw new ArgumentError(
        `Attempting to stop recording an action (${actionName}) which was never started.`,
      );
    }
    this.currentActions.delete(actionName);
    const durations = this.recordedDurations.get(actionName);
    if (durations) durations.push(end - start);
    else this.recordedDurations.set(actionName, [end - start]);
  }

  override summary(): string {
    const rows = this.#rows();
    if (rows.length === 0) return `${this.title}\n\n`;
    const width = Math.max(...rows.map((row) => row.action.length));
    const line = (action: string, ...cells: string[]) =>
      `\n|  ${action.padEnd(width)}\t|${cells.map((cell) => `  ${cell.padEnd(15)}\t|`).join("")}`;
    return this.extended ? this.#extended(rows, line) : this.#plain(rows, line);
  }

  #extended(rows: Row[], line: (...cells: [string, ...string[]]) => string): string {
    const elapsed = now() - this.startTime;
    const calls = rows.reduce((sum, row) => sum + row.calls, 0);
    const header = line("Action", "Mean duration (s)", "Num calls", "Total time (s)", "Percentage %");
    const rule = ruleOf(header);
    const share = (row: Row) => (100 * row.total) / elapsed;
    const body = rows
      .sort((a, b) => share(b) - share(a))
      .map((row) =>
        line(row.action, short(row.mean), String(row.calls), short(row.total), short(share(row))),
      );
    const total = line("Total", "-", String(calls), short(elapsed), "100 %");
    return `${this.title}\n${rule}${header}${rule}${total}${rule}${body.join("")}${rule}\n`;
  }

  #plain(rows: Row[], line: (...cells: [string, ...string[]]) => string): string {
    const header = line("Action", "Mean duration (s)", "Total time (s)");
    const rule = ruleOf(header);
    const body = rows
      .sort((a, b) => b.mean - a.mean)
      .map((row) => line(row.action, short(row.mean), short(row.total)));
    return `${this.title}\n${rule}${header}${rule}${body.join("")}${rule}\n`;
  }

  #rows(): Row[] {
    return [...this.recordedDurations].map(([action, durations]) => {
      const total = durations.reduce((sum, each) => sum + each, 0);
      return { action, calls: durations.length, total, mean: total / durations.length };
    });
  }
}

const short = (seconds: number) => formatShort(seconds, 5);

/** A line as long as the header with its tabs made spaces; the line break counts, too. */
function ruleOf(header: string): string {
  let column = 0;
  for (const character of header.slice(1))
    column = character === "\t" ? column + 8 - (column % 8) : column + 1;
  return `\n${"-".repeat(column + 1)}`;
}

function now(): number {
  return performance.now() / 1000;
}
