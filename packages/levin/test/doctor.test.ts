import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { buildInfo, getNumThreads } from "@levin/torch";
import { expect, it } from "vitest";

const levin = (...args: string[]) =>
  promisify(execFile)(process.execPath, [
    fileURLToPath(new URL("../bin/levin.js", import.meta.url)),
    ...args,
  ]);

it("levin doctor prints Node, libtorch with its kind and path, BLAS, threads and devices", async () => {
  const { stdout } = await levin("doctor");
  const { torchVersion, cudaDeviceCount } = buildInfo();
  const version = torchVersion.replaceAll(".", "\\.");
  expect(stdout).toContain(`Node          ${process.versions.node} (${process.execPath})\n`);
  expect(stdout).toMatch(new RegExp(`^libtorch {6}${version}.* with(out)? CUDA, .+\n {14}/.+$`, "m"));
  expect(stdout).toMatch(new RegExp(`^addon {9}loaded, libtorch ${version}`, "m"));
  expect(stdout).toMatch(/^BLAS {10}[a-z]+$/m);
  expect(stdout).toMatch(
    new RegExp(`^threads {7}${getNumThreads()} in an operator, \\d+ between operators$`, "m"),
  );
  expect(stdout).toMatch(
    cudaDeviceCount > 0 ? /^CUDA {10}\d+ device\(s\)$/m : /^CUDA {10}(not available|there is a driver)/m,
  );
});

it("levin names its commands, and fails for others", async () => {
  expect((await levin("--help")).stdout).toMatch(/^ {2}doctor +print what levin finds here/m);
  await expect(levin("diagnose")).rejects.toThrow(/unknown command 'diagnose'/);
});
