// Zip and tar files made by hand, so that they can be wrong in any way.
import { crc32 } from "node:zlib";

/**
 * A zip file.
 *
 * @param entries each `{ name, bytes }`; what is given beside these takes the place of what would be right: `crc`, `size`,
 * `storedSize`, `method`, `offset` (of the local header), `flags`
 */
export function zip(entries) {
  const parts = [];
  const directory = [];
  let at = 0;
  const push = (bytes) => {
    parts.push(bytes);
    at += bytes.length;
  };
  for (const entry of entries) {
    const { bytes, method = 0, flags = 0x0800 } = entry;
    const name = Buffer.from(entry.name, "utf8");
    const crc = entry.crc ?? crc32(bytes);
    const size = entry.size ?? bytes.length;
    const storedSize = entry.storedSize ?? bytes.length;
    const offset = entry.offset ?? at;
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(flags, 6);
    local.writeUInt16LE(method, 8);
    local.writeUInt32LE(crc, 14);
    local.writeUInt32LE(storedSize, 18);
    local.writeUInt32LE(size, 22);
    local.writeUInt16LE(name.length, 26);
    push(Buffer.concat([local, name]));
    push(bytes);
    const central = Buffer.alloc(46);
    central.writeUInt32LE(0x02014b50, 0);
    central.writeUInt16LE(flags, 8);
    central.writeUInt16LE(method, 10);
    central.writeUInt32LE(crc, 16);
    central.writeUInt32LE(storedSize, 20);
    central.writeUInt32LE(size, 24);
    central.writeUInt16LE(name.length, 28);
    central.writeUInt32LE(offset, 42);
    directory.push(Buffer.concat([central, name]));
  }
  const start = at;
  for (const bytes of directory) push(bytes);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(at - start, 12);
  end.writeUInt32LE(start, 16);
  push(end);
  return Buffer.concat(parts);
}

/** The stored entries of a zip file, as `zip` takes them. */
export function unzip(bytes) {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const end = buffer.lastIndexOf("PK\x05\x06", undefined, "latin1");
  const entries = [];
  let at = buffer.readUInt32LE(end + 16);
  for (let i = buffer.readUInt16LE(end + 10); i > 0; i--) {
    const nameLength = buffer.readUInt16LE(at + 28);
    const offset = buffer.readUInt32LE(at + 42);
    const start = offset + 30 + buffer.readUInt16LE(offset + 26) + buffer.readUInt16LE(offset + 28);
    entries.push({
      name: buffer.toString("utf8", at + 46, at + 46 + nameLength),
      method: buffer.readUInt16LE(at + 10),
      size: buffer.readUInt32LE(at + 24),
      crc: buffer.readUInt32LE(at + 16),
      bytes: buffer.subarray(start, start + buffer.readUInt32LE(at + 20)),
    });
    at += 46 + nameLength + buffer.readUInt16LE(at + 30) + buffer.readUInt16LE(at + 32);
  }
  return entries;
}

/** A file of torch.save with this pickle, and storages of these bytes with the keys "0", "1", ... */
export function torchZip(pickle, storages = []) {
  return zip([
    { name: "a/data.pkl", bytes: Buffer.from(pickle) },
    ...storages.map((bytes, i) => ({ name: `a/data/${i}`, bytes: Buffer.from(bytes) })),
    { name: "a/version", bytes: Buffer.from("3\n") },
  ]);
}

/** A tar file; each entry is `{ name, bytes }`. */
export function tar(entries) {
  const blocks = entries.flatMap(({ name, bytes }) => {
    const header = Buffer.alloc(512);
    header.write(name, 0);
    header.write("0000644\0", 100);
    header.write(`${bytes.length.toString(8).padStart(11, "0")}\0`, 124);
    header.write("        ", 148);
    header.write("0", 156);
    header.write("ustar\x0000", 257);
    header.write(
      `${header
        .reduce((sum, byte) => sum + byte, 0)
        .toString(8)
        .padStart(6, "0")}\0 `,
      148,
    );
    return [header, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

/** Bytes of instructions of a pickle: numbers are bytes, texts are Latin-1, arrays are put together. */
export function pickle(...parts) {
  const bytes = (part) =>
    Array.isArray(part)
      ? Buffer.concat(part.map(bytes))
      : typeof part === "number"
        ? Buffer.of(part)
        : typeof part === "string"
          ? Buffer.from(part, "latin1")
          : Buffer.from(part);
  return bytes(parts);
}

/** A little-endian unsigned integer of 4 or 8 bytes. */
export function uint(value, size = 4) {
  const bytes = Buffer.alloc(size);
  if (size === 4) bytes.writeUInt32LE(value);
  else bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

/** The instructions for a text. */
export function text(value) {
  const bytes = Buffer.from(value, "utf8");
  return pickle("X", uint(bytes.length), bytes);
}
