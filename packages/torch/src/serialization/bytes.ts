import { type DType, itemSize } from "../dtype.js";
import { native } from "../native.js";
import { call } from "../operator.js";
import { viewStorage } from "../ops.js";
import { Tensor } from "../tensor.js";
import type { Content } from "./sink.js";
import { type ByteReader, type ByteSource, sourceReader } from "./source.js";

/** The strictest alignment that elements of a tensor need. */
const elementAlignment = 16;

/** Node's buffers have at most 4 GiB. */
const windowSize = 1 << 30;

/** The bytes of the storage of a tensor on the CPU, or a part of them, without a copy. */
export function storageContent(
  tensor: Tensor,
  start = 0,
  size = native.storageSize(tensor.handle) - start,
): Content {
  return {
    size,
    each(use) {
      for (let at = 0; at < size; at += windowSize) {
        const length = Math.min(windowSize, size - at);
        native.withStorageBytes(tensor.handle, start + at, length, (buffer) => use(new Uint8Array(buffer)));
      }
    },
  };
}

/** Small enough to stay in the cache on the way from a file to a tensor. */
const stepSize = 1 << 18;
let step: Uint8Array | undefined;

/**
 * A row-major tensor on the CPU with the next bytes of a reader.
 *
 * They are copied step by step: a buffer over the tensor's own memory would leave small pieces between large ones in the process's
 * memory, which then grows with each file that is read.
 */
export function readTensor(reader: ByteReader, dtype: DType, shape: readonly number[]): Tensor {
  const tensor = call("aten::empty", shape, { dtype }) as Tensor;
  const size = tensor.numel() * itemSize(dtype);
  step ??= new Uint8Array(stepSize);
  for (let at = 0; at < size; at += stepSize) {
    const part = step.subarray(0, Math.min(stepSize, size - at));
    reader.readInto(part);
    native.writeStorage(tensor.handle, at, part);
  }
  return tensor;
}

/** A row-major tensor over a part of an open file, undefined where it cannot be mapped into memory. */
export function mapTensor(
  source: ByteSource,
  offset: number,
  dtype: DType,
  shape: readonly number[],
): Tensor | undefined {
  const { descriptor } = source;
  const size = shape.reduce((product, n) => product * n, itemSize(dtype));
  if (descriptor === undefined || size === 0 || offset % elementAlignment !== 0) return undefined;
  const bytes = Tensor.wrap(native.mapFile(descriptor, offset, size));
  return viewStorage(bytes, dtype, shape, contiguousStride(shape));
}

/** A part of a source as a row-major tensor; with `mmap`, mapped into memory where possible. */
export function sourceTensor(
  source: ByteSource,
  offset: number,
  dtype: DType,
  shape: readonly number[],
  mmap: boolean,
): Tensor {
  const mapped = mmap ? mapTensor(source, offset, dtype, shape) : undefined;
  return mapped ?? readTensor(sourceReader(source, offset), dtype, shape);
}

/** The values of a dense tensor in row-major order. */
export function contiguousContent(tensor: Tensor): Content {
  const item = itemSize(tensor.dtype);
  const size = tensor.numel() * item;
  return {
    size,
    each(use) {
      if (size === 0) return;
      const values = tensor.detach().resolveConj().resolveNeg().cpu().contiguous();
      storageContent(values, values.storageOffset() * item, size).each(use);
    },
  };
}

/** The distance in elements between neighbours along each dimension of a row-major tensor. */
function contiguousStride(shape: readonly number[]): number[] {
  const stride = new Array<number>(shape.length).fill(1);
  for (let d = shape.length - 2; d >= 0; d--) {
    stride[d] = (stride[d + 1] as number) * Math.max(shape[d + 1] as number, 1);
  }
  return stride;
}

/** How many bytes one number of the type has: half an element of complex ones. */
export function numberSize(dtype: DType): number {
  return dtype.startsWith("complex") ? itemSize(dtype) / 2 : itemSize(dtype);
}

/** Turns the bytes of each number of a storage around, in place: big-endian to little-endian or back. */
export function swapBytes(storage: Tensor, size: number): void {
  if (size === 1) return;
  storageContent(storage).each((bytes) => {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length - (bytes.length % size));
    if (size === 2) buffer.swap16();
    else if (size === 4) buffer.swap32();
    else buffer.swap64();
  });
}
