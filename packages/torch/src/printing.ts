import { requireOptions } from "./checks.js";
import type { Complex } from "./complex.js";
import { type DType, getDefaultDtype, isComplexDType, isFloatingDType } from "./dtype.js";
import { ArgumentError } from "./errors.js";
import { native } from "./native.js";
import { floatRepr } from "./nn/repr.js";
import { call } from "./operator.js";
import type { Tensor } from "./tensor.js";
import { flatValues } from "./values.js";

/** How tensors are printed. */
export interface PrintOptions {
  /** Digits after the point. Default: 4. */
  precision: number;
  /** A tensor with more elements than this is shown by its edges. Default: 1000. */
  threshold: number;
  /** How many elements at each end of a dimension are shown then. Default: 3. */
  edgeitems: number;
  /** After how many characters a line is broken. Default: 80. */
  linewidth: number;
  /** Whether numbers are written like `1.0000e-05`; null chooses by the values. Default: null. */
  sciMode: boolean | null;
}

const profiles = {
  default: { precision: 4, threshold: 1000, edgeitems: 3, linewidth: 80 },
  short: { precision: 2, threshold: 1000, edgeitems: 2, linewidth: 80 },
  full: { precision: 4, threshold: Number.POSITIVE_INFINITY, edgeitems: 3, linewidth: 80 },
};

let print: PrintOptions = { ...profiles.default, sciMode: null };

/**
 * Sets how tensors are printed from now on: first as `profile` says, if given, then as each of the other options says.
 *
 * @throws ArgumentError where a number is out of range or the profile is not known
 * @see https://pytorch.org/docs/stable/generated/torch.set_printoptions.html
 */
export function setPrintoptions(
  options: Partial<PrintOptions> & { profile?: "default" | "short" | "full" },
): void {
  requireOptions(options, "setPrintoptions");
  const { profile, sciMode = null, ...given } = options;
  const base = profile === undefined ? print : profiles[profile];
  if (base === undefined) {
    throw new ArgumentError(
      `setPrintoptions: profile must be "default", "short" or "full", got ${String(profile)}`,
    );
  }
  const next: PrintOptions = { ...print, ...base, sciMode };
  const limits = {
    precision: [0, 100],
    threshold: [0, Number.POSITIVE_INFINITY],
    edgeitems: [1, 1000],
    linewidth: [1, 1e6],
  } as const;
  for (const [name, [least, most]] of Object.entries(limits) as [
    keyof typeof limits,
    readonly [number, number],
  ][]) {
    const value = given[name];
    if (value === undefined) continue;
    if (!(value >= least && value <= most) || (Number.isFinite(value) && !Number.isInteger(value))) {
      throw new ArgumentError(
        `setPrintoptions: ${name} must be an integer from ${least} to ${most}, got ${String(value)}`,
      );
    }
    next[name] = value;
  }
  print = next;
}

/** How tensors are printed at the moment. */
export function getPrintoptions(): PrintOptions {
  return { ...print };
}

// ---------------------------------------------------------------- numbers

/** Python's rounding: a number exactly between two goes to the even one, where JavaScript's goes away from zero. */
function toEven(text: string, isTie: boolean): string {
  if (!isTie) return text;
  const digits = /^[^e]*/.exec(text)?.[0] ?? "";
  const last = Number(digits.at(-1));
  return last % 2 === 0 ? text : `${digits.slice(0, -1)}${last - 1}${text.slice(digits.length)}`;
}

function special(value: number): string | undefined {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  return undefined;
}

/** As Python's `f"{value:.{precision}f}"`. */
function fixed(value: number, precision: number): string {
  const known = special(value);
  if (known !== undefined) return known;
  if (Math.abs(value) >= 1e21) {
    const whole = BigInt(value).toString();
    return precision > 0 ? `${whole}.${"0".repeat(precision)}` : whole;
  }
  const doubled = value * 2 ** (precision + 1); // exact: a power of two
  const text = toEven(value.toFixed(precision), Number.isInteger(doubled) && Math.abs(doubled % 2) === 1);
  return Object.is(value, -0) || (value < 0 && !text.startsWith("-")) ? `-${text.replace("-", "")}` : text;
}

/** As Python's `f"{value:.{precision}e}"`. */
function scientific(value: number, precision: number): string {
  const known = special(value);
  if (known !== undefined) return known;
  // With a hundred digits the text is exact enough to tell a number between two others from one close to it.
  const exact = value.toExponential(100);
  const rest = exact.slice(exact.indexOf(".") + 1 + precision, exact.indexOf("e"));
  const [mantissa = "", exponent = "+0"] = toEven(value.toExponential(precision), /^50*$/.test(rest)).split(
    "e",
  );
  const sign = Object.is(value, -0) ? "-" : "";
  return `${sign}${mantissa}e${exponent[0]}${exponent.slice(1).padStart(2, "0")}`;
}

/** One way to write all numbers of a tensor, with the same width. */
interface Formatter {
  width: number;
  format(value: number | bigint | boolean): string;
}

const wordOf = (value: number | bigint | boolean): string =>
  typeof value === "boolean" ? (value ? "True" : "False") : String(value);

function makeFormatter(values: readonly (number | bigint | boolean)[], isFloating: boolean): Formatter {
  const { precision } = print;
  let write = wordOf;
  let width = 1;
  if (!isFloating) {
    for (const value of values) width = Math.max(width, wordOf(value).length);
  } else {
    const numbers = (values as number[]).filter((value) => Number.isFinite(value) && value !== 0);
    const isWhole = numbers.every((value) => Number.isInteger(value));
    let least = Number.POSITIVE_INFINITY;
    let most = 0;
    for (const value of numbers) {
      least = Math.min(least, Math.abs(value));
      most = Math.max(most, Math.abs(value));
    }
    const isScientific =
      numbers.length > 0 && (print.sciMode ?? (most / least > 1000 || most > 1e8 || least < 1e-4));
    if (isScientific) write = (value) => scientific(value as number, precision);
    else if (isWhole) write = (value) => `${fixed(value as number, 0)}${Number.isFinite(value) ? "." : ""}`;
    else write = (value) => fixed(value as number, precision);
    for (const value of numbers) width = Math.max(width, write(value).length);
  }
  return { width, format: (value) => write(value).padStart(width) };
}

// ---------------------------------------------------------------- arrays

type Value = ReturnType<typeof flatValues>[number];

interface Layouted {
  /** Text of each element that is shown, in row-major order. */
  texts: string[];
  /** How many elements of each dimension are shown. */
  shape: number[];
  /** Whether elements are left out in the middle of the dimension. */
  isCut: boolean[];
  elementWidth: number;
}

/** The elements to show, of a tensor in CPU memory. */
function layOut(tensor: Tensor): Layouted {
  let shown = tensor;
  const shape = tensor.shape;
  const isCut = shape.map((size) => tensor.numel() > print.threshold && size > 2 * print.edgeitems);
  for (const [dim, size] of shape.entries()) {
    if (!isCut[dim]) continue;
    const [start, end] = [
      shown.narrow(dim, 0, print.edgeitems),
      shown.narrow(dim, size - print.edgeitems, print.edgeitems),
    ];
    shown = call("aten::cat", [start, end], dim) as Tensor;
  }
  const values: readonly Value[] = flatValues(shown, true);
  if (!isComplexDType(tensor.dtype)) {
    const formatter = makeFormatter(values as number[], isFloatingDType(tensor.dtype) || tensor.isQuantized);
    const texts = (values as number[]).map((value) => formatter.format(value));
    return { texts, shape: shown.shape, isCut, elementWidth: formatter.width };
  }
  const numbers = values as Complex[];
  const real = makeFormatter(
    numbers.map((value) => value.re),
    true,
  );
  const imaginary = makeFormatter(
    numbers.map((value) => value.im),
    true,
  );
  const texts = numbers.map((value) => {
    const im = `${imaginary.format(value.im)}j`.trimStart();
    return `${real.format(value.re)}${/^[+-]/.test(im) ? "" : "+"}${im}`;
  });
  return { texts, shape: shown.shape, isCut, elementWidth: real.width + imaginary.width + 1 };
}

/** The values of a tensor in brackets, as they look behind `indent` characters. */
function valuesText(tensor: Tensor, indent: number): string {
  if (tensor.numel() === 0) return "[]";
  const { texts, shape, isCut, elementWidth } = layOut(tensor);
  if (shape.length === 0) return texts[0] ?? "";
  let next = 0;
  const withCut = (parts: string[], dim: number, mark: string): string[] =>
    isCut[dim] ? [...parts.slice(0, print.edgeitems), mark, ...parts.slice(print.edgeitems)] : parts;
  const build = (dim: number, column: number): string => {
    const size = shape[dim] ?? 0;
    if (dim === shape.length - 1) {
      const parts = withCut(texts.slice(next, next + size), dim, " ...");
      next += size;
      const perLine = Math.max(1, Math.floor((print.linewidth - column) / (elementWidth + 2)));
      const lines: string[] = [];
      for (let i = 0; i < parts.length; i += perLine) lines.push(parts.slice(i, i + perLine).join(", "));
      return `[${lines.join(`,\n${" ".repeat(column + 1)}`)}]`;
    }
    const parts = Array.from({ length: size }, () => build(dim + 1, column + 1));
    return `[${withCut(parts, dim, "...").join(`,${"\n".repeat(shape.length - dim - 1)}${" ".repeat(column + 1)}`)}]`;
  };
  return build(0, indent);
}

// ---------------------------------------------------------------- tensors

const tuple = (sizes: readonly number[]): string =>
  sizes.length === 1 ? `(${sizes[0]},)` : `(${sizes.join(", ")})`;

/** `name=tensor(values)` for one of the parts of a sparse tensor. */
function part(name: string, tensor: Tensor, indent: number, isMeta: boolean): string {
  const prefix = `${name}=tensor(`;
  const text = isMeta ? "..." : valuesText(tensor, indent + prefix.length);
  return `${prefix}${text}${isMeta || tensor.numel() === 0 ? `, size=${tuple(tensor.shape)}` : ""})`;
}

function sparseText(tensor: Tensor, indent: number): string {
  const isMeta = tensor.device === "meta";
  const take = (operator: string) => call(operator, tensor) as Tensor;
  const byRow = tensor.layout === "sparse_csr" || tensor.layout === "sparse_bsr";
  const parts: [string, Tensor][] =
    tensor.layout === "sparse_coo"
      ? [
          ["indices", take("aten::_indices")],
          ["values", take("aten::_values")],
        ]
      : [
          byRow ? ["crow_indices", take("aten::crow_indices")] : ["ccol_indices", take("aten::ccol_indices")],
          byRow ? ["col_indices", take("aten::col_indices")] : ["row_indices", take("aten::row_indices")],
          ["values", take("aten::values")],
        ];
  return parts.map(([name, value]) => part(name, value, indent, isMeta)).join(`,\n${" ".repeat(indent)}`);
}

/** By libtorch's numbers. */
const schemes = [
  "per_tensor_affine",
  "per_channel_affine",
  "per_tensor_symmetric",
  "per_channel_symmetric",
  "per_channel_affine_float_qparams",
];

function quantization(tensor: Tensor): string[] {
  const scheme = schemes[call("aten::qscheme", tensor) as number] ?? "";
  const suffixes = [`quantization_scheme=torch.${scheme}`];
  if (scheme.startsWith("per_tensor")) {
    const [scale, zero] = [
      call("aten::q_scale", tensor) as number,
      call("aten::q_zero_point", tensor) as number,
    ];
    return [...suffixes, `scale=${floatRepr(scale)}`, `zero_point=${zero}`];
  }
  const part = (name: string) => format(call(`aten::q_per_channel_${name}`, tensor) as Tensor);
  const axis = call("aten::q_per_channel_axis", tensor) as number;
  return [...suffixes, `scale=${part("scales")}`, `zero_point=${part("zero_points")}`, `axis=${axis}`];
}

/** Puts the suffixes behind the values, on a new line where the last one is full. */
function withSuffixes(text: string, suffixes: readonly string[], indent: number, startLine: boolean): string {
  let result = text;
  let length = text.length - text.lastIndexOf("\n") + 1;
  let breakLine = startLine;
  for (const suffix of suffixes) {
    if (breakLine || length + suffix.length + 2 > print.linewidth) {
      result += `,\n${" ".repeat(indent)}${suffix}`;
      length = indent + suffix.length;
      breakLine = false;
    } else {
      result += `, ${suffix}`;
      length += suffix.length + 2;
    }
  }
  return `${result})`;
}

/** A tensor as PyTorch prints it. */
export function format(tensor: Tensor): string {
  if (tensor.isDisposed) return "tensor(<disposed>)";
  const prefix = tensor.isNested ? "nested_tensor(" : "tensor(";
  const indent = prefix.length;
  const values = tensor.detach();
  const { dtype, device, layout } = tensor;
  const standard = getDefaultDtype();
  const isDefault = dtype === standard;
  const usual: DType[] = [standard, standard === "float64" ? "complex128" : "complex64", "int64", "bool"];
  const isSparse = layout !== "strided" && layout !== "mkldnn";
  const suffixes: string[] = [];
  if (!device.startsWith("cpu")) suffixes.push(`device='${device}'`);
  let text: string;
  if (tensor.isNested) {
    const parts = call("aten::unbind", tensor, 0) as Tensor[];
    text = `[\n${parts.map((inner) => format(inner).replace(/^/gm, "  ")).join(",\n")}\n]`;
  } else if (isSparse || tensor.isQuantized) {
    suffixes.push(`size=${tuple(tensor.shape)}`);
    if (isSparse && device !== "meta") suffixes.push(`nnz=${call("aten::_nnz", tensor)}`);
    if (!usual.includes(dtype)) suffixes.push(`dtype=torch.${dtype}`);
    if (!isSparse) suffixes.push(...quantization(tensor));
    text = isSparse ? sparseText(values, indent) : valuesText(values, indent);
  } else if (device === "meta") {
    suffixes.push(`size=${tuple(tensor.shape)}`);
    if (!isDefault) suffixes.push(`dtype=torch.${dtype}`);
    text = "...";
  } else if (tensor.numel() === 0) {
    if (tensor.ndim !== 1) suffixes.push(`size=${tuple(tensor.shape)}`);
    if (!isDefault) suffixes.push(`dtype=torch.${dtype}`);
    text = "[]";
  } else {
    if (!usual.includes(dtype)) suffixes.push(`dtype=torch.${dtype}`);
    text = valuesText(layout === "strided" ? values : (call("aten::to_dense", values) as Tensor), indent);
  }
  if (layout === "mkldnn") suffixes.push("layout=torch._mkldnn");
  else if (layout !== "strided") suffixes.push(`layout=torch.${layout}`);
  suffixes.push(...graphSuffix(tensor));
  return withSuffixes(prefix + text, suffixes, indent, layout === "sparse_coo");
}

function graphSuffix(tensor: Tensor): string[] {
  let name: string | null;
  try {
    name = native.gradFunctionName(tensor.handle);
  } catch {
    name = "Invalid"; // a view made without gradients and changed in place since has no place in the graph
  }
  if (name !== null) return [`grad_fn=<${name.split("::").at(-1)}>`];
  return tensor.requiresGrad ? ["requires_grad=True"] : [];
}
