import { fileURLToPath } from "node:url";
import Table from "cli-table3";
import { median } from "./plan.js";
import { jsonOf } from "./processes.js";
import { referencePython } from "./python.js";

const CHILD = fileURLToPath(new URL("./memory-child.js", import.meta.url));
const REFERENCE = fileURLToPath(new URL("../memory_reference.py", import.meta.url));
const TESTS = ["flat-tiny", "flat-mlp", "deep"];

interface Pass {
  before: number;
  peak: number;
  parameters: number;
}

/** Runs the memory tests by name, all of them by default, each in a process of its own. */
export async function memory(names: string[], threads: number): Promise<void> {
  const unknown = names.find((name) => !TESTS.includes(name));
  if (unknown !== undefined) throw new Error(`no memory test ${unknown}; there are ${TESTS.join(", ")}`);
  const chosen = names.length > 0 ? names : TESTS;
  for (const name of chosen.filter((test) => test !== "deep")) flat(name, threads);
  if (chosen.includes("deep")) await deep(threads);
}

/** A long training run: the mean of the last quarter of the samples against that of the second quarter. */
function flat(name: string, threads: number): void {
  const { samples } = jsonOf<{ samples: number[] }>(process.execPath, [CHILD, name], threads);
  const mean = (part: number[]) => part.reduce((a, b) => a + b, 0) / part.length;
  const quarter = Math.floor(samples.length / 4);
  const second = mean(samples.slice(quarter, 2 * quarter));
  const last = mean(samples.slice(-quarter));
  const growth = (100 * (last - second)) / second;
  console.log(
    `${name}: second quarter ${second.toFixed(1)} MB, last quarter ${last.toFixed(1)} MB, ${growth >= 0 ? "+" : ""}${growth.toFixed(2)} %` +
      ` (least ${Math.min(...samples).toFixed(1)}, median ${median(samples).toFixed(1)}, most ${Math.max(...samples).toFixed(1)})`,
  );
}

/** A validation pass over a deep network: what it needs above what was there before. */
async function deep(threads: number): Promise<void> {
  const ours = jsonOf<Pass>(process.execPath, [CHILD, "deep"], threads);
  const theirs = jsonOf<Pass>(await referencePython(), [REFERENCE], threads);
  const table = new Table({
    head: ["deep pass without gradients", "before MB", "peak MB", "the pass itself MB"],
    style: { head: [], border: [] },
  });
  for (const [label, pass] of [
    ["levin", ours],
    ["PyTorch", theirs],
  ] as const) {
    table.push([label, pass.before.toFixed(0), pass.peak.toFixed(0), (pass.peak - pass.before).toFixed(0)]);
  }
  table.push([
    "levin / PyTorch",
    "",
    (ours.peak / theirs.peak).toFixed(2),
    ((ours.peak - ours.before) / (theirs.peak - theirs.before)).toFixed(2),
  ]);
  console.log(table.toString());
}
