/**
 * Initialisers: they fill a tensor in place, outside the gradient graph, and return it. From the same seed they give
 * the numbers that PyTorch's do.
 *
 * @see https://docs.pytorch.org/docs/stable/nn.init.html
 */
import { ArgumentError } from "../errors.js";
import { noGrad } from "../grad-mode.js";
import { slice } from "../indexing.js";
import * as ops from "../ops.js";
import type { Generator } from "../random.js";
import type { Tensor } from "../tensor.js";

/** What draws the random numbers. */
export interface RandomOptions {
  /** Default: the default generator. */
  generator?: Generator;
}

/** A layer or activation that {@link calculateGain} knows. */
export type Nonlinearity =
  | "linear"
  | "conv1d"
  | "conv2d"
  | "conv3d"
  | "conv_transpose1d"
  | "conv_transpose2d"
  | "conv_transpose3d"
  | "sigmoid"
  | "tanh"
  | "relu"
  | "leaky_relu"
  | "selu";

const unitGain: readonly string[] = [
  "linear",
  "conv1d",
  "conv2d",
  "conv3d",
  "conv_transpose1d",
  "conv_transpose2d",
  "conv_transpose3d",
  "sigmoid",
];

/**
 * By how much the standard deviation of weights is enlarged to make up for an activation.
 *
 * @param nonlinearity its name in PyTorch's notation
 * @param param the negative slope of `"leaky_relu"`. Default: 0.01
 */
export function calculateGain(nonlinearity: Nonlinearity, param?: number): number {
  if (unitGain.includes(nonlinearity)) return 1;
  switch (nonlinearity) {
    case "tanh":
      return 5 / 3;
    case "relu":
      return Math.sqrt(2);
    case "leaky_relu": {
      const slope = param ?? 0.01;
      if (typeof slope !== "number")
        throw new ArgumentError(`negative_slope ${String(slope)} not a valid number.`);
      return Math.sqrt(2 / (1 + slope ** 2));
    }
    case "selu":
      return 3 / 4;
    default:
      throw new ArgumentError(
        `calculateGain: unsupported nonlinearity "${nonlinearity}"; known are ${unitGain.join(", ")}, tanh, relu, leaky_relu and selu.`,
      );
  }
}

/** Values uniform in [a, b). */
export function uniform_<T extends Tensor>(
  tensor: T,
  { a = 0, b = 1, ...random }: RandomOptions & { a?: number; b?: number } = {},
): T {
  noGrad(() => tensor.uniform_(a, b, random));
  return tensor;
}

/** Values of a normal distribution. */
export function normal_<T extends Tensor>(
  tensor: T,
  { mean = 0, std = 1, ...random }: RandomOptions & { mean?: number; std?: number } = {},
): T {
  noGrad(() => tensor.normal_(mean, std, random));
  return tensor;
}

/** Values of a normal distribution, drawn again until they lie in [a, b]. */
export function truncNormal_<T extends Tensor>(
  tensor: T,
  options: RandomOptions & { mean?: number; std?: number; a?: number; b?: number } = {},
): T {
  const { mean = 0, std = 1, a = -2, b = 2, ...random } = options;
  if (tensor.device === "meta") return tensor;
  if (mean < a - 2 * std || mean > b + 2 * std) {
    process.emitWarning(
      "mean is more than 2 std from [a, b] in nn.init.truncNormal_: the distribution of values may be incorrect.",
    );
  }
  noGrad(() => {
    const share = normalCdf((b - mean) / std) - normalCdf((a - mean) / std);
    if (share > 0.3) redrawOutside(tensor, mean, std, a, b, random);
    else rejectUniform(tensor, mean, std, a, b, random);
  });
  return tensor;
}

/** Much of the distribution lies inside: draws what lies outside again. */
function redrawOutside(
  t: Tensor,
  mean: number,
  std: number,
  a: number,
  b: number,
  random: RandomOptions,
): void {
  // The bounds are compared in the tensor's own precision.
  const low = ops.full([], a, { dtype: t.dtype }).item();
  const high = ops.full([], b, { dtype: t.dtype }).item();
  let result: Tensor = t.normal_(mean, std, random);
  for (;;) {
    const outside = result.lt(low).logicalOr(result.gt(high));
    if (!outside.any().item()) break;
    result = ops.where(outside, ops.emptyLike(result).normal_(mean, std, random), result);
  }
  if (result !== t) t.copy_(result);
}

/** Little of it lies inside: draws uniformly there, and keeps each value with the probability of its density. */
function rejectUniform(
  t: Tensor,
  mean: number,
  std: number,
  a: number,
  b: number,
  random: RandomOptions,
): void {
  const mode = Math.max(a, Math.min(mean, b));
  const logPeak = -0.5 * ((mode - mean) / std) ** 2;
  const toLogDensity = (x: Tensor) => x.sub_(mean).div_(std).pow_(2).mul_(-0.5).sub_(logPeak);
  const candidates = ops.emptyLike(t);
  const acceptance = ops.emptyLike(t);
  t.uniform_(a, b, random);
  candidates.copy_(t);
  toLogDensity(candidates);
  let pending: Tensor = acceptance.uniform_(0, 1, random).log_().gt(candidates);
  if (!pending.any().item()) return;
  let result: Tensor = t;
  do {
    candidates.uniform_(a, b, random);
    result = ops.where(pending, candidates, result);
    toLogDensity(candidates);
    pending = ops.where(pending, acceptance.uniform_(0, 1, random).log_().gt(candidates), pending);
  } while (pending.any().item());
  t.copy_(result);
}

function normalCdf(x: number): number {
  const z = ops.full([], x / Math.sqrt(2), { dtype: "float64" });
  return (1 + z.erf().item()) / 2;
}

/** The same value everywhere. */
export function constant_<T extends Tensor>(tensor: T, val: number): T {
  noGrad(() => tensor.fill_(val));
  return tensor;
}

/** Ones. */
export function ones_<T extends Tensor>(tensor: T): T {
  noGrad(() => tensor.fill_(1));
  return tensor;
}

/** Zeros. */
export function zeros_<T extends Tensor>(tensor: T): T {
  noGrad(() => tensor.zero_());
  return tensor;
}

/** The identity matrix, so that a linear layer passes on its inputs as far as it has outputs. */
export function eye_<T extends Tensor>(tensor: T): T {
  if (tensor.dim() !== 2) {
    throw new ArgumentError(
      `eye_: only tensors with 2 dimensions are supported, this one has ${tensor.dim()}.`,
    );
  }
  const [rows = 0, columns = 0] = tensor.shape;
  noGrad(() => tensor.copy_(ops.eye(rows, columns, { dtype: tensor.dtype, device: tensor.device })));
  return tensor;
}

/** The Dirac delta, so that a convolution passes on its inputs as far as it has outputs; in each of `groups`. */
export function dirac_<T extends Tensor>(tensor: T, { groups = 1 }: { groups?: number } = {}): T {
  const shape = tensor.shape;
  const [outputs = 0, inputs = 0, ...kernel] = shape;
  if (kernel.length < 1 || kernel.length > 3) {
    throw new ArgumentError(
      `dirac_: only tensors with 3, 4, or 5 dimensions are supported, this one has ${shape.length}.`,
    );
  }
  if (outputs % groups !== 0) {
    throw new ArgumentError(
      `dirac_: dim 0 must be divisible by groups, but it is ${outputs} and groups ${groups}.`,
    );
  }
  if (tensor.device === "meta") return tensor;
  const perGroup = outputs / groups;
  const middle = kernel.map((size) => Math.floor(size / 2));
  noGrad(() => {
    tensor.zero_();
    for (let group = 0; group < groups; group++) {
      for (let d = 0; d < Math.min(perGroup, inputs); d++)
        tensor.set([group * perGroup + d, d, ...middle], 1);
    }
  });
  return tensor;
}

/** Inputs and outputs of each unit of a weight: `[fanIn, fanOut]`. */
export function calculateFanInAndFanOut(tensor: Tensor): [fanIn: number, fanOut: number] {
  const [outputs = 0, inputs = 0, ...field] = tensor.shape;
  if (tensor.dim() < 2) {
    throw new ArgumentError(
      "Fan in and fan out can not be computed for tensor with fewer than 2 dimensions: initialise it another way.",
    );
  }
  const size = field.reduce((product, n) => product * n, 1);
  return [inputs * size, outputs * size];
}

/** Glorot's initialisation, uniform: variance 2 / (fan in + fan out), times the square of the gain. */
export function xavierUniform_<T extends Tensor>(
  tensor: T,
  { gain = 1, ...random }: RandomOptions & { gain?: number } = {},
): T {
  const [fanIn, fanOut] = calculateFanInAndFanOut(tensor);
  const std = gain * Math.sqrt(2 / (fanIn + fanOut));
  const a = Math.sqrt(3) * std;
  return uniform_(tensor, { a: -a, b: a, ...random });
}

/** Glorot's initialisation, normal. */
export function xavierNormal_<T extends Tensor>(
  tensor: T,
  { gain = 1, ...random }: RandomOptions & { gain?: number } = {},
): T {
  const [fanIn, fanOut] = calculateFanInAndFanOut(tensor);
  return normal_(tensor, { mean: 0, std: gain * Math.sqrt(2 / (fanIn + fanOut)), ...random });
}

/** Options of He's initialisation. */
export interface KaimingOptions extends RandomOptions {
  /** Negative slope of the rectifier that follows, for `"leaky_relu"`. Default: 0. */
  a?: number;
  /** Which pass keeps its variance: `"fan_in"` (default) the forward one, `"fan_out"` the backward one. */
  mode?: "fan_in" | "fan_out";
  /** The activation that follows. Default: `"leaky_relu"`. */
  nonlinearity?: Nonlinearity;
}

/** He's initialisation, uniform: variance gain^2 / fan. */
export function kaimingUniform_<T extends Tensor>(tensor: T, options: KaimingOptions = {}): T {
  const std = kaimingStd(tensor, options);
  if (std === null) return tensor;
  const bound = Math.sqrt(3) * std;
  return uniform_(tensor, { a: -bound, b: bound, ...randomOf(options) });
}

/** He's initialisation, normal. */
export function kaimingNormal_<T extends Tensor>(tensor: T, options: KaimingOptions = {}): T {
  const std = kaimingStd(tensor, options);
  return std === null ? tensor : normal_(tensor, { mean: 0, std, ...randomOf(options) });
}

function kaimingStd(tensor: Tensor, options: KaimingOptions): number | null {
  if (tensor.shape.includes(0)) {
    process.emitWarning("Initializing zero-element tensors is a no-op");
    return null;
  }
  const { a = 0, mode = "fan_in", nonlinearity = "leaky_relu" } = options;
  if (mode !== "fan_in" && mode !== "fan_out") {
    throw new ArgumentError(`Mode ${String(mode)} not supported, please use one of "fan_in", "fan_out".`);
  }
  const [fanIn, fanOut] = calculateFanInAndFanOut(tensor);
  return calculateGain(nonlinearity, a) / Math.sqrt(mode === "fan_in" ? fanIn : fanOut);
}

function randomOf({ generator }: RandomOptions): RandomOptions {
  return generator === undefined ? {} : { generator };
}

/** A (semi) orthogonal matrix, of the weight flattened behind its first dimension. */
export function orthogonal_<T extends Tensor>(
  tensor: T,
  { gain = 1, ...random }: RandomOptions & { gain?: number } = {},
): T {
  if (tensor.dim() < 2) {
    throw new ArgumentError(
      `orthogonal_: only tensors with 2 or more dimensions are supported, this one has ${tensor.dim()}.`,
    );
  }
  if (tensor.numel() === 0 || tensor.device === "meta") return tensor;
  noGrad(() => {
    const rows = tensor.size(0);
    const columns = tensor.numel() / rows;
    const flat = ops
      .empty([rows, columns], { dtype: tensor.dtype, device: tensor.device })
      .normal_(0, 1, random);
    if (rows < columns) flat.t_();
    const { Q: q, R: r } = ops.linalg.qr(flat);
    // With the signs of r's diagonal, q is uniformly distributed over the orthogonal matrices.
    q.mul_(r.diagonal(0).sign());
    if (rows < columns) q.t_();
    tensor.viewAs(q).copy_(q);
    tensor.mul_(gain);
  });
  return tensor;
}

/** A matrix in each column of which a share of the values is zero, the others normal. */
export function sparse_<T extends Tensor>(
  tensor: T,
  sparsity: number,
  { std = 0.01, ...random }: RandomOptions & { std?: number } = {},
): T {
  if (tensor.dim() !== 2) {
    throw new ArgumentError(
      `sparse_: only tensors with 2 dimensions are supported, this one has ${tensor.dim()}.`,
    );
  }
  if (tensor.device === "meta") return tensor;
  const [rows = 0, columns = 0] = tensor.shape;
  const zeros = Math.ceil(sparsity * rows);
  noGrad(() => {
    tensor.normal_(0, std, random);
    for (let column = 0; column < columns; column++) {
      tensor.set([ops.randperm(rows).get(slice(0, zeros)), column], 0);
    }
  });
  return tensor;
}
