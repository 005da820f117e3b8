import { SerializationError } from "./errors.js";
import type { ByteSource } from "./source.js";
import { decodeText } from "./text.js";

/** An entry of a zip file: where its bytes are. */
export interface ZipEntry {
  name: string;
  offset: number;
  /** How many bytes it has in the file. */
  storedSize: number;
  compressed: boolean;
  /** How many bytes it has when they are no longer compressed. */
  size: number;
  /** 0 where the writer left it out. */
  crc: number;
}

interface Directory {
  count: number;
  offset: number;
  size: number;
}

const endSize = 22;
const maxComment = 0xffff;

/**
 * The entries of a zip file by name, in the order of its directory.
 *
 * @param maxExpandedSize how many bytes all compressed entries may become
 * @throws SerializationError where the directory is damaged, entries overlap or lie outside, one is encrypted, or they expand too far
 */
export function readZip(
  source: ByteSource,
  maxExpandedSize = defaultExpandedSize(source.size),
): Map<string, ZipEntry> {
  const directory = findDirectory(source);
  const bytes = source.read(directory.offset, directory.size);
  const view = viewOf(bytes);
  const entries = new Map<string, ZipEntry>();
  let at = 0;
  for (let i = 0; i < directory.count; i++) {
    if (at + 46 > bytes.length || view.getUint32(at, true) !== 0x02014b50)
      throw damaged("its directory is damaged");
    const nameLength = view.getUint16(at + 28, true);
    const extraLength = view.getUint16(at + 30, true);
    const next = at + 46 + nameLength + extraLength + view.getUint16(at + 32, true);
    if (next > bytes.length) throw damaged("its directory is damaged");
    const name = decodeText(bytes.subarray(at + 46, at + 46 + nameLength));
    if (entries.has(name)) throw damaged(`it has two entries ${JSON.stringify(name.slice(0, 100))}`);
    const extra = viewOf(bytes.subarray(at + 46 + nameLength, at + 46 + nameLength + extraLength));
    entries.set(name, locate(source, directory, name, view, at, extra));
    at = next;
  }
  if (at !== bytes.length) throw damaged("its directory has more bytes than entries");
  requireApart([...entries.values()]);
  requireModest([...entries.values()], source.size, maxExpandedSize);
  return entries;
}

/** Without a word from the user, a file expands to little more memory than a file of its size without compression takes. */
function defaultExpandedSize(fileSize: number): number {
  return 2 * fileSize + 40e6;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

function damaged(why: string): SerializationError {
  return new SerializationError(`the zip file cannot be read: ${why}`);
}

function findDirectory(source: ByteSource): Directory {
  const length = Math.min(source.size, endSize + maxComment);
  const tailAt = source.size - length;
  const view = viewOf(source.read(tailAt, length));
  for (let at = length - endSize; at >= 0; at--) {
    if (view.getUint32(at, true) !== 0x06054b50 || at + endSize + view.getUint16(at + 20, true) !== length)
      continue;
    const end = tailAt + at;
    const directory = zip64Directory(source, end) ?? {
      count: view.getUint16(at + 10, true),
      size: view.getUint32(at + 12, true),
      offset: view.getUint32(at + 16, true),
    };
    if (directory.offset + directory.size > end || directory.count > directory.size / 46) {
      throw damaged("its directory lies outside of the file");
    }
    return directory;
  }
  throw damaged("its end is missing; the file is truncated");
}

/** The directory as the zip64 records before the end tell it, where there are such. */
function zip64Directory(source: ByteSource, end: number): Directory | undefined {
  if (end < 20) return undefined;
  const locator = viewOf(source.read(end - 20, 20));
  if (locator.getUint32(0, true) !== 0x07064b50) return undefined;
  const at = uint64(locator, 8);
  if (at > end - 20 - 56) throw damaged("its zip64 record lies outside of the file");
  const record = viewOf(source.read(at, 56));
  if (record.getUint32(0, true) !== 0x06064b50) throw damaged("its zip64 record is damaged");
  return { count: uint64(record, 32), size: uint64(record, 40), offset: uint64(record, 48) };
}

function uint64(view: DataView, at: number): number {
  const value = Number(view.getBigUint64(at, true));
  if (!Number.isSafeInteger(value)) throw damaged("a size in it is impossible");
  return value;
}

function locate(
  source: ByteSource,
  directory: Directory,
  name: string,
  view: DataView,
  at: number,
  extra: DataView,
): ZipEntry {
  const quoted = JSON.stringify(name.slice(0, 100));
  if (view.getUint16(at + 8, true) & 1) throw damaged(`${quoted} is encrypted`);
  const method = view.getUint16(at + 10, true);
  if (method !== 0 && method !== 8) {
    throw damaged(`${quoted} is compressed in a way (${method}) other than deflate`);
  }
  const wide = zip64Values(extra);
  const field = (position: number): number => {
    const value = view.getUint32(at + position, true);
    if (value !== 0xffffffff) return value;
    const large = wide.shift();
    if (large === undefined) throw damaged(`${quoted} has no size`);
    return large;
  };
  const size = field(24);
  const storedSize = field(20);
  const headerAt = field(42);
  const compressed = method === 8;
  if (!compressed && size !== storedSize) throw damaged(`the sizes of ${quoted} contradict each other`);
  if (headerAt + 30 > directory.offset) throw damaged(`${quoted} lies outside of the file`);
  const header = viewOf(source.read(headerAt, 30));
  if (header.getUint32(0, true) !== 0x04034b50) throw damaged(`${quoted} has no header`);
  const offset = headerAt + 30 + header.getUint16(26, true) + header.getUint16(28, true);
  if (offset + storedSize > directory.offset) throw damaged(`${quoted} lies outside of the file`);
  return { name, offset, storedSize, compressed, size, crc: view.getUint32(at + 16, true) };
}

/** The values of the zip64 extra field. */
function zip64Values(extra: DataView): number[] {
  for (let at = 0; at + 4 <= extra.byteLength; ) {
    const size = extra.getUint16(at + 2, true);
    if (extra.getUint16(at, true) === 1) {
      if (at + 4 + size > extra.byteLength) throw damaged("an extra field is damaged");
      return Array.from({ length: Math.floor(size / 8) }, (_, i) => uint64(extra, at + 4 + 8 * i));
    }
    at += 4 + size;
  }
  return [];
}

/** Entries that share bytes would let a small file fill any amount of memory. */
function requireApart(entries: ZipEntry[]): void {
  const ordered = entries.filter((entry) => entry.storedSize > 0).sort((a, b) => a.offset - b.offset);
  ordered.forEach((entry, i) => {
    const before = ordered[i - 1];
    if (before !== undefined && before.offset + before.storedSize > entry.offset) {
      throw damaged(
        `${JSON.stringify(before.name.slice(0, 100))} and ${JSON.stringify(entry.name.slice(0, 100))} overlap`,
      );
    }
  });
}

/** A few bytes of compressed zeros can become any amount of memory. */
function requireModest(entries: ZipEntry[], fileSize: number, maxExpandedSize: number): void {
  let size = 0;
  for (const entry of entries) if (entry.compressed) size += entry.size;
  if (size > maxExpandedSize) {
    throw new SerializationError(
      `the zip file of ${fileSize} bytes expands to ${size}, which is more than the ${maxExpandedSize} that are allowed; ` +
        `if you trust it, give maxExpandedSize: ${size}`,
    );
  }
}
