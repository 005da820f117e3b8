import { requireOptions, shown } from "./checks.js";
import { ArgumentError } from "./errors.js";
import { cudaProblem, native } from "./native.js";

/** Where a tensor lives: the type of device, with a number where there are several. */
export type Device =
  | "cpu"
  | "cuda"
  | `cuda:${number}`
  | "mps"
  | `mps:${number}`
  | "xpu"
  | `xpu:${number}`
  | "meta";

/** @internal The device that {@link setDefaultDevice} has set. */
export let defaultDevice: Device | undefined;

/**
 * Sets where new tensors are made when no device is named; null sets it back to the CPU.
 *
 * @throws ArgumentError for what is no device
 * @see https://pytorch.org/docs/stable/generated/torch.set_default_device.html
 */
export function setDefaultDevice(device: Device | null): void {
  if (device !== null && !/^(cpu|cuda|mps|xpu|meta)(:\d+)?$/.test(typeof device === "string" ? device : "")) {
    throw new ArgumentError(
      `setDefaultDevice: device must be "cpu", "cuda", "mps", "xpu" or "meta", with a number ("cuda:1") or without, or null, got ${shown(device)}`,
    );
  }
  defaultDevice = device ?? undefined;
}

/** Where new tensors are made when no device is named. */
export function getDefaultDevice(): Device {
  return defaultDevice ?? "cpu";
}

/** Sets how many threads one operator may use on the CPU. */
export function setNumThreads(count: number): void {
  native.setNumThreads(count);
}

/** How many threads one operator may use on the CPU. */
export function getNumThreads(): number {
  return native.getNumThreads();
}

/** What an NVIDIA device is. */
export interface CudaDeviceProperties {
  name: string;
  /** In bytes. */
  totalMemory: number;
  multiProcessorCount: number;
  /** The compute capability is `major.minor`. */
  major: number;
  minor: number;
}

/** NVIDIA devices. Their memory: `accelerator`. */
export const cuda = {
  /** Whether a CUDA device can be used in this process. */
  isAvailable: (): boolean => native.deviceCount("cuda") > 0,
  /** How many CUDA devices can be used. */
  deviceCount: (): number => native.deviceCount("cuda"),
  /** Waits until all work queued on the device is done. */
  synchronize: (device: Device = "cuda"): void => native.synchronize(device),
  /** What a device is; the current one where no number is given. Throws OperatorError where there is none. */
  getDeviceProperties: (index: number | null = null): CudaDeviceProperties =>
    native.cudaDeviceProperties(index),
  /** The name of a device; of the current one where no number is given. Throws OperatorError where there is none. */
  getDeviceName: (index: number | null = null): string => native.cudaDeviceProperties(index).name,
  /** Why CUDA cannot be used although there is a driver, else null. */
  problem: (): string | null => cudaProblem,
};

/** Apple's GPUs. */
export const mps = {
  /** Whether Apple's GPU can be used in this process. */
  isAvailable: (): boolean => native.deviceCount("mps") > 0,
  /** Waits until all work queued on the device is done. */
  synchronize: (): void => native.synchronize("mps"),
};

/**
 * Asks operators for implementations that give the same result every time, and for an error where there is none.
 *
 * @see https://pytorch.org/docs/stable/generated/torch.use_deterministic_algorithms.html
 */
export function useDeterministicAlgorithms(enabled: boolean, options: { warnOnly?: boolean } = {}): void {
  requireOptions(options, "useDeterministicAlgorithms");
  native.setDeterministic(enabled, options.warnOnly ?? false);
}

/** Whether deterministic implementations were asked for. */
export function areDeterministicAlgorithmsEnabled(): boolean {
  return native.isDeterministic();
}

/** What libtorch is and what it can use here. */
export interface BuildInfo {
  torchVersion: string;
  /** libtorch's own description of its configuration: compiler, BLAS, instruction sets. */
  config: string;
  parallelInfo: string;
  numThreads: number;
  numInteropThreads: number;
  cudaAvailable: boolean;
  cudaDeviceCount: number;
  mpsAvailable: boolean;
}

/** What libtorch is and what it can use here. */
export function buildInfo(): BuildInfo {
  return {
    ...native.buildInfo(),
    cudaAvailable: cuda.isAvailable(),
    cudaDeviceCount: cuda.deviceCount(),
    mpsAvailable: mps.isAvailable(),
  };
}
