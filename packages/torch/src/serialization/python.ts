import type { Device } from "../device.js";
import type { DType } from "../dtype.js";

/** A Python tuple: an array that is written as a tuple. `new Tuple(3)` has the one element 3. */
export class Tuple<T = unknown> extends Array<T> {
  constructor(...items: T[]) {
    super();
    for (const item of items) this.push(item);
  }

  /** `map`, `slice` and the like give ordinary arrays. */
  static override get [Symbol.species](): ArrayConstructor {
    return Array;
  }
}

/** A `torch.Size`: the tuple that a tensor's shape is in Python. */
export class Size extends Tuple<number> {}

/**
 * A Python float. Numbers with an integer value are written as Python integers; `new PyFloat(1)` writes `1.0`.
 * Files are read with plain numbers; which of them were floats is remembered (see {@link PythonTraits}).
 */
export class PyFloat {
  constructor(readonly value: number) {}

  valueOf(): number {
    return this.value;
  }

  toString(): string {
    return String(this.value);
  }

  toJSON(): number {
    return this.value;
  }
}

/** A `torch.dtype` as a value of its own, as in hyperparameters. `String(it)` is the name that levin uses. */
export class PyDtype {
  constructor(readonly name: DType) {}

  toString(): string {
    return this.name;
  }

  toJSON(): string {
    return this.name;
  }
}

/** A `torch.device` as a value of its own, as in hyperparameters. `String(it)` is the name that levin uses. */
export class PyDevice {
  constructor(readonly name: Device) {}

  toString(): string {
    return this.name;
  }

  toJSON(): string {
    return this.name;
  }
}

/** A class or function that a file names without calling it. It is a name only. */
export class PythonGlobal {
  constructor(
    readonly module: string,
    readonly name: string,
  ) {}
}

/**
 * An object of a class that levin does not know, read with `weightsOnly: false`: what the file says about it. Nothing of it
 * was executed.
 */
export class PythonObject {
  /** What `__setstate__` would have been given, undefined where the file holds none. */
  state: unknown;
  /** The elements of an object that is a list or a set. */
  items: unknown[] = [];
  /** The entries of an object that is a dictionary. */
  entries: Map<unknown, unknown> = new Map();

  constructor(
    readonly module: string,
    readonly name: string,
    /** What the class or function would have been called with. */
    readonly args: unknown[],
    /** Arguments that were given by name. */
    readonly kwargs: Record<string, unknown> = {},
  ) {}
}

/** The classes of Python that are more than a `dict` and that {@link save} writes as what they were. */
export type MappingType = "OrderedDict" | "Counter";

/** What an object of Python has beside what the object of JavaScript shows. {@link save} writes it again. */
export interface PythonTraits {
  /** The class, where it is not the one that such an object becomes anyway. */
  type?: MappingType | "bytearray";
  /** The attributes of the Python object, such as the `_metadata` of a `state_dict`. */
  attributes?: Record<string, unknown>;
  /** Which elements or entries, by index or key, are floats though their value is an integer; `"all"` for every number. */
  floats?: "all" | ReadonlySet<unknown>;
  /** Which keys are. */
  floatKeys?: "all" | ReadonlySet<unknown>;
  /** The order of the keys, where JavaScript has another one: keys like `"0"` come before others. */
  order?: readonly string[];
}

// Beside the objects and not in them, so that they stay the plain objects that a user expects.
const traits = new WeakMap<object, PythonTraits>();

/** What is known of an object's Python side; empty for an object that has none. */
export function traitsOf(object: object): PythonTraits {
  return traits.get(object) ?? {};
}

/** @internal Remembers an object's Python side. */
export function setTraits(object: object, value: PythonTraits): void {
  traits.set(object, value);
}

/**
 * Has a plain object or Map written as a `collections.OrderedDict`, as PyTorch writes a `state_dict`.
 *
 * @param attributes of the Python object, such as the `_metadata` of a `state_dict`
 * @returns the same object
 */
export function orderedDict<T extends object>(object: T, attributes?: Record<string, unknown>): T {
  traits.set(object, {
    ...traits.get(object),
    type: "OrderedDict",
    ...(attributes === undefined ? {} : { attributes }),
  });
  return object;
}

/** Sets an own property under any name; `__proto__` as a plain assignment would change the prototype instead. */
export function setOwn(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key === "__proto__") {
    Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
  } else {
    object[key] = value;
  }
}
