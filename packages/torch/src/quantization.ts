import { ArgumentError } from "./errors.js";
import { call } from "./operator.js";
import { Tensor } from "./tensor.js";

/**
 * The largest and the smallest value between which the first `numel` values of a `float32` tensor are best quantized.
 *
 * @param nBins how finely the range is searched
 * @param ratio how much of the range may be cut off
 * @param bitWidth how many bits a quantized value takes
 * @throws ArgumentError where the tensor has fewer values, or another type
 */
export function chooseQparamsOptimized(
  input: Tensor,
  numel: number,
  nBins: number,
  ratio: number,
  bitWidth: number,
): [max: Tensor, min: Tensor] {
  const what = "chooseQparamsOptimized";
  Tensor.unwrap(input, "chooseQparamsOptimized: input");
  // The operator itself checks nothing.
  if (input.dtype !== "float32" || !input.isCpu || input.layout !== "strided") {
    throw new ArgumentError(
      `${what}: input must be a dense float32 tensor on the CPU, got ${input.dtype} on ${input.device}`,
    );
  }
  if (!Number.isInteger(numel) || numel < 1 || numel > input.numel()) {
    throw new ArgumentError(
      `${what}: numel must be a whole number from 1 to the ${input.numel()} values of the input, got ${numel}`,
    );
  }
  if (!Number.isInteger(nBins) || nBins < 1)
    throw new ArgumentError(`${what}: nBins must be a positive whole number, got ${nBins}`);
  if (!(ratio >= 0 && ratio <= 1))
    throw new ArgumentError(`${what}: ratio must be between 0 and 1, got ${ratio}`);
  if (!Number.isInteger(bitWidth) || bitWidth < 1 || bitWidth > 16) {
    throw new ArgumentError(`${what}: bitWidth must be a whole number from 1 to 16, got ${bitWidth}`);
  }
  return call("aten::choose_qparams_optimized", input.contiguous(), numel, nBins, ratio, bitWidth) as [
    Tensor,
    Tensor,
  ];
}
