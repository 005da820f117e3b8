#!/usr/bin/env node
import { parseArgs } from "node:util";
import { COMPARED, compare } from "./compare.js";
import { measure } from "./measure.js";
import { memory } from "./memory.js";
import { operators } from "./operators.js";
import { type Engine, enginesOf, type Workload } from "./plan.js";

const USAGE = `usage: npm run bench -- WORKLOAD [--engine levin|torch] [--threads N] [--chunks N] [--chunk-steps N]
       npm run bench -- compare [WORKLOAD...] [--threads N] [--rounds N] [--fused]
       npm run bench -- memory [TEST...] [--threads N]
       npm run bench -- operators [--rounds N]

The first form prints one JSON line, the second a table of ratios, the third what memory does, the fourth what single operators cost.
Workloads: ${COMPARED.join(", ")}.`;

function fail(message: string): never {
  console.error(`${message}\n\n${USAGE}`);
  process.exit(2);
}

function parse() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        engine: { type: "string", default: "levin" },
        threads: { type: "string", default: "1" },
        rounds: { type: "string", default: "3" },
        fused: { type: "boolean", default: false },
        chunks: { type: "string" },
        "chunk-steps": { type: "string" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (error) {
    fail((error as Error).message);
  }
}

const { positionals, values } = parse();

function count(name: "threads" | "rounds" | "chunks" | "chunk-steps"): number | undefined {
  const text = values[name];
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    fail(`--${name} must be a whole number of at least 1, got ${text}`);
  return value;
}

function workloadOf(name: string): Workload | "startup" {
  if (!(COMPARED as string[]).includes(name)) fail(`no workload ${name}`);
  return name as Workload | "startup";
}

const [command, ...names] = positionals;
const threads = count("threads") as number;
if (values.help) {
  console.log(USAGE);
} else if (command === undefined) {
  fail("name a workload, compare, memory or operators");
} else if (command === "compare") {
  await compare({
    workloads: names.length > 0 ? names.map(workloadOf) : COMPARED,
    threads,
    rounds: count("rounds") as number,
    fused: values.fused,
  });
} else if (command === "memory") {
  await memory(names, threads);
} else if (command === "operators") {
  if (names.length > 0) fail(`too many arguments: ${names.join(" ")}`);
  await operators(count("rounds") as number);
} else {
  if (names.length > 0) fail(`too many arguments: ${names.join(" ")}`);
  const workload = workloadOf(command);
  const engine = values.engine as Engine;
  if (!(["levin", "torch"] as string[]).includes(engine))
    fail(`--engine must be levin or torch, got ${engine}`);
  if (!enginesOf(workload).includes(engine))
    fail(`${workload} has no engine ${engine}, only ${enginesOf(workload).join(", ")}`);
  // libtorch reads the thread count when it is loaded, which the workloads do.
  process.env.OMP_NUM_THREADS = String(threads);
  process.env.MKL_NUM_THREADS = String(threads);
  console.log(
    JSON.stringify(
      await measure(workload, { engine, threads, chunks: count("chunks"), chunkSteps: count("chunk-steps") }),
    ),
  );
}
