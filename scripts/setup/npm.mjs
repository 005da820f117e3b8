// Installs the npm packages of all workspaces.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { execute, SetupError, step, tail } from "../../packages/torch/scripts/setup/report.mjs";
import { hashOfContents, readStamp, root, workspaces, writeStamp } from "./stamp.mjs";

const STAMP = "npm-packages";
const installed = join(root, "node_modules", ".package-lock.json"); // npm writes it when it has installed everything

function fingerprint() {
  return hashOfContents(
    [".", ...workspaces]
      .map((folder) => join(root, folder, "package.json"))
      .concat(join(root, "package-lock.json")),
  );
}

export function areNpmPackagesFresh() {
  return existsSync(installed) && readStamp(STAMP) === fingerprint();
}

/** Runs `npm ci`, or `npm install` where some packages are there already, unless they are all fresh. */
export async function installNpmPackages() {
  if (areNpmPackagesFresh()) return;
  const command = existsSync(installed) ? "install" : "ci";
  await step(`installing npm packages (npm ${command})`, async () => {
    const { code, missing, output } = await npm([command, "--no-audit", "--no-fund"]);
    if (code === 0) return;
    if (missing)
      throw new SetupError(
        "npm was not found on PATH: install Node 20 or newer with npm, see https://nodejs.org",
      );
    throw new SetupError(`npm ${command} failed:\n${tail(output)}\n${advice(output)}`);
  });
  writeStamp(STAMP, fingerprint());
}

function npm(args) {
  const script = process.env.npm_execpath; // set where npm itself runs this: the same npm then, not another on PATH
  return script?.endsWith(".js")
    ? execute(process.execPath, [script, ...args], { cwd: root })
    : execute("npm", args, { cwd: root });
}

function advice(output) {
  if (/ENOTFOUND|ETIMEDOUT|ECONNREFUSED|EAI_AGAIN|ECONNRESET/.test(output)) {
    return "The registry cannot be reached: check the network and npm's configuration (npm config list).";
  }
  if (/ENOSPC/.test(output)) return "The disk is full: about 0.5 GB is needed.";
  if (/EACCES|EPERM/.test(output))
    return "A file may not be written: check who owns node_modules and npm's cache (npm config get cache).";
  return "";
}
