import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { DATA, mnistFolder } from "./folders.js";
import { isLoader, type Measurement, workersOf } from "./plan.js";

const MAIN = fileURLToPath(new URL("./main.js", import.meta.url));
const REFERENCE = fileURLToPath(new URL("../reference.py", import.meta.url));

function environment(threads: number): NodeJS.ProcessEnv {
  const count = String(threads);
  return {
    ...process.env,
    OMP_NUM_THREADS: count,
    MKL_NUM_THREADS: count,
    BENCH_DATA: DATA,
    BENCH_MNIST: mnistFolder(),
  };
}

/** Runs a command and returns the last JSON line that it prints. */
export function jsonOf<T>(command: string, args: string[], threads: number): T {
  const child = spawnSync(command, args, { env: environment(threads), encoding: "utf8", maxBuffer: 1 << 28 });
  const line = child.stdout
    ?.split("\n")
    .filter((text) => text.startsWith("{"))
    .at(-1);
  if (child.status !== 0 || line === undefined) {
    throw new Error(
      `${args.join(" ")} failed:\n${(child.stderr ?? String(child.error)).trim().split("\n").slice(-15).join("\n")}`,
    );
  }
  return JSON.parse(line) as T;
}

/** One measurement of levin in a process of its own. */
export function measureLevin(workload: string, engine: string, threads: number): Measurement {
  return jsonOf(
    process.execPath,
    [MAIN, workload, "--engine", engine, "--threads", String(threads)],
    threads,
  );
}

/** One measurement of the reference in a process of its own; with `fused` its optimizers use PyTorch's fused kernels, as levin's do. */
export function measureReference(
  python: string,
  workload: string,
  engine: string,
  threads: number,
  fused = false,
): Measurement {
  const [name, ...more] = isLoader(workload)
    ? ["loader", "--workers", String(workersOf(workload))]
    : [workload, ...(fused ? ["--fused"] : [])];
  return jsonOf(
    python,
    [REFERENCE, name as string, "--engine", engine, "--threads", String(threads), ...more],
    threads,
  );
}
