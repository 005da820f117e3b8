import type { DType, PrintOptions, Tensor } from "@levin/torch";
import * as torch from "@levin/torch";
import { describe, expect, it } from "vitest";
import { askPython, Random } from "./ask-python.js";

const dtypes: readonly DType[] = [
  "float32",
  "float64",
  "float16",
  "bfloat16",
  "uint8",
  "int8",
  "int16",
  "int32",
  "int64",
  "bool",
  "complex64",
  "complex128",
  "uint16",
  "uint32",
  "uint64",
  "float8_e4m3fn",
  "float8_e5m2",
];
const shapes = [
  [],
  [1],
  [5],
  [17],
  [40],
  [0],
  [2, 3],
  [3, 0],
  [4, 11],
  [1, 1, 1],
  [2, 3, 4],
  [2, 1, 2, 9],
  [1001],
  [7, 200],
  [11, 12, 13],
  [2, 600],
  [3, 2, 2, 90],
];

/** Random bytes that are values of the type, of sizes that people print and of all others. */
function randomTensor(random: Random, dtype: DType, shape: readonly number[]): Tensor {
  const count = shape.reduce((product, size) => product * size, 1);
  const kind = random.next();
  const scale = random.pick([1, 1, 10, 1e3, 1e5, 1e9, 1e-3, 1e-6, 1e30]);
  const number = (): number => {
    if (kind < 0.2) return random.integer(-20, 20);
    if (kind < 0.25) return 0;
    if (kind < 0.4) return random.integer(-64, 64) / 32; // exactly between two decimals
    if (kind < 0.5 && random.chance(0.2))
      return random.pick([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0, 0]);
    if (kind < 0.6) return (random.next() - 0.5) * 10 ** random.integer(-8, 8);
    return (random.next() - 0.5) * scale;
  };
  const isComplex = dtype.startsWith("complex");
  const flat = Array.from({ length: isComplex ? 2 * count : count }, number);
  if (isComplex)
    return torch.fromTypedArray(new Float64Array(flat), [...shape], { dtype: "complex128" }).to(dtype);
  if (dtype === "bool")
    return torch
      .tensor(flat)
      .gt(0)
      .reshape([...shape]);
  if (dtype.includes("float"))
    return torch
      .tensor(flat, { dtype: "float64" })
      .to(dtype)
      .reshape([...shape]);
  const most =
    kind < 0.7 ? 100 : dtype === "uint64" ? 2 ** 63 : 2 ** (Number(/\d+/.exec(dtype)?.[0]) - 1) - 1;
  const whole = flat.map(() =>
    BigInt(Math.trunc((random.next() - (dtype.startsWith("u") ? 0 : 0.5)) * most)),
  );
  return torch.tensor(whole, { dtype }).reshape([...shape]);
}

/** A tensor as the bytes that Python makes the same one of. */
const described = (tensor: Tensor) => ({
  dtype: tensor.dtype,
  shape: tensor.shape,
  bytes: Buffer.from(tensor.toTypedArray().buffer).toString("base64"),
});

const PYTHON = `
import base64, torch
def make(c):
    data = bytearray(base64.b64decode(c["bytes"]))
    if len(data) == 0: return torch.empty(c["shape"], dtype=getattr(torch, c["dtype"]))
    return torch.frombuffer(data, dtype=getattr(torch, c["dtype"])).reshape(c["shape"])
`;

describe("printing", () => {
  it("is PyTorch's for random tensors of every type", () => {
    const random = new Random(3);
    const tensors = Array.from({ length: 1500 }, () =>
      randomTensor(random, random.pick(dtypes), random.pick(shapes)),
    );
    const expected = askPython<string[]>(
      `${PYTHON}\nanswer = [repr(make(c)) for c in given]`,
      tensors.map(described),
    );
    for (const [i, tensor] of tensors.entries())
      expect(String(tensor), `${tensor.dtype} [${tensor.shape}]`).toBe(expected[i]);
  });

  it("is PyTorch's under other options", () => {
    const random = new Random(4);
    const cases = Array.from({ length: 300 }, () => ({
      tensor: randomTensor(random, random.pick(dtypes), random.pick(shapes)),
      options: {
        precision: random.integer(0, 10),
        threshold: random.pick([0, 5, 50, 1000, 10_000]),
        edgeitems: random.integer(1, 5),
        linewidth: random.pick([20, 60, 80, 140]),
        sciMode: random.pick([null, true, false]),
      } satisfies PrintOptions,
    }));
    const expected = askPython<string[]>(
      `${PYTHON}
answer = []
for c in given:
    o = c["options"]
    torch.set_printoptions(precision=o["precision"], threshold=o["threshold"], edgeitems=o["edgeitems"], linewidth=o["linewidth"], sci_mode=o["sciMode"])
    answer.append(repr(make(c["tensor"])))`,
      cases.map(({ tensor, options }) => ({ tensor: described(tensor), options })),
    );
    try {
      for (const [i, { tensor, options }] of cases.entries()) {
        torch.setPrintoptions(options);
        expect(String(tensor), JSON.stringify(options)).toBe(expected[i]);
      }
    } finally {
      torch.setPrintoptions({ profile: "default" });
    }
  });

  it("is PyTorch's for what is said behind the values", () => {
    const x = () => torch.arange(6, { dtype: "float32" }).reshape([2, 3]);
    const cases: [Tensor, string][] = [
      [x().requiresGrad_(), "x().requires_grad_()"],
      [x().requiresGrad_().mul(2), "x().requires_grad_().mul(2)"],
      [x().requiresGrad_().sum(), "x().requires_grad_().sum()"],
      [x().double().requiresGrad_().unbind()[1] as Tensor, "x().double().requires_grad_().unbind()[1]"],
      [x().requiresGrad_().view(3, 2).t(), "x().requires_grad_().view(3, 2).t()"],
      [x().requiresGrad_().mul(1).get(0).mul_(2), "x().requires_grad_().mul(1)[0].mul_(2)"],
      [x().repeat(1, 5).double().requiresGrad_().exp(), "x().repeat(1, 5).double().requires_grad_().exp()"],
      [x().to("meta"), "x().to('meta')"],
      [x().to("meta").long(), "x().to('meta').long()"],
      [x().toSparse(), "x().to_sparse()"],
      [x().double().toSparse().requiresGrad_(), "x().double().to_sparse().requires_grad_()"],
      [x().mul(0).toSparse(), "x().mul(0).to_sparse()"],
      [x().toSparseCsr(), "x().to_sparse_csr()"],
      [x().toSparseCsc(), "x().to_sparse_csc()"],
      [x().toSparseBsr([1, 3]), "x().to_sparse_bsr((1, 3))"],
      [
        torch.quantizePerTensor(x(), 0.5, 10, "quint8"),
        "torch.quantize_per_tensor(x(), 0.5, 10, torch.quint8)",
      ],
      [torch.quantizePerTensor(x(), 1, 0, "qint32"), "torch.quantize_per_tensor(x(), 1, 0, torch.qint32)"],
      [
        torch.quantizePerChannel(x(), torch.tensor([0.1, 0.2]), torch.tensor([0n, 1n]), 0, "qint8"),
        "torch.quantize_per_channel(x(), torch.tensor([0.1, 0.2]), torch.tensor([0, 1]), 0, torch.qint8)",
      ],
      [torch.ops.call("aten::to_mkldnn", x()) as Tensor, "x().to_mkldnn()"],
      [
        torch.ops.call("aten::_nested_tensor_from_tensor_list", [x(), x().narrow(1, 0, 2)]) as Tensor,
        "torch._nested_tensor_from_tensor_list([x(), x()[:, :2]])",
      ],
      [torch.ops.call("aten::_efficientzerotensor", [2, 2]) as Tensor, "torch._efficientzerotensor((2, 2))"],
      [torch.complex(x(), x().neg()).conj(), "torch.complex(x(), x().neg()).conj()"],
      [torch.complex(x(), x()).conj().imag, "torch.complex(x(), x()).conj().imag"],
    ];
    const expected = askPython<string[]>(
      "import torch\nx = lambda: torch.arange(6, dtype=torch.float32).reshape(2, 3)\nanswer = [repr(eval(text)) for text in given]",
      cases.map(([, text]) => text),
    );
    for (const [i, [tensor, text]] of cases.entries()) expect(String(tensor), text).toBe(expected[i]);
  });

  it("leaves out what the default type says", () => {
    torch.setDefaultDtype("float64");
    try {
      const cases = [
        torch.ones([2]),
        torch.ones([2], { dtype: "float32" }),
        torch.ones([0]),
        torch.ones([1], { dtype: "complex128" }),
      ];
      const expected = askPython<string[]>(
        `import torch
torch.set_default_dtype(torch.float64)
answer = [repr(t) for t in (torch.ones(2), torch.ones(2, dtype=torch.float32), torch.ones(0), torch.ones(1, dtype=torch.complex128))]`,
      );
      expect(cases.map(String)).toEqual(expected);
    } finally {
      torch.setDefaultDtype("float32");
    }
  });
});
