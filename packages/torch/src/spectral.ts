import { call } from "./operator.js";
import { optional } from "./optional.js";
import type { Tensor } from "./tensor.js";

/** Options of {@link stft}. */
export interface StftOptions {
  /** The distance between neighbouring frames. Default: a quarter of `nFft`. */
  hopLength?: number | null;
  /** The size of the window. Default: `nFft`. */
  winLength?: number | null;
  /** Default: ones. */
  window?: Tensor | null;
  /** Whether the signal is padded so that frame t is centred at `t * hopLength`. Default: true. */
  center?: boolean;
  /** How it is padded. Default: `"reflect"`. */
  padMode?: "constant" | "reflect" | "replicate" | "circular";
  /** Whether the result is divided by the square root of the frame length. Default: false. */
  normalized?: boolean;
  /** Whether only half of the symmetric result is given. Default: true for real signals. */
  onesided?: boolean | null;
  /** A complex result, or real and imaginary parts in a last dimension. Must be given for real signals with a real window. */
  returnComplex?: boolean | null;
  /** Whether frames are aligned to the window instead of the transform's length. Not with `center`. Default: false. */
  alignToWindow?: boolean | null;
}

const names = [
  "nFft",
  "hopLength",
  "winLength",
  "window",
  "center",
  "padMode",
  "normalized",
  "onesided",
  "returnComplex",
  "alignToWindow",
] as const;

/**
 * The Fourier transform of short overlapping windows of a signal: `(L)` or `(B, L)` gives `(?, N, T)` with N frequencies and T frames.
 *
 * @param nFft the size of the transform
 * @see https://pytorch.org/docs/stable/generated/torch.stft.html
 */
export function stft(input: Tensor, nFft: number, options?: StftOptions): Tensor;
export function stft(input: Tensor, options: StftOptions & { nFft: number }): Tensor;
export function stft(input: Tensor, ...args: unknown[]): Tensor {
  const given = optional<StftOptions & { nFft: number }>("stft", names, args);
  const { nFft, center = true, ...options } = given;
  // Naming `center` selects the form that pads: the one without it comes first by name.
  return call("aten::stft", input, nFft, { ...options, center }) as Tensor;
}
