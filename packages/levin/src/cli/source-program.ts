import { ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type * as compiler from "typescript/unstable/sync";
import { MisconfigurationError } from "../errors.js";
import { type ClassRequest, splitReference } from "./description.js";

/** The compiler's own module. Its interface is declared unstable: everything that uses it is in the files that import this one. */
export type Compiler = typeof compiler;

/** The sources of a program, checked, and what a request is about in them. */
export interface SourceProgram {
  readonly compiler: Compiler;
  readonly program: compiler.Program;
  readonly checker: compiler.Checker;
  /** The exports of `levin`, `levin/cli`, `@levin/torch`, and of each module that is referred to, by its name in a reference. */
  readonly modules: ReadonlyMap<string, compiler.Symbol>;
  close(): void;
}

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** The folder of levin itself: of a request that is about no program. */
export const ownFolder = here("../..");

/** Reads the sources that a request refers to. They are compiled in memory: nothing is written. */
export async function openProgram(request: ClassRequest): Promise<SourceProgram> {
  const compiler = await importCompiler(request.cwd);
  const references = [...new Set(request.references.map((each) => splitReference(each).module))];
  const imported = ["levin", "levin/cli", "@levin/torch", ...references];
  const imports = imported.map(
    (module, i) => `export * as module${i} from ${JSON.stringify(importable(module, request.cwd))};`,
  );
  if (request.entry) imports.push(`import ${JSON.stringify(request.entry)};`);

  const folder = join(request.cwd, "levin.virtual");
  const config = join(folder, "tsconfig.json");
  const source = join(folder, "entry.ts");
  const files: Record<string, string> = {
    [config]: JSON.stringify(compilerSettings(request.cwd)),
    [source]: imports.join("\n"),
  };
  const api = new compiler.API({
    cwd: request.cwd,
    fs: {
      readFile: (path) => files[path],
      fileExists: (path) => (path in files ? true : undefined),
      directoryExists: (path) => (path === folder ? true : undefined),
    },
  });
  const project = api.updateSnapshot({ openProjects: [config] }).getProject(config);
  const entry = project?.program.getSourceFile(source);
  const symbol = entry && project?.checker.getSymbolAtLocation(entry);
  if (!project || !symbol) {
    closeCompiler(api);
    throw new MisconfigurationError(`The TypeScript compiler could not read the program in ${request.cwd}.`);
  }
  const { checker, program } = project;
  const modules = new Map(
    checker
      .getExportsOfModule(symbol)
      .map((each) => [imported[Number(each.name.slice("module".length))]!, aliased(checker, each, compiler)]),
  );
  return { compiler, program, checker, modules, close: () => closeCompiler(api) };
}

/** Ends the compiler's process: at once, since it writes "context canceled" to the terminal when it is asked to end. */
function closeCompiler(api: compiler.API): void {
  const { client } = api as unknown as { client?: { channel?: { child?: ChildProcess } } };
  const child = client?.channel?.child;
  if (child) child.kill = () => ChildProcess.prototype.kill.call(child, "SIGKILL");
  api.close();
}

/** What a symbol is, where it is only another name for it. */
export function aliased(
  checker: compiler.Checker,
  symbol: compiler.Symbol,
  { SymbolFlags }: Compiler,
): compiler.Symbol {
  return symbol.flags & SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
}

/** The module of a reference as an import names it: files from the folder of the program, else a package. */
export function importable(module: string, cwd: string): string {
  if (module.startsWith(".") || isAbsolute(module)) return resolve(cwd, module);
  const file = resolve(cwd, module);
  return /\.[cm]?[jt]sx?$/.test(module) && existsSync(file) ? file : module;
}

async function importCompiler(cwd: string): Promise<Compiler> {
  // the program's own TypeScript where it has one, else the one that is installed beside levin
  for (const from of [join(cwd, "package.json"), here(import.meta.url)]) {
    const home = tryResolve(from, "typescript/package.json");
    const file = home && join(dirname(home), "dist/api/sync/api.js");
    if (file && existsSync(file)) return (await import(pathToFileURL(file).href)) as Compiler;
  }
  throw new MisconfigurationError(
    "levin reads the types of options with TypeScript 7, which is not installed here: `npm install --save-dev typescript@7`.",
  );
}

function tryResolve(from: string, name: string): string | null {
  try {
    return createRequire(from).resolve(name);
  } catch {
    return null;
  }
}

/** The settings of the program's own tsconfig.json, as far as they say how types are read. */
function compilerSettings(cwd: string): object {
  let own: string | null = null;
  for (let folder = cwd; own === null; folder = dirname(folder)) {
    const file = join(folder, "tsconfig.json");
    if (existsSync(file)) own = file;
    if (folder === dirname(folder)) break;
  }
  const ownPackages = cwd !== ownFolder && tryResolve(join(cwd, "package.json"), "levin") !== null;
  return {
    ...(own && { extends: own }),
    files: ["./entry.ts"],
    include: [],
    compilerOptions: {
      ...(own === null && { target: "ES2022", module: "NodeNext", moduleResolution: "NodeNext", types: [] }),
      // without an installation of its own, a program is checked against the levin that runs
      ...(!ownPackages && {
        paths: {
          levin: [here("../index.d.ts")],
          "levin/cli": [here("./index.d.ts")],
          "@levin/torch": [fileURLToPath(import.meta.resolve("@levin/torch")).replace(/\.js$/, ".d.ts")],
        },
      }),
      strict: true,
      noEmit: true,
      composite: false,
      incremental: false,
      rootDir: null,
      allowJs: true,
      skipLibCheck: true,
      allowImportingTsExtensions: true,
    },
  };
}
