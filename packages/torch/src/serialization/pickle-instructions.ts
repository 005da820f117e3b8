import { encodeText } from "./text.js";

/** Writes the instructions of a pickle of protocol 2, and numbers what a reader shall remember. */
export class PickleInstructions {
  #buffer = Buffer.allocUnsafe(1 << 12);
  #size = 0;
  #memoSize = 0;
  readonly #globals = new Map<string, number>();
  readonly #texts = new Map<string, number>();

  constructor() {
    this.bytes(0x80, 2);
  }

  /** Ends the pickle and gives it. */
  finish(): Uint8Array {
    this.bytes(0x2e);
    return this.#buffer.subarray(0, this.#size);
  }

  bytes(...bytes: number[]): void {
    const at = this.#reserve(bytes.length);
    for (let i = 0; i < bytes.length; i++) this.#buffer[at + i] = bytes[i] as number;
  }

  uint32(code: number, value: number): void {
    const at = this.#reserve(5);
    this.#buffer[at] = code;
    this.#buffer.writeUInt32LE(value, at + 1);
  }

  /** Has the reader remember what was written last; gives its number. */
  remember(): number {
    const index = this.#memoSize++;
    if (index < 256) this.bytes(0x71, index);
    else this.uint32(0x72, index);
    return index;
  }

  recall(index: number): void {
    if (index < 256) this.bytes(0x68, index);
    else this.uint32(0x6a, index);
  }

  global(module: string, name: string): void {
    const path = `${module}\n${name}\n`;
    const known = this.#globals.get(path);
    if (known !== undefined) {
      this.recall(known);
      return;
    }
    this.#raw(Buffer.from(`c${path}`, "latin1"));
    this.#globals.set(path, this.remember());
  }

  /** Calls what lies below the arguments that were written last. */
  call(argumentCount: 1 | 2 | 3): void {
    this.bytes(0x84 + argumentCount, 0x52);
  }

  // ------------------------------------------------------------- values

  text(text: string): void {
    const known = this.#texts.get(text);
    if (known !== undefined) {
      this.recall(known);
      return;
    }
    const bytes = encodeText(text);
    this.uint32(0x58, bytes.length);
    this.#raw(bytes);
    this.#texts.set(text, this.remember());
  }

  float(value: number): void {
    const at = this.#reserve(9);
    this.#buffer[at] = 0x47;
    this.#buffer.writeDoubleBE(value, at + 1);
  }

  integer(value: number | bigint): void {
    if (value >= 0 && value < 0x100) this.bytes(0x4b, Number(value));
    else if (value >= 0 && value < 0x10000) this.bytes(0x4d, Number(value) & 255, Number(value) >> 8);
    else if (value >= -0x80000000 && value < 0x80000000) this.uint32(0x4a, Number(value) >>> 0);
    else this.#long(twosComplement(BigInt(value)));
  }

  integers(values: readonly number[]): void {
    if (values.length > 3) this.bytes(0x28);
    for (const value of values) this.integer(value);
    this.tuple(values.length);
  }

  /** Makes a tuple of the values that were written last; before more than three, a mark (0x28) is needed. */
  tuple(length: number): void {
    this.bytes(length === 0 ? 0x29 : length > 3 ? 0x74 : 0x84 + length);
  }

  flag(value: boolean): void {
    this.bytes(value ? 0x88 : 0x89);
  }

  emptyOrderedDict(): void {
    this.global("collections", "OrderedDict");
    this.bytes(0x29, 0x52);
  }

  #long(bytes: Uint8Array): void {
    if (bytes.length < 256) this.bytes(0x8a, bytes.length);
    else this.uint32(0x8b, bytes.length);
    this.#raw(bytes);
  }

  #raw(bytes: Uint8Array): void {
    const at = this.#reserve(bytes.length);
    this.#buffer.set(bytes, at);
  }

  #reserve(count: number): number {
    const at = this.#size;
    this.#size += count;
    if (this.#size > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(2 * this.#buffer.length, this.#size));
      this.#buffer.copy(larger, 0, 0, at);
      this.#buffer = larger;
    }
    return at;
  }
}

/** The shortest little-endian two's complement. */
function twosComplement(value: bigint): Uint8Array {
  const magnitude = value < 0n ? -value - 1n : value;
  const length = Math.floor(magnitude.toString(16).length / 2) + 1;
  const hex = BigInt.asUintN(8 * length, value)
    .toString(16)
    .padStart(2 * length, "0");
  const bytes = Buffer.from(hex, "hex").reverse();
  const last = bytes[length - 1] as number;
  const before = bytes[length - 2];
  const spare = before !== undefined && ((last === 0 && before < 0x80) || (last === 0xff && before >= 0x80));
  return spare ? bytes.subarray(0, length - 1) : bytes;
}
