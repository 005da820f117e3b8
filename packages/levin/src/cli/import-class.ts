import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { isAbsolute, join } from "node:path";
import { pathToFileURL } from "node:url";
import { MisconfigurationError } from "../errors.js";
import type { Values } from "./config.js";
import { splitReference } from "./description.js";
import { isClass, type Maker } from "./instantiate.js";
import { importable } from "./source-program.js";

/** A class of levin by its name. */
export async function importOwn(name: string): Promise<Maker> {
  const [levin, { optim }, { ReduceLROnPlateau }] = await Promise.all([
    import("../index.js"),
    import("@levin/torch"),
    import("./reduce-lr-on-plateau.js"),
  ]);
  const all: Values = { ...optim.lrScheduler, ...optim, ...levin, ReduceLROnPlateau };
  return all[name] as Maker;
}

/** Imports what a reference names, from a module of the program or a package of its. */
export async function importReference(reference: string, cwd: string): Promise<Maker> {
  const { module, exported } = splitReference(reference);
  const exports = await importProgram(module, cwd);
  if (exported !== null) return exports[exported] as Maker;
  return (exports.default ??
    Object.values(exports).find((each) => typeof each === "function" && isClass(each as Maker))) as Maker;
}

let typescriptIsLoaded = false;

async function importProgram(module: string, cwd: string): Promise<Record<string, unknown>> {
  const place = importable(module, cwd);
  const file = isAbsolute(place) ? place : createRequire(join(cwd, "package.json")).resolve(place);
  if (/\.[cm]?tsx?$/.test(file)) await loadTypeScript(file);
  return (await import(pathToFileURL(file).href)) as Record<string, unknown>;
}

/** Makes Node read TypeScript: with the program's tsx, which knows all of it, else by itself where it can. */
async function loadTypeScript(file: string): Promise<void> {
  if (typescriptIsLoaded || process.execArgv.some((argument) => /\btsx\b/.test(argument))) return;
  let home: URL | null = null;
  for (const from of [file, new URL(import.meta.url)]) {
    try {
      home ??= pathToFileURL(createRequire(from).resolve("tsx/package.json"));
    } catch {
      // not installed there
    }
  }
  const { features } = process as { features: { typescript?: string | false } };
  if (home === null && features.typescript) return;
  if (home === null) {
    throw new MisconfigurationError(
      `Node ${process.versions.node} cannot read ${file}, which is TypeScript. Install tsx (\`npm install --save-dev tsx\`), or use Node 22.18 or later.`,
    );
  }
  const { exports } = JSON.parse(readFileSync(home, "utf8")) as {
    exports: { "./esm/api": { import: { default: string } } };
  };
  const api = (await import(new URL(exports["./esm/api"].import.default, home).href)) as {
    register(): unknown;
  };
  api.register();
  typescriptIsLoaded = true;
}
