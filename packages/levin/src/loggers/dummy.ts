import { Logger } from "./logger.js";

/** Logs nothing: in place of the loggers in a `fastDevRun`. */
export class DummyLogger extends Logger {
  readonly name = undefined;
  readonly version = undefined;
  logMetrics(): void {}
  logHyperparams(): void {}
}
