import { LevinError } from "../../errors.js";
import type { Failure } from "./protocol.js";

/** A worker of a {@link DataLoader} failed or died. `cause` is the error that was thrown in it, with its stack. */
export class WorkerError extends LevinError {
  override name = "WorkerError";
  /** Which worker, from 0. */
  readonly workerId: number;

  constructor(message: string, workerId: number, options?: ErrorOptions) {
    super(message, options);
    this.workerId = workerId;
  }
}

const builtIn: Record<string, ErrorConstructor> = {
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
};

/** The error for what was thrown in a worker. */
export function errorOf(failure: Failure, workerId: number): WorkerError {
  const { name, message, stack, code } = failure;
  const cause = Object.assign(
    new (builtIn[name] ?? Error)(message),
    { stack },
    code === undefined ? {} : { code },
  );
  if (cause.name !== name) cause.name = name;
  let hint = "";
  if (name === "TypeError" && /private (member|field|method)|#\w+/.test(message)) {
    hint =
      "\nAn object with #private fields cannot be copied to a worker: give its class a method workerArguments() that returns the " +
      "arguments with which the worker constructs its own.";
  }
  return new WorkerError(`DataLoader worker ${workerId} failed: ${stack}${hint}`, workerId, { cause });
}
