import { inspect } from "node:util";
import { ArgumentError } from "../errors.js";
import { native } from "../native.js";
import { zeroGrad } from "../ops.js";
import { type RemovableHandle, Tensor } from "../tensor.js";
import * as foreach from "./foreach.js";
import {
  addHook,
  globalPostHooks,
  globalPreHooks,
  type OptimizerLoadStateDictPostHook,
  type OptimizerLoadStateDictPreHook,
  type OptimizerStateDictPostHook,
  type OptimizerStateDictPreHook,
  type StepPostHook,
  type StepPreHook,
} from "./hooks.js";
import { type Batch, forEachBatch, type Kind } from "./kinds.js";
import {
  type AnyOptions,
  describe,
  isGroup,
  isIterable,
  makeGroup,
  type ParamGroup,
  type ParamGroupInput,
  type Params,
} from "./param-group.js";
import { type OptimizerStateDict, type ParameterState, packState, unpackState } from "./state-dict.js";

/** What a closure returns: the loss. */
export type Loss = Tensor | number | null | undefined;

/** Evaluates the model again and returns the loss. */
export type Closure = () => Loss;

/** What a GradScaler leaves to a fused kernel: to unscale the gradients, and to do nothing where they are not finite. */
export interface Scaling {
  /** What the gradients are multiplied by; null where they are unscaled already. */
  readonly gradScale: Tensor | null;
  /** One where a gradient is not finite, else zero. */
  readonly foundInf: Tensor;
}

/**
 * The base of all optimizers: holds the parameters in groups, and a state for each of them.
 *
 * An optimizer of one's own gives its options' defaults to the constructor and implements {@link update}:
 *
 * ```ts
 * class SignSGD extends optim.Optimizer<{ lr?: number }> {
 *   constructor(params: optim.Params<{ lr?: number }>, { lr = 1e-3 } = {}) {
 *     super(params, { lr });
 *   }
 *   protected override update(group: optim.ParamGroup<{ lr?: number }>, params: Tensor[], grads: Tensor[]) {
 *     for (const [i, param] of params.entries()) param.add_(grads[i].sign(), { alpha: -group.lr });
 *   }
 * }
 * ```
 *
 * @see https://docs.pytorch.org/docs/stable/optim.html#torch.optim.Optimizer
 */
export abstract class Optimizer<Options extends object = AnyOptions> {
  /** The options of groups that do not set them. */
  readonly defaults: Required<Options>;
  /** The parameters in their groups, with the options of each group: change one, and the next step has it. */
  paramGroups: ParamGroup<Options>[] = [];
  /** What is kept of each parameter between steps; a parameter is here from its first step on. */
  state = new Map<Tensor, ParameterState>();
  /** @internal Whether `step` has been called: schedulers warn where they are stepped first. */
  stepCalled = false;
  /** @internal What a GradScaler leaves to the optimizer's kernel; null outside its `step`. */
  scaling: Scaling | null = null;
  /** @internal Whether the optimizer's kernel takes a GradScaler's part. */
  stepSupportsAmpScaling = false;
  readonly #preHooks = new Set<StepPreHook>();
  readonly #postHooks = new Set<StepPostHook>();
  readonly #statePreHooks = new Set<OptimizerStateDictPreHook>();
  readonly #statePostHooks = new Set<OptimizerStateDictPostHook>();
  readonly #loadPreHooks = new Set<OptimizerLoadStateDictPreHook>();
  readonly #loadPostHooks = new Set<OptimizerLoadStateDictPostHook>();

  /**
   * @param params what is optimized
   * @param defaults the options of groups that do not set them
   * @throws ArgumentError where there is no parameter, one of them is no leaf, or one is in two groups
   */
  constructor(params: Params<Options>, defaults: Required<Options>) {
    if (params instanceof Tensor || !isIterable(params)) {
      throw new ArgumentError(
        "params argument given to the optimizer should be an iterable of Tensors, of [name, Tensor] or of parameter groups, " +
          `but got ${describe(params)}`,
      );
    }
    this.defaults = defaults;
    const given = [...(params as Iterable<unknown>)];
    if (given.length === 0) throw new ArgumentError("optimizer got an empty parameter list");
    const groups = isGroup(given[0]) ? given : [{ params: given }];
    for (const group of groups) this.addParamGroup(group as ParamGroupInput<Options>);
  }

  /**
   * Adds parameters, with options of their own: layers that are trained from now on.
   *
   * @throws ArgumentError where a parameter is no leaf, or is in another group
   */
  addParamGroup(group: ParamGroupInput<Options>): void {
    this.paramGroups.push(makeGroup(group, this.defaults, this.paramGroups));
  }

  /**
   * Clears the gradients of all parameters.
   *
   * @param setToNone frees them (default) instead of filling them with zeros
   */
  zeroGrad(setToNone = true): void {
    for (const group of this.paramGroups) zeroGrad(group.params, setToNone);
  }

  /**
   * Changes the parameters by their gradients; those without one stay as they are.
   *
   * @param closure evaluates the model again and returns the loss; most optimizers need none
   * @returns what the closure returned, else null
   */
  step(closure?: Closure): Loss {
    this.stepCalled = true;
    const self = this as unknown as Optimizer;
    let evaluate = closure;
    if (globalPreHooks.size + this.#preHooks.size > 0) {
      for (const hook of [...globalPreHooks, ...this.#preHooks]) evaluate = hook(self, evaluate) ?? evaluate;
    }
    // the closure computes the loss's gradients
    const recording = native.setGradEnabled(true);
    let loss: Loss;
    try {
      loss = this.run(evaluate);
    } finally {
      native.setGradEnabled(recording);
    }
    if (this.#postHooks.size + globalPostHooks.size > 0) {
      for (const hook of [...this.#postHooks, ...globalPostHooks]) hook(self, evaluate);
    }
    return loss;
  }

  /** One step without its hooks: evaluates the closure, then updates group after group. */
  protected run(closure?: Closure): Loss {
    const loss: Loss = closure === undefined ? null : closure();
    const recorded = (this.defaults as AnyOptions).differentiable === true;
    native.setGradEnabled(recorded);
    foreach.setRecorded(recorded);
    for (const group of this.paramGroups) {
      const oneByOne = (group as AnyOptions).foreach === false;
      forEachBatch(group, oneByOne, (batch) => this.#updateBatch(group, batch));
    }
    return loss;
  }

  #updateBatch(group: ParamGroup<Options>, { kind, params, grads }: Batch): void {
    try {
      if (kind.isSmall) withOneThread(() => this.update(group, params, grads, kind));
      else this.update(group, params, grads, kind);
    } finally {
      foreach.freeTemporaries();
    }
  }

  /**
   * Changes parameters of one group, all of one device and type, by their gradients; no operator is recorded.
   *
   * @param grads one for each of the parameters, for the time of this call; they stay as they are
   */
  protected abstract update(group: ParamGroup<Options>, params: Tensor[], grads: Tensor[], kind: Kind): void;

  /** The state of a parameter; empty before its first step. */
  protected stateOf(param: Tensor): ParameterState {
    let state = this.state.get(param);
    if (state === undefined) {
      state = {};
      this.state.set(param, state);
    }
    return state;
  }

  /**
   * The state and the options of all groups, in PyTorch's layout and with its names. Tensors are not copied.
   *
   * What `torch.save` writes of it is read by PyTorch's `load_state_dict`, and the other way round.
   */
  stateDict(): OptimizerStateDict {
    const self = this as unknown as Optimizer;
    for (const hook of this.#statePreHooks) hook(self);
    let stateDict = packState(self.paramGroups, self.state);
    for (const hook of this.#statePostHooks) stateDict = hook(self, stateDict) ?? stateDict;
    return stateDict;
  }

  /**
   * Takes over a state, of levin's or PyTorch's making. Tensors are moved to the device and type of their parameter; those that
   * are there already are shared and not copied.
   *
   * @throws ArgumentError where groups or the numbers of their parameters differ
   */
  loadStateDict(stateDict: OptimizerStateDict): void {
    const self = this as unknown as Optimizer;
    let given: OptimizerStateDict = { ...stateDict };
    for (const hook of this.#loadPreHooks) given = hook(self, given) ?? given;
    const { groups, state } = unpackState(given, self.paramGroups, self.defaults);
    self.paramGroups = groups;
    self.state = state;
    for (const hook of this.#loadPostHooks) hook(self);
  }

  /** Calls a function before each step. */
  registerStepPreHook(hook: StepPreHook): RemovableHandle {
    return addHook(this.#preHooks, hook, false);
  }

  /** Calls a function after each step. */
  registerStepPostHook(hook: StepPostHook): RemovableHandle {
    return addHook(this.#postHooks, hook, false);
  }

  /** Calls a function before each {@link stateDict}; with `prepend`, before the functions that are there already. */
  registerStateDictPreHook(hook: OptimizerStateDictPreHook, { prepend = false } = {}): RemovableHandle {
    return addHook(this.#statePreHooks, hook, prepend);
  }

  /** Calls a function with the result of each {@link stateDict}, which it may change or replace. */
  registerStateDictPostHook(hook: OptimizerStateDictPostHook, { prepend = false } = {}): RemovableHandle {
    return addHook(this.#statePostHooks, hook, prepend);
  }

  /** Calls a function before each {@link loadStateDict} with a shallow copy of the state, which it may change or replace. */
  registerLoadStateDictPreHook(
    hook: OptimizerLoadStateDictPreHook,
    { prepend = false } = {},
  ): RemovableHandle {
    return addHook(this.#loadPreHooks, hook, prepend);
  }

  /** Calls a function after each {@link loadStateDict}. */
  registerLoadStateDictPostHook(
    hook: OptimizerLoadStateDictPostHook,
    { prepend = false } = {},
  ): RemovableHandle {
    return addHook(this.#loadPostHooks, hook, prepend);
  }

  /** The options of all groups as a text. */
  toString(): string {
    const groups = this.paramGroups.map(({ params: _, ...options }, i) => {
      const lines = Object.entries(options)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(
          ([key, value]) => `    ${key}: ${Array.isArray(value) ? `[${value.join(", ")}]` : String(value)}`,
        );
      return `Parameter Group ${i}\n${lines.join("\n")}\n`;
    });
    return `${this.constructor.name} (\n${groups.join("\n")})`;
  }

  [inspect.custom](): string {
    return this.toString();
  }
}

/** Some operators share even the smallest work between threads, which costs more than it saves. */
function withOneThread(update: () => void): void {
  const threads = native.getNumThreads();
  if (threads === 1) {
    update();
    return;
  }
  native.setNumThreads(1);
  try {
    update();
  } finally {
    native.setNumThreads(threads);
  }
}
