import { itemSize } from "../dtype.js";
import { sourceTensor } from "./bytes.js";
import { describe, list } from "./call-arguments.js";
import { Cursor } from "./cursor.js";
import { SerializationError } from "./errors.js";
import { type StorageNode, StorageView } from "./nodes.js";
import { type PickleOptions, readPickle } from "./pickle-reader.js";
import type { ByteSource } from "./source.js";
import { storageParts } from "./storage-id.js";
import type { TorchFile } from "./tensor-factory.js";

const magic = 0x1950a86a20f9469cfc6cn;
const version = 1001;

/**
 * Reads the format of `torch.save` from PyTorch 0.1.10 to 1.5: five pickles (a magic number, a version, facts about the machine, the
 * object, the keys of the storages), then the storages, each with its length before it. Its numbers are little-endian on any machine.
 */
export function readLegacy(source: ByteSource, options: PickleOptions, mmap: boolean): TorchFile {
  const cursor = new Cursor(source);
  if (readPickle(cursor).root !== magic)
    throw new SerializationError("it is a pickle but not one of torch.save");
  if (readPickle(cursor).root !== version) {
    throw new SerializationError("the version of the legacy format is not known");
  }
  readPickle(cursor); // facts about the machine

  const storages = new Map<string, { node: StorageNode; item: number }>();
  const persistent = (id: unknown): StorageView => {
    const { key, dtype, location, count, view } = storageParts(id, 6);
    const item = dtype === null ? 1 : itemSize(dtype);
    const size = count * item;
    let known = storages.get(key);
    if (known === undefined) {
      known = { node: { key, size, location }, item };
      storages.set(key, known);
    } else if (known.node.size !== size) {
      throw new SerializationError(`the storage ${JSON.stringify(key)} has two sizes`);
    }
    return part(known.node, dtype, item, view);
  };
  const pickled = readPickle(cursor, { ...options, persistent });

  const keys = list(readPickle(cursor).root, "the keys of the storages");
  const offsets = new Map<string, number>();
  let at = cursor.position;
  for (const key of keys) {
    const known = storages.get(key as string);
    const name = describe(key);
    if (known === undefined || offsets.has(key as string)) {
      throw new SerializationError(`the storage ${name} is not used or there twice`);
    }
    const count = new Cursor(source, at).view(8).getBigInt64(0, true);
    const wanted = known.node.size / known.item;
    if (count !== BigInt(wanted)) {
      throw new SerializationError(
        `the storage ${name} has ${count} elements, not the ${wanted} that tensors expect`,
      );
    }
    offsets.set(key as string, at + 8);
    at += 8 + known.node.size;
    if (at > source.size) throw new SerializationError("the file is truncated: it ends inside a storage");
  }
  return {
    ...pickled,
    bigEndian: false,
    load({ key }, dtype, shape) {
      const offset = offsets.get(key);
      if (offset === undefined) throw new SerializationError(`the storage ${JSON.stringify(key)} is missing`);
      return sourceTensor(source, offset, dtype, shape, mmap);
    },
  };
}

/** Files of PyTorch before 0.4 name parts of storages: a key, where it begins, how many elements it has. */
function part(node: StorageNode, dtype: StorageView["dtype"], item: number, view: unknown): StorageView {
  if (view === null || view === undefined) return new StorageView(node, dtype, 0, node.size);
  const [, offset, count] = list(view, "a part of a storage");
  return storagePart(new StorageView(node, dtype, 0, node.size), offset, count, item);
}

/** A part of a storage; offset and count are in elements. */
export function storagePart(whole: StorageView, offset: unknown, count: unknown, item: number): StorageView {
  const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
  if (!isCount(offset) || !isCount(count) || (offset + count) * item > whole.size) {
    throw new SerializationError("a part of a storage lies outside of it");
  }
  return new StorageView(whole.storage, whole.dtype, whole.start + offset * item, count * item);
}
