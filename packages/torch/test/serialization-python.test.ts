import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as torch from "@levin/torch";
import { describe, expect, it } from "vitest";
import { pickle, tar, text, torchZip, uint, unzip, zip } from "./serialization-fixtures/archives.mjs";

const { Complex, serialization } = torch;
const { decode, encode, load, PythonObject, Size, traitsOf, Tuple } = serialization;

const fixtures = fileURLToPath(new URL("../../../oracle/fixtures/numerics/checkpoints", import.meta.url));

/** What a pickle is read as. Its instructions are in the form that Python's pickletools writes them about. */
const read = (...parts: Parameters<typeof pickle>) => decode(torchZip(pickle(...parts)));

const storage = (type: string, count: number, key = "0") =>
  pickle("(", text("storage"), `ctorch\n${type}\n`, text(key), text("cpu"), "K", count, "tQ");

/** The instructions for a float32 tensor of one dimension over storage 0. */
const vector = (count: number) =>
  pickle(
    "ctorch._utils\n_rebuild_tensor_v2\n(",
    storage("FloatStorage", count),
    "K\0K",
    count,
    "\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtR",
  );

const float32 = (...values: number[]) => Buffer.from(Float32Array.from(values).buffer);

describe("pickles of every protocol", () => {
  it("of protocol 0 and 1: texts and numbers in letters, marks, instances of old classes", () => {
    expect(
      read("(dp0\nVa\np1\nI12\nsS'b\\n'\nF1.5\nsVc\\u20ac\nL99999999999999999999L\nsVd\nI01\ns."),
    ).toEqual({
      a: 12,
      "b\n": 1.5,
      "c€": 99999999999999999999n,
      d: true,
    });
    expect(read("(lI1\naI2\na.")).toEqual([1, 2]);
    expect(read("(I1\nI2\nt.")).toEqual(new Tuple(1, 2));
    expect(read("(VOrderedDict\n0(icollections\nOrderedDict\n.")).toEqual({});
    expect(read("(ccollections\nOrderedDict\no.")).toEqual({});
    expect(read("U\x01aq\0h\x00\x86.")).toEqual(new Tuple("a", "a"));
  });

  it("of protocol 2: short tuples, booleans, long integers", () => {
    expect(read("\x80\x02(\x88\x89N\x8a\x09", uint(0, 8), "\x01\x8a\0\x8b", uint(2), "\xff\xfft.")).toEqual(
      new Tuple<unknown>(true, false, null, 2n ** 64n, 0, -1),
    );
  });

  it("of protocol 3: bytes", () => {
    expect(read("\x80\x03C\x02\x00\xff.")).toEqual(new Uint8Array([0, 255]));
    expect(read("\x80\x03B", uint(1), "a.")).toEqual(new Uint8Array([97]));
  });

  it("of protocol 4: frames, short texts, sets, names from the stack, NEWOBJ_EX", () => {
    const frame = (...parts: Parameters<typeof pickle>) =>
      pickle("\x80\x04\x95", uint(pickle(...parts).length, 8), ...parts);
    expect(read(frame("\x8f\x94(K\x01\x8c\x01a\x90."))).toEqual(new Set([1, "a"]));
    expect(read(frame("(K\x01K\x02\x91\x94."))).toEqual(new Set([1, 2]));
    expect(read(frame("\x8c\x0bcollections\x94\x8c\x0bOrderedDict\x94\x93\x94)R."))).toEqual({});
    expect(read(frame("\x8c\x05torch\x8c\x04Size\x93(K\x01K\x02\x86t}\x92."))).toEqual(new Size(1, 2));
    expect(read(frame("\x8d", uint(1, 8), "a."))).toBe("a");
  });

  it("of protocol 5: bytearrays", () => {
    const made = read("\x80\x05\x96", uint(2, 8), "ab\x94.") as Uint8Array;
    expect(made).toEqual(new Uint8Array([97, 98]));
    expect(traitsOf(made).type).toBe("bytearray");
  });

  it("refuses protocols that do not exist, and instructions that have no place in such a file", () => {
    expect(() => read("\x80\x06N.")).toThrow(/pickle protocol 6 is not known/);
    expect(() => read("\x80\x02\x82\x01.")).toThrow(/the instruction 0x82/);
  });
});

describe("classes of Python", () => {
  it("become plain objects, Maps, arrays and Sets", () => {
    expect(read("ccollections\nCounter\n}", text("a"), "K\x02s\x85R.")).toEqual({ a: 2 });
    expect(read("ccollections\ndefaultdict\nc__builtin__\nlist\n\x85R", text("a"), "]s.")).toEqual({ a: [] });
    expect(
      read("ccollections\nOrderedDict\n](", text("a"), "K\x01\x86", text("b"), "K\x02\x86e\x85R."),
    ).toEqual({ a: 1, b: 2 });
    expect(read("c__builtin__\nset\n](K\x01K\x02e\x85R.")).toEqual(new Set([1, 2]));
    expect(read("c__builtin__\nfrozenset\n](K\x01e\x85R.")).toEqual(new Set([1]));
    expect(read("c__builtin__\ncomplex\nG", uint(0, 8), "G", uint(0, 8), "\x86R.")).toEqual(
      new Complex(0, 0),
    );
    expect(read("c_codecs\nencode\n", text("aÿ"), text("latin1"), "\x86R.")).toEqual(
      new Uint8Array([97, 255]),
    );
    expect(String(read("ctorch\ndevice\n", text("cuda"), "K\x01\x86R."))).toBe("cuda:1");
    expect(String(read("ctorch\nfloat16\n."))).toBe("float16");
  });

  it("of NumPy become tensors and numbers", () => {
    const dtype = (code: string, order = "<") =>
      pickle(
        "cnumpy\ndtype\n",
        text(code),
        "\x89\x88\x87R(K\x03",
        text(order),
        "NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb",
      );
    const bytes = (content: Uint8Array) => pickle("C", content.length, content);
    const scalar = (code: string, content: Uint8Array, order?: string) =>
      read("\x80\x03cnumpy.core.multiarray\nscalar\n", dtype(code, order), bytes(content), "\x86R.");
    expect(scalar("f4", float32(1.5))).toBe(1.5);
    expect(scalar("f2", Buffer.of(0, 0x3c))).toBe(1);
    expect(scalar("i8", uint(2n ** 63n, 8))).toBe(-(2n ** 63n));
    expect(scalar("u2", Buffer.of(1, 2), ">")).toBe(0x0102);
    expect(scalar("b1", Buffer.of(1))).toBe(true);
    expect(scalar("c8", float32(1, 2))).toEqual(new Complex(1, 2));
    expect(() => scalar("U1", Buffer.alloc(4))).toThrow(/"U1"; only booleans, integers, floats/);

    const array = (fortran: string, content: Uint8Array) =>
      read(
        "\x80\x03cnumpy._core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85C\x01b\x87R(K\x01K\x02K\x03\x86",
        dtype("f4"),
        fortran,
        bytes(content),
        "tb.",
      ) as torch.Tensor;
    expect(array("\x89", float32(1, 2, 3, 4, 5, 6)).toArray()).toEqual([
      [1, 2, 3],
      [4, 5, 6],
    ]);
    expect(array("\x88", float32(1, 2, 3, 4, 5, 6)).toArray()).toEqual([
      [1, 3, 5],
      [2, 4, 6],
    ]);
    expect(() => array("\x89", float32(1, 2))).toThrow(/shape \[2,3\] has 8 bytes/);
    // Whole floats are written as floats again.
    const list = read(
      "\x80\x03]cnumpy.core.multiarray\nscalar\n",
      dtype("f8"),
      bytes(Buffer.from(Float64Array.of(2).buffer)),
      "\x86Ra.",
    );
    expect(traitsOf(list as object).floats).toBe("all");
  });

  it("that may not be loaded are named, and are records with weightsOnly: false or in safeGlobals", () => {
    const bytes = torchZip(
      pickle("cargparse\nNamespace\n)\x81}", text("lr"), "G?\xb9\x99\x99\x99\x99\x99\x9asb."),
    );
    expect(() => decode(bytes)).toThrow(
      /the file names argparse\.Namespace, which is not among what may be loaded safely/,
    );
    const want = Object.assign(new PythonObject("argparse", "Namespace", []), { state: { lr: 0.1 } });
    expect(decode(bytes, { weightsOnly: false })).toEqual(want);
    expect(decode(bytes, { safeGlobals: ["argparse.Namespace"] })).toEqual(want);
    expect(() => decode(bytes, { safeGlobals: ["argparse"] })).toThrow(/argparse\.Namespace/);
  });

  it("never run code", () => {
    const marker = `levin_${process.pid}`;
    const hostile = torchZip(pickle("cposix\nsystem\n", text(`touch /tmp/${marker}`), "\x85R."));
    expect(() => decode(hostile)).toThrow(/posix\.system/);
    expect(decode(hostile, { weightsOnly: false })).toEqual(
      new PythonObject("posix", "system", [`touch /tmp/${marker}`]),
    );
    expect(() => decode(torchZip(pickle("c__builtin__\neval\n.")))).toThrow(/builtins\.eval/);
  });
});

describe("tensors in other forms", () => {
  it("of a big-endian machine are turned around", () => {
    const swapped = Buffer.from(float32(1, 2)).swap32();
    const file = (order: string) => {
      const bytes = torchZip(pickle("\x80\x02", vector(2), "."), [swapped]);
      const entries = { name: "a/byteorder", bytes: Buffer.from(order) };
      return withEntry(bytes, entries);
    };
    expect((decode(file("big")) as torch.Tensor).toArray()).toEqual([1, 2]);
    expect(() => decode(file("middle"))).toThrow(/"middle" is not known/);
  });

  it("of PyTorch before 0.4: parameters with their state apart", () => {
    const state = pickle("(", vector(2), "NN\x88\x89t");
    const made = read2("ctorch.nn.parameter\nParameter\n)\x81", state, "b.") as torch.nn.Parameter;
    expect([made.toArray(), made.requiresGrad]).toEqual([[1, 2], true]);
    expect(made).toBeInstanceOf(torch.nn.Parameter);
  });

  it("of PyTorch before 1.6 (recorded)", () => {
    const state = load(join(fixtures, "legacy.pt")) as Record<string, torch.Tensor>;
    expect(state["0.weight"]?.shape).toEqual(
      (load(join(fixtures, "state_dict.pt")) as typeof state)["0.weight"]?.shape,
    );
  });

  it("of PyTorch before 0.1.10: a tar file", () => {
    const file = tar([
      { name: "sys_info", bytes: pickle("\x80\x02}.") },
      {
        name: "pickle",
        bytes: pickle("\x80\x02}", text("w"), text("8"), "Qs", text("part"), text("9"), "Qs."),
      },
      {
        name: "tensors",
        bytes: pickle(
          "\x80\x02K\x02.",
          [
            "\x80\x02(K\x08K\x07ctorch\nFloatTensor\nt.",
            uint(2),
            uint(0),
            ...[2, 2, 1, 2, 0].map((n) => uint(n, 8)),
          ],
          [
            "\x80\x02(K\x09K\x06ctorch\nFloatTensor\nt.",
            uint(1),
            uint(0),
            ...[2, 1, 0].map((n) => uint(n, 8)),
          ],
        ),
      },
      {
        name: "storages",
        bytes: pickle(
          "\x80\x02K\x01.\x80\x02(K\x07",
          text("cpu"),
          "ctorch\nFloatStorage\nt.",
          uint(4, 8),
          float32(1, 2, 3, 4),
          "\x80\x02](K\x06K\x07K\x02K\x02ta.",
        ),
      },
    ]);
    const state = decode(file) as Record<"w" | "part", torch.Tensor>;
    expect([state.w.toArray(), state.w.stride()]).toEqual([
      [
        [1, 3],
        [2, 4],
      ],
      [1, 2],
    ]);
    expect(state.part.toArray()).toEqual([3, 4]);
    expect(torch.getStorage(state.part).id).toBe(torch.getStorage(state.w).id);
  });

  it("with attributes keep them", () => {
    const bytes = pickle(
      "ctorch._tensor\n_rebuild_from_type_v2\n(ctorch._utils\n_rebuild_tensor_v2\nctorch\nTensor\n(",
      storage("FloatStorage", 2),
      "K\0K\x02\x85K\x01\x85\x89ccollections\nOrderedDict\n)Rt}",
      text("note"),
      "K\x07stR.",
    );
    const made = read2(bytes) as torch.Tensor;
    expect([made.toArray(), traitsOf(made).attributes]).toEqual([[1, 2], { note: 7 }]);
    expect(traitsOf(decode(encode(made)) as object).attributes).toEqual({ note: 7 });
  });

  it("whole modules and TorchScript are refused with the reason", () => {
    expect(() => read("\x80\x02(", text("module"), "NNNtQ.")).toThrow(/a whole Module, which is Python code/);
    const script = withEntry(torchZip(pickle("N.")), { name: "a/constants.pkl", bytes: Buffer.of() });
    expect(() => decode(script)).toThrow(/a TorchScript archive/);
  });
});

/** Like `read`, with a storage that holds 1 and 2. */
function read2(...parts: Parameters<typeof pickle>): unknown {
  return decode(torchZip(pickle(...parts), [float32(1, 2)]));
}

function withEntry(file: Uint8Array, entry: { name: string; bytes: Uint8Array }): Uint8Array {
  return zip([...unzip(file), entry]);
}
