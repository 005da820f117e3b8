import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as torch from "@levin/torch";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const { serialization, tensor } = torch;
const { loadSafetensors, loadSafetensorsMetadata, saveSafetensors } = serialization;

let folder: string;
let path: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "levin-safetensors-"));
  path = join(folder, "a.safetensors");
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A file with this header, and so many bytes of data. */
function file(header: unknown, size: number, length?: bigint): Buffer {
  const json = Buffer.from(typeof header === "string" ? header : JSON.stringify(header));
  const start = Buffer.alloc(8);
  start.writeBigUInt64LE(length ?? BigInt(json.length));
  return Buffer.concat([start, json, Buffer.alloc(size, 1)]);
}

const entry = (dtype: string, shape: number[], begin: number, end: number) => ({
  dtype,
  shape,
  data_offsets: [begin, end],
});

describe("safetensors", () => {
  it("give back tensors of every type that the format has, and the metadata", () => {
    const dtypes = torch.dtypes.filter((name) => !/^(q|complex32|complex128)/.test(name));
    const tensors = Object.fromEntries(dtypes.map((dtype) => [dtype, tensor([0, 1, 1]).to(dtype)]));
    saveSafetensors(tensors, path, { metadata: { format: "pt", note: "ä\n" } });
    const back = loadSafetensors(path);
    expect(Object.keys(back).sort()).toEqual([...dtypes].sort());
    for (const dtype of dtypes) {
      expect([back[dtype]?.dtype, back[dtype]?.float().toArray()]).toEqual([
        dtype,
        tensors[dtype]?.float().toArray(),
      ]);
    }
    expect(loadSafetensorsMetadata(path)).toEqual({ format: "pt", note: "ä\n" });
  });

  it("write views, conjugates and tensors without elements as the values that they show", () => {
    const base = torch.arange(6).reshape([2, 3]);
    const conjugate = torch.complex(tensor([1]), tensor([2])).conj();
    saveSafetensors(
      {
        transposed: base.T,
        row: base.select(0, 1),
        conjugate,
        empty: torch.zeros([0, 2]),
        scalar: tensor(3),
      },
      path,
    );
    const back = loadSafetensors(path);
    expect(back.transposed?.toArray()).toEqual([
      [0, 3],
      [1, 4],
      [2, 5],
    ]);
    expect(back.row?.toArray()).toEqual([3, 4, 5]);
    expect(back.conjugate?.toArray()).toEqual(conjugate.resolveConj().toArray());
    expect([back.empty?.shape, back.scalar?.item()]).toEqual([[0, 2], 3]);
  });

  it("can be read in parts, mapped into memory, and from bytes", () => {
    saveSafetensors({ a: torch.ones([1000]), b: torch.zeros([10]) }, path);
    expect(Object.keys(loadSafetensors(path, { names: ["b"] }))).toEqual(["b"]);
    expect(() => loadSafetensors(path, { names: ["c"] })).toThrow(/no tensor "c"; it has a, b/);
    expect(Object.keys(loadSafetensors(readFileSync(path))).sort()).toEqual(["a", "b"]);
    const { a } = loadSafetensors(path, { mmap: true });
    a?.fill_(2);
    expect([a?.sum().item(), loadSafetensors(path).a?.sum().item()]).toEqual([2000, 1000]);
    expect(() => loadSafetensors(readFileSync(path), { mmap: true })).toThrow(
      /only a file that is given by its path/,
    );
  });

  it("keep any name, and refuse what the format has no form for", () => {
    const odd = Object.fromEntries([
      ["__proto__", tensor(1)],
      ["", tensor(2)],
      ['ä"\\', tensor(3)],
    ]);
    Object.defineProperty(odd, "__proto__", { value: tensor(1), enumerable: true });
    saveSafetensors(odd, path);
    expect(Object.keys(loadSafetensors(path)).sort()).toEqual(["", "__proto__", 'ä"\\'].sort());
    expect(() => saveSafetensors({ a: torch.eye(2).toSparse() }, path)).toThrow(
      /"a" \(float32, sparse_coo, cpu\) has no form/,
    );
    expect(() => saveSafetensors({ __metadata__: tensor(1) }, path)).toThrow(
      /cannot have the name __metadata__/,
    );
    expect(() => saveSafetensors({ a: 1 as never }, path)).toThrow(/"a" is not a Tensor/);
    expect(() => saveSafetensors({}, path, { metadata: { a: 1 as never } })).toThrow(
      /metadata "a" is not a text/,
    );
    expect(Object.keys(loadSafetensors(path))).toHaveLength(3);
    expect(readdirSync(folder)).toEqual(["a.safetensors"]);
  });

  it.each([
    ["a header longer than the file", file({}, 0, 100n), /a header of 100 bytes does not fit/],
    ["a header of impossible length", file({}, 0, 2n ** 63n), /does not fit/],
    ["no header", Buffer.alloc(4), /truncated/],
    ["a header that is no JSON", file("{", 0), /not JSON/],
    ["a header that is a list", file([1], 0), /not an object/],
    ["a header nested deep", file(`${"[".repeat(1e6)}${"]".repeat(1e6)}`, 0), /nested deeper/],
    [
      "a header nested in texts and escapes",
      file(String.raw`{"a\"[[[[":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"c":{"d":{}}}}`, 1),
      /nested deeper/,
    ],
    ["very many brackets", file(`{"a":[${"[],".repeat(1e5)}0]}`, 0), /nested deeper/],
    ["an unknown type", file({ a: entry("F7", [1], 0, 1) }, 1), /the type F7, which is not supported/],
    ["a shape that needs other bytes", file({ a: entry("F32", [2], 0, 4) }, 4), /needs 8 bytes, it has 4/],
    ["a negative size", file({ a: entry("U8", [-1], 0, 1) }, 1), /damaged at "a"/],
    ["a size that is no integer", file({ a: entry("U8", [0.5], 0, 1) }, 1), /damaged at "a"/],
    ["a giant shape", file({ a: entry("U8", [2 ** 40, 2 ** 40], 0, 1) }, 1), /needs .* bytes, it has 1/],
    ["offsets outside", file({ a: entry("U8", [4], 0, 4) }, 2), /describes 4 bytes of data, the file has 2/],
    [
      "bytes of no tensor",
      file({ a: entry("U8", [1], 0, 1) }, 2),
      /describes 1 bytes of data, the file has 2/,
    ],
    ["tensors that overlap", file({ a: entry("U8", [2], 0, 2), b: entry("U8", [2], 1, 3) }, 3), /overlaps/],
    ["a gap", file({ a: entry("U8", [1], 0, 1), b: entry("U8", [1], 2, 3) }, 3), /leaves a gap/],
    ["offsets the wrong way round", file({ a: entry("U8", [1], 1, 0) }, 1), /needs 1 bytes, it has -1/],
    ["metadata that is no text", file({ __metadata__: { a: 1 } }, 0), /damaged at "__metadata__"/],
  ])("refuse %s", (_, bytes, message) => {
    writeFileSync(path, bytes);
    expect(() => loadSafetensors(path)).toThrow(message);
    expect(() => loadSafetensors(path)).toThrow(serialization.SerializationError);
    expect(() => loadSafetensors(bytes)).toThrow(message);
  });
});
