// What the steps of the set-up share: errors that say what to do, one line per step with its time, and running programs.
import { spawn } from "node:child_process";

/** A failure that the user can put right; printed without a stack. */
export class SetupError extends Error {}

/** Prints one line of the set-up's report. On stderr: stdout belongs to the program that runs afterwards. */
export function say(text) {
  process.stderr.write(`set-up: ${text}\n`);
}

/** Runs one step and prints what it does and how long it took. */
export async function step(what, work) {
  say(`${what} ...`);
  const start = performance.now();
  const result = await work();
  say(`${what}: done in ${seconds(performance.now() - start)}`);
  return result;
}

/** 1234 -> "1.2 s" */
export function seconds(milliseconds) {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}

/**
 * Runs a program to its end and collects what it prints. Never throws: `code` is null and `missing` true where there is
 * no such program.
 */
export function execute(program, args, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
    let stdout = "";
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text) => {
      stdout += text;
      output += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text) => {
      output += text;
    });
    child.on("error", (error) =>
      resolve({ code: null, missing: error.code === "ENOENT", stdout, output: `${output}${error.message}` }),
    );
    child.on("close", (code) => resolve({ code, missing: false, stdout, output }));
  });
}

/** The end of a long output, for an error message. */
export function tail(output, lines = 25) {
  return output.trimEnd().split("\n").slice(-lines).join("\n");
}

/** Runs the main function of a set-up script; a SetupError becomes its message and exit code 1. */
export async function main(work) {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    process.stderr.write(`\nset-up failed: ${error.message}\n`);
    process.exit(1);
  }
}
