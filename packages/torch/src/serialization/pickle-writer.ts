import { Complex } from "../complex.js";
import { LevinError } from "../errors.js";
import { Parameter } from "../nn/parameter.js";
import { Tensor } from "../tensor.js";
import { isAllowed } from "./calls.js";
import { SerializationError } from "./errors.js";
import { PickleInstructions } from "./pickle-instructions.js";
import {
  PyDevice,
  PyDtype,
  PyFloat,
  PythonGlobal,
  type PythonTraits,
  Size,
  Tuple,
  traitsOf,
} from "./python.js";
import { type StorageFacts, tensorFacts } from "./tensor-facts.js";
import { TensorWriter } from "./tensor-writer.js";

/** A pickle, and the storages that it refers to by their position in the list. */
export interface Pickled {
  bytes: Uint8Array;
  storages: readonly StorageFacts[];
}

/** As Python does: longer lists and dictionaries are filled in several steps. */
const batch = 1000;
const maxDepth = 1000;

/**
 * Writes a value as a pickle of protocol 2 in the words of `torch.save`, which PyTorch's safe loader reads.
 *
 * @throws SerializationError where a part of the value has no form in Python; the message has the path to it
 */
export function writePickle(value: unknown): Pickled {
  const writer = new Writer();
  writer.value(value);
  return writer.finish();
}

class Writer {
  readonly #out = new PickleInstructions();
  readonly #tensors = new TensorWriter(this.#out, (tensor) => this.#object(tensor));
  /** The numbers under which a reader remembers objects. */
  readonly #memo = new Map<object, number>();
  readonly #path: (string | number)[] = [];

  finish(): Pickled {
    return { bytes: this.#out.finish(), storages: this.#tensors.storages };
  }

  /** @param isFloat whether a number with an integer value is a float nevertheless */
  value(value: unknown, isFloat = false): void {
    switch (typeof value) {
      case "string":
        this.#out.text(value);
        break;
      case "number":
        if (isFloat || !Number.isSafeInteger(value) || Object.is(value, -0)) this.#out.float(value);
        else this.#out.integer(value);
        break;
      case "boolean":
        this.#out.flag(value);
        break;
      case "bigint":
        this.#out.integer(value);
        break;
      case "undefined":
        this.#out.bytes(0x4e);
        break;
      case "object":
        if (value === null) this.#out.bytes(0x4e);
        else this.#object(value);
        break;
      default:
        throw this.#refuse(`it is a ${typeof value}`);
    }
  }

  #object(object: object): void {
    const known = this.#memo.get(object);
    if (known !== undefined) {
      this.#out.recall(known);
      return;
    }
    if (this.#path.length >= maxDepth) {
      throw this.#refuse(`it is nested deeper than ${maxDepth} levels (or a tuple that contains itself)`);
    }
    if (object instanceof Tensor) this.#tensor(object);
    else if (object instanceof Tuple) this.#tuple(object);
    else if (Array.isArray(object)) this.#list(object);
    else if (object instanceof Map) this.#mapping(object, object);
    else if (object instanceof Set) this.#set(object);
    else if (object instanceof Uint8Array) this.#binary(object);
    else if (object instanceof PyFloat) this.#out.float(object.value);
    else if (object instanceof PyDtype) this.#out.global("torch", object.name);
    else if (object instanceof PyDevice) this.#device(object);
    else if (object instanceof PythonGlobal) this.#global(object);
    else if (object instanceof Complex) this.#complex(object);
    else if (isPlain(object)) this.#mapping(object, ordered(object));
    else throw this.#refuse(`it is an instance of ${object.constructor?.name || "an unnamed class"}`);
  }

  /** Has the reader remember an object; what it contains may then be the object itself. */
  #remember(object: object): void {
    this.#memo.set(object, this.#out.remember());
  }

  // ------------------------------------------------------------- containers

  #list(list: readonly unknown[]): void {
    this.#out.bytes(0x5d);
    this.#remember(list);
    const { floats } = traitsOf(list);
    this.#items(list, (i) => isFloat(floats, i));
  }

  #items(list: readonly unknown[], isFloatAt: (index: number) => boolean): void {
    for (let start = 0; start < list.length; start += batch) {
      this.#out.bytes(0x28);
      const end = Math.min(start + batch, list.length);
      for (let i = start; i < end; i++) this.#inside(i, list[i], isFloatAt(i));
      this.#out.bytes(0x65);
    }
  }

  #tuple(tuple: Tuple): void {
    const { floats } = traitsOf(tuple);
    const size = tuple instanceof Size;
    if (size) this.#out.global("torch", "Size");
    if (tuple.length > 3) this.#out.bytes(0x28);
    for (let i = 0; i < tuple.length; i++) this.#inside(i, tuple[i], isFloat(floats, i));
    this.#out.tuple(tuple.length);
    if (size) this.#out.call(1);
    this.#remember(tuple);
  }

  #mapping(object: object, entries: Iterable<[unknown, unknown]>): void {
    const { type, attributes, floats, floatKeys } = traitsOf(object);
    if (type === "OrderedDict") this.#out.emptyOrderedDict();
    else if (type === "Counter") this.#emptyCounter();
    else this.#out.bytes(0x7d);
    this.#remember(object);
    let count = 0;
    for (const [key, value] of entries) {
      if (value === undefined && !(object instanceof Map)) continue;
      if (count % batch === 0) this.#out.bytes(0x28);
      this.#key(key, isFloat(floatKeys, key));
      this.#inside(typeof key === "number" ? key : String(key), value, isFloat(floats, key));
      if (++count % batch === 0) this.#out.bytes(0x75);
    }
    if (count % batch !== 0) this.#out.bytes(0x75);
    if (type !== undefined && attributes !== undefined) {
      this.#inside("attributes", attributes);
      this.#out.bytes(0x62);
    }
  }

  #emptyCounter(): void {
    this.#out.global("collections", "Counter");
    this.#out.bytes(0x29, 0x52);
  }

  #key(key: unknown, isFloat: boolean): void {
    const isObject = typeof key === "object" && key !== null;
    const canBeKey = [Tuple, PyFloat, PyDtype, PyDevice, Uint8Array, Complex].some(
      (type) => key instanceof type,
    );
    if (isObject && !canBeKey) throw this.#refuse("it is a Map with an object as a key");
    this.value(key, isFloat);
  }

  #set(set: ReadonlySet<unknown>): void {
    this.#out.global("__builtin__", "set");
    this.#out.bytes(0x5d);
    const items = [...set];
    const { floats } = traitsOf(set);
    this.#items(items, (i) => isFloat(floats, items[i]));
    this.#out.call(1);
    this.#remember(set);
  }

  // ------------------------------------------------------------- other objects

  /** Bytes as Python writes them in protocol 2, which has none: a text to be encoded. */
  #binary(bytes: Uint8Array): void {
    const isBytearray = traitsOf(bytes).type === "bytearray";
    if (isBytearray) this.#out.global("__builtin__", "bytearray");
    this.#out.global("_codecs", "encode");
    this.#out.text(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1"));
    this.#out.text("latin1");
    this.#out.call(2);
    if (isBytearray) this.#out.call(1);
    this.#remember(bytes);
  }

  #device(device: PyDevice): void {
    const [type = "", index] = device.name.split(":");
    this.#out.global("torch", "device");
    this.#out.text(type);
    if (index !== undefined) this.#out.integer(Number(index));
    this.#out.call(index === undefined ? 1 : 2);
    this.#remember(device);
  }

  #global(global: PythonGlobal): void {
    const { module, name } = global;
    if (module === "torch" && /^(strided|sparse_\w+|jagged)$/.test(name)) {
      this.#out.global("torch.serialization", "_get_layout");
      this.#out.text(`torch.${name}`);
      this.#out.call(1);
      this.#remember(global);
    } else if (/^torch\b/.test(module) && isAllowed(module, name)) {
      this.#out.global(module, name);
    } else {
      throw this.#refuse(`it is ${module}.${name}, which torch.load would refuse`);
    }
  }

  #complex(value: Complex): void {
    this.#out.global("__builtin__", "complex");
    this.#out.float(value.re);
    this.#out.float(value.im);
    this.#out.call(2);
    this.#remember(value);
  }

  #tensor(tensor: Tensor): void {
    const { attributes } = traitsOf(tensor);
    const facts = this.#facts(tensor);
    const out = this.#out;
    if (tensor instanceof Parameter) {
      out.global("torch._utils", attributes ? "_rebuild_parameter_with_state" : "_rebuild_parameter");
      out.bytes(0x28);
      this.#tensors.tensor("requiresGrad" in facts ? { ...facts, requiresGrad: false } : facts);
      out.bytes(0x52);
      out.flag(tensor.requiresGrad);
      out.emptyOrderedDict();
      if (attributes) this.#inside("attributes", attributes);
      out.bytes(0x74);
    } else if (attributes) {
      out.global("torch._tensor", "_rebuild_from_type_v2");
      out.bytes(0x28);
      this.#tensors.tensor(facts, () => out.global("torch", "Tensor"));
      this.#inside("attributes", attributes);
      out.bytes(0x74);
    } else {
      this.#tensors.tensor(facts);
    }
    out.bytes(0x52);
    this.#remember(tensor);
  }

  #facts(tensor: Tensor): ReturnType<typeof tensorFacts> {
    try {
      return tensorFacts(tensor);
    } catch (error) {
      if (!(error instanceof LevinError)) throw error;
      throw this.#refuse(`it is a tensor: ${error.message}`, error);
    }
  }

  /** A part of a value; its name is in the path of error messages. */
  #inside(name: string | number, value: unknown, isFloat = false): void {
    this.#path.push(name);
    this.value(value, isFloat);
    this.#path.pop();
  }

  #refuse(why: string, cause?: unknown): SerializationError {
    const where = this.#path.length > 20 ? [...this.#path.slice(0, 20), "..."] : this.#path;
    return new SerializationError(
      `${where.length === 0 ? "the object" : `the value at ${where.join(".")}`} cannot be written: ${why}. ` +
        "Tensors, numbers, texts, booleans, null, Uint8Array, arrays, Tuple, Set, Map and plain objects can.",
      { cause },
    );
  }
}

function isFloat(floats: PythonTraits["floats"], slot: unknown): boolean {
  return floats === "all" || (floats?.has(slot) ?? false);
}

function isPlain(object: object): boolean {
  const prototype = Object.getPrototypeOf(object);
  // Plain objects of another realm (a vm context, a test runner) have another Object.prototype.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** The entries of a plain object, first those of which another order than JavaScript's is known. */
function ordered(object: object): [string, unknown][] {
  const { order } = traitsOf(object);
  if (order === undefined) return Object.entries(object);
  const values = new Map<string, unknown>(Object.entries(object));
  const known = order.filter((key) => values.has(key));
  const keys = new Set([...known, ...values.keys()]);
  return [...keys].map((key) => [key, values.get(key)]);
}
