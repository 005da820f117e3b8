import { Callback } from "../callback.js";

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
    Object.assign(this, hooks);
  }
}
