import * as torch from "@levin/torch";
import { ArgumentError, amp } from "@levin/torch";
import { describe, expect, it } from "vitest";

const leaf = () => torch.tensor([1, 2], { requiresGrad: true });

describe("noGrad and enableGrad", () => {
  it("set whether operators are recorded for the time of a function, also when it throws", () => {
    const x = leaf();
    expect(torch.noGrad(() => x.mul(2).requiresGrad)).toBe(false);
    expect(torch.noGrad(() => torch.enableGrad(() => x.mul(2).requiresGrad))).toBe(true);
    expect(() =>
      torch.noGrad(() => {
        throw new RangeError("inside");
      }),
    ).toThrow("inside");
    expect(torch.isGradEnabled()).toBe(true);
    torch.setGradEnabled(false);
    expect(x.mul(2).requiresGrad).toBe(false);
    torch.setGradEnabled(true);
  });

  it("refuse promises, and everything that is no function", async () => {
    expect(() => torch.noGrad(async () => 1)).toThrow(
      /noGrad: the function must be synchronous, it returned a promise/,
    );
    expect(torch.isGradEnabled()).toBe(true);
    expect(() => torch.noGrad(5 as never)).toThrow(/noGrad: a function is required, got 5/);
    expect(() => torch.setGradEnabled("yes" as never)).toThrow(/enabled must be true or false, got "yes"/);
  });
});

describe("inference mode", () => {
  it("makes tensors that cannot take part in a graph", () => {
    const x = torch.inferenceMode(() => {
      expect(torch.isInferenceModeEnabled()).toBe(true);
      return torch.ones([2]);
    });
    expect(torch.isInferenceModeEnabled()).toBe(false);
    expect([x.version, x.add(1).sum().item()]).toEqual([0, 4]);
    expect(() => leaf().mul(x)).toThrow(/Inference tensors cannot be saved for backward/);
    expect(() => x.requiresGrad_()).toThrow(/Setting requires_grad=True on inference tensor/);
    expect(() => torch.inferenceMode(async () => 1)).toThrow(/returned a promise/);
  });

  it("is left in the reverse order of entering", () => {
    const outer = torch.enterInferenceMode();
    const inner = torch.enterInferenceMode(false);
    expect(torch.isInferenceModeEnabled()).toBe(false);
    expect(() => outer()).toThrow(/reverse order/);
    inner();
    expect(torch.isInferenceModeEnabled()).toBe(true);
    outer();
    expect(() => outer()).toThrow(ArgumentError);
    expect([torch.isInferenceModeEnabled(), torch.isGradEnabled()]).toEqual([false, true]);
  });
});

describe("autocast", () => {
  const x = torch.ones([2, 2]);

  it("casts what gains by it, and only that", () => {
    amp.autocast({ device: "cpu" }, () => {
      expect(amp.isAutocastEnabled("cpu")).toBe(true);
      expect([x.matmul(x).dtype, x.add(x).dtype]).toEqual(["bfloat16", "float32"]);
      amp.autocast({ device: "cpu", enabled: false }, () => expect(x.matmul(x).dtype).toBe("float32"));
      amp.autocast({ device: "cpu", dtype: "float16" }, () => expect(x.matmul(x).dtype).toBe("float16"));
      expect(x.matmul(x).dtype).toBe("bfloat16");
    });
    expect([amp.isAutocastEnabled("cpu"), x.matmul(x).dtype]).toEqual([false, "float32"]);
  });

  it("casts a parameter once for as long as the outermost region lasts", () => {
    const weight = torch.ones([2, 2], { requiresGrad: true });
    const grads = amp.autocast({ device: "cpu" }, () => x.matmul(weight).add(x.matmul(weight)).sum());
    grads.backward();
    expect([weight.grad?.dtype, weight.grad?.toArray()]).toEqual([
      "float32",
      [
        [4, 4],
        [4, 4],
      ],
    ]);
  });

  it("can be set without a function, and set back any number of times", () => {
    const restore = amp.setAutocast({ device: "cpu" });
    expect(x.matmul(x).dtype).toBe("bfloat16");
    restore();
    restore();
    expect(amp.isAutocastEnabled("cpu")).toBe(false);
  });

  it("refuses what it cannot do", () => {
    expect(() => amp.autocast({ device: "cpu" }, async () => 1)).toThrow(
      /autocast: the function must be synchronous/,
    );
    expect(() => amp.autocast({ device: "cpu", dtype: "float32" as never }, () => 1)).toThrow(
      /dtype must be "bfloat16" or "float16"/,
    );
    expect(() => amp.autocast({ device: "gpu" as never }, () => 1)).toThrow(
      /device must be a type of device.*got "gpu"/,
    );
    expect(() => amp.autocast(undefined as never, () => 1)).toThrow(
      /options must be an object, got undefined/,
    );
    expect(() => amp.autocast({ device: "cpu" }, 1 as never)).toThrow(/a function is required/);
    expect(amp.isAutocastEnabled("cpu")).toBe(false);
  });
});

describe("threads and determinism", () => {
  it("can be set", () => {
    const before = torch.getNumThreads();
    torch.setNumThreads(1);
    expect(torch.getNumThreads()).toBe(1);
    torch.setNumThreads(before);
    for (const count of [0, -1, 1.5, Number.NaN, 2 ** 40, "2" as never])
      expect(() => torch.setNumThreads(count)).toThrow(ArgumentError);
    torch.useDeterministicAlgorithms(true, { warnOnly: true });
    expect(torch.areDeterministicAlgorithmsEnabled()).toBe(true);
    torch.useDeterministicAlgorithms(false);
    expect(torch.areDeterministicAlgorithmsEnabled()).toBe(false);
    expect(() => torch.useDeterministicAlgorithms(1 as never)).toThrow(ArgumentError);
  });

  it("are part of what the build says of itself", () => {
    const info = torch.buildInfo();
    expect(info.torchVersion).toMatch(/^2\./);
    expect(info.config).toContain("PyTorch built with");
    expect(typeof info.cudaAvailable).toBe("boolean");
  });
});
