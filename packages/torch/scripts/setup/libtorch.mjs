// Finds libtorch, or fetches it: LIBTORCH, else the torch of python3, else pip into the user's cache folder.
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { withLock } from "./lock.mjs";
import { execute, SetupError, say, step, tail } from "./report.mjs";

/** The version that is fetched where none is found. */
export const TORCH_VERSION = "2.15.0";
const MINORS = { oldest: 11, newest: 15 };
const SUPPORTED = `2.${MINORS.oldest} to 2.${MINORS.newest}`;
const ROOM_GB = process.platform === "darwin" ? 1 : 3; // the wheel and what is unpacked from it

/** The folder shared by all checkouts of this user: ~/.cache/levin, or what the system prefers. */
export function cacheFolder() {
  if (process.env.XDG_CACHE_HOME) return join(process.env.XDG_CACHE_HOME, "levin");
  return process.platform === "darwin"
    ? join(homedir(), "Library", "Caches", "levin")
    : join(homedir(), ".cache", "levin");
}

/**
 * Where libtorch is: `{ path, version, source, cuda }`. `path` holds include/ and lib/; `source` is "LIBTORCH", "python" or
 * "cache"; `cuda` says whether it was built with CUDA. Fetches it where it is nowhere, unless `fetch` is false: then null.
 */
export async function findLibtorch({ fetch = true } = {}) {
  if (process.env.LIBTORCH) return fromEnvironment(process.env.LIBTORCH);
  const python = await fromPython();
  if (python !== null) return python;
  const folder = cachedTorchFolder();
  if (!isComplete(join(folder, "torch"))) {
    if (!fetch) return null;
    await fetchTorch();
  }
  return describe(join(folder, "torch"), "cache");
}

/** The site-packages folder in the cache that holds, or will hold, the torch that pip fetched. */
export function cachedTorchFolder() {
  return join(cacheFolder(), `torch-${TORCH_VERSION}-${process.platform}-${process.arch}`);
}

function fromEnvironment(given) {
  const path = resolve(given);
  if (!isComplete(path)) {
    throw new SetupError(
      `LIBTORCH is ${given}, which holds no libtorch: lib/${library("torch_cpu")} and include/ATen/ATen.h must be in it.\n` +
        "Name the `torch` folder of an installed PyTorch or an unpacked libtorch, or unset LIBTORCH to have one found.",
    );
  }
  const found = describe(path, "LIBTORCH");
  if (!isSupported(found.version)) {
    throw new SetupError(
      `LIBTORCH is ${given}, which is libtorch ${found.version}; supported is ${SUPPORTED}.\n` +
        "Name another one, or unset LIBTORCH to have one found or fetched.",
    );
  }
  return found;
}

// Locates torch without importing it, which would take seconds.
const LOCATE = `import importlib.util
spec = importlib.util.find_spec("torch")
print(spec.submodule_search_locations[0] if spec and spec.submodule_search_locations else "")`;

async function fromPython() {
  const { code, stdout } = await execute("python3", ["-c", LOCATE]);
  const path = stdout.trim();
  if (code !== 0 || path === "" || !isComplete(path)) return null;
  const found = describe(path, "python");
  if (isSupported(found.version)) return found;
  say(`python3 has torch ${found.version}, which is not used: supported is ${SUPPORTED}`);
  return null;
}

function library(name) {
  return process.platform === "darwin" ? `lib${name}.dylib` : `lib${name}.so`;
}

function isComplete(path) {
  return (
    existsSync(join(path, "lib", library("torch_cpu"))) && existsSync(join(path, "include", "ATen", "ATen.h"))
  );
}

function describe(path, source) {
  const header = ["headeronly", "."]
    .map((folder) => join(path, "include", "torch", folder, "version.h"))
    .find((file) => existsSync(file));
  const text = header === undefined ? "" : readFileSync(header, "utf8");
  const number = (part) => new RegExp(`define TORCH_VERSION_${part} (\\d+)`).exec(text)?.[1] ?? "?";
  const version = `${number("MAJOR")}.${number("MINOR")}.${number("PATCH")}`;
  return { path, version, source, cuda: existsSync(join(path, "lib", library("torch_cuda"))) };
}

function isSupported(version) {
  const [major, minor] = version.split(".").map(Number);
  return major === 2 && minor >= MINORS.oldest && minor <= MINORS.newest;
}

/** Fetches torch with pip into the cache folder; does nothing where it is there. Returns the site-packages folder. */
export async function fetchTorch() {
  const folder = cachedTorchFolder();
  if (isComplete(join(folder, "torch"))) return folder;
  await withLock(`${folder}.lock`, async () => {
    if (isComplete(join(folder, "torch"))) return;
    await checkRoom(cacheFolder(), ROOM_GB);
    await checkPip();
    const partial = `${folder}.partial`;
    rmSync(partial, { recursive: true, force: true });
    rmSync(folder, { recursive: true, force: true });
    try {
      await step(`fetching torch ${TORCH_VERSION} with pip into ${folder}`, async () => {
        await pipInstall(partial, [`torch==${TORCH_VERSION}`]);
        await pipInstall(partial, runtimePackages(join(partial, "torch")));
      });
      renameSync(partial, folder);
    } finally {
      rmSync(partial, { recursive: true, force: true });
    }
  });
  return folder;
}

// libtorch_cpu of a CUDA wheel is linked to two small libraries of CUDA, of the wheel's own major version.
function runtimePackages(torch) {
  if (!existsSync(join(torch, "lib", "libtorch_cuda.so"))) return [];
  const major = /^cuda[^=]*= '(\d+)\./m.exec(readFileSync(join(torch, "version.py"), "utf8"))?.[1];
  const suffix = Number(major) < 13 ? `-cu${major}` : "";
  return [`nvidia-cuda-runtime${suffix}==${major}.*`, `nvidia-cuda-cupti${suffix}==${major}.*`];
}

async function checkPip() {
  const { code, missing, output } = await execute("python3", ["-m", "pip", "--version"]);
  if (code === 0) return;
  throw new SetupError(
    (missing ? "python3 was not found on PATH" : `python3 has no pip: ${tail(output, 3)}`) +
      `\nlibtorch comes with PyTorch's Python package. Install python3 with pip (Debian, Ubuntu: apt install python3-pip; ` +
      `macOS: brew install python), or unpack libtorch ${SUPPORTED} and name its folder in LIBTORCH.`,
  );
}

async function pipInstall(target, packages) {
  if (packages.length === 0) return;
  // pip unpacks into TMPDIR first: beside the target it is the same disk, and a small /tmp does not matter.
  const temporary = `${target}.tmp`;
  mkdirSync(temporary, { recursive: true });
  try {
    const args = [
      "-m",
      "pip",
      "install",
      "--no-deps",
      "--no-compile",
      "--no-cache-dir",
      "--upgrade",
      "--target",
      target,
    ];
    const { code, output } = await execute("python3", [...args, ...packages], {
      env: { ...process.env, TMPDIR: temporary, PIP_DISABLE_PIP_VERSION_CHECK: "1" },
    });
    if (code !== 0) throw new SetupError(pipFailure(packages, output));
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

/** What to do about a pip that failed, from what it printed. */
export function pipFailure(packages, output) {
  const what = `pip could not install ${packages.join(" ")}:\n${tail(output, 12)}\n`;
  if (/No space left|Errno 28/i.test(output))
    return `${what}The disk is full: free ${ROOM_GB} GB, or set XDG_CACHE_HOME to a folder on a larger one.`;
  if (
    /NewConnectionError|Temporary failure in name resolution|ConnectTimeout|Read timed out|ProxyError|Could not fetch URL|SSLError/i.test(
      output,
    )
  ) {
    return `${what}The package index cannot be reached: check the network and pip's configuration (pip config list).`;
  }
  if (/No matching distribution|Could not find a version/i.test(output)) {
    return (
      `${what}There is no such package for this python3 and system: torch ${TORCH_VERSION} needs Python 3.10 to 3.14 on Linux ` +
      "(glibc 2.28 or newer; x86-64, arm64) or macOS (arm64). If the versions listed above are none at all, the package index cannot be reached."
    );
  }
  return what;
}

/** Throws where the disk of a folder, which need not exist yet, has less than so many GB free. */
export async function checkRoom(folder, gigabytes) {
  mkdirSync(folder, { recursive: true });
  const { bavail, bsize } = await statfs(folder);
  const free = (bavail * bsize) / 1e9;
  if (free >= gigabytes) return;
  throw new SetupError(
    `${folder} has ${free.toFixed(1)} GB free, ${gigabytes} GB are needed.\n` +
      "Free some, or set XDG_CACHE_HOME to a folder on a larger disk, or LIBTORCH to an installed libtorch.",
  );
}
