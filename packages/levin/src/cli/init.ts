import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const home = fileURLToPath(new URL("../..", import.meta.url));
const template = join(home, "templates/project");

/** Makes a small project that trains at once. Files that are there already stay as they are. */
export function init(folder: string): void {
  const target = resolve(folder);
  mkdirSync(target, { recursive: true });
  const files = readdirSync(template, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(template, join(entry.parentPath, entry.name)));
  for (const file of files) {
    // npm leaves files of the name .gitignore out of packages
    const name = file === "gitignore" ? ".gitignore" : file;
    const path = join(target, name);
    const kept = existsSync(path);
    if (!kept) {
      cpSync(join(template, file), path);
      if (name === "package.json") nameProject(path, basename(target));
    }
    console.log(`${kept ? "kept   " : "created"} ${name}`);
  }
  writeSchema(target);
  const place = folder === "." ? "" : `cd ${folder}\n`;
  console.log(`\n${place}npm install\nnpx levin-torch-setup\nnpm run train`);
}

function nameProject(path: string, name: string): void {
  const { version, peerDependencies } = JSON.parse(readFileSync(join(home, "package.json"), "utf8"));
  const { "@levin/torch": _, ...tools } = peerDependencies;
  const project = JSON.parse(readFileSync(path, "utf8"));
  project.name =
    name
      .toLowerCase()
      .replace(/[^a-z0-9._-]+/g, "-")
      .replace(/^[._-]+/, "") || "project";
  project.dependencies = { "@levin/torch": `^${version}`, levin: `^${version}` };
  Object.assign(project.devDependencies, tools);
  writeFileSync(path, `${JSON.stringify(project, null, 2)}\n`);
}

/** Writes the schema that config.yaml names, as `npm run schema` does. */
function writeSchema(target: string): void {
  const name = "levin.schema.json";
  const path = join(target, name);
  if (existsSync(path)) {
    console.log(`kept    ${name}`);
    return;
  }
  const args = [join(home, "bin/levin.js"), "schema", "--config", "config.yaml"];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: target,
    encoding: "utf8",
    maxBuffer: 2 ** 26,
  });
  if (status === 0) writeFileSync(path, stdout);
  console.log(
    status === 0
      ? `created ${name}`
      : `missing ${name}: make it later with \`npm run schema\`. ${stderr.trim()}`,
  );
}
