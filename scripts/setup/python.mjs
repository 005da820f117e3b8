// The Python with PyTorch and Lightning that interop tests and side-by-side benchmarks run, and the one with MLflow and W&B that
// the tests of loggers run: private environments in the user's cache folder, made once and shared between checkouts.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  cacheFolder,
  checkRoom,
  fetchTorch,
  pipFailure,
  TORCH_VERSION,
} from "../../packages/torch/scripts/setup/libtorch.mjs";
import { withLock } from "../../packages/torch/scripts/setup/lock.mjs";
import { execute, SetupError, say, step, tail } from "../../packages/torch/scripts/setup/report.mjs";
import { hashOfContents, root } from "./stamp.mjs";

const requirements = join(root, "scripts", "setup", "python-requirements.txt");
const standIns = join(root, "scripts", "setup", "cuda_stand_ins.py");
const loggersRequirements = join(root, "scripts", "setup", "loggers-requirements.txt");

/**
 * The path of a python3 that can import torch, lightning, tensorboard, numpy and safetensors: LEVIN_PYTHON where that is
 * set, else the private environment, which is made where it does not exist.
 */
export async function ensurePython() {
  if (process.env.LEVIN_PYTHON) return checked(process.env.LEVIN_PYTHON);
  return environment("python", [requirements, standIns], async (folder, python) => {
    const torch = await fetchTorch();
    await step(`making a Python environment with PyTorch Lightning in ${folder}`, () =>
      make(folder, python, torch),
    );
  });
}

/**
 * The path of a python3 that can import mlflow, with its server, and wandb: LEVIN_LOGGERS_PYTHON where that is set, else a private
 * environment of its own, as their dependencies are many.
 */
export async function ensureLoggersPython() {
  if (process.env.LEVIN_LOGGERS_PYTHON) return process.env.LEVIN_LOGGERS_PYTHON;
  return environment("loggers-python", [loggersRequirements], (folder, python) =>
    step(`making a Python environment with MLflow and W&B in ${folder}`, async () => {
      await makeEnvironment(folder);
      await pip(python, ["-r", loggersRequirements]);
      // the rest of what it wants is 300 MB that a tracking server does not use
      const version = /mlflow-skinny==(\S+)/.exec(readFileSync(loggersRequirements, "utf8"))[1];
      await pip(python, ["--no-deps", `mlflow==${version}`]);
    }),
  );
}

/** The python of an environment in the cache folder, which is made by `fill` where there is none of these contents. */
async function environment(name, contents, fill) {
  const folder = join(cacheFolder(), `${name}-${hashOfContents(contents).slice(0, 12)}`);
  const python = join(folder, "bin", "python");
  const complete = join(folder, "complete");
  if (existsSync(complete) && existsSync(python)) return python;
  await withLock(`${folder}.lock`, async () => {
    if (existsSync(complete) && existsSync(python)) return;
    await checkRoom(cacheFolder(), 1);
    await fill(folder, python);
    writeFileSync(complete, "");
  });
  return python;
}

async function checked(python) {
  const { code, output } = await execute(python, [
    "-c",
    "import torch, lightning, tensorboard, numpy, safetensors",
  ]);
  if (code === 0) return python;
  throw new SetupError(
    `LEVIN_PYTHON is ${python}, which lacks a package the interop tests need:\n${tail(output, 3)}\nInstall it, or unset LEVIN_PYTHON.`,
  );
}

async function makeEnvironment(folder) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const made = await execute("python3", ["-m", "venv", folder]);
  if (made.code !== 0) {
    throw new SetupError(
      `python3 -m venv failed:\n${tail(made.output, 5)}\nDebian, Ubuntu: apt install python3-venv. Or name a Python with PyTorch Lightning in LEVIN_PYTHON, and one with MLflow and W&B in LEVIN_LOGGERS_PYTHON.`,
    );
  }
}

async function make(folder, python, torch) {
  await makeEnvironment(folder);
  await pip(python, ["--no-deps", "-r", requirements]);
  const library = join(folder, "lib");
  const site = join(
    library,
    readdirSync(library).find((name) => name.startsWith("python3")),
    "site-packages",
  );
  writeFileSync(join(site, "levin_torch.pth"), `${torch}\n`); // the torch in the cache, not a second copy of a gigabyte
  if (await importsTorch(python)) return;
  if (await addStandIns(python, site, torch)) return;
  say(
    "the torch in the cache cannot be imported by this python3: installing another with all that belongs to it (4 GB)",
  );
  rmSync(join(site, "levin_torch.pth"), { force: true });
  rmSync(join(site, "levin_cuda_stand_ins.pth"), { force: true });
  await checkRoom(cacheFolder(), 9);
  await pip(python, [`torch==${TORCH_VERSION}`]);
  const { code, output } = await execute(python, ["-c", "import torch, lightning"]);
  if (code !== 0) throw new SetupError(`PyTorch Lightning cannot be imported:\n${tail(output, 5)}`);
}

// The CUDA wheel of torch cannot be imported without 3 GB of NVIDIA's libraries, although nothing in them runs on a CPU.
async function addStandIns(python, site, torch) {
  if (!existsSync(join(torch, "torch", "lib", "libtorch_cuda.so"))) return false;
  const { code, output } = await execute(python, [
    standIns,
    join(torch, "torch", "lib"),
    join(site, "levin_cuda_stand_ins"),
  ]);
  if (code !== 0) {
    say(`no stand-ins for CUDA's libraries: ${tail(output, 2)}`);
    return false;
  }
  // Lines of .pth files that begin with "import" are run whenever this Python starts.
  writeFileSync(join(site, "levin_cuda_stand_ins.pth"), "import levin_cuda_stand_ins\n");
  return importsTorch(python);
}

async function importsTorch(python) {
  return (await execute(python, ["-c", "import torch; torch.ones(2).sum().item()"])).code === 0;
}

async function pip(python, packages) {
  const { code, output } = await execute(python, [
    "-m",
    "pip",
    "install",
    "--no-compile",
    "--disable-pip-version-check",
    ...packages,
  ]);
  if (code !== 0)
    throw new SetupError(
      pipFailure(
        packages.at(-2) === "-r"
          ? [readFileSync(packages.at(-1), "utf8").replaceAll("\n", " ").trim()]
          : packages,
        output,
      ),
    );
}
