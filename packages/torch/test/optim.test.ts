import { manualSeed, memory, nn, optim, randn, type Tensor, tensor, zeros } from "@levin/torch";
import { describe, expect, it, vi } from "vitest";

const parameter = (...values: number[]) => new nn.Parameter(tensor(values));
const valuesOf = (param: Tensor) => param.detach().toArray<number[]>();

function withGrad(param: Tensor, ...values: number[]): Tensor {
  param.grad = tensor(values);
  return param;
}

const stateOf = (optimizer: optim.Optimizer, index: number) =>
  (optimizer.stateDict().state as Map<number, Record<string, unknown>>).get(index);

describe("an optimizer", () => {
  it("moves parameters against their gradients", () => {
    const param = withGrad(parameter(1, 2), 4, -4);
    new optim.SGD([param], { lr: 0.25 }).step();
    expect(valuesOf(param)).toEqual([0, 3]);
  });

  it("climbs with maximize", () => {
    const param = withGrad(parameter(1), 10);
    new optim.SGD([param], { lr: 0.1, maximize: true }).step();
    expect(valuesOf(param)).toEqual([2]);
  });

  it("leaves parameters without gradients as they are, and keeps nothing of them", () => {
    const [moved, still] = [withGrad(parameter(1), 1), parameter(5)];
    const optimizer = new optim.Adam([moved, still]);
    optimizer.step();
    expect(valuesOf(still)).toEqual([5]);
    expect([optimizer.state.has(moved), optimizer.state.has(still)]).toEqual([true, false]);
  });

  it("leaves a parameter out in the one step where it has no gradient", () => {
    const [always, once] = [withGrad(parameter(0), 1), withGrad(parameter(0), 1)];
    const optimizer = new optim.SGD([always, once], { lr: 1 });
    optimizer.step();
    once.grad = null;
    optimizer.step();
    once.grad = tensor([1]);
    optimizer.step();
    expect([valuesOf(always), valuesOf(once)]).toEqual([[-3], [-2]]);
  });

  it("goes on with gradients of another type once the parameters have that type", () => {
    const param = withGrad(parameter(0), 1);
    const optimizer = new optim.SGD([param], { lr: 1 });
    optimizer.step();
    optimizer.step();
    param.grad = null;
    param.data = param.data.double();
    param.grad = tensor([0.1], { dtype: "float64" });
    optimizer.step();
    expect([param.dtype, valuesOf(param)]).toEqual(["float64", [-2.1]]);
  });

  it("frees the gradients that are cleared, whether the update succeeds or fails", () => {
    class Picky extends optim.SGD {
      fails = false;
      protected override update(...args: Parameters<optim.SGD["update"]>): void {
        if (this.fails) throw new Error("no");
        super.update(...args);
      }
    }
    const param = withGrad(parameter(0), 1);
    const optimizer = new Picky([param], { lr: 1 });
    optimizer.step();
    optimizer.step();
    const { liveTensors } = memory.memoryStats();
    for (const fails of [false, true, false]) {
      optimizer.fails = fails;
      if (fails) expect(() => optimizer.step()).toThrow("no");
      else optimizer.step();
      expect(memory.memoryStats().liveTensors).toBe(liveTensors);
    }
    expect(valuesOf(param)).toEqual([-4]);
  });

  it("trains a network", () => {
    manualSeed(0);
    const net = new nn.Sequential(new nn.Linear(2, 16), new nn.Tanh(), new nn.Linear(16, 1));
    const x = randn([64, 2]);
    const y = x.select(1, 0).mul(x.select(1, 1)).unsqueeze(1);
    const optimizer = new optim.AdamW(net.parameters(), { lr: 0.01 });
    const losses = Array.from({ length: 200 }, () => {
      optimizer.zeroGrad();
      const loss = nn.functional.mseLoss(net.forward(x) as Tensor, y);
      loss.backward();
      optimizer.step();
      return loss.item();
    });
    expect(losses.at(-1)).toBeLessThan((losses[0] as number) / 20);
  });

  it("evaluates a closure with gradients recorded, and returns its loss", () => {
    const param = parameter(3);
    const optimizer = new optim.SGD([param], { lr: 0.5 });
    const loss = optimizer.step(() => {
      optimizer.zeroGrad();
      const loss = param.pow(2).sum() as Tensor;
      loss.backward();
      return loss;
    });
    expect((loss as Tensor).item()).toBe(9);
    expect(valuesOf(param)).toEqual([0]);
  });

  it("records gradients again after a closure that throws", () => {
    const optimizer = new optim.SGD([parameter(1)]);
    const failing = () => {
      throw new Error("no data");
    };
    expect(() => optimizer.step(failing)).toThrow("no data");
    expect(parameter(1).mul(2).requiresGrad).toBe(true);
  });

  it("clears gradients, to nothing or to zeros", () => {
    const param = withGrad(parameter(1), 2);
    const optimizer = new optim.SGD([param]);
    optimizer.zeroGrad(false);
    expect(param.grad?.toArray()).toEqual([0]);
    optimizer.zeroGrad();
    expect(param.grad).toBeNull();
  });

  it("prints the options of its groups", () => {
    expect(String(new optim.SGD([parameter(1)], { lr: 0.1 }))).toBe(
      "SGD (\nParameter Group 0\n    dampening: 0\n    differentiable: false\n    foreach: null\n    fused: null\n    lr: 0.1\n" +
        "    maximize: false\n    momentum: 0\n    nesterov: false\n    weightDecay: 0\n)",
    );
  });

  it("does not hold on to the memory of gradients and intermediate values", () => {
    const param = new nn.Parameter(zeros([1000]));
    const optimizer = new optim.RMSprop([param]);
    const step = () => {
      param.grad = zeros([1000]);
      optimizer.step();
      optimizer.zeroGrad();
    };
    step();
    memory.collect();
    const before = memory.memoryStats().liveBytes;
    step();
    // what is left are the objects of the gradient that was set here
    expect(memory.memoryStats().liveBytes - before).toBeLessThan(2 * 4000);
  });

  it("of one's own only implements the update", () => {
    class SignSGD extends optim.Optimizer<{ lr?: number }> {
      constructor(params: optim.Params<{ lr?: number }>, { lr = 0.5 } = {}) {
        super(params, { lr });
      }
      protected override update(
        group: optim.ParamGroup<{ lr?: number }>,
        params: Tensor[],
        grads: Tensor[],
      ): void {
        for (const [i, param] of params.entries())
          param.add_((grads[i] as Tensor).sign(), { alpha: -group.lr });
      }
    }
    const param = withGrad(parameter(1, 1), 7, -7);
    new SignSGD([param]).step();
    expect(valuesOf(param)).toEqual([0.5, 1.5]);
  });
});

describe("parameter groups", () => {
  it("have options of their own, and the optimizer's for the rest", () => {
    const [a, b] = [withGrad(parameter(1), 1), withGrad(parameter(1), 1)];
    const optimizer = new optim.SGD([{ params: [a], lr: 0.5 }, { params: b }], { lr: 0.25, momentum: 0.9 });
    optimizer.step();
    expect([valuesOf(a), valuesOf(b)]).toEqual([[0.5], [0.75]]);
    expect(optimizer.paramGroups.map((group) => group.momentum)).toEqual([0.9, 0.9]);
  });

  it("can be changed between steps", () => {
    const param = withGrad(parameter(1), 1);
    const optimizer = new optim.SGD([param], { lr: 1 });
    for (const group of optimizer.paramGroups) group.lr = 0.25;
    optimizer.step();
    expect(valuesOf(param)).toEqual([0.75]);
  });

  it("can be added later", () => {
    const [a, b] = [withGrad(parameter(1), 1), withGrad(parameter(1), 1)];
    const optimizer = new optim.SGD([a], { lr: 0.5 });
    optimizer.addParamGroup({ params: [b], lr: 0.25 });
    optimizer.step();
    expect([valuesOf(a), valuesOf(b)]).toEqual([[0.5], [0.75]]);
  });

  it("keep the names of named parameters, also in the state", () => {
    const net = new nn.Linear(2, 1);
    const optimizer = new optim.SGD(net.namedParameters(), { lr: 0.1 });
    expect(optimizer.paramGroups[0]?.paramNames).toEqual(["weight", "bias"]);
    expect(optimizer.stateDict().param_groups[0]?.param_names).toEqual(["weight", "bias"]);
  });

  it("may hold parameters of several types", () => {
    const [single, double] = [withGrad(parameter(1), 1), new nn.Parameter(tensor([1], { dtype: "float64" }))];
    double.grad = tensor([1], { dtype: "float64" });
    new optim.Adam([single, double], { lr: 0.5 }).step();
    expect(valuesOf(single)[0]).toBeCloseTo(0.5);
    expect(valuesOf(double)[0]).toBeCloseTo(0.5);
  });
});

describe("an optimizer refuses", () => {
  const leaf = parameter(1);
  it.each<[string, () => unknown, RegExp]>([
    ["no parameters", () => new optim.SGD([]), /empty parameter list/],
    ["a tensor in place of a list", () => new optim.SGD(leaf as never), /should be an iterable of Tensors/],
    [
      "something else in the list",
      () => new optim.SGD([5 as never]),
      /can only optimize Tensors, but one of the params is 5/,
    ],
    ["a tensor that was computed", () => new optim.SGD([leaf.mul(2)]), /non-leaf/],
    [
      "a parameter in two groups",
      () => new optim.SGD([{ params: [leaf] }, { params: [leaf] }]),
      /more than one parameter group/,
    ],
    [
      "names for some parameters only",
      () => new optim.SGD([["a", leaf], parameter(2)] as never),
      /with\/without names/,
    ],
    ["a negative learning rate", () => new optim.SGD([leaf], { lr: -1 }), /Invalid learning rate: -1/],
    [
      "a learning rate that is none",
      () => new optim.Adam([leaf], { lr: "big" as never }),
      /Invalid learning rate: 'big'/,
    ],
    [
      "betas of one and more",
      () => new optim.Adam([leaf], { betas: [1, 0.9] }),
      /Invalid beta parameter at index 0: 1/,
    ],
    [
      "Nesterov without momentum",
      () => new optim.SGD([leaf], { nesterov: true }),
      /Nesterov momentum requires a momentum/,
    ],
    [
      "fused and foreach together",
      () => new optim.Adam([leaf], { fused: true, foreach: true }),
      /cannot be `true` together/,
    ],
    [
      "two groups for LBFGS",
      () => new optim.LBFGS([{ params: [leaf] }, { params: [parameter(2)] }]),
      /parameter groups/,
    ],
    ["LBFGS without a closure", () => new optim.LBFGS([leaf]).step(), /needs a closure/],
    ["vectors for Muon", () => new optim.Muon([leaf]), /only supports 2D parameters.*\[1\]/],
  ])("%s", (_, make, message) => {
    expect(make).toThrow(message);
  });

  it("sparse gradients where it has no use for them", () => {
    const param = new nn.Parameter(zeros([3, 2]));
    param.grad = zeros([3, 2]).toSparse(1);
    expect(() => new optim.Adam([param]).step()).toThrow("consider SparseAdam");
    expect(() => new optim.RMSprop([param]).step()).toThrow("RMSprop does not support sparse gradients");
  });
});

describe("a state", () => {
  const step = (optimizer: optim.Optimizer, param: Tensor) => {
    param.grad = tensor([1, 2]);
    optimizer.step();
  };

  it("has PyTorch's names and counts the parameters of all groups", () => {
    const params = [parameter(1, 1), parameter(2, 2)] as const;
    const optimizer = new optim.AdamW([{ params: [params[0]] }, { params: [params[1]], weightDecay: 0 }]);
    for (const param of params) param.grad = tensor([0, 1]);
    optimizer.step();
    const { state, param_groups } = optimizer.stateDict();
    expect(
      param_groups.map((group) => [group.params, group.weight_decay, group.decoupled_weight_decay]),
    ).toEqual([
      [[0], 0.01, true],
      [[1], 0, true],
    ]);
    expect([...(state as Map<number, object>)].map(([id, kept]) => [id, Object.keys(kept)])).toEqual([
      [0, ["step", "exp_avg", "exp_avg_sq"]],
      [1, ["step", "exp_avg", "exp_avg_sq"]],
    ]);
  });

  it("lets training go on as if it had not stopped", () => {
    const [a, b] = [parameter(1, 2), parameter(1, 2)];
    const [one, other] = [new optim.Adam([a], { lr: 0.1 }), new optim.Adam([b], { lr: 7 })];
    for (let i = 0; i < 3; i++) step(one, a);
    b.data = a.detach().clone();
    const { state, param_groups } = one.stateDict();
    const copied = [...(state as Map<number, Record<string, Tensor>>)].map(
      ([id, kept]) =>
        [id, Object.fromEntries(Object.entries(kept).map(([key, value]) => [key, value.clone()]))] as const,
    );
    other.loadStateDict({ state: new Map(copied), param_groups });
    for (let i = 0; i < 3; i++) {
      step(one, a);
      step(other, b);
    }
    expect(valuesOf(b)).toEqual(valuesOf(a));
    expect(other.paramGroups[0]?.lr).toBe(0.1);
  });

  it("takes the type of the parameters when it is loaded, except for the number of steps", () => {
    const param = parameter(1, 2);
    const optimizer = new optim.Adam([param]);
    step(optimizer, param);
    const double = new nn.Parameter(zeros([2], { dtype: "float64" }));
    const other = new optim.Adam([double]);
    other.loadStateDict(optimizer.stateDict());
    const kept = other.state.get(double) as Record<string, Tensor>;
    expect([kept.expAvg?.dtype, kept.step?.dtype]).toEqual(["float64", "float32"]);
  });

  it("of another number of groups or parameters is refused", () => {
    const saved = new optim.SGD([parameter(1)]).stateDict();
    const groups = new optim.SGD([{ params: [parameter(1)] }, { params: [parameter(2)] }]);
    expect(() => groups.loadStateDict(saved)).toThrow("different number of parameter groups: 1 instead of 2");
    const params = new optim.SGD([parameter(1), parameter(2)]);
    expect(() => params.loadStateDict(saved)).toThrow("doesn't match the size of optimizer's group");
  });

  it("of parameters with other shapes is an error in the step, and no broken memory", () => {
    const large = new nn.Parameter(zeros([100]));
    const optimizer = new optim.Adam([large]);
    large.grad = zeros([100]);
    optimizer.step();
    const small = new nn.Parameter(zeros([7]));
    const other = new optim.Adam([small]);
    other.loadStateDict(optimizer.stateDict());
    small.grad = zeros([7]);
    expect(() => other.step()).toThrow();
  });

  it("of a file without newer options keeps their defaults", () => {
    const optimizer = new optim.Adam([parameter(1)]);
    const { state } = optimizer.stateDict();
    optimizer.loadStateDict({ state, param_groups: [{ lr: 0.5, betas: [0.8, 0.9], params: [0] }] });
    expect(optimizer.paramGroups[0]).toMatchObject({
      lr: 0.5,
      betas: [0.8, 0.9],
      amsgrad: false,
      foreach: null,
    });
  });
});

describe("hooks", () => {
  it("run around a step, those of all optimizers outside", () => {
    const seen: string[] = [];
    const optimizer = new optim.SGD([withGrad(parameter(1), 1)]);
    const handles = [
      optimizer.registerStepPreHook(() => void seen.push("pre")),
      optimizer.registerStepPostHook(() => void seen.push("post")),
      optim.registerOptimizerStepPreHook(() => void seen.push("all pre")),
      optim.registerOptimizerStepPostHook(() => void seen.push("all post")),
    ];
    optimizer.step();
    expect(seen).toEqual(["all pre", "pre", "post", "all post"]);
    for (const handle of handles) handle.remove();
    optimizer.step();
    expect(seen.length).toBe(4);
  });

  it("before a step may give another closure", () => {
    const optimizer = new optim.SGD([parameter(1)]);
    optimizer.registerStepPreHook(() => () => 5);
    expect(optimizer.step(() => 3)).toBe(5);
  });

  it("of the state see it before and after, and may replace it", () => {
    const optimizer = new optim.SGD([parameter(1)], { lr: 0.1 });
    const before = vi.fn();
    optimizer.registerStateDictPreHook(before);
    optimizer.registerStateDictPostHook((_, state) => ({
      ...state,
      param_groups: [{ ...state.param_groups[0], lr: 9 }],
    }));
    const state = optimizer.stateDict();
    expect(before).toHaveBeenCalledWith(optimizer);
    expect(state.param_groups[0]?.lr).toBe(9);

    const order: string[] = [];
    optimizer.registerLoadStateDictPreHook((_, given) => {
      order.push("pre");
      return { ...given, param_groups: [{ ...given.param_groups[0], lr: 4 }] };
    });
    optimizer.registerLoadStateDictPreHook(() => void order.push("first"), { prepend: true });
    optimizer.registerLoadStateDictPostHook(() => void order.push("post"));
    optimizer.loadStateDict(state);
    expect(order).toEqual(["first", "pre", "post"]);
    expect(optimizer.paramGroups[0]?.lr).toBe(4);
  });
});

describe("fused kernels", () => {
  const steps = (shape: (tensor: Tensor) => Tensor, options: optim.AdamOptions) => {
    manualSeed(1);
    const param = new nn.Parameter(shape(randn([4, 6])));
    const optimizer = new optim.Adam([param], { lr: 0.1, ...options });
    for (let i = 0; i < 3; i++) {
      param.grad = randn([4, 6]);
      optimizer.step();
    }
    return param.detach();
  };

  it.each<[string, (tensor: Tensor) => Tensor]>([
    ["parameters", (tensor) => tensor],
    ["transposed parameters", (tensor) => tensor.t().contiguous().t()],
    ["parameters with gaps", (tensor) => zeros([4, 12]).narrow(1, 0, 6).copy_(tensor)],
  ])("give what the other way gives, for %s", (_, shape) => {
    const difference = steps(shape, {})
      .sub(steps(shape, { fused: false }))
      .abs()
      .max() as Tensor;
    expect(difference.item()).toBeLessThan(1e-6);
  });

  it("take gradients of another order in memory", () => {
    const [param, plain] = [new nn.Parameter(zeros([2, 3])), new nn.Parameter(zeros([2, 3]))];
    param.grad = tensor([
      [1, 2],
      [3, 4],
      [5, 6],
    ]).t();
    plain.grad = param.grad.contiguous();
    for (const each of [param, plain]) new optim.Adam([each], { lr: 1, eps: 1 }).step();
    const difference = param.detach().sub(plain).abs().max() as Tensor;
    expect(difference.item()).toBeLessThan(1e-6);
  });
});

describe("differentiable steps", () => {
  it("have gradients with respect to the learning rate", () => {
    const lr = tensor(0.5, { requiresGrad: true });
    const start = tensor([3], { requiresGrad: true });
    const param = start.clone();
    const optimizer = new optim.SGD([param], { lr, differentiable: true });
    param.grad = tensor([4]);
    optimizer.step();
    param.pow(2).sum().backward();
    expect([lr.grad?.item(), start.grad?.item()]).toEqual([-8, 2]);
  });
});

describe("sparse gradients", () => {
  it.each([
    ["SparseAdam", optim.SparseAdam],
    ["SGD", optim.SGD],
    ["Adagrad", optim.Adagrad],
  ] as const)("change only their rows with %s", (_, Optimizer) => {
    const table = new nn.Parameter(
      tensor([
        [1, 1],
        [1, 1],
        [1, 1],
      ]),
    );
    table.grad = tensor([
      [0, 0],
      [1, 2],
      [0, 0],
    ]).toSparse(1);
    new Optimizer([table], { lr: 0.1 }).step();
    const [first, second, third] = table.detach().toArray<number[][]>();
    expect([first, third]).toEqual([
      [1, 1],
      [1, 1],
    ]);
    expect(second?.[0]).toBeLessThan(1);
  });
});

describe("LBFGS", () => {
  it.each([null, "strong_wolfe"] as const)(
    "finds the minimum of a bent valley, with line search %s",
    (lineSearchFn) => {
      const point = new nn.Parameter(tensor([-1.2, 1], { dtype: "float64" }));
      const optimizer = new optim.LBFGS([point], {
        lineSearchFn,
        maxIter: 100,
        lr: lineSearchFn === null ? 0.1 : 1,
      });
      for (let i = 0; i < 5; i++) {
        optimizer.step(() => {
          optimizer.zeroGrad();
          const [x, y] = [point.select(0, 0), point.select(0, 1)];
          const loss = x
            .neg()
            .add(1)
            .pow(2)
            .add(y.sub(x.pow(2)).pow(2).mul(100));
          loss.backward();
          return loss;
        });
      }
      const [x, y] = valuesOf(point);
      expect(x).toBeCloseTo(1, 3);
      expect(y).toBeCloseTo(1, 3);
    },
  );

  it("counts its evaluations in the state", () => {
    const param = parameter(3);
    const optimizer = new optim.LBFGS([param], { maxIter: 2 });
    let calls = 0;
    optimizer.step(() => {
      calls += 1;
      optimizer.zeroGrad();
      const loss = param.pow(2).sum() as Tensor;
      loss.backward();
      return loss;
    });
    expect(stateOf(optimizer, 0)).toMatchObject({ func_evals: calls });
  });
});
