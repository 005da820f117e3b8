import * as torch from "@levin/torch";
import { ArgumentError, OperatorError, slice } from "@levin/torch";
import { describe, expect, it } from "vitest";

const grid = () => torch.arange(12).reshape([3, 4]);

describe("get", () => {
  it("takes numbers, slices, new dimensions and an ellipsis", () => {
    const x = grid();
    expect(x.get(1).toArray()).toEqual([4, 5, 6, 7]);
    expect(x.get(-1).toArray()).toEqual([8, 9, 10, 11]);
    expect(x.get([1, 2]).item()).toBe(6);
    expect(x.get([slice(), slice(1, 3)]).toArray()).toEqual([
      [1, 2],
      [5, 6],
      [9, 10],
    ]);
    expect(x.get([0, slice(null, null, 2)]).toArray()).toEqual([0, 2]);
    expect(x.get(["...", -1]).toArray()).toEqual([3, 7, 11]);
    expect(x.get([null, "...", null]).shape).toEqual([1, 3, 4, 1]);
    expect(x.get(true).shape).toEqual([1, 3, 4]);
  });

  it("takes arrays, tensors and masks", () => {
    const x = grid();
    expect(x.get([[2, 0]]).toArray()).toEqual([
      [8, 9, 10, 11],
      [0, 1, 2, 3],
    ]);
    expect(x.get([torch.tensor([0n, 1n]), torch.tensor([3n, 2n])]).toArray()).toEqual([3, 6]);
    expect(x.get(x.gt(9)).toArray()).toEqual([10, 11]);
    expect(x.get([[true, false, true], 0]).toArray()).toEqual([0, 8]);
    expect(x.get(torch.tensor(1n)).toArray()).toEqual([4, 5, 6, 7]);
  });

  it("gives a view for numbers and slices, and a copy for tensors", () => {
    const x = grid();
    x.get([0, slice(0, 2)]).fill_(-1);
    x.get([[0]]).fill_(-2);
    expect(x.get(0).toArray()).toEqual([-1, -1, 2, 3]);
  });

  it("takes part in gradients", () => {
    const x = torch.ones([3], { requiresGrad: true });
    x.get([[0, 0, 2]])
      .sum()
      .add(x.get(1))
      .backward();
    expect(x.grad?.toArray()).toEqual([2, 1, 1]);
  });

  it("says what is wrong with an index", () => {
    const x = grid();
    expect(() => x.get(3)).toThrow(/index 3 out of range for tensor of size \[3, 4\]/);
    expect(() => x.get(0.5)).toThrow(/get: an index must be an integer, got 0.5/);
    expect(() => x.get(Number.NaN)).toThrow(ArgumentError);
    expect(() => x.get([0, 0, 0])).toThrow(/the tensor has 2 dimensions, the index is for 3/);
    expect(() => x.get(["...", "..."])).toThrow(/only one "..."/);
    expect(() => x.get("0" as never)).toThrow(/must be an integer, slice\(\), null.*got '0'/);
    expect(() => x.get([[0, true]] as never)).toThrow(/all integers or all booleans/);
    expect(() => x.get([[7]])).toThrow(OperatorError);
    expect(() => x.get([true, true, true, { a: 1 }] as never)).toThrow(/got \{ a: 1 \}/);
    expect(() => slice(0.5)).toThrow(/start must be an integer or null, got 0.5/);
    expect(() => slice(null, null, -1)).toThrow(/step must be positive.*flip\(\)/);
  });
});

describe("set", () => {
  it("writes numbers and tensors into what get gives", () => {
    const x = torch.zeros([2, 3]);
    x.set([0, 1], 5)
      .set([slice(), 2], torch.tensor([7, 8]))
      .set([[1], [0]], -1);
    expect(x.toArray()).toEqual([
      [0, 5, 7],
      [-1, 0, 8],
    ]);
    x.set(x.gt(4), 0);
    expect(x.sum().item()).toBe(-1);
    x.set("...", torch.ones([1, 1, 3]));
    expect(x.sum().item()).toBe(6);
  });

  it("writes complex numbers, booleans and bigints", () => {
    const c = torch.zeros([2], { dtype: "complex64" }).set(0, new torch.Complex(1, 2));
    expect(c.get(0).item()).toEqual(new torch.Complex(1, 2));
    expect(
      torch
        .zeros([1], { dtype: "int64" })
        .set(0, 2n ** 60n)
        .item({ bigint: true }),
    ).toBe(2n ** 60n);
    expect(
      torch
        .zeros([1], { dtype: "bool" })
        .set([[0]], true)
        .item(),
    ).toBe(true);
  });

  it("is recorded for gradients", () => {
    const value = torch.tensor(3, { requiresGrad: true });
    torch
      .zeros([2])
      .set(0, value)
      .mul(torch.tensor([5, 7]))
      .sum()
      .backward();
    expect(value.grad?.item()).toBe(5);
  });

  it("says what is wrong, naming itself", () => {
    expect(() => torch.zeros([2]).set([0, 0], 1)).toThrow(/set: too many indices/);
    expect(() => torch.zeros([2]).set(0, torch.ones([2, 2]))).toThrow(OperatorError);
    expect(() => torch.zeros([2]).set(0, "1" as never)).toThrow(ArgumentError);
  });
});
