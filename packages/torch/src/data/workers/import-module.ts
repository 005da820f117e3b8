import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { LevinError } from "../../errors.js";

const typescript = /\.[cm]?tsx?$/;
let registered = false;

/**
 * Imports a user's module in a worker. A Node that strips types reads TypeScript by itself; for others tsx is used, since not even a program
 * that was started with tsx has it in its workers on Node 20.
 */
export async function importModule(module: string): Promise<Record<string, unknown>> {
  const { features } = process as { features: { typescript?: string | false } };
  if (typescript.test(new URL(module).pathname) && !features.typescript && !registered)
    await registerTsx(module);
  try {
    return (await import(module)) as Record<string, unknown>;
  } catch (error) {
    if ((error as { code?: string }).code !== "ERR_UNKNOWN_FILE_EXTENSION") throw error;
    throw new LevinError(
      `Node ${process.versions.node} cannot read ${module}, which is TypeScript. Install tsx (\`npm install --save-dev tsx\`), use Node 22.18 or later, ` +
        "or give forWorkers() the address of the compiled module.",
      { cause: error },
    );
  }
}

async function registerTsx(module: string): Promise<void> {
  const home = findTsx(module);
  if (home === null) return; // another loader may know TypeScript
  const { exports } = JSON.parse(readFileSync(home, "utf8")) as {
    exports: { "./esm/api": { import: { default: string } } };
  };
  const api = (await import(new URL(exports["./esm/api"].import.default, home).href)) as {
    register(): unknown;
  };
  api.register();
  registered = true;
}

/** tsx's package.json: of the tsx that the program was started with, or else of the one that is installed where the module is. */
function findTsx(module: string): URL | null {
  const loader = process.execArgv.find((argument) => /\/tsx\/dist\/loader\.mjs$/.test(argument));
  // a URL where it is tsx itself that starts Node, a path where it is written by hand
  if (loader) return new URL("../package.json", loader.startsWith("file:") ? loader : pathToFileURL(loader));
  try {
    return pathToFileURL(createRequire(module).resolve("tsx/package.json"));
  } catch {
    return null;
  }
}
