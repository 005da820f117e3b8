import { callNode, hashable, isAllowed, setState } from "./calls.js";
import type { Cursor } from "./cursor.js";
import { SerializationError } from "./errors.js";
import { BytearrayNode, DictNode, GlobalNode, isTensorNode, ListNode, ObjectNode, SetNode } from "./nodes.js";
import { PyFloat, Tuple } from "./python.js";
import { decodeText } from "./text.js";

/** How a pickle is read. */
export interface PickleOptions {
  /** Whether a name that is not in the table of `calls.ts` may be there. Default: none may. */
  permits?: (path: string) => boolean;
  /** Gives what the pickle refers to outside of itself: storages. Default: nothing is there. */
  persistent?: (id: unknown) => object;
}

/** What a pickle describes. */
export interface Pickled {
  /** Values, and the nodes of `nodes.ts`. */
  root: unknown;
  /** The nodes that may be at more than one place. */
  shared: ReadonlySet<unknown>;
}

// What a pickle makes must have a reason in its size: instructions of a few bytes can copy what others have made, again and again.
const freeWork = 100_000;
const workPerByte = 0.4;
/** What a call makes takes as much memory as this many small lists, and a tensor as this many. */
const callWork = 2;
const tensorWork = 6;
/** So many parts of what a call is given are no work of their own: those of most tensors. */
const freeParts = 8;
const maxLine = 1 << 20;
const maxIntegerBytes = 1 << 16;
/** As Python: longer ones take quadratic time. */
const maxIntegerDigits = 4300;

/**
 * Reads one pickle of protocol 0 to 5 and gives what it describes, as the values and nodes of `nodes.ts`.
 *
 * A pickle is a program for a small stack machine. This machine has the instructions that make values; those that make Python
 * import or call something only look a name up in a table.
 *
 * @throws SerializationError where the pickle is damaged or names what is not allowed
 * @see https://docs.python.org/3/library/pickletools.html
 */
export function readPickle(cursor: Cursor, options: PickleOptions = {}): Pickled {
  const machine = new Machine(cursor, options);
  while (!machine.step(cursor.byte())) {}
  return { root: machine.result(), shared: machine.shared };
}

class Machine {
  readonly #cursor: Cursor;
  readonly #options: PickleOptions;
  readonly #stack: unknown[] = [];
  /** The height of the stack at each mark. */
  readonly #marks: number[] = [];
  /** What was remembered, where it was numbered from 0 on as Python does, and the rest. */
  readonly #memo: unknown[] = [];
  readonly #strayMemo = new Map<number, unknown>();
  readonly #globals = new Map<string, GlobalNode>();
  readonly shared = new Set<unknown>();
  readonly #start: number;
  #work = 0;

  constructor(cursor: Cursor, options: PickleOptions) {
    this.#cursor = cursor;
    this.#options = options;
    this.#start = cursor.position;
  }

  result(): unknown {
    return this.#pop();
  }

  /** One instruction; true after the last. */
  step(code: number): boolean {
    const cursor = this.#cursor;
    switch (code) {
      case 0x80: // PROTO
        return this.#protocol(cursor.byte());
      case 0x95: // FRAME: only a hint for buffering
        cursor.take(8);
        return false;
      case 0x2e: // STOP
        return true;
      case 0x28: // MARK
        this.#marks.push(this.#stack.length);
        return false;
      case 0x30: // POP
        if (this.#marks.at(-1) === this.#stack.length) this.#marks.pop();
        else this.#pop();
        return false;
      case 0x31: // POP_MARK
        this.#popMark();
        return false;
      case 0x32: // DUP
        return this.#pushShared(this.#top());

      case 0x4e: // NONE
        return this.#push(null);
      case 0x88: // NEWTRUE
        return this.#push(true);
      case 0x89: // NEWFALSE
        return this.#push(false);
      case 0x4a: // BININT
        return this.#push(cursor.view(4).getInt32(0, true));
      case 0x4b: // BININT1
        return this.#push(cursor.byte());
      case 0x4d: // BININT2
        return this.#push(cursor.view(2).getUint16(0, true));
      case 0x8a: // LONG1
        return this.#push(longOf(cursor.take(cursor.byte())));
      case 0x8b: // LONG4
        return this.#push(longOf(cursor.take(this.#length4(maxIntegerBytes))));
      case 0x49: // INT
        return this.#push(this.#integerLine());
      case 0x4c: // LONG
        return this.#push(this.#integerLine());
      case 0x47: // BINFLOAT
        return this.#push(this.#float(cursor.view(8).getFloat64(0)));
      case 0x46: // FLOAT
        return this.#push(this.#float(floatOf(this.#line())));

      case 0x58: // BINUNICODE
        return this.#push(decodeText(cursor.take(this.#length4())));
      case 0x8c: // SHORT_BINUNICODE
        return this.#push(decodeText(cursor.take(cursor.byte())));
      case 0x8d: // BINUNICODE8
        return this.#push(decodeText(cursor.take(this.#length8())));
      case 0x56: // UNICODE
        return this.#push(unescapeUnicode(this.#line()));
      case 0x55: // SHORT_BINSTRING
        return this.#push(textOfPython2(cursor.take(cursor.byte())));
      case 0x54: // BINSTRING
        return this.#push(textOfPython2(cursor.take(this.#length4())));
      case 0x53: // STRING
        return this.#push(unquote(this.#line()));
      case 0x43: // SHORT_BINBYTES
        return this.#push(cursor.take(cursor.byte()).slice());
      case 0x42: // BINBYTES
        return this.#push(cursor.take(this.#length4()).slice());
      case 0x8e: // BINBYTES8
        return this.#push(cursor.take(this.#length8()).slice());
      case 0x96: // BYTEARRAY8
        return this.#pushMade(new BytearrayNode(cursor.take(this.#length8()).slice()));

      case 0x5d: // EMPTY_LIST
        return this.#pushMade(new ListNode());
      case 0x6c: // LIST
        return this.#pushMade(listOf(this.#popMark()));
      case 0x61: // APPEND
        this.#append([this.#pop()]);
        return false;
      case 0x65: // APPENDS
        this.#append(this.#popMark());
        return false;
      case 0x29: // EMPTY_TUPLE
        return this.#pushMade(new Tuple());
      case 0x74: // TUPLE
        return this.#pushMade(tupleOf(this.#popMark()));
      case 0x85: // TUPLE1
      case 0x86: // TUPLE2
      case 0x87: // TUPLE3
        return this.#pushMade(tupleOf(this.#popMany(code - 0x84)));
      case 0x7d: // EMPTY_DICT
        return this.#pushMade(new DictNode());
      case 0x64: {
        // DICT
        const items = this.#popMark();
        this.#pushMade(new DictNode());
        this.#setItems(items);
        return false;
      }
      case 0x73: // SETITEM
        this.#setItems(this.#popMany(2));
        return false;
      case 0x75: // SETITEMS
        this.#setItems(this.#popMark());
        return false;
      case 0x8f: // EMPTY_SET
        return this.#pushMade(new SetNode());
      case 0x90: // ADDITEMS
        this.#addItems(this.#popMark());
        return false;
      case 0x91: // FROZENSET
        return this.#pushMade(setOf(this.#popMark()));

      case 0x71: // BINPUT
        return this.#remember(cursor.byte());
      case 0x72: // LONG_BINPUT
        return this.#remember(cursor.view(4).getUint32(0, true));
      case 0x70: // PUT
        return this.#remember(indexOf(this.#line()));
      case 0x94: // MEMOIZE
        return this.#remember(this.#memo.length + this.#strayMemo.size);
      case 0x68: // BINGET
        return this.#recall(cursor.byte());
      case 0x6a: // LONG_BINGET
        return this.#recall(cursor.view(4).getUint32(0, true));
      case 0x67: // GET
        return this.#recall(indexOf(this.#line()));

      case 0x63: // GLOBAL
        return this.#push(this.#global(this.#line(), this.#line()));
      case 0x93: {
        // STACK_GLOBAL
        const name = this.#pop();
        return this.#push(this.#global(this.#pop(), name));
      }
      case 0x52: // REDUCE
      case 0x81: {
        // NEWOBJ
        const args = this.#pop();
        return this.#pushMade(this.#call(this.#pop(), args));
      }
      case 0x92: {
        // NEWOBJ_EX
        const kwargs = this.#pop();
        const args = this.#pop();
        return this.#pushMade(this.#call(this.#pop(), args, kwargs));
      }
      case 0x69: {
        // INST
        const callee = this.#global(this.#line(), this.#line());
        return this.#pushMade(this.#call(callee, tupleOf(this.#popMark())));
      }
      case 0x6f: {
        // OBJ
        const [callee, ...args] = this.#popMark();
        return this.#pushMade(this.#call(callee, tupleOf(args)));
      }
      case 0x62: {
        // BUILD
        const state = this.#pop();
        this.#workFor(this.#consume(state));
        setState(this.#top(), state);
        return false;
      }
      case 0x51: // BINPERSID
        return this.#push(this.#persistent(this.#pop()));
      default:
        throw new SerializationError(
          `the pickle has the instruction 0x${code.toString(16)}, which is unknown or has no place in a file of torch.save`,
        );
    }
  }

  #protocol(version: number): false {
    if (version > 5) throw new SerializationError(`pickle protocol ${version} is not known; 0 to 5 are`);
    return false;
  }

  #push(value: unknown): false {
    this.#stack.push(value);
    return false;
  }

  #pushMade(value: object): false {
    this.#workFor(1);
    return this.#push(value);
  }

  #pushShared(value: unknown): false {
    if (typeof value === "object" && value !== null) this.shared.add(value);
    return this.#push(value);
  }

  #workFor(amount: number): void {
    this.#work += amount;
    if (this.#work > freeWork + workPerByte * (this.#cursor.position - this.#start)) {
      throw new SerializationError("the pickle makes more than its size can explain");
    }
  }

  #requireAboveMark(count: number): void {
    if (this.#stack.length - (this.#marks.at(-1) ?? 0) < count) {
      throw new SerializationError("the pickle takes more from its stack than there is");
    }
  }

  #pop(): unknown {
    this.#requireAboveMark(1);
    return this.#stack.pop();
  }

  #top(): unknown {
    this.#requireAboveMark(1);
    return this.#stack.at(-1);
  }

  #popMany(count: number): unknown[] {
    this.#requireAboveMark(count);
    return this.#stack.splice(this.#stack.length - count, count);
  }

  #popMark(): unknown[] {
    const mark = this.#marks.pop();
    if (mark === undefined)
      throw new SerializationError("the pickle takes a mark from its stack that is not there");
    return this.#stack.splice(mark);
  }

  #append(items: unknown[]): void {
    const list = this.#top();
    if (list instanceof ListNode && !(list instanceof SetNode)) list.add(items);
    else if (list instanceof ObjectNode) list.items.add(items);
    else throw new SerializationError("the pickle appends to something that is not a list");
  }

  #setItems(items: unknown[]): void {
    const dict = this.#top();
    if (!(dict instanceof DictNode || dict instanceof ObjectNode)) {
      throw new SerializationError("the pickle sets an item of something that is not a dictionary");
    }
    if (items.length % 2 !== 0) throw new SerializationError("the pickle gives a key without a value");
    for (let i = 0; i < items.length; i += 2) hashable(items[i]);
    (dict instanceof DictNode ? dict : dict.entries).add(items);
  }

  #addItems(items: unknown[]): void {
    const set = this.#top();
    if (!(set instanceof SetNode)) {
      throw new SerializationError("the pickle adds to something that is not a set");
    }
    items.forEach(hashable);
    set.add(items);
  }

  #remember(index: number): false {
    if (index <= this.#memo.length) this.#memo[index] = this.#top();
    else this.#strayMemo.set(index, this.#top());
    return false;
  }

  #recall(index: number): false {
    const value = index < this.#memo.length ? this.#memo[index] : this.#strayMemo.get(index);
    if (value === undefined) {
      throw new SerializationError(`the pickle refers to entry ${index} of its memo, which is not there`);
    }
    return this.#pushShared(value);
  }

  #line(): string {
    return decodeText(this.#cursor.line(maxLine));
  }

  #length4(max = Number.POSITIVE_INFINITY): number {
    const length = this.#cursor.view(4).getUint32(0, true);
    if (length > max)
      throw new SerializationError(
        `an integer of ${length} bytes is longer than the ${max} that are allowed`,
      );
    return length;
  }

  #length8(): number {
    return Number(this.#cursor.view(8).getBigUint64(0, true));
  }

  #float(value: number): number | PyFloat {
    // Others are not mistaken for integers when they are written again.
    return Number.isSafeInteger(value) ? new PyFloat(value) : value;
  }

  #integerLine(): number | bigint | boolean {
    const line = this.#line();
    if (line === "00") return false;
    if (line === "01") return true;
    const digits = line.replace(/L$/, "");
    if (!/^[+-]?\d+$/.test(digits) || digits.length > maxIntegerDigits) {
      throw new SerializationError(`${JSON.stringify(line.slice(0, 40))} in the pickle is not an integer`);
    }
    return smallest(BigInt(digits));
  }

  #global(module: unknown, name: unknown): GlobalNode {
    if (typeof module !== "string" || typeof name !== "string")
      throw new SerializationError("a name in the pickle is not a text");
    const known = currentModule.get(module) ?? module;
    const path = `${known}.${name}`;
    let global = this.#globals.get(path);
    if (global === undefined) {
      if (!isAllowed(known, name) && !this.#permits(path)) {
        throw new SerializationError(
          `the file names ${path.slice(0, 200)}, which is not among what may be loaded safely. ` +
            "With weightsOnly: false, or this name in safeGlobals, it is read as an inert record (nothing of it is executed).",
        );
      }
      global = new GlobalNode(known, name);
      this.#globals.set(path, global);
    }
    return global;
  }

  #permits(path: string): boolean {
    return this.#options.permits?.(path) ?? false;
  }

  #call(callee: unknown, args: unknown, kwargs?: unknown): object {
    this.#workFor(callWork + this.#consume(args) + this.#consume(kwargs));
    const made = callNode(callee, args, kwargs, (path) => this.#permits(path));
    if (isTensorNode(made)) this.#workFor(tensorWork);
    return made;
  }

  /**
   * Tells how much a call has to go through: what it is given, and what is inside of that. Where one of these is shared, so is what
   * it contains, because a call may take it out.
   */
  #consume(value: unknown, depth = 3): number {
    if (typeof value === "string" || value instanceof Uint8Array) return value.length / 16;
    const parts = partsOf(value);
    if (parts === undefined || depth === 0) return 0;
    const isShared = this.shared.has(value);
    let work = Math.max(0, parts.length - freeParts);
    for (const part of parts) {
      if (isShared && typeof part === "object") this.shared.add(part);
      work += this.#consume(part, depth - 1);
    }
    return work;
  }

  #persistent(id: unknown): object {
    if (this.#options.persistent === undefined) {
      throw new SerializationError("the pickle refers to something outside of it");
    }
    return this.#options.persistent(id);
  }
}

function partsOf(value: unknown): readonly unknown[] | undefined {
  if (value instanceof Tuple) return value;
  if (value instanceof ListNode) return value.items;
  return value instanceof DictNode ? value.pairs : undefined;
}

/** Where what old versions of Python, NumPy and PyTorch name is now. */
const currentModule: ReadonlyMap<string, string> = new Map([
  ["__builtin__", "builtins"],
  ["copy_reg", "copyreg"],
  ["numpy.core.multiarray", "numpy._core.multiarray"],
  ["numpy.core.numeric", "numpy._core.numeric"],
  ["torch.tensor", "torch._tensor"],
]);

/** Makes the array itself a tuple: one that grows would take much more than its few elements need. */
function tupleOf(items: unknown[]): Tuple {
  return Object.setPrototypeOf(items, Tuple.prototype) as Tuple;
}

function listOf(items: unknown[]): ListNode {
  const list = new ListNode();
  list.add(items);
  return list;
}

function setOf(items: unknown[]): SetNode {
  items.forEach(hashable);
  const set = new SetNode();
  set.add(items);
  return set;
}

function smallest(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** Little-endian two's complement of any length. */
function longOf(bytes: Uint8Array): number | bigint {
  if (bytes.length === 0) return 0;
  const hex = Buffer.from(bytes).reverse().toString("hex");
  return smallest(BigInt.asIntN(8 * bytes.length, BigInt(`0x${hex}`)));
}

function floatOf(line: string): number {
  const value = Number(line.replace(/^([+-]?)inf$/, "$1Infinity").replace(/^[+-]?nan$/, "NaN"));
  if (Number.isNaN(value) && !/nan/.test(line))
    throw new SerializationError(`${JSON.stringify(line.slice(0, 40))} in the pickle is not a float`);
  return value;
}

function indexOf(line: string): number {
  if (!/^\d{1,10}$/.test(line))
    throw new SerializationError(
      `${JSON.stringify(line.slice(0, 40))} in the pickle is not an index of the memo`,
    );
  return Number(line);
}

/** Texts of Python 2 are bytes in an encoding that the file does not name. */
function textOfPython2(bytes: Uint8Array): string {
  try {
    return decodeText(bytes);
  } catch {
    return Buffer.from(bytes).toString("latin1");
  }
}

function unescapeUnicode(line: string): string {
  return line.replace(/\\u([0-9a-fA-F]{4})|\\U([0-9a-fA-F]{8})/g, (all, short?: string, long?: string) => {
    const code = Number.parseInt(short ?? long ?? "", 16);
    return code > 0x10ffff ? all : String.fromCodePoint(code);
  });
}

const escapes: Readonly<Record<string, string>> = {
  n: "\n",
  t: "\t",
  r: "\r",
  "\\": "\\",
  "'": "'",
  '"': '"',
};

function unquote(line: string): string {
  const quote = line[0];
  if (line.length < 2 || (quote !== "'" && quote !== '"') || line.at(-1) !== quote) {
    throw new SerializationError("a text in the pickle has no quotes");
  }
  return line
    .slice(1, -1)
    .replace(/\\(?:x([0-9a-fA-F]{2})|(.))/g, (all, hex?: string, letter = "") =>
      hex === undefined ? (escapes[letter] ?? all) : String.fromCharCode(Number.parseInt(hex, 16)),
    );
}
