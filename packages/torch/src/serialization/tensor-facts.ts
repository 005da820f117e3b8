import type { DType } from "../dtype.js";
import { ArgumentError } from "../errors.js";
import { native } from "../native.js";
import { call } from "../operator.js";
import { viewStorage } from "../ops.js";
import { Tensor } from "../tensor.js";
import { storageContent } from "./bytes.js";
import { SerializationError } from "./errors.js";
import type { SparseLayout } from "./nodes.js";
import type { Content } from "./sink.js";
import { isQuantized } from "./storage-types.js";

/** What the writer has to know of a tensor. */
export interface StridedFacts {
  kind: "strided";
  dtype: DType;
  shape: readonly number[];
  stride: readonly number[];
  offset: number;
  requiresGrad: boolean;
  conj: boolean;
  neg: boolean;
  storage: StorageFacts;
}

/** What the writer has to know of the memory of tensors. */
export interface StorageFacts {
  /** Equal for tensors that share memory. */
  id: bigint;
  /** Where it is, as PyTorch names it. */
  location: string;
  /** All bytes. On the CPU they are the storage itself and no copy. */
  content: Content;
}

/** A tensor on the meta device: without memory. */
export interface MetaFacts extends Pick<StridedFacts, "dtype" | "shape" | "stride" | "requiresGrad"> {
  kind: "meta";
}

/** A sparse tensor: the tensors that it consists of. */
export interface SparseFacts {
  kind: "sparse";
  layout: SparseLayout;
  /** One for `sparse_coo`; for the others the compressed ones, then the plain ones. */
  indices: readonly Tensor[];
  values: Tensor;
  shape: readonly number[];
  /** Only of `sparse_coo`. */
  coalesced?: boolean;
}

/** A quantized tensor: its integers in row-major order, and what they stand for. */
export interface QuantizedFacts {
  kind: "quantized";
  requiresGrad: boolean;
  values: StridedFacts;
  quantizer: { scale: number; zeroPoint: number } | { scales: Tensor; zeroPoints: Tensor; axis: number };
}

export type TensorFacts = StridedFacts | MetaFacts | SparseFacts | QuantizedFacts;

/**
 * What the writer has to know of a tensor.
 *
 * @throws SerializationError where such a tensor has no form in a file
 */
export function tensorFacts(tensor: Tensor): TensorFacts {
  const { layout, device, dtype } = tensor;
  if (layout.startsWith("sparse_")) return sparseFacts(tensor, layout as SparseLayout);
  if (layout !== "strided") throw new SerializationError(`tensors of layout ${layout} cannot be written`);
  if (device === "meta") {
    return {
      kind: "meta",
      dtype,
      shape: tensor.shape,
      stride: tensor.stride(),
      requiresGrad: tensor.requiresGrad,
    };
  }
  return isQuantized(dtype) ? quantizedFacts(tensor) : stridedFacts(tensor);
}

function stridedFacts(tensor: Tensor): StridedFacts {
  const { dtype, device } = tensor;
  return {
    kind: "strided",
    dtype,
    shape: tensor.shape,
    stride: tensor.stride(),
    offset: tensor.storageOffset(),
    requiresGrad: tensor.requiresGrad,
    conj: dtype.startsWith("complex") && (call("aten::is_conj", tensor) as boolean),
    neg: call("aten::is_neg", tensor) as boolean,
    storage: {
      id: tensor.storageId,
      location: device === "cuda" ? "cuda:0" : device,
      content: contentOfStorage(tensor),
    },
  };
}

function contentOfStorage(tensor: Tensor): Content {
  if (tensor.device === "cpu") return storageContent(tensor);
  const size = native.storageSize(tensor.handle);
  const each = (use: (part: Uint8Array) => void): void => {
    if (size > 0) storageContent(viewStorage(tensor.detach(), "uint8", [size], [1]).cpu()).each(use);
  };
  return { size, each };
}

const indexOperators = {
  sparse_coo: ["aten::_indices"],
  sparse_csr: ["aten::crow_indices", "aten::col_indices"],
  sparse_bsr: ["aten::crow_indices", "aten::col_indices"],
  sparse_csc: ["aten::ccol_indices", "aten::row_indices"],
  sparse_bsc: ["aten::ccol_indices", "aten::row_indices"],
} as const;

function sparseFacts(tensor: Tensor, layout: SparseLayout): SparseFacts {
  const data = tensor.detach();
  const isCoo = layout === "sparse_coo";
  return {
    kind: "sparse",
    layout,
    indices: indexOperators[layout].map((operator) => call(operator, data) as Tensor),
    values: call(isCoo ? "aten::_values" : "aten::values", data) as Tensor,
    shape: tensor.shape,
    ...(isCoo ? { coalesced: call("aten::is_coalesced", data) as boolean } : {}),
  };
}

// Of libtorch's enumeration of schemes.
const perTensorAffine = 0;
const perChannelAffine = 1;

function quantizedFacts(tensor: Tensor): QuantizedFacts {
  const { requiresGrad } = tensor;
  const integers = call("aten::int_repr", tensor) as Tensor;
  const values = { ...stridedFacts(integers.contiguous()), dtype: tensor.dtype };
  const scheme = call("aten::qscheme", tensor);
  if (scheme === perTensorAffine) {
    const scale = call("aten::q_scale", tensor) as number;
    const zeroPoint = call("aten::q_zero_point", tensor) as number;
    return { kind: "quantized", requiresGrad, values, quantizer: { scale, zeroPoint } };
  }
  if (scheme !== perChannelAffine)
    throw new SerializationError("quantized tensors of this scheme cannot be written");
  const scales = call("aten::q_per_channel_scales", tensor) as Tensor;
  const zeroPoints = call("aten::q_per_channel_zero_points", tensor) as Tensor;
  const axis = call("aten::q_per_channel_axis", tensor) as number;
  return { kind: "quantized", requiresGrad, values, quantizer: { scales, zeroPoints, axis } };
}

/** The storage of a tensor: an id that is equal for tensors that share memory, and its size in bytes. */
export function getStorage(tensor: Tensor): { id: bigint; nbytes: number } {
  if (!(tensor instanceof Tensor)) throw new ArgumentError("getStorage: a Tensor is required");
  return { id: tensor.storageId, nbytes: native.storageSize(tensor.handle) };
}
