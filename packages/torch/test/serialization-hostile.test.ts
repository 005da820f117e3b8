import { deflateRawSync } from "node:zlib";
import * as torch from "@levin/torch";
import { describe, expect, it } from "vitest";
import { pickle, tar, text, torchZip, uint, unzip, zip } from "./serialization-fixtures/archives.mjs";

const { serialization } = torch;
const { decode, encode, load } = serialization;

type Parts = Parameters<typeof pickle>;

/** What is said of a pickle that is refused, with storages of 8 bytes beside it. */
const refusal = (...parts: Parts) => {
  let message = "";
  expect(() => {
    try {
      decode(torchZip(pickle(...parts), [Buffer.alloc(8), Buffer.alloc(8)]));
    } catch (error) {
      message = (error as Error).message;
      throw error;
    }
  }).toThrow(serialization.SerializationError);
  return message;
};

const long = (value: number | bigint) => pickle("\x8a\x08", uint(BigInt.asUintN(64, BigInt(value)), 8));
const storage = (count: Uint8Array, key = "0", type = "torch\nFloatStorage") =>
  pickle("(", text("storage"), `c${type}\n`, text(key), text("cpu"), count, "tQ");
const tuple = (...values: (number | bigint)[]) => pickle("(", ...values.map(long), "t");
const tensor = (
  offset: number | bigint,
  size: Uint8Array,
  stride: Uint8Array,
  of = storage(pickle("K\x02")),
) =>
  pickle(
    "ctorch._utils\n_rebuild_tensor_v2\n(",
    of,
    long(offset),
    size,
    stride,
    "\x89ccollections\nOrderedDict\n)RtR",
  );

describe("a pickle cannot", () => {
  it("reach outside of a storage", () => {
    const outside = /reaches outside its storage of 2 elements/;
    expect(refusal(tensor(0, tuple(3), tuple(1)), ".")).toMatch(outside);
    expect(refusal(tensor(2, tuple(1), tuple(1)), ".")).toMatch(outside);
    expect(refusal(tensor(0, tuple(2), tuple(2)), ".")).toMatch(outside);
    expect(refusal(tensor(0, tuple(2), tuple(2n ** 53n - 1n)), ".")).toMatch(outside);
    expect(refusal(tensor(2n ** 53n - 1n, tuple(2), tuple(1)), ".")).toMatch(outside);
    expect(refusal(tensor(0, tuple(2n ** 40n, 2n ** 40n), tuple(0, 0)), ".")).toMatch(outside);
    expect(refusal(tensor(-1, tuple(1), tuple(1)), ".")).toMatch(
      /offset must be an integer that is not negative, it is -1/,
    );
    expect(refusal(tensor(0, tuple(1), tuple(-1)), ".")).toMatch(
      /stride must be an integer that is not negative/,
    );
    expect(refusal(tensor(0, tuple(2n ** 63n - 1n), tuple(1)), ".")).toMatch(/size must be/);
    expect(refusal(tensor(0, tuple(1, 1), tuple(1)), ".")).toMatch(/2 sizes but 1 strides/);
  });

  it("name a storage that is not there, or not as large as it says", () => {
    expect(refusal(storage(pickle("K\x03")), ".")).toMatch(/the storage "0" has 8 bytes; tensors expect 12/);
    expect(refusal(storage(long(2n ** 48n)), ".")).toMatch(/has 8 bytes/);
    expect(refusal(storage(long(-1)), ".")).toMatch(/the number of elements of a storage is -1/);
    expect(refusal(storage(pickle("K\x02"), "../data.pkl"), ".")).toMatch(/no "data\/\.\.\/data\.pkl"/);
    expect(refusal(storage(pickle("K\x02"), "0", "os\nFloatStorage"), ".")).toMatch(/os\.FloatStorage/);
    expect(refusal(")Q.")).toMatch(/not a storage/);
    expect(refusal("NQ.")).toMatch(/not a storage/);
  });

  it("make indices of sparse tensors that reach outside of their shape", () => {
    const index = (value: number) => {
      const bytes = Buffer.alloc(8);
      bytes.writeBigInt64LE(BigInt(value));
      return bytes;
    };
    const sparse = (layout: string, indices: Uint8Array[], shape: Uint8Array) =>
      pickle(
        "ctorch._utils\n_rebuild_sparse_tensor\nctorch.serialization\n_get_layout\n",
        text(`torch.${layout}`),
        "\x85R(",
        ...indices,
        shape,
        "t\x86R.",
      );
    const ones = tensor(0, tuple(1), tuple(1), storage(pickle("K\x01"), "1"));
    const indices = tensor(0, tuple(1, 1), tuple(1, 1), storage(pickle("K\x01"), "0", "torch\nLongStorage"));
    const coo = (value: number, shape = tuple(3)) =>
      decode(
        torchZip(sparse("sparse_coo", [indices, ones], shape), [
          index(value),
          Buffer.from(Float32Array.of(5).buffer),
        ]),
      );
    expect((coo(2) as torch.Tensor).toDense().toArray()).toEqual([0, 0, 5]);
    for (const value of [3, -1, 2 ** 40]) expect(() => coo(value)).toThrow(/a tensor cannot be made/);
    expect(() => coo(0, tuple(3, 3))).toThrow(/a tensor cannot be made/);

    const compressed = tensor(0, tuple(2), tuple(1), storage(pickle("K\x02"), "2", "torch\nLongStorage"));
    const plain = tensor(0, tuple(1), tuple(1), storage(pickle("K\x01"), "0", "torch\nLongStorage"));
    const csr = (value: number, last: number) =>
      decode(
        torchZip(sparse("sparse_csr", [compressed, plain, ones], tuple(1, 3)), [
          index(value),
          Buffer.from(Float32Array.of(5).buffer),
          Buffer.concat([index(0), index(last)]),
        ]),
      );
    expect((csr(2, 1) as torch.Tensor).toDense().toArray()).toEqual([[0, 0, 5]]);
    expect(() => csr(3, 1)).toThrow(/a tensor cannot be made/);
    expect(() => csr(2, 100)).toThrow(/a tensor cannot be made/);

    // A stride of 0 would make the check go through as many indices as the file likes to say.
    const repeated = tensor(
      0,
      tuple(1, 2n ** 40n),
      tuple(0, 0),
      storage(pickle("K\x01"), "0", "torch\nLongStorage"),
    );
    expect(refusal(sparse("sparse_coo", [repeated, ones], tuple(3)))).toMatch(
      /more elements than its storage/,
    );
    expect(refusal(sparse("sparse_coo", [indices], tuple(3)))).toMatch(/must have tensors/);
    expect(refusal(sparse("strided", [indices, ones], tuple(3)))).toMatch(
      /layout of a sparse tensor is not known/,
    );
  });

  it("make quantized tensors whose scales do not fit", () => {
    const quantized = (
      parameters: Uint8Array,
      of = storage(pickle("K\x02"), "0", "torch\nQInt8Storage"),
      size = tuple(2),
    ) => pickle("ctorch._utils\n_rebuild_qtensor\n(", of, "K\0", size, tuple(1), parameters, "\x89N", "tR.");
    const scales = tensor(0, tuple(1), tuple(1));
    expect(refusal(quantized(pickle("(ctorch\nper_channel_affine\n", scales, scales, "K\0t")))).toMatch(
      /with these parameters is not known/,
    );
    expect(refusal(quantized(pickle("(ctorch\nper_channel_affine\n", scales, scales, "K\x05t")))).toMatch(
      /not known/,
    );
    expect(refusal(quantized(pickle("(ctorch\nper_tensor_affine\n", text("a"), "K\0t")))).toMatch(
      /scale must be a number/,
    );
    expect(refusal(quantized(pickle(")")))).toMatch(/axis must be/);
    expect(
      refusal(quantized(pickle("(ctorch\nper_tensor_affine\nK\x01K\0t"), storage(pickle("K\x02")))),
    ).toMatch(/quantized type/);
    expect(
      refusal(tensor(0, tuple(2), tuple(1), storage(pickle("K\x02"), "0", "torch\nQInt8Storage")), "."),
    ).toMatch(/has no scale/);
  });

  it("nest deeper than a stack, but may be a cycle", () => {
    expect(refusal("]".repeat(90_000), "a".repeat(89_999), ".")).toMatch(/nested deeper than 10000/);
    expect(refusal("N", "\x85".repeat(90_000), ".")).toMatch(/nested deeper than 10000/);
    const cycle = decode(torchZip(pickle("]q\0h\0a."))) as unknown[];
    expect(cycle[0]).toBe(cycle);
    const dict = decode(torchZip(pickle("}q\0", text("a"), "h\0s."))) as Record<string, unknown>;
    expect(dict.a).toBe(dict);
    const tuple = decode(torchZip(pickle("]q\0h\0\x85a."))) as unknown[][];
    expect(tuple[0]?.[0]).toBe(tuple);
  });

  it("become larger than it is: sharing stays sharing, and copies are counted", () => {
    // Each list has the one before it ten times: 10 to the 30 elements, if they were not one object.
    const levels = Array.from({ length: 30 }, (_, i) =>
      pickle("]q", i + 1, "(", pickle("h", i).toString("latin1").repeat(10), "e"),
    );
    const shared = decode(torchZip(pickle("]q\0", ...levels, "."))) as unknown[];
    expect(shared[0]).toBe(shared[9]);

    // The same by copies: what a shared list contains is shared too.
    const copy = (i: number) => pickle("c__builtin__\ntuple\nh", i, "\x85R");
    const copies = Array.from({ length: 60 }, (_, i) => pickle("]q", i + 1, "(", copy(i), copy(i), "e"));
    expect(decode(torchZip(pickle("]q\0(]]e", ...copies, ".")))).toHaveLength(2);

    const more = /more than its size can explain/;
    const many = pickle("](", "K\x01".repeat(50_000), "eq\0");
    expect(refusal(many, "c__builtin__\nset\nq\x01", "h\x01h\0\x85R".repeat(1000), ".")).toMatch(more);
    expect(refusal(many, "c__builtin__\ntuple\nq\x01", "h\x01h\0\x85R".repeat(1000), ".")).toMatch(more);
    const dict = pickle(
      "}(",
      ...Array.from({ length: 20_000 }, (_, i) => pickle(text(`a${i}`), "N")),
      "uq\0ccollections\nOrderedDict\nq\x01)R",
    );
    expect(refusal(dict, "h\0b".repeat(100_000), ".")).toMatch(more);
    const words = pickle(text("a".repeat(100_000)), "q\0", text("latin1"), "q\x02c_codecs\nencode\nq\x01");
    expect(refusal(words, "h\x01h\0h\x02\x86R".repeat(100_000), ".")).toMatch(more);
    expect(
      refusal(
        storage(pickle("K\x02")),
        "q\0ctorch._utils\n_rebuild_tensor\nq\x01",
        "h\x01(h\0K\0))tR".repeat(200_000),
        ".",
      ),
    ).toMatch(more);
    expect(refusal("]".repeat(300_000), ".")).toMatch(more);
  });

  it("have texts, integers or lines longer than the file", () => {
    const early = /the data ends too early/;
    for (const code of ["X", "B", "T", "\x8b"])
      expect(refusal(code, uint(0xfffffff0), ".")).toMatch(/ends too early|longer than the 65536/);
    for (const code of ["\x8d", "\x8e", "\x96"])
      expect(refusal(code, uint(2n ** 63n, 8), ".")).toMatch(early);
    expect(refusal("L", "9".repeat(5000), "L\n.")).toMatch(/is not an integer/);
    expect(refusal("c", "a".repeat(2 ** 21), "\na\n.")).toMatch(/a line of more than/);
    expect(refusal("I12")).toMatch(early);
    expect(refusal("")).toMatch(early);
  });

  it("misuse its stack, marks and memo", () => {
    for (const parts of [
      ".",
      "0.",
      "2.",
      "a.",
      "s.",
      "R.",
      "b.",
      "\x85.",
      "\x87.",
      "\x93.",
      "Na.",
      "K\x01K\x02s.",
    ]) {
      expect(refusal(parts)).toMatch(/takes more from its stack|not a list|not a dictionary/);
    }
    for (const parts of ["t.", "l.", "u.", "e.", "1.", "o.", "d."])
      expect(refusal(parts)).toMatch(/takes a mark/);
    expect(refusal("h\x07.")).toMatch(/entry 7 of its memo, which is not there/);
    expect(refusal("j", uint(0xffffffff), ".")).toMatch(/memo/);
    expect(refusal("g-1\n.")).toMatch(/is not an index of the memo/);
    expect(refusal("}]Ns.")).toMatch(/a list, dictionary, set or bytearray is used as a key/);
    expect(refusal("}(K\x01u.")).toMatch(/a key without a value/);
    expect(refusal("NNR.")).toMatch(/arguments that are not a tuple/);
    expect(refusal("N)R.")).toMatch(/calls something that is not a function/);
    expect(refusal("NNb.")).toMatch(/sets the state of something that has none/);
    expect(decode(torchZip(pickle("Nr", uint(0xffffffff), "0j", uint(0xffffffff), ".")))).toBeNull();
  });

  it("call what may be called in another way than Python would", () => {
    for (const name of [
      "torch\nSize",
      "torch\ndevice",
      "__builtin__\nset",
      "__builtin__\nbytearray",
      "__builtin__\ncomplex",
      "_codecs\nencode",
      "collections\nCounter",
      "torch.nn.parameter\nParameter",
      "torch._utils\n_rebuild_tensor_v2",
      "torch._utils\n_rebuild_meta_tensor_no_storage",
      "torch._tensor\n_rebuild_from_type_v2",
    ]) {
      const message = refusal(`c${name}\n(K\x01NK\x02t`, "R.");
      expect(message, name).toContain(name.replace("__builtin__", "builtins").replace("\n", "."));
    }
    expect(refusal("ctorch\nfloat32\n)R.")).toMatch(/torch\.float32, which is not among what may be called/);
    expect(refusal("cnumpy.core.multiarray\n_reconstruct\n)R.")).toMatch(/an array of NumPy has no values/);
    expect(refusal("ctorch.nn.parameter\nParameter\n)\x81.")).toMatch(/a parameter is made of nothing/);
    expect(
      refusal(
        "ctorch._utils\n_rebuild_meta_tensor_no_storage\n(ctorch\nfloat32\n",
        tuple(2n ** 50n, 2n ** 50n),
        tuple(1, 1),
        "\x89tR.",
      ),
    ).toMatch(/impossible/);
  });

  it("hide behind keys that are no texts", () => {
    const levels = Array.from({ length: 40 }, () => "2\x86");
    // As a text, the key would be 2 to the 40 letters long.
    expect(
      refusal("(", text("storage"), "ctorch\nFloatStorage\n)", ...levels, text("cpu"), "K\x02tQ."),
    ).toMatch(/not a storage/);
    expect(refusal(storage(pickle(")", ...levels)), ".")).toMatch(/elements of a storage is a Tuple/);
  });
});

describe("a zip file cannot", () => {
  const file = encode({ x: torch.ones([100]) });
  const entries = () => unzip(file.slice());
  const broken = (change: (entries: ReturnType<typeof unzip>) => unknown) => {
    const all = entries();
    change(all);
    return () => decode(zip(all));
  };
  const named = (all: ReturnType<typeof unzip>, name: string) => {
    const entry = all.find((candidate) => candidate.name.endsWith(name));
    if (entry === undefined) throw new Error(name);
    return entry;
  };

  it("have entries that are damaged, compressed in odd ways, encrypted, there twice, or overlap", () => {
    expect(broken(() => {})()).toMatchObject({});
    expect(broken((all) => named(all, "data/0").bytes.fill(1, 0, 4))).toThrow(
      /"archive\/data\/0" .* its checksum is wrong/,
    );
    expect(broken((all) => Object.assign(named(all, "data.pkl"), { crc: 1 }))).toThrow(
      /data\.pkl" .* its checksum is wrong/,
    );
    expect(broken((all) => Object.assign(named(all, "data/0"), { method: 12 }))).toThrow(
      /other than deflate/,
    );
    expect(broken((all) => Object.assign(named(all, "data/0"), { flags: 1 }))).toThrow(/is encrypted/);
    expect(broken((all) => all.push(named(all, "data/0")))).toThrow(/it has two entries/);
    expect(broken((all) => Object.assign(named(all, "/version"), { offset: 0 }))).toThrow(/overlap/);
    expect(broken((all) => Object.assign(named(all, "data/0"), { size: 10 }))).toThrow(
      /contradict each other/,
    );
    expect(
      broken((all) => Object.assign(named(all, "data/0"), { size: 2 ** 31, storedSize: 2 ** 31 })),
    ).toThrow(/lies outside/);
    expect(broken((all) => Object.assign(named(all, "data/0"), { offset: 2 ** 31 }))).toThrow(/lies outside/);
    expect(
      broken((all) => Object.assign(named(all, "data/0"), { size: 0xffffffff, storedSize: 0xffffffff })),
    ).toThrow(/has no size/);
  });

  it("miss a part", () => {
    expect(broken((all) => all.splice(all.indexOf(named(all, "data.pkl")), 1))).toThrow(
      /it has no data\.pkl/,
    );
    expect(broken((all) => all.splice(all.indexOf(named(all, "data/0")), 1))).toThrow(/no "data\/0"/);
    expect(
      broken((all) => Object.assign(named(all, "/version"), { bytes: Buffer.from("99"), crc: 0 })),
    ).toThrow(/version 99/);
    for (let length = 4; length < file.length; length += 97)
      expect(() => decode(file.subarray(0, length))).toThrow(serialization.SerializationError);
  });

  it("be a bomb", () => {
    const all = entries();
    const entry = named(all, "data/0");
    const packed = { ...entry, method: 8, bytes: deflateRawSync(entry.bytes) };
    // Compressed entries are read, as PyTorch does.
    const others = all.filter((candidate) => candidate !== entry);
    expect((decode(zip([...others, packed])) as { x: torch.Tensor }).x.sum().item()).toBe(100);
    const bomb = deflateRawSync(Buffer.alloc(100_000_000));
    expect(() => decode(zip([...others, { ...packed, bytes: bomb, size: 100_000_000 }]))).toThrow(
      /expands to 100000000/,
    );
    expect(() => decode(zip([...others, { ...packed, bytes: bomb }]))).toThrow(/its checksum is wrong/);
  });
});

describe("an old file cannot", () => {
  const header = pickle(
    "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}.",
  );
  const legacy = (root: Uint8Array, keys: Uint8Array, data: Uint8Array) =>
    Buffer.concat([header, pickle("\x80\x02", root, "."), pickle("\x80\x02", keys, "."), data]);
  const part = (view: Uint8Array) =>
    pickle("(", text("storage"), "ctorch\nFloatStorage\n", text("0"), text("cpu"), "K\x02", view, "tQ");
  const keys = pickle("]", text("0"), "a");
  const data = Buffer.concat([uint(2, 8), Buffer.from(Float32Array.of(1, 2).buffer)]);

  it("have storages that are not there, of another size, or parts outside of them", () => {
    expect((decode(legacy(part(pickle("N")), keys, data)) as torch.Tensor).toArray()).toEqual([1, 2]);
    expect(
      (decode(legacy(part(pickle(text("v"), "K\x01K\x01\x87")), keys, data)) as torch.Tensor).toArray(),
    ).toEqual([2]);
    expect(() => decode(legacy(part(pickle(text("v"), "K\x01K\x02\x87")), keys, data))).toThrow(
      /a part of a storage lies outside/,
    );
    expect(() => decode(legacy(part(pickle("N")), pickle("]"), data))).toThrow(/the storage "0" is missing/);
    expect(() => decode(legacy(part(pickle("N")), pickle("](", text("0"), text("0"), "e"), data))).toThrow(
      /there twice/,
    );
    expect(() => decode(legacy(part(pickle("N")), pickle("]K\x05a"), data))).toThrow(/5 is not used/);
    expect(() =>
      decode(legacy(part(pickle("N")), keys, Buffer.concat([uint(2n ** 62n, 8), Buffer.alloc(8)]))),
    ).toThrow(/elements, not the 2/);
    expect(() => decode(legacy(part(pickle("N")), keys, data.subarray(0, 12)))).toThrow(/truncated/);
    expect(() => decode(pickle("\x80\x02N."))).toThrow(/not one of torch\.save/);
  });

  it("be a tar file with sizes that are impossible", () => {
    const good = [
      { name: "pickle", bytes: pickle("\x80\x02", text("8"), "Q.") },
      {
        name: "tensors",
        bytes: pickle(
          "\x80\x02K\x01.\x80\x02(K\x08K\x07Nt.",
          uint(1),
          uint(0),
          uint(2, 8),
          uint(1, 8),
          uint(0, 8),
        ),
      },
      {
        name: "storages",
        bytes: pickle(
          "\x80\x02K\x01.\x80\x02(K\x07",
          text("cpu"),
          "ctorch\nFloatStorage\nt.",
          data,
          "\x80\x02].",
        ),
      },
    ];
    const changed = (name: string, bytes: Uint8Array) => () =>
      decode(tar(good.map((entry) => (entry.name === name ? { name, bytes } : entry))));
    expect((decode(tar(good)) as torch.Tensor).toArray()).toEqual([1, 2]);
    expect(() => decode(tar(good.slice(1)))).toThrow(/it has no pickle/);
    expect(changed("pickle", pickle("\x80\x02", text("9"), "Q."))).toThrow(/a tensor that is not there/);
    expect(
      changed("tensors", pickle("\x80\x02K\x01.\x80\x02(K\x08K\x07Nt.", uint(0xffffffff), uint(0))),
    ).toThrow(/has -1 dimensions/);
    expect(changed("tensors", pickle("\x80\x02J\xff\xff\xff\x7f."))).toThrow(/ends too early/);
    expect(
      changed(
        "tensors",
        pickle("\x80\x02K\x01.\x80\x02(K\x08K\x07Nt.", uint(1), uint(0), uint(3, 8), uint(1, 8), uint(0, 8)),
      ),
    ).toThrow(/outside/);
    expect(
      changed(
        "storages",
        pickle("\x80\x02K\x01.\x80\x02(K\x07", text("cpu"), "ctorch\nFloatStorage\nt.", uint(2n ** 40n, 8)),
      ),
    ).toThrow(/ends too early/);
    const bytes = tar(good);
    bytes.write("77777777777", 124, "latin1");
    expect(() => decode(bytes)).toThrow(/damaged or truncated/);
  });
});

it("a file that is no regular one is not waited for", () => {
  expect(() => load("/dev/zero")).toThrow(/it is not a file/);
});
