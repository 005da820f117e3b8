import { spawnSync } from "node:child_process";

/** Runs Python code that has the given value as `given`, and returns what it leaves in `answer`. Both travel as JSON. */
export function askPython<T>(code: string, given: unknown = null): T {
  const python = process.env.LEVIN_PYTHON;
  if (python === undefined) throw new Error("LEVIN_PYTHON must name a Python with torch");
  const program = `import json, sys, warnings\nwarnings.simplefilter("ignore")\ngiven = json.load(sys.stdin)\n${code}\nprint("ANSWER" + json.dumps(answer))`;
  const { status, stdout, stderr } = spawnSync(python, ["-c", program], {
    input: JSON.stringify(given),
    encoding: "utf8",
    maxBuffer: 2 ** 30,
    env: { ...process.env, OMP_NUM_THREADS: "1" },
  });
  if (status !== 0) throw new Error(`Python failed:\n${stderr}`);
  return JSON.parse(stdout.slice(stdout.lastIndexOf("ANSWER") + "ANSWER".length)) as T;
}

/** Random numbers that are the same in every run. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 to 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** An integer, the ends included. */
  integer(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1));
  }

  pick<T>(list: readonly T[]): T {
    return list[this.integer(0, list.length - 1)] as T;
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }
}
