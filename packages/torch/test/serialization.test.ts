import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import * as torch from "@levin/torch";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const { Complex, load, nn, save, serialization, tensor } = torch;
const { decode, encode, orderedDict, PyDevice, PyDtype, PyFloat, PythonGlobal, Size, traitsOf, Tuple } =
  serialization;

let folder: string;
const file = (name: string) => join(folder, name);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "levin-serialization-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What comes back when a value is written and read. */
const again = <T>(value: T): T => decode(encode(value)) as T;

describe("save and load", () => {
  it("give back values of every kind", () => {
    const values = {
      null: null,
      booleans: [true, false],
      integers: [0, 255, 256, 65536, -1, -(2 ** 31), 2 ** 31, 2 ** 53 - 1, -(2 ** 53) + 1],
      large: [2n ** 53n, 2n ** 63n - 1n, -(2n ** 63n), 2n ** 64n, 10n ** 700n, -(10n ** 700n)],
      floats: [0.5, -1e300, 5e-324, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0],
      texts: ["", "a", "ä€𝄞", "\0", "\ud800 alone", "x".repeat(70_000)],
      bytes: [new Uint8Array(0), new Uint8Array([0, 127, 128, 255])],
      complex: new Complex(1, -2),
      tuples: new Tuple<unknown>(1, new Tuple(), new Tuple(1, 2, 3, 4)),
      set: new Set<unknown>([1, "a", null]),
      map: new Map<unknown, unknown>([
        [1, "one"],
        ["1", "text"],
        [null, 2],
        [true, 3],
        [0.5, 4],
      ]),
      nested: { a: [{ b: [[]] }] },
      size: new Size(2, 3),
      dtype: new PyDtype("bfloat16"),
      devices: [new PyDevice("cpu"), new PyDevice("cuda:1")],
    };
    expect(again(values)).toEqual(values);
    expect(again(values).tuples).toBeInstanceOf(Tuple);
    expect(again(values).size).toBeInstanceOf(Size);
    expect(Object.is(again([-0])[0], -0)).toBe(true);
    expect(again([Number.NaN])).toEqual([Number.NaN]);
  });

  it("give back tensors of every type, bit by bit", () => {
    const bits = Uint8Array.from({ length: 64 }, (_, i) => (i * 37) % 256);
    for (const dtype of torch.dtypes.filter((name) => !name.startsWith("q"))) {
      const bytes = torch.fromTypedArray(dtype === "bool" ? bits.map((bit) => bit & 1) : bits);
      const x = torch.viewStorage(bytes, dtype, [2, 2], [2, 1], 0);
      const back = again(x);
      expect([back.dtype, back.shape]).toEqual([dtype, [2, 2]]);
      expect(new Uint8Array(back.storageBytes()), dtype).toEqual(new Uint8Array(x.storageBytes()));
    }
  });

  it("give back tensors without elements and without dimensions", () => {
    const empty = torch.zeros([0, 3]);
    const back = again({ empty, scalar: tensor(3), columns: empty.transpose(0, 1) });
    expect([back.empty.shape, back.scalar.shape, back.scalar.item()]).toEqual([[0, 3], [], 3]);
    expect([back.columns.shape, back.columns.stride()]).toEqual([
      [3, 0],
      [1, 3],
    ]);
  });

  it("keep shape, stride and offset of views, and what shares memory shares it again", () => {
    const base = torch.arange(12).reshape([3, 4]);
    const views = {
      base,
      transposed: base.T,
      row: base.select(0, 1),
      other: torch.arange(3),
      flat: base.view([12]),
    };
    const back = again(views);
    expect(back.transposed.stride()).toEqual([1, 4]);
    expect(back.row.storageOffset()).toBe(4);
    expect(back.flat.toArray()).toEqual(base.view([12]).toArray());
    const ids = Object.values(back).map((x) => torch.getStorage(x).id);
    expect(new Set(ids).size).toBe(2);
    back.base.fill_(7);
    expect(back.row.toArray()).toEqual([7, 7, 7, 7]);
  });

  it("keep views of one memory as different types", () => {
    const floats = tensor([1, 2, 3, 4]);
    const back = again({ floats, bits: floats.view("int32"), bytes: floats.view("uint8") });
    expect(back.bits.toArray()).toEqual([0x3f800000, 0x40000000, 0x40400000, 0x40800000]);
    expect(torch.getStorage(back.bytes).id).toBe(torch.getStorage(back.floats).id);
  });

  it("keep one object one object, cycles too", () => {
    const list: unknown[] = [];
    list.push(list);
    const x = torch.ones([2]);
    const back = again({ list, first: x, second: x });
    expect(back.list[0]).toBe(back.list);
    expect(back.first).toBe(back.second);
  });

  it("keep parameters, requiresGrad, and lazy conjugates and negatives", () => {
    const complex = torch.complex(tensor([1, 2]), tensor([3, 4]));
    const values = {
      parameter: new nn.Parameter(tensor([1, 2])),
      frozen: new nn.Parameter(tensor([1, 2]), { requiresGrad: false }),
      leaf: torch.ones([1], { requiresGrad: true }),
      conjugate: complex.conj(),
      negative: torch.ops.call("aten::imag", complex.conj()) as torch.Tensor,
    };
    const back = again(values);
    expect(back.parameter).toBeInstanceOf(nn.Parameter);
    expect([back.parameter.requiresGrad, back.frozen.requiresGrad, back.leaf.requiresGrad]).toEqual([
      true,
      false,
      true,
    ]);
    expect(back.frozen).toBeInstanceOf(nn.Parameter);
    expect(back.conjugate.resolveConj().toArray()).toEqual([new Complex(1, -3), new Complex(2, -4)]);
    expect(back.negative.toArray()).toEqual([-3, -4]);
  });

  it("keep sparse tensors of every layout, quantized ones, and ones without memory", () => {
    const dense = tensor([
      [0, 1, 0, 2],
      [3, 0, 0, 0],
    ]);
    const sparse = {
      coo: dense.toSparse(),
      csr: dense.toSparseCsr(),
      csc: dense.toSparseCsc(),
      bsr: dense.toSparseBsr([1, 2]),
      bsc: dense.toSparseBsc([1, 2]),
    };
    for (const [name, x] of Object.entries(sparse)) {
      const back = again(x);
      expect([name, back.layout, back.toDense().toArray()]).toEqual([name, x.layout, dense.toArray()]);
    }
    const quantized = torch.quantizePerTensor(dense, 0.5, 10, "quint8");
    expect(again(quantized).dequantize().toArray()).toEqual(dense.toArray());
    const scales = tensor([0.5, 1], { dtype: "float64" });
    const channels = torch.quantizePerChannel(dense, scales, tensor([1n, 2n]), 0, "qint8");
    expect(again(channels).dequantize().toArray()).toEqual(dense.toArray());
    const meta = torch.zeros([1000, 1000], { device: "meta" });
    expect([again(meta).device, again(meta).shape]).toEqual(["meta", [1000, 1000]]);
  });

  it("leave the storages of what was saved and loaded resizable", () => {
    const x = torch.ones([2]);
    const back = again(x);
    x.resize_([1000]);
    back.resize_([1000]);
    expect([x.numel(), back.numel()]).toEqual([1000, 1000]);
  });

  it("write files with names as given, as URL, and bytes that are the same", () => {
    const value = { a: torch.ones([3]), b: "text" };
    save(value, file("path.pt"));
    save(value, pathToFileURL(file("url.pt")));
    expect(readFileSync(file("path.pt"))).toEqual(readFileSync(file("url.pt")));
    expect(readFileSync(file("path.pt"))).toEqual(Buffer.from(encode(value)));
    const read = (source: URL | Uint8Array) => (load(source) as typeof value).a.toArray();
    expect(read(pathToFileURL(file("path.pt")))).toEqual(read(readFileSync(file("path.pt"))));
  });
});

describe("what Python has and JavaScript does not show", () => {
  it("is remembered: which whole numbers are floats", () => {
    const value = {
      rate: new PyFloat(1),
      step: 1,
      list: [new PyFloat(1), 2],
      all: new Tuple<unknown>(new PyFloat(1), 0.5),
    };
    const back = decode(encode(value)) as { rate: number; step: number; list: number[]; all: number[] };
    expect(back).toEqual({ rate: 1, step: 1, list: [1, 2], all: [1, 0.5] });
    expect(Buffer.compare(encode(back), encode(value))).toBe(0);
    back.rate = 2;
    back.step = 2;
    expect(traitsOf(back).floats).toEqual(new Set(["rate"]));
  });

  it("is remembered: which keys and members of sets are floats", () => {
    const value = {
      map: new Map([[new PyFloat(1), 1]]),
      set: new Set([new PyFloat(2), 0.5]),
      mixed: new Set([new PyFloat(2), 3]),
    };
    const back = decode(encode(value)) as { map: Map<number, number>; set: Set<number>; mixed: Set<number> };
    expect(back).toEqual({ map: new Map([[1, 1]]), set: new Set([2, 0.5]), mixed: new Set([2, 3]) });
    expect(Buffer.compare(encode(back), encode(value))).toBe(0);
  });

  it("is remembered: OrderedDict with attributes, Counter, bytearray, the order of keys like numbers", () => {
    const metadata = { version: 1 };
    const state = orderedDict({ "layer.weight": torch.ones([1]) }, { _metadata: metadata });
    const back = again(state);
    expect(traitsOf(back)).toEqual({ type: "OrderedDict", attributes: { _metadata: metadata } });
    expect(traitsOf(again(back))).toEqual(traitsOf(back));

    // {"b": 1, "1": 2, "0": 3} in this order
    const ordered = decode(
      encode(
        new Map([
          ["b", 1],
          ["1", 2],
          ["0", 3],
        ]),
      ),
    );
    expect(ordered).toEqual({ b: 1, 1: 2, 0: 3 });
    expect(traitsOf(ordered as object).order).toEqual(["b", "1", "0"]);
    expect(traitsOf(again(ordered) as object).order).toEqual(["b", "1", "0"]);
    delete (ordered as Record<string, number>)["1"];
    Object.assign(ordered as object, { c: 4 });
    expect(encode(ordered)).toEqual(
      encode(
        new Map([
          ["b", 1],
          ["0", 3],
          ["c", 4],
        ]),
      ),
    );
  });

  it("does not change what an object is in JavaScript", () => {
    const back = again({ __proto__x: 1, constructor: 2, toString: 3 }) as Record<string, unknown>;
    expect(Object.getPrototypeOf(back)).toBe(Object.prototype);
    const hostile = decode(encode(new Map([["__proto__", { polluted: true }]]))) as Record<string, unknown>;
    expect(Object.keys(hostile)).toEqual(["__proto__"]);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });

  it("is written for layouts and schemes of quantization, and refused for other names", () => {
    const values = [new PythonGlobal("torch", "strided"), new PythonGlobal("torch", "per_tensor_affine")];
    expect(again(values)).toEqual(values);
    expect(() => encode([new PythonGlobal("os", "system")])).toThrow(
      /value at 0 .* os\.system, which torch\.load would refuse/,
    );
  });
});

describe("save", () => {
  it.each([
    ["a function", { f: () => 1 }, /value at f .* it is a function/],
    ["an instance", { a: [new Date()] }, /value at a\.0 .* an instance of Date/],
    ["a Map with objects as keys", { m: new Map([[{}, 1]]) }, /value at m .* object as a key/],
    ["a tuple that contains itself", cyclicTuple(), /contains itself/],
    ["a typed array", { a: new Float32Array(2) }, /instance of Float32Array/],
  ])("refuses %s and says where it is", (_, value, message) => {
    expect(() => save(value, file("refused.pt"))).toThrow(message);
    expect(() => save(value, file("refused.pt"))).toThrow(serialization.SerializationError);
    expect(existsSync(file("refused.pt"))).toBe(false);
  });

  it("leaves nothing half-written: an error keeps the file that was there, and no temporary one", () => {
    const place = mkdtempSync(join(folder, "atomic-"));
    const path = join(place, "a.pt");
    save({ a: 1 }, path);
    const before = readFileSync(path);
    expect(() => save({ a: Symbol("a") }, path)).toThrow();
    const broken = torch.ones([2]);
    broken.dispose();
    expect(() => save({ a: torch.ones([10]), broken }, path)).toThrow();
    expect(readFileSync(path)).toEqual(before);
    expect(readdirSync(place)).toEqual(["a.pt"]);
  });

  it("leaves nothing half-written where the disk is full", () => {
    const place = mkdtempSync(join(folder, "full-"));
    const script = `
      import { save, zeros } from "${import.meta.resolve("@levin/torch")}";
      save({ a: 1 }, "a.pt");
      try { save(zeros([1 << 20]), "a.pt"); } catch (error) { console.log(error.name, error.message); }`;
    // A limit on the size of files stands for the end of the disk.
    const command = `ulimit -f 512 && "${process.execPath}" --input-type=module -e '${script}'`;
    const run = spawnSync("bash", ["-c", command], { cwd: place, encoding: "utf8" });
    expect(run.stdout + run.stderr).toMatch(/SerializationError a\.pt cannot be written: EFBIG/);
    expect(readdirSync(place)).toEqual(["a.pt"]);
    expect(load(join(place, "a.pt"))).toEqual({ a: 1 });
  });

  it("says what the file system says", () => {
    expect(() => save(1, join(folder, "nowhere", "a.pt"))).toThrow(
      /nowhere\/a\.pt cannot be written: ENOENT/,
    );
    expect(() => save(1, folder)).toThrow(/is not a file/);
    expect(() => save(1, "/dev/null")).toThrow(/is not a file/);
    expect(statSync("/dev/null").isCharacterDevice()).toBe(true);
  });

  it("writes through links, and keeps permissions", () => {
    save(1, file("real.pt"));
    chmodSync(file("real.pt"), 0o600);
    symlinkSync("real.pt", file("link.pt"));
    save(2, file("link.pt"));
    expect([readlinkSync(file("link.pt")), load(file("real.pt"))]).toEqual(["real.pt", 2]);
    expect(statSync(file("real.pt")).mode & 0o777).toBe(0o600);
  });

  it("lays entries out as PyTorch does: each begins at a multiple of 64", () => {
    const bytes = Buffer.from(encode({ a: torch.ones([3]), b: torch.ones([5], { dtype: "float64" }) }));
    for (const value of [tensor([1, 1, 1]), torch.ones([5], { dtype: "float64" })]) {
      const array = value.toTypedArray();
      expect(bytes.indexOf(Buffer.from(array.buffer)) % 64).toBe(0);
    }
  });
});

describe("load", () => {
  it("maps tensors of a file into memory with mmap, and writing to them does not change the file", () => {
    const x = torch.randn([100, 100]);
    save({ x, row: x.select(0, 3), empty: torch.zeros([0]) }, file("mapped.pt"));
    const before = readFileSync(file("mapped.pt"));
    const mapped = load(file("mapped.pt"), { mmap: true }) as Record<"x" | "row" | "empty", torch.Tensor>;
    expect(mapped.x.equal(x)).toBe(true);
    expect(torch.getStorage(mapped.row).id).toBe(torch.getStorage(mapped.x).id);
    mapped.x.fill_(1);
    expect(mapped.row.sum().item()).toBe(100);
    // The file may be replaced while it is mapped.
    save({ x: torch.zeros([1]) }, file("mapped.pt"));
    expect(mapped.x.sum().item()).toBe(10_000);
    writeFileSync(file("mapped.pt"), before);
    expect((load(file("mapped.pt")) as typeof mapped).x.equal(x)).toBe(true);
    expect(() => load(before, { mmap: true })).toThrow(/only a file that is given by its path/);
  });

  it("puts tensors where mapLocation says", () => {
    const bytes = encode({ x: torch.ones([2]) });
    const x = (options: torch.serialization.LoadOptions) => (decode(bytes, options) as { x: torch.Tensor }).x;
    expect(x({ mapLocation: "meta" }).device).toBe("meta");
    expect(x({ mapLocation: { cpu: "meta" } }).device).toBe("meta");
    expect(x({ mapLocation: { "cuda:0": "meta" } }).device).toBe("cpu");
    expect(x({ mapLocation: (location) => (location === "cpu" ? "meta" : undefined) }).device).toBe("meta");
    if (!torch.cuda.isAvailable()) {
      expect(() => x({ mapLocation: "cuda" })).toThrow(/"cuda", which is not there; give mapLocation: "cpu"/);
    }
  });

  it("says what is wrong with a file that it cannot read", () => {
    writeFileSync(file("empty.pt"), "");
    writeFileSync(file("text.pt"), "not a checkpoint");
    serialization.saveSafetensors({ a: torch.ones([1]) }, file("a.safetensors"));
    expect(() => load(file("empty.pt"))).toThrow(/empty\.pt: the file is empty/);
    expect(() => load(file("text.pt"))).toThrow(/text\.pt: it is not a file of torch\.save/);
    expect(() => load(file("missing.pt"))).toThrow(/missing\.pt: the file cannot be opened: ENOENT/);
    expect(() => load(folder)).toThrow(/it is not a file/);
    expect(() => load(file("a.safetensors"))).toThrow(/looks like a safetensors file: use loadSafetensors/);
  });

  it("reads files that were written by a process that has ended", () => {
    const script = `import { save, arange } from ${JSON.stringify(import.meta.resolve("@levin/torch"))}; save({ x: arange(3) }, ${JSON.stringify(file("other.pt"))});`;
    execFileSync(process.execPath, ["--input-type=module", "-e", script]);
    expect((load(file("other.pt")) as { x: torch.Tensor }).x.toArray()).toEqual([0, 1, 2]);
  });
});

function cyclicTuple(): unknown {
  const tuple = new Tuple<unknown>();
  tuple.push(tuple);
  return tuple;
}
