import { keepingAll } from "../memory.js";
import { SerializationError } from "./errors.js";
import { readLegacy } from "./legacy.js";
import type { MapLocation } from "./map-location.js";
import type { PickleOptions } from "./pickle-reader.js";
import { realize } from "./realize.js";
import { type ByteSource, type FileOrBytes, requireFile, withSource } from "./source.js";
import { isTar, readTar } from "./tar.js";
import { type TorchFile, tensorFactory } from "./tensor-factory.js";
import { readTorchZip } from "./torch-zip.js";

/** How {@link load} reads. */
export interface LoadOptions {
  /**
   * To which device tensors go: one for all, an object from the device they were saved from to another, or a function of it.
   * Default: where they were saved from.
   */
  mapLocation?: MapLocation;
  /**
   * Refuses files that name classes or functions beyond tensors and plain values. With `false` these become {@link PythonObject}s,
   * records of what the file says; nothing of the file is executed either way. Default: true.
   */
  weightsOnly?: boolean;
  /** Names of Python, such as `"argparse.Namespace"`, that become such records in spite of `weightsOnly`. Default: none. */
  safeGlobals?: readonly string[];
  /**
   * Maps tensors into memory instead of reading them: they are read when they are used. Needs a path; the file must not be written
   * to meanwhile (a new file under its name, as {@link save} makes it, does no harm). Checksums are not checked. Default: false.
   */
  mmap?: boolean;
}

/**
 * Reads a file of `torch.save` (Python's or levin's), whichever pickle protocol it has, also in the formats before PyTorch 1.6.
 *
 * | Python | here |
 * |---|---|
 * | `dict`, `OrderedDict`, `Counter`, `defaultdict` | a plain object where all keys are texts, else a `Map` |
 * | `list`, `tuple`, `torch.Size` | `Array`, {@link Tuple}, {@link Size} (both are arrays) |
 * | `set`, `frozenset` | `Set` |
 * | `int` | `number`, `bigint` beyond 2^53 |
 * | `float` | `number` |
 * | `None`, `bool`, `str`, `complex` | `null`, `boolean`, `string`, `Complex` |
 * | `bytes`, `bytearray` | `Uint8Array` |
 * | `torch.dtype`, `torch.device` | {@link PyDtype}, {@link PyDevice}; `String()` of them is the name |
 * | `torch.layout`, `torch.qscheme` | {@link PythonGlobal} |
 * | `Tensor`, `Parameter` | `Tensor`, `Parameter`; what shared memory in the file shares it here |
 * | NumPy's arrays and numbers | `Tensor`, and as `bool`, `int`, `float` and `complex` are |
 *
 * What such an object of JavaScript does not show (which class it had, which whole numbers were floats, the order of keys like `"0"`,
 * attributes such as the `_metadata` of a `state_dict`) is remembered beside it, see {@link traitsOf}, and written again by {@link save}.
 *
 * Reading executes nothing of the file, and takes not more memory than about the size of the file.
 *
 * @param source a path, or the bytes of a file
 * @typeParam T what the file is known to hold; it is not checked
 * @throws SerializationError where the file is damaged, of another kind, or names what is not allowed
 * @see https://docs.pytorch.org/docs/stable/generated/torch.load.html
 */
export function load<T = unknown>(source: FileOrBytes, options: LoadOptions = {}): T {
  const { mmap = false, weightsOnly = true, safeGlobals = [] } = options;
  const pickle = { permits: (path: string) => !weightsOnly || safeGlobals.includes(path) };
  return withSource(source, (opened) => {
    if (mmap) requireFile(opened);
    const file = read(opened, pickle, mmap);
    return keepingAll(() => realize(file, tensorFactory(file, options.mapLocation))) as T;
  });
}

/** Reads what {@link encode} or `torch.save` gave as bytes; the same as {@link load}. */
export function decode(bytes: Uint8Array, options: LoadOptions = {}): unknown {
  return load(bytes, options);
}

function read(source: ByteSource, pickle: PickleOptions, mmap: boolean): TorchFile {
  const start = source.read(0, Math.min(9, source.size));
  if (start[0] === 0x50 && start[1] === 0x4b) return readTorchZip(source, pickle, mmap);
  if (start[0] === 0x80) return readLegacy(source, pickle, mmap);
  if (isTar(source)) return readTar(source, pickle, mmap);
  if (source.size === 0) throw new SerializationError("the file is empty");
  const hint = start[8] === 0x7b ? "; it looks like a safetensors file: use loadSafetensors" : "";
  const hex = Buffer.from(start.subarray(0, 4)).toString("hex");
  throw new SerializationError(`it is not a file of torch.save (begins with ${hex})${hint}`);
}
