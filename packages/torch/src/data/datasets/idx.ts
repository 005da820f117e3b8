import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { LevinError } from "../../errors.js";
import * as ops from "../../ops.js";
import type { Tensor } from "../../tensor.js";

const BYTES = 0x08;

/** What {@link readIdx} may be told. */
export interface ReadIdxOptions {
  /** What the unpacked content must have. */
  sha256?: string;
  /** What the file must have, where it is packed. */
  md5?: string;
  /** How to get the file, for the error where it is absent. */
  hint?: string;
}

/**
 * Reads an idx file of bytes (two zeros, a type, the number of dimensions, their sizes as big-endian 32-bit numbers, the values) as a `uint8`
 * tensor.
 *
 * @param path of the file; where it isn't there, `path + ".gz"` is read
 * @throws LevinError where the file is absent, is not what it should be, or is damaged
 */
export function readIdx(path: string, options: ReadIdxOptions = {}): Tensor {
  const [content, from] = readPlainOrPacked(path, options);
  if (options.sha256 !== undefined) verify(content, "sha256", options.sha256, from);

  const rank = content[3] ?? 0;
  const header = 4 + 4 * rank;
  if (content.length < header || content.readUInt16BE(0) !== 0 || content[2] !== BYTES) {
    throw new LevinError(
      `${from} is not an idx file of bytes: it does not begin with 0, 0, 8 and the number of dimensions.`,
    );
  }
  const shape = Array.from({ length: rank }, (_, i) => content.readUInt32BE(4 + 4 * i));
  const size = shape.reduce((product, n) => product * n, 1);
  if (content.length !== header + size) {
    throw new LevinError(
      `${from} is damaged: it says it holds ${shape.join(" x ")} bytes, but there are ${content.length - header}.`,
    );
  }
  return ops.fromTypedArray(content.subarray(header), shape);
}

function verify(content: Buffer, name: "md5" | "sha256", wanted: string, from: string): void {
  const sum = createHash(name).update(content).digest("hex");
  if (sum === wanted) return;
  throw new LevinError(
    `${from} is damaged or another file: its content has the ${name} ${sum}, not ${wanted}. Delete it and get it anew.`,
  );
}

function readPlainOrPacked(
  path: string,
  { md5, sha256, hint = "" }: ReadIdxOptions,
): [content: Buffer, from: string] {
  if (existsSync(path)) return [readFileSync(path), path];
  const packed = `${path}.gz`;
  if (!existsSync(packed)) throw new LevinError(`There is no file ${path}, nor ${packed}. ${hint}`.trim());
  const file = readFileSync(packed);
  // the checksum of the content says more, and holds for files that somebody else has packed
  if (md5 !== undefined && sha256 === undefined) verify(file, "md5", md5, packed);
  try {
    return [gunzipSync(file), packed];
  } catch (error) {
    throw new LevinError(`${packed} cannot be unpacked: it is damaged. Delete it and get it anew.`, {
      cause: error,
    });
  }
}
