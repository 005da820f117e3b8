import type { Tensor } from "../tensor.js";
import { contiguousContent } from "./bytes.js";
import { SerializationError } from "./errors.js";
import { npyHeader, readNpy } from "./npy.js";
import { setOwn } from "./python.js";
import { writeFileAtomically } from "./sink.js";
import { type FileOrBytes, withSource } from "./source.js";
import { entryReader } from "./zip-entry.js";
import { readZip } from "./zip-reader.js";
import { ZipWriter } from "./zip-writer.js";

/** What {@link loadNpz} may be told. */
export interface LoadNpzOptions {
  /** Reads only the arrays with these names. Default: all. */
  names?: readonly string[];
  /**
   * How many bytes the compressed arrays may become in all: a small file of zeros can become any number of bytes.
   * Default: twice the size of the file and 40 MB.
   */
  maxExpandedSize?: number;
}

/** What {@link saveNpz} may be told. */
export interface SaveNpzOptions {
  /** Compresses the arrays, as `numpy.savez_compressed` does. Default: false. */
  compress?: boolean;
}

/**
 * Reads a file of `numpy.savez` or `numpy.savez_compressed`: its arrays by name.
 *
 * @param source a path, or the bytes of a file
 * @throws SerializationError where the file is damaged, expands too far, or holds what no tensor can hold
 * @see https://numpy.org/doc/stable/reference/generated/numpy.savez.html
 */
export function loadNpz(source: FileOrBytes, options: LoadNpzOptions = {}): Record<string, Tensor> {
  return withSource(source, (opened) => {
    const entries = readZip(opened, options.maxExpandedSize);
    const names = options.names ?? [...entries.keys()].map((file) => file.replace(/\.npy$/, ""));
    const tensors: Record<string, Tensor> = {};
    for (const name of names) {
      const entry = entries.get(`${name}.npy`);
      if (entry === undefined) {
        const there = [...entries.keys()].slice(0, 20).join(", ");
        throw new SerializationError(`it has no array ${JSON.stringify(name)}; it has the files ${there}`);
      }
      try {
        setOwn(tensors, name, readNpy(entryReader(opened, entry)));
      } catch (error) {
        if (!(error instanceof SerializationError)) throw error;
        throw new SerializationError(`the array ${JSON.stringify(name)}: ${error.message}`, { cause: error });
      }
    }
    return tensors;
  });
}

/**
 * Writes tensors by name as a file that `numpy.load` reads, complete or not at all.
 *
 * @throws SerializationError where NumPy has no such type, or the file system refuses
 * @see https://numpy.org/doc/stable/reference/generated/numpy.savez.html
 */
export function saveNpz(
  tensors: Readonly<Record<string, Tensor>>,
  path: string | URL,
  options: SaveNpzOptions = {},
): void {
  writeFileAtomically(path, (sink) => {
    const zip = new ZipWriter(sink);
    for (const [name, tensor] of Object.entries(tensors)) {
      const header = npyHeader(tensor, `saveNpz: ${JSON.stringify(name)}`);
      const values = contiguousContent(tensor);
      const each = (use: (part: Uint8Array) => void): void => {
        use(header);
        values.each(use);
      };
      zip.add(`${name}.npy`, { size: header.length + values.size, each }, options);
    }
    zip.finish();
  });
}
