import { Complex } from "./complex.js";
import { defaultDevice } from "./device.js";
import { ArgumentError } from "./errors.js";
import { type Handle, native } from "./native.js";
import { Generator } from "./random.js";
import { Tensor } from "./tensor.js";

const { call: callNative, findOperator } = native;

/** Names of several results, for operators that give them as an object. */
type ResultNames = readonly string[] | undefined;

/** What the addon takes at most: arguments, and names with values of options. */
const MOST_VALUES = 76;
/** Longer lists are refused rather than converted element by element. */
const LONGEST_LIST = 2 ** 24;

const isPlainObject = (value: object): boolean => {
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
};

/** A value as the addon takes it: handles instead of tensors and generators. */
function unwrap(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Tensor || value instanceof Generator) return value.handle;
  if (Array.isArray(value)) return unwrapList(value);
  if (ArrayBuffer.isView(value) && !(value instanceof DataView))
    return unwrapList(value as unknown as ArrayLike<unknown>);
  return value;
}

function unwrapList(list: ArrayLike<unknown>): unknown[] {
  if (list.length > LONGEST_LIST) {
    throw new ArgumentError(
      `a list of ${list.length} elements is too long for an argument; make a tensor of it`,
    );
  }
  const result: unknown[] = [];
  for (let i = 0; i < list.length; i++) {
    const element = list[i];
    result.push(element instanceof Tensor ? element.handle : element);
  }
  return result;
}

/** A result as users see it: tensors instead of handles. What is no list and no complex number is a handle, which has no properties. */
function wrap(result: unknown): unknown {
  if (typeof result !== "object" || result === null) return result;
  if (Array.isArray(result)) return result.map(wrap);
  const { re, im } = result as { re?: number; im?: number };
  return re === undefined ? new Tensor(result as Handle) : new Complex(re, im as number);
}

/** The result of an operator: what it gave, or where it has only written into its arguments the one it wrote to. */
function finish(result: unknown, written: unknown, names: ResultNames): unknown {
  if (result === undefined) return written;
  if (names === undefined || !Array.isArray(result) || result.length !== names.length) return wrap(result);
  const object: Record<string, unknown> = {};
  for (let i = 0; i < names.length; i++) object[names[i] as string] = wrap(result[i]);
  return object;
}

/** Calls with anything that is not just a few tensors and numbers: lists, generators, options. */
function callGeneral(
  operator: number,
  self: Tensor | undefined,
  args: ArrayLike<unknown>,
  names: ResultNames,
): unknown {
  const values: unknown[] = [operator];
  if (self !== undefined) values.push(self.handle);
  let options: Record<string, unknown> | undefined;
  for (let i = 0; i < args.length; i++) {
    const arg = args[i];
    if (
      i === args.length - 1 &&
      typeof arg === "object" &&
      arg !== null &&
      isPlainObject(arg) &&
      !isComplexLike(arg)
    ) {
      options = arg as Record<string, unknown>;
    } else {
      values.push(unwrap(arg));
    }
  }
  values[0] = operator + values.length - 1;
  let requiresGrad = false;
  if (options !== undefined) {
    for (const key in options) {
      const value = options[key];
      if (key === "requiresGrad") requiresGrad = flag(value);
      else if (value !== undefined) values.push(key, unwrap(value));
    }
  }
  if (values.length > MOST_VALUES + 1) {
    throw new ArgumentError(
      `too many arguments: ${values.length - 1} were given; give a list of numbers as one array`,
    );
  }
  const result = finish(
    callNative(...(values as Parameters<typeof callNative>)),
    options?.out ?? self ?? args[0],
    names,
  );
  if (requiresGrad && result instanceof Tensor) result.requiresGrad = true;
  return result;
}

/** `{ re, im }` is a number, not options: no operator has options of these names. */
function isComplexLike(value: object): boolean {
  return "re" in value && "im" in value;
}

function flag(value: unknown): boolean {
  if (typeof value === "boolean" || value === undefined) return value === true;
  throw new ArgumentError(`requiresGrad must be true or false, got ${String(value)}`);
}

/** Stands for a value that {@link callGeneral} has to look at. */
const general = Symbol("general");

/** What the addon takes for a tensor, or for a value that is no object. */
function plain(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  return value instanceof Tensor ? value.handle : general;
}

/** A function over an operator of libtorch; the operator is looked up at the first call. */
export function makeFunction(name: string, names?: readonly string[]): (...args: never[]) => unknown {
  let operator = -1;
  return function (a?: unknown, b?: unknown, c?: unknown): unknown {
    if (operator < 0) operator = findOperator(name);
    if (a instanceof Tensor) {
      // biome-ignore lint/complexity/noArguments: makes no array on the way, where few arguments are the most common case
      switch (arguments.length) {
        case 1:
          return finish(callNative(operator + 1, a.handle), a, names);
        case 2: {
          const second = plain(b);
          if (second !== general) return finish(callNative(operator + 2, a.handle, second), a, names);
          break;
        }
        case 3: {
          const second = plain(b);
          const third = plain(c);
          if (second !== general && third !== general)
            return finish(callNative(operator + 3, a.handle, second, third), a, names);
        }
      }
    } else if (Array.isArray(a)) {
      // biome-ignore lint/complexity/noArguments: see above
      switch (arguments.length) {
        case 1:
          return finish(callNative(operator + 1, unwrapList(a)), a, names);
        case 2: {
          const second = plain(b);
          if (second !== general) return finish(callNative(operator + 2, unwrapList(a), second), a, names);
        }
      }
    }
    // biome-ignore lint/complexity/noArguments: see above
    return callGeneral(operator, undefined, arguments, names);
  };
}

/** A function over an operator that makes tensors: on the default device where none is named. */
export function makeFactory(name: string, names?: readonly string[]): (...args: never[]) => unknown {
  let operator = -1;
  return (...args: unknown[]) => {
    if (operator < 0) operator = findOperator(name);
    const [like] = args;
    if (args.length === 1 && like instanceof Tensor && defaultDevice === undefined)
      return finish(callNative(operator + 1, like.handle), like, names);
    const given = defaultDevice === undefined ? args : withDevice(args, defaultDevice);
    return callGeneral(operator, undefined, given, names);
  };
}

function withDevice(args: readonly unknown[], device: string): unknown[] {
  const last = args.at(-1);
  const hasOptions = typeof last === "object" && last !== null && isPlainObject(last);
  const options = hasOptions ? (last as Record<string, unknown>) : {};
  return [...(hasOptions ? args.slice(0, -1) : args), { ...options, device: options.device ?? device }];
}

/** Adds operators as methods of {@link Tensor}: `[method, operator, names of the results]`. */
export function installMethods(table: readonly (readonly [string, string, (readonly string[])?])[]): void {
  for (const [method, name, names] of table) {
    Object.defineProperty(Tensor.prototype, method, {
      configurable: true,
      writable: true,
      value: makeMethod(name, names),
    });
  }
}

function makeMethod(name: string, names: ResultNames): (this: Tensor, ...args: never[]) => unknown {
  let operator = -1;
  return function (this: Tensor, a?: unknown, b?: unknown, c?: unknown): unknown {
    if (operator < 0) operator = findOperator(name);
    // biome-ignore lint/complexity/noArguments: makes no array on the way, where few arguments are the most common case
    switch (arguments.length) {
      case 0:
        return finish(callNative(operator + 1, this.handle), this, names);
      case 1: {
        const first = plain(a);
        if (first !== general) return finish(callNative(operator + 2, this.handle, first), this, names);
        break;
      }
      case 2: {
        const first = plain(a);
        const second = plain(b);
        if (first !== general && second !== general)
          return finish(callNative(operator + 3, this.handle, first, second), this, names);
        break;
      }
      case 3: {
        const first = plain(a);
        const second = plain(b);
        const third = plain(c);
        if (first !== general && second !== general && third !== general)
          return finish(callNative(operator + 4, this.handle, first, second, third), this, names);
      }
    }
    // biome-ignore lint/complexity/noArguments: see above
    return callGeneral(operator, this, arguments, names);
  };
}

const operators = new Map<string, number>();

/** Calls any operator by its full name, also an unsafe one: for the package itself. Users get {@link callByName}. */
export function call(name: string, ...args: unknown[]): unknown {
  let operator = operators.get(name);
  if (operator === undefined) {
    operator = findOperator(name);
    operators.set(name, operator);
  }
  return callGeneral(operator, undefined, args, undefined);
}
