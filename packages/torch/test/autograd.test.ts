import * as torch from "@levin/torch";
import { ArgumentError, autograd, OperatorError, type Tensor } from "@levin/torch";
import { afterEach, describe, expect, it } from "vitest";
// The way hooks are called on an accelerator can be had on the CPU through the addon alone.
import { native } from "../dist/native.js";

const leaf = (...values: number[]) => torch.tensor(values, { requiresGrad: true });

/** y = x^2 by hand, with the saved input. */
class Square extends autograd.Function {
  static override forward(ctx: autograd.FunctionContext, x: Tensor) {
    ctx.saveForBackward(x);
    return x.mul(x);
  }
  static override backward(ctx: autograd.FunctionContext, gradient: Tensor) {
    const [x] = ctx.savedTensors as [Tensor];
    return gradient.mul(x).mul(2);
  }
}

describe("backward", () => {
  it("adds gradients to the leaves", () => {
    const x = leaf(1, 2);
    x.mul(x).sum().backward();
    x.sum().backward();
    expect(x.grad?.toArray()).toEqual([3, 5]);
    expect([x.isLeaf, x.gradFn, x.mul(1).isLeaf, x.mul(1).gradFn?.name]).toEqual([
      true,
      null,
      false,
      "MulBackward0",
    ]);
  });

  it("takes a gradient for more than one element, and the leaves to reach", () => {
    const x = leaf(1, 2);
    const y = leaf(3, 4);
    x.mul(y).backward(torch.tensor([1, 10]), { inputs: [x] });
    expect([x.grad?.toArray(), y.grad]).toEqual([[3, 40], null]);
    expect(() => x.mul(y).backward()).toThrow(/implicitly created only for scalar outputs/);
    expect(() => x.sum().backward(null, { inputs: [] })).toThrow(
      /inputs must be an array of at least one Tensor/,
    );
    expect(() => x.sum().backward(1 as never)).toThrow(/backward: gradient must be a Tensor, got 1/);
    expect(() => x.sum().backward(null, { retainGraph: 1 as never })).toThrow(
      /retainGraph must be true or false/,
    );
    expect(() => torch.ones([1]).backward()).toThrow(/does not require grad/);
  });

  it("goes through a graph twice only where it was kept", () => {
    const x = leaf(2);
    const y = x.mul(x).sum();
    y.backward(null, { retainGraph: true });
    y.backward();
    expect(x.grad?.item()).toBe(8);
    expect(() => y.backward()).toThrow(/backward through the graph a second time/);
  });

  it("of several tensors goes through their graphs at once", () => {
    const x = leaf(1, 2);
    autograd.backward([x.sum(), x.mul(2)], [null, torch.ones([2])]);
    expect(x.grad?.toArray()).toEqual([3, 3]);
    expect(() => autograd.backward([x.sum()], [null, null])).toThrow(
      /one gradient for each of the 1 tensors is required, got 2/,
    );
    expect(() => autograd.backward("x" as never)).toThrow(/backward: tensors must be an array/);
  });

  it("keeps the gradient of a result that asks for it", () => {
    const x = leaf(1);
    const y = x.mul(3);
    y.retainGrad();
    y.mul(y).sum().backward();
    expect([y.grad?.item(), x.grad?.item()]).toEqual([6, 18]);
  });
});

describe("a hook that changes the gradient with which a pass begins", () => {
  const changes: Record<string, (gradient: Tensor) => unknown> = {
    value: (gradient) => gradient.fill_(4),
    shape: (gradient) => gradient.unsqueeze_(0),
    size: (gradient) => gradient.resize_([0]),
    storage: (gradient) => gradient.set_(torch.zeros([3])),
    type: (gradient) => {
      gradient.data = torch.zeros([], { dtype: "float64" });
    },
    requiresGrad: (gradient) => {
      gradient.requiresGrad = true;
    },
    life: (gradient) => gradient.dispose(),
  };
  it.each(Object.keys(changes))("changes no later pass: its %s", (name) => {
    const loss = leaf(1, 2).sum();
    loss.registerHook((gradient) => void changes[name]?.(gradient));
    try {
      loss.backward();
    } catch (error) {
      expect(error).toBeInstanceOf(OperatorError);
    }
    const x = leaf(1, 2);
    x.sum().backward();
    expect([x.grad?.toArray(), x.grad?.requiresGrad]).toEqual([[1, 1], false]);
  });
});

describe("grad", () => {
  it("gives gradients without touching the leaves, of any order", () => {
    const x = leaf(3);
    const [first] = autograd.grad(x.pow(3).sum(), x, { createGraph: true }) as [Tensor];
    const [second] = autograd.grad(first.sum(), x) as [Tensor];
    expect([first.item(), second.item(), x.grad]).toEqual([27, 18, null]);
  });

  it("gives null for what the outputs do not depend on, where that is allowed", () => {
    const [x, y] = [leaf(1), leaf(1)];
    expect(autograd.grad(x.sum(), [x, y], { allowUnused: true })[1]).toBe(null);
    expect(() => autograd.grad(x.sum(), [x, y])).toThrow(/appears to not have been used in the graph/);
    expect(() => autograd.grad(x.sum(), x, { gradOutputs: [torch.ones([3])] })).toThrow(
      /gradient 0 must have the shape of its tensor, \[\], got \[3\]/,
    );
    expect(() => autograd.grad(x.sum(), [] as never)).toThrow(OperatorError);
  });
});

describe("requiresGrad", () => {
  it("is for leaves of floating point and complex type", () => {
    expect(torch.ones([1]).requiresGrad_().requiresGrad).toBe(true);
    expect(() => torch.ones([1], { dtype: "int64" }).requiresGrad_()).toThrow(
      /floating point and complex type can require/,
    );
    expect(() => {
      leaf(1).mul(2).requiresGrad = false;
    }).toThrow(/only be changed for leaf tensors; use detach\(\)/);
    expect(leaf(1).mul(2).detach().requiresGrad).toBe(false);
  });

  it("refuses changes in place that would lose a gradient", () => {
    const x = leaf(1);
    expect(() => x.add_(1)).toThrow(
      /leaf Variable that requires grad is being used in an in-place operation/,
    );
    const y = x.mul(1);
    const z = y.mul(y);
    y.add_(1);
    expect(() => z.sum().backward()).toThrow(/modified by an inplace operation/);
    expect(y.version).toBe(1);
  });
});

describe("grad, data and their setters", () => {
  it("replace the gradient and the memory", () => {
    const x = leaf(1, 2);
    x.grad = torch.tensor([5, 6]);
    x.data = torch.tensor([7, 8]);
    expect([x.grad?.toArray(), x.toArray(), x.requiresGrad, x.isLeaf]).toEqual([[5, 6], [7, 8], true, true]);
    x.data.zero_();
    expect(x.sum().item()).toBe(0);
    x.grad = null;
    expect(x.grad).toBe(null);
  });

  it("refuse what does not fit", () => {
    const x = leaf(1, 2);
    expect(() => {
      x.grad = torch.ones([3]);
    }).toThrow(
      /grad must have the tensor's shape.*Tensor\(\[2\], float32\) on cpu, got Tensor\(\[3\], float32\)/,
    );
    expect(() => {
      x.grad = x;
    }).toThrow(/cannot be its own gradient/);
    expect(() => {
      x.grad = 1 as never;
    }).toThrow(ArgumentError);
    expect(() => {
      x.data = torch.ones([2], { dtype: "int64" });
    }).toThrow(/floating point or complex/);
    expect(() => {
      x.data = torch.ones([2], { device: "meta" });
    }).toThrow(/incompatible tensor type/);
  });

  it("work on many tensors in one call", () => {
    const [x, y] = [leaf(1), leaf(2)];
    x.mul(3).sum().backward();
    expect(torch.grads([x, y]).map((g) => g?.item())).toEqual([3, undefined]);
    torch.zeroGrad([x, y], false);
    expect(x.grad?.item()).toBe(0);
    torch.zeroGrad([x, y]);
    expect(x.grad).toBe(null);
    expect(() => torch.zeroGrad(x as never)).toThrow(/zeroGrad: tensors must be an array/);
  });
});

describe.each([false, true])("hooks and functions (served from a helper thread: %s)", (helper) => {
  native.serveHooksFromHelperThread(false);
  const served = <T>(body: () => T): T => {
    native.serveHooksFromHelperThread(helper);
    try {
      return body();
    } finally {
      native.serveHooksFromHelperThread(false);
    }
  };
  afterEach(() => expect(torch.isGradEnabled()).toBe(true));

  it("a hook sees the gradient and can replace it", () => {
    const x = leaf(1);
    const y = x.mul(2);
    const seen: unknown[] = [];
    y.registerHook((gradient) => {
      seen.push(gradient.item());
      return gradient.mul(10);
    });
    const handle = x.registerHook((gradient) => void seen.push(gradient.item()));
    served(() => y.sum().backward());
    expect([seen, x.grad?.item()]).toEqual([[1, 20], 20]);
    handle.remove();
    handle.remove();
    served(() => x.sum().backward());
    expect(seen.length).toBe(2);
  });

  it("a hook after accumulation gets the leaf itself, and can take itself away", () => {
    const x = leaf(1);
    const seen: unknown[] = [];
    const handle = x.registerPostAccumulateGradHook((tensor) => {
      seen.push(tensor === x, tensor.grad?.item());
      tensor.grad = null;
      handle.remove();
    });
    served(() => x.mul(4).sum().backward());
    served(() => x.mul(4).sum().backward());
    expect([seen, x.grad?.item()]).toEqual([[true, 4], 4]);
    expect(() => torch.ones([1]).registerHook(() => {})).toThrow(/does not require gradients/);
    expect(() => x.mul(1).registerPostAccumulateGradHook(() => {})).toThrow(/only leaf tensors/);
    expect(() => x.registerHook(1 as never)).toThrow(/registerHook: a function is required, got 1/);
  });

  it("what a hook throws, of any kind, comes out of backward as it is", () => {
    for (const thrown of [new RangeError("mine"), 5, undefined, null, Symbol("s"), { a: 1 }]) {
      const x = leaf(1);
      x.registerHook(() => {
        throw thrown;
      });
      let caught: unknown = "nothing";
      try {
        served(() => x.sum().backward());
      } catch (error) {
        caught = error;
      }
      expect(caught).toBe(thrown);
    }
  });

  it("a hook that gives nonsense is an error", () => {
    const giving = (result: unknown) => () => {
      const x = leaf(1);
      x.registerHook(() => result as never);
      served(() => x.sum().backward());
    };
    expect(giving(5)).toThrow(/result of a gradient hook must be a Tensor or nothing, got 5/);
    expect(giving(Promise.resolve())).toThrow(/got Promise/);
    expect(giving(torch.ones([7]))).toThrow(OperatorError);
    const gone = torch.ones([1]);
    gone.dispose();
    expect(giving(gone)).toThrow(torch.DisposedError);
  });

  it("a hook may dispose of tensors, collect garbage, and run a backward pass of its own", () => {
    const x = leaf(1);
    const y = x.mul(2);
    y.registerHook((gradient) => {
      y.dispose();
      torch.memory.collect();
      const inner = torch.enableGrad(() => {
        const z = torch.tensor([3], { requiresGrad: true });
        z.registerHook((g) => g.mul(2));
        z.mul(z).sum().backward();
        return z.grad as Tensor;
      });
      return gradient.mul(inner);
    });
    served(() => y.sum().backward());
    expect(x.grad?.item()).toBe(24);
  });

  it("passes inside the hooks of one another end in an error where they go too deep", () => {
    const descend = () => {
      const x = leaf(1);
      x.registerHook(() => torch.enableGrad(descend));
      x.sum().backward();
    };
    expect(() => served(descend)).toThrow(/60 deep|call stack/);
  });

  it("hooks run without recording, except in a pass that is recorded", () => {
    const modes: boolean[] = [];
    const x = leaf(1);
    x.registerHook(() => void modes.push(torch.isGradEnabled()));
    served(() => autograd.grad(x.mul(x).sum(), x));
    served(() => autograd.grad(x.mul(x).sum(), x, { createGraph: true }));
    expect(modes).toEqual([false, true]);
  });

  it("a function has the derivative that it was given, of any order", () => {
    const x = leaf(3);
    const y = Square.apply(x);
    expect(y.gradFn?.name).toBe("SquareBackward");
    served(() => {
      const [first] = autograd.grad(y.sum(), x, { createGraph: true }) as [Tensor];
      first.sum().backward();
      expect([first.item(), x.grad?.item()]).toEqual([6, 2]);
    });
  });

  it("a function may recompute a part of the graph in its backward, as checkpoints do", () => {
    class Again extends autograd.Function {
      static override forward(ctx: autograd.FunctionContext, x: Tensor) {
        ctx.saveForBackward(x);
        return x.exp();
      }
      static override backward(ctx: autograd.FunctionContext, gradient: Tensor) {
        return torch.enableGrad(() => {
          const x = (ctx.savedTensors as [Tensor])[0].detach().requiresGrad_();
          x.exp().backward(gradient);
          return x.grad;
        });
      }
    }
    const x = leaf(1);
    served(() => Again.apply(Again.apply(x)).sum().backward());
    expect(x.grad?.item()).toBeCloseTo(Math.exp(Math.E) * Math.E, 4);
  });

  it("errors inside of a function come out as they are", () => {
    class InForward extends autograd.Function {
      static override forward(): Tensor {
        throw new RangeError("forward");
      }
    }
    class InBackward extends autograd.Function {
      static override forward(_ctx: autograd.FunctionContext, x: Tensor) {
        return x.mul(1);
      }
      static override backward(): Tensor {
        throw new RangeError("backward");
      }
    }
    expect(() => InForward.apply()).toThrow("forward");
    const y = InBackward.apply(leaf(1)).sum();
    expect(() => served(() => y.backward())).toThrow("backward");
  });
});

describe("a function", () => {
  class Shapes extends autograd.Function {
    static result: unknown;
    static override forward(_ctx: autograd.FunctionContext, x: Tensor, _factor: number) {
      return x.mul(1);
    }
    static override backward(): Tensor | null | (Tensor | null)[] {
      return Shapes.result as Tensor;
    }
  }
  const backwardGiving = (result: unknown) => () => {
    Shapes.result = result;
    const x = leaf(1, 1);
    Shapes.apply(x, 2).sum().backward();
    return x.grad?.toArray();
  };

  it("must give one gradient for each argument, null for those that are no tensors", () => {
    const ones = torch.ones([2]);
    expect(backwardGiving([ones, null])()).toEqual([1, 1]);
    expect(backwardGiving([ones, null, null])()).toEqual([1, 1]);
    expect(backwardGiving([null, null])()).toBe(undefined);
    expect(backwardGiving(ones)).toThrow(/one gradient for each of the 2 arguments of forward, got 1/);
    expect(backwardGiving([ones, ones])).toThrow(/must return null for argument 1/);
    expect(backwardGiving(["x", null])).toThrow(/gradient returned by backward must be a Tensor, got 'x'/);
    expect(backwardGiving([torch.ones([3]), null])).toThrow(/invalid gradient/);
  });

  it("can be gone through twice where nothing was saved, and says so where that was freed", () => {
    class Twice extends autograd.Function {
      static override forward(_ctx: autograd.FunctionContext, x: Tensor) {
        return x.mul(2);
      }
      static override backward(_ctx: autograd.FunctionContext, gradient: Tensor) {
        return gradient.mul(2);
      }
    }
    const x = leaf(1);
    const y = Twice.apply(x);
    y.backward();
    y.backward();
    expect(x.grad?.item()).toBe(4);
    const z = Square.apply(x);
    z.backward();
    expect(() => z.backward()).toThrow(
      /saved tensors were freed by an earlier backward pass; give retainGraph/,
    );
  });

  it("knows what was changed in place, what has no gradient and who needs one", () => {
    class InPlace extends autograd.Function {
      static override forward(ctx: autograd.FunctionContext, x: Tensor) {
        ctx.markDirty(x);
        return x.mul_(2);
      }
      static override backward(_ctx: autograd.FunctionContext, gradient: Tensor) {
        return gradient.mul(2);
      }
    }
    const x = leaf(1);
    const y = x.mul(1);
    const z = InPlace.apply(y);
    expect([z.isSame(y), y.gradFn?.name]).toEqual([true, "InPlaceBackward"]);
    z.sum().backward();
    expect(x.grad?.item()).toBe(2);
    expect(() => InPlace.apply(leaf(1))).toThrow(/leaf Variable that requires grad/);

    class Split extends autograd.Function {
      static override forward(ctx: autograd.FunctionContext, x: Tensor, y: Tensor) {
        expect(ctx.needsInputGrad).toEqual([true, false]);
        const index = x.argmax();
        ctx.markNonDifferentiable(index);
        return [x.add(y), index];
      }
      static override backward(_ctx: autograd.FunctionContext, gradient: Tensor, ofIndex: Tensor) {
        expect(ofIndex.item()).toBe(0);
        return [gradient, null];
      }
    }
    const [sum, index] = Split.apply(leaf(1, 5), torch.ones([2])) as [Tensor, Tensor];
    expect([index.item(), index.requiresGrad, sum.requiresGrad]).toEqual([1, false, true]);
    sum.sum().backward();
  });

  it("gets null instead of zeros on request", () => {
    let seen: unknown;
    class Two extends autograd.Function {
      static override forward(ctx: autograd.FunctionContext, x: Tensor) {
        ctx.setMaterializeGrads(false);
        return [x.mul(1), x.mul(2)];
      }
      static override backward(_ctx: autograd.FunctionContext, first: Tensor, second: Tensor | null) {
        seen = second;
        return first;
      }
    }
    (Two.apply(leaf(1)) as Tensor[])[0]?.backward();
    expect(seen).toBe(null);
  });

  it("that passes its input on, or saves its output, keeps gradients right", () => {
    class Same extends autograd.Function {
      static override forward(_ctx: autograd.FunctionContext, x: Tensor) {
        return x;
      }
      static override backward(_ctx: autograd.FunctionContext, gradient: Tensor) {
        return gradient.mul(3);
      }
    }
    class Exp extends autograd.Function {
      static override forward(ctx: autograd.FunctionContext, x: Tensor) {
        const y = x.exp();
        ctx.saveForBackward(y, null);
        return y;
      }
      static override backward(ctx: autograd.FunctionContext, gradient: Tensor) {
        return gradient.mul((ctx.savedTensors as [Tensor, null])[0]);
      }
    }
    const x = leaf(0);
    const same = Same.apply(x);
    expect(same.isSame(x)).toBe(false);
    same.backward();
    const [first] = autograd.grad(Exp.apply(x).sum(), x, { createGraph: true }) as [Tensor];
    first.sum().backward();
    expect([x.grad?.item(), first.item()]).toEqual([4, 1]);
  });

  it("refuses results that are no tensors", () => {
    class Five extends autograd.Function {
      static override forward() {
        return 5 as unknown as Tensor;
      }
    }
    expect(() => Five.apply()).toThrow(/the result of forward must be a Tensor, got 5/);
    expect(() => autograd.Function.apply()).toThrow(/forward\(ctx, \.\.\.args\) is required/);
  });

  it("can stand in a graph that is very long", () => {
    class Step extends autograd.Function {
      static override forward(_ctx: autograd.FunctionContext, x: Tensor) {
        return x.mul(1);
      }
      static override backward(_ctx: autograd.FunctionContext, gradient: Tensor) {
        return gradient;
      }
    }
    const x = leaf(1);
    const build = () => {
      let y: Tensor = x;
      for (let i = 0; i < 20_000; i++) y = Step.apply(y);
      return y;
    };
    build().backward();
    expect(x.grad?.item()).toBe(1);
    build();
    torch.memory.collect(); // a graph nobody went through is taken apart without recursion
  });
});

describe("anomaly detection", () => {
  it("tells which operator gave a NaN", () => {
    autograd.setDetectAnomaly(true);
    try {
      expect(autograd.isAnomalyEnabled()).toBe(true);
      const x = leaf(0);
      expect(() => x.div(x).mul(0).sqrt().sum().backward()).toThrow(/returned nan values/);
    } finally {
      autograd.setDetectAnomaly(false);
    }
  });
});
