/** Spectral normalisation by a hook, the older form of the parametrization. */
import { ArgumentError } from "../../errors.js";
import { noGrad } from "../../grad-mode.js";
import type { Tensor } from "../../tensor.js";
import { ConvTranspose1d, ConvTranspose2d, ConvTranspose3d } from "../conv.js";
import type { Module } from "../module.js";
import { removeMember } from "../module-members.js";
import { normalize } from "../norm.js";
import { Parameter } from "../parameter.js";
import type { SpectralNormOptions } from "./parametrizations.js";
import { addTensorHook, removeTensorHook, trainedParameter } from "./tensor-hook.js";
import type { RemoveNormOptions } from "./weight-norm.js";

/** A weight as a matrix whose rows belong to the outputs. */
export function asMatrix(weight: Tensor, dim: number): Tensor {
  if (dim === 0) return weight.flatten(1);
  const others = weight.shape.map((_, d) => d).filter((d) => d !== dim);
  return weight.permute([dim, ...others]).flatten(1);
}

/** The dimension of the outputs. */
export function defaultSpectralDim(module: Module): number {
  const transposed = [ConvTranspose1d, ConvTranspose2d, ConvTranspose3d].some(
    (type) => module instanceof type,
  );
  return transposed ? 1 : 0;
}

/**
 * Divides a weight by its largest singular value before each `forward`; {@link parametrizations.spectralNorm} does the same
 * and is to be preferred.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.spectral_norm.html
 */
export function spectralNorm<M extends Module>(module: M, options: SpectralNormOptions = {}): M {
  const { name = "weight", nPowerIterations = 1, eps = 1e-12 } = options;
  if (nPowerIterations <= 0) {
    throw new ArgumentError(
      `spectralNorm: nPowerIterations is expected to be positive, but got ${nPowerIterations}.`,
    );
  }
  const dim = options.dim ?? defaultSpectralDim(module);
  const unit = { dim: 0, eps };
  const { field, key, weight } = trainedParameter(module, "spectralNorm", name);
  const [u, v] = noGrad(() => {
    const draw = (size: number) => normalize(weight.newEmpty([size]).normal_(0, 1), unit);
    return asMatrix(weight, dim).shape.map(draw);
  }) as [Tensor, Tensor];

  const compute = (target: Module, iterations: number): Tensor => {
    const fields = target as unknown as Record<string, Tensor>;
    const original = fields[`${field}Orig`] as Tensor;
    let u = fields[`${field}U`] as Tensor;
    let v = fields[`${field}V`] as Tensor;
    const matrix = asMatrix(original, dim);
    if (iterations > 0) {
      noGrad(() => {
        for (let i = 0; i < iterations; i++) {
          v.copy_(normalize(matrix.t().mv(u), unit));
          u.copy_(normalize(matrix.mv(v), unit));
        }
        // The next iteration changes the vectors in place, when the gradient may still need these.
        u = u.clone();
        v = v.clone();
      });
    }
    return original.div(u.dot(matrix.mv(v)));
  };

  removeMember(module, field);
  module.registerParameter(`${field}Orig`, weight, { stateName: `${key}_orig` });
  // Not computed before the first forward, which would take a step of the iteration.
  Object.assign(module, { [field]: weight.data });
  module.registerBuffer(`${field}U`, u, { stateName: `${key}_u` });
  module.registerBuffer(`${field}V`, v, { stateName: `${key}_v` });
  addTensorHook(module, {
    kind: "spectralNorm",
    field,
    compute: (target) => compute(target, target.training ? nPowerIterations : 0),
    restore(target) {
      const value = noGrad(() => compute(target, 0));
      for (const suffix of ["", "U", "V", "Orig"]) removeMember(target, field + suffix);
      target.registerParameter(field, new Parameter(value));
    },
  });
  return module;
}

/**
 * Makes a weight an ordinary parameter again, with the value it has.
 *
 * @throws ArgumentError where {@link spectralNorm} has not been applied to it
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.remove_spectral_norm.html
 */
export function removeSpectralNorm<M extends Module>(
  module: M,
  { name = "weight" }: RemoveNormOptions = {},
): M {
  return removeTensorHook(module, "spectralNorm", name);
}
