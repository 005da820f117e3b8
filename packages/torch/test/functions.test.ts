import * as torch from "@levin/torch";
import { describe, expect, it } from "vitest";

describe("functions of any number of tensors", () => {
  const a = torch.tensor([1, 2]);
  const b = torch.tensor([3, 4, 5]);

  it("take them one by one or as a list", () => {
    expect(torch.cartesianProd(a, b).shape).toEqual([6, 2]);
    expect(torch.cartesianProd([a, b]).equal(torch.cartesianProd(a, b))).toBe(true);
    expect(torch.einsum("i,j->ij", a, b).equal(torch.einsum("i,j->ij", [a, b]))).toBe(true);
    expect(torch.blockDiag(a, b).shape).toEqual([2, 5]);
  });

  it("have their options after them", () => {
    expect(torch.meshgrid(a, b, { indexing: "xy" }).map((grid) => grid.shape)).toEqual([
      [3, 2],
      [3, 2],
    ]);
    expect(torch.meshgrid([a, b])[0]?.shape).toEqual([2, 3]);
  });

  it("give one tensor for one and a list for several", () => {
    expect(torch.atleast2d(a).shape).toEqual([1, 2]);
    expect(torch.atleast2d(a, b).map((t) => t.shape)).toEqual([
      [1, 2],
      [1, 3],
    ]);
  });

  it("refuse to be called with none", () => {
    expect(() => torch.blockDiag()).toThrow("blockDiag: at least one tensor is required");
  });
});

describe("shapes", () => {
  it("broadcast without tensors", () => {
    expect(torch.broadcastShapes([2, 1], 3, [1, 1, 1])).toEqual([1, 2, 3]);
    expect(torch.broadcastShapes()).toEqual([]);
    expect(() => torch.broadcastShapes([2], [3])).toThrow(/do not broadcast: 2 and 3 meet/);
  });

  it("of row-major positions are found again", () => {
    const coordinates = torch.unravelIndex(torch.tensor([4n, 1n]), [3, 2]);
    expect(coordinates.map((t) => t.toArray())).toEqual([
      [2, 0],
      [0, 1],
    ]);
    expect(() => torch.unravelIndex(torch.tensor([0.5]), [3])).toThrow("indices must have an integer type");
    expect(() => torch.unravelIndex(torch.tensor([1n]), [-3])).toThrow("positive integers");
  });
});

describe("results with names", () => {
  const x = torch.tensor([
    [3, 1, 2],
    [1, 1, 5],
  ]);

  it("are objects", () => {
    expect(torch.max(x, 1).values.toArray()).toEqual([3, 5]);
    expect(x.topk(2).indices.toArray()).toEqual([
      [0, 2],
      [2, 0],
    ]);
    const { Q, R } = torch.linalg.qr(torch.eye(2));
    expect(Q.matmul(R).abs().toArray()).toEqual([
      [1, 0],
      [0, 1],
    ]);
  });

  it("hold of unique what was asked for", () => {
    expect(torch.unique(x).toArray()).toEqual([1, 2, 3, 5]);
    const { output, counts } = torch.unique(x, { returnCounts: true });
    expect(output.toArray()).toEqual([1, 2, 3, 5]);
    expect(counts.toArray()).toEqual([3, 1, 1, 1]);
    const { inverseIndices } = x.unique({ returnInverse: true });
    expect(inverseIndices.shape).toEqual([2, 3]);
    expect(torch.unique(torch.tensor([[1], [1]]), { dim: 0 }).shape).toEqual([1, 1]);
    expect(torch.tensor([1, 1, 2, 1]).uniqueConsecutive().toArray()).toEqual([1, 2, 1]);
  });

  it("are lists for coordinates", () => {
    expect(torch.nonzero(x.gt(2), { asTuple: true }).map((t) => t.toArray())).toEqual([
      [0, 1],
      [0, 2],
    ]);
    expect(x.gt(2).nonzero().toArray()).toEqual([
      [0, 0],
      [1, 2],
    ]);
  });
});

describe("optional arguments of functions made by hand", () => {
  const x = torch.tensor([
    [3, 4],
    [6, 8],
  ]);

  it("go by place or by name, as those of the generated ones", () => {
    expect(torch.norm(x, 1, 1).toArray()).toEqual([7, 14]);
    expect(torch.norm(x, { p: 1, dim: 1 }).toArray()).toEqual([7, 14]);
    expect(x.norm({ dim: 1, keepdim: true }).shape).toEqual([2, 1]);
    expect(torch.tensordot(x, x, 1).toArray()).toEqual(torch.tensordot(x, x, { dims: 1 }).toArray());
    expect(torch.cdist(x, x, { p: 1 }).toArray()).toEqual(torch.cdist(x, x, 1).toArray());
  });

  it("are refused where there is no such one, or too many", () => {
    expect(() => torch.norm(x, { axis: 1 } as object)).toThrow(
      /has no option "axis"; its options are p, dim, keepdim, dtype/,
    );
    expect(() => (torch.cdist as (...args: unknown[]) => void)(x, x, 2, { p: 1 })).toThrow(
      "p is given twice",
    );
    expect(() => (torch.tensordot as (...args: unknown[]) => void)(x, x, 1, 2)).toThrow(
      "at most 1 optional arguments",
    );
    expect(() => torch.norm(x, "l2" as "fro")).toThrow('p must be a number, "fro" or "nuc"');
  });
});

describe("decompositions of low rank", () => {
  it("find the singular values of a matrix of low rank", () => {
    torch.manualSeed(0);
    const A = torch.randn([20, 3]).matmul(torch.randn([3, 12]));
    const { U, S, V } = torch.svdLowrank(A, { q: 3 });
    expect(torch.allclose(U.mul(S).matmul(V.mH), A, { atol: 1e-4 })).toBe(true);
    expect(torch.pcaLowrank(A).S.shape).toEqual([6]);
    expect(() => torch.pcaLowrank(A, { q: 13 })).toThrow("q must be a whole number from 0 to 12, got 13");
  });

  it("find extreme eigenvalues, also of a generalized problem", () => {
    torch.manualSeed(0);
    const half = torch.randn([30, 30], { dtype: "float64" });
    const A = half.matmul(half.mT);
    const all = torch.linalg.eigvalsh(A);
    expect(torch.allclose(torch.lobpcg(A, { k: 3 }).E, all.narrow(0, 27, 3).flip(0))).toBe(true);
    expect(
      torch.allclose(torch.lobpcg(A, { k: 2, largest: false }).E, all.narrow(0, 0, 2), { rtol: 1e-4 }),
    ).toBe(true);
    const B = torch.diag(torch.linspace(1, 2, 30, { dtype: "float64" }));
    const { E, X } = torch.lobpcg(A, { k: 2, B });
    expect(torch.allclose(A.matmul(X), B.matmul(X).mul(E), { rtol: 1e-4, atol: 1e-4 })).toBe(true);
    expect(() => torch.lobpcg(torch.eye(4), { k: 2 })).toThrow("use linalg.eigh");
  });
});

describe("splitting", () => {
  it("takes a number for a number of parts and a list for places", () => {
    const x = torch.arange(6);
    expect(x.hsplit(3).map((t) => t.toArray())).toEqual([
      [0, 1],
      [2, 3],
      [4, 5],
    ]);
    expect(x.hsplit([1]).map((t) => t.numel())).toEqual([1, 5]);
    expect(torch.split(x, 4).map((t) => t.numel())).toEqual([4, 2]);
    expect(torch.split(x, [1, 5]).map((t) => t.numel())).toEqual([1, 5]);
  });
});

describe("what types hold", () => {
  it("is told for floating point and integer types", () => {
    expect(torch.finfo("float16").max).toBe(65504);
    expect(torch.finfo("complex128").dtype).toBe("float64");
    expect(torch.iinfo("uint8").max).toBe(255);
    expect(torch.iinfo("int64").max).toBe(2n ** 63n - 1n);
    expect(() => torch.finfo("int8")).toThrow("see iinfo()");
    expect(() => torch.iinfo("float32")).toThrow("see finfo()");
  });

  it("follows PyTorch's rules of promotion", () => {
    expect(torch.promoteTypes("int64", "float16")).toBe("float16");
    expect(torch.resultType(torch.ones(1, { dtype: "int32" }), 1.5)).toBe("float32");
    expect(torch.canCast("float32", "int64")).toBe(false);
  });
});

describe("control flow by functions", () => {
  const x = torch.tensor([1, 2]);

  it("calls one of two functions", () => {
    const choose = (pred: boolean | torch.Tensor) =>
      torch.cond(
        pred,
        (a) => a.add(1),
        (a) => a.neg(),
        [x],
      );
    expect(choose(x.sum().gt(0)).toArray()).toEqual([2, 3]);
    expect(choose(false).toArray()).toEqual([-1, -2]);
    expect(
      torch.cond(
        true,
        () => 1,
        () => 2,
      ),
    ).toBe(1);
    expect(() => choose(x)).toThrow(/cond: pred must be a boolean or a tensor with one element/);
  });

  it("goes on with what a function gives", () => {
    const [i, y] = torch.whileLoop(
      (i) => i.lt(3),
      (i, y) => [i.add(1), y.mul(2)],
      [torch.tensor(0), x],
    );
    expect(i.item()).toBe(3);
    expect(y.toArray()).toEqual([8, 16]);
    const loop = () =>
      torch.whileLoop(
        () => true,
        () => [],
        [x] as const,
      );
    expect(loop).toThrow(/as many tensors as it takes, 1, got 0/);
  });

  it("has gradients", () => {
    const w = torch.tensor(2, { dtype: "float32", requiresGrad: true });
    const [, y] = torch.whileLoop(
      (i) => i.lt(3),
      (i, y) => [i.add(1), y.mul(w)],
      [torch.tensor(0), torch.tensor(1)],
    );
    y.backward();
    expect(w.grad?.item()).toBe(12);
  });
});
