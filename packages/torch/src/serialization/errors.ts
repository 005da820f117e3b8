import { LevinError } from "../errors.js";

/** A file cannot be read, because it is damaged, hostile or of another kind, or a value cannot be written. The message says what is wrong. */
export class SerializationError extends LevinError {
  override name = "SerializationError";
}
