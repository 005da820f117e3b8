import { isDType } from "../dtype.js";
import { text } from "./call-arguments.js";
import { SerializationError } from "./errors.js";
import {
  type AnyTensorNode,
  BytearrayNode,
  DictNode,
  GlobalNode,
  isTensorNode,
  ListNode,
  NumpyArrayNode,
  NumpyScalarNode,
  NumpyTypeNode,
  ObjectNode,
  ParameterNode,
  SetNode,
  StorageView,
} from "./nodes.js";
import { dtypeOfNumpy } from "./numpy-types.js";
import type { Pickled } from "./pickle-reader.js";
import {
  PyDtype,
  PyFloat,
  PythonGlobal,
  PythonObject,
  type PythonTraits,
  setOwn,
  setTraits,
  Tuple,
} from "./python.js";

/** Deeper than Python itself can write. */
const maxDepth = 10_000;

/** Makes tensors of what a file says about them. */
export interface TensorFactory {
  tensor(node: AnyTensorNode): object;
  parameter(node: ParameterNode): object;
  /** A storage that the file holds without a tensor over it. */
  storage(view: StorageView): object;
  array(node: NumpyArrayNode): object;
  scalar(node: NumpyScalarNode): unknown;
}

/**
 * Turns the nodes of a pickle into values of JavaScript: dictionaries with only texts as keys into plain objects, others into
 * Maps, sets into Sets, tensors into tensors. What was one object in the file is one object again, cycles too.
 */
export function realize({ root, shared }: Pickled, factory: TensorFactory): unknown {
  const made = new Map<unknown, unknown>();
  // Lists of what is left to fill and no recursion: a hostile file may nest as deep as it is long.
  let pending: object[] = []; // a node, its value, the next node, ...

  const make = (node: unknown): unknown => {
    if (typeof node !== "object" || node === null) return node;
    if (node instanceof PyFloat) return node.value;
    const isShared = shared.has(node);
    if (isShared && made.has(node)) return made.get(node);
    const value = begin(node);
    if (isShared) made.set(node, value);
    return value;
  };

  const later = <T extends object>(node: object, value: T): T => {
    pending.push(node, value);
    return value;
  };

  const begin = (node: object): unknown => {
    // In place: the arrays of tuples and lists become the values.
    if (node instanceof Tuple) return node.length === 0 ? node : later(node, node);
    if (node instanceof SetNode) return later(node, new Set());
    if (node instanceof ListNode) return node.items.length === 0 ? [] : later(node, node.items as unknown[]);
    if (node instanceof DictNode) {
      const isEmpty = node.pairs.length === 0 && node.type === undefined && node.attributes === undefined;
      return isEmpty ? {} : later(node, hasOnlyTexts(node) ? {} : new Map());
    }
    if (isTensorNode(node)) return withAttributes(node, factory.tensor(node));
    if (node instanceof ParameterNode) return withAttributes(node, factory.parameter(node));
    if (node instanceof BytearrayNode) return remember(node.bytes, { type: "bytearray" });
    if (node instanceof StorageView) return factory.storage(node);
    if (node instanceof NumpyArrayNode) return factory.array(node);
    if (node instanceof NumpyScalarNode) return factory.scalar(node);
    if (node instanceof NumpyTypeNode) return new PyDtype(dtypeOfNumpy(node.code));
    if (node instanceof GlobalNode) {
      return node.module === "torch" && isDType(node.name)
        ? new PyDtype(node.name)
        : new PythonGlobal(node.module, node.name);
    }
    if (node instanceof ObjectNode) return later(node, new PythonObject(node.module, node.name, []));
    return node;
  };

  const withAttributes = (node: { attributes: DictNode | undefined }, value: object): object =>
    node.attributes === undefined ? value : later(node, value);

  const fill = (node: object, value: object): void => {
    if (value instanceof Set) fillSet(value, node as SetNode);
    else if (Array.isArray(value)) fillList(value);
    else if (node instanceof DictNode)
      fillDict(value as Record<string, unknown> | Map<unknown, unknown>, node);
    else if (value instanceof PythonObject) fillRecord(value, node as ObjectNode);
    else remember(value, { attributes: make((node as ParameterNode).attributes) as Attributes });
  };

  const fillList = (list: unknown[]): void => {
    const floats = new Floats("all");
    for (let i = 0; i < list.length; i++) list[i] = floats.see(i, make(list[i]), list[i]);
    remember(list, floats.traits());
  };

  const fillSet = (set: Set<unknown>, node: SetNode): void => {
    const floats = new Floats("all");
    for (const part of node.items) {
      const item = make(part);
      set.add(floats.see(item, item, part));
    }
    remember(set, floats.traits());
  };

  const fillDict = (value: Record<string, unknown> | Map<unknown, unknown>, node: DictNode): void => {
    const { pairs, type, attributes } = node;
    const floats = new Floats();
    const floatKeys = new Floats("all");
    for (let i = 0; i < pairs.length; i += 2) {
      const key = make(pairs[i]);
      floatKeys.see(key, key, pairs[i]);
      const item = floats.see(key, make(pairs[i + 1]), pairs[i + 1]);
      if (value instanceof Map) value.set(key, item);
      else setOwn(value, key as string, item);
    }
    remember(value, {
      ...(type === undefined ? {} : { type }),
      ...(attributes === undefined ? {} : { attributes: make(attributes) as Attributes }),
      ...floats.traits(),
      ...(value instanceof Map ? floatKeys.traits("floatKeys") : orderTraits(value, node)),
    });
  };

  const fillRecord = (value: PythonObject, node: ObjectNode): void => {
    for (const arg of node.args) value.args.push(make(arg));
    for (const item of node.items.items) value.items.push(make(item));
    eachPair(node.kwargs, (key, item) =>
      setOwn(value.kwargs, text(key, "the name of an argument"), make(item)),
    );
    eachPair(node.entries, (key, item) => value.entries.set(make(key), make(item)));
    value.state = make(node.state);
  };

  const result = make(root);
  for (let depth = 1; pending.length > 0; depth++) {
    if (depth > maxDepth)
      throw new SerializationError(`the values are nested deeper than ${maxDepth} levels`);
    const level = pending;
    pending = [];
    for (let i = 0; i < level.length; i += 2) fill(level[i] as object, level[i + 1] as object);
  }
  return result;
}

type Attributes = Record<string, unknown>;

/** Finds which numbers of a list or dictionary were floats though their value is an integer. */
class Floats {
  #slots: Set<unknown> | undefined;
  readonly #shorthand: "all" | undefined;
  #others = false;

  /** @param shorthand where later additions are of the same kind as what is there */
  constructor(shorthand?: "all") {
    this.#shorthand = shorthand;
  }

  /** Gives the value back. */
  see(slot: unknown, value: unknown, node: unknown): unknown {
    if (node instanceof PyFloat || (node instanceof NumpyScalarNode && isWholeFloat(node, value))) {
      this.#slots ??= new Set();
      this.#slots.add(slot);
    } else if (typeof value === "number" && Number.isSafeInteger(value)) {
      this.#others = true;
    }
    return value;
  }

  traits(name: "floats" | "floatKeys" = "floats"): PythonTraits {
    if (this.#slots === undefined) return {};
    return { [name]: this.#others ? this.#slots : (this.#shorthand ?? this.#slots) };
  }
}

function isWholeFloat(node: NumpyScalarNode, value: unknown): boolean {
  return node.content.type.code.startsWith("f") && Number.isSafeInteger(value);
}

function remember(object: object, traits: PythonTraits): object {
  for (const _ in traits) {
    setTraits(object, traits);
    break;
  }
  return object;
}

function hasOnlyTexts({ pairs }: DictNode): boolean {
  for (let i = 0; i < pairs.length; i += 2) if (typeof pairs[i] !== "string") return false;
  return true;
}

function eachPair(dict: DictNode | undefined, use: (key: unknown, value: unknown) => void): void {
  const pairs = dict?.pairs ?? [];
  for (let i = 0; i < pairs.length; i += 2) use(pairs[i], pairs[i + 1]);
}

function orderTraits(value: Record<string, unknown>, { pairs }: DictNode): PythonTraits {
  const shown = Object.keys(value);
  if (
    shown.length < 2 ||
    (2 * shown.length === pairs.length && shown.every((key, i) => key === pairs[2 * i]))
  ) {
    return {};
  }
  const order = [...new Set(pairs.filter((_, i) => i % 2 === 0))] as string[];
  return order.every((key, i) => key === shown[i]) ? {} : { order };
}
