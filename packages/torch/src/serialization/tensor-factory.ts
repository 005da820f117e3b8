import { type DType, itemSize } from "../dtype.js";
import { LevinError } from "../errors.js";
import { Parameter } from "../nn/parameter.js";
import { call } from "../operator.js";
import { viewStorage } from "../ops.js";
import type { Tensor } from "../tensor.js";
import { numberSize, readTensor, swapBytes } from "./bytes.js";
import { SerializationError } from "./errors.js";
import { deviceFor, type MapLocation } from "./map-location.js";
import {
  type AnyTensorNode,
  MetaTensorNode,
  type NumpyContent,
  QuantizedNode,
  SparseNode,
  type StorageNode,
  type TensorNode,
} from "./nodes.js";
import { dtypeOfNumpy } from "./numpy-types.js";
import type { Pickled } from "./pickle-reader.js";
import type { TensorFactory } from "./realize.js";
import { bytesSource, sourceReader } from "./source.js";
import { plainDType } from "./storage-types.js";

/** A file of `torch.save`. */
export interface TorchFile extends Pickled {
  /** Reads a storage as a row-major tensor on the CPU that has exactly its size. */
  load: (storage: StorageNode, dtype: DType, shape: readonly number[]) => Tensor;
  /** Whether numbers have their most significant byte first. */
  bigEndian: boolean;
}

interface LoadedStorage {
  /** Any tensor over all of it. */
  tensor: Tensor;
  /** How many bytes its numbers have. */
  numberSize: number;
}

/** Makes the tensors of a file. Each storage is read once. */
export function tensorFactory(file: TorchFile, mapLocation: MapLocation | undefined): TensorFactory {
  const loaded = new Map<string, LoadedStorage>();

  const load = (node: StorageNode, dtype: DType, shape: readonly number[], size: number): Tensor => {
    const device = deviceFor(node.location, mapLocation);
    let tensor: Tensor;
    if (device === "meta") {
      tensor = call("aten::empty", shape, { dtype, device }) as Tensor;
    } else {
      tensor = file.load(node, dtype, shape);
      if (file.bigEndian) swapBytes(tensor, size);
      if (device !== "cpu") tensor = tensor.to(device);
    }
    loaded.set(node.key, { tensor, numberSize: size });
    return tensor;
  };

  /** A tensor over the storage, for a view of it as a type. */
  const storage = (node: StorageNode, dtype: DType): Tensor => {
    const known = loaded.get(node.key);
    if (known === undefined) return load(node, "uint8", [node.size], numberSize(dtype));
    if (file.bigEndian && known.numberSize !== numberSize(dtype)) {
      throw new SerializationError(
        "numbers of different sizes share memory that is from a big-endian machine",
      );
    }
    return known.tensor;
  };

  const dense = (node: TensorNode): Tensor => {
    // The integers of a quantized tensor are read as what they are.
    const dtype = plainDType(node.dtype);
    const size = itemSize(dtype);
    const { storage: whole, start } = node.storage;
    if (start % size !== 0) {
      throw new SerializationError(`a storage begins in the middle of an element of ${dtype}`);
    }
    const offset = start / size + node.offset;
    let result: Tensor;
    // Nearly all tensors are row-major and have a storage of their own: these are read as what they are.
    if (!loaded.has(whole.key) && offset === 0 && isWhole(node, whole.size / size)) {
      result = load(whole, dtype, node.shape, numberSize(dtype));
    } else {
      result = viewStorage(storage(whole, dtype), dtype, node.shape, node.stride, offset);
    }
    if (node.conj) result = call("aten::_conj", result) as Tensor;
    if (node.neg) result = call("aten::_neg_view", result) as Tensor;
    return result;
  };

  const sparse = (node: SparseNode): Tensor => {
    const indices = node.indices.map(dense);
    const values = dense(node.values);
    const options = { checkPinning: false };
    // What operators later take for granted: an index beyond the shape would read memory that is not the tensor's.
    if (node.layout === "sparse_coo") {
      call("aten::_validate_sparse_coo_tensor_args", ...indices, values, node.shape, node.coalesced, options);
      return call("aten::sparse_coo_tensor", ...indices, values, node.shape, {
        isCoalesced: node.coalesced,
      }) as Tensor;
    }
    call(
      "aten::_validate_sparse_compressed_tensor_args",
      ...indices,
      values,
      node.shape,
      node.layout,
      options,
    );
    return call("aten::sparse_compressed_tensor", ...indices, values, node.shape, {
      dtype: values.dtype,
      layout: node.layout,
      device: values.device,
    }) as Tensor;
  };

  const quantized = (node: QuantizedNode): Tensor => {
    const values = dense(node.values);
    const { quantizer } = node;
    if ("scale" in quantizer) {
      const { scale, zeroPoint } = quantizer;
      return call("aten::_make_per_tensor_quantized_tensor", values, scale, zeroPoint) as Tensor;
    }
    const { scales, zeroPoints, axis } = quantizer;
    return call(
      "aten::_make_per_channel_quantized_tensor",
      values,
      dense(scales),
      dense(zeroPoints),
      axis,
    ) as Tensor;
  };

  const meta = ({ dtype, shape, stride }: MetaTensorNode): Tensor =>
    call("aten::empty_strided", shape, stride, { dtype, device: "meta" }) as Tensor;

  const plain = (node: AnyTensorNode): Tensor => {
    if (node instanceof SparseNode) return sparse(node);
    if (node instanceof QuantizedNode) return quantized(node);
    if (node instanceof MetaTensorNode) return meta(node);
    return dense(node);
  };

  return {
    tensor: (node) =>
      guarded(() => {
        const made = plain(node);
        return !(node instanceof SparseNode) && node.requiresGrad ? made.requiresGrad_(true) : made;
      }),
    parameter: ({ data, requiresGrad }) => {
      if (data === undefined) throw new SerializationError("a parameter is made of nothing");
      return guarded(() => new Parameter(plain(data), { requiresGrad }));
    },
    storage: (view) =>
      guarded(() => {
        const dtype = plainDType(view.dtype ?? "uint8");
        const size = itemSize(dtype);
        const count = Math.floor(view.size / size);
        return viewStorage(storage(view.storage, dtype), dtype, [count], [1], view.start / size);
      }),
    array: ({ content }) => {
      if (content === undefined) throw new SerializationError("an array of NumPy has no values");
      return guarded(() => numpyTensor(content));
    },
    scalar: ({ content }) => guarded(() => numpyScalar(content)),
  };
}

/** Whether a tensor is all of its storage in row-major order. */
function isWhole(node: TensorNode, elements: number): boolean {
  let expected = 1;
  for (let d = node.shape.length - 1; d >= 0; d--) {
    if (node.stride[d] !== expected) return false;
    expected *= node.shape[d] as number;
  }
  return expected === elements && elements > 0;
}

function numpyTensor({ type, shape, fortranOrder, bytes }: NumpyContent): Tensor {
  const dtype = dtypeOfNumpy(type.code);
  const count = shape.includes(0) ? 0 : shape.reduce((product, size) => product * size, 1);
  if (count * itemSize(dtype) !== bytes.length) {
    throw new SerializationError(`an array of ${dtype} and shape [${shape}] has ${bytes.length} bytes`);
  }
  const order = fortranOrder ? [...shape].reverse() : shape;
  const tensor = readTensor(sourceReader(bytesSource(bytes)), dtype, order);
  if (type.bigEndian) swapBytes(tensor, numberSize(dtype));
  return fortranOrder ? tensor.T : tensor;
}

function numpyScalar(content: NumpyContent): unknown {
  const value: unknown = numpyTensor(content).item({ bigint: /^[iu]8$/.test(content.type.code) });
  const isSmall = typeof value === "bigint" && Number.isSafeInteger(Number(value));
  return isSmall ? Number(value) : value;
}

/** What libtorch refuses in a file is a fault of the file. */
function guarded<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof LevinError) || error instanceof SerializationError) throw error;
    throw new SerializationError(`a tensor cannot be made: ${error.message}`, { cause: error });
  }
}
