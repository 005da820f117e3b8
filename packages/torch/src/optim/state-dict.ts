import { isFloatingDType } from "../dtype.js";
import { ArgumentError } from "../errors.js";
import { Tuple } from "../serialization/python.js";
import { Tensor } from "../tensor.js";
import { camelCase, snakeCase } from "./names.js";
import type { ParamGroup } from "./param-group.js";

/** What an optimizer keeps of one parameter between steps, such as its momentum. */
export type ParameterState = Record<string, unknown>;

/** An optimizer's state as PyTorch has it, with its names: parameters are counted over all groups. */
export interface OptimizerStateDict {
  state: Map<number, ParameterState> | Record<string, ParameterState>;
  param_groups: Record<string, unknown>[];
}

/** Groups and states as PyTorch has them: with its names, and numbers in place of the parameters. */
export function packState(
  groups: readonly ParamGroup[],
  state: ReadonlyMap<Tensor, ParameterState>,
): OptimizerStateDict {
  const numbers = new Map<Tensor, number>();
  const onDevice = new Set<Tensor>();
  let count = 0;
  const packed = groups.map(({ params, ...options }) => {
    for (const [i, param] of params.entries()) {
      if (!numbers.has(param)) numbers.set(param, count + i);
      if (keepsStepOnDevice(options)) onDevice.add(param);
    }
    count += params.length;
    const group = renamed(options, (key, value) => [snakeCase(key), tuple(key, value)]);
    group.params = params.map((param) => numbers.get(param));
    return group;
  });
  const kept = [...state].map(([param, values]): [number, ParameterState] => [
    numbers.get(param) as number,
    renamed(values, (key, value) => [
      snakeCase(key),
      onDevice.has(param) ? value : withStepOnHost(key, value),
    ]),
  ]);
  return { state: new Map(kept), param_groups: packed };
}

/** The groups and states of a saved state, for an optimizer that has `own` groups. */
export function unpackState(
  { state, param_groups: saved }: OptimizerStateDict,
  own: readonly ParamGroup[],
  defaults: object,
): { groups: ParamGroup[]; state: Map<Tensor, ParameterState> } {
  checkGroups(saved, own);
  const owners = new Map<number, { param: Tensor; onDevice: boolean }>();
  for (const [i, group] of saved.entries()) {
    const onDevice = keepsStepOnDevice(group);
    for (const [k, id] of (group.params as number[]).entries()) {
      owners.set(id, { param: own[i]?.params[k] as Tensor, onDevice });
    }
  }
  const loaded = new Map<Tensor, ParameterState>();
  for (const [id, kept] of state instanceof Map ? state : Object.entries(state ?? {})) {
    const owner = owners.get(Number(id));
    if (owner === undefined) continue;
    const { param, onDevice } = owner;
    const values = renamed(kept, (key, value) => [camelCase(key), moved(param, value, key, onDevice)]);
    loaded.set(param, values);
  }
  const groups = own.map((group, i) => {
    // an option that a user named in another way than levin does keeps its name
    const known = new Map(Object.keys(group).map((key) => [snakeCase(key), key]));
    const options = renamed(saved[i] as Record<string, unknown>, (key, value) => [
      known.get(key) ?? camelCase(key),
      Array.isArray(value) ? [...value] : value,
    ]);
    const names = group.paramNames === undefined ? {} : { paramNames: group.paramNames };
    // what older files do not have keeps the default
    return { ...defaults, ...names, ...options, params: group.params } as ParamGroup;
  });
  return { groups, state: loaded };
}

function checkGroups(saved: readonly Record<string, unknown>[], own: readonly ParamGroup[]): void {
  if (!Array.isArray(saved)) {
    throw new ArgumentError("the state of an optimizer must be an object with state and param_groups");
  }
  if (saved.length !== own.length) {
    throw new ArgumentError(
      `loaded state dict has a different number of parameter groups: ${saved.length} instead of ${own.length}`,
    );
  }
  for (const [i, { params }] of own.entries()) {
    const ids = (saved[i] as Record<string, unknown>).params;
    if (!Array.isArray(ids))
      throw new ArgumentError(`loaded state dict has a parameter group without params: group ${i}`);
    if (ids.length !== params.length) {
      throw new ArgumentError(
        `loaded state dict contains a parameter group that doesn't match the size of optimizer's group: group ${i} has ` +
          `${ids.length} parameters there and ${params.length} here`,
      );
    }
  }
}

function renamed(
  object: Record<string, unknown>,
  rename: (key: string, value: unknown) => [string, unknown],
): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => rename(key, value)));
}

/** PyTorch keeps options with several values in tuples. */
function tuple(key: string, value: unknown): unknown {
  return Array.isArray(value) && key !== "paramNames" ? new Tuple(...value) : value;
}

/** Whether PyTorch has the number of steps where the parameters are; otherwise it is on the host. */
function keepsStepOnDevice(options: Record<string, unknown>): boolean {
  return options.fused === true || options.capturable === true;
}

function withStepOnHost(key: string, value: unknown): unknown {
  return key === "step" && value instanceof Tensor ? value.cpu() : value;
}

/** A value of a saved state, its tensors on the device and in the type of the parameter; but not the number of steps. */
function moved(param: Tensor, value: unknown, key: string, stepOnDevice: boolean): unknown {
  if (Array.isArray(value)) return value.map((each) => moved(param, each, "", stepOnDevice));
  if (!(value instanceof Tensor)) return value;
  const { device, dtype } = param;
  if (key === "step") return stepOnDevice ? value.to({ dtype: "float32", device }) : value;
  return isFloatingDType(dtype) ? value.to({ dtype, device }) : value.to(device);
}
