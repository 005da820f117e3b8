import {
  func,
  manualSeed,
  nn,
  noGrad,
  ones,
  randint,
  randn,
  slice,
  type Tensor,
  tensor,
  zeros,
} from "@levin/torch";
import { describe, expect, it } from "vitest";

const { parametrizations, parametrize, prune } = nn.utils;

class Symmetric extends nn.Module {
  override forward(x: Tensor): Tensor {
    return x.triu().add(x.triu(1).t());
  }
}

class Flattened extends nn.Module {
  override forward(x: Tensor): Tensor {
    return x.flatten();
  }
}

describe("a parametrization", () => {
  it("computes the tensor whenever it is used, and trains what it is computed from", () => {
    const linear = parametrize.registerParametrization(new nn.Linear(3, 3), "weight", new Symmetric());
    expect(linear.weight.equal(linear.weight.t())).toBe(true);
    expect(Object.keys(linear.stateDict())).toEqual(["bias", "parametrizations.weight.original"]);
    linear
      .forward(randn([2, 3]))
      .sum()
      .backward();
    expect(linear.getParameter("parametrizations.weight.original").grad).not.toBeNull();
    expect(String(linear)).toContain("ParametrizedLinear(");
    expect(parametrize.isParametrized(linear, "weight")).toBe(true);
    expect(parametrize.typeBeforeParametrizations(linear)).toBe(nn.Linear);
  });

  it("is computed once inside cached()", () => {
    let computed = 0;
    class Counted extends nn.Module {
      override forward(x: Tensor): Tensor {
        computed++;
        return x.mul(2);
      }
    }
    const linear = parametrize.registerParametrization(new nn.Linear(3, 3), "weight", new Counted());
    computed = 0;
    linear.forward(ones([1, 3]));
    linear.forward(ones([1, 3]));
    expect(computed).toBe(2);
    parametrize.cached(() => {
      linear.forward(ones([1, 3]));
      linear.forward(ones([1, 3]));
    });
    expect(computed).toBe(3);
  });

  it("can be taken away again, with or without the value", () => {
    const linear = new nn.Linear(3, 3);
    const before = linear.weight.clone();
    parametrize.registerParametrization(linear, "weight", new Symmetric());
    parametrize.removeParametrizations(linear, "weight", { leaveParametrized: false });
    expect(linear.weight).toBeInstanceOf(nn.Parameter);
    expect(linear.weight.equal(before)).toBe(true);
    expect(linear.constructor).toBe(nn.Linear);
    expect(Object.keys(linear.stateDict())).toEqual(["bias", "weight"]);
  });

  it("goes along with copies and with other modules", () => {
    const linear = parametrize.registerParametrization(new nn.Linear(2, 2), "weight", new Symmetric());
    const copy = nn.utils.deepCopy(linear);
    noGrad(() => copy.getParameter("parametrizations.weight.original").fill_(0));
    expect(linear.weight.abs().sum().item()).toBeGreaterThan(0);
    const other = parametrize.transferParametrizationsAndParams(linear, new nn.Linear(2, 2));
    expect(other.weight.equal(linear.weight)).toBe(true);
  });

  it("refuses what would change the tensor's shape, and assignment it cannot undo", () => {
    const linear = new nn.Linear(3, 3);
    expect(() => parametrize.registerParametrization(linear, "weight", new Flattened())).toThrow(
      "may not change the shape of the tensor, unless unsafe is true: it was [3, 3] and became [9].",
    );
    expect(() => parametrize.registerParametrization(linear, "wait", new Symmetric())).toThrow(
      'Linear does not have a parameter, a buffer, or a parametrized element with name "wait".',
    );
    parametrize.registerParametrization(linear, "weight", new Symmetric());
    expect(() => Object.assign(linear, { weight: ones([3, 3]) })).toThrow(
      "Symmetric does not implement rightInverse",
    );
    expect(() => parametrize.removeParametrizations(linear, "bias")).toThrow(
      'does not have a parametrization on "bias"',
    );
  });

  it("keeps weights orthogonal, normalised, or of spectral norm one", () => {
    const orthogonal = parametrizations.orthogonal(new nn.Linear(5, 3)).weight;
    expect(
      orthogonal.matmul(orthogonal.t()).allclose(
        tensor([
          [1, 0, 0],
          [0, 1, 0],
          [0, 0, 1],
        ]),
        1e-4,
        1e-4,
      ),
    ).toBe(true);
    const normed = parametrizations.weightNorm(new nn.Linear(4, 3));
    noGrad(() => normed.getParameter("parametrizations.weight.original0").fill_(2));
    expect(normed.weight.norm(2, 1).allclose(tensor([2, 2, 2]))).toBe(true);
    const spectral = parametrizations.spectralNorm(new nn.Linear(6, 4), { nPowerIterations: 20 });
    expect(spectral.weight.norm().item()).toBeGreaterThan(0.99);
  });
});

describe("the older weight and spectral norms", () => {
  it("compute the weight before each forward, and can be taken away", () => {
    const linear = nn.utils.weightNorm(new nn.Linear(4, 3));
    expect(Object.keys(linear.stateDict())).toEqual(["bias", "weight_g", "weight_v"]);
    expect(() => nn.utils.weightNorm(linear)).toThrow('weightNorm: "weight" of Linear has it already');
    const before = linear.forward(ones([1, 4]));
    nn.utils.removeWeightNorm(linear);
    expect(linear.forward(ones([1, 4])).allclose(before)).toBe(true);
    expect(() => nn.utils.removeSpectralNorm(linear)).toThrow(
      'spectralNorm of "weight" not found in Linear.',
    );
  });

  it("are copied with their module", () => {
    const linear = nn.utils.weightNorm(new nn.Linear(2, 2));
    const copy = nn.utils.deepCopy(linear);
    noGrad(() => copy.getParameter("weight_g").fill_(0));
    expect(copy.forward(ones([1, 2])).equal(copy.bias as Tensor)).toBe(false);
    expect(
      copy
        .forward(ones([1, 2]))
        .squeeze(0)
        .equal(copy.bias as Tensor),
    ).toBe(true);
    expect(
      linear
        .forward(ones([1, 2]))
        .squeeze(0)
        .equal(linear.bias as Tensor),
    ).toBe(false);
  });
});

describe("pruning", () => {
  it("keeps pruned values zero while the rest is trained", () => {
    const linear = new nn.Linear(4, 2);
    linear.loadStateDict({
      weight: tensor([
        [1, 2, 3, 4],
        [-5, -6, -7, -8],
      ]),
      bias: zeros([2]),
    });
    prune.l1Unstructured(linear, "weight", 0.5);
    expect(linear.weight.toArray()).toEqual([
      [0, 0, 0, 0],
      [-5, -6, -7, -8],
    ]);
    expect(Object.keys(linear.stateDict())).toEqual(["bias", "weight_orig", "weight_mask"]);
    expect(prune.isPruned(new nn.Sequential(linear))).toBe(true);
    linear
      .forward(ones([1, 4]))
      .sum()
      .backward();
    expect(linear.getParameter("weight_orig").grad?.toArray()).toEqual([
      [0, 0, 0, 0],
      [1, 1, 1, 1],
    ]);
    prune.lnStructured(linear, "weight", 1, 2, 1);
    expect(linear.weight.toArray()).toEqual([
      [0, 0, 0, 0],
      [-0, -6, -7, -8],
    ]);
    prune.remove(linear, "weight");
    expect(linear.weight).toBeInstanceOf(nn.Parameter);
    expect(prune.isPruned(linear)).toBe(false);
  });

  it("takes one's own method", () => {
    class EverySecond extends prune.BasePruningMethod {
      override computeMask(_values: Tensor, defaultMask: Tensor): Tensor {
        const mask = defaultMask.clone();
        mask
          .view([-1])
          .get(slice(null, null, 2))
          .fill_(0);
        return mask;
      }
    }
    const linear = new nn.Linear(3, 2);
    new EverySecond().apply(linear, "weight");
    expect(linear.getBuffer("weight_mask").toArray()).toEqual([
      [0, 1, 0],
      [1, 0, 1],
    ]);
    expect(new EverySecond().prune(ones([4])).toArray()).toEqual([0, 1, 0, 1]);
  });

  it("names amounts and dimensions that do not fit", () => {
    const linear = new nn.Linear(3, 2);
    expect(() => prune.randomUnstructured(linear, "weight", 1.5)).toThrow(
      "amount=1.5 should either be a share in [0, 1] or a whole number",
    );
    expect(() => prune.l1Unstructured(linear, "weight", 7)).toThrow(
      "amount=7 should be smaller than the number of parameters to prune=6.",
    );
    expect(() => prune.randomStructured(linear, "weight", 1, 2)).toThrow("dim 2 is out of range");
    expect(() => prune.l1Unstructured(linear, "wait", 1)).toThrow('Linear has no parameter "wait".');
    expect(Object.keys(linear.stateDict())).toEqual(["weight", "bias"]);
  });
});

describe("functionalCall", () => {
  it("calls a module with other parameters and puts its own back", () => {
    const linear = new nn.Linear(2, 1);
    const { weight } = linear;
    const other = { weight: tensor([[1, 2]], { requiresGrad: true }), bias: zeros([1]) };
    const output = func.functionalCall(linear, other, ones([1, 2]));
    expect(output.item()).toBe(3);
    output.backward();
    expect(other.weight.grad?.toArray()).toEqual([[1, 1]]);
    expect(linear.weight).toBe(weight);
    expect(() => func.functionalCall(linear, { weight: ones([3, 3]) }, ones([1, 2]))).toThrow();
    expect(linear.weight).toBe(weight);
  });

  it("knows tied weights, and missing and unexpected names where it is strict", () => {
    const net = new nn.Sequential(new nn.Linear(2, 2, { bias: false }), new nn.Linear(2, 2, { bias: false }));
    (net.get(1) as nn.Linear).weight = (net.get(0) as nn.Linear).weight;
    const twice = tensor([
      [2, 0],
      [0, 2],
    ]);
    expect(func.functionalCall(net, { "0.weight": twice }, ones([1, 2])).toArray()).toEqual([[4, 4]]);
    expect(() =>
      func.functionalCall(net, { "0.weight": twice, "1.weight": ones([2, 2]) }, ones([1, 2])),
    ).toThrow("which are tied");
    expect(() => func.functionalCall(net, { more: twice }, ones([1, 2]), { strict: true })).toThrow(
      "Unexpected key(s): more.\n\tMissing key(s): 0.weight, 1.weight.",
    );
  });
});

describe("other helpers", () => {
  it("make a module without initialising it, and draw no random numbers", () => {
    manualSeed(0);
    const before = randn([1]).item();
    manualSeed(0);
    const linear = nn.utils.skipInit(nn.Linear, 4, 3, { bias: false });
    expect([linear.weight.device, linear.weight.shape, linear.bias]).toEqual(["cpu", [3, 4], null]);
    expect(randn([1]).item()).toBe(before);
    expect(() =>
      nn.utils.skipInit(
        class extends nn.Module {
          weight = new nn.Parameter(ones([1]));
        },
      ),
    ).toThrow("must support a device option");
  });

  it("lay the weights of convolutions into memory channel by channel", () => {
    const conv = nn.utils.convertConv2dWeightMemoryFormat(new nn.Conv2d(3, 4, 2), "channels_last");
    expect(conv.weight.stride()).toEqual([12, 1, 6, 3]);
    expect(conv.forward(ones([1, 3, 4, 4])).shape).toEqual([1, 4, 3, 3]);
  });

  it("fuse a convolution with the normalisation behind it", () => {
    const conv = new nn.Conv2d(2, 3, 2);
    const norm = new nn.BatchNorm2d(3);
    const input = randn([4, 2, 5, 5]);
    norm.forward(conv.forward(input));
    expect(() => nn.utils.fuseConvBnEval(conv, norm)).toThrow("only fused for evaluation");
    const fused = nn.utils.fuseConvBnEval(conv.eval(), norm.eval());
    expect(fused.forward(input).allclose(norm.forward(conv.forward(input)), 1e-4, 1e-5)).toBe(true);
  });
});

describe("the linear cross entropy", () => {
  it("is the same in chunks, with its gradients", () => {
    const input = randn([7, 8], { requiresGrad: true });
    const weight = randn([20, 8], { requiresGrad: true });
    const bias = randn([20], { requiresGrad: true });
    const target = randint(0, 20, [7], { dtype: "int64" });
    const run = (options: nn.LinearCrossEntropyOptions | null) => {
      for (const leaf of [input, weight, bias]) leaf.grad = null;
      const loss = nn.functional.linearCrossEntropy(input, weight, target, { linearBias: bias, options });
      loss.backward();
      return [loss.detach(), ...[input, weight, bias].map((leaf) => leaf.grad as Tensor)];
    };
    const whole = run(null);
    for (const options of [{ batchChunkSize: 3 }, { chunkingMethod: "aspect_ratio:2" as const }, {}]) {
      run(options).forEach((part, i) => {
        expect(part.allclose(whole[i] as Tensor, 1e-4, 1e-5)).toBe(true);
      });
    }
  });

  it("runs backward once, or as often as is allowed", () => {
    const input = randn([4, 3], { requiresGrad: true });
    const target = tensor([0, 1, 2, 0], { dtype: "int64" });
    const loss = (allowRetainGraph: boolean) =>
      nn.functional.linearCrossEntropy(input, randn([5, 3]), target, {
        options: { batchChunkSize: 2, allowRetainGraph },
      });
    const once = loss(false);
    once.backward(null, { retainGraph: true });
    expect(() => once.backward()).toThrow("allowRetainGraph: true");
    const often = loss(true);
    often.backward(null, { retainGraph: true });
    often.backward();
  });
});
