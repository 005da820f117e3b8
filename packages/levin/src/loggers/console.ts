import { ArgumentError } from "@levin/torch";
import { formatGeneral } from "../python-format.js";
import { flattenHyperparameters } from "./hyperparameters.js";
import { metricsLine } from "./jsonl.js";
import { addPrefix, Logger, type Metrics } from "./logger.js";

/** What {@link ConsoleLogger} may be told. */
export interface ConsoleLoggerOptions {
  /** Text for people (`step 10  loss 0.25`), or the lines of a `JSONLLogger`. Default: `"text"`. */
  format?: "text" | "json";
  /** Where it is printed. Default: `"stdout"`. */
  stream?: "stdout" | "stderr";
  /** Put before the names of metrics, with a dash. Default: none. */
  prefix?: string;
}

/** How many significant digits are printed. */
const DIGITS = 4;

/** Prints a line for each time that something is logged, above the progress bar where there is one. */
export class ConsoleLogger extends Logger {
  readonly name = undefined;
  readonly version = undefined;
  readonly #format: "text" | "json";
  readonly #stream: "stdout" | "stderr";
  readonly #prefix: string;

  constructor(options: ConsoleLoggerOptions = {}) {
    super();
    const { format = "text", stream = "stdout", prefix = "" } = options;
    if (format !== "text" && format !== "json")
      throw new ArgumentError(`ConsoleLogger: format must be "text" or "json", got ${String(format)}.`);
    if (stream !== "stdout" && stream !== "stderr")
      throw new ArgumentError(`ConsoleLogger: stream must be "stdout" or "stderr", got ${String(stream)}.`);
    this.#format = format;
    this.#stream = stream;
    this.#prefix = prefix;
  }

  logMetrics(metrics: Metrics, step?: number): void {
    const prefixed = addPrefix(metrics, this.#prefix);
    this.#print(this.#format === "json" ? metricsLine(prefixed, step) : textLine({ step, ...prefixed }));
  }

  logHyperparams(params: Record<string, unknown>): void {
    const flat = flattenHyperparameters(params);
    this.#print(this.#format === "json" ? JSON.stringify({ hparams: flat }) : `hparams  ${textLine(flat)}`);
  }

  #print(line: string): void {
    process[this.#stream].write(`${line}\n`);
  }
}

function textLine(values: Record<string, unknown>): string {
  return Object.entries(values)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name} ${typeof value === "number" ? shortNumber(value) : value}`)
    .join("  ");
}

function shortNumber(value: number): string {
  return Number.isInteger(value) ? String(value) : formatGeneral(value, DIGITS);
}
