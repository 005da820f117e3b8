// Kills runs at random moments and goes on from their last checkpoints, until they end: the final weights must be those of an
// uninterrupted run to the bit, and every checkpoint that a kill leaves must be readable.
// usage: node packages/levin/scripts/kill/kill.mjs [KILLS] [SEED]
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as torch from "@levin/torch";

const program = fileURLToPath(new URL("train.mjs", import.meta.url));
const batchesPerEpoch = 12;

/** What is tried: a loader of known length, with gradients that add up, written in the background, with workers, ... */
export const variants = ["plain", "accumulate", "async", "workers", "stream", "two loaders"];

/** Random numbers that can be had again (mulberry32). */
function randomNumbers(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), 1 | state);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Runs the program; kills it some milliseconds after a number of batches. Tells whether it ended by itself. */
async function run(folder, variant, epochs, kill) {
  const child = spawn(process.execPath, [program, folder, variant, String(epochs)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let batches = 0;
  child.stdout.on("data", (text) => {
    const before = batches;
    batches += String(text).split("\n").length - 1;
    if (kill && before < kill.batches && batches >= kill.batches)
      setTimeout(() => child.kill("SIGKILL"), kill.delay);
  });
  const [code, signal] = await once(child, "close");
  if (signal === null && code !== 0) throw new Error(`the run of "${variant}" failed with code ${code}`);
  return signal === null;
}

function checkpoints(folder) {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ckpt"))
    .map((name) => join(folder, name));
}

/**
 * Kills a run so many times.
 *
 * @returns how often it was killed, how many checkpoints were read in between, and whether its end is the uninterrupted run's
 */
export async function killAndResume(variant, kills, seed) {
  const random = randomNumbers(seed);
  const folder = mkdtempSync(join(tmpdir(), "levin-kill-"));
  try {
    const [whole, killed] = ["whole", "killed"].map((name) => join(folder, name));
    mkdirSync(whole);
    mkdirSync(killed);
    // about five batches lie between two kills, some of which are lost
    const epochs = Math.ceil((kills * 5) / batchesPerEpoch) + 1;
    await run(whole, variant, epochs, null);
    let done = 0;
    let read = 0;
    for (;;) {
      const kill = done < kills ? { batches: 3 + Math.floor(random() * 8), delay: random() * 12 } : null;
      if (await run(killed, variant, epochs, kill)) break;
      done++;
      for (const path of checkpoints(killed)) {
        torch.load(path);
        read++;
      }
    }
    const load = (path) => torch.load(join(path, "final.pt"));
    const [a, b] = [load(whole), load(killed)];
    const same =
      Object.keys(a.weights).every((key) => torch.equal(a.weights[key], b.weights[key])) &&
      torch.equal(a.rng, b.rng);
    return { kills: done, read, same };
  } finally {
    if (existsSync(folder)) rmSync(folder, { recursive: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [kills = "30", seed = "1", only] = process.argv.slice(2);
  const tried = only ? [only] : variants;
  let failed = false;
  for (const [i, variant] of tried.entries()) {
    const share = Math.ceil(Number(kills) / tried.length);
    const result = await killAndResume(variant, share, Number(seed) + i);
    console.log(
      `${variant}: killed ${result.kills} times, ${result.read} checkpoints read, ${result.same ? "the same weights and random numbers" : "DIFFERENT"}`,
    );
    failed ||= !result.same;
  }
  process.exitCode = failed ? 1 : 0;
}
