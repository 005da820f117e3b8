// Compiles the native addon against libtorch.
import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execute, SetupError, step, tail } from "./report.mjs";

const root = fileURLToPath(new URL("../../", import.meta.url));
const native = join(root, "native");
const build = join(root, "build");
const addon = join(build, "levin_torch.node");
const stamp = join(build, "stamp");
const record = join(build, "libtorch.json");

/** Whether the addon is there and was built from these sources against this libtorch (the answer of findLibtorch). */
export function isFresh(libtorch) {
  if (libtorch === null || !existsSync(addon) || !existsSync(stamp) || !existsSync(record)) return false;
  return readFileSync(stamp, "utf8") === fingerprint(libtorch);
}

/** Compiles the addon where it is not fresh, and records the libtorch that was used in build/libtorch.json. */
export async function buildAddon(libtorch) {
  if (isFresh(libtorch)) return;
  await checkTools();
  await step(`compiling the native addon against libtorch ${libtorch.version} (${libtorch.path})`, () =>
    compile(libtorch),
  );
  await step("loading the addon", () => checkLoads(libtorch));
  writeFileSync(record, `${JSON.stringify(libtorch, null, 2)}\n`);
  writeFileSync(stamp, fingerprint(libtorch));
}

function fingerprint(libtorch) {
  const hash = createHash("sha256");
  for (const name of readdirSync(native).sort()) hash.update(name).update(readFileSync(join(native, name)));
  const torch = statSync(join(libtorch.path, "include", "ATen", "ATen.h"));
  hash.update(
    JSON.stringify([libtorch, torch.mtimeMs, process.platform, process.arch, process.env.CXX ?? ""]),
  );
  return hash.digest("hex");
}

function nodeApiHeaders() {
  try {
    return createRequire(import.meta.url)("node-api-headers").include_dir;
  } catch {
    throw new SetupError("the npm package node-api-headers is not installed: run `npm install`.");
  }
}

const TOOLS =
  "Debian, Ubuntu: apt install g++ cmake make; Fedora: dnf install gcc-c++ cmake make; macOS: xcode-select --install and brew install cmake";

async function checkTools() {
  if ((await execute("cmake", ["--version"])).code !== 0) {
    throw new SetupError(`cmake was not found on PATH; it is needed to compile the addon.\n${TOOLS}`);
  }
  const compilers = process.env.CXX ? [process.env.CXX.split(" ")[0]] : ["c++", "g++", "clang++"];
  for (const compiler of compilers) if ((await execute(compiler, ["--version"])).code === 0) return;
  throw new SetupError(
    `no C++ compiler (${compilers.join(", ")}) was found on PATH; one with C++20 is needed, such as g++ 11.\n${TOOLS}`,
  );
}

async function compile(libtorch) {
  const folder = join(build, "cmake");
  const ninja = (await execute("ninja", ["--version"])).code === 0;
  if (!ninja && (await execute("make", ["--version"])).code !== 0) {
    throw new SetupError(
      `neither make nor ninja was found on PATH; one is needed to compile the addon.\n${TOOLS}`,
    );
  }
  const configuration = [
    `-S${native}`,
    `-B${folder}`,
    `-G${ninja ? "Ninja" : "Unix Makefiles"}`,
    "-DCMAKE_BUILD_TYPE=Release",
    `-DLIBTORCH=${libtorch.path}`,
    `-DNODE_API_HEADERS=${nodeApiHeaders()}`,
  ];
  // CMake refuses another generator or source folder in a build folder it knows, so a new configuration starts anew.
  const known = join(folder, "levin-configuration");
  const wanted = [...configuration, process.env.CXX ?? ""].join("\n");
  if (!existsSync(known) || readFileSync(known, "utf8") !== wanted)
    rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const configured = await execute("cmake", configuration);
  if (configured.code !== 0)
    throw new SetupError(`cmake could not configure the addon:\n${tail(configured.output)}`);
  writeFileSync(known, wanted);
  const built = await execute("cmake", ["--build", folder, "--parallel", String(availableParallelism())]);
  if (built.code !== 0) throw new SetupError(compilerFailure(built.output));
  const partial = `${addon}.${process.pid}`; // a running process keeps the file it has loaded
  copyFileSync(join(folder, "levin_torch.node"), partial);
  renameSync(partial, addon);
}

function compilerFailure(output) {
  const errors = output.split("\n").filter((line) => /error|undefined reference|Killed/i.test(line));
  const what = `the addon did not compile:\n${errors.length > 0 ? errors.slice(0, 10).join("\n") : tail(output)}\n`;
  if (/Killed|out of memory/i.test(output))
    return `${what}The compiler ran out of memory: it needs about 1.5 GB per processor core.`;
  if (/unrecognized.*-std|concepts|requires C\+\+20/i.test(output))
    return `${what}A compiler with C++20 is needed, such as g++ 11 or clang 14.`;
  return what;
}

async function checkLoads(libtorch) {
  const { code, output } = await execute(process.execPath, ["-e", "require(process.argv[1])", addon]);
  if (code === 0) return;
  const why = output.split("\n").find((line) => line.startsWith("Error:")) ?? tail(output, 5);
  throw new SetupError(
    `the addon was compiled but cannot be loaded: ${why}\n` +
      `libtorch is ${libtorch.path} (${libtorch.source}). If a library is missing, that installation is not complete: ` +
      "name another one in LIBTORCH.",
  );
}
