import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { SerializationError } from "./errors.js";

/** Bytes that can be read at any place: a file, or memory. */
export interface ByteSource {
  readonly size: number;
  /** The open file, where it is one. */
  readonly descriptor: number | undefined;
  /** Fills `target` with the bytes from `offset` on. Throws where the source ends before. */
  readInto(offset: number, target: Uint8Array): void;
  /** The bytes from `offset` on, to be read only: they may be the source's own. Throws where it ends before. */
  read(offset: number, length: number): Uint8Array;
  close(): void;
}

/** Bytes that are read from front to back. */
export interface ByteReader {
  /** How many bytes are left. */
  readonly remaining: number;
  /** Fills `target` with the next bytes. Throws where there are not as many. */
  readInto(target: Uint8Array): void;
}

/** What can be read from: a path, or the bytes of a file. */
export type FileOrBytes = string | URL | Uint8Array;

/** Reads from a file or from memory; errors have its name before their message. */
export function withSource<T>(given: FileOrBytes, read: (source: ByteSource) => T): T {
  const inMemory = given instanceof Uint8Array;
  try {
    const source = inMemory ? bytesSource(given) : fileSource(given);
    try {
      return read(source);
    } finally {
      source.close();
    }
  } catch (error) {
    // A RangeError is how JavaScript says that an array or text would be too large.
    if (!(error instanceof SerializationError || error instanceof RangeError)) throw error;
    const name = inMemory ? "the given bytes" : String(given);
    throw new SerializationError(`${name}: ${error.message}`, { cause: error });
  }
}

// Node reads at most 2 GiB at once.
const chunk = 1 << 30;

function requireInside(size: number, offset: number, length: number): void {
  if (!Number.isSafeInteger(offset) || offset < 0 || length > size - offset) {
    throw new SerializationError(
      `the file is truncated: ${length} bytes at ${offset} are needed, it has ${size} bytes`,
    );
  }
}

/** The bytes of a file, read where they are asked for. */
function fileSource(path: string | URL): ByteSource {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch (cause) {
    throw new SerializationError(`the file cannot be opened: ${(cause as Error).message}`, { cause });
  }
  const status = fstatSync(file);
  if (!status.isFile()) {
    closeSync(file);
    throw new SerializationError("it is not a file");
  }
  const size = status.size;
  const readInto = (offset: number, target: Uint8Array): void => {
    requireInside(size, offset, target.length);
    for (let done = 0; done < target.length; ) {
      const count = readSync(file, target, done, Math.min(target.length - done, chunk), offset + done);
      if (count === 0) throw new SerializationError("the file became shorter while it was read");
      done += count;
    }
  };
  return {
    size,
    descriptor: file,
    readInto,
    read(offset, length) {
      requireInside(size, offset, length);
      const bytes = new Uint8Array(length);
      readInto(offset, bytes);
      return bytes;
    },
    close: () => closeSync(file),
  };
}

/** Bytes in memory. */
export function bytesSource(bytes: Uint8Array): ByteSource {
  const read = (offset: number, length: number): Uint8Array => {
    requireInside(bytes.length, offset, length);
    return bytes.subarray(offset, offset + length);
  };
  return {
    size: bytes.length,
    descriptor: undefined,
    readInto: (offset, target) => target.set(read(offset, target.length)),
    read,
    close: () => {},
  };
}

/** What can be mapped into memory. */
export function requireFile(source: ByteSource): void {
  if (source.descriptor === undefined) {
    throw new SerializationError("only a file that is given by its path can be mapped into memory (mmap)");
  }
}

/** A part of a source as a source of its own. */
export function partOf(source: ByteSource, start: number, size: number): ByteSource {
  const within = (offset: number, length: number): number => {
    requireInside(size, offset, length);
    return start + offset;
  };
  return {
    size,
    descriptor: undefined,
    readInto: (offset, target) => source.readInto(within(offset, target.length), target),
    read: (offset, length) => source.read(within(offset, length), length),
    close: () => {},
  };
}

/** Reads a source from front to back. */
export function sourceReader(source: ByteSource, start = 0): ByteReader {
  let at = start;
  return {
    get remaining() {
      return source.size - at;
    },
    readInto(target) {
      source.readInto(at, target);
      at += target.length;
    },
  };
}
