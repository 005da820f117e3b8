/** Computing a second time instead of keeping values for the backward pass: PyTorch's `torch.utils.checkpoint`. */

import { setAutocast } from "../amp/autocast.js";
import { enterSavedTensorsHooks } from "../autograd/graph.js";
import type { Device } from "../device.js";
import type { DType } from "../dtype.js";
import { ArgumentError, LevinError } from "../errors.js";
import { enableGrad, isGradEnabled, runSynchronously } from "../grad-mode.js";
import { native } from "../native.js";
import { Generator } from "../random.js";
import { Tensor } from "../tensor.js";

/** The second computation was not the same as the first. */
export class CheckpointError extends LevinError {
  override name = "CheckpointError";
}

/** Options of {@link checkpoint}. */
export interface CheckpointOptions {
  /** Only the way that is not reentrant is there. Default: false. */
  useReentrant?: false;
  /** Whether random numbers are the same the second time. Default: true. */
  preserveRngState?: boolean;
  /** Whether shapes, types and devices are compared with those of the first time. Default: `"default"`. */
  determinismCheck?: "default" | "none";
  /** Whether the second computation ends as soon as all values are there. Default: the value of {@link setCheckpointEarlyStop}. */
  earlyStop?: boolean;
}

let earlyStopDefault = true;

/** Sets whether second computations end as soon as all values are there; until then they do. */
export function setCheckpointEarlyStop(enabled: boolean): void {
  earlyStopDefault = enabled;
}

/** What stands in the graph in place of a saved tensor. */
interface Holder {
  frame: Frame;
  /** The value, once it is computed again, until it is taken. */
  value: Tensor | null;
  metadata: string;
}

/** One checkpointed call. */
interface Frame {
  /** In the order of saving; of those that are no longer part of a graph nothing is needed. */
  holders: WeakRef<Holder>[];
  recompute: () => void;
}

/** Thrown through the function when all values are there. */
const enough = new Error("all values of a checkpoint are there");

const describe = (tensor: Tensor): string => `shape [${tensor.shape}], ${tensor.dtype}, ${tensor.device}`;

/**
 * Calls a function whose intermediate values are not kept for the backward pass: there it is called once more, with the same
 * random numbers and the same autocast.
 *
 * ```ts
 * const y = utils.checkpoint.checkpoint((h) => block.forward(h), [x]);
 * ```
 *
 * @param args the arguments of the function
 * @throws ArgumentError where the function returns a promise
 * @throws CheckpointError in the backward pass, where the second call saves other tensors than the first
 * @see https://pytorch.org/docs/stable/checkpoint.html#torch.utils.checkpoint.checkpoint
 */
export function checkpoint<const A extends readonly unknown[], R>(
  fn: (...args: A) => R,
  args: A,
  options: CheckpointOptions = {},
): R {
  if ((options.useReentrant as unknown) === true) {
    throw new ArgumentError(
      "checkpoint: useReentrant must be false; the reentrant way is not there, this one does more",
    );
  }
  if (!isGradEnabled()) return fn(...args);
  const { preserveRngState = true, determinismCheck = "default", earlyStop = earlyStopDefault } = options;
  const devices = devicesOf(args);
  const resetRandom = preserveRngState ? randomStates(devices) : () => {};
  const enterAutocast = autocastStates(devices);
  const frame: Frame = { holders: [], recompute: () => {} };
  const changes = args.map((arg) => (arg instanceof Tensor ? arg.version : 0));

  frame.recompute = () => {
    for (const [i, arg] of args.entries()) {
      if (arg instanceof Tensor && arg.version !== changes[i]) {
        throw new CheckpointError(
          `checkpoint: argument ${i} of the function was changed in place after the first call`,
        );
      }
    }
    const resetNow = preserveRngState ? randomStates(devices) : () => {};
    resetRandom();
    const leaveAutocast = enterAutocast();
    try {
      enableGrad(() => fillHolders(frame, () => fn(...args), determinismCheck === "default", earlyStop));
    } finally {
      leaveAutocast();
      resetNow();
    }
  };

  const pack = (tensor: Tensor): Holder => {
    const holder: Holder = {
      frame,
      value: null,
      metadata: determinismCheck === "default" ? describe(tensor) : "",
    };
    frame.holders.push(new WeakRef(holder));
    return holder;
  };
  return runSynchronously("checkpoint", () => fn(...args), enterSavedTensorsHooks(pack, take));
}

/** The value of a saved tensor, computed again where that has not happened since it was last taken. */
function take(holder: Holder): Tensor {
  if (holder.value === null) holder.frame.recompute();
  const { value } = holder;
  if (value === null) {
    throw new CheckpointError(
      "checkpoint: the second call of the function saved fewer tensors than the first; it must do the same both times",
    );
  }
  holder.value = null;
  return value;
}

/** Runs the function again and puts what it saves into the holders. */
function fillHolders(frame: Frame, fn: () => unknown, compare: boolean, earlyStop: boolean): void {
  let count = 0;
  const pack = (tensor: Tensor): Tensor => {
    const reference = frame.holders[count++];
    if (reference === undefined) {
      if (earlyStop) throw enough;
      throw new CheckpointError(
        "checkpoint: the second call of the function saved more tensors than the first; it must do the same both times",
      );
    }
    const holder = reference.deref();
    if (holder !== undefined) {
      if (compare && describe(tensor) !== holder.metadata) {
        throw new CheckpointError(
          `checkpoint: saved tensor ${count - 1} was ${holder.metadata} in the first call and is ${describe(tensor)} in the second; the function must do the same both times`,
        );
      }
      holder.value = tensor.detach();
    }
    if (earlyStop && count === frame.holders.length) throw enough;
    return tensor.detach();
  };
  const leave = enterSavedTensorsHooks(pack, (tensor) => tensor);
  try {
    fn();
  } catch (error) {
    if (error !== enough) throw error;
  } finally {
    leave();
  }
}

/** The CPU and the devices of tensors among the arguments, also in arrays and plain objects. */
function devicesOf(values: unknown): Device[] {
  const found = new Set<Device>(["cpu"]);
  const visit = (value: unknown): void => {
    if (value instanceof Tensor) {
      if (!value.isMeta) found.add(value.device);
    } else if (Array.isArray(value)) {
      value.forEach(visit);
    } else if (
      typeof value === "object" &&
      value !== null &&
      Object.getPrototypeOf(value) === Object.prototype
    ) {
      Object.values(value).forEach(visit);
    }
  };
  visit(values);
  return [...found];
}

/** A function that sets the random numbers of the devices back to where they are now. */
function randomStates(devices: readonly Device[]): () => void {
  const states = devices.map((device) => {
    const generator = Generator.default(device);
    return [generator, generator.getState()] as const;
  });
  return () => {
    for (const [generator, state] of states) generator.setState(state);
  };
}

/** A function that sets autocast to what it is now, and gives one that sets it back. */
function autocastStates(devices: readonly Device[]): () => () => void {
  const types = [...new Set(devices.map((device) => device.split(":")[0] as Device))];
  const states = types.map((device) => {
    const [enabled, dtype, cacheEnabled] = native.autocastState(device);
    return { device, enabled, dtype: dtype as DType as "bfloat16" | "float16", cacheEnabled };
  });
  return () => {
    const leave = states
      .filter(({ enabled, device }) => enabled || native.autocastState(device)[0])
      .map((state) => setAutocast(state));
    return () => {
      for (const one of leave.reverse()) one();
    };
  };
}

/** What {@link checkpointSequential} calls: a function, or a module. */
export type Stage = ((input: Tensor) => Tensor) | { forward(input: Tensor): Tensor };

/**
 * Calls functions or modules one after another, in segments of which all but the last are checkpointed.
 *
 * @param segments how many
 * @see https://pytorch.org/docs/stable/checkpoint.html#torch.utils.checkpoint.checkpoint_sequential
 */
export function checkpointSequential(
  functions: Iterable<Stage>,
  segments: number,
  input: Tensor,
  options: CheckpointOptions = {},
): Tensor {
  const stages = [...functions];
  if (!Number.isInteger(segments) || segments < 1 || segments > stages.length) {
    throw new ArgumentError(
      `checkpointSequential: segments must be a whole number from 1 to the ${stages.length} functions, got ${segments}`,
    );
  }
  const run = (from: number, to: number) => (x: Tensor) =>
    stages
      .slice(from, to)
      .reduce((value, stage) => (typeof stage === "function" ? stage(value) : stage.forward(value)), x);
  const size = Math.floor(stages.length / segments);
  const last = size * (segments - 1);
  let value = input;
  for (let from = 0; from < last; from += size) value = checkpoint(run(from, from + size), [value], options);
  return run(last, stages.length)(value);
}
