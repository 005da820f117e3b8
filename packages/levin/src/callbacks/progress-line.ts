import { formatFixed, formatGeneral } from "../python-format.js";

const blocks = " ▏▎▍▌▋▊▉█";

/** One bar of a progress display: `Epoch 0:  45%|████▌     | 422/938 [00:10<00:12, 41.20it/s, loss=0.123]`. */
export class ProgressLine {
  /** How much is done. */
  done = 0;
  /** How much there is to do; null where that isn't known. */
  total: number | null = null;
  metrics: Record<string, number | string> = {};
  #start = performance.now();

  constructor(public description: string) {}

  /** Begins anew. */
  reset(description: string, total: number): void {
    this.description = description;
    this.total = Number.isFinite(total) ? total : null;
    this.done = 0;
    this.#start = performance.now();
  }

  /** The line, in as many characters as there are. */
  format(width: number): string {
    const elapsed = (performance.now() - this.#start) / 1000;
    const rate = this.done > 0 && elapsed > 0 ? this.done / elapsed : null;
    const known = this.total !== null && this.total > 0;
    const fraction = known ? Math.min(1, this.done / this.total!) : 0;
    const percentage = known ? `${formatFixed(fraction * 100, 0).padStart(3)}%` : "";
    const remaining = known && rate !== null ? formatTime(Math.max(0, this.total! - this.done) / rate) : "?";
    const shownRate = rate === null ? "?it/s" : `${formatFixed(rate, 2).padStart(5)}it/s`;
    const shown = Object.entries(this.metrics).map(([name, value]) => `, ${name}=${formatMetric(value)}`);
    const before = `${this.description}: ${percentage}|`;
    const after = `| ${this.done}/${this.total ?? "?"} [${formatTime(elapsed)}<${remaining}, ${shownRate}${shown.join("")}]`;
    const bar = formatBar(fraction, Math.max(1, width - before.length - after.length));
    return [...`${before}${bar}${after}`].slice(0, width).join("");
  }
}

function formatBar(fraction: number, width: number): string {
  const eighths = Math.trunc(fraction * width * 8);
  const full = Math.trunc(eighths / 8);
  const bar = "█".repeat(full) + (full < width ? blocks[eighths % 8] : "");
  return bar.padEnd(width);
}

/** A time in seconds as "mm:ss" or "h:mm:ss". */
function formatTime(seconds: number): string {
  const whole = Math.trunc(seconds);
  const two = (value: number) => String(value).padStart(2, "0");
  const minutes = `${two(Math.trunc(whole / 60) % 60)}:${two(whole % 60)}`;
  return whole >= 3600 ? `${Math.trunc(whole / 3600)}:${minutes}` : minutes;
}

/** A metric with three significant digits, filled up with zeros so that the line does not flicker. */
function formatMetric(value: number | string): string {
  if (typeof value === "string") return value;
  const text = formatGeneral(value, 3);
  if (text.includes("e") || !Number.isFinite(value)) return text;
  const pointed = text.includes(".") || text.length >= 5 ? text : `${text}.`;
  return pointed.padEnd(5, "0");
}
