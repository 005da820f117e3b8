// Stamps in .levin/ tell whether the inputs of a step have changed since it was last done.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The root folder of the checkout. */
export const root = fileURLToPath(new URL("../../", import.meta.url));
/** The folder of what scripts remember between runs; not in version control. */
export const memory = join(root, ".levin");

/** The folders of all workspaces, relative to the root. */
export const workspaces = JSON.parse(readFileSync(join(root, "package.json"), "utf8")).workspaces.flatMap(
  (pattern) =>
    pattern.endsWith("/*")
      ? readdirSync(join(root, pattern.slice(0, -2)))
          .map((name) => join(pattern.slice(0, -2), name))
          .filter((folder) => existsSync(join(root, folder, "package.json")))
      : [pattern],
);

/** A hash of the contents of files; one that is missing counts as empty. */
export function hashOfContents(files) {
  const hash = createHash("sha256");
  for (const file of files) hash.update(`${file}\n`).update(existsSync(file) ? readFileSync(file) : "");
  return hash.digest("hex");
}

/** A hash of the names, sizes and modification times of files. */
export function hashOfTimes(files) {
  const hash = createHash("sha256");
  for (const file of files) {
    const { size, mtimeMs } = statSync(file);
    hash.update(`${file} ${size} ${mtimeMs}\n`);
  }
  return hash.digest("hex");
}

export function readStamp(name) {
  const file = join(memory, name);
  return existsSync(file) ? readFileSync(file, "utf8") : null;
}

export function writeStamp(name, value) {
  mkdirSync(memory, { recursive: true });
  writeFileSync(join(memory, name), value);
}

/** All files below a folder with one of the given endings. */
export function filesBelow(folder, endings) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && endings.some((ending) => entry.name.endsWith(ending)))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();
}
