import { type Device, nn, type optim, type Tensor } from "@levin/torch";
import { type CheckpointIO, TorchCheckpointIO } from "../checkpoint/io.js";
import type { LightningModule } from "../module.js";
import type { Precision } from "../precision/precision.js";
import { TruePrecision } from "../precision/true.js";
import type { Strategy } from "./strategy.js";

/** The arguments of {@link SingleDeviceStrategy}. */
export interface SingleDeviceStrategyOptions {
  /** Default: "cpu". */
  device?: Device;
  /** Default: "32-true". The trainer's `precision`, where given, takes its place. */
  precision?: Precision;
  /** Default: {@link TorchCheckpointIO}. The trainer's plugin, where given, takes its place. */
  checkpointIO?: CheckpointIO;
}

/** One process on one device. */
export class SingleDeviceStrategy implements Strategy {
  readonly globalRank = 0;
  readonly localRank = 0;
  readonly worldSize = 1;
  readonly nodeRank = 0;
  readonly numNodes = 1;
  readonly distributedSamplerKwargs = null;
  readonly isGlobalZero = true;
  readonly handlesGradientAccumulation = false;

  readonly rootDevice: Device;
  precision: Precision;
  checkpointIO: CheckpointIO;

  constructor(options: SingleDeviceStrategyOptions = {}) {
    this.rootDevice = options.device ?? "cpu";
    this.precision = options.precision ?? new TruePrecision("32-true");
    this.checkpointIO = options.checkpointIO ?? new TorchCheckpointIO();
  }

  get deviceIds(): number[] {
    return [Number(this.rootDevice.split(":")[1] ?? 0)];
  }

  setupModule(module: LightningModule): void {
    this.precision.convertModule(module);
    module.to({ device: this.rootDevice });
  }

  setupOptimizers(optimizers: optim.Optimizer[]): void {
    moveOptimizers(optimizers, this.rootDevice);
  }

  withoutGradientSync<T>(run: () => T): T {
    return run();
  }

  gradientParameters(optimizer: optim.Optimizer): nn.Parameter[] {
    return optimizer.paramGroups.flatMap((group) => group.params) as nn.Parameter[];
  }

  clipGradientsByNorm(optimizer: optim.Optimizer, value: number): void {
    nn.utils.clipGradNorm_(this.gradientParameters(optimizer), value);
  }

  clipGradientsByValue(optimizer: optim.Optimizer, value: number): void {
    nn.utils.clipGradValue_(this.gradientParameters(optimizer), value);
  }

  processLoader(loader: unknown): unknown {
    return loader;
  }

  barrier(): void {}

  broadcast<T>(value: T): T {
    return value;
  }

  reduce(value: Tensor): Tensor {
    return value;
  }

  allGather(value: Tensor): Tensor {
    return value;
  }

  reduceBoolean(decision: boolean): boolean {
    return decision;
  }

  moduleStateDict(module: LightningModule): Record<string, Tensor> {
    return module.stateDict();
  }

  loadModuleStateDict(module: LightningModule, state: Record<string, Tensor>, strict: boolean): void {
    module.loadStateDict(state, { strict });
  }

  optimizerStateDict(optimizer: optim.Optimizer): Record<string, unknown> {
    return optimizer.stateDict() as unknown as Record<string, unknown>;
  }

  teardown(module: LightningModule | null, optimizers: optim.Optimizer[]): void {
    if (this.rootDevice === "cpu") return;
    moveOptimizers(optimizers, "cpu");
    module?.cpu();
  }
}

function moveOptimizers(optimizers: optim.Optimizer[], device: Device): void {
  for (const optimizer of optimizers) {
    for (const state of optimizer.state.values() as Iterable<Record<string, unknown>>) {
      for (const [key, value] of Object.entries(state)) {
        const tensor = value as Partial<Tensor> | null;
        // the step count may stay on the host, where some optimizers keep it
        if (key !== "step" && typeof tensor?.to === "function") state[key] = (value as Tensor).to(device);
      }
    }
  }
}
