import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  write,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { LightningError } from "../errors.js";
import { atExit } from "./exit.js";

/** How long what was logged may stay in memory, in milliseconds. */
const DELAY = 200;
/** How many bytes may wait for the disk; only beyond that a step waits for it, too. */
const MOST_PENDING = 64 * 2 ** 20;

/**
 * A file that is only appended to, without making anybody wait for the disk: what is appended is written a little later, in
 * the background; at {@link LogFile.close} and at the end of the process at the latest.
 *
 * An error in writing is thrown by the next call, to reach the program that logs.
 */
export class LogFile {
  readonly #file: number;
  #position: number;
  #pending: (Uint8Array | string)[] = [];
  /** Text counts by its characters. */
  #pendingBytes = 0;
  /** What is being written in the background, if it counts. */
  #writing: Uint8Array | null = null;
  /** How many writes in the background have not ended. */
  #underWay = 0;
  #timer: NodeJS.Timeout | undefined;
  #error: unknown;
  #closed = false;
  readonly #forget = atExit(() => this.flush());

  /** @param path is appended to where it exists; its folder is made where it doesn't */
  constructor(readonly path: string) {
    mkdirSync(dirname(path), { recursive: true });
    // not O_APPEND, which writes to the end whatever the position is: see `flush`
    this.#file = openSync(path, constants.O_WRONLY | constants.O_CREAT);
    this.#position = fstatSync(this.#file).size;
  }

  /** Appends bytes, or text in UTF-8. */
  append(data: Uint8Array | string): void {
    this.#throwIfFailed();
    this.#pending.push(data);
    this.#pendingBytes += data.length;
    if (this.#pendingBytes > MOST_PENDING) this.flush();
    else this.#timer ??= setTimeout(this.#writeInBackground, DELAY).unref();
  }

  /** Writes at once. What is just being written in the background is written again, to the same place. */
  flush(): void {
    this.#error = undefined; // it is tried again
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const bytes = this.#take();
    this.#writing = null;
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(this.#file, bytes, at, null, this.#position + at);
    } catch (error) {
      this.#giveBack(bytes);
      throw notWritten(this.path, error);
    }
    this.#position += bytes.length;
  }

  /** Writes at once a new content in place of all that was appended. */
  replace(data: string): void {
    this.#take();
    this.#writing = null;
    ftruncateSync(this.#file);
    this.#position = 0;
    this.append(data);
    this.flush();
  }

  /** Writes at once, for the last time. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#forget();
    try {
      this.flush();
    } finally {
      // else the system could give the file's number to another file while it is written to
      if (this.#underWay === 0) closeSync(this.#file);
    }
  }

  readonly #writeInBackground = (): void => {
    this.#timer = undefined;
    if (this.#writing) return;
    const bytes = this.#take();
    this.#writing = bytes;
    this.#underWay++;
    write(this.#file, bytes, 0, bytes.length, this.#position, (error, written) => {
      this.#underWay--;
      if (this.#closed && this.#underWay === 0) closeSync(this.#file);
      if (this.#writing !== bytes) return;
      this.#writing = null;
      if (error) this.#error = error;
      else this.#position += written;
      this.#giveBack(error ? bytes : bytes.subarray(written));
      if (this.#pendingBytes > 0) this.#timer ??= setTimeout(this.#writeInBackground, DELAY).unref();
    });
  };

  #take(): Uint8Array {
    const parts: Uint8Array[] = this.#writing ? [this.#writing] : [];
    let text = "";
    const endText = () => {
      if (text !== "") parts.push(Buffer.from(text));
      text = "";
    };
    for (const part of this.#pending) {
      if (typeof part === "string") text += part;
      else {
        endText();
        parts.push(part);
      }
    }
    endText();
    this.#pending = [];
    this.#pendingBytes = 0;
    return Buffer.concat(parts);
  }

  #giveBack(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#pending.unshift(bytes);
    this.#pendingBytes += bytes.length;
  }

  #throwIfFailed(): void {
    const error = this.#error;
    this.#error = undefined;
    if (error !== undefined) throw notWritten(this.path, error);
  }
}

/** The error for a file that could not be written. */
export function notWritten(path: string, cause: unknown): LightningError {
  return new LightningError(`${path} cannot be written: ${(cause as Error).message}`, { cause });
}
