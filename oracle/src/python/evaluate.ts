import * as torch from "@levin/torch";
import { type Callable, functionIn, functionOf, member } from "../levin.js";
import { camelCase, camelCaseKeys } from "../names.js";
import { NotCovered } from "../report.js";
import { arrange, type Parameter, signatures } from "../signatures.js";
import type { Node } from "./parse.js";

/** A Python float: JavaScript cannot tell 3.0 from 3, Python and PyTorch do. */
export class PyFloat {
  constructor(readonly value: number) {}
}

/** A slice inside an index. */
class Slice {
  constructor(readonly parts: (number | null)[]) {}
}

/** A Python namespace such as `torch` or `F`: what an attribute of it is. */
class Space {
  constructor(readonly attribute: (name: string) => unknown) {}
}

/** A function that sees Python's arguments as they are (floats, keyword arguments). */
class PythonFunction {
  constructor(readonly call: (args: unknown[], kwargs: Record<string, unknown>) => unknown) {}
}

const DTYPES: ReadonlySet<string> = new Set([
  ...torch.dtypes,
  "float",
  "double",
  "half",
  "long",
  "int",
  "short",
]);
const DTYPE_ALIASES: Record<string, string> = {
  float: "float32",
  double: "float64",
  half: "float16",
  long: "int64",
  int: "int32",
  short: "int16",
};

/** Python floats to numbers, tuples and lists to arrays: what levin takes. */
function plain(value: unknown): unknown {
  if (value instanceof PyFloat) return value.value;
  return Array.isArray(value) ? value.map(plain) : value;
}

function plainKeys(kwargs: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(kwargs).map(([key, value]) => [key, plain(value)]));
}

function leaves(value: unknown): unknown[] {
  return Array.isArray(value) ? value.flatMap(leaves) : [value];
}

function ordinary(fn: Callable, signature?: Parameter[]): PythonFunction {
  return new PythonFunction((args, kwargs) => fn(...arrange(signature, args.map(plain), plainKeys(kwargs))));
}

/**
 * Functions whose result type PyTorch takes from the Python type of a number: levin gets the type by name, because there an
 * integer-valued number may come from either.
 */
const INFERRED: Record<string, (args: unknown[]) => unknown[]> = {
  tensor: (args) => leaves(args[0]),
  full: (args) => leaves(args[1]),
  arange: (args) => args,
};

function inferredType(values: unknown[]): string | undefined {
  if (values.some((v) => v instanceof PyFloat)) return "float32";
  if (values.every((v) => typeof v === "number" || typeof v === "bigint")) return "int64";
  return undefined;
}

function torchAttribute(name: string): unknown {
  if (DTYPES.has(name)) return DTYPE_ALIASES[name] ?? name;
  if (name === "nn")
    return new Space((inner) =>
      inner === "functional" ? functionalSpace : functionOf(torch.nn, "nn", inner),
    );
  if (["linalg", "fft", "special", "sparse"].includes(name))
    return new Space((inner) => ordinary(functionIn(name, inner)));
  if (name === "Generator") return new PythonFunction(() => new torch.Generator());
  if (name === "manual_seed") return ordinary(functionOf(torch, "torch", name));
  const fn = functionOf(torch, "torch", name);
  const inferred = INFERRED[name];
  if (inferred === undefined) return ordinary(fn);
  return new PythonFunction((args, kwargs) => {
    const type = "dtype" in kwargs ? undefined : inferredType(inferred(args));
    const options = plainKeys(camelCaseKeys(type === undefined ? kwargs : { ...kwargs, dtype: type }));
    return fn(...args.map(plain), ...(Object.keys(options).length > 0 ? [options] : []));
  });
}

const functionalSpace = new Space((name) =>
  ordinary(functionOf(torch.nn.functional, "nn.functional", name), signatures.functional[name]),
);

function float(name: string, fn: (...args: number[]) => number): [string, PythonFunction] {
  return [name, new PythonFunction((args) => new PyFloat(fn(...args.map(Number_))))];
}

const mathSpace = new Space((name) => {
  const value = member(Math, name);
  if (typeof value === "function") return float(name, value as (...args: number[]) => number)[1];
  if (name === "pi" || name === "e") return new PyFloat(name === "pi" ? Math.PI : Math.E);
  if (name === "inf" || name === "nan")
    return new PyFloat(name === "inf" ? Number.POSITIVE_INFINITY : Number.NaN);
  throw new NotCovered(`this reader knows no math.${name}`);
});

function extreme(better: (a: number, b: number) => boolean): PythonFunction {
  return new PythonFunction((args) => {
    const values = args.length === 1 && Array.isArray(args[0]) ? args[0] : args;
    return values.reduce((best, value) => (better(Number_(value), Number_(best)) ? value : best));
  });
}

/** What every expression may name: `torch`, `F`, `nn`, `math` and a few of Python's own functions. */
const BUILTINS: Record<string, unknown> = {
  torch: new Space(torchAttribute),
  F: functionalSpace,
  nn: new Space((name) => (name === "functional" ? functionalSpace : functionOf(torch.nn, "nn", name))),
  math: mathSpace,
  True: true,
  False: false,
  None: null,
  min: extreme((a, b) => a < b),
  max: extreme((a, b) => a > b),
  abs: new PythonFunction(([x]) =>
    x instanceof PyFloat ? new PyFloat(Math.abs(x.value)) : Math.abs(Number_(x)),
  ),
  float: new PythonFunction(
    ([x]) => new PyFloat(typeof x === "string" ? Number(x.replace("inf", "Infinity")) : Number_(x)),
  ),
  int: new PythonFunction(([x]) => Math.trunc(Number_(x))),
};

/** A number, whichever way it is held. */
function Number_(value: unknown): number {
  if (value instanceof PyFloat) return value.value;
  if (typeof value === "number" || typeof value === "bigint" || typeof value === "boolean")
    return Number(value);
  throw new TypeError(`wanted a number, got ${String(value)}`);
}

/** What a Python expression gives. `names` are the variables it may use besides the built-in ones. */
export function evaluate(node: Node, names: Record<string, unknown> = {}): unknown {
  return plain(value(node, names));
}

/** A function of numbers from an expression, e.g. of `t` from `0.95**t`. */
export function numberFunction(node: Node, variable: string): (x: number) => number {
  return (x) => Number_(value(node, { [variable]: x }));
}

function value(node: Node, names: Record<string, unknown>): unknown {
  switch (node.kind) {
    case "int":
      return node.value;
    case "float":
      return new PyFloat(node.value);
    case "string":
      return node.value;
    case "name":
      if (node.name in names) return names[node.name];
      if (node.name in BUILTINS) return BUILTINS[node.name];
      throw new NotCovered(`this reader knows no ${node.name}`);
    case "list":
    case "tuple":
      return node.items.map((item) => value(item, names));
    case "attribute":
      return attribute(value(node.of, names), node.name);
    case "call": {
      const args = node.args.map((arg) => value(arg, names));
      const kwargs = Object.fromEntries(node.kwargs.map(([key, arg]) => [key, value(arg, names)]));
      const callee = value(node.callee, names);
      if (!(callee instanceof PythonFunction))
        throw new TypeError(`cannot call ${JSON.stringify(node.callee)}`);
      return callee.call(args, kwargs);
    }
    case "index":
      return indexed(value(node.of, names), index(node.index, names));
    case "slice":
      return new Slice(node.parts.map((part) => (part === null ? null : Number_(value(part, names)))));
    case "unary":
      return unary(node.operator, value(node.operand, names));
    case "binary":
      return (
        shortCircuit(node, names) ?? binary(node.operator, value(node.left, names), value(node.right, names))
      );
    case "compare":
      return compare(
        value(node.first, names),
        node.rest.map(([operator, right]) => [operator, value(right, names)]),
      );
    case "if":
      return truth(value(node.test, names)) ? value(node.then, names) : value(node.otherwise, names);
  }
}

function attribute(of: unknown, name: string): unknown {
  if (of instanceof Space) return of.attribute(name);
  const found = member(of, camelCase(name));
  if (typeof found === "function") return ordinary((found as Callable).bind(of));
  if (name === "T" && of instanceof torch.Tensor) return (of as unknown as { t(): torch.Tensor }).t();
  if (found === undefined)
    throw new NotCovered(`no ${camelCase(name)} on ${(of as object).constructor.name} in @levin/torch`);
  return found;
}

function index(node: Node, names: Record<string, unknown>): unknown {
  const one = (part: Node) => {
    const got = value(part, names);
    if (!(got instanceof Slice)) return plain(got);
    const [from = null, to = null, step = null] = got.parts;
    return (torch.slice as Callable)(from, to, ...(step === null ? [] : [step]));
  };
  if (node.kind === "list") return [one(node)]; // for one dimension, where a tuple is for several
  return node.kind === "tuple" ? node.items.map(one) : one(node);
}

function indexed(of: unknown, at: unknown): unknown {
  if (of instanceof torch.Tensor) return (of as unknown as { get(at: unknown): unknown }).get(at);
  if (Array.isArray(of) && typeof at === "number") return of.at(at);
  throw new TypeError("cannot index this");
}

function truth(value: unknown): boolean {
  if (value instanceof PyFloat) return value.value !== 0;
  return Array.isArray(value) ? value.length > 0 : Boolean(value);
}

function shortCircuit(node: Node & { kind: "binary" }, names: Record<string, unknown>): unknown {
  if (node.operator !== "and" && node.operator !== "or") return undefined;
  const left = value(node.left, names);
  return truth(left) === (node.operator === "or") ? left : value(node.right, names);
}

function unary(operator: string, operand: unknown): unknown {
  if (operator === "not") return !truth(operand);
  if (operand instanceof torch.Tensor)
    return operator === "-" ? (operand as unknown as { neg(): unknown }).neg() : operand;
  if (operator === "+") return operand;
  if (operand instanceof PyFloat) return new PyFloat(-operand.value);
  return typeof operand === "bigint" ? -operand : -Number_(operand);
}

const TENSOR_OPERATORS: Record<string, string> = {
  "+": "add",
  "-": "sub",
  "*": "mul",
  "/": "div",
  "**": "pow",
  "@": "matmul",
  "%": "remainder",
};

const TENSOR_COMPARISONS: Record<string, string> = {
  "==": "eq",
  "!=": "ne",
  "<": "lt",
  "<=": "le",
  ">": "gt",
  ">=": "ge",
};

function tensorOperator(operator: string, left: unknown, right: unknown): unknown {
  const name = TENSOR_OPERATORS[operator];
  if (name === undefined) throw new NotCovered(`this reader knows no ${operator} between tensors`);
  if (left instanceof torch.Tensor) return (member(left, name) as Callable).call(left, plain(right));
  const tensor = right as torch.Tensor;
  const scalar = (torch.tensor as Callable)(plain(left), { dtype: tensor.dtype });
  return (member(scalar, name) as Callable).call(scalar, tensor);
}

function binary(operator: string, left: unknown, right: unknown): unknown {
  if (left instanceof torch.Tensor || right instanceof torch.Tensor)
    return tensorOperator(operator, left, right);
  if (operator === "+" && Array.isArray(left) && Array.isArray(right)) return [...left, ...right];
  const isFloat = left instanceof PyFloat || right instanceof PyFloat || operator === "/";
  if (isFloat || (operator === "**" && Number_(right) < 0)) {
    return new PyFloat(arithmetic(operator, Number_(left), Number_(right)));
  }
  const exact = integers(operator, BigInt(left as number | bigint), BigInt(right as number | bigint));
  return Number.isSafeInteger(Number(exact)) ? Number(exact) : exact;
}

function arithmetic(operator: string, a: number, b: number): number {
  switch (operator) {
    case "+":
      return a + b;
    case "-":
      return a - b;
    case "*":
      return a * b;
    case "/":
      return a / b;
    case "//":
      return Math.floor(a / b);
    case "%":
      return a - b * Math.floor(a / b);
    case "**":
      return a ** b;
    default:
      throw new NotCovered(`this reader knows no ${operator} between numbers`);
  }
}

function integers(operator: string, a: bigint, b: bigint): bigint {
  const remainder = (x: bigint, y: bigint) => ((x % y) + y) % y;
  switch (operator) {
    case "+":
      return a + b;
    case "-":
      return a - b;
    case "*":
      return a * b;
    case "//":
      return (a - remainder(a, b)) / b;
    case "%":
      return remainder(a, b);
    case "**":
      return a ** b;
    default:
      throw new NotCovered(`this reader knows no ${operator} between integers`);
  }
}

function compare(first: unknown, rest: [string, unknown][]): unknown {
  const [only, ...others] = rest;
  if (first instanceof torch.Tensor && only !== undefined && others.length === 0) {
    return (member(first, TENSOR_COMPARISONS[only[0]] as string) as Callable).call(first, plain(only[1]));
  }
  let left = first;
  for (const [operator, right] of rest) {
    if (!compareTwo(operator, left, right)) return false;
    left = right;
  }
  return true;
}

function compareTwo(operator: string, left: unknown, right: unknown): boolean {
  if (typeof left === "string" || typeof right === "string") return (left === right) === (operator === "==");
  const [a, b] = [Number_(left), Number_(right)];
  switch (operator) {
    case "==":
      return a === b;
    case "!=":
      return a !== b;
    case "<":
      return a < b;
    case "<=":
      return a <= b;
    case ">":
      return a > b;
    default:
      return a >= b;
  }
}
