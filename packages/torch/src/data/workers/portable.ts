import { inspect, types } from "node:util";
import { ArgumentError, LevinError } from "../../errors.js";
import { Generator } from "../../random.js";
import { Tensor } from "../../tensor.js";
import { receive, type SharedTensor, share } from "../../threads.js";

/** A function or class. */
type Exported = (abstract new (...args: never[]) => unknown) | ((...args: never[]) => unknown);

/** Where a function or class is exported. */
export interface Reference {
  readonly module: string;
  readonly name: string;
}

const references = new WeakMap<object, Reference>();
const exportsByReference = new Map<string, Exported>();

/**
 * Tells where classes and functions are exported, so that the workers of a {@link DataLoader} can import them: a dataset's class, a
 * `collate` or `workerInit` function, a transform. It stands at the end of the module that exports them.
 *
 * ```ts
 * export class Photos implements data.Dataset<[Tensor, number]> { ... }
 * export function collatePhotos(samples: [Tensor, number][]) { ... }
 *
 * data.forWorkers(import.meta.url, { Photos, collatePhotos });
 * ```
 *
 * An object of such a class reaches a worker with copies of its fields, and with its tensors' memory shared; an object with `#private` fields
 * needs a method `workerArguments()` that returns the arguments with which the worker makes its own. A module in TypeScript is read by what
 * the program itself runs with (tsx, or a Node that strips types), or else by tsx where that is installed.
 *
 * @param module the address of the module: `import.meta.url`, or `new URL("./photos.ts", import.meta.url)` from elsewhere
 * @param exported the classes and functions by the names under which the module exports them
 * @throws ArgumentError where the address is not one, or something is neither a class nor a function
 */
export function forWorkers(module: string | URL, exported: Readonly<Record<string, Exported>>): void {
  const address = String(module);
  if (!URL.canParse(address)) {
    throw new ArgumentError(
      `forWorkers: module must be an address such as import.meta.url, got ${inspect(module)}.`,
    );
  }
  for (const [name, value] of Object.entries(exported)) {
    if (typeof value !== "function") {
      throw new ArgumentError(
        `forWorkers: ${name} must be a class or a function, got ${inspect(value, { depth: 0 })}.`,
      );
    }
    references.set(value, { module: address, name });
    exportsByReference.set(`${address}#${name}`, value);
  }
}

/** The class or function that a module of this thread has told about. */
export function findExported({ module, name }: Reference): Exported | undefined {
  return exportsByReference.get(`${module}#${name}`);
}

/** Makes itself anew in a worker with these arguments. */
export interface WorkerArguments {
  /** The arguments with which a worker calls the constructor, for objects that cannot be copied field by field. */
  workerArguments(): readonly unknown[];
}

/** Numbers of a batch whose type the loader's own thread decides, so that it doesn't depend on which worker made the first batch. */
export class PendingNumbers {
  constructor(
    readonly numbers: readonly number[],
    readonly place: number,
    readonly path: string,
  ) {}
}

/** A value on its way to another thread, in a form that can be posted: tensors by what {@link share} gives, code by where it is exported. */
export type Packed =
  | { kind: "plain"; value: unknown }
  | { kind: "clone"; id: number; value: object }
  | { kind: "tensor"; id: number; tensor: SharedTensor }
  | { kind: "numbers"; numbers: readonly number[]; place: number; path: string }
  | { kind: "array"; id: number; items: Packed[] }
  | { kind: "object"; id: number; keys: string[]; values: Packed[]; bare: boolean }
  | { kind: "map"; id: number; keys: Packed[]; values: Packed[] }
  | { kind: "set"; id: number; values: Packed[] }
  | { kind: "buffer"; id: number; bytes: Uint8Array }
  | { kind: "url"; id: number; href: string }
  | { kind: "generator"; id: number; state: SharedTensor }
  | { kind: "exported"; reference: Reference }
  | { kind: "fields"; id: number; reference: Reference; keys: string[]; values: Packed[] }
  | { kind: "arguments"; id: number; reference: Reference; values: Packed[] }
  | { kind: "seen"; id: number };

/**
 * Packs a value for another thread. What it holds twice is held twice by the copy, too.
 *
 * @param what the value's name for errors
 * @throws ArgumentError where it holds something that cannot travel
 */
export function pack(value: unknown, what: string): Packed {
  return new Packer(what).pack(value);
}

class Packer {
  readonly #ids = new Map<object, number>();
  readonly #path: string[];

  constructor(what: string) {
    this.#path = [what];
  }

  pack(value: unknown): Packed {
    if (typeof value === "symbol") throw this.#cannot("a symbol");
    if (typeof value === "function") return { kind: "exported", reference: this.#referenceTo(value) };
    if (typeof value !== "object" || value === null) return { kind: "plain", value };
    const known = this.#ids.get(value);
    if (known !== undefined) return { kind: "seen", id: known };
    const id = this.#ids.size;
    this.#ids.set(value, id);
    return this.#packObject(value, id);
  }

  #packObject(value: object, id: number): Packed {
    if (value instanceof Tensor) return { kind: "tensor", id, tensor: this.#share(value) };
    if (Array.isArray(value)) {
      return isFlat(value)
        ? { kind: "clone", id, value }
        : { kind: "array", id, items: this.#packAll(value) };
    }
    if (value instanceof PendingNumbers) {
      const { numbers, place, path } = value;
      return { kind: "numbers", numbers, place, path };
    }
    const prototype = Object.getPrototypeOf(value);
    if (prototype === Object.prototype || prototype === null) {
      return { kind: "object", id, ...this.#packFields(value), bare: prototype === null };
    }
    if (value instanceof Map && prototype === Map.prototype) {
      return {
        kind: "map",
        id,
        keys: this.#packAll([...value.keys()]),
        values: this.#packAll([...value.values()]),
      };
    }
    if (value instanceof Set && prototype === Set.prototype) {
      return { kind: "set", id, values: this.#packAll([...value]) };
    }
    if (Buffer.isBuffer(value)) return { kind: "buffer", id, bytes: value };
    if (isCloneable(value)) return { kind: "clone", id, value: withoutSurroundings(value) };
    if (value instanceof URL) return { kind: "url", id, href: value.href };
    if (value instanceof Generator) return { kind: "generator", id, state: share(value.getState()) };
    return this.#packInstance(value, prototype.constructor as object, id);
  }

  #packInstance(value: object, itsClass: unknown, id: number): Packed {
    const reference = typeof itsClass === "function" ? references.get(itsClass) : undefined;
    if (reference === undefined) {
      const name = (typeof itsClass === "function" && itsClass.name) || "Object";
      throw this.#cannot(
        `a ${name}, a class that workers cannot import`,
        `Export it from a module of its own, and write \`data.forWorkers(import.meta.url, { ${name} })\` at that module's end`,
      );
    }
    if (typeof (value as Partial<WorkerArguments>).workerArguments === "function") {
      return this.#within("workerArguments()", () => {
        const values = this.#packAll((value as WorkerArguments).workerArguments());
        return { kind: "arguments", id, reference, values };
      });
    }
    return { kind: "fields", id, reference, ...this.#packFields(value) };
  }

  #packFields(value: object): { keys: string[]; values: Packed[] } {
    const keys = Object.keys(value);
    const fields = value as Record<string, unknown>;
    return { keys, values: keys.map((key) => this.#within(key, () => this.pack(fields[key]))) };
  }

  #packAll(values: readonly unknown[]): Packed[] {
    return values.map((value, i) => this.#within(String(i), () => this.pack(value)));
  }

  #within<T>(key: string, work: () => T): T {
    this.#path.push(key);
    const result = work();
    this.#path.pop();
    return result;
  }

  #share(tensor: Tensor): SharedTensor {
    if (tensor.requiresGrad && !tensor.isLeaf) {
      throw this.#cannot(
        "a tensor whose gradient flows back to others, which doesn't cross threads",
        "Take its detach()",
      );
    }
    return share(tensor);
  }

  #referenceTo(fn: object & { name?: string }): Reference {
    const reference = references.get(fn);
    if (reference !== undefined) return reference;
    const name = fn.name || "theFunction";
    throw this.#cannot(
      `a function that workers cannot import`,
      `Export it from a module, and write \`data.forWorkers(import.meta.url, { ${name} })\` at that module's end; ` +
        "a dataset of functions becomes an exported class",
    );
  }

  #cannot(what: string, instead = "Leave it out"): ArgumentError {
    return new ArgumentError(
      `DataLoader: ${this.#path.join(".")} is ${what}, so it cannot be given to another thread. ${instead}; or load with numWorkers: 0.`,
    );
  }
}

/** Whether an array holds nothing that has to be looked at. */
function isFlat(array: readonly unknown[]): boolean {
  for (const value of array) {
    if (typeof value === "object" ? value !== null : typeof value === "function" || typeof value === "symbol")
      return false;
  }
  return true;
}

/** Whether posting copies an object as it is. */
function isCloneable(value: object): boolean {
  return (
    types.isArrayBufferView(value) ||
    types.isAnyArrayBuffer(value) ||
    types.isDate(value) ||
    types.isRegExp(value) ||
    types.isBoxedPrimitive(value) ||
    types.isNativeError(value)
  );
}

/** A view as it is posted: copying a view copies the whole buffer that it looks into. */
function withoutSurroundings(value: object): object {
  if (!types.isTypedArray(value) || types.isSharedArrayBuffer(value.buffer)) return value;
  return value.byteLength < value.buffer.byteLength ? value.slice() : value;
}

/** What {@link unpack} asks for. */
export interface Unpacking {
  /** The class or function of a reference. */
  resolve(reference: Reference): Exported;
  /** The tensor of numbers whose type is to be decided here. */
  collateNumbers?(numbers: readonly number[], place: number, path: string): unknown;
}

/** The value that another thread has packed. It can be unpacked once, since each tensor is received once. */
export function unpack(packed: Packed, { resolve, collateNumbers }: Unpacking): unknown {
  const seen: unknown[] = [];

  const remember = <T>(id: number, value: T): T => {
    seen[id] = value;
    return value;
  };
  const setFields = (target: object, keys: string[], values: Packed[]) => {
    for (const [i, key] of keys.entries()) {
      const value = visit(values[i]!);
      // defined and not assigned: a key such as __proto__ is a field like any other
      Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true });
    }
    return target;
  };

  const visit = (packed: Packed): unknown => {
    switch (packed.kind) {
      case "plain":
        return packed.value;
      case "tensor":
        return remember(packed.id, receive(packed.tensor));
      case "numbers":
        return collateNumbers!(packed.numbers, packed.place, packed.path);
      case "clone":
        return remember(packed.id, packed.value);
      case "array": {
        const array = remember(packed.id, [] as unknown[]);
        for (const item of packed.items) array.push(visit(item));
        return array;
      }
      case "object": {
        const object = remember(packed.id, packed.bare ? Object.create(null) : {});
        return setFields(object, packed.keys, packed.values);
      }
      case "map": {
        const map = remember(packed.id, new Map());
        const keys = packed.keys.map(visit);
        for (const [i, key] of keys.entries()) map.set(key, visit(packed.values[i]!));
        return map;
      }
      case "set": {
        const set = remember(packed.id, new Set());
        for (const value of packed.values) set.add(visit(value));
        return set;
      }
      case "buffer": {
        const { buffer, byteOffset, byteLength } = packed.bytes;
        return remember(packed.id, Buffer.from(buffer, byteOffset, byteLength));
      }
      case "url":
        return remember(packed.id, new URL(packed.href));
      case "generator":
        return remember(packed.id, new Generator().setState(receive(packed.state)));
      case "exported":
        return resolve(packed.reference);
      case "fields": {
        const { prototype } = resolve(packed.reference) as { prototype: object };
        return setFields(remember(packed.id, Object.create(prototype)), packed.keys, packed.values);
      }
      case "arguments": {
        const Class = resolve(packed.reference) as unknown as new (...args: unknown[]) => object;
        return remember(packed.id, new Class(...packed.values.map(visit)));
      }
      case "seen":
        if (!(packed.id in seen))
          throw new LevinError(
            "An object that is among its own workerArguments() cannot be made in a worker.",
          );
        return seen[packed.id];
    }
  };
  return visit(packed);
}

/** Receives and drops the tensors of something packed that nobody will unpack, since their memory would be kept. */
export function discard(packed: Packed): void {
  for (const part of parts(packed)) {
    if (part.kind === "tensor") receive(part.tensor);
    if (part.kind === "generator") receive(part.state);
  }
}

/** The modules that must be imported before something is unpacked. */
export function modulesOf(packed: Packed): Set<string> {
  const modules = new Set<string>();
  for (const part of parts(packed)) {
    if ("reference" in part) modules.add(part.reference.module);
  }
  return modules;
}

function* parts(packed: Packed): Iterable<Packed> {
  yield packed;
  if (packed.kind === "map") for (const key of packed.keys) yield* parts(key);
  if (packed.kind === "array") for (const item of packed.items) yield* parts(item);
  else if ("values" in packed) for (const value of packed.values) yield* parts(value);
}
