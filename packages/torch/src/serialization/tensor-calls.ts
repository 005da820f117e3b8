import { type DType, isDType, itemSize } from "../dtype.js";
import { flag, integer, integers, list, real, text } from "./call-arguments.js";
import { SerializationError } from "./errors.js";
import {
  type AnyTensorNode,
  DictNode,
  GlobalNode,
  isTensorNode,
  MetaTensorNode,
  ParameterNode,
  QuantizedNode,
  type SparseLayout,
  SparseNode,
  StorageView,
  TensorNode,
} from "./nodes.js";
import { Tuple } from "./python.js";
import { isQuantized } from "./storage-types.js";

type Arguments = readonly unknown[];

/** The calls that make tensors, by the name of what Python would call. */
export const tensorCalls: readonly [string, (args: Arguments) => object][] = [
  [
    "torch._utils._rebuild_tensor",
    ([storage, offset, size, stride]) => tensor({ storage, offset, size, stride }),
  ],
  [
    "torch._utils._rebuild_tensor_v2",
    ([storage, offset, size, stride, grad, , metadata]) =>
      tensor({ storage, offset, size, stride, grad, metadata }),
  ],
  [
    "torch._utils._rebuild_tensor_v3",
    ([storage, offset, size, stride, grad, , type, metadata]) =>
      tensor({ storage, type, offset, size, stride, grad, metadata }),
  ],
  ["torch._utils._rebuild_meta_tensor_no_storage", meta],
  ["torch._utils._rebuild_sparse_tensor", sparse],
  ["torch._utils._rebuild_qtensor", quantized],
  ["torch._utils._rebuild_parameter", ([data, grad]) => parameter(data, grad)],
  [
    "torch._utils._rebuild_parameter_with_state",
    ([data, grad, , state]) => withAttributes(parameter(data, grad), state),
  ],
  ["torch._tensor._rebuild_from_type_v2", subclass],
  [
    "torch.nn.parameter.Parameter",
    ([data, grad = true]) =>
      data === undefined ? new ParameterNode(undefined, true) : parameter(data, grad),
  ],
  [
    "torch.serialization._get_layout",
    ([name]) => new GlobalNode("torch", text(name, "layout").replace(/^torch\./, "")),
  ],
];

const rebuilds = new Map(tensorCalls);

interface TensorParts {
  storage: unknown;
  /** Default: the type of the storage. */
  type?: unknown;
  offset: unknown;
  size: unknown;
  stride: unknown;
  grad?: unknown;
  metadata?: unknown;
}

/** A tensor over a storage, checked. */
export function tensor(parts: TensorParts): TensorNode {
  const { storage } = parts;
  if (!(storage instanceof StorageView)) throw new SerializationError("the first argument is not a storage");
  const dtype = parts.type === undefined ? storage.dtype : dtypeNamed(parts.type);
  if (dtype === null) throw new SerializationError("the storage has no type, and none is given");
  if (isQuantized(dtype)) throw new SerializationError(`a tensor of ${dtype} has no scale`);
  return strided(storage, dtype, parts);
}

function strided(storage: StorageView, dtype: DType, parts: TensorParts): TensorNode {
  const offset = integer(parts.offset, "offset");
  const shape = integers(parts.size, "size");
  const stride = integers(parts.stride, "stride");
  requireInside(storage, dtype, offset, shape, stride);
  const bit = (name: string): boolean =>
    parts.metadata instanceof DictNode && parts.metadata.get(name) === true;
  return new TensorNode(storage, dtype, offset, shape, stride, flag(parts.grad), bit("conj"), bit("neg"));
}

/** Every element must lie in the storage. */
function requireInside(
  storage: StorageView,
  dtype: DType,
  offset: number,
  shape: readonly number[],
  stride: readonly number[],
): void {
  if (shape.length !== stride.length) {
    throw new SerializationError(`a tensor has ${shape.length} sizes but ${stride.length} strides`);
  }
  let last = offset;
  shape.forEach((size, d) => {
    last += (size - 1) * (stride[d] as number);
  });
  const held = Math.floor(storage.size / itemSize(dtype));
  const count = elementCount(shape);
  const fits = count === 0 || (Number.isSafeInteger(last) && last < held);
  if (!fits || !Number.isSafeInteger(count * itemSize(dtype))) {
    throw new SerializationError(
      `a tensor of shape [${shape}], stride [${stride}], offset ${offset} reaches outside its storage of ${held} elements`,
    );
  }
}

function elementCount(shape: readonly number[]): number {
  return shape.includes(0) ? 0 : shape.reduce((product, size) => product * size, 1);
}

/** A tensor may repeat its storage (a stride of 0), but what goes through all elements must not do more work than the file is large. */
function requireNoRepetition(tensor: TensorNode): TensorNode {
  if (elementCount(tensor.shape) * itemSize(tensor.dtype) > tensor.storage.size) {
    throw new SerializationError(`a tensor of shape [${tensor.shape}] has more elements than its storage`);
  }
  return tensor;
}

function meta([dtype, size, stride, grad]: Arguments): MetaTensorNode {
  const shape = integers(size, "size");
  const strides = integers(stride, "stride");
  if (shape.length !== strides.length || !Number.isSafeInteger(elementCount(shape) * 16)) {
    throw new SerializationError(`a tensor of shape [${shape}] and stride [${strides}] is impossible`);
  }
  return new MetaTensorNode(dtypeNamed(dtype), shape, strides, flag(grad));
}

const sparseLayouts: ReadonlySet<string> = new Set<SparseLayout>([
  "sparse_coo",
  "sparse_csr",
  "sparse_csc",
  "sparse_bsr",
  "sparse_bsc",
]);

function sparse([layout, data]: Arguments): SparseNode {
  const name = layout instanceof GlobalNode && layout.module === "torch" ? layout.name : "";
  if (!sparseLayouts.has(name)) throw new SerializationError("the layout of a sparse tensor is not known");
  const parts = list(data, "the data of a sparse tensor");
  const indexCount = name === "sparse_coo" ? 1 : 2;
  const tensors = parts.slice(0, indexCount + 1).map((part) => {
    if (part instanceof TensorNode) return requireNoRepetition(part);
    throw new SerializationError("a sparse tensor must have tensors as indices and values");
  });
  if (tensors.length !== indexCount + 1) throw new SerializationError("a sparse tensor has no values");
  const shape = integers(parts[indexCount + 1], "size");
  if (!Number.isSafeInteger(elementCount(shape))) {
    throw new SerializationError(`a sparse tensor of shape [${shape}] is impossible`);
  }
  return new SparseNode(
    name as SparseLayout,
    tensors.slice(0, indexCount),
    tensors[indexCount] as TensorNode,
    shape,
    parts[indexCount + 2] === true,
  );
}

function quantized([storage, offset, size, stride, quantizer, grad]: Arguments): QuantizedNode {
  if (!(storage instanceof StorageView) || storage.dtype === null || !isQuantized(storage.dtype)) {
    throw new SerializationError("a quantized tensor must have a storage of a quantized type");
  }
  const values = requireNoRepetition(strided(storage, storage.dtype, { storage, offset, size, stride }));
  const [scheme, first, second, axis] = list(quantizer, "the parameters of a quantized tensor");
  const name = scheme instanceof GlobalNode ? scheme.path : "";
  if (name === "torch.per_tensor_affine") {
    const scale = real(first, "scale");
    const zeroPoint = integer(second, "zero point", { signed: true });
    return new QuantizedNode(values, { scale, zeroPoint }, flag(grad));
  }
  const length = values.shape[integer(axis, "axis")];
  const perChannel = (part: unknown): part is TensorNode =>
    part instanceof TensorNode && part.shape.length === 1 && part.shape[0] === length;
  if (name !== "torch.per_channel_affine" || !perChannel(first) || !perChannel(second)) {
    throw new SerializationError(
      `a quantized tensor of scheme ${JSON.stringify(name)} with these parameters is not known`,
    );
  }
  return new QuantizedNode(values, { scales: first, zeroPoints: second, axis: axis as number }, flag(grad));
}

function parameter(data: unknown, grad: unknown): ParameterNode {
  if (data instanceof ParameterNode) return new ParameterNode(data.data, flag(grad));
  return new ParameterNode(tensorNode(data), flag(grad));
}

function tensorNode(value: unknown): AnyTensorNode {
  if (isTensorNode(value)) return value;
  throw new SerializationError("a parameter is made of something that is not a tensor");
}

/** The state of parameters in files of PyTorch before 0.4: flags, and before those what they are made of. */
export function setParameterState(parameter: ParameterNode, state: readonly unknown[]): void {
  if (state.length === 5) {
    parameter.data = tensorNode(state[0]);
    parameter.requiresGrad = flag(state[3]);
  } else if (state.length === 3) {
    parameter.requiresGrad = flag(state[0]);
  } else {
    throw new SerializationError(`the state of a parameter has ${state.length} parts`);
  }
}

/** A tensor with attributes; of classes of its own, only those that PyTorch itself has. */
function subclass([rebuild, type, args, state]: Arguments): object {
  const make = rebuild instanceof GlobalNode ? rebuilds.get(rebuild.path) : undefined;
  const known = make !== undefined && make !== subclass;
  const plain =
    type instanceof GlobalNode && ["torch.Tensor", "torch.nn.parameter.Parameter"].includes(type.path);
  if (!known || !plain) throw new SerializationError("a tensor of a class of its own");
  const made = make(list(args, "arguments"));
  if (!isTensorNode(made) && !(made instanceof ParameterNode))
    throw new SerializationError("it makes no tensor");
  return withAttributes(made, state);
}

/** Sets what a Python object has as attributes. */
export function withAttributes<T extends { attributes: DictNode | undefined }>(target: T, state: unknown): T {
  // A pair holds the attributes of `__dict__` and those of `__slots__`.
  const attributes = state instanceof Tuple && state.length === 2 ? state[0] : state;
  if (attributes === null || attributes === undefined) return target;
  if (!(attributes instanceof DictNode)) {
    throw new SerializationError("the state of an object is not a dictionary of attributes");
  }
  if (attributes.keys().some((key) => typeof key !== "string")) {
    throw new SerializationError("the name of an attribute is not a text");
  }
  target.attributes = attributes;
  return target;
}

function dtypeNamed(value: unknown): DType {
  if (value instanceof GlobalNode && value.module === "torch" && isDType(value.name)) return value.name;
  const name = value instanceof GlobalNode ? `: ${value.path}` : "";
  throw new SerializationError(`the type of a tensor is not one that levin knows${name}`);
}
