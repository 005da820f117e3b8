import { type DType, itemSize } from "../dtype.js";
import { keepingAll } from "../memory.js";
import { Tensor } from "../tensor.js";
import { contiguousContent, sourceTensor } from "./bytes.js";
import { SerializationError } from "./errors.js";
import { setOwn } from "./python.js";
import { writeFileAtomically } from "./sink.js";
import { type ByteSource, type FileOrBytes, requireFile, withSource } from "./source.js";

/** The format's own limit for its header. */
const maxHeader = 100_000_000;

const dtypes: ReadonlyMap<string, DType> = new Map<string, DType>([
  ["BOOL", "bool"],
  ["U8", "uint8"],
  ["I8", "int8"],
  ["F8_E5M2", "float8_e5m2"],
  ["F8_E4M3", "float8_e4m3fn"],
  ["F8_E8M0", "float8_e8m0fnu"],
  ["F8_E4M3FNUZ", "float8_e4m3fnuz"],
  ["F8_E5M2FNUZ", "float8_e5m2fnuz"],
  ["I16", "int16"],
  ["U16", "uint16"],
  ["F16", "float16"],
  ["BF16", "bfloat16"],
  ["I32", "int32"],
  ["U32", "uint32"],
  ["F32", "float32"],
  ["C64", "complex64"],
  ["F64", "float64"],
  ["I64", "int64"],
  ["U64", "uint64"],
]);
const names = new Map([...dtypes].map(([name, dtype]) => [dtype, name]));

interface Entry {
  name: string;
  dtype: DType;
  shape: number[];
  begin: number;
  end: number;
}

interface Header {
  entries: Entry[];
  metadata: Record<string, string>;
  /** Where the data begins in the file. */
  start: number;
}

/** What {@link loadSafetensors} may be told. */
export interface LoadSafetensorsOptions {
  /** Reads only the tensors with these names. Default: all. */
  names?: readonly string[];
  /**
   * Maps tensors into memory instead of reading them: they are read when they are used. Needs a path; the file must not be written
   * to meanwhile. Default: false.
   */
  mmap?: boolean;
}

/** What {@link saveSafetensors} may be told. */
export interface SaveSafetensorsOptions {
  /** Texts by name that go into the header. */
  metadata?: Readonly<Record<string, string>>;
}

/**
 * Reads the tensors of a safetensors file, each into memory of its own.
 *
 * @param source a path, or the bytes of a file
 * @throws SerializationError where the file is damaged or has a type that levin does not know
 * @see https://huggingface.co/docs/safetensors
 */
export function loadSafetensors(
  source: FileOrBytes,
  options: LoadSafetensorsOptions = {},
): Record<string, Tensor> {
  return withSource(source, (file) => {
    const { mmap = false, names } = options;
    if (mmap) requireFile(file);
    const { entries, start } = readHeader(file);
    const tensors: Record<string, Tensor> = {};
    keepingAll(() => {
      for (const { name, dtype, shape, begin } of names === undefined ? entries : named(entries, names)) {
        setOwn(tensors, name, sourceTensor(file, start + begin, dtype, shape, mmap));
      }
    });
    return tensors;
  });
}

function named(entries: readonly Entry[], names: readonly string[]): Entry[] {
  const known = new Map(entries.map((entry) => [entry.name, entry]));
  return names.map((name) => {
    const entry = known.get(name);
    if (entry !== undefined) return entry;
    const there = [...known.keys()].slice(0, 20).join(", ");
    throw new SerializationError(`it has no tensor ${JSON.stringify(name)}; it has ${there}`);
  });
}

/** The texts that the header of a safetensors file holds beside its tensors. */
export function loadSafetensorsMetadata(source: FileOrBytes): Record<string, string> {
  return withSource(source, (file) => readHeader(file).metadata);
}

/**
 * Writes tensors by name as a safetensors file, complete or not at all. Tensors that share memory or have gaps are each written as
 * contiguous values of their own.
 *
 * @throws SerializationError where a type has no name in the format, or the file system refuses
 * @see https://huggingface.co/docs/safetensors
 */
export function saveSafetensors(
  tensors: Readonly<Record<string, Tensor>>,
  path: string | URL,
  options: SaveSafetensorsOptions = {},
): void {
  const header: Record<string, unknown> = {};
  if (options.metadata !== undefined) header.__metadata__ = checkedMetadata(options.metadata);
  // The largest elements first keeps all of them aligned; this is the order of the format's own library.
  const ordered = Object.entries(tensors).map(([name, tensor]) => checked(name, tensor));
  ordered.sort(
    (a, b) => rank(b.dtype) - rank(a.dtype) || Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)),
  );
  let size = 0;
  for (const { name, tensor, dtype } of ordered) {
    const begin = size;
    size += tensor.numel() * itemSize(dtype);
    setOwn(header, name, { dtype: names.get(dtype), shape: tensor.shape, data_offsets: [begin, size] });
  }
  const json = Buffer.from(JSON.stringify(header), "utf8");
  const padded = Buffer.alloc(Math.ceil(json.length / 8) * 8, " ");
  padded.set(json);
  if (padded.length > maxHeader)
    throw new SerializationError(`saveSafetensors: a header of ${padded.length} bytes is too long`);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  writeFileAtomically(path, (sink) => {
    sink.write(length);
    sink.write(padded);
    for (const { tensor } of ordered) contiguousContent(tensor).each((part) => sink.write(part));
  });
}

const order = [...dtypes.values()];

function rank(dtype: DType): number {
  return order.indexOf(dtype);
}

function checked(name: string, tensor: Tensor): { name: string; tensor: Tensor; dtype: DType } {
  if (!(tensor instanceof Tensor))
    throw new SerializationError(`saveSafetensors: ${JSON.stringify(name)} is not a Tensor`);
  if (name === "__metadata__")
    throw new SerializationError("saveSafetensors: a tensor cannot have the name __metadata__");
  const dtype = tensor.dtype;
  if (!names.has(dtype) || tensor.layout !== "strided" || tensor.device === "meta") {
    throw new SerializationError(
      `saveSafetensors: ${JSON.stringify(name)} (${dtype}, ${tensor.layout}, ${tensor.device}) has no form in the format`,
    );
  }
  return { name, tensor, dtype };
}

function checkedMetadata(metadata: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  for (const [key, value] of Object.entries(metadata)) {
    if (typeof value !== "string")
      throw new SerializationError(`saveSafetensors: metadata ${JSON.stringify(key)} is not a text`);
  }
  return metadata;
}

function readHeader(file: ByteSource): Header {
  const length = Number(Buffer.from(file.read(0, 8)).readBigUInt64LE());
  if (length > maxHeader || length > file.size - 8) {
    throw new SerializationError(
      `it is not a safetensors file: a header of ${length} bytes does not fit into it`,
    );
  }
  const header = parse(file.read(8, length));
  const start = 8 + length;
  const metadata: Record<string, string> = {};
  const entries: Entry[] = [];
  for (const [name, value] of Object.entries(header)) {
    if (!isRecord(value)) throw invalid(name);
    if (name === "__metadata__") {
      for (const [key, text] of Object.entries(value)) {
        if (typeof text !== "string") throw invalid(name);
        setOwn(metadata, key, text);
      }
    } else {
      entries.push(readEntry(name, value));
    }
  }
  // Back to back: no byte belongs to two tensors, none to none.
  let at = 0;
  for (const { name, begin, end } of [...entries].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== at)
      throw new SerializationError(
        `the data of ${JSON.stringify(name)} overlaps with another's or leaves a gap`,
      );
    at = end;
  }
  if (start + at !== file.size) {
    throw new SerializationError(
      `the header describes ${at} bytes of data, the file has ${file.size - start}`,
    );
  }
  return { entries, metadata, start };
}

function parse(bytes: Uint8Array): Record<string, unknown> {
  requireFlat(bytes);
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new SerializationError("the header of the safetensors file is not JSON", { cause });
  }
  if (!isRecord(header)) throw new SerializationError("the header of the safetensors file is not an object");
  return header;
}

const quote = 0x22;
const backslash = 0x5c;

/** Before it is parsed: brackets in brackets would become many times the memory that they have in the file. */
function requireFlat(bytes: Uint8Array): void {
  let depth = 0;
  let brackets = 0;
  let inText = false;
  for (let i = 0; i < bytes.length && depth <= 3; i++) {
    const byte = bytes[i];
    if (inText) {
      if (byte === backslash) i++;
      else if (byte === quote) inText = false;
    } else if (byte === quote) {
      inText = true;
    } else if (byte === 0x5b || byte === 0x7b) {
      depth++;
      brackets++;
    } else if (byte === 0x5d || byte === 0x7d) {
      depth--;
    }
  }
  if (depth > 3 || brackets > 10_000 + bytes.length / 8) {
    throw new SerializationError("the header of the safetensors file is nested deeper than it may be");
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function invalid(name: string): SerializationError {
  return new SerializationError(
    `the header of the safetensors file is damaged at ${JSON.stringify(name.slice(0, 100))}`,
  );
}

function readEntry(name: string, value: Record<string, unknown>): Entry {
  const { dtype: typeName, shape, data_offsets: offsets } = value;
  if (!isSizes(shape) || !isSizes(offsets) || offsets.length !== 2 || typeof typeName !== "string")
    throw invalid(name);
  const dtype = dtypes.get(typeName);
  if (dtype === undefined)
    throw new SerializationError(
      `the tensor ${JSON.stringify(name)} has the type ${typeName}, which is not supported`,
    );
  const [begin, end] = offsets as [number, number];
  const size = shape.reduce((product, n) => product * n, itemSize(dtype));
  if (end - begin !== size || !Number.isSafeInteger(size)) {
    throw new SerializationError(
      `the tensor ${JSON.stringify(name)} of shape [${shape}] needs ${size} bytes, it has ${end - begin}`,
    );
  }
  return { name, dtype, shape, begin, end };
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.length <= 64 && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}
