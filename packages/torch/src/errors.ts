/** The base of every error that levin throws on purpose. */
export class LevinError extends Error {
  override name = "LevinError";
}

/** An argument has the wrong type, count or value. The message names it, what was given and what is allowed. */
export class ArgumentError extends LevinError {
  override name = "ArgumentError";
}

/** A tensor was used after `dispose()`. */
export class DisposedError extends LevinError {
  override name = "DisposedError";
}

/** What kind of failure libtorch reports. */
export type OperatorErrorKind =
  | "RuntimeError"
  | "IndexError"
  | "ValueError"
  | "TypeError"
  | "NotImplementedError"
  | "LinAlgError"
  | "OutOfMemoryError";

/**
 * An operator of libtorch failed. `kind` is the name that the error has in PyTorch. With `TORCH_SHOW_CPP_STACKTRACES=1` in the
 * environment, `cause` says where in libtorch it came from.
 */
export class OperatorError extends LevinError {
  override name = "OperatorError";
  readonly kind: OperatorErrorKind;

  constructor(message: string, kind: OperatorErrorKind = "RuntimeError", details = "") {
    super(message, details === "" ? undefined : { cause: details });
    this.kind = kind;
  }
}
