import { shown } from "./checks.js";
import type { Scalar } from "./complex.js";
import { type DType, dtypes, getDefaultDtype } from "./dtype.js";
import { ArgumentError } from "./errors.js";
import { call } from "./operator.js";
import type { Tensor } from "./tensor.js";

/** What a floating point type can hold. */
export interface FloatInfo {
  dtype: DType;
  bits: number;
  /** The smallest number that can be added to 1 with a change. */
  eps: number;
  max: number;
  min: number;
  /** The smallest positive number with full precision. */
  tiny: number;
  /** The same as `tiny`. */
  smallestNormal: number;
  /** The decimal precision. */
  resolution: number;
}

// bits, bits of the fraction, exponent of the smallest normal number, largest number, resolution
const floats: Partial<Record<DType, readonly [number, number, number, number, number]>> = {
  float64: [64, 52, -1022, Number.MAX_VALUE, 1e-15],
  float32: [32, 23, -126, (2 - 2 ** -23) * 2 ** 127, 1e-6],
  float16: [16, 10, -14, 65504, 1e-3],
  bfloat16: [16, 7, -126, (2 - 2 ** -7) * 2 ** 127, 1e-2],
  float8_e4m3fn: [8, 3, -6, 448, 1],
  float8_e5m2: [8, 2, -14, 57344, 1],
  float8_e4m3fnuz: [8, 3, -7, 240, 1],
  float8_e5m2fnuz: [8, 2, -15, 57344, 1],
  float8_e8m0fnu: [8, 0, -127, 2 ** 127, 1],
};

const realPart: Partial<Record<DType, DType>> = {
  complex32: "float16",
  complex64: "float32",
  complex128: "float64",
};

/**
 * What a floating point type can hold; for a complex type, what its parts can.
 *
 * @param dtype default: the default type
 * @throws ArgumentError for types of other kinds
 * @see https://pytorch.org/docs/stable/type_info.html#torch.torch.finfo
 */
export function finfo(dtype: DType = getDefaultDtype()): FloatInfo {
  const real = realPart[dtype] ?? dtype;
  const found = floats[real];
  if (found === undefined)
    throw new ArgumentError(
      `finfo: dtype must be a floating point or complex type, got ${shown(dtype)}; see iinfo()`,
    );
  const [bits, fraction, exponent, max, resolution] = found;
  const tiny = 2 ** exponent;
  // The exponents of e8m0 have no sign: its smallest number is positive.
  const min = real === "float8_e8m0fnu" ? tiny : -max;
  return { dtype: real, bits, eps: 2 ** -fraction, max, min, tiny, smallestNormal: tiny, resolution };
}

/** What an integer type can hold. */
export interface IntegerInfo {
  dtype: DType;
  bits: number;
  max: number | bigint;
  min: number | bigint;
}

/**
 * What an integer type can hold; the bounds of 64-bit types as bigint.
 *
 * @throws ArgumentError for types of other kinds
 * @see https://pytorch.org/docs/stable/type_info.html#torch.torch.iinfo
 */
export function iinfo(dtype: DType): IntegerInfo {
  const match = /^(u?)int(8|16|32|64)$/.exec(dtype);
  if (match === null)
    throw new ArgumentError(`iinfo: dtype must be an integer type, got ${shown(dtype)}; see finfo()`);
  const bits = Number(match[2]);
  const unsigned = match[1] === "u";
  const max = 2n ** BigInt(unsigned ? bits : bits - 1) - 1n;
  const min = unsigned ? 0n : -max - 1n;
  return bits === 64 ? { dtype, bits, max, min } : { dtype, bits, max: Number(max), min: Number(min) };
}

const numbered = new Map<unknown, DType>();

/** The type that an operator gives by its number. */
function typeOf(number: unknown): DType {
  if (numbered.size === 0)
    for (const dtype of dtypes) numbered.set(call("aten::promote_types", dtype, dtype), dtype);
  return numbered.get(number) as DType;
}

/**
 * The smallest type that holds the values of both.
 *
 * @see https://pytorch.org/docs/stable/generated/torch.promote_types.html
 */
export function promoteTypes(type1: DType, type2: DType): DType {
  return typeOf(call("aten::promote_types", type1, type2));
}

/**
 * The type that an arithmetic operation of the two would give.
 *
 * @see https://pytorch.org/docs/stable/generated/torch.result_type.html
 */
export function resultType(tensor1: Tensor | Scalar, tensor2: Tensor | Scalar): DType {
  return typeOf(call("aten::result_type", tensor1, tensor2));
}
