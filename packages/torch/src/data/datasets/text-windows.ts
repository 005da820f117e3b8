import { ArgumentError } from "../../errors.js";
import * as ops from "../../ops.js";
import type { Tensor } from "../../tensor.js";
import type { TypedArray } from "../../values.js";
import { type Dataset, indexTensor } from "../dataset.js";
import { positiveInteger } from "../sampler.js";
import { forWorkers } from "../workers/portable.js";

/**
 * Windows of a text for a language model: the tokens of a window, and the tokens one place further, which are to be predicted.
 *
 * A batch takes two gathers. Random windows come from a loader that shuffles.
 *
 * ```ts
 * const windows = new data.TextWindowDataset(tokens, 128);
 * const [input, target] = windows.getItem(0); // tokens 0 .. 127, tokens 1 .. 128
 * ```
 */
export class TextWindowDataset implements Dataset<[input: Tensor, target: Tensor]> {
  /** All tokens: int64, (n). */
  readonly tokens: Tensor;
  readonly windowSize: number;
  readonly stride: number;
  readonly length: number;

  /**
   * @param tokens the numbers of the tokens: a tensor of one dimension, or an array
   * @param windowSize how many tokens a window has
   * @param options `stride`: how many tokens further the next window begins; default 1
   * @throws ArgumentError where there are not enough tokens for one window and its target
   */
  constructor(
    tokens: Tensor | TypedArray | readonly number[],
    windowSize: number,
    options: { stride?: number } = {},
  ) {
    this.tokens = ops.tensor(tokens, { dtype: "int64" });
    this.windowSize = positiveInteger("TextWindowDataset: windowSize", windowSize);
    this.stride = positiveInteger("TextWindowDataset: stride", options.stride ?? 1);
    if (this.tokens.dim() !== 1) {
      throw new ArgumentError(
        `TextWindowDataset: tokens must have one dimension, got the shape [${this.tokens.shape.join(", ")}].`,
      );
    }
    const count = this.tokens.size(0);
    if (count <= windowSize) {
      throw new ArgumentError(
        `TextWindowDataset: a window of ${windowSize} and the token after it need ${windowSize + 1} tokens, got ${count}.`,
      );
    }
    this.length = Math.floor((count - windowSize - 1) / this.stride) + 1;
  }

  /** The tokens of a window and those one place further: (windowSize), (windowSize). */
  getItem(index: number): [input: Tensor, target: Tensor] {
    const { tokens, windowSize, stride } = this;
    const at = (index < 0 ? index + this.length : index) * stride;
    return [tokens.narrow(0, at, windowSize), tokens.narrow(0, at + 1, windowSize)];
  }

  /** A batch: (n, windowSize), (n, windowSize). */
  getItems(indices: readonly number[]): [inputs: Tensor, targets: Tensor] {
    const { tokens, windowSize, stride } = this;
    const rows = indexTensor(indices, this.length);
    const windows = (from: number) =>
      tokens.narrow(0, from, tokens.size(0) - 1).unfold(0, windowSize, stride);
    return [windows(0).indexSelect(0, rows), windows(1).indexSelect(0, rows)];
  }
}

forWorkers(import.meta.url, { TextWindowDataset });
