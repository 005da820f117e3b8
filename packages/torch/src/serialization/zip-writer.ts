import { crc32, deflateRawSync } from "node:zlib";
import { type Content, contentOf, type Sink } from "./sink.js";

// The container of torch.save is written here and not by a library: PyTorch needs entries that are stored, aligned to 64 bytes and,
// beyond 4 GB, in the zip64 form, written synchronously; none of the well-kept libraries does all of these.

/** PyTorch maps storages into memory and asks for this alignment. */
const alignment = 64;
const limit32 = 0xffffffff;
/** Names are UTF-8. The fields of times and versions stay empty, as in PyTorch's files. */
const utf8 = 0x0800;
/** The checksum and the sizes follow the data, in a descriptor. */
const described = 0x0008;
const checksumStep = 1 << 20;

interface Entry {
  name: Buffer;
  offset: number;
  compressed: boolean;
  size: number;
  storedSize: number;
  crc: number;
}

/** Writes a zip file, laid out as PyTorch's own writer does it, so that its fast paths find their way. */
export class ZipWriter {
  readonly #sink: Sink;
  readonly #entries: Entry[] = [];

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  /** Adds an entry. */
  add(name: string, content: Content, options: { compress?: boolean } = {}): void {
    const { compress = false } = options;
    const written = compress ? contentOf(deflateRawSync(collect(content))) : content;
    const entry: Entry = {
      name: Buffer.from(name, "utf8"),
      offset: this.#sink.size,
      compressed: compress,
      size: content.size,
      storedSize: written.size,
      crc: 0,
    };
    this.#sink.write(localHeader(entry));
    const sum = (part: Uint8Array) => {
      entry.crc = crc32(part, entry.crc);
    };
    if (compress) content.each(sum);
    written.each((part) => {
      // A step at a time, so that what was summed is still in the cache when it is written.
      for (let at = 0; at < part.length; at += checksumStep) {
        const step = part.subarray(at, at + checksumStep);
        if (!compress) sum(step);
        this.#sink.write(step);
      }
    });
    if (isDescribed(entry)) this.#sink.write(descriptor(entry));
    this.#entries.push(entry);
  }

  /** Writes the directory; nothing can be added after. */
  finish(): void {
    const start = this.#sink.size;
    for (const entry of this.#entries) this.#sink.write(directoryEntry(entry));
    this.#sink.write(end(this.#entries.length, start, this.#sink.size - start));
  }
}

function collect(content: Content): Uint8Array {
  const bytes = new Uint8Array(content.size);
  let at = 0;
  content.each((part) => {
    bytes.set(part, at);
    at += part.length;
  });
  return bytes;
}

const large = (value: number): boolean => value >= limit32;
/** Empty entries have no descriptor: PyTorch counts on that where it computes offsets instead of reading them. */
const isDescribed = (entry: Entry): boolean => entry.storedSize > 0;
const flags = (entry: Entry): number => (isDescribed(entry) ? utf8 | described : utf8);
const method = (entry: Entry): number => (entry.compressed ? 8 : 0);
const clipped = (value: number): number => Math.min(value, limit32);

/** The extra field that holds what does not fit into 32 bits; empty where all does. */
function zip64Field(entry: Entry): Buffer {
  const values = [
    ...(large(entry.size) ? [entry.size] : []),
    ...(large(entry.storedSize) ? [entry.storedSize] : []),
    ...(large(entry.offset) ? [entry.offset] : []),
  ];
  if (values.length === 0) return Buffer.alloc(0);
  const field = Buffer.alloc(4 + 8 * values.length);
  field.writeUInt16LE(1, 0);
  field.writeUInt16LE(8 * values.length, 2);
  values.forEach((value, i) => {
    field.writeBigUInt64LE(BigInt(value), 4 + 8 * i);
  });
  return field;
}

function localHeader(entry: Entry): Buffer {
  const zip64 = zip64Field(entry);
  const before = 30 + entry.name.length + zip64.length + 4;
  const padding = (alignment - ((entry.offset + before) % alignment)) % alignment;
  const header = Buffer.alloc(before + padding, "Z");
  header.fill(0, 0, 30);
  header.writeUInt32LE(0x04034b50, 0);
  header.writeUInt16LE(flags(entry), 6);
  header.writeUInt16LE(method(entry), 8);
  header.writeUInt16LE(entry.name.length, 26);
  header.writeUInt16LE(zip64.length + 4 + padding, 28);
  header.set(entry.name, 30);
  header.set(zip64, 30 + entry.name.length);
  header.write("FB", before - 4, "latin1");
  header.writeUInt16LE(padding, before - 2);
  return header;
}

function descriptor(entry: Entry): Buffer {
  const zip64 = large(entry.size) || large(entry.offset);
  const bytes = Buffer.alloc(zip64 ? 24 : 16);
  bytes.writeUInt32LE(0x08074b50, 0);
  bytes.writeUInt32LE(entry.crc, 4);
  if (zip64) {
    bytes.writeBigUInt64LE(BigInt(entry.storedSize), 8);
    bytes.writeBigUInt64LE(BigInt(entry.size), 16);
  } else {
    bytes.writeUInt32LE(entry.storedSize, 8);
    bytes.writeUInt32LE(entry.size, 12);
  }
  return bytes;
}

function directoryEntry(entry: Entry): Buffer {
  const zip64 = zip64Field(entry);
  const bytes = Buffer.alloc(46 + entry.name.length + zip64.length);
  bytes.writeUInt32LE(0x02014b50, 0);
  bytes.writeUInt16LE(flags(entry), 8);
  bytes.writeUInt16LE(method(entry), 10);
  bytes.writeUInt32LE(entry.crc, 16);
  bytes.writeUInt32LE(clipped(entry.storedSize), 20);
  bytes.writeUInt32LE(clipped(entry.size), 24);
  bytes.writeUInt16LE(entry.name.length, 28);
  bytes.writeUInt16LE(zip64.length, 30);
  bytes.writeUInt32LE(clipped(entry.offset), 42);
  bytes.set(entry.name, 46);
  bytes.set(zip64, 46 + entry.name.length);
  return bytes;
}

/** The end of the directory, in its zip64 form and in the old one. */
function end(count: number, start: number, size: number): Buffer {
  const bytes = Buffer.alloc(56 + 20 + 22);
  bytes.writeUInt32LE(0x06064b50, 0);
  bytes.writeBigUInt64LE(44n, 4);
  bytes.writeUInt16LE(0x031e, 12);
  bytes.writeUInt16LE(45, 14);
  for (const at of [24, 32]) bytes.writeBigUInt64LE(BigInt(count), at);
  bytes.writeBigUInt64LE(BigInt(size), 40);
  bytes.writeBigUInt64LE(BigInt(start), 48);

  bytes.writeUInt32LE(0x07064b50, 56);
  bytes.writeBigUInt64LE(BigInt(start + size), 64);
  bytes.writeUInt32LE(1, 72);

  bytes.writeUInt32LE(0x06054b50, 76);
  for (const at of [84, 86]) bytes.writeUInt16LE(Math.min(count, 0xffff), at);
  bytes.writeUInt32LE(clipped(size), 88);
  bytes.writeUInt32LE(clipped(start), 92);
  return bytes;
}
