import * as torch from "@levin/torch";
import { nn, ones, randn, type Tensor, tensor, zeros } from "@levin/torch";
import { describe, expect, it } from "vitest";

class Net extends nn.Module {
  hidden = new nn.Linear(2, 3);
  scale = new nn.Parameter(ones([3]));
  shift = new nn.Buffer(zeros([3]));
  scratch = new nn.Buffer(zeros([1]), { persistent: false });
  out = new nn.Linear(3, 1);

  override forward(x: Tensor): Tensor {
    return this.out.forward(this.hidden.forward(x).mul(this.scale).add(this.shift));
  }
}

describe("a module", () => {
  it("finds its parameters, buffers and submodules in its fields, in PyTorch's order", () => {
    const net = new Net();
    expect(Object.keys(net.stateDict())).toEqual([
      "scale",
      "shift",
      "hidden.weight",
      "hidden.bias",
      "out.weight",
      "out.bias",
    ]);
    expect(net.namedBuffers().map(([name]) => name)).toEqual(["shift", "scratch"]);
    expect(net.namedChildren().map(([name]) => name)).toEqual(["hidden", "out"]);
    expect(net.parameters()).toHaveLength(5);
  });

  it("lists a parameter that is in two places once", () => {
    const net = new Net();
    net.out.weight = net.hidden.weight;
    expect(net.parameters()).toHaveLength(4);
    expect(net.namedParameters({ removeDuplicate: false })).toHaveLength(5);
    expect(Object.keys(net.stateDict())).toContain("out.weight");
  });

  it("keeps buffers what they are when it is converted, and parameters the same objects", () => {
    const net = new Net();
    const { scale } = net;
    net.double();
    expect(net.scale).toBe(scale);
    expect([scale.dtype, net.shift.dtype, net.scratch.dtype]).toEqual(["float64", "float64", "float64"]);
    expect(Object.keys(net.stateDict())).toContain("shift");
    expect(Object.keys(net.stateDict())).not.toContain("scratch");
  });

  it("gives a name in the state dict to what is registered at run time", () => {
    const net = new nn.Module();
    net.registerParameter("weightA", new nn.Parameter(ones([1])), { stateName: "weight_a" });
    net.registerBuffer("meanA", zeros([1]), { stateName: "mean_a" });
    expect(Object.keys(net.stateDict())).toEqual(["weight_a", "mean_a"]);
    net.loadStateDict({ weight_a: tensor([3]), mean_a: tensor([4]) });
    expect((net as unknown as { weightA: Tensor }).weightA.toArray()).toEqual([3]);
    expect(() => net.registerParameter("a.b", null)).toThrow('can\'t contain "."');
    expect(() => net.registerBuffer("forward", zeros([1]))).toThrow('"forward" already exists');
  });

  it("replaces submodules by their dotted names", () => {
    const net = new nn.Sequential(new nn.Sequential(new nn.Linear(2, 2)), new nn.ReLU());
    net.setSubmodule("0.0", new nn.Linear(2, 5));
    expect(String(net.getSubmodule("0.0"))).toBe("Linear(in_features=2, out_features=5, bias=True)");
    expect(() => net.getSubmodule("0.1")).toThrow('has no submodule "1"');
    expect(() => net.setSubmodule("0.7", new nn.ReLU(), { strict: true })).toThrow('has no submodule "7"');
  });

  it("says what is wrong with a state dict, all at once", () => {
    const net = new nn.Sequential(new nn.Linear(2, 3), new nn.BatchNorm1d(3));
    const state = net.stateDict();
    expect(() => net.loadStateDict({})).toThrow(
      'Error(s) in loading state_dict for Sequential:\n\tMissing key(s) in state_dict: "0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var". ',
    );
    expect(() => net.loadStateDict({ ...state, more: zeros([1]), "0.weight": zeros([3, 3]) })).toThrow(
      'Error(s) in loading state_dict for Sequential:\n\tUnexpected key(s) in state_dict: "more". \n\tsize mismatch for 0.weight: copying a param with shape torch.Size([3, 3]) from checkpoint, the shape in current model is torch.Size([3, 2]).',
    );
    expect(net.loadStateDict({ more: zeros([1]) }, { strict: false })).toEqual({
      missingKeys: ["0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var"],
      unexpectedKeys: ["more"],
    });
  });

  it("takes a state dict's values, or with assign its tensors", () => {
    const linear = new nn.Linear(2, 2);
    const before = linear.weight;
    const state = { weight: ones([2, 2]), bias: zeros([2]) };
    linear.loadStateDict(state);
    expect(linear.weight).toBe(before);
    linear.loadStateDict(state, { assign: true });
    expect(linear.weight.storageId).toBe(state.weight.storageId);
    expect(linear.weight).toBeInstanceOf(nn.Parameter);
  });

  it("calls hooks around forward in order, which may change arguments and output", () => {
    const linear = new nn.Linear(1, 1, { bias: false });
    linear.loadStateDict({ weight: tensor([[2]]) });
    const calls: string[] = [];
    linear.registerForwardPreHook((_module, [x]) => {
      calls.push("before");
      return [(x as Tensor).mul(10)];
    });
    linear.registerForwardPreHook(() => void calls.push("first"), { prepend: true });
    const handle = linear.registerForwardHook((_module, _args, output) => {
      calls.push("after");
      return (output as Tensor).add(1);
    });
    expect(linear.forward(ones([1, 1])).item()).toBe(21);
    expect(calls).toEqual(["first", "before", "after"]);
    handle.remove();
    expect(linear.forward(ones([1, 1])).item()).toBe(20);
  });

  it("calls hooks in the backward pass, which see and may change gradients", () => {
    const linear = new nn.Linear(2, 1, { bias: false });
    linear.loadStateDict({ weight: tensor([[2, 3]]) });
    const seen: unknown[] = [];
    linear.registerFullBackwardHook((_module, gradInput, gradOutput) => {
      seen.push(gradInput[0]?.toArray(), gradOutput[0]?.toArray());
      return [(gradInput[0] as Tensor).mul(10)];
    });
    const x = ones([1, 2], { requiresGrad: true });
    linear.forward(x).backward();
    expect(seen).toEqual([[[2, 3]], [[1]]]);
    expect(x.grad?.toArray()).toEqual([[20, 30]]);
  });

  it("calls hooks around its state dict", () => {
    const linear = new nn.Linear(1, 1);
    linear.registerStateDictPostHook((_module, state, prefix) => {
      state[`${prefix}version`] = tensor(2);
    });
    linear.registerLoadStateDictPreHook((_module, state, prefix) => {
      delete state[`${prefix}version`];
    });
    const net = new nn.Sequential(linear);
    expect(Object.keys(net.stateDict())).toEqual(["0.weight", "0.bias", "0.version"]);
    expect(net.loadStateDict(net.stateDict()).unexpectedKeys).toEqual([]);
  });

  it("is copied with all that it holds, and what is shared inside stays shared", () => {
    const net = new Net();
    net.out.weight = net.hidden.weight;
    const copy = nn.utils.deepCopy(net);
    expect(copy).toBeInstanceOf(Net);
    expect(copy.out.weight).toBe(copy.hidden.weight);
    expect(copy.shift).toBeInstanceOf(nn.Buffer);
    torch.noGrad(() => copy.scale.fill_(7));
    expect(net.scale.toArray()).toEqual([1, 1, 1]);
  });

  it("prints as PyTorch prints it", () => {
    const net = new nn.Sequential({
      first: new nn.Conv2d(3, 8, 3, { stride: 2, padding: 1, bias: false }),
      rest: new nn.ModuleList([new nn.Dropout(0.1), new nn.Dropout(0.1), new nn.GELU()]),
    });
    expect(String(net)).toBe(`Sequential(
  (first): Conv2d(3, 8, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), bias=False)
  (rest): ModuleList(
    (0-1): 2 x Dropout(p=0.1, inplace=False)
    (2): GELU(approximate='none')
  )
)`);
    expect(String(new nn.Parameter(ones([2])))).toContain("Parameter containing:\n");
  });

  it("says which method is missing", () => {
    class Empty extends nn.Module {}
    expect(() => (new Empty().forward as () => void)()).toThrow(
      'Module [Empty] is missing the required "forward"',
    );
  });
});

describe("a lazy module", () => {
  it("takes its shape from the first input and is then the ordinary one", () => {
    const layer = new nn.LazyLinear(3);
    expect(String(layer)).toBe("LazyLinear(in_features=0, out_features=3, bias=True)");
    const [weight] = layer.parameters();
    expect(() => weight?.shape).toThrow("has no shape yet");
    expect(layer.forward(randn([5, 4])).shape).toEqual([5, 3]);
    expect(layer.constructor).toBe(nn.Linear);
    expect(layer.parameters()[0]).toBe(weight);
    expect(weight?.shape).toEqual([3, 4]);
    expect(() => layer.forward(randn([5, 6]))).toThrow();
  });

  it("draws what the ordinary one draws", () => {
    torch.manualSeed(0);
    const plain = new nn.Conv2d(3, 4, 3);
    torch.manualSeed(0);
    const lazy = new nn.LazyConv2d(4, 3);
    lazy.forward(zeros([1, 3, 5, 5]));
    expect(lazy.weight.equal(plain.weight)).toBe(true);
    expect(lazy.bias?.equal(plain.bias as Tensor)).toBe(true);
  });

  it("takes its shape from a state dict, too, and its own state dict can be loaded", () => {
    const state = new nn.BatchNorm1d(3).stateDict();
    const lazy = new nn.LazyBatchNorm1d();
    new nn.LazyBatchNorm1d().loadStateDict(lazy.stateDict());
    lazy.loadStateDict(state);
    expect(lazy.runningMean?.shape).toEqual([3]);
    lazy.forward(randn([4, 3]));
    expect(String(lazy)).toBe(String(new nn.BatchNorm1d(3)));
  });

  it("runs under hooks, once each", () => {
    const layer = new nn.LazyLinear(2);
    let calls = 0;
    layer.registerForwardHook(() => void calls++);
    layer.forward(ones([1, 3]));
    layer.forward(ones([1, 3]));
    expect(calls).toBe(2);
  });

  it("says what it cannot be made of", () => {
    expect(() => new nn.LazyConv1d(5, 3, { groups: 2 })).toThrow("outChannels must be divisible by groups");
    expect(() => new nn.LazyConv2d(4, 3).forward(ones([3]))).toThrow(
      "LazyConv2d: expected 3D (unbatched) or 4D (batched)",
    );
  });
});
