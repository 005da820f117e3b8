import { Clock } from "./clock.js";
import { BATCH, type Engine, type Measurement, PLAN, round, type Workload } from "./plan.js";

/** How a measurement may differ from the plan. */
export interface MeasureOptions {
  engine: Engine;
  threads: number;
  chunks?: number | undefined;
  chunkSteps?: number | undefined;
}

/** Runs a workload in this process. The thread count must already be in the environment: libtorch reads it when it is loaded. */
export async function measure(workload: Workload | "startup", options: MeasureOptions): Promise<Measurement> {
  const { engine, threads } = options;
  if (workload === "startup") return (await import("./startup.js")).runStartup(engine, threads);
  const torch = await import("@levin/torch");
  torch.setNumThreads(threads);
  const [warmup, chunks, size] = PLAN[workload];
  const clock = new Clock(warmup, options.chunks ?? chunks, options.chunkSteps ?? size);
  if (engine === "levin") await (await import("./levin-engine.js")).runLevin(workload, clock);
  else (await import("./torch-engine.js")).runTorch(workload, clock);
  return {
    workload,
    engine,
    ...clock.result(BATCH[workload]),
    peak_rss_mb: round(process.resourceUsage().maxRSS / 1024, 1),
    threads,
  };
}
