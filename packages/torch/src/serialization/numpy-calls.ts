import { bytes, flag, integers, list, text } from "./call-arguments.js";
import { SerializationError } from "./errors.js";
import { NumpyArrayNode, NumpyScalarNode, NumpyTypeNode } from "./nodes.js";

/**
 * The calls with which arrays and numbers of NumPy are written. PyTorch's safe loader lets them through only when it is told to,
 * because they are not its own code; here they are a few lines that make values.
 */
export const numpyCalls: readonly [string, (args: readonly unknown[]) => object][] = [
  ["numpy.dtype", ([code]) => new NumpyTypeNode(text(code, "dtype").replace(/^[<>|=]/, ""))],
  ["numpy._core.multiarray._reconstruct", () => new NumpyArrayNode()],
  ["numpy._core.multiarray.scalar", ([type, value]) => scalar(type, value)],
  [
    "numpy._core.numeric._frombuffer",
    ([buffer, type, shape, order]) => setArray(new NumpyArrayNode(), type, shape, order === "F", buffer),
  ],
];

/** The state of a type: a version, the order of bytes, and what only records have. */
export function setNumpyType(type: NumpyTypeNode, state: unknown): void {
  const [, order] = list(state, "the state of a numpy.dtype");
  type.bigEndian = order === ">";
}

/** The state of an array: a version, its shape, its type, whether columns come first, its bytes. */
export function setNumpyArray(array: NumpyArrayNode, state: unknown): void {
  const parts = list(state, "the state of a numpy.ndarray");
  const [shape, type, fortran, content] = parts.slice(parts.length - 4);
  setArray(array, type, shape, flag(fortran), content);
}

function setArray(
  array: NumpyArrayNode,
  type: unknown,
  shape: unknown,
  fortranOrder: boolean,
  content: unknown,
): NumpyArrayNode {
  array.content = {
    type: numpyType(type),
    shape: integers(shape, "shape"),
    fortranOrder,
    bytes: bytes(content, "the values of an array"),
  };
  return array;
}

function numpyType(type: unknown): NumpyTypeNode {
  if (type instanceof NumpyTypeNode) return type;
  throw new SerializationError("the type of an array is not a numpy.dtype");
}

function scalar(type: unknown, value: unknown): NumpyScalarNode {
  const content = {
    type: numpyType(type),
    shape: [],
    fortranOrder: false,
    bytes: bytes(value, "the value of a number"),
  };
  return new NumpyScalarNode(content);
}
