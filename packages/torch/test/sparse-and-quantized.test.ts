import * as torch from "@levin/torch";
import { describe, expect, it } from "vitest";

const sparse = () =>
  torch.sparseCooTensor(
    [
      [0, 1, 1],
      [2, 0, 2],
    ],
    [3, 4, 5],
    [2, 3],
  );

describe("sparse tensors", () => {
  it("are refused where their indices are outside", () => {
    expect(() => torch.sparseCooTensor([[0, 9]], [1, 2], [3])).toThrow(/found index 9/);
    expect(() => torch.sparseCsrTensor([0, 1], [9], [1], [1, 3])).toThrow(/col_indices/);
    expect(() => torch.sparseCsrTensor([0, 5], [0], [1], [1, 3])).toThrow(/crow_indices/);
    expect(() => torch.sparseCooTensor([[1, 1]], [1, 2], [3], { isCoalesced: true })).toThrow(/uncoalesced/);
  });

  it("are made from indices and values", () => {
    expect(sparse().toDense().toArray()).toEqual([
      [0, 0, 3],
      [4, 0, 5],
    ]);
    expect(torch.sparseCooTensor([[0], [4]], [1]).shape).toEqual([1, 5]);
    expect(torch.sparseCooTensor([2, 2]).toDense().sum().item()).toBe(0);
    expect(torch.sparseCsrTensor([0, 1, 2], [1, 0], [5, 6], [2, 2]).toDense().toArray()).toEqual([
      [0, 5],
      [6, 0],
    ]);
    expect(torch.sparseCooTensor([[0]], [1], { requiresGrad: true }).requiresGrad).toBe(true);
    expect(() => torch.sparseCompressedTensor([0, 1], [0], [1], {} as never)).toThrow(
      "layout must name the format",
    );
  });

  it("are shown, read and measured", () => {
    expect(String(sparse())).toContain("sparse_coo");
    expect(sparse().toArray()).toEqual(sparse().toDense().toArray());
    expect(sparse().dataPtr()).toBe(0n);
    expect(() => sparse().asTypedArray()).toThrow();
    expect(() => sparse().storageBytes()).toThrow();
  });

  it("are multiplied and summed with gradients", () => {
    const dense = torch.ones([3, 1], { requiresGrad: true });
    torch.sparse.mm(sparse(), dense).sum().backward();
    expect(dense.grad?.flatten().toArray()).toEqual([4, 0, 8]);
    expect(torch.sparse.sum(sparse()).item()).toBe(12);
    expect(torch.sparse.sum(sparse(), { dim: 1 }).toDense().toArray()).toEqual([3, 9]);
    expect(torch.sparse.softmax(sparse(), 1).toDense().get([0, 2]).item()).toBe(1);
  });
});

describe("quantized tensors", () => {
  const quantized = torch.quantizePerTensor(torch.tensor([0.5, 1, 1.5]), 0.1, 10, "quint8");

  it("are shown, read and measured", () => {
    expect(quantized.toArray()).toEqual([0.5, 1, 1.5]);
    expect(String(quantized)).toContain("quint8");
    expect(quantized.isQuantized).toBe(true);
    expect(quantized.qscheme()).toBe("per_tensor_affine");
    expect(quantized.qScale()).toBeCloseTo(0.1);
    expect(quantized.intRepr().toArray()).toEqual([15, 20, 25]);
    expect(quantized.itemsize).toBe(1);
  });

  it("are made between the best limits", () => {
    const [max, min] = torch.chooseQparamsOptimized(torch.tensor([-1, 0, 1]), 3, 4, 0.16, 8);
    expect(max.item()).toBeGreaterThan(min.item());
    expect(() => torch.chooseQparamsOptimized(torch.ones(3), 4, 4, 0.16, 8)).toThrow(
      "from 1 to the 3 values",
    );
    expect(() => torch.chooseQparamsOptimized(torch.ones(3).double(), 3, 4, 0.16, 8)).toThrow("got float64");
  });

  it("are refused where only plain numbers will do", () => {
    expect(() => quantized.sin()).toThrow();
    expect(() => torch.ones(2).qscheme()).toThrow();
  });
});

describe("every type of elements", () => {
  it("is made, shown, cast and read", () => {
    for (const dtype of torch.dtypes) {
      if (dtype.startsWith("q")) continue;
      const x = torch.ones([2]).to(dtype);
      expect(x.dtype).toBe(dtype);
      expect(String(x)).toMatch(dtype === "bool" ? /True/ : /1/);
      expect(x.toArray()).toHaveLength(2);
      expect(x.to("float64").dtype).toBe("float64");
      expect(torch.tensor([1, 0], { dtype }).dtype).toBe(dtype);
    }
  });

  it("of 8-bit floating point rounds as PyTorch does", () => {
    expect(torch.tensor([0.3, 448, 500]).to("float8_e4m3fn").toArray()).toEqual([0.3125, 448, 448]);
    expect(torch.tensor([0.3]).to("float8_e5m2").toArray()).toEqual([0.3125]);
  });

  it("holds integers beyond what a number holds", () => {
    const big = torch.tensor([2n ** 60n + 1n]);
    expect(big.item({ bigint: true })).toBe(2n ** 60n + 1n);
    expect(() => big.item()).toThrow("use item({ bigint: true })");
    expect(
      torch.randint(2n ** 60n, 2n ** 60n + 2n, [1]).item<bigint>({ bigint: true }),
    ).toBeGreaterThanOrEqual(2n ** 60n);
  });
});
