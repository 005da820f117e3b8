import { Logger } from "./logger.js";

/** Takes any call, and any property of it is such a thing, too. */
const nothing: object = new Proxy(() => nothing, {
  // not a promise, and no text
  get: (_, name) => (typeof name === "symbol" || name === "then" ? undefined : nothing),
});

/**
 * Logs nothing: in place of the loggers in a `fastDevRun`. It has every method that other loggers have, and an `experiment` with
 * every method, so that programs that log to theirs run.
 */
export class DummyLogger extends Logger {
  readonly name = "";
  readonly version = "";
  readonly experiment = nothing;

  constructor() {
    super();
    // biome-ignore lint/correctness/noConstructorReturn: the logger itself has every method, too
    return new Proxy(this, {
      get: (logger, name) =>
        name in logger || typeof name === "symbol" || name === "then"
          ? Reflect.get(logger, name, logger)
          : nothing,
    });
  }

  logMetrics(): void {}
  logHyperparams(): void {}
}
