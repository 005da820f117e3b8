import * as torch from "@levin/torch";
import { autograd, type Tensor } from "@levin/torch";
import { describe, expect, it } from "vitest";

const { functional, forwardAd, graph } = autograd;
const close = (a: Tensor, b: Tensor): boolean => torch.allclose(a, b, { atol: 1e-8 });
const random = (...shape: number[]) => torch.rand(shape, { dtype: "float64" });

describe("jacobian", () => {
  const x = random(2, 2);
  const rowSums = (a: Tensor) => a.exp().sum(1);

  it("has the shape of output and input", () => {
    const jacobian = functional.jacobian(rowSums, x);
    expect(jacobian.shape).toEqual([2, 2, 2]);
    expect(close(jacobian.get([0, 0]), x.get(0).exp())).toBe(true);
    expect(jacobian.get([0, 1]).toArray()).toEqual([0, 0]);
  });

  it("is the same by rows, all at once, and by columns", () => {
    const wanted = functional.jacobian(rowSums, x);
    expect(close(functional.jacobian(rowSums, x, { vectorize: true }), wanted)).toBe(true);
    expect(
      close(functional.jacobian(rowSums, x, { vectorize: true, strategy: "forward-mode" }), wanted),
    ).toBe(true);
  });

  it("is a list for several inputs, and a list of lists for several outputs", () => {
    const [a, b] = functional.jacobian((p, q) => p.mul(2).add(q.mul(3)), [random(2), random(2)]);
    expect([a.toArray(), b.toArray()]).toEqual([
      [
        [2, 0],
        [0, 2],
      ],
      [
        [3, 0],
        [0, 3],
      ],
    ]);
    const rows = functional.jacobian((p, q) => [p.sum(), q], [random(2), random(3)]);
    expect(rows.map((row) => row.map((part) => part.shape))).toEqual([
      [[2], [3]],
      [
        [3, 2],
        [3, 3],
      ],
    ]);
  });

  it("can be differentiated with createGraph", () => {
    const leaf = random(2).requiresGrad_();
    functional
      .jacobian((a) => a.pow(3), leaf, { createGraph: true })
      .sum()
      .backward();
    expect(close(leaf.grad as Tensor, leaf.detach().mul(6))).toBe(true);
    expect(functional.jacobian((a) => a.pow(3), leaf).requiresGrad).toBe(false);
  });

  it("is zero for what the output does not depend on, or an error when strict", () => {
    const constant = (_: Tensor) => torch.ones([2], { dtype: "float64" });
    expect(functional.jacobian(constant, x).abs().sum().item()).toBe(0);
    expect(() => functional.jacobian(constant, x, { strict: true })).toThrow("does not depend on the inputs");
    expect(() => functional.jacobian((a) => a, x, { strict: true, vectorize: true })).toThrow(
      "cannot be used together",
    );
    expect(() => functional.jacobian((a) => a, x, { strategy: "forward-mode" })).toThrow(
      "needs vectorize: true",
    );
  });
});

describe("hessian and products", () => {
  const x = random(3);
  const cube = (a: Tensor) => a.pow(3).sum();

  it("give second derivatives", () => {
    const wanted = torch.diag(x.mul(6));
    expect(close(functional.hessian(cube, x), wanted)).toBe(true);
    expect(
      close(functional.hessian(cube, x, { vectorize: true, outerJacobianStrategy: "forward-mode" }), wanted),
    ).toBe(true);
    const blocks = functional.hessian((a, b) => a.mul(b).sum(), [x, x]);
    expect(close(blocks[0][1], torch.eye(3, { dtype: "float64" }))).toBe(true);
  });

  it("multiply with vectors from both sides", () => {
    const v = random(3);
    expect(close(functional.hvp(cube, x, v)[1], x.mul(6).mul(v))).toBe(true);
    expect(close(functional.vhp(cube, x, v)[1], x.mul(6).mul(v))).toBe(true);
    expect(close(functional.jvp((a) => a.sin(), x, v)[1], x.cos().mul(v))).toBe(true);
    expect(close(functional.vjp((a) => a.sin(), x, v)[1], x.cos().mul(v))).toBe(true);
  });

  it("say what does not fit", () => {
    expect(() => functional.hessian((a) => a, x)).toThrow("one Tensor with one element");
    expect(() => functional.vjp((a) => a.sin(), x)).toThrow("v can only be left out");
    expect(() => functional.vjp((a) => a.sin(), x, random(2))).toThrow(
      "must have the shape [3] of output 0, got [2]",
    );
    expect(() => functional.jvp((a) => a, x, [random(3), random(3)])).toThrow(
      "1 tensors like the inputs, got 2",
    );
    expect(() => functional.jacobian(() => 3 as never, x)).toThrow("must be a Tensor or an array of Tensors");
  });
});

describe("gradients of batches", () => {
  it("come from one backward pass", () => {
    const x = random(3).requiresGrad_();
    const y = x.pow(2);
    const [batch] = autograd.grad(y, x, {
      gradOutputs: [torch.eye(3, { dtype: "float64" })],
      isGradsBatched: true,
    });
    expect(close(batch as Tensor, torch.diag(x.detach().mul(2)))).toBe(true);
    expect(() => autograd.grad(y, x, { isGradsBatched: true })).toThrow("needs gradOutputs");
  });

  it("are zeros instead of null with materializeGrads", () => {
    const [x, unused] = [random(3).requiresGrad_(), random(2).requiresGrad_()];
    const found = autograd.grad(x.sum(), [x, unused], { materializeGrads: true });
    expect(found[1]?.toArray()).toEqual([0, 0]);
    expect(() => autograd.grad(x.sum(), x, { materializeGrads: true, allowUnused: false })).toThrow(
      "needs allowUnused",
    );
  });
});

describe("gradcheck", () => {
  it("passes right derivatives: backward, forward, batched, complex, second", () => {
    const x = random(2, 3).requiresGrad_();
    expect(
      autograd.gradcheck((a) => a.sin().mul(a), x, { checkForwardAd: true, checkBatchedGrad: true }),
    ).toBe(true);
    expect(autograd.gradgradcheck((a) => a.exp(), x)).toBe(true);
    const z = torch.randn(3, { dtype: "complex128", requiresGrad: true });
    expect(autograd.gradcheck((a) => a.mul(a.conj()).sqrt(), z)).toBe(true);
    expect(autograd.gradcheck((a, b) => [a.mul(b), b.sum()], [random(2).requiresGrad_(), random(2)])).toBe(
      true,
    );
  });

  it("finds wrong ones", () => {
    class Wrong extends autograd.Function {
      static override forward(_: autograd.FunctionContext, x: Tensor) {
        return x.mul(2);
      }
      static override backward(_: autograd.FunctionContext, gradient: Tensor) {
        return gradient.mul(3);
      }
    }
    const x = random(2).requiresGrad_();
    expect(() => autograd.gradcheck((a) => Wrong.apply(a), x)).toThrow(autograd.GradcheckError);
    expect(autograd.gradcheck((a) => Wrong.apply(a), x, { raiseException: false })).toBe(false);
    expect(() => autograd.gradcheck((a) => a, random(2))).toThrow(
      "at least one input must require gradients",
    );
  });
});

describe("forward mode", () => {
  it("carries a derivative along", () => {
    const [x, direction] = [random(3), random(3)];
    const { primal, tangent } = forwardAd.dualLevel(() =>
      forwardAd.unpackDual(forwardAd.makeDual(x, direction).sin()),
    );
    expect(close(primal, x.sin())).toBe(true);
    expect(close(tangent as Tensor, x.cos().mul(direction))).toBe(true);
  });

  it("is there only inside a level, and levels end in order", () => {
    const x = random(2);
    expect(() => forwardAd.makeDual(x, x)).toThrow("only inside dualLevel()");
    expect(forwardAd.unpackDual(x).tangent).toBeNull();
    expect(() => forwardAd.exitDualLevel()).toThrow("not the one that was entered last");
    expect(() =>
      forwardAd.dualLevel(() => {
        throw new Error("mine");
      }),
    ).toThrow("mine");
    forwardAd.dualLevel(() => forwardAd.makeDual(x, x));
  });
});

describe("hooks over saved tensors", () => {
  it("decide what is kept", () => {
    const w = random(3).requiresGrad_();
    const kept: string[] = [];
    const loss = graph.savedTensorsHooks(
      (tensor) => {
        kept.push(tensor.dtype);
        return tensor.float();
      },
      (packed) => packed.double(),
      () => w.exp().sum(),
    );
    loss.backward();
    expect(kept).toEqual(["float64"]);
    expect(torch.allclose(w.grad as Tensor, w.detach().exp(), { atol: 1e-6 })).toBe(true);
  });

  it("count the innermost first, and end when the function throws", () => {
    const w = random(1).requiresGrad_();
    let outer = 0;
    const count = (tensor: Tensor) => {
      outer += 1;
      return tensor;
    };
    graph.savedTensorsHooks(
      count,
      (t) => t,
      () => graph.saveOnCpu(() => w.exp()).backward(),
    );
    expect(outer).toBe(0);
    expect(() =>
      graph.savedTensorsHooks(
        count,
        (t) => t,
        () => {
          throw new Error("mine");
        },
      ),
    ).toThrow("mine");
    w.exp().backward();
    expect(outer).toBe(0);
  });

  it("can be refused", () => {
    const w = random(1).requiresGrad_();
    const saved = () => graph.saveOnCpu(() => w.exp());
    const refusing = () => graph.disableSavedTensorsHooks("no hooks in here", saved);
    expect(refusing).toThrow("no hooks in here");
    expect(graph.disableSavedTensorsHooks("no hooks in here", () => w.exp()).equal(saved())).toBe(true);
  });

  it("are told what is wrong with them", () => {
    const w = random(1).requiresGrad_();
    const loss = graph.savedTensorsHooks(
      () => 3,
      () => 4 as never,
      () => w.exp(),
    );
    expect(() => loss.backward()).toThrow("the result of unpack must be a Tensor");
    expect(() =>
      graph.savedTensorsHooks(
        () => {
          throw new Error("mine");
        },
        (t) => t,
        () => w.exp(),
      ),
    ).toThrow("mine");
    expect(() =>
      graph.savedTensorsHooks(
        (t) => t,
        (t) => t,
        async () => w,
      ),
    ).toThrow("synchronous");
  });
});

describe("anomaly detection", () => {
  it("is on inside a function", () => {
    const state = autograd.detectAnomaly(
      () => [autograd.isAnomalyEnabled(), torch.isAnomalyCheckNanEnabled()],
      { checkNan: false },
    );
    expect(state).toEqual([true, false]);
    expect(autograd.isAnomalyEnabled()).toBe(false);
  });

  it("and changes behind the graph's back are found", () => {
    const w = random(2).requiresGrad_();
    const y = w.exp();
    const loss = y.sum();
    graph.incrementVersion(y);
    expect(() => loss.backward()).toThrow(/modified by an inplace operation/);
  });
});
