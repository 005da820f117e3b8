import { fileURLToPath } from "node:url";
import { readJson } from "./json.js";
import { camelCase, camelCaseKeys } from "./names.js";

/** A parameter of a Python function: its name and whether it has a default. */
export type Parameter = [name: string, optional: boolean];

interface Table {
  modules: Record<string, Parameter[]>;
  forwards: Record<string, Parameter[]>;
  functional: Record<string, Parameter[]>;
  init: Record<string, Parameter[]>;
  optimizers: Record<string, Parameter[]>;
  schedulers: Record<string, Parameter[]>;
  module_hooks: Record<string, Parameter[]>;
  callback_hooks: Record<string, Parameter[]>;
  data_module_hooks: Record<string, Parameter[]>;
  callbacks: Record<string, Parameter[]>;
}

/** PyTorch's and Lightning's parameter names, written by `scripts/make-signatures.py`. */
export const signatures = readJson<Table>(
  fileURLToPath(new URL("../src/signatures.generated.json", import.meta.url)),
);

/**
 * Turns a Python call into levin's: what has no default goes by place, everything else into one options object at the end.
 *
 * @param signature - The Python parameters; without them, positional arguments keep their places.
 */
export function arrange(
  signature: Parameter[] | undefined,
  args: readonly unknown[],
  kwargs: Record<string, unknown>,
): unknown[] {
  const named = camelCaseKeys(kwargs);
  if (signature === undefined || signature.some(([name]) => name.startsWith("*"))) {
    return Object.keys(named).length > 0 ? [...args, named] : [...args];
  }
  const placed: unknown[] = [];
  const options: Record<string, unknown> = { ...named };
  signature.forEach(([name, optional], i) => {
    const key = camelCase(name);
    const given = i < args.length;
    if (optional) {
      if (given) options[key] = args[i];
    } else if (given) {
      placed.push(args[i]);
    } else if (key in options) {
      placed.push(options[key]);
      delete options[key];
    }
  });
  if (args.length > signature.length) placed.push(...args.slice(signature.length));
  return Object.keys(options).length > 0 ? [...placed, options] : placed;
}
