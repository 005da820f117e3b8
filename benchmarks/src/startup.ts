import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type Engine, type Measurement, median, round } from "./plan.js";

const CHILD = fileURLToPath(new URL("./startup-child.js", import.meta.url));
// Prints its own peak memory at the end, so that the parent needs no tool to measure it.
const REPORT = "process.on('exit', () => console.error('peak ' + process.resourceUsage().maxRSS))";

/** Times the way from starting a process to the end of one training step; the first of four starts is thrown away. */
export function runStartup(engine: Engine, threads: number): Measurement {
  const times: number[] = [];
  let peak = 0;
  for (let i = 0; i < 4; i++) {
    const begin = performance.now();
    const child = spawnSync(
      process.execPath,
      ["--import", `data:text/javascript,${encodeURIComponent(REPORT)}`, CHILD, engine],
      {
        encoding: "utf8",
      },
    );
    times.push(performance.now() - begin);
    if (child.status !== 0) throw new Error(`the start-up process failed:\n${child.stderr}`);
    peak = Math.max(peak, Number(/peak (\d+)/.exec(child.stderr)?.[1] ?? 0));
  }
  const kept = times.slice(1);
  return {
    workload: "startup",
    engine,
    samples_per_s: null,
    ms_per_step: round(median(kept), 1),
    ms_min: round(Math.min(...kept), 1),
    ms_max: round(Math.max(...kept), 1),
    steps: 1,
    final_loss: null,
    peak_rss_mb: round(peak / 1024, 1),
    threads,
  };
}
