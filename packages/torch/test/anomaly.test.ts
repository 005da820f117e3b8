import * as torch from "@levin/torch";
import { autograd } from "@levin/torch";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

let warnings: string[] = [];
beforeEach(() => {
  warnings = [];
  vi.spyOn(process, "emitWarning").mockImplementation((warning) => {
    warnings.push(String(warning));
  });
});
afterEach(() => {
  vi.restoreAllMocks();
});

describe("anomaly detection", () => {
  it("fails where a gradient is nan, and tells where the forward operator was called", () => {
    const run = () =>
      autograd.detectAnomaly(function forward() {
        torch.tensor([-1], { requiresGrad: true }).sqrt().sum().backward();
      });
    expect(run).toThrow(/SqrtBackward0.*nan/);
    expect(warnings).toEqual([
      expect.stringMatching(
        /SqrtBackward0\. The forward operator was called at:\n\s+.*anomaly\.test\.ts\(\d+\): forward/,
      ),
    ]);
    expect(autograd.isAnomalyEnabled()).toBe(false);
  });

  it("does so with hooks over saved tensors, too", () => {
    const keep = (tensor: torch.Tensor) => tensor;
    const run = () =>
      autograd.detectAnomaly(() =>
        autograd.graph.savedTensorsHooks(keep, keep, () => {
          torch.tensor([-1], { requiresGrad: true }).sqrt().sum().backward();
        }),
      );
    expect(run).toThrow(/SqrtBackward0.*nan/);
    expect(warnings).toEqual([
      expect.stringMatching(/SqrtBackward0\. The forward operator was called at:\n/),
    ]);
  });

  it("tells of the graph that an operator of a second derivative belongs to", () => {
    const run = () =>
      autograd.detectAnomaly(() => {
        const x = torch.tensor([0], { requiresGrad: true });
        const [first] = autograd.grad(x.pow(1.5), x, { createGraph: true });
        first?.mul(0).sum().backward();
      });
    expect(run).toThrow(/nan/);
    expect(warnings.length).toBeGreaterThan(1);
    expect(warnings[1]).toContain("belongs to a graph");
  });

  it("says so where it was off in the forward pass", () => {
    const y = torch.tensor([-1], { requiresGrad: true }).sqrt().sum();
    expect(() => autograd.detectAnomaly(() => y.backward())).toThrow(/nan/);
    expect(warnings).toEqual([expect.stringContaining("No forward pass information")]);
  });

  it("does not look for nan where it shall not", () => {
    autograd.detectAnomaly(() => torch.tensor([-1], { requiresGrad: true }).sqrt().sum().backward(), {
      checkNan: false,
    });
    expect(warnings).toEqual([]);
  });

  it("tells where the operator was called whose hook throws", () => {
    const x = torch.ones([1], { requiresGrad: true });
    const run = () =>
      autograd.detectAnomaly(() => {
        const y = x.mul(2);
        y.registerHook(() => {
          throw new RangeError("mine");
        });
        y.sum().backward();
      });
    expect(run).toThrow(new RangeError("mine"));
  });

  it("can be nested, and be turned on for longer", () => {
    autograd.setDetectAnomaly(true, { checkNan: false });
    autograd.detectAnomaly(() => {});
    expect(autograd.isAnomalyEnabled()).toBe(true);
    torch.tensor([-1], { requiresGrad: true }).sqrt().sum().backward();
    autograd.setDetectAnomaly(false);
    expect(autograd.isAnomalyEnabled()).toBe(false);
  });

  it("refuses an asynchronous function", () => {
    expect(() => autograd.detectAnomaly(async () => {})).toThrow(/synchronous/);
  });
});
