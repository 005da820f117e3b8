// Loads damaged files and watches: node mutate.mjs FOLDER FIRST COUNT [--keep]
//
// Each case is one of the seed files, changed by a random number generator that begins with the number of the case. A load has to give
// an error of levin's or the right content, within a second and with memory for twice the file and 50 MB. Failures are printed, one a
// line, then a line of JSON with the totals. FOLDER/case has the number of the case that is running, and FOLDER/file its bytes, for
// when it takes the process down. With --keep, FOLDER/N.damaged is each file that was loaded and FOLDER/N.pt what it was loaded as.
import { closeSync, openSync, readdirSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { crc32 } from "node:zlib";
import * as torch from "@levin/torch";
import { pickle, tar, text, uint, unzip, zip } from "./archives.mjs";

const { Complex, LevinError, serialization, Tensor } = torch;
const [folder, first, count] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const keep = process.argv[5] === "--keep";
const path = join(folder, "file");

// ------------------------------------------------------------- seeds

function random(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let z = Math.imul(state ^ (state >>> 15), state | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return ((z ^ (z >>> 14)) >>> 0) / 2 ** 32;
  };
  return { next, below: (n) => Math.floor(next() * n), of: (list) => list[Math.floor(next() * list.length)] };
}

function tensors() {
  const all = {};
  const x = torch.arange(12).reshape([3, 4]);
  for (const dtype of [
    "float32",
    "float64",
    "float16",
    "bfloat16",
    "uint8",
    "int16",
    "int32",
    "int64",
    "bool",
    "complex64",
  ]) {
    all[dtype] = x.to(dtype);
  }
  return all;
}

function objects() {
  const base = torch.randn([4, 5]);
  const csr = torch.eye(4).toSparseCsr();
  return {
    ...tensors(),
    views: [base, base.transpose(0, 1), base.select(0, 1), base],
    parameter: new torch.nn.Parameter(torch.ones([2])),
    sparse: torch.eye(3).toSparse(),
    csr,
    uint16: x16(),
    values: [
      1,
      -1,
      300,
      70000,
      2n ** 70n,
      1.5,
      null,
      true,
      "text",
      "ä€",
      new Uint8Array([1, 2]),
      new Complex(1, 2),
    ],
    tuple: new serialization.Tuple(1, new serialization.Tuple(), "a"),
    set: new Set([1, 2, "a"]),
    map: new Map([
      [1, "one"],
      [null, 2],
      [new serialization.Tuple(1, 2), 3],
    ]),
    ordered: serialization.orderedDict({ a: 1, b: 2 }, { _metadata: { version: 1 } }),
    size: new serialization.Size(2, 3),
    dtype: new serialization.PyDtype("float32"),
    device: new serialization.PyDevice("cpu"),
  };
}

function x16() {
  return torch.arange(5).to("uint16");
}

/** A file of before PyTorch 0.1.10. */
function tarFile() {
  const storages = pickle(
    "\x80\x02K\x01.",
    "\x80\x02(K\x07",
    text("cpu"),
    "ctorch\nFloatStorage\nt.",
    uint(6, 8),
    Buffer.alloc(24, 1),
    "\x80\x02].",
  );
  const tensors = pickle(
    "\x80\x02K\x01.",
    "\x80\x02(K\x08K\x07ctorch\nFloatTensor\nt.",
    uint(2),
    uint(0),
    ...[2, 3, 3, 1, 0].map((n) => uint(n, 8)),
  );
  const root = pickle("\x80\x02}", text("w"), text("8"), "Qs.");
  return tar([
    { name: "sys_info", bytes: pickle("\x80\x02}.") },
    { name: "pickle", bytes: root },
    { name: "tensors", bytes: tensors },
    { name: "storages", bytes: storages },
  ]);
}

function seeds() {
  torch.manualSeed(0);
  const save = (name, write) => {
    write(path);
    return { name, bytes: readFileSync(path) };
  };
  const fixtures = fileURLToPath(
    new URL("../../../../oracle/fixtures/numerics/checkpoints", import.meta.url),
  );
  const { float32, int64, bool } = tensors();
  const arrays = { float32, int64, bool };
  const torchFiles = [
    { name: "objects", bytes: Buffer.from(serialization.encode(objects())) },
    ...readdirSync(fixtures)
      .filter((name) => /pt$|ckpt$/.test(name))
      .map((name) => ({ name, bytes: readFileSync(join(fixtures, name)) })),
    { name: "tar", bytes: tarFile() },
  ];
  const npys = [
    save("npy", (path) => serialization.saveNpy(float32, path)),
    { name: "npy of Fortran", bytes: npy("{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3), }", 12) },
  ];
  return [
    ...torchFiles.map((seed) => ({ ...seed, load: (bytes) => serialization.load(bytes) })),
    ...[
      save("safetensors", (path) => serialization.saveSafetensors(tensors(), path, { metadata: { a: "b" } })),
    ].map((seed) => ({
      ...seed,
      load: serialization.loadSafetensors,
    })),
    ...npys.map((seed) => ({ ...seed, load: serialization.loadNpy })),
    ...[
      save("npz", (path) => serialization.saveNpz(arrays, path)),
      save("compressed npz", (path) => serialization.saveNpz(arrays, path, { compress: true })),
    ].map((seed) => ({ ...seed, load: (bytes) => serialization.loadNpz(bytes) })),
  ];
}

function npy(header, size) {
  const padded = header.padEnd(117, " ");
  return Buffer.concat([
    Buffer.from("\x93NUMPY\x01\x00\x76\x00", "latin1"),
    Buffer.from(`${padded}\n`),
    Buffer.alloc(size, 7),
  ]);
}

// ------------------------------------------------------------- damage

const numbers = [0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff];
const wide = [
  ...numbers.map(BigInt),
  2n ** 32n,
  2n ** 40n,
  2n ** 53n,
  2n ** 63n - 1n,
  2n ** 63n,
  2n ** 64n - 1n,
];

/** Kinds of damage to any bytes. */
const damages = [
  (bytes, r) => {
    for (let n = 1 + r.below(4); n > 0; n--) bytes[r.below(bytes.length)] ^= 1 << r.below(8);
    return bytes;
  },
  (bytes, r) => {
    for (let n = 1 + r.below(8); n > 0; n--) bytes[r.below(bytes.length)] = r.below(256);
    return bytes;
  },
  (bytes, r) => bytes.subarray(0, r.below(bytes.length)),
  (bytes, r) => bytes.subarray(r.below(Math.min(bytes.length, 64))),
  (bytes, r) => bytes.fill(r.of([0, 0xff, r.below(256)]), r.below(bytes.length), r.below(bytes.length)),
  (bytes, r) => {
    const at = r.below(bytes.length);
    return Buffer.concat([
      bytes.subarray(0, at),
      Buffer.alloc(1 + r.below(64), r.below(256)),
      bytes.subarray(at),
    ]);
  },
  (bytes, r) => {
    const at = r.below(bytes.length);
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + r.below(64))]);
  },
  (bytes, r) => {
    const from = r.below(bytes.length);
    bytes.copy(bytes, r.below(bytes.length), from, from + r.below(200));
    return bytes;
  },
  (bytes, r) => {
    const at = r.below(bytes.length);
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(r.below(bytes.length))]);
  },
  (bytes, r) => {
    const size = r.of([1, 2, 4, 8]);
    const at = r.below(Math.max(1, bytes.length - size));
    const value = Buffer.alloc(8);
    value.writeBigUInt64LE(r.of(wide));
    value.copy(bytes, at, 0, size);
    return bytes;
  },
  (bytes, r) => {
    // Digits, as in texts that are headers.
    const digits = [...bytes.keys()].filter((i) => bytes[i] >= 0x30 && bytes[i] <= 0x39);
    if (digits.length > 0) bytes[r.of(digits)] = 0x30 + r.below(10);
    return bytes;
  },
];

const damaged = (bytes, r) => {
  let result = Buffer.from(bytes);
  for (let n = r.of([1, 1, 1, 2, 3]); n > 0 && result.length > 0; n--) result = r.of(damages)(result, r);
  return result;
};

/** Instructions that a pickle may have, with operands. */
const instructions = [
  "(",
  ")",
  "]",
  "}",
  "N",
  "\x88",
  "\x89",
  "0",
  "1",
  "2",
  "a",
  "e",
  "s",
  "u",
  "t",
  "R",
  "b",
  "Q",
  "\x81",
  "\x85",
  "\x86",
  "\x87",
  "\x8f",
  "\x90",
  "\x91",
  "\x92",
  "\x93",
  "\x94",
  "o",
  ".",
  "K\x00",
  "K\x01",
  "K\xff",
  "J\xff\xff\xff\xff",
  "M\xff\xff",
  "h\x00",
  "h\x01",
  "h\x02",
  "h\x05",
  "q\x00",
  "q\x01",
  "q\x05",
  "G\x40\x00\x00\x00\x00\x00\x00\x00",
  "X\x01\x00\x00\x00a",
  "X\x07\x00\x00\x00storage",
  "X\x03\x00\x00\x00cpu",
  "X\x01\x00\x00\x000",
  "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f",
  "I12\n",
  "F1.5\n",
  "S'a'\n",
  "Va\n",
  "L5L\n",
  ...[
    "torch._utils\n_rebuild_tensor_v2",
    "torch._utils\n_rebuild_tensor_v3",
    "torch._utils\n_rebuild_parameter",
    "torch._utils\n_rebuild_sparse_tensor",
    "torch._utils\n_rebuild_qtensor",
    "torch\nFloatStorage",
    "torch\nfloat32",
    "torch\nSize",
    "torch\ndevice",
    "collections\nOrderedDict",
    "collections\nCounter",
    "__builtin__\nset",
    "__builtin__\nbytearray",
    "_codecs\nencode",
    "torch.serialization\n_get_layout",
    "torch._tensor\n_rebuild_from_type_v2",
    "numpy\ndtype",
    "numpy.core.multiarray\n_reconstruct",
    "numpy.core.multiarray\nscalar",
    "os\nsystem",
  ].map((name) => `c${name}\n`),
].map((instruction) => Buffer.from(instruction, "latin1"));

function garbled(bytes, r) {
  let result = bytes;
  for (let n = 1 + r.below(6); n > 0; n--) {
    const at = r.below(result.length + 1);
    const many = r.below(10) === 0 ? r.below(2000) : 1;
    const inserted = Array.from({ length: many }, () => r.of(instructions));
    result = Buffer.concat([result.subarray(0, at), ...inserted, result.subarray(at + r.below(4))]);
  }
  return result;
}

/** A changed seed. The parts of a zip file are also changed with their checksums: those alone would stop nearly everything else. */
function changed(seed, r) {
  const isZip = seed.bytes.readUInt32LE(0) === 0x04034b50;
  if (!isZip || r.below(4) === 0) return { bytes: damaged(seed.bytes, r), isZip };
  const entries = unzip(seed.bytes);
  const entry = r.below(3) > 0 ? entries[0] : r.of(entries);
  const isPickle = entry.name.endsWith(".pkl");
  const repaired = entry.method === 0;
  entry.bytes = isPickle && r.below(2) === 0 ? garbled(entry.bytes, r) : damaged(entry.bytes, r);
  if (repaired) Object.assign(entry, { crc: crc32(entry.bytes), size: entry.bytes.length });
  return { bytes: zip(entries), isZip: false };
}

// ------------------------------------------------------------- watching

const canMeasure = process.platform === "linux";

/** The most memory that was in use since it was last asked for to forget, and what is in use, in bytes. */
function memory() {
  const status = readFileSync("/proc/self/status", "latin1");
  const kilobytes = (name) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)[1]) * 1024;
  return { most: kilobytes("VmHWM"), now: kilobytes("VmRSS") };
}

/** The bytes of all tensors in a value, to see that what was loaded can be used. */
function touch(value, seen = new Set()) {
  if (typeof value !== "object" || value === null || seen.has(value)) return 0;
  seen.add(value);
  if (value instanceof Tensor) {
    if (value.device === "meta" || value.layout !== "strided" || value.numel() > 1e6)
      return value.shape.length;
    return value.detach().clone().numel();
  }
  if (ArrayBuffer.isView(value)) return value.length;
  const parts =
    value instanceof Map
      ? [...value.keys(), ...value.values()]
      : value instanceof Set || Array.isArray(value)
        ? [...value]
        : Object.values(value);
  return parts.reduce((sum, part) => sum + touch(part, seen), 0);
}

function keepFiles(number, bytes, value) {
  try {
    serialization.save({ value }, join(folder, `${number}.pt`));
    writeFileSync(join(folder, `${number}.damaged`), bytes);
  } catch {
    // It is something that PyTorch's safe loader does not read.
  }
}

const all = seeds();
const originals = new Map(all.map((seed) => [seed.name, touch(seed.load(seed.bytes))]));
for (const seed of all) for (let i = 0; i < 5; i++) seed.load(seed.bytes);

const totals = { loaded: 0, refused: 0, slowest: 0, most: 0, messages: {} };
const progress = openSync(join(folder, "case"), "w");
for (let number = first; number < first + count; number++) {
  const r = random(number);
  const seed = r.of(all);
  const { bytes, isZip } = changed(seed, r);
  const inMemory = r.below(4) > 0;
  writeFileSync(path, bytes);
  writeSync(progress, `${String(number).padEnd(10)}${seed.name.padEnd(30)}`, 0);
  const fail = (why) => console.log(`case ${number} (${seed.name}): ${why}`);

  if (canMeasure) writeFileSync("/proc/self/clear_refs", "5");
  const before = canMeasure ? memory().now : 0;
  const start = process.cpuUsage();
  try {
    const value = seed.load(inMemory ? bytes : path);
    const size = touch(value);
    totals.loaded++;
    if (keep) keepFiles(number, bytes, value);
    // Only what its checksums cover: a changed length of a name or a changed time changes nothing.
    if (isZip && size !== originals.get(seed.name)) fail("it is not the right content");
  } catch (error) {
    totals.refused++;
    if (!(error instanceof LevinError)) fail(`${error?.stack ?? error}`);
    else if (error.message.length > 2000) fail(`a message of ${error.message.length} letters`);
    const kind = String(error?.message)
      .replace(/.*?: /, "")
      .replace(/["'][^"']*["']|[\d.]+|\[.*?\]/g, "_")
      .slice(0, 60);
    totals.messages[kind] = (totals.messages[kind] ?? 0) + 1;
  }
  const { user, system } = process.cpuUsage(start); // of this process alone, however busy the machine is
  const time = (user + system) / 1000;
  const memoryUsed = canMeasure ? memory().most - before : 0;
  totals.slowest = Math.max(totals.slowest, time);
  totals.most = Math.max(totals.most, memoryUsed);
  if (time > 1000) fail(`it took ${time.toFixed(0)} ms`);
  if (memoryUsed > 2 * bytes.length + 50e6)
    fail(`it took ${(memoryUsed / 1e6).toFixed(1)} MB for ${bytes.length} bytes`);
}
closeSync(progress);
console.log(JSON.stringify(totals));
