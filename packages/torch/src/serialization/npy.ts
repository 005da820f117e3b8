import { type DType, itemSize } from "../dtype.js";
import { Tensor } from "../tensor.js";
import { contiguousContent, mapTensor, numberSize, readTensor, swapBytes } from "./bytes.js";
import { SerializationError } from "./errors.js";
import { dtypeOfNumpy, numpyCode } from "./numpy-types.js";
import { writeFileAtomically } from "./sink.js";
import { type ByteReader, type FileOrBytes, requireFile, sourceReader, withSource } from "./source.js";

const magic = "\x93NUMPY";
/** As NumPy: longer headers are not read. */
const maxHeader = 10_000;
const maxDimensions = 64;
/** Data begins at a multiple of this, so that it can be mapped into memory. */
const alignment = 64;

/** What {@link loadNpy} may be told. */
export interface LoadNpyOptions {
  /**
   * Maps the array into memory instead of reading it: it is read when it is used. Needs a path; the file must not be written to
   * meanwhile. Default: false.
   */
  mmap?: boolean;
}

/**
 * Reads a file of `numpy.save`. Arrays in Fortran's order keep it as the tensor's strides.
 *
 * @param source a path, or the bytes of a file
 * @throws SerializationError where the file is damaged or holds what no tensor can hold: texts, dates, objects, records
 * @see https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 */
export function loadNpy(source: FileOrBytes, options: LoadNpyOptions = {}): Tensor {
  const { mmap = false } = options;
  return withSource(source, (opened) => {
    if (!mmap) return readNpy(sourceReader(opened));
    requireFile(opened);
    // The values are all that comes after the header.
    return readNpy(sourceReader(opened), (size, ...rest) => mapTensor(opened, opened.size - size, ...rest));
  });
}

/**
 * Writes a tensor as a file that `numpy.load` reads, complete or not at all.
 *
 * @throws SerializationError where NumPy has no such type, or the file system refuses
 * @see https://numpy.org/doc/stable/reference/generated/numpy.save.html
 */
export function saveNpy(tensor: Tensor, path: string | URL): void {
  const header = npyHeader(tensor, "saveNpy: the tensor");
  writeFileAtomically(path, (sink) => {
    sink.write(header);
    contiguousContent(tensor).each((part) => sink.write(part));
  });
}

/** What comes before the values in a file of `numpy.save`. */
export function npyHeader(tensor: Tensor, what: string): Uint8Array {
  if (!(tensor instanceof Tensor)) throw new SerializationError(`${what} is not a Tensor`);
  const { dtype, shape, layout, device } = tensor;
  const code = numpyCode(dtype);
  if (code === undefined || layout !== "strided" || device === "meta") {
    throw new SerializationError(
      `${what} (${dtype}, ${layout}, ${device}) has no form in NumPy; convert it first, for example with to("float32")`,
    );
  }
  const order = code.endsWith("1") ? "|" : "<";
  const sizes = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const text = `{'descr': '${order}${code}', 'fortran_order': False, 'shape': (${sizes}), }`;
  const size = Math.ceil((10 + text.length + 1) / alignment) * alignment;
  const header = Buffer.alloc(size, " ");
  header.write(magic, "latin1");
  header.writeUInt16LE(1, 6);
  header.writeUInt16LE(size - 10, 8);
  header.write(text, 10, "latin1");
  header.write("\n", size - 1);
  return header;
}

/**
 * Reads one array; nothing may come after it.
 *
 * @param map gives so many bytes of values without reading them, undefined where it cannot
 */
export function readNpy(
  reader: ByteReader,
  map?: (size: number, dtype: DType, shape: readonly number[]) => Tensor | undefined,
): Tensor {
  const { dtype, bigEndian, fortranOrder, shape } = parseHeader(readHeader(reader));
  const count = shape.includes(0) ? 0 : shape.reduce((product, size) => product * size, 1);
  const size = count * itemSize(dtype);
  if (size !== reader.remaining) {
    throw new SerializationError(
      `an array of ${dtype} and shape [${shape}] has ${size} bytes, the file has ${reader.remaining}`,
    );
  }
  // What has its columns first is the transpose of what has its rows first.
  const rows = fortranOrder ? [...shape].reverse() : shape;
  const tensor = map?.(size, dtype, rows) ?? readTensor(reader, dtype, rows);
  if (bigEndian) swapBytes(tensor, numberSize(dtype));
  return fortranOrder ? tensor.T : tensor;
}

/** The header: the text of a dictionary of Python. */
function readHeader(reader: ByteReader): string {
  const take = (length: number): Buffer => {
    const bytes = Buffer.alloc(Math.min(length, reader.remaining));
    reader.readInto(bytes);
    if (bytes.length < length)
      throw new SerializationError("the file is truncated: it ends inside the header");
    return bytes;
  };
  if (take(6).toString("latin1") !== magic) throw new SerializationError("it is not an npy file");
  const version = take(2).readUInt8(0);
  if (version < 1 || version > 3) {
    throw new SerializationError(`the npy format has the version ${version}; 1 to 3 are known`);
  }
  const length = version === 1 ? take(2).readUInt16LE() : take(4).readUInt32LE();
  if (length > maxHeader) {
    throw new SerializationError(`a header of ${length} bytes; ${maxHeader} are allowed`);
  }
  return take(length).toString(version === 3 ? "utf8" : "latin1");
}

interface Header {
  dtype: DType;
  bigEndian: boolean;
  fortranOrder: boolean;
  shape: number[];
}

/** One entry of the dictionary: a name, then a text, a truth value, a tuple of integers, or the list of fields of a record. */
const field =
  /^\s*(?:'(\w+)'|"(\w+)")\s*:\s*('[^'\\]*'|"[^"\\]*"|True|False|\([\d\sL,]*\)|\[.*\])\s*(?:,|$)/s;

function parseHeader(text: string): Header {
  const damaged = () =>
    new SerializationError(`the header ${JSON.stringify(text.trim().slice(0, 200))} is damaged`);
  const fields = new Map<string, string>();
  let rest = /^\s*\{(.*)\}\s*$/s.exec(text)?.[1] ?? "";
  while (rest.trim() !== "") {
    const match = field.exec(rest);
    if (match === null) throw damaged();
    fields.set(match[1] ?? (match[2] as string), match[3] as string);
    rest = rest.slice(match[0].length);
  }
  const descr = fields.get("descr");
  const fortranOrder = fields.get("fortran_order");
  const shape = fields.get("shape");
  if (!descr || !/^(True|False)$/.test(fortranOrder ?? "") || !shape?.startsWith("(")) throw damaged();
  return { ...elementType(descr), fortranOrder: fortranOrder === "True", shape: sizes(shape) };
}

function elementType(descr: string): { dtype: DType; bigEndian: boolean } {
  const [, order, code] = /^['"]([<>|=])(\w+)['"]$/.exec(descr) ?? [];
  return { dtype: dtypeOfNumpy(code ?? descr), bigEndian: order === ">" };
}

function sizes(tuple: string): number[] {
  const numbers = tuple
    .slice(1, -1)
    .split(",")
    .map((part) => part.trim());
  if (numbers.at(-1) === "") numbers.pop();
  const shape = numbers.map((number) =>
    /^\d{1,16}L?$/.test(number) ? Number.parseInt(number, 10) : Number.NaN,
  );
  // Of the sizes that are not 0 too: strides are made of them.
  const extent = shape.reduce((product, size) => product * Math.max(size, 1), 1);
  if (!Number.isSafeInteger(extent * 16) || shape.length > maxDimensions) {
    throw new SerializationError(`the array has the shape ${tuple.slice(0, 200)}, which is impossible`);
  }
  return shape;
}
