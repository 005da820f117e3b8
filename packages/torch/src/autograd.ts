import { requireArray, requireFunction, requireOptions, shown } from "./checks.js";
import { ArgumentError } from "./errors.js";
import { activeLayers, hideDim, inBatchLayer, showDim } from "./func/layer.js";
import { runSynchronously } from "./grad-mode.js";
import { type Handle, native } from "./native.js";
import { zerosLike } from "./ops.generated.js";
import { captureStack, framesOf } from "./stack.js";
import { type BackwardOptions, runBackward, Tensor } from "./tensor.js";

export * as forwardAd from "./autograd/forward-ad.js";
export * as functional from "./autograd/functional.js";
export { GradcheckError, type GradcheckOptions, gradcheck, gradgradcheck } from "./autograd/gradcheck.js";
export * as graph from "./autograd/graph.js";
export { enableGrad, inferenceMode, noGrad, setGradEnabled } from "./grad-mode.js";

function handlesOf(tensors: readonly Tensor[], what: string): Handle[] {
  requireArray(tensors, what);
  return tensors.map((t) => Tensor.unwrap(t, what));
}

function optionalHandles(tensors: readonly (Tensor | null)[], what: string): (Handle | null)[] {
  requireArray(tensors, what);
  return tensors.map((t) => (t === null || t === undefined ? null : Tensor.unwrap(t, what)));
}

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
  /** Gives null for inputs that the outputs do not depend on instead of an error. Default: the value of `materializeGrads`. */
  allowUnused?: boolean;
  /** Gives zeros for inputs that the outputs do not depend on. Default: false. */
  materializeGrads?: boolean;
  /** The first dimension of `gradOutputs` counts vectors, for each of which the gradients are computed. Default: false. */
  isGradsBatched?: boolean;
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
  requireOptions(options, "grad");
  const {
    gradOutputs,
    retainGraph = null,
    createGraph = false,
    materializeGrads = false,
    isGradsBatched = false,
  } = options;
  const allowUnused = options.allowUnused ?? materializeGrads;
  if (materializeGrads && !allowUnused)
    throw new ArgumentError("grad: materializeGrads needs allowUnused: true");
  const from = outputs instanceof Tensor ? [outputs] : outputs;
  const to = inputs instanceof Tensor ? [inputs] : inputs;
  const compute = (vectors: readonly (Tensor | null)[] | undefined): (Tensor | null)[] =>
    wrapAll(
      native.gradients(
        handlesOf(from, "grad: outputs"),
        handlesOf(to, "grad: inputs"),
        vectors === undefined ? null : optionalHandles(vectors, "grad: gradOutputs"),
        retainGraph,
        createGraph,
        allowUnused,
      ),
    );
  const found = isGradsBatched ? batched(gradOutputs, compute) : compute(gradOutputs);
  return materializeGrads ? found.map((gradient, i) => gradient ?? zerosLike(to[i] as Tensor)) : found;
}

/** Gradients for each vector of a batch, in one backward pass. */
function batched(
  gradOutputs: readonly (Tensor | null)[] | undefined,
  compute: (vectors: readonly (Tensor | null)[]) => (Tensor | null)[],
): (Tensor | null)[] {
  const size = gradOutputs?.find((vectors) => vectors !== null)?.size(0);
  if (gradOutputs === undefined || size === undefined)
    throw new ArgumentError("grad: isGradsBatched needs gradOutputs with a first dimension");
  return inBatchLayer(size, "error", (level) => {
    const found = compute(
      gradOutputs.map((vectors) => (vectors === null ? null : hideDim(vectors, 0, level))),
    );
    return found.map((gradient) => (gradient === null ? null : showDim(gradient, level, size, 0)));
  });
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
  runBackward(
    handlesOf(tensors instanceof Tensor ? [tensors] : tensors, "backward: tensors"),
    gradients === null ? null : optionalHandles(gradients, "backward: gradients"),
    options,
  );
}

/** Options of anomaly detection. */
export interface DetectAnomalyOptions {
  /** Makes a gradient that is NaN an error. Default: true. */
  checkNan?: boolean;
}

/**
 * Makes backward passes warn where the forward operator was called that an error comes from, and fail where a gradient is NaN;
 * slow. It is on for all threads; the places are known in the thread that turned it on.
 *
 * @see https://pytorch.org/docs/stable/autograd.html#torch.autograd.set_detect_anomaly
 */
export function setDetectAnomaly(enabled: boolean, options: DetectAnomalyOptions = {}): void {
  requireOptions(options, "setDetectAnomaly");
  native.setDetectAnomaly(enabled, options.checkNan ?? true, captureStack, showAnomaly);
}

function showAnomaly(name: string, stack: string, isParent: boolean): void {
  const frames = framesOf(stack).map((frame) => `\n    ${frame}`);
  if (frames.length === 0) {
    process.emitWarning(
      `Error detected in ${name}. No forward pass information is available: turn anomaly detection on during the forward pass, too.`,
    );
    return;
  }
  const what = isParent
    ? `${name} belongs to a graph that`
    : `Error detected in ${name}. The forward operator`;
  process.emitWarning(`${what} was called at:${frames.join("")}`);
}

/** Whether anomaly detection is on. */
export function isAnomalyEnabled(): boolean {
  return native.isDetectAnomaly();
}

/** Whether anomaly detection looks for NaN. */
export function isAnomalyCheckNanEnabled(): boolean {
  return native.isAnomalyCheckNan();
}

/**
 * Runs a synchronous function with anomaly detection; see {@link setDetectAnomaly}.
 *
 * @throws ArgumentError where the function returns a promise
 * @see https://pytorch.org/docs/stable/autograd.html#torch.autograd.detect_anomaly
 */
export function detectAnomaly<T>(body: () => T, options: DetectAnomalyOptions = {}): T {
  requireFunction(body, "detectAnomaly");
  const [enabled, checkNan] = [native.isDetectAnomaly(), native.isAnomalyCheckNan()];
  setDetectAnomaly(true, options);
  return runSynchronously("detectAnomaly", body, () => setDetectAnomaly(enabled, { checkNan }));
}

/** Sets whether backward passes of this thread may use a thread for each device. */
export function setMultithreadingEnabled(enabled: boolean): void {
  native.setMultithreading(enabled);
}

/** What a {@link Function}'s forward and backward share. */
export class FunctionContext {
  /** @internal In forward what is to be saved, in backward what was; null where an earlier pass has freed it. */
  saved: (Tensor | null)[] | null = [];
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

  /**
   * The tensors that forward has saved.
   *
   * @throws ArgumentError where an earlier backward pass has freed them
   */
  get savedTensors(): (Tensor | null)[] {
    if (this.saved !== null) return this.saved;
    throw new ArgumentError(
      "savedTensors: the saved tensors were freed by an earlier backward pass; give retainGraph: true to the first backward()",
    );
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
    if (activeLayers > 0)
      throw new ArgumentError(
        `${this.name}: functions of one's own cannot be used inside func.vmap, func.grad, func.jvp and the like`,
      );
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
    const handles = native.attachFunction(
      this.name,
      handlesOf(inputs, `${this.name}: inputs`),
      handlesOf(Array.isArray(outputs) ? outputs : [outputs], `${this.name}: the result of forward`),
      backwardOf(
        this,
        ctx,
        given.map((arg) => arg instanceof Tensor),
      ),
      optionalHandles(ctx.saved ?? [], "saveForBackward: tensors"),
      handlesOf(ctx.nonDifferentiable, "markNonDifferentiable: tensors"),
      handlesOf(ctx.dirty, "markDirty: tensors"),
      ctx.materializeGrads,
    );
    // What the graph holds by itself must not also be held by the context: the collector cannot see through the graph.
    ctx.saved = [];
    ctx.nonDifferentiable = [];
    ctx.dirty = [];
    const results = handles.map((handle) => Tensor.wrap(handle));
    return (Array.isArray(outputs) ? results : results[0]) as ReturnType<F["forward"]>;
  }
}

type ForwardArguments<F extends typeof Function> = F["forward"] extends (
  ctx: never,
  ...args: infer A
) => unknown
  ? A
  : never;

/** What the graph calls in a backward pass. Made here, where nothing else is in scope that it would keep alive. */
function backwardOf(
  owner: typeof Function,
  ctx: FunctionContext,
  areTensors: readonly boolean[],
): (gradients: (Handle | null)[], saved: (Handle | null)[] | null) => (Handle | null)[] {
  return (gradients, saved) => {
    ctx.saved = saved === null ? null : wrapAll(saved);
    try {
      const result = (owner.backward as (ctx: FunctionContext, ...gradients: unknown[]) => unknown)(
        ctx,
        ...wrapAll(gradients),
      );
      return gradientsForTensors(owner.name, result, areTensors);
    } finally {
      ctx.saved = [];
    }
  };
}

/** The gradients for those arguments that are tensors, after checking that there is one for each argument. */
function gradientsForTensors(
  name: string,
  result: unknown,
  areTensors: readonly boolean[],
): (Handle | null)[] {
  const list = (Array.isArray(result) ? result : [result]) as (Tensor | null | undefined)[];
  // As in PyTorch, there may be more nulls than arguments.
  const isComplete =
    list.length >= areTensors.length && list.slice(areTensors.length).every((gradient) => gradient == null);
  if (!isComplete) {
    throw new ArgumentError(
      `${name}: backward must return one gradient for each of the ${areTensors.length} arguments of forward, got ${list.length}`,
    );
  }
  return areTensors.flatMap((isTensor, i) => {
    const gradient = list[i] ?? null;
    if (!isTensor && gradient !== null) {
      throw new ArgumentError(
        `${name}: backward must return null for argument ${i} of forward, which is no Tensor, got ${shown(gradient)}`,
      );
    }
    if (!isTensor) return [];
    return [gradient === null ? null : Tensor.unwrap(gradient, `${name}: a gradient returned by backward`)];
  });
}
