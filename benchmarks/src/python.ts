import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

// Installed without their dependencies: torch would bring gigabytes of CUDA libraries that nothing here uses. Its library for
// the CPU still wants these two small ones.
const ALONE = [
  "torch==2.15.0",
  "nvidia-cuda-runtime",
  "nvidia-cuda-cupti",
  "lightning==2.6.6",
  "pytorch-lightning==2.6.6",
  "torchmetrics",
  "lightning-utilities",
];
const WITH_DEPENDENCIES = [
  "numpy",
  "PyYAML",
  "fsspec",
  "packaging",
  "tqdm",
  "typing-extensions",
  "filelock",
  "sympy",
  "networkx",
  "jinja2",
  "setuptools",
];

function cacheFolder(): string {
  return process.env.LEVIN_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "levin");
}

/**
 * A Python interpreter that has PyTorch and Lightning: the one that `LEVIN_PYTHON` names, else one in a private environment in
 * the user's cache folder, made on first use.
 */
export function referencePython(): string {
  const given = process.env.LEVIN_PYTHON;
  if (given !== undefined && given !== "") return given;
  const folder = join(cacheFolder(), "bench-venv-torch-2.15.0-lightning-2.6.6");
  const python = join(folder, "bin", "python");
  if (existsSync(join(folder, "complete"))) return python;
  console.error(
    `Making a Python environment with PyTorch and Lightning in ${folder} (once, some minutes) ...`,
  );
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(cacheFolder(), { recursive: true });
  run(
    "python3",
    ["-m", "venv", folder],
    "needs python3 with the module venv (Debian: apt install python3-venv)",
  );
  const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
  run(
    python,
    [...pip, "--no-deps", ...ALONE],
    "pip could not install PyTorch and Lightning; is there a network?",
  );
  run(
    python,
    [...pip, ...WITH_DEPENDENCIES],
    "pip could not install the small packages that Lightning needs; is there a network?",
  );
  mkdirSync(join(folder, "complete"));
  return python;
}

function run(command: string, args: string[], hint: string): void {
  const { status, error } = spawnSync(command, args, { stdio: ["ignore", 2, 2] });
  if (status !== 0)
    throw new Error(
      `${command} ${args.slice(0, 3).join(" ")} failed: ${hint}${error ? ` (${error.message})` : ""}`,
    );
}
