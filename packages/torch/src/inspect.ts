import type { DType } from "./dtype.js";
import { Tensor } from "./tensor.js";

/** Whether the value is a tensor. */
export function isTensor(value: unknown): value is Tensor {
  return value instanceof Tensor;
}

const legacyNames: Partial<Record<DType, string>> = {
  float32: "Float",
  float64: "Double",
  float16: "Half",
  bfloat16: "BFloat16",
  uint8: "Byte",
  int8: "Char",
  int16: "Short",
  int32: "Int",
  int64: "Long",
  bool: "Bool",
  complex32: "ComplexHalf",
  complex64: "ComplexFloat",
  complex128: "ComplexDouble",
};

/** The name that PyTorch's `Tensor.type()` and `torch.typename` give a tensor, such as `torch.cuda.FloatTensor`. */
export function typename(value: unknown): string {
  if (!(value instanceof Tensor))
    return value === null ? "null" : typeof value === "object" ? value.constructor.name : typeof value;
  const { dtype, device } = value;
  const kind = device.split(":")[0];
  const place = kind === "cpu" ? "" : `${kind}.`;
  const sparse = value.layout === "sparse_coo" ? "sparse." : "";
  const known = legacyNames[dtype] ?? dtype[0]?.toUpperCase() + dtype.slice(1).replace(/^int/, "Int");
  return `torch.${place}${sparse}${known}Tensor`;
}

/** The number of elements. */
export function numel(input: Tensor): number {
  Tensor.unwrap(input, "numel: input");
  return input.numel();
}

/** The number of the device that a tensor is on, -1 for the CPU. */
export function getDevice(input: Tensor): number {
  Tensor.unwrap(input, "getDevice: input");
  return input.getDevice();
}
