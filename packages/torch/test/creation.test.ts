import * as torch from "@levin/torch";
import { ArgumentError, Complex } from "@levin/torch";
import { afterEach, describe, expect, it } from "vitest";

afterEach(() => torch.setDefaultDtype("float32"));

describe("a tensor made from values", () => {
  it("has the type that its values have in the program", () => {
    expect(torch.tensor([1, 2]).dtype).toBe("float32");
    expect(torch.tensor(1.5).dtype).toBe("float32");
    expect(torch.tensor([1n, 2n]).dtype).toBe("int64");
    expect(torch.tensor([true, false]).dtype).toBe("bool");
    expect(torch.tensor([new Complex(1, 2)]).dtype).toBe("complex64");
    expect(torch.tensor(new Int16Array([1, 2])).dtype).toBe("int16");
    expect(torch.tensor([]).dtype).toBe("float32");
  });

  it("takes the most general type of mixed values, whatever their order", () => {
    expect(torch.tensor([true, 2n]).dtype).toBe("int64");
    expect(torch.tensor([2n, true]).dtype).toBe("int64");
    expect(torch.tensor([true, 2n, 1]).dtype).toBe("float32");
    expect(torch.tensor([1, new Complex(0, 1), 2n]).dtype).toBe("complex64");
  });

  it("follows the default type", () => {
    torch.setDefaultDtype("float64");
    expect(torch.tensor([1]).dtype).toBe("float64");
    expect(torch.tensor([new Complex(1, 1)]).dtype).toBe("complex128");
    expect(torch.zeros([1]).dtype).toBe("float64");
    expect(() => torch.setDefaultDtype("int64")).toThrow(/floating point type, got "int64"/);
  });

  it("keeps the values exactly in every type", () => {
    expect(torch.tensor([0.1], { dtype: "float64" }).item()).toBe(0.1);
    expect(torch.tensor([0.1]).item()).toBe(Math.fround(0.1));
    expect(torch.tensor([2n ** 62n + 1n]).item({ bigint: true })).toBe(2n ** 62n + 1n);
    expect(torch.tensor(2n ** 64n - 1n, { dtype: "uint64" }).item<bigint>({ bigint: true })).toBe(
      2n ** 64n - 1n,
    );
    expect(torch.tensor([1.9, -1.9], { dtype: "int32" }).toArray()).toEqual([1, -1]);
    expect(torch.tensor([0, 0.5, Number.NaN], { dtype: "bool" }).toArray()).toEqual([false, true, true]);
    expect(torch.tensor([new Complex(1, -2)], { dtype: "complex128" }).item()).toEqual(new Complex(1, -2));
    expect(torch.tensor([1, 2], { dtype: "float8_e4m3fn" }).toArray()).toEqual([1, 2]);
    expect(torch.tensor(-1, { dtype: "uint8" }).item()).toBe(255);
  });

  it("has the shape of nested arrays, also of typed and empty ones", () => {
    expect(
      torch.tensor([
        [[1], [2]],
        [[3], [4]],
      ]).shape,
    ).toEqual([2, 2, 1]);
    expect(torch.tensor([new Float32Array([1, 2]), new Float32Array([3, 4])]).toArray()).toEqual([
      [1, 2],
      [3, 4],
    ]);
    expect(torch.tensor([[], []]).shape).toEqual([2, 0]);
    expect(torch.tensor(5).shape).toEqual([]);
  });

  it("is a copy, also of another tensor, without its history", () => {
    const values = new Float32Array([1, 2]);
    const x = torch.tensor(values, { requiresGrad: true });
    values[0] = 9;
    const y = torch.tensor(x.mul(2), { dtype: "float64" });
    expect([x.toArray(), y.toArray(), y.requiresGrad]).toEqual([[1, 2], [2, 4], false]);
  });

  it("can require gradients only of floating point and complex type", () => {
    expect(torch.tensor([1], { requiresGrad: true }).requiresGrad).toBe(true);
    expect(torch.zeros([1], { requiresGrad: true }).requiresGrad).toBe(true);
    expect(() => torch.tensor([1n], { requiresGrad: true })).toThrow(/floating point and complex type/);
  });

  it("refuses what has no shape or does not fit, naming the place", () => {
    expect(() => torch.tensor([[1, 2], [3]])).toThrow(
      /data\[1\] must have length 2 like the parts before it, got 1/,
    );
    expect(() => torch.tensor([[1], 2])).toThrow(/data\[1\] must be an array of length 1, got 2/);
    expect(() => torch.tensor([1, [2]])).toThrow(/data\[1\] is an array where a number is expected/);
    expect(() => torch.tensor(["1"] as never)).toThrow(/must be numbers, bigints, booleans.*got '1'/);
    expect(() => torch.tensor(300, { dtype: "uint8" })).toThrow(/300 does not fit into uint8/);
    expect(() => torch.tensor(Number.NaN, { dtype: "int64" })).toThrow(/NaN cannot become int64/);
    expect(() => torch.tensor(new Complex(1, 1), { dtype: "float32" })).toThrow(/give a complex dtype/);
    expect(() => torch.tensor([1], { dtype: "float" as never })).toThrow(
      /dtype must be one of float32, .*got 'float'/,
    );
    const endless: unknown[] = [];
    endless[0] = endless;
    expect(() => torch.tensor(endless as never)).toThrow(/nested more than 64 arrays deep/);
  });
});

describe("a tensor made from a typed array", () => {
  it("keeps the type and takes a shape", () => {
    const x = torch.fromTypedArray(new BigInt64Array([1n, 2n, 3n, 4n]), [2, 2]);
    expect([x.dtype, x.shape]).toEqual(["int64", [2, 2]]);
  });

  it("reads bytes as a type without a typed array of its own", () => {
    const half = torch.fromTypedArray(new Uint16Array([0x3c00, 0xc000]), undefined, { dtype: "float16" });
    expect([half.dtype, half.toArray()]).toEqual(["float16", [1, -2]]);
    const complex = torch.fromTypedArray(new Float32Array([1, 2, 3, 4]), undefined, { dtype: "complex64" });
    expect(complex.toArray()).toEqual([new Complex(1, 2), new Complex(3, 4)]);
  });

  it("reads shared and resizable memory as it is at the moment", () => {
    const shared = new Float32Array(new SharedArrayBuffer(8)).fill(3);
    expect(torch.fromTypedArray(shared).toArray()).toEqual([3, 3]);
    const buffer = new (ArrayBuffer as unknown as new (size: number, options: object) => ArrayBuffer)(16, {
      maxByteLength: 32,
    });
    const view = new Float32Array(buffer);
    (buffer as unknown as { resize(size: number): void }).resize(8);
    expect(torch.fromTypedArray(view).shape).toEqual([2]);
  });

  it("refuses shapes that do not fit, memory that is gone, and other views", () => {
    expect(() => torch.fromTypedArray(new Float32Array(4), [3])).toThrow(
      /shape \[3\] of float32 does not fit the 16 bytes/,
    );
    expect(() => torch.fromTypedArray(new Float32Array(4), [2 ** 40, 2 ** 40])).toThrow(/does not fit/);
    expect(() => torch.fromTypedArray(new Float32Array(4), [-4, -1])).toThrow(/negative sizes/);
    const gone = new Float32Array(4);
    structuredClone(gone.buffer, { transfer: [gone.buffer] });
    expect(() => torch.fromTypedArray(gone, [4])).toThrow(/does not fit the 0 bytes/);
    expect(() => torch.fromTypedArray(new DataView(new ArrayBuffer(8)))).toThrow(ArgumentError);
  });
});

describe("factories", () => {
  it("make tensors of a size, type and device", () => {
    expect(torch.zeros([2, 2]).toArray()).toEqual([
      [0, 0],
      [0, 0],
    ]);
    expect(torch.ones(3, { dtype: "int64" }).dtype).toBe("int64");
    expect(torch.full([2], 7).dtype).toBe("float32");
    expect(torch.full([2], 7n).dtype).toBe("int64");
    expect(torch.full([2], true).dtype).toBe("bool");
    expect(torch.arange(3).toArray()).toEqual([0, 1, 2]);
    expect(torch.arange(1, 2, 0.5).toArray()).toEqual([1, 1.5]);
    expect(torch.linspace(0, 1, 3).toArray()).toEqual([0, 0.5, 1]);
    expect(torch.eye(2).toArray()).toEqual([
      [1, 0],
      [0, 1],
    ]);
    expect(torch.zeros([2 ** 20, 2 ** 20], { device: "meta" }).numel()).toBe(2 ** 40);
  });

  it("refuse sizes that make no sense and devices that are not there", () => {
    expect(() => torch.zeros([-1])).toThrow(/non-negative/);
    expect(() => torch.zeros([Number.NaN])).toThrow(/size must be integer\[\], got \[NaN\]/);
    expect(() => torch.zeros([2 ** 53 - 1])).toThrow(/can't allocate memory/);
    expect(() => torch.zeros([1], { device: "gpu" as never })).toThrow(/device must be Device.*got "gpu"/);
    if (!torch.cuda.isAvailable()) {
      expect(() => torch.zeros([1], { device: "cuda" })).toThrow(/"cuda" cannot be used here.*levin doctor/);
    }
  });
});

describe("a view of a storage", () => {
  it("looks into the same memory with another type, shape and stride", () => {
    const x = torch.arange(6, { dtype: "float32" });
    const transposed = torch.viewStorage(x, "float32", [3, 2], [1, 3]);
    expect(transposed.toArray()).toEqual([
      [0, 3],
      [1, 4],
      [2, 5],
    ]);
    transposed.set([0, 0], 9);
    expect(x.get(0).item()).toBe(9);
    expect(torch.viewStorage(x, "uint8", [24], [1]).shape).toEqual([24]);
    expect(x.storageId === transposed.storageId).toBe(true);
  });

  it("cannot reach outside of it", () => {
    const x = torch.zeros([4]);
    expect(() => torch.viewStorage(x, "float32", [5], [1])).toThrow(/outside the storage's 16 bytes/);
    expect(() => torch.viewStorage(x, "float32", [2, 2 ** 52], [1, 2 ** 52])).toThrow(/outside/);
    expect(() => torch.viewStorage(x, "float32", [2], [-1], 3)).toThrow(/not be negative/);
    expect(() => torch.viewStorage(x, "float64", [2], [1], 1)).toThrow(/outside/);
    expect(() => torch.viewStorage(x, "float32", [1], [1], -1)).toThrow(/outside/);
  });
});
