import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import type { ClassRequest, Descriptions } from "./description.js";
import { ownFolder } from "./source-program.js";

/** Changes where descriptions read by an older levin don't fit any more. */
const FORMAT = 1;

interface Entry {
  /** The hash of each file that the descriptions were read from. */
  readonly files: Readonly<Record<string, string>>;
  readonly descriptions: Descriptions;
}

/** What nearly every configuration has of levin's classes: read once, and not anew whenever a program changes. */
const own: ClassRequest = {
  cwd: ownFolder,
  references: [],
  named: [],
  entry: null,
  own: ["Trainer", "Trainer.fit", "Trainer.validate", "Trainer.test", "Trainer.predict"],
  families: [
    "LightningModule",
    "LightningDataModule",
    "Callback",
    "Optimizer",
    "LRScheduler",
    "ReduceLROnPlateau",
  ],
};

const nothing: Descriptions = { classes: {}, families: {}, problems: {} };

/**
 * The descriptions of a request, from the cache in the user's folder where no source has changed since; else they are read, which takes
 * the TypeScript compiler about half a second.
 */
export async function describeClasses(request: ClassRequest): Promise<Descriptions> {
  const known = await cached(own, nothing);
  const isKnown =
    request.references.length + request.named.length === 0 &&
    request.own.every((name) => name in known.classes) &&
    request.families.every((name) => name in known.families);
  if (isKnown) return known;
  const { classes, families, problems } = await cached(request, known);
  return {
    classes: { ...known.classes, ...classes },
    families: { ...known.families, ...families },
    problems,
  };
}

async function cached(request: ClassRequest, known: Descriptions): Promise<Descriptions> {
  const file = join(
    cacheFolder(),
    "classes",
    `${hash(JSON.stringify([FORMAT, import.meta.url, request]))}.json`,
  );
  const entry = readEntry(file);
  if (entry) return entry;
  const { readClasses, sourcesOf } = await import("./read-classes.js");
  const { files: read, ...descriptions } = await readClasses(request, known);
  // a module that is missing now may be there the next time
  if (Object.keys(descriptions.problems).length === 0) {
    const files = sourcesOf(read, request.cwd).map((each) => [each, hashOfFile(each)]);
    writeEntry(file, { files: Object.fromEntries(files), descriptions });
  }
  return descriptions;
}

function readEntry(file: string): Descriptions | null {
  try {
    const { files, descriptions } = JSON.parse(readFileSync(file, "utf8")) as Entry;
    const fresh = Object.entries(files).every(([name, known]) => hashOfFile(name) === known);
    return fresh ? descriptions : null;
  } catch {
    return null; // there is none, or it cannot be read: the sources can
  }
}

function writeEntry(file: string, entry: Entry): void {
  const temporary = `${file}.${process.pid}`;
  try {
    mkdirSync(join(file, ".."), { recursive: true });
    writeFileSync(temporary, JSON.stringify(entry));
    renameSync(temporary, file);
  } catch {
    // a cache that cannot be written is slower, but no reason not to run
  }
}

function hashOfFile(file: string): string | null {
  try {
    return hash(readFileSync(file));
  } catch {
    return null;
  }
}

const hash = (content: string | Buffer): string => createHash("sha256").update(content).digest("hex");

function cacheFolder(): string {
  if (process.env.XDG_CACHE_HOME) return join(process.env.XDG_CACHE_HOME, "levin");
  return process.platform === "darwin"
    ? join(homedir(), "Library", "Caches", "levin")
    : join(homedir(), ".cache", "levin");
}
