import { cuda, type Device } from "../device.js";
import { ArgumentError } from "../errors.js";
import { mapTensors, rebuild, tensorsIn } from "../func/tree.js";
import { cat } from "../ops.generated.js";
import type { Tensor } from "../tensor.js";
import { Module } from "./module.js";
import { functionalCall } from "./utils/stateless.js";

/** Options of {@link DataParallel}. */
export interface DataParallelOptions {
  /** The devices; the module's parameters must be on the first. Default: all CUDA devices. */
  deviceIds?: readonly Device[] | null;
  /** Where the outputs come together. Default: the first device. */
  outputDevice?: Device | null;
  /** The dimension along which inputs are split and outputs joined. Default: 0. */
  dim?: number;
}

/**
 * Splits a batch over several devices, each of which calls the module with a copy of its parameters; gradients come together in
 * the module's own. Without accelerators, it calls the module. For several processes, a strategy is faster.
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.DataParallel.html
 */
export class DataParallel<M extends Module> extends Module {
  readonly deviceIds: readonly Device[];
  readonly outputDevice: Device | null;
  readonly dim: number;
  module: M;

  constructor(module: M, options: DataParallelOptions = {}) {
    super();
    const all = Array.from({ length: cuda.deviceCount() }, (_, i): Device => `cuda:${i}`);
    this.deviceIds = options.deviceIds ?? all;
    this.outputDevice = options.outputDevice ?? this.deviceIds[0] ?? null;
    this.dim = options.dim ?? 0;
    this.module = module;
  }

  override forward(...inputs: Parameters<M["forward"]>): ReturnType<M["forward"]> {
    const [first] = this.deviceIds;
    const call = this.module.forward as (...inputs: unknown[]) => ReturnType<M["forward"]>;
    if (first === undefined) return call.apply(this.module, inputs);
    this.#requireParametersOn(first);
    const batches = scatter(inputs, this.deviceIds, this.dim);
    const outputs = batches.map((batch, i) => {
      const device = this.deviceIds[i] as Device;
      return functionalCall(this.module, copies(this.module, device), batch);
    });
    return gather(outputs, this.outputDevice ?? first, this.dim) as ReturnType<M["forward"]>;
  }

  #requireParametersOn(device: Device): void {
    for (const tensor of [...this.module.parameters(), ...this.module.buffers()]) {
      if (tensor.device === device) continue;
      throw new ArgumentError(
        `DataParallel: the module's parameters and buffers must be on ${device}, the first device, but one is on ${tensor.device}.`,
      );
    }
  }
}

/** The inputs of each device: tensors split, everything else for all. */
function scatter(inputs: unknown[], devices: readonly Device[], dim: number): unknown[][] {
  const split = tensorsIn(inputs).map((tensor) => tensor.chunk(devices.length, dim));
  const count = split.length === 0 ? 1 : Math.min(...split.map((parts) => parts.length));
  return devices.slice(0, count).map((device, i) => {
    const parts = split.map((chunks) => (chunks[i] as Tensor).to(device));
    return rebuild(inputs, parts) as unknown[];
  });
}

/** Parameters and buffers on a device; on their own, they themselves. */
function copies(module: Module, device: Device): Record<string, Tensor> {
  const own = [...module.namedParameters(), ...module.namedBuffers()];
  return Object.fromEntries(own.map(([name, tensor]): [string, Tensor] => [name, tensor.to(device)]));
}

/** Outputs of one form, their tensors joined. */
function gather(outputs: readonly unknown[], device: Device, dim: number): unknown {
  const lists = outputs.map(tensorsIn);
  let at = 0;
  return mapTensors(outputs[0], (tensor) => {
    const parts = lists.map((list) => (list[at] as Tensor).to(device));
    at += 1;
    return cat(
      tensor.ndim === 0 ? parts.map((part) => part.unsqueeze(0)) : parts,
      tensor.ndim === 0 ? 0 : dim,
    );
  });
}
