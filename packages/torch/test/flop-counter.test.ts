import { ArgumentError, FlopCounterMode, nn, noGrad, randn, type Tensor } from "@levin/torch";
import { describe, expect, it } from "vitest";

/** The operations that a function takes. */
const count = (fn: () => unknown): number => {
  const counter = new FlopCounterMode();
  counter.run(fn);
  return counter.getTotalFlops();
};

// the numbers are those of PyTorch's FlopCounterMode
describe("FlopCounterMode", () => {
  it("counts products of matrices, forward and backward", () => {
    const linear = new nn.Linear(10, 20);
    const x = randn([4, 5, 10]);
    expect(count(() => linear.forward(randn([4, 10])))).toBe(1600);
    expect(count(() => linear.forward(x).sum().backward())).toBe(16_000);
    expect(count(() => randn([2, 3, 4]).bmm(randn([2, 4, 5])))).toBe(240);
  });

  it("counts convolutions, forward and backward", () => {
    const net = new nn.Sequential(
      new nn.Conv2d(3, 8, 3, { padding: 1 }),
      new nn.ReLU(),
      new nn.Conv2d(8, 16, 3, { stride: 2, groups: 2 }),
      new nn.ConvTranspose2d(16, 4, 2, { stride: 2 }),
    );
    const x = randn([2, 3, 16, 16]);
    expect(count(() => noGrad(() => net.forward(x)))).toBe(384_256);
    expect(count(() => (net.forward(x) as Tensor).sum().backward())).toBe(1_044_480);
  });

  it("counts attention, forward and backward", () => {
    const x = randn([2, 4, 6, 8]).requiresGrad_();
    const attention = () => nn.functional.scaledDotProductAttention(x, x, x);
    expect(count(attention)).toBe(9216);
    expect(count(() => attention().sum().backward())).toBe(32_256);
  });

  it("tells the count up to now while it runs, and starts anew at the next run", () => {
    const counter = new FlopCounterMode();
    const product = () => randn([3, 4]).mm(randn([4, 5]));
    const seen: number[] = [];
    const result = counter.run(() => {
      product();
      seen.push(counter.getTotalFlops());
      product();
      return "result";
    });
    expect([result, ...seen, counter.getTotalFlops()]).toEqual(["result", 120, 240]);
    product();
    expect(counter.getTotalFlops()).toBe(240);
    counter.run(product);
    expect(counter.getTotalFlops()).toBe(120);
  });

  it("refuses to be nested, and asynchronous functions", () => {
    expect(() => count(() => count(() => 0))).toThrow(ArgumentError);
    expect(() => count(async () => 0)).toThrow(/synchronous function/);
    expect(count(() => 0)).toBe(0);
  });
});
