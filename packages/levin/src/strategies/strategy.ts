import type { Device, nn, optim, Tensor } from "@levin/torch";
import type { CheckpointIO } from "../checkpoint/io.js";
import type { LightningModule } from "../module.js";
import type { Precision } from "../precision/precision.js";

/** Options of `allGather`. */
export interface AllGatherOptions {
  /** The processes. Default: all. */
  group?: unknown;
  /** Whether gradients flow back to the processes. Default: false. */
  syncGrads?: boolean;
}

/**
 * Where processes, parameters and gradients live. The loops ask it for anything about them; one file per
 * implementation. Methods with the name of a hook (`onTrainStart`, ...) are called after the module's hook.
 */
export interface Strategy {
  readonly rootDevice: Device;
  /** The trainer replaces it by its own, where it was given one. */
  precision: Precision;
  /** The trainer replaces it by its own, where it was given one. */
  checkpointIO: CheckpointIO;
  /** The index of this process among all, and on its machine. */
  readonly globalRank: number;
  readonly localRank: number;
  readonly worldSize: number;
  /** The index of this machine, and how many there are. */
  readonly nodeRank: number;
  readonly numNodes: number;
  /** The indices of the devices of this machine. */
  readonly deviceIds: readonly number[];
  /** What `DistributedSampler` is given; null where samples are not spread over processes. */
  readonly distributedSamplerKwargs: { numReplicas: number; rank: number } | null;
  readonly isGlobalZero: boolean;
  /** Whether the optimizer step is called for every batch, and gradients accumulate inside the strategy. */
  readonly handlesGradientAccumulation: boolean;

  /** Puts the module on its device(s), in its types. */
  setupModule(module: LightningModule): void;
  /** Moves optimizer states to where the parameters are. */
  setupOptimizers(optimizers: optim.Optimizer[]): void;
  /** Runs a function whose gradients need not be summed over processes yet. */
  withoutGradientSync<T>(run: () => T): T;
  /** The parameters of an optimizer whose gradients are clipped. */
  gradientParameters(optimizer: optim.Optimizer): nn.Parameter[];
  clipGradientsByNorm(optimizer: optim.Optimizer, value: number): void;
  clipGradientsByValue(optimizer: optim.Optimizer, value: number): void;
  /** A loader as this process should read it. */
  processLoader(loader: unknown): unknown;

  /** Waits for all processes. */
  barrier(name?: string): void;
  /** The first process's value, in all processes. */
  broadcast<T>(value: T): T;
  /** A value over all processes. */
  reduce(value: Tensor, operation: "mean" | "sum" | "min" | "max"): Tensor;
  /** The value of each process, stacked along a new first dimension; in one process the value itself. */
  allGather(value: Tensor, options: AllGatherOptions): Tensor;
  /** Whether all (or any) processes say so. */
  reduceBoolean(decision: boolean, all?: boolean): boolean;

  moduleStateDict(module: LightningModule): Record<string, Tensor>;
  loadModuleStateDict(module: LightningModule, state: Record<string, Tensor>, strict: boolean): void;
  optimizerStateDict(optimizer: optim.Optimizer): Record<string, unknown>;

  /** Lets go of devices and processes at the end of a run. */
  teardown(module: LightningModule | null, optimizers: optim.Optimizer[]): void;
}
