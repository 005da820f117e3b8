import { type TensorData, type TensorOptions, tensor } from "./creation.js";
import type { Layout } from "./dtype.js";
import { ArgumentError } from "./errors.js";
import { call } from "./operator.js";
import { Tensor } from "./tensor.js";

/** How a sparse tensor is made. */
export interface SparseOptions extends TensorOptions {
  /** The shape. Default: what holds all indices. */
  size?: readonly number[] | null;
}

/** Options of {@link sparseCooTensor}. */
export interface SparseCooOptions extends SparseOptions {
  /** Whether indices are known to be sorted and different. Default: false. */
  isCoalesced?: boolean | null;
}

type Size = readonly number[];

/** The shape by place or in the options. */
function placed<O extends SparseOptions>(args: readonly unknown[]): O {
  const [first, second] = args;
  return (Array.isArray(first) ? { ...(second as O | undefined), size: first } : (first ?? {})) as O;
}

function indicesOf(data: TensorData, like: Tensor): Tensor {
  return data instanceof Tensor ? data : tensor(data, { dtype: "int64", device: like.device });
}

function valuesOf(data: TensorData, { dtype, device }: TensorOptions): Tensor {
  const options = { ...(dtype && { dtype }), ...(device && { device }) };
  return data instanceof Tensor ? data.to(options) : tensor(data, options);
}

const finish = (result: Tensor, { requiresGrad = false }: TensorOptions): Tensor => {
  return requiresGrad ? result.detach().requiresGrad_() : result;
};

/**
 * A sparse tensor in coordinate format: the value `values[i]` is at `indices[:, i]`; values at the same place are added.
 *
 * ```ts
 * torch.sparseCooTensor([[0, 1, 1], [2, 0, 2]], [3, 4, 5], [2, 3]);
 * ```
 *
 * @param indices `(dimensions, values)`
 * @see https://pytorch.org/docs/stable/generated/torch.sparse_coo_tensor.html
 */
export function sparseCooTensor(
  indices: TensorData,
  values: TensorData,
  size: Size,
  options?: SparseCooOptions,
): Tensor;
export function sparseCooTensor(indices: TensorData, values: TensorData, options?: SparseCooOptions): Tensor;
export function sparseCooTensor(size: Size, options?: SparseCooOptions): Tensor;
export function sparseCooTensor(first: TensorData, ...args: unknown[]): Tensor {
  const [second, ...rest] = args;
  const isEmpty =
    second === undefined ||
    (typeof second === "object" && Object.getPrototypeOf(second) === Object.prototype);
  if (isEmpty) {
    const { dtype, device, requiresGrad } = (second ?? {}) as SparseCooOptions;
    return finish(call("aten::sparse_coo_tensor", first, { dtype, device, layout: "sparse_coo" }) as Tensor, {
      requiresGrad: requiresGrad ?? false,
    });
  }
  const options = placed<SparseCooOptions>(rest);
  const { size, isCoalesced } = options;
  const stored = valuesOf(second as TensorData, options);
  const more = { dtype: stored.dtype, device: stored.device, isCoalesced };
  const indices = indicesOf(first, stored);
  const made = call("aten::sparse_coo_tensor", indices, stored, ...(size ? [size] : []), more) as Tensor;
  call("aten::_validate_sparse_coo_tensor_args", indices, stored, made.shape, isCoalesced);
  return finish(made, options);
}

function compressed(
  operator: string,
  compressedIndices: TensorData,
  plainIndices: TensorData,
  values: TensorData,
  options: SparseOptions & { layout?: Layout },
): Tensor {
  const stored = valuesOf(values, options);
  const indices = [compressedIndices, plainIndices].map((data) => indicesOf(data, stored));
  const { size, layout } = options;
  const more = { dtype: stored.dtype, device: stored.device, layout };
  const made = call(operator, ...indices, stored, ...(size ? [size] : []), more) as Tensor;
  // PyTorch leaves this out unless it is asked for; operators would read and write beyond the end of memory
  call("aten::_validate_sparse_compressed_tensor_args", ...indices, stored, made.shape, made.layout);
  return finish(made, options);
}

/**
 * A sparse tensor in one of the formats that compress rows or columns, which `layout` names.
 *
 * @see https://pytorch.org/docs/stable/generated/torch.sparse_compressed_tensor.html
 */
export function sparseCompressedTensor(
  compressedIndices: TensorData,
  plainIndices: TensorData,
  values: TensorData,
  options: SparseOptions & { layout: Layout },
): Tensor;
export function sparseCompressedTensor(
  compressedIndices: TensorData,
  plainIndices: TensorData,
  values: TensorData,
  size: Size,
  options: SparseOptions & { layout: Layout },
): Tensor;
export function sparseCompressedTensor(
  a: TensorData,
  b: TensorData,
  values: TensorData,
  ...args: unknown[]
): Tensor {
  const options = placed<SparseOptions & { layout?: Layout }>(args);
  if (options.layout === undefined)
    throw new ArgumentError('sparseCompressedTensor: layout must name the format, such as "sparse_csr"');
  return compressed("aten::sparse_compressed_tensor", a, b, values, options);
}

/** A function that makes sparse tensors of one of the compressed formats: the shape by place, by name, or by the indices. */
export interface SparseCompressedFactory {
  (
    compressedIndices: TensorData,
    plainIndices: TensorData,
    values: TensorData,
    size: Size,
    options?: SparseOptions,
  ): Tensor;
  (
    compressedIndices: TensorData,
    plainIndices: TensorData,
    values: TensorData,
    options?: SparseOptions,
  ): Tensor;
}

const factoryOf =
  (operator: string): SparseCompressedFactory =>
  (a: TensorData, b: TensorData, values: TensorData, ...args: unknown[]) =>
    compressed(operator, a, b, values, placed(args));

/** A sparse matrix by rows (CSR): `crowIndices` says where each row begins. See https://pytorch.org/docs/stable/generated/torch.sparse_csr_tensor.html */
export const sparseCsrTensor: SparseCompressedFactory = factoryOf("aten::sparse_csr_tensor");

/** A sparse matrix by columns (CSC): `ccolIndices` says where each column begins. See https://pytorch.org/docs/stable/generated/torch.sparse_csc_tensor.html */
export const sparseCscTensor: SparseCompressedFactory = factoryOf("aten::sparse_csc_tensor");

/** A sparse matrix of dense blocks by rows (BSR). See https://pytorch.org/docs/stable/generated/torch.sparse_bsr_tensor.html */
export const sparseBsrTensor: SparseCompressedFactory = factoryOf("aten::sparse_bsr_tensor");

/** A sparse matrix of dense blocks by columns (BSC). See https://pytorch.org/docs/stable/generated/torch.sparse_bsc_tensor.html */
export const sparseBscTensor: SparseCompressedFactory = factoryOf("aten::sparse_bsc_tensor");
