import { isComplexDType } from "./dtype.js";
import { ArgumentError } from "./errors.js";
import { noGrad } from "./grad-mode.js";
import { cat, linalg, matmul, randn } from "./ops.generated.js";
import { optional } from "./optional.js";
import { Tensor } from "./tensor.js";

/** The first singular values of a matrix with their vectors: `A` is about `U diag(S) V^H`. */
export interface LowRankDecomposition {
  /** `(*, m, q)` */
  U: Tensor;
  /** `(*, q)` */
  S: Tensor;
  /** `(*, n, q)` */
  V: Tensor;
}

/** Options of {@link svdLowrank}. */
export interface SvdLowrankOptions {
  /** How many singular values; a few more than the rank that is looked for. Default: 6. */
  q?: number | null;
  /** How many iterations improve the subspace. Default: 2. */
  niter?: number | null;
  /** Is subtracted from the matrix first, by broadcasting. */
  M?: Tensor | null;
}

/** A matrix with q orthonormal columns whose span holds most of A - M: Halko, Martinsson, Tropp, algorithm 4.4 (arXiv:0909.4061). */
function approximateBasis(A: Tensor, q: number, niter: number, M: Tensor | null): Tensor {
  const times = (matrix: Tensor, minus: Tensor | null, x: Tensor): Tensor =>
    minus === null ? matmul(matrix, x) : matmul(matrix, x).sub(matmul(minus, x));
  const dtype = A.isFloatingPoint() || isComplexDType(A.dtype) ? A.dtype : "float32";
  const random = randn([A.size(-1), q], { dtype, device: A.device });
  let Q = linalg.qr(times(A, M, random)).Q;
  for (let i = 0; i < niter; i++) {
    Q = linalg.qr(times(A.mH, M === null ? null : M.mH, Q)).Q;
    Q = linalg.qr(times(A, M, Q)).Q;
  }
  return Q;
}

/**
 * The first singular values and vectors of a matrix `(*, m, n)` of low rank, by random projection.
 *
 * @see https://pytorch.org/docs/stable/generated/torch.svd_lowrank.html
 */
export function svdLowrank(A: Tensor, options?: SvdLowrankOptions): LowRankDecomposition;
export function svdLowrank(A: Tensor, ...args: unknown[]): LowRankDecomposition {
  Tensor.unwrap(A, "svdLowrank: A");
  const { q, niter, M = null } = optional<SvdLowrankOptions>("svdLowrank", ["q", "niter", "M"], args);
  const wide = A.size(-2) < A.size(-1);
  const mean = M === null ? null : M.broadcastTo(A.shape);
  const tall = wide ? A.mH : A;
  const tallMean = wide && mean !== null ? mean.mH : mean;
  const Q = approximateBasis(tall, q ?? 6, niter ?? 2, tallMean);
  const B = matmul(Q.mH, tall);
  const { U, S, Vh } = linalg.svd(tallMean === null ? B : B.sub(matmul(Q.mH, tallMean)), false);
  const [left, right] = [matmul(Q, U), Vh.mH];
  return wide ? { U: right, S, V: left } : { U: left, S, V: right };
}

/** Options of {@link pcaLowrank}. */
export interface PcaLowrankOptions {
  /** How many components. Default: at most 6. */
  q?: number | null;
  /** Whether the columns' means are subtracted. Default: true. */
  center?: boolean;
  /** How many iterations improve the subspace. Default: 2. */
  niter?: number;
}

/**
 * The principal components of the rows of a matrix `(*, m, n)`, by {@link svdLowrank}: the columns of `V` are the directions.
 *
 * @throws ArgumentError where q is larger than the smaller side
 * @see https://pytorch.org/docs/stable/generated/torch.pca_lowrank.html
 */
export function pcaLowrank(A: Tensor, options?: PcaLowrankOptions): LowRankDecomposition;
export function pcaLowrank(A: Tensor, ...args: unknown[]): LowRankDecomposition {
  Tensor.unwrap(A, "pcaLowrank: A");
  const given = optional<PcaLowrankOptions>("pcaLowrank", ["q", "center", "niter"], args);
  const { center = true, niter = 2 } = given;
  const least = Math.min(A.size(-2), A.size(-1));
  const q = given.q ?? Math.min(6, least);
  if (!Number.isInteger(q) || q < 0 || q > least)
    throw new ArgumentError(`pcaLowrank: q must be a whole number from 0 to ${least}, got ${q}`);
  return svdLowrank(center ? A.sub(A.mean([-2], true)) : A, { q, niter });
}

/** Options of {@link lobpcg}. */
export interface LobpcgOptions {
  /** How many eigenvalues. Default: the columns of `X`, or 1. */
  k?: number | null;
  /** The other matrix of a generalized problem `A x = E B x`, symmetric and positive definite. Default: the identity. */
  B?: Tensor | null;
  /** Where to start, `(*, m, n)` with n of at least k. Default: random. */
  X?: Tensor | null;
  /** How many columns the random start has. Default: k. */
  n?: number | null;
  /** A preconditioner, close to the inverse of A. Default: none. */
  iK?: Tensor | null;
  /** The most iterations; negative for no bound. Default: until the tolerance is met, at most 1000. */
  niter?: number | null;
  /** The relative size of the residual at which it stops. Default: the square root of the type's precision. */
  tol?: number | null;
  /** The largest eigenvalues instead of the smallest. Default: true. */
  largest?: boolean | null;
}

/**
 * The extreme eigenvalues `E` and eigenvectors `X` of a symmetric matrix, by the locally optimal block preconditioned conjugate
 * gradient method (Knyazev 2001). The result has no gradient.
 *
 * @throws ArgumentError where the matrix has fewer than three times as many rows as eigenvalues are asked for
 * @see https://pytorch.org/docs/stable/generated/torch.lobpcg.html
 */
export function lobpcg(A: Tensor, options?: LobpcgOptions): { E: Tensor; X: Tensor };
export function lobpcg(A: Tensor, ...args: unknown[]): { E: Tensor; X: Tensor } {
  Tensor.unwrap(A, "lobpcg: A");
  const names = ["k", "B", "X", "n", "iK", "niter", "tol", "largest"] as const;
  const options = optional<LobpcgOptions>("lobpcg", names, args);
  return noGrad(() => lobpcgOf(A, options));
}

function lobpcgOf(A: Tensor, options: LobpcgOptions): { E: Tensor; X: Tensor } {
  const { B = null, iK = null } = options;
  const largest = options.largest ?? true;
  const size = A.size(-1);
  const k = options.k ?? options.X?.size(-1) ?? 1;
  const columns = options.X?.size(-1) ?? options.n ?? k;
  if (size < 3 * columns) {
    throw new ArgumentError(
      `lobpcg: a matrix with ${size} rows is too small for ${columns} eigenvalues: it needs three times as many; use linalg.eigh`,
    );
  }
  const bound = options.niter ?? 1000;
  const limit = bound < 0 ? Number.POSITIVE_INFINITY : bound;
  const tolerance = options.tol ?? (A.dtype === "float64" ? 2 ** -26 : 2 ** -11.5);
  const timesB = (x: Tensor): Tensor => (B === null ? x : matmul(B, x));
  const start =
    options.X ?? randn([...A.shape.slice(0, -2), size, columns], { dtype: A.dtype, device: A.device });
  let { E, X } = rayleighRitz(A, B, start, columns, largest);
  let previous: Tensor | null = null;
  for (let i = 0; i < limit; i++) {
    const residual = matmul(A, X).sub(timesB(X).mul(E.unsqueeze(-2)));
    const scale = linalg
      .vectorNorm(matmul(A, X), 2, [-2])
      .add(linalg.vectorNorm(timesB(X), 2, [-2]).mul(E.abs()));
    if (linalg.vectorNorm(residual, 2, [-2]).le(scale.mul(tolerance)).all().item<boolean>()) break;
    const direction = iK === null ? residual : matmul(iK, residual);
    const subspace: Tensor = previous === null ? cat([X, direction], -1) : cat([X, direction, previous], -1);
    const next = rayleighRitz(A, B, subspace, columns, largest);
    // What the step added outside the old eigenvectors is the direction that the next one may continue in.
    previous = next.X.sub(matmul(X, matmul(X.mH, timesB(next.X))));
    ({ E, X } = next);
  }
  return { E: E.narrow(-1, 0, k), X: X.narrow(-1, 0, k) };
}

/** The best approximations to eigenvectors in the span of some vectors. */
function rayleighRitz(
  A: Tensor,
  B: Tensor | null,
  span: Tensor,
  count: number,
  largest: boolean,
): { E: Tensor; X: Tensor } {
  let basis = linalg.qr(span).Q;
  if (B !== null) {
    const factor = linalg.cholesky(matmul(basis.mH, matmul(B, basis)));
    basis = linalg.solveTriangular(factor.mH, basis, { upper: true, left: false });
  }
  const { eigenvalues, eigenvectors } = linalg.eigh(matmul(basis.mH, matmul(A, basis)));
  const [E, Z] = largest ? [eigenvalues.flip([-1]), eigenvectors.flip([-1])] : [eigenvalues, eigenvectors];
  return { E: E.narrow(-1, 0, count), X: matmul(basis, Z.narrow(-1, 0, count)) };
}
