/** Ready-made parametrizations. */
import { ArgumentError } from "../../errors.js";
import { noGrad } from "../../grad-mode.js";
import * as ops from "../../ops.js";
import { Tensor } from "../../tensor.js";
import { oneOf } from "../arguments.js";
import { Module } from "../module.js";
import { fieldOf, stateNameOf } from "../module-members.js";
import { normalize } from "../norm.js";
import { registerParametrization } from "./parametrize.js";
import { asMatrix, defaultSpectralDim } from "./spectral-norm.js";

/** How a matrix is made orthogonal. */
export type OrthogonalMap = "matrix_exp" | "cayley" | "householder";

const orthogonalMaps: readonly OrthogonalMap[] = ["matrix_exp", "cayley", "householder"];

function tensorOf(module: Module, name: string): Tensor {
  const weight = (module as unknown as Record<string, unknown>)[fieldOf(module, name)];
  if (weight instanceof Tensor) return weight;
  throw new ArgumentError(`${module.constructor.name} has no parameter or buffer with name "${name}".`);
}

const machineEpsilon: Record<string, number> = {
  float64: 2 ** -52,
  complex128: 2 ** -52,
  float16: 2 ** -10,
  bfloat16: 2 ** -7,
};

function isOrthogonal(matrix: Tensor): boolean {
  const [rows, columns] = matrix.shape.slice(-2) as [number, number];
  const { dtype, device } = matrix;
  const tolerance = 10 * rows * (machineEpsilon[dtype] ?? 2 ** -23);
  return matrix.adjoint().matmul(matrix).allclose(ops.eye(columns, { dtype, device }), 1e-5, tolerance);
}

function makeOrthogonal(matrix: Tensor): Tensor {
  const { a, tau } = matrix.geqrf();
  return ops.linalg.householderProduct(a, tau).mul_(a.diagonal({ dim1: -2, dim2: -1 }).sgn().unsqueeze(-2));
}

// The three classes go by the names under which PyTorch prints them.

class _Orthogonal extends Module {
  /** What the map is multiplied by, so that it can begin with any orthogonal matrix; absent if it cannot. */
  declare base?: Tensor | null;
  private readonly size: number[];
  private readonly map: OrthogonalMap;

  constructor(weight: Tensor, map: OrthogonalMap, useTrivialization: boolean) {
    super();
    if (weight.isComplex() && map === "householder") {
      throw new ArgumentError("The householder parametrization does not support complex tensors.");
    }
    this.size = weight.shape;
    this.map = map;
    if (useTrivialization) this.registerBuffer("base", null);
  }

  override forward(original: Tensor): Tensor {
    const wide = original.size(-2) < original.size(-1);
    const tall = wide ? original.mT : original;
    const [rows, columns] = tall.shape.slice(-2) as [number, number];
    let result = this.map === "householder" ? householder(tall) : this.fromSkewed(tall, rows, columns);
    if ("base" in this) result = (this.base as Tensor).matmul(result);
    return wide ? result.mT : result;
  }

  /** The orthogonal matrix of a skew-symmetric one, which the values under the diagonal make up. */
  private fromSkewed(original: Tensor, rows: number, columns: number): Tensor {
    let square = original.tril();
    if (rows !== columns) {
      const rest = [...square.shape.slice(0, -2), -1, -1];
      square = ops.cat([square, square.newZeros([rows, rows - columns]).expand(rest)], -1);
    }
    const skewed = square.sub(square.adjoint());
    let result: Tensor;
    if (this.map === "matrix_exp") {
      result = skewed.matrixExp();
    } else {
      const one = ops.eye(rows, { dtype: skewed.dtype, device: skewed.device });
      result = ops.linalg.solve(one.add(skewed, { alpha: -0.5 }), one.add(skewed, { alpha: 0.5 }));
    }
    return rows === columns ? result : result.narrow(-1, 0, columns);
  }

  rightInverse(matrix: Tensor): Tensor {
    if (matrix.shape.join() !== this.size.join()) {
      throw new ArgumentError(
        `Expected a matrix or batch of matrices of shape [${this.size}], but got [${matrix.shape}].`,
      );
    }
    return noGrad(() => ("base" in this ? this.invertByBase(matrix) : this.invert(matrix)));
  }

  private invert(matrix: Tensor): Tensor {
    if (this.map !== "householder") {
      throw new ArgumentError(
        "It is not possible to assign to the matrix exponential or the Cayley parametrizations when useTrivialization is false.",
      );
    }
    const wide = matrix.size(-2) < matrix.size(-1);
    const { a, tau } = (wide ? matrix.mT : matrix).geqrf();
    const diagonal = a.diagonal({ dim1: -2, dim2: -1 });
    diagonal.sign_();
    // A reflection that does nothing has the other sign.
    diagonal.mul_(ops.where(tau.eq(0), tau.newFull([], -1), tau.newFull([], 1)));
    return wide ? a.mT : a;
  }

  private invertByBase(matrix: Tensor): Tensor {
    const tall = matrix.size(-2) < matrix.size(-1) ? matrix.mT : matrix;
    const [rows, columns] = tall.shape.slice(-2) as [number, number];
    if (rows === columns) {
      this.base = isOrthogonal(tall) ? tall.clone() : makeOrthogonal(tall);
    } else {
      // The columns that are missing are random.
      const { dtype, device } = tall;
      const rest = ops.randn([...tall.shape.slice(0, -2), rows, rows - columns], { dtype, device });
      this.base = makeOrthogonal(ops.cat([tall, rest], -1));
    }
    const original = ops.zerosLike(matrix);
    original.diagonal({ dim1: -2, dim2: -1 }).fill_(-1);
    return original;
  }
}

function householder(original: Tensor): Tensor {
  const below = original.tril(-1);
  const tau = ops.mul(below.mul(below).sum([-2]).add(1).reciprocal(), 2);
  const signs = original.diagonal({ dim1: -2, dim2: -1 }).int().unsqueeze(-2);
  return ops.linalg.householderProduct(below, tau).mul(signs);
}

/** Options of {@link orthogonal}, in the order of PyTorch's positional arguments. */
export interface OrthogonalOptions {
  /** The parameter. Default: `"weight"`. */
  name?: string;
  /** Default: `"matrix_exp"` for square and complex matrices, else `"householder"`. */
  orthogonalMap?: OrthogonalMap | null;
  /** Whether the map is multiplied by a fixed matrix, so that the parameter can be assigned. Default: true. */
  useTrivialization?: boolean;
}

/**
 * Keeps a matrix, or a batch of them, orthogonal (or unitary).
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.parametrizations.orthogonal.html
 */
export function orthogonal<M extends Module>(module: M, options: OrthogonalOptions = {}): M {
  const { name = "weight", useTrivialization = true } = options;
  const weight = tensorOf(module, name);
  if (weight.ndim < 2) {
    throw new ArgumentError(
      `orthogonal: expected a matrix or batch of matrices, but got a tensor of ${weight.ndim} dimensions.`,
    );
  }
  const square = weight.size(-2) === weight.size(-1) || weight.isComplex();
  const map = oneOf(
    options.orthogonalMap ?? (square ? "matrix_exp" : "householder"),
    orthogonalMaps,
    "orthogonalMap",
  );
  return registerParametrization(module, name, new _Orthogonal(weight, map, useTrivialization), {
    unsafe: true,
  });
}

class _WeightNorm extends Module {
  constructor(readonly dim: number) {
    super();
  }

  override forward(length: Tensor, direction: Tensor): Tensor {
    return ops.call("aten::_weight_norm", direction, length, this.dim) as Tensor;
  }

  rightInverse(weight: Tensor): Tensor[] {
    return [ops.normExceptDim(weight, 2, this.dim), weight];
  }
}

/** Options of {@link weightNorm}, in the order of PyTorch's positional arguments. */
export interface WeightNormOptions {
  /** The parameter. Default: `"weight"`. */
  name?: string;
  /** The dimension along which each slice has a length of its own; null for one length of all. Default: 0. */
  dim?: number | null;
}

/**
 * Splits a weight into its length (`original0`) and its direction (`original1`).
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.parametrizations.weight_norm.html
 */
export function weightNorm<M extends Module>(module: M, options: WeightNormOptions = {}): M {
  const { name = "weight", dim = 0 } = options;
  const key = stateNameOf(module, fieldOf(module, name));
  registerParametrization(module, name, new _WeightNorm(dim ?? -1), { unsafe: true });
  // State dicts of the older weightNorm fit, too.
  module.registerLoadStateDictPreHook((_module, dict, prefix) => {
    const length = dict[`${prefix}${key}_g`];
    const direction = dict[`${prefix}${key}_v`];
    if (length === undefined || direction === undefined) return;
    delete dict[`${prefix}${key}_g`];
    delete dict[`${prefix}${key}_v`];
    dict[`${prefix}parametrizations.${key}.original0`] = length;
    dict[`${prefix}parametrizations.${key}.original1`] = direction;
  });
  return module;
}

class _SpectralNorm extends Module {
  declare readonly _u: Tensor;
  declare readonly _v: Tensor;
  private readonly dim: number;

  constructor(
    weight: Tensor,
    private readonly nPowerIterations: number,
    dim: number,
    private readonly eps: number,
  ) {
    super();
    const dims = weight.ndim;
    if (dim >= dims || dim < -dims) {
      throw new ArgumentError(
        `spectralNorm: dim is expected to be in range of [-${dims}, ${dims - 1}], but got ${dim}.`,
      );
    }
    if (nPowerIterations <= 0) {
      throw new ArgumentError(
        `spectralNorm: nPowerIterations is expected to be positive, but got ${nPowerIterations}.`,
      );
    }
    this.dim = dim < 0 ? dim + dims : dim;
    if (dims === 1) return;
    const matrix = asMatrix(weight, this.dim);
    const [rows, columns] = matrix.shape as [number, number];
    const u = matrix.newEmpty([rows]).normal_(0, 1);
    const v = matrix.newEmpty([columns]).normal_(0, 1);
    this.registerBuffer("_u", normalize(u, { dim: 0, eps }));
    this.registerBuffer("_v", normalize(v, { dim: 0, eps }));
    this.iterate(matrix, 15);
  }

  /** Brings the vectors nearer to the singular vectors of the largest singular value. */
  private iterate(matrix: Tensor, count: number): void {
    const options = { dim: 0, eps: this.eps };
    noGrad(() => {
      for (let i = 0; i < count; i++) {
        this._u.copy_(normalize(matrix.mv(this._v), options));
        this._v.copy_(normalize(matrix.adjoint().mv(this._u), options));
      }
    });
  }

  override forward(weight: Tensor): Tensor {
    if (weight.ndim === 1) return normalize(weight, { dim: 0, eps: this.eps });
    const matrix = asMatrix(weight, this.dim);
    if (this.training) this.iterate(matrix, this.nPowerIterations);
    // The next iteration changes the vectors in place, when the gradient may still need these.
    const u = this._u.clone();
    const v = this._v.clone();
    return weight.div(u.vdot(matrix.mv(v)));
  }

  rightInverse(value: Tensor): Tensor {
    return value;
  }
}

/** Options of {@link spectralNorm}, in the order of PyTorch's positional arguments. */
export interface SpectralNormOptions {
  /** The parameter. Default: `"weight"`. */
  name?: string;
  /** How often the estimate of the norm is improved in each use in training. Default: 1. */
  nPowerIterations?: number;
  /** Smallest norm that is divided by. Default: 1e-12. */
  eps?: number;
  /** The dimension of the outputs. Default: 0, but 1 for transposed convolutions. */
  dim?: number | null;
}

/**
 * Divides a weight by its largest singular value, which is estimated step by step.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.parametrizations.spectral_norm.html
 */
export function spectralNorm<M extends Module>(module: M, options: SpectralNormOptions = {}): M {
  const { name = "weight", nPowerIterations = 1, eps = 1e-12 } = options;
  const weight = tensorOf(module, name);
  const dim = options.dim ?? defaultSpectralDim(module);
  return registerParametrization(module, name, new _SpectralNorm(weight, nPowerIterations, dim, eps));
}
