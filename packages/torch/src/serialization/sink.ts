import { randomBytes } from "node:crypto";
import {
  closeSync,
  fchmodSync,
  fsyncSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { SerializationError } from "./errors.js";

/** Something that bytes are written to, one part after the other. */
export interface Sink {
  /** How many bytes were written. */
  readonly size: number;
  write(bytes: Uint8Array): void;
}

/** Bytes that come in parts, each of which is lent for the time of a call. */
export interface Content {
  /** How many bytes. */
  readonly size: number;
  each(use: (part: Uint8Array) => void): void;
}

/** Bytes in memory as a content. */
export function contentOf(bytes: Uint8Array): Content {
  return { size: bytes.length, each: (use) => use(bytes) };
}

/** Collects the bytes in memory. */
export function collectBytes(write: (sink: Sink) => void): Uint8Array {
  const parts: Uint8Array[] = [];
  let size = 0;
  write({
    get size() {
      return size;
    },
    write(bytes) {
      parts.push(bytes.slice()); // it may be memory that is lent for the time of the call
      size += bytes.length;
    },
  });
  const all = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

// Small parts are put together; Node writes at most 2 GiB at once.
const bufferSize = 1 << 18;
const chunk = 1 << 30;

class FileSink implements Sink {
  size = 0;
  readonly #file: number;
  readonly #buffer = Buffer.allocUnsafeSlow(bufferSize);
  #filled = 0;

  constructor(file: number) {
    this.#file = file;
  }

  write(bytes: Uint8Array): void {
    this.size += bytes.length;
    if (bytes.length > bufferSize - this.#filled) this.flush();
    if (bytes.length > bufferSize) {
      this.#out(bytes);
    } else {
      this.#buffer.set(bytes, this.#filled);
      this.#filled += bytes.length;
    }
  }

  flush(): void {
    this.#out(this.#buffer.subarray(0, this.#filled));
    this.#filled = 0;
  }

  #out(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      done += writeSync(this.#file, bytes, done, Math.min(bytes.length - done, chunk));
    }
  }
}

/**
 * Writes a file so that under its name there is never half of it: into a temporary file in the same folder, which gets the name when
 * all of it is on the disk. After an error the temporary file is gone and the file is as it was.
 *
 * @throws SerializationError where the file system refuses
 */
export function writeFileAtomically(target: string | URL, write: (sink: Sink) => void): void {
  const given = target instanceof URL ? fileURLToPath(target) : target;
  try {
    const { path, mode } = destination(given);
    const folder = dirname(path);
    const suffix = `${process.pid}.${randomBytes(6).toString("hex")}.tmp`;
    const temporary = join(folder, `.${basename(path)}.${suffix}`);
    try {
      writeThrough(temporary, mode, write);
      renameSync(temporary, path);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    }
    syncFolder(folder);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    throw new SerializationError(`${given} cannot be written: ${error.message}`, { cause: error });
  }
}

/** The file that is meant, with the permissions that it has: a link stays one, and what is no file is not replaced by one. */
function destination(path: string): { path: string; mode: number | undefined } {
  const status = statSync(path, { throwIfNoEntry: false });
  if (status === undefined) return { path, mode: undefined };
  if (!status.isFile())
    throw new SerializationError(`${path} cannot be written: it is there and is not a file`);
  return { path: realpathSync(path), mode: status.mode & 0o7777 };
}

/** Writes a new file, and waits until it is on the disk. */
function writeThrough(path: string, mode: number | undefined, write: (sink: Sink) => void): void {
  const file = openSync(path, "wx");
  try {
    if (mode !== undefined) fchmodSync(file, mode);
    const sink = new FileSink(file);
    write(sink);
    sink.flush();
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && "syscall" in error;
}

/** The new name lasts through a power failure only when the folder is on the disk too. Some file systems cannot do this. */
function syncFolder(folder: string): void {
  try {
    const file = openSync(folder, "r");
    try {
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    if (!isSystemError(error)) throw error;
  }
}
