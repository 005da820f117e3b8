/** The hooks of modules: their lists, and the calls around `forward` and the backward pass. */
import { Function as AutogradFunction, type FunctionContext } from "../autograd.js";
import { ArgumentError, LevinError } from "../errors.js";
import { type RemovableHandle, Tensor } from "../tensor.js";
import type { Module } from "./module.js";
import { describe, internals } from "./module-members.js";
import type { IncompatibleKeys, StateDict } from "./module-state.js";

/** Called before `forward` with its arguments; may return other arguments (one value, or an array of all). */
export type ForwardPreHook = (module: Module, args: unknown[]) => unknown;

/** Called after `forward`; may return another output. */
export type ForwardHook = (module: Module, args: unknown[], output: unknown) => unknown;

/** Called with the gradients of the outputs before those of the inputs are computed; may return others. */
export type FullBackwardPreHook = (
  module: Module,
  gradOutput: (Tensor | null)[],
) => (Tensor | null)[] | Tensor | undefined;

/** Called when the gradients of the inputs are computed; may return other ones for the inputs. */
export type FullBackwardHook = (
  module: Module,
  gradInput: (Tensor | null)[],
  gradOutput: (Tensor | null)[],
) => (Tensor | null)[] | Tensor | undefined;

/** Called by `stateDict` before it collects. */
export type StateDictPreHook = (module: Module, prefix: string, keepVars: boolean) => void;

/** Called by `stateDict` with what it collected of the module and its children; may change it in place. */
export type StateDictPostHook = (module: Module, stateDict: StateDict, prefix: string) => void;

/** Called before a module takes its values from a state dict; may change the (copied) dict in place. */
export type LoadStateDictPreHook = (
  module: Module,
  stateDict: StateDict,
  prefix: string,
  strict: boolean,
) => void;

/** Called when a module has taken its values; may change the lists of keys in place. */
export type LoadStateDictPostHook = (module: Module, incompatibleKeys: IncompatibleKeys) => void;

/** Options of the hook registrations of `forward`. */
export interface ForwardHookOptions {
  /** Whether the hook comes before those that are there already. Default: false. */
  prepend?: boolean;
  /** Whether the hook is called when `forward` threw, too. Default: false. */
  alwaysCall?: boolean;
}

export type HookList<H> = Map<number, H>;

export interface Hooks {
  readonly forwardPre: HookList<ForwardPreHook>;
  readonly forward: HookList<ForwardHook>;
  readonly alwaysCalled: Set<number>;
  readonly backwardPre: HookList<FullBackwardPreHook>;
  readonly backward: HookList<FullBackwardHook>;
  readonly statePre: HookList<StateDictPreHook>;
  readonly statePost: HookList<StateDictPostHook>;
  readonly loadPre: HookList<LoadStateDictPreHook>;
  readonly loadPost: HookList<LoadStateDictPostHook>;
}

let nextHookId = 0;

/** The hooks that are called before a module's `forward`, by their ids; deleting one takes it away. */
export function forwardPreHooksOf(module: Module): Map<number, ForwardPreHook> {
  return hooksOf(module).forwardPre;
}

/** Whether a module, or one below it, has hooks before or after `forward`. */
export function hasForwardHooks(module: Module): boolean {
  return module
    .modules()
    .some(({ [internals]: { hooks } }) => hooks && hooks.forwardPre.size + hooks.forward.size > 0);
}

export function copyHooks(hooks: Hooks): Hooks {
  return {
    forwardPre: new Map(hooks.forwardPre),
    forward: new Map(hooks.forward),
    alwaysCalled: new Set(hooks.alwaysCalled),
    backwardPre: new Map(hooks.backwardPre),
    backward: new Map(hooks.backward),
    statePre: new Map(hooks.statePre),
    statePost: new Map(hooks.statePost),
    loadPre: new Map(hooks.loadPre),
    loadPost: new Map(hooks.loadPost),
  };
}

export function hooksOf(module: Module): Hooks {
  const inner = module[internals];
  inner.hooks ??= {
    forwardPre: new Map(),
    forward: new Map(),
    alwaysCalled: new Set(),
    backwardPre: new Map(),
    backward: new Map(),
    statePre: new Map(),
    statePost: new Map(),
    loadPre: new Map(),
    loadPost: new Map(),
  };
  return inner.hooks;
}

export function addHook<H>(list: HookList<H>, hook: H, prepend = false): RemovableHandle {
  if (typeof hook !== "function")
    throw new ArgumentError(`A hook is a function, but ${describe(hook)} was given.`);
  const id = nextHookId++;
  if (prepend) {
    const others = [...list];
    list.clear();
    list.set(id, hook);
    for (const [key, other] of others) list.set(key, other);
  } else {
    list.set(id, hook);
  }
  return { remove: () => void list.delete(id) };
}

export function addForwardHook<H>(
  module: Module,
  select: (hooks: Hooks) => HookList<H>,
  hook: H,
  options: ForwardHookOptions,
): RemovableHandle {
  const hooks = hooksOf(module);
  const list = select(hooks);
  const handle = addHook(list, hook, options.prepend);
  const id = nextHookId - 1;
  if (options.alwaysCall) hooks.alwaysCalled.add(id);
  installHookedForward(module);
  return {
    remove() {
      handle.remove();
      hooks.alwaysCalled.delete(id);
      if (hooks.forwardPre.size + hooks.forward.size + hooks.backwardPre.size + hooks.backward.size === 0) {
        uninstallHookedForward(module);
      }
    },
  };
}

type Forward = (this: Module, ...args: unknown[]) => unknown;

/** Marks the `forward` that runs hooks and holds the one it replaces. */
const replaced = Symbol("levin.nn.replaced-forward");

/** Puts a `forward` that runs the hooks before the module's own: modules without hooks pay nothing for them. */
function installHookedForward(module: Module): void {
  const own = Object.getOwnPropertyDescriptor(module, "forward");
  if (own && typeof own.value === "function" && replaced in own.value) return;
  const plain = module.forward as unknown as Forward;
  const hooked = function (this: Module, ...args: unknown[]): unknown {
    return callWithHooks(this, plain, args);
  };
  Object.assign(hooked, { [replaced]: own ?? null });
  Object.defineProperty(module, "forward", {
    value: hooked,
    configurable: true,
    writable: true,
    enumerable: false,
  });
}

function uninstallHookedForward(module: Module): void {
  const own = Object.getOwnPropertyDescriptor(module, "forward");
  if (!own || typeof own.value !== "function" || !(replaced in own.value)) return;
  const before = own.value[replaced] as PropertyDescriptor | null;
  if (before) Object.defineProperty(module, "forward", before);
  else Reflect.deleteProperty(module, "forward");
}

function callWithHooks(module: Module, forward: Forward, given: unknown[]): unknown {
  const hooks = hooksOf(module);
  let args = given;
  let output: unknown;
  const called = new Set<number>();
  try {
    for (const hook of hooks.forwardPre.values()) {
      const result = hook(module, args);
      if (result !== undefined) args = Array.isArray(result) ? result : [result];
    }
    const backward =
      hooks.backward.size + hooks.backwardPre.size > 0
        ? new BackwardHooks(module, [...hooks.backwardPre.values()], [...hooks.backward.values()])
        : null;
    if (backward) args = backward.wrapInputs(args);
    output = forward.apply(module, args);
    for (const [id, hook] of [...hooks.forward]) {
      called.add(id);
      const result = hook(module, args, output);
      if (result !== undefined) output = result;
    }
    return backward ? backward.wrapOutputs(output) : output;
  } catch (error) {
    for (const [id, hook] of [...hooks.forward]) {
      if (hooks.alwaysCalled.has(id) && !called.has(id)) hook(module, args, output);
    }
    throw error;
  }
}

type Gradients = (Tensor | null)[];

/** Joins tensors that want gradients at one point of the graph, where `onBackward` sees all their gradients. */
class Joint extends AutogradFunction {
  static override forward(
    ctx: FunctionContext,
    onBackward: (grads: Gradients) => Gradients,
    ...tensors: Tensor[]
  ): Tensor[] {
    ctx.onBackward = onBackward;
    ctx.setMaterializeGrads(false);
    return tensors.map((tensor) => tensor.viewAs(tensor));
  }

  static override backward(ctx: FunctionContext, ...grads: Gradients): Gradients {
    return [null, ...(ctx.onBackward as (grads: Gradients) => Gradients)(grads)];
  }
}

/** One call of a module under backward hooks. */
class BackwardHooks {
  private gradOutput: (Tensor | null)[] | null = null;
  private inputsJoined = false;
  private inputCount = 0;

  constructor(
    private readonly module: Module,
    private readonly pre: FullBackwardPreHook[],
    private readonly post: FullBackwardHook[],
  ) {}

  wrapInputs(args: unknown[]): unknown[] {
    this.inputCount = args.length;
    return this.wrap(
      args,
      (grads, positions) => {
        const gradInput: (Tensor | null)[] = Array(this.inputCount).fill(null);
        positions.forEach((position, i) => {
          gradInput[position] = grads[i] ?? null;
        });
        const changed = this.runPost(gradInput);
        return positions.map((position) => changed[position] ?? null);
      },
      () => {
        this.inputsJoined = true;
      },
    );
  }

  wrapOutputs(output: unknown): unknown {
    const single = !Array.isArray(output);
    const outputs: unknown[] = single ? [output] : output;
    const wrapped = this.wrap(outputs, (grads, positions) => {
      let gradOutput: (Tensor | null)[] = Array(outputs.length).fill(null);
      positions.forEach((position, i) => {
        gradOutput[position] = grads[i] ?? null;
      });
      for (const hook of this.pre) {
        const result = hook(this.module, gradOutput);
        if (result !== undefined) gradOutput = this.checked(result, gradOutput.length, "gradOutput");
      }
      this.gradOutput = gradOutput;
      // No input wants a gradient: the backward pass of this module ends here.
      if (!this.inputsJoined) this.runPost(Array(this.inputCount).fill(null));
      return positions.map((position) => gradOutput[position] ?? null);
    });
    return single ? wrapped[0] : wrapped;
  }

  private runPost(gradInput: (Tensor | null)[]): (Tensor | null)[] {
    let current = gradInput;
    for (const hook of this.post) {
      const result = hook(this.module, current, this.gradOutput ?? []);
      if (result !== undefined) current = this.checked(result, current.length, "gradInput");
    }
    return current;
  }

  private checked(result: (Tensor | null)[] | Tensor, length: number, what: string): (Tensor | null)[] {
    const list = Array.isArray(result) ? result : [result];
    if (list.length !== length) {
      throw new LevinError(
        `Backward hook returned an invalid number of ${what}: got ${list.length}, but expected ${length}.`,
      );
    }
    return list;
  }

  private wrap(
    values: unknown[],
    onBackward: (grads: (Tensor | null)[], positions: number[]) => (Tensor | null)[],
    whenJoined?: () => void,
  ): unknown[] {
    const positions: number[] = [];
    const tensors: Tensor[] = [];
    values.forEach((value, i) => {
      if (value instanceof Tensor && value.requiresGrad) {
        positions.push(i);
        tensors.push(value);
      }
    });
    if (tensors.length === 0) return values;
    whenJoined?.();
    const joined = Joint.apply((grads: (Tensor | null)[]) => onBackward(grads, positions), ...tensors);
    const list = (Array.isArray(joined) ? joined : [joined]) as Tensor[];
    const wrapped = [...values];
    positions.forEach((position, i) => {
      wrapped[position] = list[i];
    });
    return wrapped;
  }
}
