import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deflateRawSync } from "node:zlib";
import * as torch from "@levin/torch";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { unzip, zip } from "./serialization-fixtures/archives.mjs";

const { Complex, serialization, tensor } = torch;
const { loadNpy, loadNpz, saveNpy, saveNpz } = serialization;

let folder: string;
const file = (name: string) => join(folder, name);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "levin-npy-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** An npy file as NumPy writes it. */
function npy(header: string, data: Uint8Array, version = 1): Buffer {
  const text = Buffer.from(`${header}\n`, "utf8");
  const length = Buffer.alloc(version === 1 ? 2 : 4);
  length.writeUIntLE(text.length, 0, length.length);
  return Buffer.concat([Buffer.from("\x93NUMPY", "latin1"), Buffer.of(version, 0), length, text, data]);
}

const header = (descr: string, shape: string, order = "False") =>
  `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': ${shape}, }`;

describe("npy files", () => {
  it("give back tensors of every type that NumPy has", () => {
    const dtypes = torch.dtypes.filter((name) => !/^(q|bfloat16|float8|complex32)/.test(name));
    for (const dtype of dtypes) {
      const x = tensor([
        [0, 1, 1],
        [1, 0, 1],
      ]).to(dtype);
      saveNpy(x, file("a.npy"));
      const back = loadNpy(file("a.npy"));
      expect([back.dtype, back.toArray()]).toEqual([dtype, x.toArray()]);
    }
  });

  it("hold values of views, scalars, and nothing", () => {
    const views = [
      torch.arange(6).reshape([2, 3]).T,
      tensor(1.5),
      torch.zeros([0, 2]),
      torch.arange(4).get([torch.slice(1, null, 2)]),
    ];
    for (const x of views) {
      saveNpy(x, file("a.npy"));
      expect([loadNpy(file("a.npy")).shape, loadNpy(file("a.npy")).toArray()]).toEqual([
        x.shape,
        x.toArray(),
      ]);
    }
  });

  it("are written as NumPy does, data at a multiple of 64", () => {
    saveNpy(tensor([1, 2]), file("a.npy"));
    const bytes = readFileSync(file("a.npy"));
    expect(bytes.toString("latin1", 0, 10)).toBe("\x93NUMPY\x01\x00\x76\x00");
    expect(bytes.toString("latin1", 10, 128)).toBe(`${header("<f4", "(2,)").padEnd(117)}\n`);
  });

  it("are read in any version, order of bytes and order of dimensions, from a path or bytes", () => {
    const data = Buffer.from(Int16Array.from([1, 2, 3, 4, 5, 6]).buffer);
    for (const version of [1, 2, 3])
      expect(loadNpy(npy(header("<i2", "(2, 3)"), data, version)).toArray()).toEqual([
        [1, 2, 3],
        [4, 5, 6],
      ]);
    const columns = loadNpy(npy(header("<i2", "(2, 3)", "True"), data));
    expect([columns.toArray(), columns.stride()]).toEqual([
      [
        [1, 3, 5],
        [2, 4, 6],
      ],
      [1, 2],
    ]);
    expect(loadNpy(npy(header(">i2", "(6,)"), Buffer.from(data).swap16())).toArray()).toEqual([
      1, 2, 3, 4, 5, 6,
    ]);
    const complex = Buffer.from(Float32Array.from([1, 2]).buffer).swap32();
    expect(loadNpy(npy(header(">c8", "()"), complex)).item()).toEqual(new Complex(1, 2));
    // Python 2 wrote long integers.
    expect(loadNpy(npy(`{'shape': (1L, 6L), "fortran_order": False, 'descr': "=i2"}`, data)).shape).toEqual([
      1, 6,
    ]);
  });

  it("are mapped into memory where it is asked for", () => {
    const x = torch.randn([10, 3]);
    saveNpy(x, file("mapped.npy"));
    const mapped = loadNpy(file("mapped.npy"), { mmap: true });
    expect(mapped.equal(x)).toBe(true);
    mapped.fill_(1);
    expect(loadNpy(file("mapped.npy")).equal(x)).toBe(true);
    writeFileSync(
      file("columns.npy"),
      npy(header("<i2", "(2, 2)", "True").padEnd(117), Buffer.of(1, 0, 2, 0, 3, 0, 4, 0)),
    );
    expect(loadNpy(file("columns.npy"), { mmap: true }).toArray()).toEqual([
      [1, 3],
      [2, 4],
    ]);
    expect(() => loadNpy(readFileSync(file("mapped.npy")), { mmap: true })).toThrow(
      /only a file that is given by its path/,
    );
  });

  it.each([
    ["another file", Buffer.from("not npy"), /it is not an npy file/],
    ["an empty file", Buffer.alloc(0), /truncated: it ends inside the header/],
    ["half a header", npy(header("<f4", "(1,)"), Buffer.alloc(4)).subarray(0, 30), /ends inside the header/],
    ["an unknown version", npy(header("<f4", "(1,)"), Buffer.alloc(4), 9), /the version 9; 1 to 3 are known/],
    [
      "a giant header",
      Buffer.concat([npy("", Buffer.alloc(0), 2).subarray(0, 8), Buffer.alloc(8, 0xff)]),
      /10000 are allowed/,
    ],
    ["objects of Python", npy(header("|O", "(1,)"), Buffer.alloc(8)), /the type "'\|O'"|"O".*only booleans/],
    ["texts", npy(header("<U3", "(1,)"), Buffer.alloc(12)), /"U3"; only booleans, integers, floats/],
    [
      "records",
      npy("{'descr': [('a', '<i4'), ('b', '<f4')], 'fortran_order': False, 'shape': (1,)}", Buffer.alloc(8)),
      /only booleans/,
    ],
    ["too little data", npy(header("<f4", "(2,)"), Buffer.alloc(4)), /has 8 bytes, the file has 4/],
    ["too much data", npy(header("<f4", "(1,)"), Buffer.alloc(8)), /has 4 bytes, the file has 8/],
    ["a giant shape", npy(header("<f4", "(99999999999999999999,)"), Buffer.alloc(4)), /which is impossible/],
    [
      "a shape whose product is giant",
      npy(header("<f4", "(9999999999, 9999999999)"), Buffer.alloc(4)),
      /which is impossible/,
    ],
    [
      "giant sizes beside a 0",
      npy(header("<f4", "(0, 9999999999, 9999999999)"), Buffer.alloc(0)),
      /which is impossible/,
    ],
    ["a negative size", npy(header("<f4", "(-1,)"), Buffer.alloc(4)), /is damaged/],
    ["code for a header", npy("__import__('os').system('true')", Buffer.alloc(4)), /is damaged/],
    [
      "a header without a shape",
      npy("{'descr': '<f4', 'fortran_order': False}", Buffer.alloc(4)),
      /is damaged/,
    ],
  ])("refuse %s", (_, bytes, message) => {
    expect(() => loadNpy(bytes)).toThrow(message);
    expect(() => loadNpy(bytes)).toThrow(serialization.SerializationError);
    writeFileSync(file("bad.npy"), bytes);
    expect(() => loadNpy(file("bad.npy"))).toThrow(message);
  });

  it("cannot hold what NumPy does not have", () => {
    expect(() => saveNpy(torch.ones([1]).bfloat16(), file("b.npy"))).toThrow(
      /bfloat16.* has no form in NumPy; convert it first/,
    );
    expect(() => saveNpy([1] as never, file("b.npy"))).toThrow(/is not a Tensor/);
  });
});

describe("npz files", () => {
  const arrays = () => ({
    x: torch.arange(1000).float(),
    "a/b": tensor([true, false]),
    empty: torch.zeros([0]),
  });

  it.each([false, true])("give back tensors by name (compress: %s)", (compress) => {
    saveNpz(arrays(), file("a.npz"), { compress });
    const back = loadNpz(file("a.npz"));
    expect(Object.keys(back)).toEqual(["x", "a/b", "empty"]);
    for (const [name, x] of Object.entries(arrays())) expect(back[name]?.toArray()).toEqual(x.toArray());
    expect(Object.keys(loadNpz(readFileSync(file("a.npz")), { names: ["a/b"] }))).toEqual(["a/b"]);
    expect(() => loadNpz(file("a.npz"), { names: ["y"] })).toThrow(
      /no array "y"; it has the files x\.npy, a\/b\.npy/,
    );
  });

  it("compressed are smaller", () => {
    saveNpz({ x: torch.zeros([1000]) }, file("large.npz"));
    saveNpz({ x: torch.zeros([1000]) }, file("small.npz"), { compress: true });
    expect(readFileSync(file("small.npz")).length).toBeLessThan(readFileSync(file("large.npz")).length / 5);
  });

  it("that expand to very much memory are refused, unless it is allowed", () => {
    saveNpz({ x: torch.zeros([15_000_000]) }, file("bomb.npz"), { compress: true });
    expect(() => loadNpz(file("bomb.npz"))).toThrow(
      /expands to 60000128, which is more than .* give maxExpandedSize: 60000128/,
    );
    expect(loadNpz(file("bomb.npz"), { maxExpandedSize: 60_000_128 }).x?.shape).toEqual([15_000_000]);
  });

  it("that lie about their sizes are refused", () => {
    saveNpz({ x: torch.zeros([1000]) }, file("a.npz"), { compress: true });
    const [entry] = unzip(readFileSync(file("a.npz")));
    if (entry === undefined) throw new Error("no entry");
    const bomb = deflateRawSync(Buffer.alloc(50_000_000));
    expect(() => loadNpz(zip([{ ...entry, bytes: bomb }]))).toThrow(/it is not an npy file/);
    expect(() => loadNpz(zip([{ ...entry, size: entry.size + 1 }]))).toThrow(/the file has 4001/);
    expect(() => loadNpz(zip([{ ...entry, crc: 1 }]))).toThrow(/its checksum is wrong/);
    expect(() => loadNpz(zip([{ ...entry, bytes: entry.bytes.subarray(0, 20) }]))).toThrow(
      /"x\.npy" of the zip file is damaged/,
    );
    expect(() => loadNpz(zip([{ ...entry, bytes: Buffer.alloc(50, 0xff) }]))).toThrow(/invalid block type/);
    expect(() => loadNpz(zip([{ ...entry, method: 12 }]))).toThrow(/other than deflate/);
  });

  it("never leave the file: a name is only a name", () => {
    const content = npy(header("<f4", "(1,)"), Buffer.alloc(4));
    const back = loadNpz(
      zip([
        { name: "../../outside.npy", bytes: content },
        { name: "/etc/passwd.npy", bytes: content },
      ]),
    );
    expect(Object.keys(back)).toEqual(["../../outside", "/etc/passwd"]);
    expect(() =>
      loadNpz(
        zip([
          { name: "a.npy", bytes: content },
          { name: "a.npy", bytes: content },
        ]),
      ),
    ).toThrow(/two entries "a\.npy"/);
    expect(() => loadNpz(zip([{ name: "readme.txt", bytes: content }]))).toThrow(/no array "readme\.txt"/);
  });
});
