import { crc32 } from "node:zlib";
import type { DType } from "../dtype.js";
import { onDemand } from "../on-demand.js";
import type { Tensor } from "../tensor.js";
import { mapTensor, readTensor } from "./bytes.js";
import { SerializationError } from "./errors.js";
import type { ByteReader, ByteSource } from "./source.js";
import type { ZipEntry } from "./zip-reader.js";

const fflate = onDemand<typeof import("fflate")>("fflate");

/** Compressed bytes that are taken in at once: deflate makes at most 1032 times as many of them. */
const compressedStep = 1 << 12;

/**
 * Reads an entry of a zip file from front to back. The read that reaches its end checks its checksum.
 *
 * @throws SerializationError where the entry is damaged
 */
export function entryReader(source: ByteSource, entry: ZipEntry): ByteReader {
  const next = entry.compressed ? inflated(source, entry) : stored(source, entry);
  let checksum = 0;
  let remaining = entry.size;
  return {
    get remaining() {
      return remaining;
    },
    readInto(target) {
      if (target.length > remaining) {
        throw damaged(entry, `${target.length} bytes are needed, ${remaining} are left`);
      }
      next(target);
      checksum = crc32(target, checksum);
      remaining -= target.length;
      // PyTorch can be told to leave checksums out: they are 0 then.
      if (remaining === 0 && entry.crc !== 0 && checksum !== entry.crc) {
        throw damaged(entry, "its checksum is wrong");
      }
    },
  };
}

/** All bytes of an entry. */
export function readEntry(source: ByteSource, entry: ZipEntry): Uint8Array {
  const bytes = new Uint8Array(entry.size);
  entryReader(source, entry).readInto(bytes);
  return bytes;
}

/** An entry as a row-major tensor of its size; with `mmap`, mapped into memory where it is not compressed. */
export function entryTensor(
  source: ByteSource,
  entry: ZipEntry,
  dtype: DType,
  shape: readonly number[],
  mmap: boolean,
): Tensor {
  const mapped = mmap && !entry.compressed ? mapTensor(source, entry.offset, dtype, shape) : undefined;
  return mapped ?? readTensor(entryReader(source, entry), dtype, shape);
}

function damaged(entry: ZipEntry, why: string, cause?: unknown): SerializationError {
  return new SerializationError(
    `the entry ${JSON.stringify(entry.name.slice(0, 100))} of the zip file is damaged: ${why}`,
    cause === undefined ? undefined : { cause },
  );
}

function stored(source: ByteSource, entry: ZipEntry): (target: Uint8Array) => void {
  let offset = entry.offset;
  return (target) => {
    source.readInto(offset, target);
    offset += target.length;
  };
}

/** Inflates no more than is asked for: what the directory says of a size is not believed before. */
function inflated(source: ByteSource, entry: ZipEntry): (target: Uint8Array) => void {
  const ready: Uint8Array[] = [];
  const inflate = new (fflate().Inflate)((part) => ready.push(part));
  const end = entry.offset + entry.storedSize;
  let at = entry.offset;
  const more = (): void => {
    const length = Math.min(compressedStep, end - at);
    if (length === 0) throw damaged(entry, "its data ends too early");
    const part = source.read(at, length);
    at += length;
    try {
      inflate.push(part, at === end);
    } catch (cause) {
      throw damaged(entry, (cause as Error).message, cause);
    }
  };
  return (target) => {
    let filled = 0;
    while (filled < target.length) {
      const part = ready[0];
      if (part === undefined) {
        more();
        continue;
      }
      const taken = part.subarray(0, target.length - filled);
      target.set(taken, filled);
      filled += taken.length;
      if (taken.length === part.length) ready.shift();
      else ready[0] = part.subarray(taken.length);
    }
  };
}
