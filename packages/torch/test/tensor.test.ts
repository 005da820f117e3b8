import * as torch from "@levin/torch";
import { ArgumentError, Complex, DisposedError, OperatorError, type Tensor } from "@levin/torch";
import { describe, expect, it } from "vitest";

describe("what a tensor is", () => {
  it("can be asked for", () => {
    const x = torch.zeros([2, 3], { dtype: "int16" }).transpose(0, 1);
    expect([x.shape, x.size(), x.size(0), x.size(-1)]).toEqual([[3, 2], [3, 2], 3, 2]);
    expect([x.stride(), x.stride(0), x.ndim, x.dim(), x.numel()]).toEqual([[1, 3], 1, 2, 2, 6]);
    expect([x.dtype, x.device, x.layout, x.itemsize, x.nbytes]).toEqual(["int16", "cpu", "strided", 2, 12]);
    expect([x.isContiguous(), x.isView, x.storageOffset(), x.isSparse, x.isNested, x.isQuantized]).toEqual([
      false,
      true,
      0,
      false,
      false,
      false,
    ]);
    expect([x.isSame(x), x.isSame(x.t())]).toEqual([true, false]);
    expect(() => x.size(2)).toThrow(/dim must be an integer from -2 to 1 .* got 2/);
    expect(() => x.size(0.5)).toThrow(ArgumentError);
  });

  it("has its transposes and parts of complex numbers as properties", () => {
    const x = torch.tensor([[new Complex(1, 2), new Complex(3, 4)]]);
    expect([x.T.shape, x.mT.shape, x.H.shape]).toEqual([
      [2, 1],
      [2, 1],
      [2, 1],
    ]);
    expect(x.mH.get([1, 0]).item()).toEqual(new Complex(3, -4));
    expect([x.real.toArray(), x.imag.toArray()]).toEqual([[[1, 3]], [[2, 4]]]);
    expect(torch.ones([1]).real.item()).toBe(1);
    expect(() => torch.ones([1]).imag).toThrow(OperatorError);
  });
});

describe("values", () => {
  it("come as nested arrays of what JavaScript has", () => {
    expect(torch.tensor([[1.5], [2]]).toArray()).toEqual([[1.5], [2]]);
    expect(torch.tensor(3).toArray()).toBe(3);
    expect(torch.tensor([true]).toArray()).toEqual([true]);
    expect(torch.tensor([1.5], { dtype: "bfloat16" }).toArray()).toEqual([1.5]);
    expect(torch.tensor([1.5], { dtype: "float16" }).toArray()).toEqual([1.5]);
    expect(
      torch
        .tensor([new Complex(1, 2)])
        .conj()
        .toArray(),
    ).toEqual([new Complex(1, -2)]);
    expect(torch.quantizePerTensor(torch.tensor([1, 2]), 0.5, 0, "qint8").toArray()).toEqual([1, 2]);
    expect(torch.eye(2).toSparse().toArray()).toEqual([
      [1, 0],
      [0, 1],
    ]);
    expect(torch.zeros([2, 0]).toArray()).toEqual([[], []]);
    expect(torch.arange(6).reshape([2, 3]).t().toArray()).toEqual([
      [0, 3],
      [1, 4],
      [2, 5],
    ]);
  });

  it("that are integers come as numbers where those are exact, and as bigint on request", () => {
    const large = torch.tensor([2n ** 53n - 1n]);
    expect([large.item(), large.item({ bigint: true })]).toEqual([2 ** 53 - 1, 2n ** 53n - 1n]);
    const larger = torch.tensor([2n ** 53n]);
    expect(() => larger.item()).toThrow(
      /9007199254740992 is not exact as a number; use item\(\{ bigint: true \}\)/,
    );
    expect(() => larger.toArray()).toThrow(/use toArray\(\{ bigint: true \}\)/);
    expect(larger.toArray({ bigint: true })).toEqual([2n ** 53n]);
    expect(torch.tensor([5], { dtype: "int32" }).item({ bigint: true })).toBe(5n);
  });

  it("of one element are numbers to Number, several are an error", () => {
    expect(Number(torch.tensor(2.5))).toBe(2.5);
    expect(Number(torch.tensor([true]))).toBe(1);
    expect(() => Number(torch.ones([2]))).toThrow(/exactly one element is required, this one has 2/);
    expect(`${torch.tensor(2.5)}`).toBe("tensor(2.5000)");
  });

  it("need one element, and memory, for item", () => {
    expect(() => torch.ones([2]).item()).toThrow(
      /exactly one element is required, this one has 2; use toArray/,
    );
    expect(() => torch.ones([1], { device: "meta" }).item()).toThrow(OperatorError);
    expect(() => torch.ones([1], { device: "meta" }).toArray()).toThrow(/meta device has no values/);
  });

  it("are not made into more arrays than the process can bear", () => {
    expect(() =>
      torch
        .empty([1])
        .expand([2 ** 40])
        .toArray(),
    ).toThrow(/too large for nested arrays; use toTypedArray/);
    expect(() => torch.empty([2 ** 40, 0]).toArray()).toThrow(/too large/);
    expect(() =>
      torch
        .empty([1])
        .expand([2 ** 45])
        .toTypedArray(),
    ).toThrow(/no memory for a copy of/);
  });

  it("come as a typed array, copied or in the tensor's own memory", () => {
    const x = torch.tensor([
      [1, 2],
      [3, 4],
    ]);
    const copy = x.t().toTypedArray<Float32Array>();
    const own = x.asTypedArray();
    own[0] = 9;
    copy[1] = 7;
    expect([Array.from(copy), x.toArray()]).toEqual([
      [1, 7, 2, 4],
      [
        [9, 2],
        [3, 4],
      ],
    ]);
    expect(torch.tensor([1n]).toTypedArray()).toEqual(new BigInt64Array([1n]));
    expect(torch.tensor([1], { dtype: "float16" }).toTypedArray()).toEqual(new Uint16Array([0x3c00]));
    expect(torch.tensor([new Complex(1, 2)]).toTypedArray()).toEqual(new Float32Array([1, 2]));
    expect(torch.quantizePerTensor(torch.tensor([1, 2]), 0.5, 0, "qint8").toTypedArray()).toEqual(
      new Int8Array([2, 4]),
    );
  });

  it("in the tensor's own memory outlive the tensor, and keep it from moving", () => {
    const x = torch.ones([1000]);
    const [first, second] = [x.asTypedArray(), x.asTypedArray()];
    expect(() => x.resize_([10_000])).toThrow(/not resizable/);
    x.dispose();
    torch.memory.collect();
    second[5] = 3;
    expect(first[5]).toBe(3);
  });

  it("cannot be looked at in place where they do not lie in order on the CPU", () => {
    expect(() => torch.ones([2, 3]).t().asTypedArray()).toThrow(/use contiguous\(\) first/);
    expect(() => torch.ones([1], { device: "meta" }).asTypedArray()).toThrow(/no plain memory on the CPU/);
    expect(() => torch.eye(2).toSparse().asTypedArray()).toThrow(/sparse_coo/);
    expect(torch.zeros([0]).asTypedArray().length).toBe(0);
  });
});

describe("operators", () => {
  it("are functions and methods, and broadcast", () => {
    const x = torch.tensor([[1], [2]]);
    const y = torch.tensor([10, 20, 30]);
    expect(torch.add(x, y).toArray()).toEqual([
      [11, 21, 31],
      [12, 22, 32],
    ]);
    expect(x.mul(y).shape).toEqual([2, 3]);
    expect(() => torch.ones([2]).add(torch.ones([3]))).toThrow(/must match the size/);
  });

  it("take keyword arguments as one object, also for those with a default", () => {
    const x = torch.arange(6, { dtype: "float32" }).reshape([2, 3]);
    expect(x.sum({ dim: 1, keepdim: true }).toArray()).toEqual([[3], [12]]);
    expect(x.sum(1, { keepdim: true }).toArray()).toEqual([[3], [12]]);
    expect(x.sum(1, true).toArray()).toEqual([[3], [12]]);
    expect(torch.sum(x, { dim: [0, 1] }).item()).toBe(15);
    expect(x.add(1, { alpha: 2 }).get([0, 0]).item()).toBe(2);
    expect(x.softmax({ dim: 1, dtype: "float64" }).dtype).toBe("float64");
  });

  it("take a list of numbers as an array, one by one, or as a typed array", () => {
    const x = torch.zeros([6]);
    expect(x.view([2, 3]).shape).toEqual([2, 3]);
    expect(x.view(2, 3).shape).toEqual([2, 3]);
    expect(x.view(new Int32Array([2, 3]) as never).shape).toEqual([2, 3]);
    expect(x.reshape(-1).shape).toEqual([6]);
    expect(x.view(3, -1).permute(1, 0).shape).toEqual([2, 3]);
  });

  it("give several results as an object, or in order where they have no names", () => {
    const { values, indices } = torch.tensor([3, 1, 2]).sort();
    expect([values.toArray(), indices.toArray()]).toEqual([
      [1, 2, 3],
      [1, 2, 0],
    ]);
    expect(
      torch
        .tensor([[1, 5]])
        .max(1)
        .indices.item(),
    ).toBe(1);
    expect(torch.linalg.qr(torch.eye(2)).Q.shape).toEqual([2, 2]);
    expect(
      torch
        .ones([4])
        .chunk(2)
        .map((part) => part.shape),
    ).toEqual([[2], [2]]);
    expect(torch.ones([1]).allclose(torch.ones([1]))).toBe(true);
  });

  it("that write into a tensor give it back", () => {
    const x = torch.zeros([2]);
    expect(x.add_(1)).toBe(x);
    const out = torch.empty([2]);
    expect(torch.add(x, x, { out })).toBe(out);
    expect(out.toArray()).toEqual([2, 2]);
  });

  it("do not promote an integer tensor for a whole number, as in Python", () => {
    const x = torch.tensor([1n, 2n]);
    expect([x.add(1).dtype, x.mul(2n).dtype, x.add(0.5).dtype, x.add(true).dtype]).toEqual([
      "int64",
      "int64",
      "float32",
      "int64",
    ]);
    expect(torch.ones([1], { dtype: "bfloat16" }).mul(2.5).dtype).toBe("bfloat16");
    expect(x.div(2).toArray()).toEqual([0.5, 1]);
    expect(torch.tensor([1]).add({ re: 0, im: 1 } as never).dtype).toBe("complex64");
  });

  it("can be called by name, also those without a function", () => {
    expect((torch.ops.call("aten::_softmax", torch.zeros([2]), 0, false) as Tensor).toArray()).toEqual([
      0.5, 0.5,
    ]);
    expect(() => torch.ops.call("aten::nonesuch")).toThrow(/no operator named "aten::nonesuch"/);
    expect(() => torch.ops.call("aten::_fft_r2c", torch.ones([2]), [5], 0, true)).toThrow(
      /inner part of libtorch/,
    );
  });

  it("say which arguments they take when they get others", () => {
    const x = torch.ones([2]);
    expect(() => x.add("1" as never)).toThrow(
      /add\(Tensor\(\[2\], float32\), "1"\) fits none of the forms of add:\n {2}add\(self: Tensor/,
    );
    // @ts-expect-error dim is missing
    expect(() => x.softmax()).toThrow(
      /softmax: dim is missing; its form is softmax\(self: Tensor, dim: integer/,
    );
    expect(() => x.sum({ dims: 1 } as never)).toThrow(/has no option "dims"/);
    expect(() => x.softmax(0, { dim: 0 } as never)).toThrow(/dim is given twice/);
    // @ts-expect-error relu takes nothing
    expect(() => x.relu(1)).toThrow(/takes at most 1 arguments by position, got 2/);
    expect(() => x.view([0.5])).toThrow(/integer/);
    expect(() => x.view(Array(2 ** 24 + 1).fill(1))).toThrow(/too long for an argument/);
    expect(() => torch.zeros([1], { requiresGrad: 1 as never })).toThrow(
      /requiresGrad must be true or false/,
    );
  });
});

describe("conversion", () => {
  it("changes type and device, and gives the tensor itself where nothing changes", () => {
    const x = torch.ones([2]);
    expect(x.to("float32")).toBe(x);
    expect(x.to("int64").dtype).toBe("int64");
    expect(x.to({ dtype: "float64" }).dtype).toBe("float64");
    expect(x.to("meta").device).toBe("meta");
    expect(x.to("meta", { dtype: "int8" }).dtype).toBe("int8");
    expect(x.to(torch.ones([1], { dtype: "bool" })).dtype).toBe("bool");
    expect(x.to({ copy: true }).isSame(x)).toBe(false);
    const types = [
      x.float(),
      x.double(),
      x.half(),
      x.bfloat16(),
      x.int(),
      x.long(),
      x.short(),
      x.char(),
      x.byte(),
      x.bool(),
    ];
    expect(types.map((t) => t.dtype)).toEqual([
      "float32",
      "float64",
      "float16",
      "bfloat16",
      "int32",
      "int64",
      "int16",
      "int8",
      "uint8",
      "bool",
    ]);
  });

  it("changes the order in memory", () => {
    const x = torch.ones([2, 3, 4, 5]).to({ memoryFormat: "channels_last" });
    expect(x.stride()).toEqual([60, 1, 15, 3]);
  });

  it("refuses what is neither a type nor a device", () => {
    const x = torch.ones([1]);
    expect(() => x.to("float" as never)).toThrow(
      /to: a dtype such as "float32" or a device such as "cpu".* got 'float'/,
    );
    expect(() => x.to({ dtype: "float" } as never)).toThrow(/to: dtype must be one of float32/);
    expect(() => x.to(5 as never)).toThrow(ArgumentError);
  });
});

describe("iteration", () => {
  it("goes over the first dimension", () => {
    expect(
      [
        ...torch.tensor([
          [1, 2],
          [3, 4],
        ]),
      ].map((row) => row.toArray()),
    ).toEqual([
      [1, 2],
      [3, 4],
    ]);
    const [first] = torch.tensor([5, 6]);
    expect(first?.item()).toBe(5);
    expect(() => [...torch.tensor(1)]).toThrow(/without dimensions cannot be iterated/);
  });

  it("of a long dimension does not make all its parts at once", () => {
    const before = torch.memory.memoryStats().liveTensors;
    let last = -1;
    for (const part of torch.arange(70_000)) {
      last = part.item();
      if (last === 10) expect(torch.memory.memoryStats().liveTensors - before).toBeLessThan(66_000);
    }
    expect(last).toBe(69_999);
  });
});

describe("dispose", () => {
  it("frees a tensor at once, and makes its use an error", () => {
    const x = torch.ones([2]);
    const view = x.view(2, 1);
    x.dispose();
    x.dispose();
    expect(x.isDisposed).toBe(true);
    expect(view.sum().item()).toBe(2);
    expect(() => x.add(1)).toThrow(DisposedError);
    expect(() => x.shape).toThrow(/was disposed and can no longer be used/);
    expect(() => torch.cat([view, x])).toThrow(DisposedError);
    expect(() => view.add(x)).toThrow(DisposedError);
  });

  it("is what a scope does at its end", () => {
    let kept: Tensor;
    {
      using x = torch.ones([1]);
      kept = x;
      expect(x.isDisposed).toBe(false);
    }
    expect(kept.isDisposed).toBe(true);
  });
});
