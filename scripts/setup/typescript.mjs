// Compiles the TypeScript of all workspaces.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { execute, SetupError, step, tail } from "../../packages/torch/scripts/setup/report.mjs";
import { filesBelow, hashOfTimes, readStamp, root, workspaces, writeStamp } from "./stamp.mjs";

const STAMP = "typescript";
const COMPILER = join(root, "node_modules", "typescript", "bin", "tsc");

function fingerprint() {
  const configurations = [".", ...workspaces].flatMap((folder) =>
    ["package.json", "tsconfig.json", "tsconfig.base.json"].map((name) => join(root, folder, name)),
  );
  const sources = workspaces.flatMap((folder) => filesBelow(join(root, folder, "src"), [".ts", ".tsx"]));
  return hashOfTimes([...configurations.filter((file) => existsSync(file)), ...sources]);
}

export function isTypeScriptFresh() {
  return (
    workspaces.every((folder) => existsSync(join(root, folder, "dist"))) && readStamp(STAMP) === fingerprint()
  );
}

/** Runs `tsc -b` where a source has changed. */
export async function compileTypeScript() {
  if (isTypeScriptFresh()) return;
  const before = fingerprint(); // what changes while the compiler runs is for the next time
  await step("compiling the TypeScript (tsc -b)", async () => {
    const { code, output } = await execute(process.execPath, [COMPILER, "-b", "--pretty", "false"], {
      cwd: root,
    });
    if (code !== 0) throw new SetupError(`the TypeScript does not compile:\n${tail(output, 40)}`);
  });
  writeStamp(STAMP, before);
}
