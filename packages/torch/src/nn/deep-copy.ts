import { noGrad } from "../grad-mode.js";
import { Tensor } from "../tensor.js";
import { Module } from "./module.js";
import { copyHooks } from "./module-hooks.js";
import { type Internals, internals } from "./module-members.js";
import { Buffer, isLazy, Parameter } from "./parameter.js";

/**
 * A copy of a value with all that hangs on it: modules, tensors (values copied, detached), arrays and plain objects.
 * What is shared inside stays shared; functions and other objects are taken over as they are.
 */
export function deepCopy<T>(value: T): T {
  return noGrad(() => copyOf(value, new Map()) as T);
}

function copyOf(value: unknown, seen: Map<unknown, unknown>): unknown {
  if (typeof value !== "object" || value === null) return value;
  const before = seen.get(value);
  if (before !== undefined) return before;
  if (value instanceof Tensor) {
    const copy = copyOfTensor(value);
    seen.set(value, copy);
    return copy;
  }
  if (value instanceof Module) {
    const copy = Object.create(Object.getPrototypeOf(value)) as Module;
    seen.set(value, copy);
    for (const key of Reflect.ownKeys(value)) {
      if (key === internals) continue;
      const property = Object.getOwnPropertyDescriptor(value, key) as PropertyDescriptor;
      if ("value" in property) property.value = copyOf(property.value, seen);
      Object.defineProperty(copy, key, property);
    }
    const { buffers, items, stateNames, hooks } = value[internals];
    const copied: Internals = {
      buffers: new Map(buffers),
      items: items && new Map([...items].map(([key, item]) => [key, copyOf(item, seen) as Module])),
      stateNames: stateNames && new Map(stateNames),
      hooks: hooks && copyHooks(hooks),
    };
    Object.defineProperty(copy, internals, { value: copied });
    return copy;
  }
  if (Array.isArray(value)) {
    const copy: unknown[] = [];
    seen.set(value, copy);
    for (const item of value) copy.push(copyOf(item, seen));
    return copy;
  }
  if (Object.getPrototypeOf(value) === Object.prototype) {
    const copy: Record<string, unknown> = {};
    seen.set(value, copy);
    for (const [key, item] of Object.entries(value)) copy[key] = copyOf(item, seen);
    return copy;
  }
  return value;
}

function copyOfTensor(value: Tensor): Tensor {
  let copy = value.detach().clone();
  if (value instanceof Parameter) copy = new Parameter(copy, { requiresGrad: value.requiresGrad });
  else if (value instanceof Buffer) copy = new Buffer(copy, value);
  // What has no shape yet stays so.
  if (isLazy(value)) Object.setPrototypeOf(copy, Object.getPrototypeOf(value));
  if (value.requiresGrad && !copy.requiresGrad) copy.requiresGrad_(true);
  if (value.isLeaf && value.grad !== null) copy.grad = value.grad.clone();
  return copy;
}
