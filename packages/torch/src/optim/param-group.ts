import { inspect } from "node:util";
import { ArgumentError } from "../errors.js";
import { call } from "../operator.js";
import { Tensor } from "../tensor.js";

/** Options that every optimizer has, and any other. */
export interface AnyOptions {
  /** Learning rate. */
  lr?: number | Tensor;
  [option: string]: unknown;
}

/** Parameters with the options they are optimized by. */
export type ParamGroup<Options extends object = AnyOptions> = {
  params: Tensor[];
  /** The names of the parameters, where they were given with names. */
  paramNames?: string[];
  /** The learning rate that schedulers begin with. */
  initialLr?: number | Tensor;
} & Required<Options>;

/** A parameter, or one with its name. */
export type NamedParameter = Tensor | readonly [name: string, parameter: Tensor];

/** Parameters with options of their own; for the others the optimizer's hold. */
export type ParamGroupInput<Options extends object = AnyOptions> = {
  params: Tensor | Iterable<NamedParameter>;
} & Partial<Options>;

/** What an optimizer is made of: parameters, parameters with names, or groups of them with options of their own. */
export type Params<Options extends object = AnyOptions> =
  | Iterable<Tensor>
  | Iterable<readonly [name: string, parameter: Tensor]>
  | Iterable<ParamGroupInput<Options>>;

/** A group of an optimizer that has `others` already, with its defaults for what is not given. */
export function makeGroup<Options extends object>(
  group: ParamGroupInput<Options>,
  defaults: Required<Options>,
  others: readonly ParamGroup<Options>[],
): ParamGroup<Options> {
  if (!isGroup(group))
    throw new ArgumentError(`paramGroup must be an object with params, but got ${describe(group)}`);
  const { params, names } = readParams(group.params);
  const differentiable = (defaults as AnyOptions).differentiable === true;
  for (const param of params) checkParam(param, differentiable);
  if (new Set(params).size < params.length) {
    process.emitWarning(
      "optimizer contains a parameter group with duplicate parameters; in future, this will cause an error",
    );
  }
  for (const other of others) {
    if ((names === undefined) !== (other.paramNames === undefined)) {
      throw new ArgumentError(
        "all optimizer param groups should be with/without names. cannot add param group " +
          `${names === undefined ? "without" : "with"} names to the optimizer`,
      );
    }
    const known = new Set<Tensor>(other.params);
    if (params.some((param) => known.has(param))) {
      throw new ArgumentError("some parameters appear in more than one parameter group");
    }
  }
  const options = Object.entries(group).filter(([, value]) => value !== undefined);
  const made = { ...defaults, ...Object.fromEntries(options), params, ...(names && { paramNames: names }) };
  return made as unknown as ParamGroup<Options>;
}

function readParams(given: unknown): { params: Tensor[]; names: string[] | undefined } {
  if (given instanceof Tensor) return { params: [given], names: undefined };
  if (!isIterable(given)) {
    throw new ArgumentError(
      `the params of a parameter group must be an iterable of Tensors, but got ${describe(given)}`,
    );
  }
  const entries = [...given];
  const params = entries.map((entry) => (Array.isArray(entry) ? entry[1] : entry) as Tensor);
  const names = entries.flatMap((entry) => (Array.isArray(entry) ? [entry[0] as string] : []));
  if (names.length > 0 && names.length < params.length) {
    throw new ArgumentError(
      "all optimizer params should be with/without names. Some param names are missing",
    );
  }
  return { params, names: names.length > 0 ? names : undefined };
}

function checkParam(param: unknown, differentiable: boolean): void {
  if (!(param instanceof Tensor)) {
    throw new ArgumentError(
      `optimizer can only optimize Tensors, but one of the params is ${describe(param)}`,
    );
  }
  if (!differentiable && !param.isLeaf && !(call("aten::retains_grad", param) as boolean)) {
    throw new ArgumentError("can't optimize a non-leaf Tensor");
  }
}

export function isIterable(value: unknown): value is Iterable<unknown> {
  return typeof (value as Partial<Iterable<unknown>> | null | undefined)?.[Symbol.iterator] === "function";
}

export function isGroup(value: unknown): value is { params: unknown } {
  return typeof value === "object" && value !== null && !(value instanceof Tensor) && "params" in value;
}

/** A value as messages name it. */
export function describe(value: unknown): string {
  return value instanceof Tensor ? "a Tensor" : inspect(value, { depth: 0 });
}
