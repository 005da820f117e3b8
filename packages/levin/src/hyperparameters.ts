import { nn, serialization } from "@levin/torch";
import { describe } from "./describe.js";
import { MisconfigurationError } from "./errors.js";
import { warn } from "./messages.js";
import { isPlainObject } from "./tree.js";

/** Options of `saveHyperparameters`. */
export interface SaveHyperparametersOptions {
  /** Names that are not kept. */
  ignore?: string | readonly string[];
  /** Whether the loggers get them. Default: true. */
  logger?: boolean;
}

/** The hyperparameters of a module or data module. */
export class Hyperparameters {
  /** The values now; the user may change them. */
  readonly current: Record<string, unknown> = {};
  /** Whether the loggers get them. */
  logged = false;
  #initial: Record<string, unknown> = {};

  /** The values as they were when they were saved. */
  get initial(): Record<string, unknown> {
    return structuredCopy(this.#initial);
  }

  save(given: object, options: SaveHyperparametersOptions): void {
    if (typeof given !== "object" || given === null || Array.isArray(given)) {
      throw new MisconfigurationError(
        `saveHyperparameters was given ${describe(given)}; it takes an object of names and values.`,
      );
    }
    const ignored = [options.ignore ?? []].flat();
    this.remove(ignored);
    const kept = Object.entries(given).filter(([key]) => !ignored.includes(key));
    for (const [key, value] of kept) {
      if (holdsItself(value, []))
        throw new MisconfigurationError(`saveHyperparameters: ${key} holds itself, which no file can hold.`);
      if (value instanceof nn.Module) {
        warn(
          `The hyperparameter "${key}" is a module, whose weights checkpoints hold anyway: give { ignore: ["${key}"] }.`,
        );
      }
    }
    Object.assign(this.current, Object.fromEntries(kept));
    this.logged = options.logger ?? true;
    this.#initial = structuredCopy(this.current);
  }

  /** Forgets the values that a checkpoint cannot hold, so that a run does not fail at its first one. */
  removeUnsavable(): void {
    for (const [key, value] of Object.entries(this.current)) {
      try {
        serialization.encode(value);
      } catch {
        warn(
          `The hyperparameter "${key}" is left out, as a checkpoint cannot hold it: give { ignore: ["${key}"] }.`,
        );
        delete this.current[key];
      }
    }
  }

  remove(names: readonly string[]): void {
    for (const name of names) delete this.current[name];
  }
}

function holdsItself(value: unknown, outer: readonly unknown[]): boolean {
  if (!Array.isArray(value) && !isPlainObject(value)) return false;
  return outer.includes(value) || Object.values(value).some((part) => holdsItself(part, [...outer, value]));
}

function structuredCopy(value: Record<string, unknown>): Record<string, unknown> {
  try {
    return structuredClone(value);
  } catch {
    // functions and other things that cannot be cloned: a shallow copy is what remains
    return { ...value };
  }
}
