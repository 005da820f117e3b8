/**
 * Sequences of different lengths, for the recurrent layers.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.rnn.PackedSequence.html
 */
import type { Device } from "../../device.js";
import type { DType } from "../../dtype.js";
import { ArgumentError } from "../../errors.js";
import * as ops from "../../ops.js";
import { Tensor, type ToOptions } from "../../tensor.js";
import { oneOf } from "../arguments.js";

/**
 * Sequences of different lengths in one tensor, step by step: first the first elements of all, then the second elements of
 * those that have one, and so on. Made by {@link packPaddedSequence} and {@link packSequence}.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.rnn.PackedSequence.html
 */
export class PackedSequence {
  /** The elements, `(sum of lengths, *)`. */
  readonly data: Tensor;
  /** How many sequences there are at each step; int64, on the CPU. */
  readonly batchSizes: Tensor;
  /** From where in the original order each sequence came, null if they have stayed where they were. */
  readonly sortedIndices: Tensor | null;
  /** Where in the sorted order each original sequence is. */
  readonly unsortedIndices: Tensor | null;

  constructor(
    data: Tensor,
    batchSizes: Tensor,
    sortedIndices: Tensor | null = null,
    unsortedIndices: Tensor | null = null,
  ) {
    if (batchSizes.device !== "cpu") {
      throw new ArgumentError(
        `PackedSequence: batchSizes should always be on the CPU, but is on ${batchSizes.device}: make it by packSequence or packPaddedSequence.`,
      );
    }
    this.data = data;
    this.batchSizes = batchSizes;
    this.sortedIndices = sortedIndices;
    this.unsortedIndices = unsortedIndices ?? (sortedIndices && invertPermutation(sortedIndices));
  }

  /** The sequences on another device, in another type, or both; itself where nothing changes. */
  to(target: DType | Device | Tensor | ToOptions, options: ToOptions = {}): PackedSequence {
    const data = this.data.to(target as DType | Device | Tensor, options);
    if (data === this.data || data.isSame(this.data)) return this;
    const move = (indices: Tensor | null) => indices?.to({ ...options, device: data.device }) ?? null;
    return new PackedSequence(data, this.batchSizes, move(this.sortedIndices), move(this.unsortedIndices));
  }

  cuda(device: Device = "cuda"): PackedSequence {
    return this.to({ device });
  }

  cpu(): PackedSequence {
    return this.to({ device: "cpu" });
  }

  double(): PackedSequence {
    return this.to({ dtype: "float64" });
  }

  float(): PackedSequence {
    return this.to({ dtype: "float32" });
  }

  half(): PackedSequence {
    return this.to({ dtype: "float16" });
  }

  long(): PackedSequence {
    return this.to({ dtype: "int64" });
  }

  int(): PackedSequence {
    return this.to({ dtype: "int32" });
  }

  short(): PackedSequence {
    return this.to({ dtype: "int16" });
  }

  char(): PackedSequence {
    return this.to({ dtype: "int8" });
  }

  byte(): PackedSequence {
    return this.to({ dtype: "uint8" });
  }

  /** The sequences in memory from which copies to a GPU run behind the host's back. */
  pinMemory(): PackedSequence {
    const pin = (indices: Tensor | null) => indices?.pinMemory() ?? null;
    return new PackedSequence(
      this.data.pinMemory(),
      this.batchSizes,
      pin(this.sortedIndices),
      pin(this.unsortedIndices),
    );
  }

  get isCuda(): boolean {
    return this.data.device.startsWith("cuda");
  }

  isPinned(): boolean {
    return this.data.isPinned();
  }
}

/** The permutation that undoes another one. */
export function invertPermutation(permutation: Tensor): Tensor {
  const places = ops.arange(0, permutation.numel(), { dtype: permutation.dtype, device: permutation.device });
  return ops.emptyLike(permutation).scatter_(0, permutation, places);
}

/** Options of {@link packPaddedSequence}. */
export interface PackPaddedSequenceOptions {
  /** Whether the input is `(N, L, *)` instead of `(L, N, *)`. Default: false. */
  batchFirst?: boolean;
  /** Whether the sequences come longest first already; else they are sorted. Default: true. */
  enforceSorted?: boolean;
}

function lengthsOf(lengths: Tensor | readonly number[]): Tensor {
  if (!(lengths instanceof Tensor)) return ops.tensor([...lengths], { dtype: "int64" });
  if (lengths.device === "cpu") return lengths.to({ dtype: "int64" });
  throw new ArgumentError(
    `packPaddedSequence: lengths must be on the CPU, but is on ${lengths.device}: use lengths.cpu().`,
  );
}

/**
 * Packs sequences that have been padded to one length.
 *
 * Shapes: input `(L, N, *)`, or `(N, L, *)` with `batchFirst`.
 *
 * @param lengths how long each sequence really is
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.rnn.pack_padded_sequence.html
 */
export function packPaddedSequence(
  input: Tensor,
  lengths: Tensor | readonly number[],
  options: PackPaddedSequenceOptions = {},
): PackedSequence {
  const { batchFirst = false, enforceSorted = true } = options;
  let sizes = lengthsOf(lengths);
  let padded = input;
  let sortedIndices: Tensor | null = null;
  if (!enforceSorted) {
    const { values, indices } = sizes.sort(-1, true);
    sizes = values;
    sortedIndices = indices.to({ device: input.device });
    padded = input.indexSelect(batchFirst ? 0 : 1, sortedIndices);
  }
  const [data, batchSizes] = ops.call("aten::_pack_padded_sequence", padded, sizes, batchFirst) as [
    Tensor,
    Tensor,
  ];
  return new PackedSequence(data, batchSizes, sortedIndices);
}

/** Options of {@link padPackedSequence}. */
export interface PadPackedSequenceOptions {
  /** Whether the output is `(N, L, *)` instead of `(L, N, *)`. Default: false. */
  batchFirst?: boolean;
  /** What stands behind the end of a sequence. Default: 0. */
  paddingValue?: number;
  /** Length of the output. Default: that of the longest sequence. */
  totalLength?: number | null;
}

/**
 * The reverse of {@link packPaddedSequence}.
 *
 * @returns the padded sequences and the length of each
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.rnn.pad_packed_sequence.html
 */
export function padPackedSequence(
  sequence: PackedSequence,
  options: PadPackedSequenceOptions = {},
): [padded: Tensor, lengths: Tensor] {
  const { batchFirst = false, paddingValue = 0, totalLength = null } = options;
  const longest = sequence.batchSizes.size(0);
  if (totalLength !== null && totalLength < longest) {
    throw new ArgumentError(
      `padPackedSequence: totalLength must be at least the length of the longest sequence, ${longest}, but got ${totalLength}.`,
    );
  }
  const [padded, lengths] = ops.call(
    "aten::_pad_packed_sequence",
    sequence.data,
    sequence.batchSizes,
    batchFirst,
    paddingValue,
    totalLength ?? longest,
  ) as [Tensor, Tensor];
  const order = sequence.unsortedIndices;
  if (order === null) return [padded, lengths];
  return [padded.indexSelect(batchFirst ? 0 : 1, order), lengths.indexSelect(0, order.cpu())];
}

/** Options of {@link padSequence}. */
export interface PadSequenceOptions {
  /** Whether the output is `(N, L, *)` instead of `(L, N, *)`. Default: false. */
  batchFirst?: boolean;
  /** What is filled in. Default: 0. */
  paddingValue?: number;
  /** On which side it is filled in. Default: `"right"`. */
  paddingSide?: "right" | "left";
}

/**
 * Sequences of different lengths as one tensor, the shorter ones filled up. Shapes: each `(L, *)`, output `(L, N, *)`.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.rnn.pad_sequence.html
 */
export function padSequence(sequences: Iterable<Tensor>, options: PadSequenceOptions = {}): Tensor {
  const { batchFirst = false, paddingValue = 0, paddingSide = "right" } = options;
  oneOf(paddingSide, ["right", "left"], "paddingSide");
  return ops.padSequence([...sequences], batchFirst, paddingValue, paddingSide);
}

/** Options of {@link unpadSequence}. */
export interface UnpadSequenceOptions {
  /** Whether the input is `(N, L, *)` instead of `(L, N, *)`. Default: false. */
  batchFirst?: boolean;
}

/**
 * The reverse of {@link padSequence}: a tensor for each sequence.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.rnn.unpad_sequence.html
 */
export function unpadSequence(
  paddedSequences: Tensor,
  lengths: Tensor | readonly number[],
  options: UnpadSequenceOptions = {},
): Tensor[] {
  const rows = paddedSequences.unbind(options.batchFirst ? 0 : 1);
  const sizes = lengths instanceof Tensor ? lengths.toArray<number[]>() : lengths;
  if (sizes.length !== rows.length) {
    throw new ArgumentError(
      `unpadSequence: there must be a length for each of the ${rows.length} sequences, but got ${sizes.length}.`,
    );
  }
  return rows.map((row, i) => row.narrow(0, 0, sizes[i] as number));
}

/** Options of {@link packSequence}. */
export interface PackSequenceOptions {
  /** Whether the sequences come longest first already; else they are sorted. Default: true. */
  enforceSorted?: boolean;
}

/**
 * Packs sequences of different lengths. Shapes: each `(L, *)`.
 *
 * ```ts
 * const packed = nn.utils.rnn.packSequence([long, short]);
 * const [output] = lstm.forward(packed);
 * ```
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.rnn.pack_sequence.html
 */
export function packSequence(sequences: Iterable<Tensor>, options: PackSequenceOptions = {}): PackedSequence {
  const list = [...sequences];
  const lengths = list.map((sequence) => sequence.size(0));
  return packPaddedSequence(padSequence(list), lengths, options);
}

/**
 * The reverse of {@link packSequence}: a tensor for each sequence.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.rnn.unpack_sequence.html
 */
export function unpackSequence(packedSequences: PackedSequence): Tensor[] {
  const [padded, lengths] = padPackedSequence(packedSequences, { batchFirst: true });
  return unpadSequence(padded, lengths, { batchFirst: true });
}
