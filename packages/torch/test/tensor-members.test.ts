import * as torch from "@levin/torch";
import { describe, expect, it } from "vitest";

describe("a tensor", () => {
  const x = torch.tensor([
    [1, 2, 3],
    [4, 5, 6],
  ]);

  it("tells its size in bytes and where it lies", () => {
    expect([x.itemsize, x.elementSize(), x.nbytes]).toEqual([4, 4, 24]);
    expect(x.double().nbytes).toBe(48);
    expect([x.isCpu, x.isCuda, x.isMeta, x.isSparse, x.isQuantized, x.isNested]).toEqual([
      true,
      false,
      false,
      false,
      false,
      false,
    ]);
    expect(x.get(1).dataPtr() - x.dataPtr()).toBe(12n);
    expect(x.t().dimOrder()).toEqual([1, 0]);
  });

  it("has PyTorch's type names", () => {
    expect(x.type()).toBe("torch.FloatTensor");
    expect(x.type("int64").type()).toBe("torch.LongTensor");
    expect(torch.typename(x.to("bfloat16"))).toBe("torch.BFloat16Tensor");
    expect(torch.typename(3)).toBe("number");
  });

  it("has transposed views", () => {
    expect(x.mT.shape).toEqual([3, 2]);
    expect(x.H.equal(x.T)).toBe(true);
    const z = torch.complex(torch.ones([1, 2]), torch.full([1, 2], 2));
    expect(z.mH.imag.toArray()).toEqual([[-2], [-2]]);
  });

  it("has real and imaginary parts that are views", () => {
    const z = torch.complex(torch.ones(2), torch.ones(2));
    z.imag = torch.tensor([5, 6]);
    expect(z.imag.toArray()).toEqual([5, 6]);
    expect(String(z.get(1).item())).toBe("1+6j");
    expect(x.real.equal(x)).toBe(true);
    expect(() => x.imag).toThrow(/imag is not implemented for tensors with non-complex dtypes/);
  });

  it("makes others of its type", () => {
    expect(x.long().newTensor([1, 2]).dtype).toBe("int64");
    expect(x.newTensor([1], { dtype: "bool" }).dtype).toBe("bool");
    expect(x.newZeros([2]).dtype).toBe("float32");
  });

  it("is changed value by value by functions", () => {
    const y = x.clone().apply_((value: number) => value * 10);
    expect(y.get(1).toArray()).toEqual([40, 50, 60]);
    y.map_(x, (a: number, b: number) => a - b);
    expect(y.get([0, 0]).item()).toBe(9);
    y.map2_(x, torch.tensor([1, 1, 1]), (a: number, b: number, c: number) => a + b + c);
    expect(y.get([0, 0]).item()).toBe(11);
    expect(() =>
      x
        .clone()
        .requiresGrad_()
        .apply_((v: number) => v),
    ).toThrow("use detach()");
  });

  it("has a gradient of the type that is wanted", () => {
    const half = x.half().requiresGrad_();
    expect(half.gradDtype).toBe("float16");
    half.gradDtype = "float32";
    half.mul(2).sum().backward();
    expect(half.grad?.dtype).toBe("float32");
    expect(() => {
      half.gradDtype = "float16";
    }).toThrow("has a gradient of type float32 already");
    expect(() => {
      half.mul(2).gradDtype = null;
    }).toThrow("only be set for leaf tensors");
  });

  it("knows whether its gradient is kept", () => {
    const leaf = x.clone().requiresGrad_();
    const sum = leaf.sum();
    expect(sum.retainsGrad).toBe(false);
    sum.retainGrad();
    expect(sum.retainsGrad).toBe(true);
    expect(leaf.unbind(0)[1]?.outputNr).toBe(1);
  });
});

describe("the default device", () => {
  it("is where tensors are made when none is named", () => {
    torch.setDefaultDevice("meta");
    try {
      expect(torch.getDefaultDevice()).toBe("meta");
      const made = [
        torch.zeros([2]),
        torch.tensor([1]),
        torch.full([1], 2),
        torch.arange(3),
        torch.randn([2], { dtype: "float64" }),
      ];
      expect(made.map((t) => t.device)).toEqual(Array(5).fill("meta"));
      expect(torch.zeros([2], { device: "cpu" }).device).toBe("cpu");
      expect(torch.zerosLike(torch.ones([1], { device: "cpu" })).device).toBe("cpu");
    } finally {
      torch.setDefaultDevice(null);
    }
    expect(torch.zeros([2]).device).toBe("cpu");
  });

  it("is one that there can be", () => {
    for (const wrong of ["gpu", "cuda:x", 1, torch.ones([1])])
      expect(() => torch.setDefaultDevice(wrong as never)).toThrow(/setDefaultDevice: device must be "cpu"/);
    expect(torch.getDefaultDevice()).toBe("cpu");
  });
});

describe("data as tensors", () => {
  it("keeps a tensor that fits", () => {
    const x = torch.ones(2);
    expect(torch.asTensor(x)).toBe(x);
    expect(torch.asTensor(x, { dtype: "int64" }).dtype).toBe("int64");
    expect(torch.asarray(x, { copy: true }).dataPtr()).not.toBe(x.dataPtr());
  });

  it("reads raw bytes", () => {
    const bytes = new Uint8Array(Float64Array.of(1, 2, 3).buffer);
    expect(torch.frombuffer(bytes, { dtype: "float64" }).toArray()).toEqual([1, 2, 3]);
    expect(torch.frombuffer(bytes.buffer, { dtype: "float64", offset: 8, count: 1 }).toArray()).toEqual([2]);
    expect(() => torch.frombuffer(bytes, { dtype: "float64", count: 4 })).toThrow(
      /reach outside the buffer's 24 bytes/,
    );
    expect(() => torch.frombuffer(bytes, { dtype: "float64", offset: -8 })).toThrow(/reach outside/);
  });
});
