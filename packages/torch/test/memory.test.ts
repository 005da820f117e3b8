import * as torch from "@levin/torch";
import { describe, expect, it } from "vitest";
import { inProcess, inWorker } from "./elsewhere.js";

const megabyte = 2 ** 20;
const stats = () => torch.memory.memoryStats();

/** How many more tensors are alive after the work, once everything unreachable is gone. */
function leftAfter(work: () => void): number {
  torch.memory.collect();
  const before = stats().liveTensors;
  work();
  torch.memory.collect();
  return stats().liveTensors - before;
}

describe("the account of bytes", () => {
  it("follows tensors as they are made and freed, and counts a storage once", () => {
    torch.memory.collect();
    const before = stats().liveBytes;
    const x = torch.zeros([megabyte]);
    const view = x.view(1024, 1024);
    expect((stats().liveBytes - before) / megabyte).toBeCloseTo(4, 1);
    x.dispose();
    view.dispose();
    expect(Math.abs(stats().liveBytes - before)).toBeLessThan(megabyte);
  });

  it("does not count a gradient each time it is looked at", () => {
    const x = torch.zeros([megabyte], { requiresGrad: true });
    x.sum().backward();
    torch.memory.collect();
    const before = stats().liveBytes;
    for (let i = 0; i < 20; i++) x.grad;
    expect(stats().liveBytes - before).toBeLessThan(megabyte);
  });
});

describe("memory in one synchronous loop", () => {
  // 200 tensors of 40 MB are 8 GB; what a program of this size needs is a few of them.
  const loop = `
    let peak = 0;
    for (let i = 0; i < 200; i++) {
      torch.empty([10_000_000]).narrow(0, 0, 50_000).fill_(i);
      peak = Math.max(peak, torch.memory.memoryStats().liveBytes);
    }
    const stats = torch.memory.memoryStats();`;

  it("stays small on the main thread", async () => {
    const { stdout } = await inProcess(
      `${loop} console.log(JSON.stringify([peak, stats, process.resourceUsage().maxRSS]));`,
    );
    const [peak, last, rss] = JSON.parse(stdout);
    expect(peak / megabyte).toBeLessThan(400);
    expect(rss / 1024).toBeLessThan(900);
    expect(last.minorCollections).toBeGreaterThan(20);
  });

  it("stays small in a worker", async () => {
    const [peak, last] = (await inWorker(`${loop} parentPort.postMessage([peak, stats]);`)) as [
      number,
      torch.memory.MemoryStats,
    ];
    expect(peak / megabyte).toBeLessThan(400);
    expect(last.minorCollections).toBeGreaterThan(20);
  });

  it("stays small where graphs are built and dropped", () => {
    const weight = torch.ones([500, 500], { requiresGrad: true });
    const x = torch.ones([500, 500]);
    let peak = 0;
    for (let i = 0; i < 300; i++) {
      x.mul(weight).relu().mul(x).sum();
      peak = Math.max(peak, stats().liveBytes);
    }
    expect(peak / megabyte).toBeLessThan(200);
  });
});

describe("what nothing refers to", () => {
  it("is collected with its hooks", () => {
    const left = leftAfter(() => {
      for (let i = 0; i < 200; i++) {
        const x = torch.ones([1], { requiresGrad: true });
        x.registerHook((gradient) => gradient.mul(2));
        x.registerPostAccumulateGradHook(() => {});
        const y = x.mul(2);
        y.registerHook(() => {});
        y.sum().backward();
      }
    });
    expect(left).toBeLessThan(10);
  });

  it("is collected with the functions of its graph", () => {
    class Cube extends torch.autograd.Function {
      static override forward(ctx: torch.autograd.FunctionContext, x: torch.Tensor) {
        const y = x.mul(x).mul(x);
        ctx.saveForBackward(x, y);
        return y;
      }
      static override backward(ctx: torch.autograd.FunctionContext, gradient: torch.Tensor) {
        const [x] = ctx.savedTensors as [torch.Tensor];
        return gradient.mul(x).mul(x).mul(3);
      }
    }
    const left = leftAfter(() => {
      for (let i = 0; i < 200; i++) {
        const x = torch.ones([1], { requiresGrad: true });
        Cube.apply(Cube.apply(x)).backward();
        Cube.apply(x);
      }
    });
    expect(left).toBeLessThan(10);
  });

  it("is collected after errors, too", () => {
    const failing = () => {
      throw new Error("in a hook");
    };
    let caught = 0;
    const attempt = (work: () => void) => {
      try {
        work();
      } catch {
        caught += 1;
      }
    };
    const left = leftAfter(() => {
      for (let i = 0; i < 200; i++) {
        const x = torch.ones([2], { requiresGrad: true });
        x.registerHook(failing);
        attempt(() => x.sum().backward());
        attempt(() => x.add(torch.ones([3])));
        attempt(() => torch.cat([x, 5 as never]));
      }
    });
    expect([left < 10, caught]).toEqual([true, 600]);
  });
});

describe("an allocation that fails", () => {
  it("is an error, after which the program goes on", () => {
    for (let i = 0; i < 3; i++) {
      expect(() => torch.empty([2 ** 45])).toThrow(/can't allocate memory/);
      expect(() =>
        torch
          .ones([1])
          .expand([2 ** 45])
          .contiguous(),
      ).toThrow(/can't allocate memory/);
      expect(torch.ones([2]).sum().item()).toBe(2);
    }
  });

  it("first collects what is unreachable", () => {
    const before = stats().majorCollections;
    expect(() => torch.empty([2 ** 45])).toThrow();
    expect(stats().majorCollections).toBeGreaterThan(before);
  });
});
