import { createHash, randomUUID } from "node:crypto";
import { createReadStream, createWriteStream, existsSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { ArgumentError, LevinError } from "../../errors.js";

/** What a file must have. */
export interface Checksum {
  md5?: string;
  sha256?: string;
}

/** Where the files of a built-in dataset may be fetched from. */
export interface MirrorOptions {
  /** Addresses of folders with the files, tried in this order. Default: the public ones. */
  mirrors?: readonly string[];
}

/**
 * Fetches a file, if it isn't there: from the first of the addresses that has it. The file appears under its name when it is complete and its checksum is
 * right, so that processes that wait for it never see half of it.
 *
 * @param checksum what its content must have; a file that is there and has another one is fetched again
 * @throws LevinError where no address gives the right file, with the reason for each
 */
export async function downloadFile(
  urls: string | readonly string[],
  path: string,
  checksum: Checksum = {},
): Promise<void> {
  const addresses = typeof urls === "string" ? [urls] : urls;
  if (addresses.length === 0) throw new ArgumentError("downloadFile: urls must hold at least one address.");
  if (existsSync(path) && (await mismatch(path, checksum)) === null) return;

  await mkdir(dirname(path), { recursive: true });
  const reasons: string[] = [];
  for (const address of addresses) {
    const part = `${path}.${randomUUID()}.part`;
    try {
      await fetchTo(address, part);
      const wrong = await mismatch(part, checksum);
      if (wrong === null) {
        await rename(part, path);
        return;
      }
      reasons.push(`${address}: ${wrong}`);
    } catch (error) {
      reasons.push(`${address}: ${reasonOf(error)}`);
    } finally {
      await rm(part, { force: true });
    }
  }
  throw new LevinError(
    `${path} could not be downloaded:\n${reasons.map((reason) => `  ${reason}\n`).join("")}` +
      "Without a network, put the file there by hand.",
  );
}

async function fetchTo(address: string, path: string): Promise<void> {
  const response = await fetch(address);
  if (!response.ok || response.body === null)
    throw new Error(`the server answered ${response.status} ${response.statusText}`);
  await pipeline(Readable.fromWeb(response.body as never), createWriteStream(path));
}

/** What is wrong with the content of a file, or null. */
async function mismatch(path: string, { md5, sha256 }: Checksum): Promise<string | null> {
  for (const [name, wanted] of Object.entries({ md5, sha256 })) {
    if (wanted === undefined) continue;
    const hash = createHash(name);
    await pipeline(createReadStream(path), hash);
    const sum = hash.digest("hex");
    if (sum !== wanted.toLowerCase()) return `the content has the ${name} ${sum}, not ${wanted}`;
  }
  return null;
}

/** What `fetch` says is in its cause. */
function reasonOf(error: unknown): string {
  const { message, cause } = error as Error;
  return cause instanceof Error ? `${message}: ${cause.message}` : message;
}

/** The addresses of a file on several mirrors. */
export function onMirrors(mirrors: readonly string[], file: string): string[] {
  return mirrors.map((mirror) => `${mirror.replace(/\/*$/, "")}/${file}`);
}
