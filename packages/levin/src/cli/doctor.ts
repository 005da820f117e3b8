import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { arch, availableParallelism, cpus, platform, totalmem } from "node:os";
import { dirname, join } from "node:path";

type Torch = typeof import("@levin/torch");

const KINDS: Record<string, string> = {
  LIBTORCH: "named by the environment variable LIBTORCH",
  python: "the torch of python3",
  cache: "fetched into levin's cache folder",
};

/** Prints what levin finds on this machine, and what to do about what is missing. The exit code: 0 if levin can run. */
export async function doctor(): Promise<number> {
  print("Node", `${process.versions.node} (${process.execPath})`);
  print(
    "system",
    `${platform()} ${arch()}, ${availableParallelism()} cores (${cpus()[0]?.model.trim() ?? "unknown"})`,
  );
  print("memory", gigabytes(totalmem()));
  printRecord();

  let torch: Torch;
  try {
    torch = await import("@levin/torch");
  } catch (error) {
    print("addon", "NOT LOADED");
    console.log(`\n${(error as Error).message}`);
    return 1;
  }
  printEngine(torch);
  return 0;
}

/** What the set-up step recorded about the libtorch that the addon was built against. */
function printRecord(): void {
  const file = join(torchFolder(), "build", "libtorch.json");
  try {
    const { path, version, source, cuda } = JSON.parse(readFileSync(file, "utf8"));
    print("libtorch", `${version}${cuda ? " with CUDA" : " without CUDA"}, ${KINDS[source] ?? source}`);
    print("", path);
  } catch {
    print("libtorch", "no record of a set-up: run `npm run setup` in a checkout, or `npx levin-torch-setup`");
  }
}

// The folder of @levin/torch, found without loading it: it may not be loadable.
function torchFolder(): string {
  const require = createRequire(import.meta.url);
  try {
    return dirname(dirname(require.resolve("@levin/torch")));
  } catch {
    return ".";
  }
}

function printEngine(torch: Torch): void {
  const info = torch.buildInfo();
  print("addon", `loaded, libtorch ${info.torchVersion}`);
  print("BLAS", setting(info.config, "BLAS_INFO") ?? "unknown");
  print("LAPACK", setting(info.config, "LAPACK_INFO") ?? "unknown");
  print("instructions", /CPU capability usage: (.+)/.exec(info.config)?.[1] ?? "unknown");
  print("libraries", libraries(info.config));
  print("threads", `${info.numThreads} in an operator, ${info.numInteropThreads} between operators`);
  print("CUDA", cudaState(torch, info.cudaDeviceCount));
  if (info.mpsAvailable) print("MPS", "available");
}

function cudaState(torch: Torch, devices: number): string {
  if (devices > 0) return `${devices} device(s)`;
  const problem = torch.cuda.problem();
  return problem === null
    ? "not available: training runs on the CPU"
    : `there is a driver, but libtorch cannot use it: ${problem}`;
}

// libtorch tells its settings as "Build settings: BLAS_INFO=mkl, BUILD_TYPE=Release, ..."
function setting(config: string, name: string): string | undefined {
  return new RegExp(`\\b${name}=([^,\\s]+)`).exec(config)?.[1];
}

function libraries(config: string): string {
  const lines = config.split("\n").map((line) => line.replace(/^\s*- /, "").trim());
  const named = lines.filter((line) => /^(Intel\(R\)|OpenMP|CUDA Runtime|CuDNN|NNPACK)/.test(line));
  return named.length > 0 ? named.map((line) => line.replace(/ (for|\(Git).*/, "")).join("; ") : "unknown";
}

function print(name: string, value: string): void {
  console.log(`${name.padEnd(14)}${value}`);
}

function gigabytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}
