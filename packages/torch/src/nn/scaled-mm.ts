import type { Scalar } from "../complex.js";
import type { DType } from "../dtype.js";
import { call } from "../operator.js";
import type { Tensor } from "../tensor.js";
import { oneOf } from "./arguments.js";

const recipes = [
  "TensorWise",
  "RowWise",
  "BlockWise1x16",
  "BlockWise1x32",
  "BlockWise1x128",
  "BlockWise128x128",
] as const;
const swizzles = ["NO_SWIZZLE", "SWIZZLE_32_4_4", "SWIZZLE_32_8"] as const;

/** For which part of a matrix there is a scale of its own. */
export type ScalingType = (typeof recipes)[number];
/** In which order scales lie in memory. */
export type SwizzleType = (typeof swizzles)[number];

/** One, or several where the scales of a matrix are scaled themselves. */
type Some<T> = T | readonly T[];

/** Options of {@link scaledAddmm}. */
export interface ScaledAddmmOptions {
  /** Default: scales lie as they come. */
  swizzleA?: Some<SwizzleType> | null;
  /** Default: scales lie as they come. */
  swizzleB?: Some<SwizzleType> | null;
  /** The dimensions that are summed over. Default: the last of one, the first of the other. */
  contractionDim?: readonly number[];
  /** Whether sums may be less precise where that is faster. Default: false. */
  useFastAccum?: boolean;
  /** What the input is multiplied by. Default: 1. */
  beta?: Scalar;
  /** What the product is multiplied by. Default: 1. */
  alpha?: Scalar;
}

/** Options of {@link scaledMm}. */
export interface ScaledMmOptions extends Omit<ScaledAddmmOptions, "beta" | "alpha"> {
  /** Added to the product. Default: none. */
  bias?: Tensor | null;
  /** The type of the result. Default: `"bfloat16"`. */
  outputDtype?: DType | null;
}

/** Options of {@link scaledGroupedMm}. */
export interface ScaledGroupedMmOptions extends ScaledMmOptions {
  /** Where each group of rows (or columns) ends, int32. */
  offs?: Tensor | null;
}

const list = <T>(value: Some<T>): readonly T[] => (Array.isArray(value) ? value : [value as T]);

/** Scales, recipes and swizzles of one matrix as the operators take them. */
function scaling(
  scale: Some<Tensor>,
  recipe: Some<ScalingType>,
  swizzle: Some<SwizzleType> | null,
): [readonly Tensor[], number[], number[]] {
  return [
    list(scale),
    list(recipe).map((name) => recipes.indexOf(oneOf(name, recipes, "scaleRecipe"))),
    list(swizzle ?? []).map((name) => swizzles.indexOf(oneOf(name, swizzles, "swizzle"))),
  ];
}

/**
 * The product of two matrices of 8-bit (or smaller) floating point numbers, each multiplied by its scales: the way accelerators
 * compute fastest.
 *
 * ```ts
 * nn.functional.scaledMm(a, b, scaleA, "TensorWise", scaleB, "TensorWise");
 * ```
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.scaled_mm.html
 */
export function scaledMm(
  matA: Tensor,
  matB: Tensor,
  scaleA: Some<Tensor>,
  scaleRecipeA: Some<ScalingType>,
  scaleB: Some<Tensor>,
  scaleRecipeB: Some<ScalingType>,
  options: ScaledMmOptions = {},
): Tensor {
  const { swizzleA = null, swizzleB = null, bias = null, outputDtype = "bfloat16" } = options;
  const { contractionDim = [], useFastAccum = false } = options;
  const scales = [...scaling(scaleA, scaleRecipeA, swizzleA), ...scaling(scaleB, scaleRecipeB, swizzleB)];
  return call(
    "aten::_scaled_mm_v2",
    matA,
    matB,
    ...scales,
    bias,
    outputDtype,
    contractionDim,
    useFastAccum,
  ) as Tensor;
}

/**
 * Like {@link scaledMm}, of several matrices at once, which may differ in size.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.scaled_grouped_mm.html
 */
export function scaledGroupedMm(
  matA: Tensor,
  matB: Tensor,
  scaleA: Some<Tensor>,
  scaleRecipeA: Some<ScalingType>,
  scaleB: Some<Tensor>,
  scaleRecipeB: Some<ScalingType>,
  options: ScaledGroupedMmOptions = {},
): Tensor {
  const { swizzleA = null, swizzleB = null, bias = null, offs = null, outputDtype = "bfloat16" } = options;
  const { contractionDim = [], useFastAccum = false } = options;
  const scales = [...scaling(scaleA, scaleRecipeA, swizzleA), ...scaling(scaleB, scaleRecipeB, swizzleB)];
  const more = [offs, bias, outputDtype, contractionDim, useFastAccum];
  return call("aten::_scaled_grouped_mm_v2", matA, matB, ...scales, ...more) as Tensor;
}

type ScaledAddmm = (
  input: Tensor,
  mat1: Tensor,
  mat2: Tensor,
  scaleA: Some<Tensor>,
  scaleRecipeA: Some<ScalingType>,
  scaleB: Some<Tensor>,
  scaleRecipeB: Some<ScalingType>,
  options?: ScaledAddmmOptions,
) => Tensor;

const addmmOver =
  (operator: string): ScaledAddmm =>
  (input, mat1, mat2, scaleA, scaleRecipeA, scaleB, scaleRecipeB, options = {}) => {
    const { swizzleA = null, swizzleB = null, contractionDim = [], ...more } = options;
    const scales = [...scaling(scaleA, scaleRecipeA, swizzleA), ...scaling(scaleB, scaleRecipeB, swizzleB)];
    return call(operator, input, mat1, mat2, ...scales, contractionDim, more) as Tensor;
  };

/** `beta * input + alpha * product`, with the product of {@link scaledMm}. */
export const scaledAddmm: ScaledAddmm = addmmOver("aten::_scaled_addmm");

/** {@link scaledAddmm} that writes its result into the input. */
export const scaledAddmm_: ScaledAddmm = addmmOver("aten::_scaled_addmm_");
