import { ArgumentError } from "./errors.js";
import { type Handle, native } from "./native.js";
import { type BackwardOptions, Tensor } from "./tensor.js";

const handlesOf = (tensors: readonly Tensor[], what: string): Handle[] => tensors.map((t) => Tensor.unwrap(t, what));
const optionalHandles = (tensors: readonly (Tensor | null)[], what: string): (Handle | null)[] =>
  tensors.map((t) => (t === null ? null : Tensor.unwrap(t, what)));
const wrapAll = (handles: readonly (Handle | null)[]): (Tensor | null)[] =>
  handles.map((handle) => (handle === null ? null : Tensor.wrap(handle)));

/** Options of {@link grad}. */
export interface GradOptions {
  /** What the gradients of the outputs are multiplied by. Default: ones, for outputs with one element. */
  gradOutputs?: readonly (Tensor | null)[];
  /** Keeps the saved values for another backward pass. Default: the value of `createGraph`. */
  retainGraph?: boolean;
  /** Records the computation, for derivatives of higher order. Default: false. */
  createGraph?: boolean;
  /** Gives null for inputs that the outputs do not depend on instead of an error. Default: false. */
  allowUnused?: boolean;
}

/**
 * The gradients of the outputs with respect to the inputs, without touching any tensor's `grad`.
 *
 * @see https://pytorch.org/docs/stable/generated/torch.autograd.grad.html
 */
export function grad(
  outputs: Tensor | readonly Tensor[],
  inputs: Tensor | readonly Tensor[],
  options: GradOptions = {},
): (Tensor | null)[] {
  const { gradOutputs, retainGraph = null, createGraph = false, allowUnused = false } = options;
  return wrapAll(
    native.gradients(
      handlesOf(outputs instanceof Tensor ? [outputs] : outputs, "grad: outputs"),
      handlesOf(inputs instanceof Tensor ? [inputs] : inputs, "grad: inputs"),
      gradOutputs === undefined ? null : optionalHandles(gradOutputs, "grad: gradOutputs"),
      retainGraph,
      createGraph,
      allowUnused,
    ),
  );
}

/**
 * Computes the gradients of several tensors at once and adds them to the leaves' `grad`.
 *
 * @see https://pytorch.org/docs/stable/generated/torch.autograd.backward.html
 */
export function backward(
  tensors: Tensor | readonly Tensor[],
  gradients: readonly (Tensor | null)[] | null = null,
  options: BackwardOptions = {},
): void {
  native.backward(
    handlesOf(tensors instanceof Tensor ? [tensors] : tensors, "backward: tensors"),
    gradients === null ? null : optionalHandles(gradients, "backward: gradients"),
    options.retainGraph ?? null,
    options.createGraph ?? false,
    options.inputs === undefined ? null : handlesOf(options.inputs, "backward: inputs"),
  );
}

/**
 * Makes backward passes tell which forward operator gave a NaN gradient; slow.
 *
 * @see https://pytorch.org/docs/stable/autograd.html#torch.autograd.detect_anomaly
 */
export function setDetectAnomaly(enabled: boolean, options: { checkNan?: boolean } = {}): void {
  native.setDetectAnomaly(enabled, options.checkNan ?? true);
}

/** Whether anomaly detection is on. */
export function isAnomalyEnabled(): boolean {
  return native.isDetectAnomaly();
}

/** What a {@link Function}'s forward and backward share. */
export class FunctionContext {
  /** @internal */
  saved: (Tensor | null)[] = [];
  /** @internal */
  nonDifferentiable: Tensor[] = [];
  /** @internal */
  dirty: Tensor[] = [];
  /** @internal */
  materializeGrads = true;
  /** For each argument of `apply`, whether a gradient is needed for it. */
  needsInputGrad: boolean[] = [];
  [field: string]: unknown;

  /** Keeps tensors for backward, checked against changes in place and freed with the graph. Only in forward. */
  saveForBackward(...tensors: (Tensor | null)[]): void {
    this.saved = tensors;
  }

  /** The tensors that forward has saved. */
  get savedTensors(): (Tensor | null)[] {
    return this.saved;
  }

  /** Says which outputs have no gradient. Only in forward. */
  markNonDifferentiable(...tensors: Tensor[]): void {
    this.nonDifferentiable = tensors;
  }

  /** Says which inputs forward has changed in place. Only in forward. */
  markDirty(...tensors: Tensor[]): void {
    this.dirty = tensors;
  }

  /** Whether backward gets zeros (default) or null for outputs that nothing depends on. Only in forward. */
  setMaterializeGrads(value: boolean): void {
    this.materializeGrads = value;
  }
}

/** What forward may return. */
type Outputs = Tensor | Tensor[];

/**
 * An operator with a derivative written in TypeScript.
 *
 * ```ts
 * class Double extends autograd.Function {
 *   static override forward(ctx: autograd.FunctionContext, x: Tensor) {
 *     ctx.saveForBackward(x);
 *     return x.mul(2);
 *   }
 *   static override backward(ctx: autograd.FunctionContext, gradient: Tensor) {
 *     return gradient.mul(2);
 *   }
 * }
 * const y = Double.apply(x);
 * ```
 *
 * @see https://pytorch.org/docs/stable/autograd.html#torch.autograd.Function
 */
// biome-ignore lint/suspicious/noShadowRestrictedNames: PyTorch's name
// biome-ignore lint/complexity/noStaticOnlyClass: users extend it, as in PyTorch
export class Function {
  /** Computes the outputs; its operators are not recorded. */
  static forward(_ctx: never, ..._args: never[]): Outputs {
    throw new ArgumentError(`${this.name}: a static method forward(ctx, ...args) is required`);
  }

  /** Computes, from a gradient for each output, one for each argument of forward: null for those that are no tensors. */
  static backward(_ctx: never, ..._gradients: never[]): Tensor | null | (Tensor | null)[] {
    throw new ArgumentError(`${this.name}: a static method backward(ctx, ...gradients) is required`);
  }

  /** Runs forward on the arguments and records it with its backward. */
  static apply<F extends typeof Function>(this: F, ...args: ForwardArguments<F>): ReturnType<F["forward"]> {
    const ctx = new FunctionContext();
    const given = args as unknown[];
    const inputs = given.filter((arg): arg is Tensor => arg instanceof Tensor);
    ctx.needsInputGrad = given.map((arg) => arg instanceof Tensor && arg.requiresGrad);
    const recording = native.isGradEnabled();
    native.setGradEnabled(false);
    let outputs: Outputs;
    try {
      outputs = (this.forward as (ctx: FunctionContext, ...args: unknown[]) => Outputs)(ctx, ...given);
    } finally {
      native.setGradEnabled(recording);
    }
    const list = Array.isArray(outputs) ? outputs : [outputs];
    const tensorPositions = given.flatMap((arg, i) => (arg instanceof Tensor ? [i] : []));
    const handles = native.attachFunction(
      this.name,
      handlesOf(inputs, `${this.name}: inputs`),
      handlesOf(list, `${this.name}: the result of forward`),
      (gradients, saved) => {
        ctx.saved = wrapAll(saved);
        const result = (this.backward as (ctx: FunctionContext, ...gradients: unknown[]) => unknown)(ctx, ...wrapAll(gradients));
        ctx.saved = [];
        return gradientsForTensors(this.name, result, given.length, tensorPositions);
      },
      optionalHandles(ctx.saved, "saveForBackward: tensors"),
      handlesOf(ctx.nonDifferentiable, "markNonDifferentiable: tensors"),
      handlesOf(ctx.dirty, "markDirty: tensors"),
      ctx.materializeGrads,
    );
    ctx.saved = [];
    const results = handles.map((handle) => Tensor.wrap(handle));
    return (Array.isArray(outputs) ? results : results[0]) as ReturnType<F["forward"]>;
  }
}

type ForwardArguments<F extends typeof Function> = F["forward"] extends (ctx: never, ...args: infer A) => unknown ? A : never;

/** The gradients for those arguments that are tensors, after checking that there is one for each argument. */
function gradientsForTensors(name: string, result: unknown, count: number, positions: readonly number[]): (Handle | null)[] {
  const list = (Array.isArray(result) ? result : [result]) as (Tensor | null | undefined)[];
  if (list.length !== count) {
    throw new ArgumentError(`${name}: backward must return one gradient for each of the ${count} arguments of forward, got ${list.length}`);
  }
  return positions.map((i) => {
    const gradient = list[i] ?? null;
    return gradient === null ? null : Tensor.unwrap(gradient, `${name}: a gradient returned by backward`);
  });
}
