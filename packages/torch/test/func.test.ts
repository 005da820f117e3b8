import * as torch from "@levin/torch";
import { autograd, func, nn, type Tensor } from "@levin/torch";
import { describe, expect, it } from "vitest";

const close = (a: Tensor, b: Tensor): boolean => torch.allclose(a, b, { atol: 1e-6 });

describe("vmap", () => {
  it("applies a function to each part along a dimension", () => {
    const dot = func.vmap((a: Tensor, b: Tensor) => a.dot(b));
    const [a, b] = [torch.randn([8, 3]), torch.randn([8, 3])];
    expect(close(dot(a, b), a.mul(b).sum(1))).toBe(true);
  });

  it("leaves alone what has no dimension to map over", () => {
    const scale = func.vmap((x: Tensor, by: Tensor) => x.mul(by), { inDims: [1, null], outDims: 1 });
    const x = torch.randn([4, 5]);
    expect(close(scale(x, torch.tensor(2)), x.mul(2))).toBe(true);
  });

  it("goes through arrays and objects", () => {
    const sums = func.vmap((batch: { x: Tensor; y: Tensor[] }) => ({
      sum: batch.x.add(batch.y[0] as Tensor),
      x: batch.x,
    }));
    const { sum, x } = sums({ x: torch.ones([3, 2]), y: [torch.ones([3, 2])] });
    expect([sum.toArray()[0 as never], x.shape]).toEqual([
      [2, 2],
      [3, 2],
    ]);
  });

  it("is nested, and works in chunks", () => {
    const outer = func.vmap(
      func.vmap((a: Tensor, b: Tensor) => a.mul(b), { inDims: [null, 0] }),
      { inDims: [0, null] },
    );
    const [a, b] = [torch.randn(3), torch.randn(4)];
    expect(close(outer(a, b), torch.outer(a, b))).toBe(true);
    const x = torch.randn([5, 3]);
    expect(close(func.vmap((row: Tensor) => row.cumsum(0), { chunkSize: 2 })(x), x.cumsum(1))).toBe(true);
  });

  it("draws random numbers only as it was told", () => {
    const noisy = (x: Tensor) => x.add(torch.randn([2]));
    const x = torch.zeros([3, 2]);
    expect(() => func.vmap(noisy)(x)).toThrow(/random operation while in randomness error mode/);
    const same = func.vmap(noisy, { randomness: "same" })(x);
    expect(same.get(0).equal(same.get(1))).toBe(true);
    const different = func.vmap(noisy, { randomness: "different" })(x);
    expect(different.get(0).equal(different.get(1))).toBe(false);
  });

  it("says what does not fit", () => {
    const add = (a: Tensor, b: Tensor) => a.add(b);
    expect(() => func.vmap(add)(torch.ones([2]), torch.ones([3]))).toThrow("must have one size, got 2, 3");
    expect(() => func.vmap(add, { inDims: null })(torch.ones(2), torch.ones(2))).toThrow(
      "at least one argument",
    );
    expect(() => func.vmap(add, { inDims: [0] })(torch.ones(2), torch.ones(2))).toThrow(
      "of the form of the arguments",
    );
    expect(() => func.vmap((_: Tensor) => 3)(torch.ones(2))).toThrow("must give Tensors");
    expect(() => func.vmap((a: Tensor) => a, { randomness: "some" as never })(torch.ones(2))).toThrow(
      '"error", "same" or "different"',
    );
    expect(() => func.vmap((a: Tensor) => a)(torch.ones([]))).toThrow();
  });

  it("is left in order when the function throws", () => {
    expect(() =>
      func.vmap((_: Tensor) => {
        throw new Error("mine");
      })(torch.ones(2)),
    ).toThrow("mine");
    expect(torch.ones(2).add(1).toArray()).toEqual([2, 2]);
  });

  it("does not let values out, and what escapes can't be used", () => {
    let escaped: Tensor = torch.ones(1);
    func.vmap((a: Tensor) => {
      escaped = a;
      return a;
    })(torch.ones([2, 2]));
    expect(() => escaped.add(1)).toThrow(/escaped/);
    expect(() => escaped.toArray()).toThrow();
    expect(() => func.vmap((a: Tensor) => a.mul(a.item()))(torch.ones([2]))).toThrow();
  });
});

describe("grad, vjp, jvp", () => {
  it("give derivatives of any order", () => {
    const x = torch.tensor(1, { dtype: "float64" });
    const sin = (v: Tensor) => v.sin();
    expect(func.grad(sin)(x).item()).toBeCloseTo(Math.cos(1), 12);
    expect(
      func
        .grad(func.grad(func.grad(sin)))(x)
        .item(),
    ).toBeCloseTo(-Math.cos(1), 12);
  });

  it("give gradients for each sample", () => {
    const [weight, samples] = [torch.randn(3), torch.randn([5, 3])];
    const loss = (w: Tensor, sample: Tensor) => w.dot(sample).sin();
    const each = func.vmap(func.grad(loss), { inDims: [null, 0] })(weight, samples);
    expect(close(each, samples.mul(samples.matmul(weight).cos().unsqueeze(1)))).toBe(true);
  });

  it("choose arguments, and pass on what is not differentiated", () => {
    const f = (a: Tensor, b: Tensor): [Tensor, Tensor] => [a.mul(b.pow(2)).sum(), a];
    const [a, b] = [torch.tensor([1, 2]), torch.tensor([3, 4])];
    const [gradient, aux] = func.grad<[Tensor, Tensor], [Tensor, Tensor]>(f, { argnums: 1, hasAux: true })(
      a,
      b,
    );
    expect(gradient.toArray()).toEqual([6, 16]);
    expect(aux.toArray()).toEqual([1, 2]);
    const [both] = func.grad<[Tensor, Tensor], [Tensor[], Tensor]>(f, { argnums: [0, 1], hasAux: true })(
      a,
      b,
    );
    expect(both.map((g) => g.toArray())).toEqual([
      [9, 16],
      [6, 16],
    ]);
    expect(() => func.grad((x: Tensor) => x)(a)).toThrow("without dimensions, got shape [2]");
    expect(() => func.grad((x: Tensor) => x.sum(), { argnums: 3 })(a)).toThrow(
      "argnums must name some of the 1 arguments, got 3",
    );
  });

  it("do not see the graph outside, unless asked", () => {
    const w = torch.tensor([2], { requiresGrad: true });
    func
      .grad((x: Tensor) => x.mul(w).sum())(torch.tensor([3]))
      .sum()
      .backward();
    expect(w.grad?.toArray()).toEqual([1]);
  });

  it("multiply with the Jacobian from both sides", () => {
    const x = torch.randn(4, { dtype: "float64" });
    const [y, pullBack] = func.vjp((v: Tensor) => v.sin(), [x]);
    expect(close(y, x.sin())).toBe(true);
    expect(close(pullBack(torch.onesLike(x))[0] as Tensor, x.cos())).toBe(true);
    const [z, tangent] = func.jvp((v: Tensor) => v.sin(), [x], [torch.onesLike(x)]);
    expect([close(z, x.sin()), close(tangent, x.cos())]).toEqual([true, true]);
    const [, push] = func.linearize((v: Tensor) => v.sin(), x);
    expect(close(push(torch.onesLike(x)), x.cos())).toBe(true);
    expect(() => func.jvp((v: Tensor) => v, [x], [])).toThrow("of the 1 primals, got 0");
  });

  it("refuse functions with a derivative of one's own", () => {
    class Double extends autograd.Function {
      static override forward(_: autograd.FunctionContext, x: Tensor) {
        return x.mul(2);
      }
    }
    expect(() => func.grad((x: Tensor) => Double.apply(x).sum())(torch.ones(2))).toThrow(
      /cannot be used inside/,
    );
  });
});

describe("jacrev, jacfwd, hessian", () => {
  const x = torch.randn([2, 3], { dtype: "float64" });
  const f = (a: Tensor) => a.exp().sum(1).mul(2);

  it("agree with each other and with autograd.functional", () => {
    const wanted = autograd.functional.jacobian(f, x);
    expect(wanted.shape).toEqual([2, 2, 3]);
    expect(close(func.jacrev(f)(x), wanted)).toBe(true);
    expect(close(func.jacfwd(f)(x), wanted)).toBe(true);
    expect(close(func.jacrev(f, { chunkSize: 1 })(x), wanted)).toBe(true);
    const cube = (a: Tensor) => a.pow(3).sum();
    expect(close(func.hessian(cube)(x), autograd.functional.hessian(cube, x))).toBe(true);
  });

  it("have the form of outputs and arguments", () => {
    const g = (a: Tensor, b: Tensor) => ({ sum: a.add(b.sum()), product: a.mul(2) });
    type Form = { sum: Tensor[]; product: Tensor[] };
    const options = { argnums: [0, 1] };
    const rows = func.jacrev<[Tensor, Tensor], Form>(g, options)(torch.ones(2), torch.ones(3));
    const columns = func.jacfwd<[Tensor, Tensor], Form>(g, options)(torch.ones(2), torch.ones(3));
    expect(rows.sum.map((part) => part.shape)).toEqual([
      [2, 2],
      [2, 3],
    ]);
    for (const name of ["sum", "product"] as const) {
      for (const i of [0, 1]) expect(close(rows[name][i] as Tensor, columns[name][i] as Tensor)).toBe(true);
    }
  });
});

describe("modules as functions", () => {
  it("run as an ensemble", () => {
    const models = [new nn.Linear(3, 2), new nn.Linear(3, 2)];
    const [parameters, buffers] = func.stackModuleState(models);
    expect(parameters.weight?.shape).toEqual([2, 2, 3]);
    const x = torch.randn([4, 3]);
    const run = func.vmap((p: func.NamedTensors, b: func.NamedTensors) =>
      func.functionalCall(models[0] as nn.Linear, { ...p, ...b }, x),
    );
    const outputs = run(parameters, buffers);
    expect(close(outputs.get(1), (models[1] as nn.Linear).forward(x))).toBe(true);
    expect(() => func.stackModuleState([])).toThrow("at least one module");
  });

  it("do without the running statistics of batch normalisation", () => {
    const net = func.replaceAllBatchNormModules_(
      new nn.Sequential(new nn.Linear(2, 2), new nn.BatchNorm1d(2)),
    );
    expect(Object.keys(net.stateDict())).toEqual(["0.weight", "0.bias", "1.weight", "1.bias"]);
    expect(net.forward(torch.randn([4, 2])).shape).toEqual([4, 2]);
  });
});
