import { itemSize } from "../dtype.js";
import { Cursor } from "./cursor.js";
import { SerializationError } from "./errors.js";
import { type StorageNode, StorageView } from "./nodes.js";
import { type PickleOptions, readPickle } from "./pickle-reader.js";
import { type ByteSource, bytesSource } from "./source.js";
import { storageParts } from "./storage-id.js";
import type { TorchFile } from "./tensor-factory.js";
import { entryTensor, readEntry } from "./zip-entry.js";
import { readZip, type ZipEntry } from "./zip-reader.js";

/** Reads the format of `torch.save` since PyTorch 1.6: a zip file with a pickle, and an entry for each storage. */
export function readTorchZip(source: ByteSource, options: PickleOptions, mmap: boolean): TorchFile {
  const archive = openArchive(source);
  const nodes = new Map<string, StorageNode>();
  const persistent = (id: unknown): StorageView => {
    const { key, dtype, location, count } = storageParts(id, 5);
    const size = count * (dtype === null ? 1 : itemSize(dtype));
    const entry = archive.entry(`data/${key}`);
    if (size > entry.size) {
      throw new SerializationError(
        `the storage ${JSON.stringify(key)} has ${entry.size} bytes; tensors expect ${size}`,
      );
    }
    let node = nodes.get(key);
    if (node === undefined) {
      node = { key, size: entry.size, location };
      nodes.set(key, node);
    }
    return new StorageView(node, dtype, 0, entry.size);
  };
  // All of it, so that its checksum is checked before a word of it is believed.
  const pickle = bytesSource(readEntry(source, archive.entry("data.pkl")));
  return {
    ...readPickle(new Cursor(pickle), { ...options, persistent }),
    load: ({ key }, dtype, shape) => entryTensor(source, archive.entry(`data/${key}`), dtype, shape, mmap),
    bigEndian: archive.bigEndian,
  };
}

interface Archive {
  /** The entry with the name inside of the archive's folder. */
  entry(name: string): ZipEntry;
  bigEndian: boolean;
}

function openArchive(source: ByteSource): Archive {
  const entries = readZip(source);
  const [first] = entries.keys();
  const folder = first?.slice(0, first.indexOf("/") + 1) ?? "";
  const text = (name: string): string | undefined => {
    const entry = entries.get(folder + name);
    if (entry === undefined) return undefined;
    if (entry.size > 64) throw new SerializationError(`${JSON.stringify(name)} in the archive is too long`);
    return Buffer.from(readEntry(source, entry)).toString("latin1").trim();
  };
  if (entries.has(`${folder}constants.pkl`)) {
    throw new SerializationError(
      "it is a TorchScript archive (torch.jit.save), which holds code; only files of torch.save can be read",
    );
  }
  if (!entries.has(`${folder}data.pkl`)) {
    throw new SerializationError("it is a zip file but not one of torch.save: it has no data.pkl");
  }
  const version = Number(text("version") ?? text(".data/version") ?? 1);
  if (!(version >= 1 && version <= 10)) {
    throw new SerializationError(`the archive has the version ${version}; 1 to 10 are known`);
  }
  const byteOrder = text("byteorder") ?? "little";
  if (byteOrder !== "little" && byteOrder !== "big") {
    throw new SerializationError(`the order of bytes ${JSON.stringify(byteOrder)} is not known`);
  }
  return {
    bigEndian: byteOrder === "big",
    entry(name) {
      const entry = entries.get(folder + name);
      if (entry === undefined) {
        throw new SerializationError(`the archive has no ${JSON.stringify(name.slice(0, 100))}`);
      }
      return entry;
    },
  };
}
