import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll } from "vitest";

const script = fileURLToPath(new URL("../scripts/example.mjs", import.meta.url));

/** What an example printed, and the folder in which it ran. */
export interface ExampleRun {
  output: string;
  readonly folder: string;
}

/** Before the tests of a `describe`, runs an example as a user does, in a folder that is there until they have ended. */
export function runExample(...args: string[]): ExampleRun {
  const run: ExampleRun = { output: "", folder: mkdtempSync(join(tmpdir(), "levin-")) };
  beforeAll(async () => {
    const env = { ...process.env, OMP_NUM_THREADS: "1" }; // beside other tests more would be slower
    const options = { cwd: run.folder, env };
    run.output = (await promisify(execFile)(process.execPath, [script, ...args], options)).stdout;
  });
  afterAll(() => rmSync(run.folder, { recursive: true }));
  return run;
}

/** The number that a pattern's group finds in an output. */
export function numberIn(output: string, pattern: RegExp): number {
  const found = pattern.exec(output)?.[1];
  if (found === undefined) throw new Error(`${pattern} finds nothing in:\n${output}`);
  return Number(found);
}
