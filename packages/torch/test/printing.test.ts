import { inspect } from "node:util";
import * as torch from "@levin/torch";
import { afterEach, describe, expect, it } from "vitest";

afterEach(() => torch.setPrintoptions({ profile: "default" }));

// The interop tests compare thousands of tensors with what PyTorch prints; these show the rules.
describe("a tensor as text", () => {
  it("shows values, and what cannot be seen from them", () => {
    expect(
      String(
        torch.tensor([
          [1, 2.5],
          [-3, 0],
        ]),
      ),
    ).toBe("tensor([[ 1.0000,  2.5000],\n        [-3.0000,  0.0000]])");
    expect(String(torch.tensor([1, 2, 3]))).toBe("tensor([1., 2., 3.])");
    expect(String(torch.tensor([1n, -20n]))).toBe("tensor([  1, -20])");
    expect(String(torch.tensor([true, false]))).toBe("tensor([ True, False])");
    expect(String(torch.tensor(5))).toBe("tensor(5.)");
    expect(String(torch.tensor([1], { dtype: "float64" }))).toBe("tensor([1.], dtype=torch.float64)");
    expect(String(torch.zeros([2, 0]))).toBe("tensor([], size=(2, 0))");
    expect(String(torch.tensor([new torch.Complex(1, -2)]))).toBe("tensor([1.-2.j])");
    expect(String(torch.zeros([3], { device: "meta" }))).toBe("tensor(..., device='meta', size=(3,))");
  });

  it("goes over to powers of ten where the values need it", () => {
    expect(String(torch.tensor([1e-5, 1]))).toBe("tensor([1.0000e-05, 1.0000e+00])");
    expect(String(torch.tensor([Number.NaN, Number.POSITIVE_INFINITY, 1]))).toBe("tensor([nan, inf, 1.])");
  });

  it("rounds as Python does, to even", () => {
    expect(String(torch.tensor([0.03125, 0.09375]))).toBe("tensor([0.0312, 0.0938])");
  });

  it("shows the edges of large tensors", () => {
    expect(String(torch.arange(2000))).toBe("tensor([   0,    1,    2,  ..., 1997, 1998, 1999])");
  });

  it("names the graph", () => {
    const x = torch.tensor([1], { requiresGrad: true });
    expect(String(x)).toBe("tensor([1.], requires_grad=True)");
    expect(String(x.mul(2))).toBe("tensor([2.], grad_fn=<MulBackward0>)");
  });

  it("is what the console shows, also inside other values", () => {
    expect(inspect(torch.tensor([1, 2]))).toBe("tensor([1., 2.])");
    expect(inspect({ x: torch.tensor([1n]) })).toBe("{ x: tensor([1]) }");
  });

  it("can be made of a tensor that was disposed", () => {
    const x = torch.ones([1]);
    x.dispose();
    expect(inspect(x)).toBe("tensor(<disposed>)");
  });

  it("follows the options", () => {
    torch.setPrintoptions({ precision: 2, sciMode: false });
    expect(String(torch.tensor([1e-5, 1.239]))).toBe("tensor([0.00, 1.24])");
    torch.setPrintoptions({ profile: "short" });
    expect(torch.getPrintoptions()).toMatchObject({ precision: 2, edgeitems: 2, sciMode: null });
    expect(() => torch.setPrintoptions({ precision: -1 })).toThrow(
      /precision must be an integer from 0 to 100, got -1/,
    );
    expect(() => torch.setPrintoptions({ profile: "long" as never })).toThrow(/profile must be/);
  });
});
