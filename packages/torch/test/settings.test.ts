import * as torch from "@levin/torch";
import { amp, autograd, type Tensor } from "@levin/torch";
import { expect, it } from "vitest";

it("the precision of matrix products is set by name", () => {
  expect(torch.getFloat32MatmulPrecision()).toBe("highest");
  torch.setFloat32MatmulPrecision("medium");
  expect(torch.getFloat32MatmulPrecision()).toBe("medium");
  torch.setFloat32MatmulPrecision("highest");
  expect(() => torch.setFloat32MatmulPrecision("low" as "high")).toThrow(
    'must be "highest", "high" or "medium"',
  );
});

it("what happens to operators that are not deterministic is set by name or number", () => {
  torch.setDeterministicDebugMode("warn");
  expect([torch.getDeterministicDebugMode(), torch.isDeterministicAlgorithmsWarnOnlyEnabled()]).toEqual([
    1,
    true,
  ]);
  torch.setDeterministicDebugMode(2);
  expect(torch.areDeterministicAlgorithmsEnabled()).toBe(true);
  torch.setDeterministicDebugMode("default");
  expect(torch.getDeterministicDebugMode()).toBe(0);
  expect(() => torch.setDeterministicDebugMode(3 as 0)).toThrow("mode must be");
});

it("warnings and small numbers are set", () => {
  torch.setWarnAlways(true);
  expect(torch.isWarnAlwaysEnabled()).toBe(true);
  torch.setWarnAlways(false);
  expect(torch.setFlushDenormal(false)).toBe(true);
  expect(torch.getNumInteropThreads()).toBeGreaterThan(0);
  expect(() => torch.setNumInteropThreads(0)).toThrow("between 1 and 4096");
});

it("forkRng sets random numbers back", () => {
  torch.manualSeed(0);
  const state = torch.getRngState();
  torch.random.forkRng(() => torch.randn([3]));
  expect(torch.getRngState().equal(state)).toBe(true);
  torch.random.forkRng(() => torch.randn([3]), { enabled: false });
  expect(torch.getRngState().equal(state)).toBe(false);
  expect(() => torch.random.forkRng(async () => 1)).toThrow("synchronous");
});

it("the state of autocast is read and set by parts", () => {
  expect(torch.getAutocastDtype("cpu")).toBe("bfloat16");
  torch.setAutocastEnabled("cpu", true);
  expect(torch.isAutocastEnabled("cpu")).toBe(true);
  torch.setAutocastEnabled("cpu", false);
  torch.setAutocastCacheEnabled(false);
  expect(torch.isAutocastCacheEnabled()).toBe(false);
  torch.setAutocastCacheEnabled(true);
  torch.clearAutocastCache();
  expect(amp.isAutocastAvailable("cuda")).toBe(true);
});

it("a function with its own derivative is cast as customFwd says", () => {
  const seen: string[] = [];
  class Square extends autograd.Function {
    static override forward = amp.customFwd(
      (ctx: autograd.FunctionContext, x: Tensor) => {
        seen.push(`${x.dtype} ${torch.isAutocastEnabled("cpu")}`);
        ctx.saveForBackward(x);
        return x.mul(x);
      },
      { deviceType: "cpu", castInputs: "float32" },
    );
    static override backward = amp.customBwd(
      (ctx: autograd.FunctionContext, gradient: Tensor) => {
        seen.push(`backward ${torch.isAutocastEnabled("cpu")}`);
        return (ctx.savedTensors[0] as Tensor).mul(2).mul(gradient);
      },
      { deviceType: "cpu" },
    );
  }
  const x = torch.ones([2], { dtype: "bfloat16", requiresGrad: true });
  const y = amp.autocast({ device: "cpu" }, () => Square.apply(x));
  y.sum().backward();
  expect(seen).toEqual(["float32 false", "backward false"]);
  expect(x.grad?.toArray()).toEqual([2, 2]);
});
