import * as torch from "@levin/torch";
import { ArgumentError, Generator, OperatorError } from "@levin/torch";
import { beforeEach, describe, expect, it } from "vitest";

beforeEach(() => {
  torch.manualSeed(0);
});

describe("the default generator", () => {
  it("gives PyTorch's numbers, to the bit", () => {
    // torch.manual_seed(0); torch.rand(3) and so on, in turn, in PyTorch 2.15
    expect(torch.rand([3]).toArray()).toEqual([0.49625658988952637, 0.7682217955589294, 0.08847743272781372]);
    torch.manualSeed(0);
    expect(torch.randn([3]).toArray()).toEqual([1.5409960746765137, -0.293428897857666, -2.1787893772125244]);
    torch.manualSeed(0);
    expect(torch.randperm(5).toArray()).toEqual([4, 0, 1, 3, 2]);
    torch.manualSeed(0);
    expect(torch.randint(0, 10, [5]).toArray()).toEqual([4, 9, 3, 0, 3]);
  });

  it("has a state that can be kept and set back", () => {
    const state = torch.getRngState();
    const first = torch.rand([4]).toArray();
    torch.setRngState(state);
    expect([torch.rand([4]).toArray(), state.dtype]).toEqual([first, "uint8"]);
    expect(() => torch.setRngState(torch.ones([3]))).toThrow(OperatorError);
    expect(() => torch.setRngState(torch.zeros([3], { dtype: "uint8" }))).toThrow(OperatorError);
    expect(() => torch.setRngState(5 as never)).toThrow(/setState: state must be a Tensor, got 5/);
  });

  it("takes seeds of 64 bits, also negative ones", () => {
    expect(torch.manualSeed(2n ** 64n - 1n).initialSeed()).toBe(2n ** 64n - 1n);
    expect(torch.manualSeed(-1).initialSeed()).toBe(2n ** 64n - 1n);
    expect(torch.initialSeed()).toBe(2n ** 64n - 1n);
    for (const seed of [0.5, Number.NaN, 2n ** 64n, "1" as never])
      expect(() => torch.manualSeed(seed)).toThrow(ArgumentError);
    const taken = torch.seed();
    expect(torch.initialSeed()).toBe(taken);
  });
});

describe("a generator", () => {
  it("has a sequence of its own", () => {
    const generator = new Generator().manualSeed(0);
    const [drawn] = torch.rand([1], { generator }).toArray<number[]>();
    expect([drawn, torch.rand([1]).item()]).toEqual([0.49625658988952637, 0.49625658988952637]);
    expect([generator.device, generator.initialSeed()]).toEqual(["cpu", 0n]);
    expect(typeof generator.seed()).toBe("bigint");
    const copy = new Generator().setState(generator.getState());
    expect(torch.rand([2], { generator: copy }).equal(torch.rand([2], { generator }))).toBe(true);
  });

  it("is for devices that there are, and is given as itself", () => {
    expect(() => new Generator("tpu" as never)).toThrow(/device must be a device such as/);
    expect(() => new Generator("meta")).toThrow(OperatorError);
    expect(() => torch.rand([1], { generator: torch.ones([1]) as never })).toThrow(
      /generator must be Generator/,
    );
    expect(() => torch.rand([1], { generator: {} as never })).toThrow(ArgumentError);
  });
});
