import { LevinError } from "../../errors.js";
import { noGrad } from "../../grad-mode.js";
import * as ops from "../../ops.js";
import { Tensor } from "../../tensor.js";

/** Options of {@link getTotalNorm}. */
export interface TotalNormOptions {
  /** Which norm; `Infinity` for the largest value. Default: 2. */
  normType?: number;
  /** Whether a norm that is not finite is an error. Default: false. */
  errorIfNonfinite?: boolean;
  /** Whether norms are taken by one operator for all tensors: it gives the same numbers. */
  foreach?: boolean | null;
}

/** Options of {@link clipGradNorm_}. */
export type ClipGradNormOptions = TotalNormOptions;

function asList(tensors: Tensor | Iterable<Tensor>): Tensor[] {
  return tensors instanceof Tensor ? [tensors] : [...tensors];
}

/** The lists of tensors of one device each. */
function byDevice(tensors: readonly Tensor[]): Tensor[][] {
  const lists = new Map<string, Tensor[]>();
  for (const tensor of tensors) {
    const key = `${tensor.device} ${tensor.dtype}`;
    const list = lists.get(key);
    if (list) list.push(tensor);
    else lists.set(key, [tensor]);
  }
  return [...lists.values()];
}

function gradientsOf(parameters: Tensor | Iterable<Tensor>): Tensor[] {
  return ops.grads(asList(parameters)).filter((grad) => grad !== null);
}

/**
 * The norm of tensors as if they were one vector.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.get_total_norm.html
 */
export function getTotalNorm(tensors: Tensor | Iterable<Tensor>, options: TotalNormOptions = {}): Tensor {
  const { normType = 2, errorIfNonfinite = false } = options;
  const list = asList(tensors);
  if (list.length === 0) return ops.full([], 0);
  return noGrad(() => {
    const device = (list[0] as Tensor).device;
    const norms = byDevice(list).flatMap(
      (part) => ops.call("aten::_foreach_norm", part, normType) as Tensor[],
    );
    const here = norms.map((norm) => (norm.device === device ? norm : norm.to({ device })));
    const total = ops.linalg.vectorNorm(ops.stack(here), normType);
    if (errorIfNonfinite && !total.isfinite().item<boolean>()) {
      throw new LevinError(
        `The total norm of order ${normType} for gradients is non-finite, so it cannot be clipped. To disable this error and scale the gradients by the non-finite norm anyway, set errorIfNonfinite: false.`,
      );
    }
    return total;
  });
}

/**
 * Scales the gradients so that their common norm is `maxNorm` at most.
 *
 * @returns the norm before
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.clip_grad_norm_.html
 */
export function clipGradNorm_(
  parameters: Tensor | Iterable<Tensor>,
  maxNorm: number,
  options: ClipGradNormOptions = {},
): Tensor {
  const grads = gradientsOf(parameters);
  const total = getTotalNorm(grads, options);
  scaleToNorm(grads, maxNorm, total);
  return total;
}

/**
 * Scales the gradients by `maxNorm / totalNorm`, if that is below one.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.clip_grads_with_norm_.html
 */
export function clipGradsWithNorm_(
  parameters: Tensor | Iterable<Tensor>,
  maxNorm: number,
  totalNorm: Tensor,
): void {
  scaleToNorm(gradientsOf(parameters), maxNorm, totalNorm);
}

function scaleToNorm(grads: readonly Tensor[], maxNorm: number, totalNorm: Tensor): void {
  if (grads.length === 0) return;
  noGrad(() => {
    // Multiplying by one where nothing is to be clipped spares the wait for the norm's value.
    const factor = totalNorm.add(1e-6).reciprocal().mul(maxNorm).clampMax(1);
    for (const part of byDevice(grads)) {
      const device = (part[0] as Tensor).device;
      ops.call("aten::_foreach_mul_", part, device === factor.device ? factor : factor.to({ device }));
    }
  });
}

/**
 * Limits each value of the gradients to [-clipValue, clipValue].
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.clip_grad_value_.html
 */
export function clipGradValue_(parameters: Tensor | Iterable<Tensor>, clipValue: number): void {
  noGrad(() => {
    for (const part of byDevice(gradientsOf(parameters))) {
      ops.call("aten::_foreach_clamp_min_", part, -clipValue);
      ops.call("aten::_foreach_clamp_max_", part, clipValue);
    }
  });
}
