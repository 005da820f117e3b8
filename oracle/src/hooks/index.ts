import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { readJson } from "../json.js";
import { Mismatch, type Report } from "../report.js";
import { compareTraces } from "./compare.js";
import { runScenario } from "./run.js";
import { readScenario, type Trace } from "./scenario.js";

const TIME_LIMIT_MS = 60_000;

/** Runs every scenario of a folder and compares with what the real Lightning did. */
export async function hooks(folder: string, report: Report): Promise<void> {
  const scenarios = join(folder, "scenarios");
  if (!existsSync(scenarios)) return;
  for (const file of readdirSync(scenarios)
    .filter((name) => name.endsWith(".json"))
    .sort()) {
    const trace = join(folder, "traces", file);
    await report.run(file.slice(0, -".json".length), async () => {
      const scenario = readScenario(join(scenarios, file));
      const want = readJson<Trace>(trace);
      compareTraces(await quietly(() => withTimeLimit(runScenario(scenario))), want);
    });
  }
}

async function withTimeLimit<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Mismatch(`not finished after ${TIME_LIMIT_MS / 1000} s`)),
      TIME_LIMIT_MS,
    );
  });
  try {
    return await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}

/** The trainer's own warnings would drown the report. */
async function quietly<T>(body: () => Promise<T>): Promise<T> {
  const { log, info, warn } = console;
  Object.assign(console, { log: () => {}, info: () => {}, warn: () => {} });
  try {
    return await body();
  } finally {
    Object.assign(console, { log, info, warn });
  }
}
