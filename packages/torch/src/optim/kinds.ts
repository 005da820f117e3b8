import type { Device } from "../device.js";
import type { DType } from "../dtype.js";
import { type Handle, native } from "../native.js";
import { grads as gradientsOf } from "../ops.js";
import type { Tensor } from "../tensor.js";

/** What parameters that are updated together have in common. */
export interface Kind {
  readonly device: Device;
  /** The device without its number. */
  readonly deviceType: string;
  readonly dtype: DType;
  /** Whether it has so few elements, on the CPU, that several threads would take longer than one. */
  readonly isSmall: boolean;
}

/** From here on libtorch's operators share their work between threads. */
const manyElements = 32768;

/** Parameters of one kind, with their gradients. */
export interface Batch {
  readonly kind: Kind;
  readonly params: Tensor[];
  readonly grads: Tensor[];
}

interface KnownKinds {
  readonly params: readonly Tensor[];
  readonly handles: readonly Handle[];
  readonly each: ReadonlyMap<Tensor, Kind>;
  /** Of the first parameter: another where it has moved. */
  readonly kindNumber: number;
  /** The kind of all, null where they differ. */
  readonly same: Kind | null;
  /** What has stood for all gradients before, and was disposed of: it can do so again. */
  lent: LentBatch | null;
}

/** A batch whose gradients are disposed of after use. */
interface LentBatch {
  readonly batch: Batch;
  /** Of the gradients. */
  readonly handles: readonly Handle[];
}

const known = new WeakMap<object, KnownKinds>();

/**
 * Calls a function with the parameters of a group that have gradients, by device, type and size. The gradients are there for the time of
 * the call only: their memory is free as soon as they are cleared, and not when these objects are collected.
 */
export function forEachBatch(
  group: { params: Tensor[] },
  oneByOne: boolean,
  use: (batch: Batch) => void,
): void {
  const kinds = oneByOne || group.params.length === 0 ? null : kindsOf(group);
  if (kinds?.lent && native.lendGrads(kinds.handles, kinds.lent.handles)) {
    useAndDispose(kinds.lent, use);
    return;
  }
  for (const batch of batchesOf(group, oneByOne)) {
    const lent = { batch, handles: batch.grads.map((grad) => grad.handle) };
    useAndDispose(lent, use);
    if (kinds?.same && batch.grads.length === kinds.params.length) kinds.lent = lent;
  }
}

function useAndDispose({ batch, handles }: LentBatch, use: (batch: Batch) => void): void {
  try {
    use(batch);
  } finally {
    native.disposeAll(handles);
  }
}

/**
 * The parameters of a group that have gradients, by device, type and size.
 *
 * @param oneByOne a batch for each parameter
 */
export function batchesOf(group: { params: Tensor[] }, oneByOne = false): Batch[] {
  let { params } = group;
  if (params.length === 0) return [];
  const kinds = kindsOf(group);
  let grads = gradientsOf(params);
  if (grads.includes(null)) {
    params = params.filter((_, i) => grads[i] !== null);
    grads = grads.filter((grad) => grad !== null);
    if (params.length === 0) return [];
  }
  if (kinds.same !== null && !oneByOne) return [{ kind: kinds.same, params, grads: grads as Tensor[] }];
  const batches = new Map<string, Batch>();
  for (const [i, param] of params.entries()) {
    const kind = kinds.each.get(param) as Kind;
    const key = oneByOne ? `${i}` : `${kind.device} ${kind.dtype} ${kind.isSmall}`;
    let batch = batches.get(key);
    if (batch === undefined) {
      batch = { kind, params: [], grads: [] };
      batches.set(key, batch);
    }
    batch.params.push(param);
    batch.grads.push(grads[i] as Tensor);
  }
  return [...batches.values()];
}

/** What the parameters of a group are: asked again only where the parameters are others, or have moved. */
function kindsOf(group: { params: Tensor[] }): KnownKinds {
  const { params } = group;
  const first = params[0] as Tensor;
  const kindNumber = native.kindNumber(first.handle);
  const before = known.get(group);
  if (before !== undefined && before.kindNumber === kindNumber && isSameList(before.params, params))
    return before;
  const each = new Map(params.map((param) => [param, kindOf(param)]));
  const kind = each.get(first) as Kind;
  const same = [...each.values()].every((other) => isSame(kind, other));
  const handles = params.map((param) => param.handle);
  const found = { params: [...params], handles, each, kindNumber, same: same ? kind : null, lent: null };
  known.set(group, found);
  return found;
}

function isSameList(a: readonly Tensor[], b: readonly Tensor[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** The kind of one parameter. */
export function kindOf(param: Tensor): Kind {
  const { device, dtype } = param;
  const deviceType = device.split(":")[0] as string;
  return { device, deviceType, dtype, isSmall: deviceType === "cpu" && param.numel() < manyElements };
}

function isSame(a: Kind, b: Kind): boolean {
  return a.device === b.device && a.dtype === b.dtype && a.isSmall === b.isSmall;
}
