import { notAllowed } from "../argument-checks.js";
import { Callback } from "../callback.js";
import { MisconfigurationError } from "../errors.js";

type HookOf<K extends keyof Callback> = Callback[K] extends (...args: never[]) => unknown
  ? Callback[K]
  : never;
type HookNames = Exclude<
  { [K in keyof Callback]: Callback[K] extends (...args: never[]) => unknown ? K : never }[keyof Callback],
  "attach" | "log" | "logDict" | "stateDict" | "loadStateDict"
>;

/** The hooks of a {@link LambdaCallback}, by name. */
export type LambdaHooks = { [K in HookNames]?: HookOf<K> };

/** A callback of single functions: `new LambdaCallback({ onTrainStart: () => console.log("go") })`. */
export class LambdaCallback extends Callback {
  constructor(hooks: LambdaHooks) {
    super();
    for (const [name, hook] of Object.entries(hooks)) {
      const isHook = typeof (Callback.prototype as unknown as Record<string, unknown>)[name] === "function";
      if (isHook && (typeof hook === "function" || hook === undefined)) continue;
      if (isHook) throw notAllowed(`LambdaCallback({ ${name} })`, hook, "a function");
      throw new MisconfigurationError(`LambdaCallback({ ${name} }) is no hook of callbacks.`);
    }
    Object.assign(this, hooks);
  }
}
