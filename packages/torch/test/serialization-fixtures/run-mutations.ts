import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** What a run of `mutate.mjs` has found. */
export interface Mutations {
  failures: string[];
  loaded: number;
  refused: number;
}

/**
 * Loads so many damaged files in a process of its own, whose end counts as a failure of the file that it had before it.
 *
 * @param keep a folder for the files that were loaded and what they were loaded as
 */
export async function runMutations(
  first: number,
  count: number,
  timeout: number,
  keep?: string,
): Promise<Mutations> {
  const folder = keep ?? mkdtempSync(join(tmpdir(), "levin-mutations-"));
  mkdirSync(folder, { recursive: true });
  const script = fileURLToPath(new URL("mutate.mjs", import.meta.url));
  try {
    const options = keep === undefined ? [] : ["--keep"];
    const child = spawn(process.execPath, [script, folder, String(first), String(count), ...options], {
      stdio: ["ignore", "pipe", "pipe"],
      timeout,
      killSignal: "SIGKILL",
    });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text) => {
      output += text;
    });
    let errors = "";
    child.stderr.setEncoding("utf8").on("data", (text) => {
      errors = (errors + text).slice(-2000);
    });
    const [code, signal] = await new Promise<[number | null, string | null]>((resolve) => {
      child.on("close", (...how) => resolve(how));
    });
    const lines = output.trim().split("\n");
    if (code !== 0) {
      const path = join(folder, "case");
      const last = existsSync(path)
        ? `at case ${readFileSync(path, "latin1").trim()}`
        : "before the first case";
      return { failures: [...lines, `ended by ${signal ?? code} ${last}: ${errors}`], loaded: 0, refused: 0 };
    }
    const { loaded, refused } = JSON.parse(lines.pop() as string) as Mutations;
    return { failures: lines, loaded, refused };
  } finally {
    if (keep === undefined) rmSync(folder, { recursive: true, force: true });
  }
}
