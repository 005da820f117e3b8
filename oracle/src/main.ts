#!/usr/bin/env node
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import * as torch from "@levin/torch";
import { hooks } from "./hooks/index.js";
import { numerics } from "./numerics/index.js";
import { Report } from "./report.js";

const USAGE = `usage: npm run oracle -- numerics|hooks [FOLDER] [--only PATTERN] [--verbose]

Holds levin against what PyTorch (numerics) or PyTorch Lightning (hooks) did in the cases of FOLDER,
by default the ones recorded in oracle/fixtures. Ends with "N passed, N failed, N skipped";
the exit code is 1 if anything failed. --only runs the cases whose name matches a regular expression.`;

const READERS = { numerics, hooks };

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { only: { type: "string" }, verbose: { type: "boolean" }, help: { type: "boolean", short: "h" } },
});
const [kind, given, ...tooMany] = positionals;

function fail(message: string): never {
  console.error(`${message}\n\n${USAGE}`);
  process.exit(2);
}

if (values.help) {
  console.log(USAGE);
  process.exit(0);
}
if (kind !== "numerics" && kind !== "hooks")
  fail(`the first argument must be numerics or hooks, got ${kind ?? "none"}`);
if (tooMany.length > 0) fail(`too many arguments: ${tooMany.join(" ")}`);
// npm changes the working directory to the package; INIT_CWD is where the user was.
const folder =
  given === undefined
    ? fileURLToPath(new URL(`../fixtures/${kind}`, import.meta.url))
    : resolve(process.env.INIT_CWD ?? process.cwd(), given);
if (!existsSync(folder)) fail(`no such folder: ${folder}`);

torch.setNumThreads(1); // the recordings were made with one thread
const report = new Report(values);
await READERS[kind](folder, report);
console.log(report.text());
process.exit(report.failed.length > 0 ? 1 : 0);
