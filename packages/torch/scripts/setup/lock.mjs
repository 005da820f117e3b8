// A lock between processes: two checkouts, or two commands in one checkout, must not set up the same folder at once.
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { dirname } from "node:path";
import { say } from "./report.mjs";

const BEAT_MS = 5_000;
const STALE_MS = 60_000; // a holder that has not beaten for so long is dead, on whatever machine it was

/** Runs `work` while holding the lock file; waits for another holder, and takes over from a dead one. */
export async function withLock(file, work) {
  mkdirSync(dirname(file), { recursive: true });
  let told = false;
  while (!take(file)) {
    if (removeIfDead(file)) continue;
    if (!told) say(`waiting for another set-up that holds ${file}`);
    told = true;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  const release = () => rmSync(file, { force: true });
  const beat = setInterval(() => {
    const now = new Date();
    utimesSync(file, now, now);
  }, BEAT_MS);
  const interrupted = (signal) => {
    release();
    process.exit(signal === "SIGINT" ? 130 : 143);
  };
  process.once("SIGINT", interrupted).once("SIGTERM", interrupted);
  try {
    return await work();
  } finally {
    clearInterval(beat);
    process.off("SIGINT", interrupted).off("SIGTERM", interrupted);
    release();
  }
}

function take(file) {
  try {
    writeFileSync(file, JSON.stringify({ pid: process.pid, host: hostname() }), { flag: "wx" });
    return true;
  } catch (error) {
    if (error.code === "EEXIST") return false;
    throw error;
  }
}

function removeIfDead(file) {
  try {
    const age = Date.now() - statSync(file).mtimeMs;
    const text = readFileSync(file, "utf8");
    if (text === "" && age < BEAT_MS) return false; // being written right now
    const { pid, host } = text === "" ? {} : JSON.parse(text);
    if (age < STALE_MS && !(host === hostname() && !isRunning(pid))) return false;
    const grave = `${file}.${process.pid}`;
    renameSync(file, grave); // of several who found it dead, one wins
    rmSync(grave, { force: true });
    return true;
  } catch (error) {
    if (error.code === "ENOENT" || error instanceof SyntaxError) return error.code === "ENOENT";
    throw error;
  }
}

function isRunning(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}
