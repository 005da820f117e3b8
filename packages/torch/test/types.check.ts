// What the compiler accepts and refuses. Checked by `npm run typecheck`, never run.

import type { autograd, DType, Scalar, Tensor } from "@levin/torch";
import * as torch from "@levin/torch";

/** Compiles only where the two types are the same. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const is = <_T extends true>(): void => {};

declare const x: Tensor;
declare const scalar: Scalar;

export function creation(): void {
  torch.zeros([2, 3]);
  torch.zeros(2, 3);
  torch.zeros(2, 3, { dtype: "int64" });
  torch.zeros([2, 3], { dtype: "float16", device: "cuda:1", requiresGrad: true, pinMemory: true });
  torch.rand([2], { generator: new torch.Generator() });
  torch.randint(0n, 2n ** 40n, [2]);
  torch.tensor(
    [
      [1, 2],
      [3, 4],
    ],
    { dtype: torch.float64 },
  );
  torch.tensor([[true], [1n], [new torch.Complex(1, 2)]]);
  torch.arange(0, 10, 0.5);
  torch.full([2], true);
  // @ts-expect-error a size is a list of numbers
  torch.zeros("2");
  // @ts-expect-error there is no such type
  torch.zeros([2], { dtype: "float" });
  // @ts-expect-error there is no such device
  torch.zeros([2], { device: "gpu" });
  // @ts-expect-error there is no such option
  torch.zeros([2], { type: "float32" });
  // @ts-expect-error text is no data
  torch.tensor(["1"]);
  // @ts-expect-error a type is given as an option
  torch.tensor([1], "float32");
}

export function operators(): void {
  is<Same<ReturnType<typeof x.relu>, Tensor>>();
  x.sum();
  x.sum(1);
  x.sum([0, 1], true);
  x.sum(1, { keepdim: true });
  x.sum({ dim: [0], keepdim: true, dtype: "float64" });
  x.add(1).add(1n).add(true).add(x).add(x, { alpha: 2 }).add(scalar);
  torch.add(x, x, { out: x });
  x.view(2, -1).view([2, 3]).permute(1, 0).reshape([-1]);
  x.clamp({ min: 0 }).clamp(0, 1);
  torch.where(x.gt(0), x, 0);
  torch.cat([x, x], 1);
  torch.einsum("ij,jk->ik", [x, x]);
  // @ts-expect-error tensors are no arrays
  x.add([1]);
  // @ts-expect-error there is no such option
  x.sum({ axis: 1 });
  // @ts-expect-error keepdim is true or false
  x.sum(1, { keepdim: 1 });
  // @ts-expect-error dim is missing
  x.softmax();
  // @ts-expect-error there is no such method
  x.softMax(1);
  // @ts-expect-error relu takes nothing
  x.relu(1);
  // @ts-expect-error a list of tensors is required
  torch.cat(x, x);
}

export function results(): void {
  const { values, indices } = x.max(1);
  is<Same<typeof values, Tensor>>();
  is<Same<typeof indices, Tensor>>();
  is<Same<ReturnType<typeof x.isContiguous>, boolean>>();
  const parts: Tensor[] = x.chunk(2);
  const whole: Tensor = x.max();
  const close: boolean = x.allclose(x);
  const shape: number[] = x.shape;
  const one: number = x.item();
  const big = x.item<bigint>({ bigint: true });
  is<Same<typeof big, bigint>>();
  const nested = x.toArray<number[][]>();
  is<Same<typeof nested, number[][]>>();
  const floats = x.toTypedArray<Float32Array>();
  is<Same<typeof floats, Float32Array>>();
  const dtype: DType = x.dtype;
  void [parts, whole, close, shape, one, dtype];
  // @ts-expect-error without a dimension there are no indices
  const pair: { values: Tensor; indices: Tensor } = x.max();
  void pair;
  // @ts-expect-error a shape cannot be assigned
  x.shape = [1];
  for (const row of x) is<Same<typeof row, Tensor>>();
}

class Mine extends torch.Tensor {
  extra = 1;
}
declare const mine: Mine;

export function changesInPlace(): void {
  is<Same<ReturnType<typeof mine.add_>, Mine>>();
  const kept: Mine = mine.mul_(2).requiresGrad_().set(0, 1);
  void kept;
  // @ts-expect-error a new tensor is a plain one
  const other: Mine = mine.mul(2);
  void other;
}

export function indexing(): void {
  x.get(0);
  x.get([0, torch.slice(1, null), "...", null, x.gt(0), [0, 1], true]);
  x.set([torch.slice(), 0], 1).set(x.gt(0), x);
  // @ts-expect-error "..." is the only text
  x.get("0");
  // @ts-expect-error lists of indices are of one kind
  x.get([[0, true]]);
  // @ts-expect-error the value is missing
  x.set(0);
}

export function conversion(): void {
  x.to("float16");
  x.to("cuda:0", { dtype: "bfloat16", nonBlocking: true });
  x.to({ dtype: "float32", copy: true });
  x.to(x);
  // @ts-expect-error neither a type nor a device
  x.to("double");
}

class Scale extends torch.autograd.Function {
  static override forward(ctx: autograd.FunctionContext, input: Tensor, factor: number) {
    ctx.factor = factor;
    return input.mul(factor);
  }
  static override backward(ctx: autograd.FunctionContext, gradient: Tensor) {
    return [gradient.mul(ctx.factor as number), null];
  }
}

export function gradients(): void {
  const y = Scale.apply(x, 2);
  is<Same<typeof y, Tensor>>();
  y.backward(null, { retainGraph: true, inputs: [x] });
  const [first] = torch.autograd.grad(y, [x], { createGraph: true, allowUnused: true });
  is<Same<typeof first, Tensor | null | undefined>>();
  x.registerHook((gradient) => gradient.mul(2)).remove();
  x.registerHook(() => {});
  mine.registerPostAccumulateGradHook((leaf) => is<Same<typeof leaf, Mine>>());
  // @ts-expect-error forward takes a number
  Scale.apply(x, "2");
  // @ts-expect-error forward takes two arguments
  Scale.apply(x);
  // @ts-expect-error a hook gives a tensor or nothing
  x.registerHook(() => 5);
  // @ts-expect-error a gradient is a tensor
  x.backward(1);
}

export function modes(): void {
  const value = torch.noGrad(() => 5);
  is<Same<typeof value, number>>();
  torch.amp.autocast({ device: "cpu", dtype: "bfloat16" }, () => x.matmul(x));
  // @ts-expect-error only the half precisions
  torch.amp.autocast({ device: "cpu", dtype: "float64" }, () => x);
  // @ts-expect-error the device is missing
  torch.amp.autocast({}, () => x);
}
