import { describe } from "./describe.js";
import { MisconfigurationError } from "./errors.js";
import { snakeCase } from "./profilers/recorder.js";
import { optionNames, type TrainerOptions } from "./trainer-options.js";

/**
 * The options of a trainer, with those that are not given taken from environment variables: `PL_TRAINER_MAX_EPOCHS=3` stands for
 * `maxEpochs: 3`. Values are read as JSON, or as Python's `True`, `False` and `None`, else as text.
 */
export function withEnvironment(given: TrainerOptions): TrainerOptions {
  if (typeof given !== "object" || given === null) {
    throw new MisconfigurationError(
      `new Trainer() was given ${describe(given)}; it takes an object of options, such as { maxEpochs: 3 }.`,
    );
  }
  const options: Record<string, unknown> = {};
  for (const name of optionNames) {
    const value = process.env[`PL_TRAINER_${snakeCase(name).toUpperCase()}`];
    if (value) options[name] = read(value);
  }
  for (const [name, value] of Object.entries(given)) if (value !== undefined) options[name] = value;
  return options;
}

const python: Record<string, unknown> = { True: true, False: false, None: null };

function read(text: string): unknown {
  if (text in python) return python[text];
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
