// Runs code that loads the package in another process or another thread.
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";

/** Where the package's entry is, for an `import()`. */
export const entry = pathToFileURL(createRequire(import.meta.url).resolve("@levin/torch")).href;

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** Runs an ES module, in which `torch` is the package, in a process of its own. */
export function inProcess(code: string, args: string[] = []): Promise<Ended> {
  const source = `import * as torch from ${JSON.stringify(entry)};\n${code}`;
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ["--input-type=module", "-e", source, ...args]);
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text) => {
      stderr += text;
    });
    child.on("close", (exit, signal) => resolve({ code: exit, signal, stdout, stderr }));
  });
}

/** Starts a worker thread whose code has `torch`, `parentPort` and `workerData`. */
export function startWorker(code: string, workerData?: unknown): Worker {
  const source = `
    const { parentPort, workerData } = require("node:worker_threads");
    import(${JSON.stringify(entry)}).then(async (torch) => { ${code} });`;
  return new Worker(source, { eval: true, workerData });
}

/** The first message of a worker, which is waited for until it has ended by itself. */
export function inWorker(code: string, workerData?: unknown): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const worker = startWorker(code, workerData);
    let message: unknown;
    worker.once("message", (value) => {
      message = value;
    });
    worker.once("error", reject);
    worker.once("exit", () => resolve(message));
  });
}
