#!/usr/bin/env node
// The set-up of @levin/torch: finds or fetches libtorch and compiles the addon. Does nothing when all is fresh.
// Runs before anything is installed, so it uses nothing but Node itself.
import { realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { buildAddon, isFresh } from "./addon.mjs";
import { findLibtorch } from "./libtorch.mjs";
import { withLock } from "./lock.mjs";
import { main, say } from "./report.mjs";

/** Whether libtorch is there and the addon was built against it from the present sources. */
export async function isTorchFresh() {
  return isFresh(await findLibtorch({ fetch: false }));
}

/** Finds or fetches libtorch and compiles the addon against it, where that has not been done. */
export async function setupTorch() {
  const libtorch = await findLibtorch();
  await buildAddon(libtorch);
  return libtorch;
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  await main(async () => {
    const lock = fileURLToPath(new URL("../../build/setup.lock", import.meta.url));
    if (!(await isTorchFresh())) await withLock(lock, setupTorch);
    say("libtorch and the addon are ready");
  });
}
