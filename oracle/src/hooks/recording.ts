import type { Callable, Constructor } from "../levin.js";
import { camelCase } from "../names.js";
import type { Parameter } from "../signatures.js";
import { pickedArguments, type Tape } from "./tape.js";

const STAGES = ["train", "validation", "test", "predict"];

/** The hooks that a recording module overrides. */
export const MODULE_HOOKS = [
  ..."on_fit_start on_fit_end on_train_start on_train_end on_validation_start on_validation_end on_test_start on_test_end".split(
    " ",
  ),
  ..."on_predict_start on_predict_end on_after_backward on_before_backward on_before_optimizer_step on_before_zero_grad".split(
    " ",
  ),
  ..."setup teardown prepare_data configure_model configure_callbacks configure_gradient_clipping".split(" "),
  ..."optimizer_step optimizer_zero_grad backward lr_scheduler_step on_save_checkpoint on_load_checkpoint".split(
    " ",
  ),
  ..."on_before_batch_transfer transfer_batch_to_device on_after_batch_transfer".split(" "),
  ..."on_validation_model_eval on_validation_model_train on_validation_model_zero_grad on_test_model_eval on_test_model_train".split(
    " ",
  ),
  ..."on_predict_model_eval on_predict_model_train".split(" "),
  ...STAGES.flatMap((s) =>
    ["epoch_start", "epoch_end", "batch_start", "batch_end"].map((when) => `on_${s}_${when}`),
  ),
];

/** The hooks that a recording callback overrides. */
export const CALLBACK_HOOKS = [
  ..."setup teardown on_fit_start on_fit_end on_sanity_check_start on_sanity_check_end on_exception state_dict load_state_dict".split(
    " ",
  ),
  ..."on_save_checkpoint on_load_checkpoint on_before_backward on_after_backward on_before_optimizer_step on_before_zero_grad".split(
    " ",
  ),
  ...STAGES.flatMap((s) =>
    ["start", "end", "epoch_start", "epoch_end", "batch_start", "batch_end"].map((when) => `on_${s}_${when}`),
  ),
];

/** The hooks that a recording data module overrides. */
export const DATA_HOOKS = (
  "prepare_data setup teardown on_exception state_dict load_state_dict " +
  "on_before_batch_transfer transfer_batch_to_device on_after_batch_transfer"
).split(" ");

/** What a hook returns instead of what the default returned; undefined leaves it. */
export type Replacement = { value: unknown } | undefined;

interface Recorded {
  base: Constructor<object>;
  hooks: string[];
  signatures: Record<string, Parameter[]>;
  who: (self: object) => string;
  tape: Tape;
  act?: (self: object, hook: string, args: Record<string, unknown>) => Replacement;
}

/** A subclass that notes each hook, does what the base does, then what the scenario asks for there. */
export function recording({ base, hooks, signatures, who, tape, act }: Recorded): Constructor<object> {
  const cls = class extends (base as Constructor<object>) {};
  Object.defineProperty(cls, "name", { value: base.name });
  for (const hook of hooks) {
    const signature = signatures[hook];
    if (signature === undefined) continue; // not a hook of this class in Lightning either
    const original = (base.prototype as Record<string, unknown>)[camelCase(hook)];
    const method = function (this: object, ...args: unknown[]): unknown {
      const shown = pickedArguments(signature, args);
      tape.note(who(this), hook, shown);
      const out = typeof original === "function" ? (original as Callable).apply(this, args) : undefined;
      const finish = (result: unknown) => {
        const replaced = act?.(this, hook, shown);
        return replaced === undefined ? result : replaced.value;
      };
      return isThenable(out) ? out.then(finish) : finish(out);
    };
    Object.defineProperty(cls.prototype, camelCase(hook), {
      value: method,
      writable: true,
      configurable: true,
    });
  }
  return cls;
}

/** Whether a value must be awaited. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | null | undefined)?.then === "function";
}

/** Adds methods to a class, by their Python names. */
export function addMethods(
  cls: Constructor<object>,
  methods: Record<string, (self: object, ...args: never[]) => unknown>,
): void {
  for (const [name, body] of Object.entries(methods)) {
    const method = function (this: object, ...args: unknown[]): unknown {
      return (body as Callable)(this, ...args);
    };
    Object.defineProperty(cls.prototype, camelCase(name), {
      value: method,
      writable: true,
      configurable: true,
    });
  }
}
