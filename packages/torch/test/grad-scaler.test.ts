import { amp, nn, optim, type Tensor, tensor } from "@levin/torch";
import { describe, expect, it, vi } from "vitest";

function setUp(options: amp.GradScalerOptions = {}, optimizerOptions: optim.SGDOptions = {}) {
  const param = new nn.Parameter(tensor([1, 2]));
  const optimizer: optim.Optimizer = new optim.SGD([param], { lr: 1, ...optimizerOptions });
  const scaler = new amp.GradScaler({ device: "cpu", initScale: 8, ...options });
  const backward = (factor = 1) => {
    optimizer.zeroGrad();
    scaler.scale((param.sum() as Tensor).mul(factor)).backward();
  };
  return { param, optimizer, scaler, backward, values: () => param.detach().toArray() };
}

describe.each([{}, { fused: true }])("a gradient scaler with SGD %j", (optimizerOptions) => {
  it("takes the step that there would be without it", () => {
    const { param, optimizer, scaler, backward, values } = setUp({}, optimizerOptions);
    backward();
    expect(param.grad?.toArray()).toEqual([8, 8]);
    scaler.step(optimizer);
    expect(values()).toEqual([0, 1]);
  });

  it("leaves out a step with infinite gradients, and lowers the scale", () => {
    const { optimizer, scaler, backward, values } = setUp({}, optimizerOptions);
    backward(Number.POSITIVE_INFINITY);
    scaler.step(optimizer);
    scaler.update();
    expect(values()).toEqual([1, 2]);
    expect(scaler.getScale()).toBe(4);
  });

  it("unscales gradients before the step on request, so that they can be clipped", () => {
    const { param, optimizer, scaler, backward, values } = setUp({}, optimizerOptions);
    backward();
    scaler.unscale_(optimizer);
    expect(param.grad?.toArray()).toEqual([1, 1]);
    nn.utils.clipGradValue_([param], 0.5);
    scaler.step(optimizer);
    expect(values()).toEqual([0.5, 1.5]);
  });
});

describe("a gradient scaler", () => {
  it("raises the scale after a number of steps without infinities", () => {
    const { optimizer, scaler, backward } = setUp({ growthInterval: 2, growthFactor: 4 });
    const scales = Array.from({ length: 4 }, () => {
      backward();
      scaler.step(optimizer);
      scaler.update();
      return scaler.getScale();
    });
    expect(scales).toEqual([8, 32, 32, 128]);
  });

  it("does not count steps of Adam that it leaves out, also in the fused kernel", () => {
    const param = new nn.Parameter(tensor([1]));
    const optimizer = new optim.Adam([param], { fused: true });
    const scaler = new amp.GradScaler({ device: "cpu" });
    for (const factor of [1, Number.NaN, 1]) {
      optimizer.zeroGrad();
      scaler.scale((param.sum() as Tensor).mul(factor)).backward();
      scaler.step(optimizer);
      scaler.update();
    }
    expect(optimizer.state.get(param)).toMatchObject({
      step: expect.toSatisfy((step: Tensor) => step.item() === 2),
    });
  });

  it("scales lists of outputs", () => {
    const { scaler } = setUp();
    const [a, [b]] = scaler.scale([tensor(1), [tensor(2)]] as const);
    expect([a.item(), b.item()]).toEqual([8, 16]);
  });

  it("has PyTorch's state and goes on from it", () => {
    const { scaler, optimizer, backward } = setUp();
    backward();
    scaler.step(optimizer);
    scaler.update();
    const state = scaler.stateDict();
    expect(state).toEqual({
      scale: 8,
      growth_factor: 2,
      backoff_factor: 0.5,
      growth_interval: 2000,
      _growth_tracker: 1,
    });
    const other = new amp.GradScaler({ device: "cpu" });
    other.loadStateDict({ ...state, scale: 32 });
    expect([other.getScale(), other.stateDict()._growth_tracker]).toEqual([32, 1]);
  });

  it("can be given its scale", () => {
    const { scaler, backward } = setUp();
    backward();
    scaler.update(3);
    expect(scaler.getScale()).toBe(3);
    scaler.update(tensor([5]));
    expect(scaler.getScale()).toBe(5);
  });

  it("that is not enabled only passes things on", () => {
    const { param, optimizer, scaler, backward, values } = setUp({ enabled: false });
    backward();
    expect(param.grad?.toArray()).toEqual([1, 1]);
    scaler.unscale_(optimizer);
    scaler.step(optimizer);
    scaler.update();
    expect(values()).toEqual([0, 1]);
    expect([scaler.isEnabled(), scaler.getScale(), scaler.stateDict()]).toEqual([false, 1, {}]);
  });

  it("for CUDA is disabled with a warning where there is none", ({ skip }) => {
    const warning = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    const scaler = new amp.GradScaler();
    if (scaler.isEnabled()) skip();
    expect(warning.mock.calls[0]?.[0]).toContain("CUDA is not available");
    warning.mockRestore();
  });
});

describe("a gradient scaler refuses", () => {
  it("factors on the wrong side of one", () => {
    expect(() => new amp.GradScaler({ device: "cpu", growthFactor: 1 })).toThrow(
      "growth factor must be > 1.0",
    );
    expect(() => new amp.GradScaler({ device: "cpu", backoffFactor: 1 })).toThrow(
      "backoff factor must be < 1.0",
    );
  });

  it("calls in the wrong order", () => {
    const { optimizer, scaler, backward } = setUp();
    expect(() => scaler.step(optimizer)).toThrow("Attempted step but _scale is None");
    backward();
    expect(() => scaler.update()).toThrow("No inf checks were recorded prior to update");
    scaler.unscale_(optimizer);
    expect(() => scaler.unscale_(optimizer)).toThrow(
      "already been called on this optimizer since the last update()",
    );
    scaler.step(optimizer);
    expect(() => scaler.unscale_(optimizer)).toThrow("unscale_() is being called after step()");
    expect(() => scaler.step(optimizer)).toThrow("step() has already been called since the last update()");
  });

  it("closures, half precision gradients and optimizers without gradients", () => {
    const { optimizer, scaler, backward } = setUp();
    backward();
    expect(() => scaler.step(optimizer, () => 1)).toThrow("Closure use is not currently supported");
    const half = new nn.Parameter(tensor([1], { dtype: "float16" }));
    half.grad = tensor([1], { dtype: "float16" });
    expect(() => scaler.unscale_(new optim.SGD([half]))).toThrow("unscale FP16 gradients");
    const idle = new optim.SGD([new nn.Parameter(tensor([1]))]);
    expect(() => scaler.step(idle)).toThrow("No inf checks were recorded for this optimizer");
  });

  it("the state of a scaler that was not enabled", () => {
    expect(() => setUp().scaler.loadStateDict({})).toThrow("source state dict is empty");
  });
});
