import * as torch from "@levin/torch";
import { amp, type Tensor, utils } from "@levin/torch";
import { beforeEach, describe, expect, it } from "vitest";

const { checkpoint, checkpointSequential, CheckpointError } = utils.checkpoint;

let calls = 0;
let weight: Tensor;
let x: Tensor;

beforeEach(() => {
  torch.manualSeed(0);
  calls = 0;
  weight = torch.randn([4, 4], { requiresGrad: true });
  x = torch.randn([3, 4], { requiresGrad: true });
});

function block(input: Tensor): Tensor {
  calls += 1;
  return torch.dropout(input.matmul(weight).tanh(), 0.5, true).matmul(weight);
}

const gradients = () => [x.grad?.toArray(), weight.grad?.toArray()];

function clear(): void {
  x.grad = null;
  weight.grad = null;
}

describe("a checkpointed function", () => {
  it("has the same gradients, with the same random numbers", () => {
    torch.manualSeed(1);
    block(x).sum().backward();
    const wanted = gradients();
    const state = torch.getRngState();
    clear();
    torch.manualSeed(1);
    const output = checkpoint(block, [x]);
    expect(calls).toBe(2);
    output.sum().backward();
    expect(calls).toBe(3);
    expect(gradients()).toEqual(wanted);
    expect(torch.getRngState().equal(state)).toBe(true);
  });

  it("keeps no intermediate values until the backward pass", () => {
    const big = torch.randn([512, 512], { requiresGrad: true });
    const chain = (value: Tensor) => Array.from({ length: 20 }).reduce<Tensor>((v) => v.sin(), value);
    torch.memory.collect();
    const before = torch.memory.memoryStats().liveBytes;
    const output = checkpoint(chain, [big]);
    torch.memory.collect();
    expect(torch.memory.memoryStats().liveBytes - before).toBeLessThan(4 * 2 ** 20);
    output.sum().backward();
    expect(big.grad?.shape).toEqual([512, 512]);
  });

  it("is called again for each backward pass through a graph that is kept", () => {
    const loss = checkpoint(block, [x]).sum();
    loss.backward(null, { retainGraph: true });
    const once = gradients();
    clear();
    loss.backward();
    expect(gradients()).toEqual(once);
    expect(calls).toBe(3);
  });

  it("has second derivatives", () => {
    const f = (v: Tensor) => v.pow(3).sum();
    const [first] = torch.autograd.grad(checkpoint(f, [x]), x, { createGraph: true });
    const [second] = torch.autograd.grad((first as Tensor).sum(), x);
    expect(torch.allclose(second as Tensor, x.detach().mul(6))).toBe(true);
  });

  it("stands in another one", () => {
    const inner = (v: Tensor) => checkpoint((u: Tensor) => u.sin().sin(), [v]).cos();
    checkpoint(inner, [x]).sum().backward();
    const wanted = x.detach().requiresGrad_();
    wanted.sin().sin().cos().sum().backward();
    expect(torch.allclose(x.grad as Tensor, wanted.grad as Tensor)).toBe(true);
  });

  it("runs under the autocast of the first call", () => {
    const types: string[] = [];
    const f = (v: Tensor) => {
      const product = v.matmul(weight);
      types.push(product.dtype);
      return product.sin();
    };
    const loss = amp.autocast({ device: "cpu" }, () => checkpoint(f, [x]).float().sum());
    loss.backward();
    expect(types).toEqual(["bfloat16", "bfloat16"]);
  });

  it("is simply called where no gradients are recorded", () => {
    expect(torch.noGrad(() => checkpoint(block, [x])).requiresGrad).toBe(false);
    expect(calls).toBe(1);
  });

  it("ends early in the second call, unless told otherwise", () => {
    let ends = 0;
    const f = (v: Tensor) => {
      const result = v.exp().add(1);
      ends += 1;
      return result;
    };
    checkpoint(f, [x]).sum().backward();
    expect(ends).toBe(1);
    checkpoint(f, [x], { earlyStop: false }).sum().backward();
    expect(ends).toBe(3);
  });
});

describe("a function that differs the second time", () => {
  it("is an error when shapes or counts differ", () => {
    const fickle = (v: Tensor) => {
      calls += 1;
      return calls % 2 === 1 ? v.exp() : v.get(0).exp();
    };
    expect(() => checkpoint(fickle, [x]).sum().backward()).toThrow(/was shape \[3,4\].* and is shape \[4\]/);
    const fewer = (v: Tensor) => {
      calls += 1;
      return calls % 2 === 1 ? v.exp().exp() : v.exp();
    };
    calls = 0;
    expect(() => checkpoint(fewer, [x]).sum().backward()).toThrow(CheckpointError);
  });

  it("is an error when an argument was changed in place", () => {
    const y = x.detach().clone();
    const loss = checkpoint((v: Tensor) => v.matmul(weight).sin(), [y]).sum();
    y.add_(1);
    expect(() => loss.backward()).toThrow("argument 0 of the function was changed in place");
  });

  it("passes on its own errors", () => {
    const failing = (v: Tensor) => {
      calls += 1;
      if (calls === 2) throw new Error("mine");
      return v.exp();
    };
    expect(() => checkpoint(failing, [x]).sum().backward()).toThrow("mine");
    expect(() => checkpoint(async (v: Tensor) => v, [x])).toThrow("synchronous");
    expect(() => checkpoint(block, [x], { useReentrant: true as false })).toThrow(
      "useReentrant must be false",
    );
  });
});

describe("checkpointSequential", () => {
  it("checkpoints all segments but the last", () => {
    const stages = [block, { forward: block }, block];
    const output = checkpointSequential(stages, 3, x);
    expect(calls).toBe(3);
    output.sum().backward();
    expect(calls).toBe(5);
    expect(() => checkpointSequential(stages, 4, x)).toThrow("from 1 to the 3 functions, got 4");
  });
});
