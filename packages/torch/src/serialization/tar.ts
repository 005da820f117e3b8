import { itemSize } from "../dtype.js";
import { sourceTensor } from "./bytes.js";
import { describe, list } from "./call-arguments.js";
import { Cursor } from "./cursor.js";
import { SerializationError } from "./errors.js";
import { storagePart } from "./legacy.js";
import { StorageView, type TensorNode } from "./nodes.js";
import { type PickleOptions, readPickle } from "./pickle-reader.js";
import { Tuple } from "./python.js";
import { type ByteSource, partOf } from "./source.js";
import { storageDType } from "./storage-id.js";
import { tensor } from "./tensor-calls.js";
import type { TorchFile } from "./tensor-factory.js";

const block = 512;
const maxDimensions = 64;

/** Whether it is a tar file. */
export function isTar(source: ByteSource): boolean {
  return source.size >= block && latin1(source.read(257, 5)) === "ustar";
}

/**
 * Reads the format of `torch.save` before PyTorch 0.1.10: a tar file with the storages, with what the tensors over them are, and with a
 * pickle that refers to the tensors by numbers.
 */
export function readTar(source: ByteSource, options: PickleOptions, mmap: boolean): TorchFile {
  const files = readDirectory(source);
  const file = (name: string): { start: number; cursor: Cursor } => {
    const found = files.get(name);
    if (found === undefined)
      throw new SerializationError(`it is a tar file but not one of torch.save: it has no ${name}`);
    return { start: found.start, cursor: new Cursor(partOf(source, found.start, found.size)) };
  };
  const { storages, offsets } = readStorages(file("storages"));
  const tensors = readTensors(file("tensors").cursor, storages);
  const persistent = (id: unknown): object => {
    const node = tensors.get(keyOf(id)) ?? storages.get(keyOf(id));
    if (node === undefined) throw new SerializationError("the pickle refers to a tensor that is not there");
    return node;
  };
  return {
    ...readPickle(file("pickle").cursor, { ...options, persistent }),
    load: ({ key }, dtype, shape) => sourceTensor(source, offsets.get(key) as number, dtype, shape, mmap),
    bigEndian: false,
  };
}

function readDirectory(source: ByteSource): Map<string, { start: number; size: number }> {
  const files = new Map<string, { start: number; size: number }>();
  for (let at = 0; at + block <= source.size; ) {
    const header = source.read(at, block);
    const name = latin1(header.subarray(0, 100)).replace(/\0.*$/s, "");
    if (name === "") break;
    const digits = latin1(header.subarray(124, 136)).replace(/[\0 ]+$/, "");
    const size = /^[0-7]{1,12}$/.test(digits) ? Number.parseInt(digits, 8) : Number.NaN;
    const start = at + block;
    if (!(size <= source.size - start)) throw new SerializationError("the tar file is damaged or truncated");
    files.set(name.replace(/^\.\//, ""), { start, size });
    at = start + Math.ceil(size / block) * block;
  }
  return files;
}

/** The number of storages, each with a key, a device, a class, a length and its bytes; then parts of these. */
function readStorages({ start, cursor }: { start: number; cursor: Cursor }): {
  storages: Map<string, StorageView>;
  offsets: Map<string, number>;
} {
  const storages = new Map<string, StorageView>();
  const offsets = new Map<string, number>();
  for (let left = count(readPickle(cursor).root); left > 0; left--) {
    const [id, location, type] = list(readPickle(cursor).root, "a storage");
    const dtype = storageDType(type);
    const key = keyOf(id);
    const size = count(int64(cursor)) * itemSize(dtype ?? "uint8");
    const offset = start + cursor.position;
    cursor.skip(size);
    const node = { key, size, location: typeof location === "string" ? location : "cpu" };
    storages.set(key, new StorageView(node, dtype, 0, size));
    offsets.set(key, offset);
  }
  for (const view of list(readPickle(cursor).root, "parts of storages")) {
    const [id, root, offset, size] = list(view, "a part of a storage");
    const whole = storages.get(keyOf(root));
    if (whole === undefined) throw new SerializationError("a part of a storage that is not there");
    storages.set(keyOf(id), storagePart(whole, offset, size, itemSize(whole.dtype ?? "uint8")));
  }
  return { storages, offsets };
}

/** The number of tensors, each with a key, the key of its storage, a class; then its dimensions, sizes, strides and offset. */
function readTensors(cursor: Cursor, storages: ReadonlyMap<string, StorageView>): Map<string, TensorNode> {
  const tensors = new Map<string, TensorNode>();
  for (let left = count(readPickle(cursor).root); left > 0; left--) {
    const [key, storage] = list(readPickle(cursor).root, "a tensor");
    const ndim = cursor.view(8).getInt32(0, true);
    if (ndim < 0 || ndim > maxDimensions) throw new SerializationError(`a tensor has ${ndim} dimensions`);
    const numbers = () => Tuple.from({ length: ndim }, () => int64(cursor));
    const size = numbers();
    const stride = numbers();
    const offset = int64(cursor);
    tensors.set(keyOf(key), tensor({ storage: storages.get(keyOf(storage)), offset, size, stride }));
  }
  return tensors;
}

/** Python's addresses of what was saved, as numbers or texts. */
function keyOf(id: unknown): string {
  if (typeof id === "string" || typeof id === "number" || typeof id === "bigint") return String(id);
  throw new SerializationError(`the key of a storage or tensor is ${describe(id)}`);
}

function int64(cursor: Cursor): number {
  return Number(cursor.view(8).getBigInt64(0, true));
}

function count(value: unknown): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0 && value < 2 ** 48) return value;
  throw new SerializationError("a count in the tar file is impossible");
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("latin1");
}
