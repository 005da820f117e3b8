import { Complex } from "../complex.js";
import { isDType } from "../dtype.js";
import { Slice } from "../indexing.js";
import { bytes, integer, integers, list, real, text } from "./call-arguments.js";
import { SerializationError } from "./errors.js";
import {
  BytearrayNode,
  DictNode,
  GlobalNode,
  isTensorNode,
  ListNode,
  NumpyArrayNode,
  NumpyTypeNode,
  ObjectNode,
  ParameterNode,
  SetNode,
} from "./nodes.js";
import { numpyCalls, setNumpyArray, setNumpyType } from "./numpy-calls.js";
import { PyDevice, Size, Tuple } from "./python.js";
import { storageTypes } from "./storage-types.js";
import { setParameterState, tensorCalls, withAttributes } from "./tensor-calls.js";
import { encodeText } from "./text.js";

type Call = (args: readonly unknown[]) => object;

/**
 * What a pickle may call. Each entry is a few lines of TypeScript that make a node or a plain value: nothing of Python, and
 * nothing outside this table, is ever run.
 */
const calls: ReadonlyMap<string, Call> = new Map<string, Call>([
  ...tensorCalls,
  ...numpyCalls,
  ["torch.Size", ([items = new Tuple()]) => Size.from(integers(items, "torch.Size"))],
  ["torch.device", device],
  ["collections.OrderedDict", ([pairs]) => orderedDict(pairs)],
  ["collections.Counter", ([counts]) => copyInto(new DictNode("Counter"), counts)],
  ["collections.defaultdict", () => new DictNode()],
  ["builtins.dict", ([entries]) => copyInto(new DictNode(), entries)],
  ["builtins.set", ([items]) => setOf(items)],
  ["builtins.frozenset", ([items]) => setOf(items)],
  ["builtins.list", ([items]) => addAll(new ListNode(), items)],
  ["builtins.tuple", ([items = new Tuple()]) => Tuple.from(list(items, "tuple"))],
  ["builtins.bytes", ([content]) => bytesFrom(content)],
  ["builtins.bytearray", ([content, encoding]) => bytearray(content, encoding)],
  ["builtins.complex", ([re, im = 0]) => new Complex(real(re, "complex"), real(im, "complex"))],
  ["builtins.slice", slice],
  ["_codecs.encode", ([content, encoding]) => encode(content, encoding)],
]);

/** What a pickle may name as a value, beside what it may call and the types of elements. */
const names: ReadonlySet<string> = new Set([
  "torch.Tensor",
  "torch.storage.TypedStorage",
  "torch.storage.UntypedStorage",
  "torch.UntypedStorage",
  ...[...storageTypes.keys()].flatMap((name) => [`torch.${name}`, `torch.cuda.${name}`]),
  ...["Float", "Double", "Half", "BFloat16", "Byte", "Char", "Short", "Int", "Long", "Bool"].flatMap(
    (type) => [`torch.${type}Tensor`, `torch.cuda.${type}Tensor`],
  ),
  "numpy.ndarray",
  ...["int", "float", "bool", "str", "object"].map((name) => `builtins.${name}`),
  ...["per_tensor_affine", "per_tensor_symmetric", "per_channel_affine", "per_channel_symmetric"].map(
    (name) => `torch.${name}`,
  ),
  "torch.per_channel_affine_float_qparams",
  // Types of elements that levin has no tensors of.
  ...[1, 2, 3, 4, 5, 6, 7].flatMap((bits) => [`torch.int${bits}`, `torch.uint${bits}`]),
  ...["bits8", "bits16", "bits1x8", "bits2x4", "bits4x2", "quint4x2", "quint2x4"].map(
    (name) => `torch.${name}`,
  ),
  ...["float4_e2m1fn_x2", "bcomplex32"].map((name) => `torch.${name}`),
]);

/** Whether the safe loader lets a pickle name this. */
export function isAllowed(module: string, name: string): boolean {
  const path = `${module}.${name}`;
  return calls.has(path) || names.has(path) || (module === "torch" && isDType(name));
}

/**
 * What a call in a pickle gives.
 *
 * @param permits whether a call that is not in the table may become a record of itself
 */
export function callNode(
  callee: unknown,
  args: unknown,
  kwargs: unknown,
  permits: (path: string) => boolean,
): object {
  if (!(args instanceof Tuple)) {
    throw new SerializationError("a call in the pickle has arguments that are not a tuple");
  }
  if (!(callee instanceof GlobalNode)) {
    throw new SerializationError("the pickle calls something that is not a function or class");
  }
  const named = kwargs instanceof DictNode && kwargs.pairs.length > 0 ? kwargs : undefined;
  const call = named === undefined ? calls.get(callee.path) : undefined;
  if (call === undefined) {
    if (permits(callee.path)) return new ObjectNode(callee.module, callee.name, [...args], named);
    throw new SerializationError(`the pickle calls ${callee.path}, which is not among what may be called`);
  }
  try {
    return call(args);
  } catch (error) {
    if (!(error instanceof SerializationError)) throw error;
    throw new SerializationError(`${callee.path}: ${error.message}`, { cause: error });
  }
}

/** Sets what a call has left open, from the state that the pickle gives. */
export function setState(target: unknown, state: unknown): void {
  if (target instanceof ObjectNode) target.state = state;
  else if (target instanceof NumpyTypeNode) setNumpyType(target, state);
  else if (target instanceof NumpyArrayNode) setNumpyArray(target, state);
  else if (target instanceof ParameterNode && state instanceof Tuple && state.length !== 2)
    setParameterState(target, state);
  else if (target instanceof DictNode || target instanceof ParameterNode || isTensorNode(target))
    withAttributes(target, state);
  else throw new SerializationError("the pickle sets the state of something that has none");
}

function orderedDict(pairs: unknown): DictNode {
  const dict = new DictNode("OrderedDict");
  if (pairs === undefined || pairs instanceof DictNode) return copyInto(dict, pairs);
  for (const pair of list(pairs, "the pairs")) {
    const [key, value] = list(pair, "a pair");
    dict.add([hashable(key), value]);
  }
  return dict;
}

function copyInto(dict: DictNode, entries: unknown): DictNode {
  if (entries === undefined) return dict;
  if (!(entries instanceof DictNode)) {
    throw new SerializationError("it is made of something that is not a dictionary");
  }
  dict.add([...entries.pairs]);
  return dict;
}

function addAll<T extends ListNode>(target: T, items: unknown): T {
  if (items !== undefined) target.add([...list(items, "the items")]);
  return target;
}

function setOf(items: unknown): SetNode {
  const set = addAll(new SetNode(), items);
  set.items.forEach(hashable);
  return set;
}

/** What may be a key or in a set, as in Python. */
export function hashable(key: unknown): unknown {
  if (key instanceof ListNode || key instanceof DictNode || key instanceof BytearrayNode) {
    throw new SerializationError("a list, dictionary, set or bytearray is used as a key");
  }
  return key;
}

function slice(args: readonly unknown[]): Slice {
  const [start = null, stop = null, step = null] = args.length === 1 ? [null, args[0]] : args;
  const bound = (value: unknown) => (value === null ? null : integer(value, "slice", { signed: true }));
  return new Slice(bound(start), bound(stop), bound(step) ?? 1);
}

function device([type, index]: readonly unknown[]): PyDevice {
  const name = text(type, "device") + (index === undefined ? "" : `:${integer(index, "device index")}`);
  if (!/^[a-z]+(:\d{1,5})?$/.test(name)) {
    throw new SerializationError(`${JSON.stringify(name.slice(0, 100))} is not a device`);
  }
  return new PyDevice(name as PyDevice["name"]);
}

function bytesFrom(content: unknown): Uint8Array {
  if (content === undefined) return new Uint8Array(0);
  if (!(content instanceof ListNode || content instanceof Tuple)) return bytes(content, "the content");
  const numbers = integers(content, "bytes");
  if (numbers.some((number) => number > 255)) throw new SerializationError("a byte is larger than 255");
  return Uint8Array.from(numbers);
}

function bytearray(content: unknown, encoding: unknown): BytearrayNode {
  const made = encoding === undefined ? bytesFrom(content) : encode(content, encoding);
  // A copy, because each can be changed without the other.
  return new BytearrayNode(made.slice());
}

function encode(content: unknown, encoding: unknown): Uint8Array {
  const string = text(content, "text to encode");
  const name = text(encoding, "encoding");
  if (name === "utf-8" || name === "utf8") return encodeText(string);
  if (name !== "latin1" && name !== "latin-1") {
    throw new SerializationError(`the encoding ${JSON.stringify(name.slice(0, 100))} is not known`);
  }
  if (/[^\0-\xff]/.test(string))
    throw new SerializationError("a text has letters that latin1 has no bytes for");
  const encoded = new Uint8Array(string.length);
  Buffer.from(encoded.buffer).write(string, "latin1");
  return encoded;
}
