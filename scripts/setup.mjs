// Makes a checkout ready to run: npm packages, libtorch, the native addon, the TypeScript. Does nothing when all is fresh.
// Runs before `npm install`, so it uses nothing but Node itself.
import { fileURLToPath } from "node:url";

const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 15)) {
  console.error(
    `set-up failed: levin needs Node 20.15 or newer, this is ${process.versions.node}: see https://nodejs.org`,
  );
  process.exit(1);
}
// Imported late: an older Node could not even link these.
const { main, say, seconds } = await import("../packages/torch/scripts/setup/report.mjs");
const { withLock } = await import("../packages/torch/scripts/setup/lock.mjs");
const { isTorchFresh, setupTorch } = await import("../packages/torch/scripts/setup/index.mjs");
const { areNpmPackagesFresh, installNpmPackages } = await import("./setup/npm.mjs");
const { isTypeScriptFresh, compileTypeScript } = await import("./setup/typescript.mjs");

await main(async () => {
  const start = performance.now();
  if (areNpmPackagesFresh() && (await isTorchFresh()) && isTypeScriptFresh()) {
    say(`all is fresh (${seconds(performance.now() - start)})`);
    return;
  }
  await withLock(fileURLToPath(new URL("../.levin/setup.lock", import.meta.url)), async () => {
    await installNpmPackages();
    await setupTorch();
    await compileTypeScript();
  });
  say(`ready in ${seconds(performance.now() - start)}`);
});
