import { SerializationError } from "./errors.js";
import type { ByteSource } from "./source.js";

const windowSize = 1 << 16;

/** Reads numbers, texts and lines of a source from front to back. */
export class Cursor {
  readonly #source: ByteSource;
  /** Where the window lies in the source. */
  #start: number;
  #window: Uint8Array = new Uint8Array(0);
  #at = 0;

  constructor(source: ByteSource, start = 0) {
    this.#source = source;
    this.#start = start;
  }

  /** Where the next byte lies in the source. */
  get position(): number {
    return this.#start + this.#at;
  }

  /** The next byte. */
  byte(): number {
    if (this.#at === this.#window.length) this.#fill(1);
    return this.#window[this.#at++] as number;
  }

  /** The next bytes, to be read only. */
  take(length: number): Uint8Array {
    if (length > this.#window.length - this.#at) this.#fill(length);
    const bytes = this.#window.subarray(this.#at, this.#at + length);
    this.#at += length;
    return bytes;
  }

  /** The next bytes as a view for numbers. */
  view(length: number): DataView {
    const bytes = this.take(length);
    return new DataView(bytes.buffer, bytes.byteOffset, length);
  }

  /** The bytes up to a line feed, without it. */
  line(maxLength: number): Uint8Array {
    const bytes: number[] = [];
    for (let byte = this.byte(); byte !== 10; byte = this.byte()) {
      if (bytes.length === maxLength) {
        throw new SerializationError(`a line of more than ${maxLength} bytes in the pickle`);
      }
      bytes.push(byte);
    }
    return Uint8Array.from(bytes);
  }

  /** Passes over bytes without reading them. */
  skip(length: number): void {
    const position = this.position + length;
    if (position > this.#source.size) throw new SerializationError("the data ends too early");
    this.#start = position;
    this.#window = new Uint8Array(0);
    this.#at = 0;
  }

  #fill(length: number): void {
    const position = this.position;
    const left = this.#source.size - position;
    if (length > left) {
      throw new SerializationError(`the data ends too early: ${length} bytes are needed, ${left} are left`);
    }
    this.#window = this.#source.read(position, Math.min(Math.max(length, windowSize), left));
    this.#start = position;
    this.#at = 0;
  }
}
