import { Complex } from "./complex.js";
import { ArgumentError } from "./errors.js";
import { type Handle, native } from "./native.js";
import { Generator } from "./random.js";
import { Tensor } from "./tensor.js";

/** Names of several results, for operators that give them as an object. */
type ResultNames = readonly string[] | undefined;

const isPlainObject = (value: object): boolean => {
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
};

/** A value as the addon takes it: handles instead of tensors and generators. */
function unwrap(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Tensor) return value.handle;
  if (Array.isArray(value)) return value.map(unwrap);
  if (value instanceof Generator) return value.handle;
  if (ArrayBuffer.isView(value) && !(value instanceof DataView)) return Array.from(value as unknown as ArrayLike<number>);
  return value;
}

/** A result as users see it: tensors instead of handles. Only handles have no prototype. */
function wrap(result: unknown): unknown {
  if (typeof result !== "object" || result === null) return result;
  if (Array.isArray(result)) return result.map(wrap);
  if (Object.getPrototypeOf(result) === null) return Tensor.wrap(result as Handle);
  const { re, im } = result as { re: number; im: number };
  return new Complex(re, im);
}

function named(result: unknown, names: ResultNames): unknown {
  if (names === undefined || !Array.isArray(result) || result.length !== names.length) return wrap(result);
  return Object.fromEntries(names.map((name, i) => [name, wrap(result[i])]));
}

/** Calls with anything that is not just a few tensors and numbers: lists, generators, options. */
function callGeneral(operator: number, self: Tensor | undefined, args: readonly unknown[], names: ResultNames): unknown {
  const values: unknown[] = [];
  if (self !== undefined) values.push(self.handle);
  let options: Record<string, unknown> | undefined;
  for (let i = 0; i < args.length; i++) {
    const arg = args[i];
    if (i === args.length - 1 && typeof arg === "object" && arg !== null && isPlainObject(arg)) {
      options = arg as Record<string, unknown>;
    } else {
      values.push(unwrap(arg));
    }
  }
  const positional = values.length;
  let requiresGrad = false;
  if (options !== undefined) {
    for (const key in options) {
      if (key === "requiresGrad") {
        requiresGrad = options[key] === true;
      } else if (options[key] !== undefined) {
        values.push(key, unwrap(options[key]));
      }
    }
  }
  if (values.length > 76) {
    throw new ArgumentError(`too many arguments: ${values.length} were given; give a list of numbers as one array`);
  }
  const result = native.call(operator, positional, ...values);
  if (result === undefined) return written(self, args, options);
  const wrapped = named(result, names);
  if (requiresGrad && wrapped instanceof Tensor) wrapped.requiresGrad = true;
  return wrapped;
}

/** The result of an operator that has only written into its arguments: `out` where it was given, else the tensor it changed. */
function written(self: Tensor | undefined, args: readonly unknown[], options: Record<string, unknown> | undefined): unknown {
  if (options?.out !== undefined) return options.out;
  return self ?? args[0];
}

/** Calls an operator; the ways with up to two tensors or numbers make no lists on the way. */
function run(operator: number, self: Tensor, args: readonly unknown[], names: ResultNames): unknown {
  let result: unknown;
  const count = args.length;
  if (count === 0) {
    result = native.call(operator, 1, self.handle);
  } else if (count === 1) {
    const a = args[0];
    if (a instanceof Tensor) result = native.call(operator, 2, self.handle, a.handle);
    else if (typeof a !== "object") result = native.call(operator, 2, self.handle, a);
    else return callGeneral(operator, self, args, names);
  } else {
    return callGeneral(operator, self, args, names);
  }
  if (result === undefined) return self;
  if (names !== undefined || typeof result !== "object" || result === null || Array.isArray(result)) return named(result, names);
  if (Object.getPrototypeOf(result) === null) return Tensor.wrap(result as Handle);
  return wrap(result);
}

/** A function over an operator of libtorch; the operator is looked up at the first call. */
export function makeFunction(name: string, names?: readonly string[]): (...args: never[]) => unknown {
  let operator = -1;
  return (...args: unknown[]) => {
    if (operator < 0) operator = native.findOperator(name);
    const first = args[0];
    if (first instanceof Tensor && args.length <= 2) return run(operator, first, args.slice(1), names);
    return callGeneral(operator, undefined, args, names);
  };
}

/** Adds operators as methods of {@link Tensor}: `[method, operator, names of the results]`. */
export function installMethods(table: readonly (readonly [string, string, (readonly string[])?])[]): void {
  for (const [method, name, names] of table) {
    let operator = -1;
    Object.defineProperty(Tensor.prototype, method, {
      configurable: true,
      writable: true,
      value(this: Tensor, ...args: unknown[]) {
        if (operator < 0) operator = native.findOperator(name);
        return run(operator, this, args, names);
      },
    });
  }
}

const operators = new Map<string, number>();

/**
 * Calls any operator that libtorch registers, by its full name, also those without a typed function.
 *
 * ```ts
 * ops.call("aten::_softmax", x, 1, false)
 * ```
 *
 * @param name such as `"aten::add"`; the form is chosen by the arguments
 * @param args as for every function here: by position, then one object with further ones by their camelCase name
 * @throws ArgumentError where the operator does not exist or takes other arguments
 */
export function call(name: string, ...args: unknown[]): unknown {
  let operator = operators.get(name);
  if (operator === undefined) {
    operator = native.findOperator(name);
    operators.set(name, operator);
  }
  return callGeneral(operator, undefined, args, undefined);
}
