// Only compiled (npm run typecheck), never run: what the types of derivatives promise.
import { autograd, func, type Tensor, utils } from "@levin/torch";
import { expectType } from "./expect-type.js";

declare const x: Tensor;
const { functional } = autograd;

expectType<(Tensor | null)[]>()(autograd.grad(x, [x, x], { allowUnused: true }));
expectType<Tensor | null>()(x.grad);

// one input: a tensor; several: a list of as many
expectType<Tensor>()(functional.jacobian((a) => a, x));
expectType<[Tensor, Tensor]>()(functional.jacobian((a, b) => a.add(b), [x, x]));
expectType<[Tensor, Tensor][]>()(functional.jacobian((a, b) => [a, b], [x, x]));
expectType<Tensor>()(functional.hessian((a) => a.sum(), x));
expectType<[[Tensor, Tensor], [Tensor, Tensor]]>()(functional.hessian((a, b) => a.dot(b), [x, x]));
expectType<[outputs: Tensor, vjp: [Tensor, Tensor]]>()(functional.vjp((a, b) => a.add(b), [x, x], x));
expectType<[output: Tensor, hvp: Tensor]>()(functional.hvp((a) => a.sum(), x, x));
// @ts-expect-error two inputs are given
functional.jacobian((a, b, c) => a.add(b).add(c), [x, x]);
// @ts-expect-error there is no such strategy
functional.jacobian((a) => a, x, { strategy: "both" });

// the functions that vmap and grad make take what their function takes
const dots = func.vmap((a: Tensor, b: Tensor) => a.dot(b));
expectType<(a: Tensor, b: Tensor) => Tensor>()(dots);
const objects = func.vmap((w: Tensor) => ({ a: w }));
expectType<(w: Tensor) => { a: Tensor }>()(objects);
const gradient = func.grad((w: Tensor, s: { x: Tensor }) => w.dot(s.x));
expectType<(w: Tensor, s: { x: Tensor }) => Tensor>()(gradient);
const both = func.gradAndValue((w: Tensor) => w.sum());
expectType<(w: Tensor) => [gradients: Tensor, value: Tensor]>()(both);
// @ts-expect-error the function takes a tensor
func.vmap((a: Tensor) => a)(3);

// a function of one's own
class Scale extends autograd.Function {
  static override forward(ctx: autograd.FunctionContext, input: Tensor, by: number): Tensor {
    ctx.saveForBackward(input);
    return input.mul(by);
  }
  static override backward(_ctx: autograd.FunctionContext, gradient: Tensor): [Tensor, null] {
    return [gradient, null];
  }
}
expectType<Tensor>()(Scale.apply(x, 2));
// @ts-expect-error a number is missing
Scale.apply(x);

// checkpointing passes arguments and result through
expectType<Tensor[]>()(utils.checkpoint.checkpoint((a: Tensor, n: number) => a.split(n), [x, 2]));
// @ts-expect-error the second argument is a number
utils.checkpoint.checkpoint((a: Tensor, n: number) => a.split(n), [x, "2"]);
expectType<string>()(
  autograd.graph.savedTensorsHooks(
    (t) => t.half(),
    (p) => p.float(),
    () => "a",
  ),
);
expectType<{ primal: Tensor; tangent: Tensor | null }["tangent"]>()(autograd.forwardAd.unpackDual(x).tangent);
