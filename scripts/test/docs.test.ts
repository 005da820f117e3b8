import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import * as torch from "@levin/torch";
import * as levin from "levin";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));
const pages = ["README.md", "packages/torch/README.md", "docs/from-lightning.md", "docs/loggers.md"];

/** What the examples take for granted. */
const given = `
type Module = import("levin").LightningModule;
declare const model: Module;
declare const datamodule: import("levin").LightningDataModule;
declare const trainer: import("levin").Trainer;
declare const valLoader: import("@levin/torch").data.DataLoader<unknown>;
declare const [a, b, x, loss, images, first, second]: import("@levin/torch").Tensor[];
declare const floats: Float32Array;
declare const net: import("@levin/torch").nn.Module;
declare const layer: import("@levin/torch").nn.Linear;
declare const [paths, labels]: [string[], number[]];
declare function decode(path: string | undefined): Promise<import("@levin/torch").Tensor>;
declare const Digits: typeof import("levin").LightningModule & (new (hparams: object) => Module);
`;

/** Imports of the names that an example uses, but does not import or define itself. */
function importsFor(code: string): string {
  const isOwn = (name: string) =>
    new RegExp(`import [^;]*\\b${name}\\b[^;]*;|\\b(class|const|function) ${name}\\b`).test(code);
  const missing = (names: string[]) =>
    names.filter((name) => new RegExp(`\\b${name}\\b`).test(code) && !isOwn(name)).join(", ");
  const ofTorch = Object.keys(torch).filter((name) => /^(data|nn|optim|metrics|slice|Tensor)$/.test(name));
  return [
    isOwn("torch") ? "" : 'import * as torch from "@levin/torch";',
    `import { ${missing(ofTorch)} } from "@levin/torch";`,
    `import { ${missing([...Object.keys(levin), "OptimizerOptions", "Metrics"])} } from "levin";`,
  ].join(" "); // one line, so that an error's line tells where to look
}

interface Example {
  code: string;
  line: number;
}

function blocksOf(text: string): Example[] {
  const lineOf = (index: number) => text.slice(0, index).split("\n").length;
  return [...text.matchAll(/^```ts\n(.*?)^```/gms)].map(({ 1: code, index }) => ({
    code: code!,
    line: lineOf(index),
  }));
}

/** The right cells of tables that have Python on their left. */
function cellsOf(text: string): Example[] {
  let isTable = false;
  return text.split("\n").flatMap((row, i) => {
    isTable = row === "| Python | TypeScript |" || (isTable && row.startsWith("|"));
    const cell = isTable ? (row.split(" | ")[1] ?? "") : "";
    const snippets = [...cell.matchAll(/`([^`]+)`/g)].map(
      ([, code]) => `{ ${code!.replace("=> ...", "=> x")}; }`,
    );
    return snippets.length === 0 ? [] : [{ code: `${snippets.join(" ")}\n`, line: i + 1 }];
  });
}

describe("the documentation", () => {
  it("has TypeScript without errors", async () => {
    const folder = `${root}.levin/docs`;
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    // "strict", as most projects have it, and what the strictest ones ask of the declarations of libraries
    const compilerOptions = {
      noEmit: true,
      composite: false,
      noUncheckedIndexedAccess: false,
      verbatimModuleSyntax: false,
      skipLibCheck: false,
      exactOptionalPropertyTypes: true,
    };
    const configuration = { extends: "../../tsconfig.base.json", compilerOptions, include: ["*"] };
    writeFileSync(`${folder}/tsconfig.json`, JSON.stringify(configuration));
    writeFileSync(`${folder}/given.d.ts`, given);
    let count = 0;
    for (const page of pages) {
      const text = readFileSync(root + page, "utf8");
      for (const { code, line } of [...blocksOf(text), ...cellsOf(text)]) {
        const name = `${page.replaceAll("/", "-")}-line-${line}.ts`;
        writeFileSync(`${folder}/${name}`, `${importsFor(code)}\n${code}export {};\n`);
        count++;
      }
    }
    expect(count).toBeGreaterThan(30);
    const tsc = `${root}node_modules/typescript/bin/tsc`;
    const options = { cwd: folder };
    const errors = await promisify(execFile)(process.execPath, [tsc, "--pretty", "false"], options).then(
      ({ stdout }) => stdout,
      ({ stdout }: { stdout: string }) => stdout,
    );
    expect(errors).toBe("");
  });

  it("has links to files that are there", () => {
    const folders = ["docs", "examples", "packages", "benchmarks", "oracle"];
    const all = folders.flatMap((folder) =>
      readdirSync(root + folder, { recursive: true, encoding: "utf8" }).map((path) => join(folder, path)),
    );
    const documents = all.filter((path) => path.endsWith(".md") && !path.includes("node_modules"));
    const broken = ["README.md", "CONTRIBUTING.md", ...documents].flatMap((page) =>
      [...readFileSync(root + page, "utf8").matchAll(/\]\((?!https?:)([^)#\s]+)/g)]
        .map(([, target]) => target!)
        .filter((target) => !existsSync(join(root, dirname(page), target)))
        .map((target) => `${page}: ${target}`),
    );
    expect(broken).toEqual([]);
  });
});
