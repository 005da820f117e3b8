#!/usr/bin/env node
import { existsSync } from "node:fs";

const main = new URL("../dist/cli/main.js", import.meta.url);
if (!existsSync(main)) {
  console.error("levin: the TypeScript of this checkout is not compiled yet. Run `npm run setup` first.");
  process.exit(1);
}
await import(main.href);
