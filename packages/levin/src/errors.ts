import { LevinError } from "@levin/torch";

/** The base of all errors that levin's trainer raises by itself. */
export class LightningError extends LevinError {
  override name = "LightningError";
}

/** Options, hooks or calls that do not fit together; the message says which and what to do. */
export class MisconfigurationError extends LightningError {
  override name = "MisconfigurationError";
}

/**
 * What Ctrl-C becomes inside a run, and what the call of the trainer then ends with. A hook may throw it to end the run
 * just as gracefully: `onException` hooks, loggers and the trainer's own teardown run.
 */
export class KeyboardInterrupt extends LightningError {
  override name = "KeyboardInterrupt";
  constructor(message = "The run was interrupted.") {
    super(message);
  }
}

/** What a tuner ends a run with when it has found what it looked for. */
export class TunerExit extends LightningError {
  override name = "TunerExit";
  constructor() {
    super("The tuner has ended.");
  }
}

/** What SIGTERM becomes at the end of the batch in which it came: the call of the trainer then ends with it. */
export class SIGTERMException extends LightningError {
  override name = "SIGTERMException";
  constructor(message = "The run was ended by SIGTERM.") {
    super(message);
  }
}
