/** The workloads that run in one process, with how each is measured: warm-up steps, chunks, steps per chunk. */
export const PLAN = {
  tiny: [200, 7, 500],
  "tiny-log": [200, 7, 500],
  mlp: [50, 7, 150],
  "mlp-default": [50, 7, 150],
  cnn: [3, 5, 6],
  gpt: [3, 5, 5],
  lstm: [5, 5, 15],
  infer: [20, 7, 60],
  val: [20, 7, 60],
  loader: [10, 7, 60],
  "loader-workers2": [10, 7, 60],
  "loader-single": [10, 7, 60],
  "loader-single-workers2": [10, 7, 60],
} as const satisfies Record<string, readonly [warmup: number, chunks: number, size: number]>;

/** A workload that runs in one process. */
export type Workload = keyof typeof PLAN;

/** Samples per step. */
export const BATCH: Record<Workload, number> = {
  tiny: 2,
  "tiny-log": 2,
  mlp: 64,
  "mlp-default": 64,
  cnn: 128,
  gpt: 16,
  lstm: 32,
  infer: 256,
  val: 256,
  loader: 64,
  "loader-workers2": 64,
  "loader-single": 64,
  "loader-single-workers2": 64,
};

/** `levin`: under the Trainer. `torch`: the loop one writes by hand on `@levin/torch`. */
export type Engine = "levin" | "torch";

/** Whether nothing but loading is measured. */
export function isLoader(workload: string): boolean {
  return workload.startsWith("loader");
}

/** How many workers load. */
export function workersOf(workload: string): number {
  return workload.endsWith("-workers2") ? 2 : 0;
}

/** The engines that a workload has. */
export function enginesOf(workload: Workload | "startup"): Engine[] {
  if (isLoader(workload)) return ["torch"];
  if (workload === "mlp-default" || workload === "tiny-log") return ["levin"];
  return ["levin", "torch"];
}

/** What a measurement prints. */
export interface Measurement {
  workload: string;
  engine: string;
  samples_per_s: number | null;
  ms_per_step: number;
  ms_min: number;
  ms_max: number;
  steps: number;
  final_loss: number | null;
  peak_rss_mb: number;
  threads: number;
}

/** Rounds to a number of digits after the point. */
export function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

/** The middle of a list of numbers. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return Number.NaN;
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}
