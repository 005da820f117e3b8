import { grad } from "../autograd.js";
import { requireArray, requireFunction, requireOptions } from "../checks.js";
import { ArgumentError, LevinError } from "../errors.js";
import { enableGrad, noGrad } from "../grad-mode.js";
import { allclose, randn, stack, viewAsComplex, viewAsReal, zeros, zerosLike } from "../ops.generated.js";
import { Tensor } from "../tensor.js";
import { jvpColumns } from "./forward-ad.js";

/** The derivative of a function is not what differences of its values say. */
export class GradcheckError extends LevinError {
  override name = "GradcheckError";
}

/** Options of {@link gradcheck} and {@link gradgradcheck}. */
export interface GradcheckOptions {
  /** By how much the inputs are changed. Default: 1e-6. */
  eps?: number;
  /** Default: 1e-5. */
  atol?: number;
  /** Default: 1e-3. */
  rtol?: number;
  /** An error where derivatives differ; else false is returned. Default: true. */
  raiseException?: boolean;
  /** By how much two backward passes may differ. Default: 0. */
  nondetTol?: number;
  /** Checks derivatives that are computed along with the values too. Default: false. */
  checkForwardAd?: boolean;
  /** Checks backward passes. Default: true. */
  checkBackwardAd?: boolean;
  /** Checks that many backward passes at once give what single ones give. Default: false. */
  checkBatchedGrad?: boolean;
}

type Func = (...inputs: Tensor[]) => Tensor | readonly Tensor[];
type RealFunc = (reals: readonly Tensor[]) => Tensor[];

/**
 * Whether the derivatives of a function are what small differences of its values say. Inputs that require gradients are checked;
 * they should be `float64`, or the precision does not suffice. Complex numbers are taken as pairs of real ones.
 *
 * ```ts
 * gradcheck((x) => x.exp().sin(), [torch.rand(3, { dtype: "float64", requiresGrad: true })]);
 * ```
 *
 * @throws GradcheckError where they differ, unless `raiseException` is false
 * @see https://pytorch.org/docs/stable/generated/torch.autograd.gradcheck.gradcheck.html
 */
export function gradcheck(
  func: Func,
  inputs: Tensor | readonly Tensor[],
  options: GradcheckOptions = {},
): boolean {
  requireFunction(func, "gradcheck");
  if (!(inputs instanceof Tensor)) requireArray(inputs, "gradcheck: inputs");
  requireOptions(options, "gradcheck");
  const { raiseException = true } = options;
  try {
    check(func, inputs instanceof Tensor ? [inputs] : inputs, options);
    return true;
  } catch (error) {
    if (raiseException || !(error instanceof GradcheckError)) throw error;
    return false;
  }
}

/**
 * Whether the second derivatives of a function are what small differences of its gradients say; see {@link gradcheck}.
 *
 * @param gradOutputs what the gradients of the outputs are multiplied by. Default: random
 * @see https://pytorch.org/docs/stable/generated/torch.autograd.gradcheck.gradgradcheck.html
 */
export function gradgradcheck(
  func: Func,
  inputs: Tensor | readonly Tensor[],
  gradOutputs: readonly Tensor[] | null = null,
  options: GradcheckOptions = {},
): boolean {
  requireFunction(func, "gradgradcheck");
  if (!(inputs instanceof Tensor)) requireArray(inputs, "gradgradcheck: inputs");
  const given = inputs instanceof Tensor ? [inputs] : inputs;
  const differentiable = (tensors: readonly Tensor[]) =>
    tensors.filter((tensor) => tensor.isFloatingPoint() || tensor.isComplex());
  const vectors =
    gradOutputs ??
    differentiable(listOf(func(...given))).map((output) =>
      randn(output.shape, { dtype: output.dtype, device: output.device, requiresGrad: true }),
    );
  const gradient = (...all: Tensor[]): Tensor[] =>
    enableGrad(() => {
      // Values that differences are taken of come without a graph, those that are differentiated with one.
      const own = all.slice(0, given.length).map((input, i) => {
        if (!given[i]?.requiresGrad) return input;
        return input.requiresGrad ? input.viewAs(input) : input.detach().requiresGrad_();
      });
      const outputs = differentiable(listOf(func(...own)));
      const wanted = own.filter((input) => input.requiresGrad);
      const found = grad(outputs, wanted, {
        gradOutputs: all.slice(given.length),
        createGraph: true,
        allowUnused: true,
      });
      return found.filter((gradient) => gradient !== null);
    });
  return gradcheck(gradient, [...given, ...vectors], options);
}

const listOf = (outputs: Tensor | readonly Tensor[]): readonly Tensor[] =>
  outputs instanceof Tensor ? [outputs] : outputs;

function check(func: Func, inputs: readonly Tensor[], options: GradcheckOptions): void {
  const { checkForwardAd = false, checkBackwardAd = true, checkBatchedGrad = false } = options;
  const checkedInputs = inputs.filter((input) => input.requiresGrad);
  if (checkedInputs.length === 0)
    throw new ArgumentError("gradcheck: at least one input must require gradients");
  for (const input of checkedInputs) {
    if (input.dtype !== "float64" && input.dtype !== "complex128") {
      process.emitWarning("gradcheck: an input is not of double precision; the check will likely fail");
    }
  }
  const places = inputs.flatMap((input, i) => (input.requiresGrad ? [i] : []));
  // From real inputs to real outputs: a complex number is a pair, whose derivatives are those of its parts.
  const real: RealFunc = (reals) => {
    const arguments_ = [...inputs];
    for (const [k, place] of places.entries()) {
      const value = reals[k] as Tensor;
      arguments_[place] = (inputs[place] as Tensor).isComplex() ? viewAsComplex(value) : value;
    }
    return listOf(func(...arguments_))
      .filter((output) => output.isFloatingPoint() || output.isComplex())
      .map((output) => (output.isComplex() ? viewAsReal(output.resolveConj()) : output));
  };
  const values = checkedInputs.map((input) =>
    (input.isComplex() ? viewAsReal(input.detach()) : input.detach()).contiguous(),
  );
  const numeric = numericJacobian(real, values, options.eps ?? 1e-6);
  if (checkBackwardAd) checkBackward(real, values, numeric, options);
  if (checkForwardAd) checkForward(real, values, numeric, options);
  if (checkBatchedGrad) checkBatched(real, values);
}

/** By output and input: the derivative, of shape [elements of the output, elements of the input]. */
type Derivatives = Tensor[][];

function numericJacobian(func: RealFunc, values: readonly Tensor[], eps: number): Derivatives {
  return noGrad(() => {
    const byInput = values.map((value, i) => {
      const columns: Tensor[][] = [];
      for (let element = 0; element < value.numel(); element++) {
        const shifted = (by: number): Tensor[] => {
          const changed = value.clone();
          changed.view([-1]).get(element).add_(by);
          return func(values.map((other, k) => (k === i ? changed : other))).map((output) =>
            output.detach().clone().reshape([-1]),
          );
        };
        const [below, above] = [shifted(-eps), shifted(eps)];
        columns.push(above.map((output, o) => output.sub(below[o] as Tensor).div(2 * eps)));
      }
      return columns;
    });
    const outputs = func(values);
    return outputs.map((output, o) =>
      byInput.map((columns, i) =>
        columns.length === 0
          ? zeros([output.numel(), (values[i] as Tensor).numel()], { dtype: output.dtype })
          : stack(
              columns.map((column) => column[o] as Tensor),
              1,
            ),
      ),
    );
  });
}

function analyticJacobian(func: RealFunc, values: readonly Tensor[]): Derivatives {
  return enableGrad(() => {
    const inputs = values.map((value) => value.detach().clone().requiresGrad_());
    return func(inputs).map((output) => {
      const rows = output
        .reshape([-1])
        .unbind(0)
        .map((element) => gradientsOf(element, inputs));
      return inputs.map((input, i) =>
        rows.length === 0
          ? zeros([0, input.numel()], { dtype: input.dtype })
          : stack(rows.map((row) => (row[i] as Tensor).reshape([-1]))),
      );
    });
  });
}

function gradientsOf(element: Tensor, inputs: readonly Tensor[]): Tensor[] {
  if (!element.requiresGrad) return inputs.map((input) => zerosLike(input));
  const found = grad(element, inputs, { retainGraph: true, allowUnused: true });
  return found.map((gradient, i) => gradient ?? zerosLike(inputs[i] as Tensor));
}

function compare(
  how: string,
  found: Derivatives,
  numeric: Derivatives,
  { atol = 1e-5, rtol = 1e-3 }: GradcheckOptions,
): void {
  for (const [o, row] of numeric.entries()) {
    for (const [i, wanted] of row.entries()) {
      const got = found[o]?.[i] as Tensor;
      if (allclose(got, wanted.to(got.dtype), rtol, atol)) continue;
      throw new GradcheckError(
        `gradcheck: the derivative of output ${o} for input ${i} (of those that require gradients) differs ${how}:\n` +
          `by differences: ${JSON.stringify(wanted.toArray())}\nby the function: ${JSON.stringify(got.toArray())}`,
      );
    }
  }
}

function checkBackward(
  func: RealFunc,
  values: readonly Tensor[],
  numeric: Derivatives,
  options: GradcheckOptions,
): void {
  const first = analyticJacobian(func, values);
  compare("in the backward pass", first, numeric, options);
  const again = analyticJacobian(func, values);
  const { nondetTol = 0 } = options;
  for (const [o, row] of first.entries()) {
    for (const [i, value] of row.entries()) {
      if (!allclose(again[o]?.[i] as Tensor, value, 0, nondetTol)) {
        throw new GradcheckError(
          `gradcheck: two backward passes gave different derivatives of output ${o} for input ${i}; see nondetTol`,
        );
      }
    }
  }
}

function checkForward(
  func: RealFunc,
  values: readonly Tensor[],
  numeric: Derivatives,
  options: GradcheckOptions,
): void {
  const byInput = values.map((value, i) =>
    jvpColumns(value, (dual) => func(values.map((other, k) => (k === i ? dual : other)))),
  );
  const found = numeric.map((row, o) =>
    row.map((wanted, i) => ((byInput[i] as Tensor[])[o] as Tensor).reshape(wanted.shape)),
  );
  compare("in the forward pass", found, numeric, options);
}

function checkBatched(func: RealFunc, values: readonly Tensor[]): void {
  enableGrad(() => {
    const inputs = values.map((value) => value.detach().clone().requiresGrad_());
    for (const [o, output] of func(inputs).entries()) {
      if (!output.requiresGrad) continue;
      const vectors = randn([2, ...output.shape], { dtype: output.dtype, device: output.device });
      const options = { retainGraph: true, allowUnused: true };
      const together = grad(output, inputs, { ...options, gradOutputs: [vectors], isGradsBatched: true });
      const single = vectors
        .unbind(0)
        .map((vector) => grad(output, inputs, { ...options, gradOutputs: [vector] }));
      for (const [i, batch] of together.entries()) {
        if (batch !== null && !allclose(batch, stack(single.map((one) => one[i] as Tensor)))) {
          throw new GradcheckError(
            `gradcheck: many backward passes at once differ from single ones, for output ${o} and input ${i}`,
          );
        }
      }
    }
  });
}
