import * as torch from "@levin/torch";
import { nn, type Tensor } from "@levin/torch";
import { describe, expect, it } from "vitest";

describe("DataParallel", () => {
  const net = () => {
    torch.manualSeed(0);
    return new nn.Sequential(new nn.Linear(3, 4), new nn.ReLU(), new nn.Linear(4, 2));
  };

  it("gives what the module gives, with the same gradients", () => {
    const [plain, wrapped] = [net(), net()];
    const parallel = new nn.DataParallel(wrapped, { deviceIds: ["cpu", "cpu"] });
    const x = torch.randn([5, 3]);
    const [a, b] = [plain.forward(x), parallel.forward(x)];
    expect(torch.allclose(a, b)).toBe(true);
    a.sum().backward();
    b.sum().backward();
    const others = [...wrapped.parameters()];
    for (const [i, parameter] of [...plain.parameters()].entries()) {
      const other = others[i] as Tensor;
      expect(torch.allclose(parameter.grad as Tensor, other.grad as Tensor)).toBe(true);
    }
  });

  it("has its module's parameters under `module`, and does with fewer rows than devices", () => {
    const parallel = new nn.DataParallel(net(), { deviceIds: ["cpu", "cpu", "cpu"] });
    expect(Object.keys(parallel.stateDict())[0]).toBe("module.0.weight");
    expect(parallel.forward(torch.randn([1, 3])).shape).toEqual([1, 2]);
  });

  it("calls the module where there are no accelerators", () => {
    const module = net();
    const x = torch.randn([2, 3]);
    expect(new nn.DataParallel(module, { deviceIds: [] }).forward(x).equal(module.forward(x))).toBe(true);
  });

  it("says where parameters must be", () => {
    const parallel = new nn.DataParallel(net(), { deviceIds: ["meta"] });
    expect(() => parallel.forward(torch.randn([2, 3]))).toThrow(
      "must be on meta, the first device, but one is on cpu",
    );
  });
});

describe("SyncBatchNorm", () => {
  it("takes the place of batch normalisations with their state", () => {
    const net = new nn.Sequential(new nn.Conv2d(1, 2, 1), new nn.Sequential(new nn.BatchNorm2d(2)));
    net.forward(torch.randn([2, 1, 3, 3]));
    net.eval();
    const x = torch.randn([2, 1, 3, 3]);
    const before = net.forward(x);
    const keys = Object.keys(net.stateDict());
    nn.SyncBatchNorm.convertSyncBatchnorm(net);
    expect(String(net)).toContain("SyncBatchNorm(2");
    expect(Object.keys(net.stateDict())).toEqual(keys);
    expect(net.forward(x).equal(before)).toBe(true);
  });

  it("takes inputs of any shape with channels", () => {
    const norm = new nn.SyncBatchNorm(3);
    expect(norm.forward(torch.randn([4, 3])).shape).toEqual([4, 3]);
    expect(norm.forward(torch.randn([4, 3, 2, 2, 2])).shape).toEqual([4, 3, 2, 2, 2]);
    expect(() => norm.forward(torch.randn([3]))).toThrow("at least 2D input");
  });
});
