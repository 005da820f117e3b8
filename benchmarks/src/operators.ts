import { fileURLToPath } from "node:url";
import Table from "cli-table3";
import { median } from "./plan.js";
import { jsonOf } from "./processes.js";
import { referencePython } from "./python.js";

const CHILD = fileURLToPath(new URL("./operators-child.js", import.meta.url));
const REFERENCE = fileURLToPath(new URL("../operators_reference.py", import.meta.url));
/** Each process measures this often and gives the least; a call of an operator takes about a microsecond. */
const SIZE = ["20", "20000"];

/** What single operators cost in levin and in PyTorch: processes in turn, a table of the medians. */
export async function operators(rounds: number): Promise<void> {
  const python = await referencePython();
  const ours: Record<string, number>[] = [];
  const theirs: Record<string, number>[] = [];
  for (let round = 0; round < rounds; round++) {
    ours.push(jsonOf(process.execPath, [CHILD, ...SIZE], 1));
    theirs.push(jsonOf(python, [REFERENCE, ...SIZE], 1));
  }
  const table = new Table({
    head: ["microseconds a call", "levin", "PyTorch", "levin / PyTorch"],
    style: { head: [], border: [] },
  });
  for (const name of Object.keys(ours[0] ?? {})) {
    const [a, b] = [ours, theirs].map((all) => median(all.map((one) => one[name] as number))) as [
      number,
      number,
    ];
    table.push([name, a.toFixed(2), b.toFixed(2), (a / b).toFixed(2)]);
  }
  console.log(table.toString());
}
