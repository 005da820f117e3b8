/**
 * Operators over lists of tensors: one call for all parameters of a group. On CUDA few kernels serve the whole list; on the CPU
 * each tensor gets the same operator, and so the same numbers, as it would by itself.
 *
 * While gradients are recorded, each tensor is given to its operator by itself: the operators over lists keep more for backward
 * than they need, which then must not change.
 */
import { makeFunction } from "../operator.js";
import type { Tensor } from "../tensor.js";

type List = readonly Tensor[];
/** One number for all tensors, one for each, or tensors. */
type Other = number | readonly number[] | Tensor | List;
type Numbers = number | readonly number[];

type Unary = (self: List) => Tensor[];
type Binary = (self: List, other: Other) => Tensor[];
type Sum = (self: List, other: Other, options?: { alpha: number }) => Tensor[];
type Ternary = (self: List, a: List, b: List, value: Numbers) => Tensor[];

type Single = (self: Tensor, ...args: never[]) => unknown;

let isRecorded = false;

/** Says whether gradients are recorded during the update that begins. */
export function setRecorded(recorded: boolean): void {
  isRecorded = recorded;
}

/** The results of operators, until {@link freeTemporaries}. */
let temporaries: Tensor[] = [];

/**
 * Frees the results of all operators here, which are of use inside one step only: until they are collected they would be as much
 * memory again as the parameters.
 */
export function freeTemporaries(): void {
  if (temporaries.length === 0) return;
  for (const tensor of temporaries) tensor.dispose();
  temporaries = [];
}

/** An operator over lists; `single` is the one for a tensor by itself. */
function operator<F>(name: string, single: Single = makeFunction(`aten::${name}`) as Single): F {
  const many = makeFunction(`aten::_foreach_${name}`) as (...args: unknown[]) => Tensor[];
  const inPlace = name.endsWith("_");
  const listwise = (self: List, ...args: unknown[]) => {
    if (!isRecorded) {
      const results = many(self, ...args);
      if (!inPlace) temporaries.push(...results);
      return results;
    }
    return self.map((tensor, i) =>
      single(tensor, ...(args.map((arg) => (Array.isArray(arg) ? arg[i] : arg)) as never[])),
    );
  };
  return listwise as F;
}

/** An operator whose factor is an option where it has one tensor. */
function ternary(name: string): Ternary {
  const single = makeFunction(`aten::${name}`) as (...args: unknown[]) => unknown;
  return operator(name, (self, a: Tensor, b: Tensor, value: number) => single(self, a, b, { value }));
}

const mulAll_: Binary = operator("mul_");
const mulOne_ = makeFunction("aten::mul_") as (self: Tensor, other: number) => Tensor;
const mulEach_: Binary = (self, other) =>
  self.map((tensor, i) => mulOne_(tensor, (Array.isArray(other) ? other[i] : other) as number));

/** Whether the operator over lists rounds a factor to the tensors' 16 bits, which the one for a tensor by itself does not. */
function isRoundedMore(self: List, other: Other): boolean {
  const factor = Array.isArray(other) ? other[0] : other;
  const [first] = self;
  if (typeof factor !== "number" || first === undefined || !first.dtype.endsWith("float16")) return false;
  return first.device === "cpu";
}

export const abs: Unary = operator("abs");
export const neg: Unary = operator("neg");
export const reciprocal: Unary = operator("reciprocal");
export const sqrt: Unary = operator("sqrt");
export const add: Sum = operator("add");
export const div: Binary = operator("div");
export const mul: Binary = operator("mul");
export const addcmul: Ternary = ternary("addcmul");

export const sqrt_: Unary = operator("sqrt_");
export const add_: Sum = operator("add_");
export const sub_: Binary = operator("sub_");
export const mul_: Binary = (self, other) => (isRoundedMore(self, other) ? mulEach_ : mulAll_)(self, other);
export const div_: Binary = operator("div_");
export const maximum_: Binary = operator("maximum_", (self, other: Tensor) =>
  self.copy_(self.clone().maximum(other)),
);
export const lerp_: (self: List, end: List, weight: number) => Tensor[] = operator("lerp_");
export const addcmul_: Ternary = ternary("addcmul_");
export const addcdiv_: Ternary = ternary("addcdiv_");
