import { cuda, inferenceMode, tensor } from "@levin/torch";
import { getAvailableFlops } from "../available-flops.js";
import { Callback } from "../callback.js";
import type { StepOutput, TrainerFunction } from "../hooks.js";
import { warn } from "../messages.js";
import type { LightningModule } from "../module.js";
import { Throughput, type ThroughputOptions } from "../throughput.js";
import type { Stage, Trainer } from "../trainer.js";

/** Options of {@link ThroughputMonitor}. */
export interface ThroughputMonitorOptions extends Pick<ThroughputOptions, "windowSize" | "separator"> {
  /** The number of items in a batch, such as tokens. */
  lengthFn?: ((batch: never) => number) | null;
}

/** What was counted in one stage. */
interface Counts {
  throughput: Throughput;
  /** When the stage began, in seconds. */
  start: number;
  batches: number;
  samples: number;
  lengths: number;
}

/**
 * Logs how many batches, samples and items are processed in a second, and how many floating point operations where the module has a field
 * `flopsPerBatch`: as `train/device/samples_per_sec` and the like. All batches should have the same size.
 *
 * ```ts
 * new Trainer({ callbacks: new ThroughputMonitor((batch: Tensor) => batch.size(0)) });
 * ```
 */
export class ThroughputMonitor extends Callback {
  readonly batchSizeFn: (batch: never) => number;
  readonly lengthFn: ((batch: never) => number) | null;
  /** The floating point operations that the device can do in a second, in theory. */
  availableFlops: number | null = null;
  readonly #options: ThroughputMonitorOptions;
  readonly #counts = new Map<Stage, Counts>();
  #hasFlops: boolean | null = null;

  /**
   * @param batchSizeFn the number of samples in a batch
   */
  constructor(batchSizeFn: (batch: never) => number, options: ThroughputMonitorOptions = {}) {
    super();
    this.batchSizeFn = batchSizeFn;
    this.lengthFn = options.lengthFn ?? null;
    this.#options = options;
  }

  override setup(trainer: Trainer, _module: LightningModule, _stage: TrainerFunction): void {
    this.availableFlops = getAvailableFlops(trainer.strategy.rootDevice, trainer.precision);
    if (trainer.state.fn === "fit" && trainer.enableValidation) this.#prepare(trainer, "validate");
    this.#prepare(trainer, trainer.state.stage!);
  }

  #prepare(trainer: Trainer, stage: Stage): void {
    const { windowSize, separator } = this.#options;
    const throughput = new Throughput({
      availableFlops: this.availableFlops,
      worldSize: trainer.worldSize,
      ...(windowSize !== undefined && { windowSize }),
      ...(separator !== undefined && { separator }),
    });
    // several evaluations are counted together
    const before = this.#counts.get(stage) ?? { batches: 0, samples: 0, lengths: 0 };
    this.#counts.set(stage, { ...before, throughput, start: 0 });
  }

  #start(trainer: Trainer): void {
    const counts = this.#of(trainer);
    counts.start = now();
    if (trainer.state.fn !== "fit") return;
    counts.throughput.reset();
    Object.assign(counts, { batches: 0, samples: 0, lengths: 0 });
  }

  #of(trainer: Trainer): Counts {
    return this.#counts.get(trainer.state.stage!)!;
  }

  #update(trainer: Trainer, module: LightningModule, batch: unknown): void {
    const counts = this.#of(trainer);
    const device = trainer.strategy.rootDevice;
    // what is queued on the device must be done, to be counted
    if (device.startsWith("cuda")) cuda.synchronize(device);
    const time = now() - counts.start;
    inferenceMode(() => {
      if (this.lengthFn) counts.lengths += this.lengthFn(batch as never);
      counts.samples += this.batchSizeFn(batch as never);
    });
    counts.batches++;
    counts.throughput.update({
      time,
      batches: counts.batches,
      samples: counts.samples,
      lengths: this.lengthFn ? counts.lengths : null,
      flops: this.#flopsOf(module),
    });
  }

  #flopsOf(module: LightningModule): number | null {
    const { flopsPerBatch } = module as { flopsPerBatch?: number };
    if (this.#hasFlops === null) {
      this.#hasFlops = flopsPerBatch !== undefined;
      if (!this.#hasFlops) {
        warn(
          `ThroughputMonitor: ${module.constructor.name} has no field \`flopsPerBatch\`, so that floating point operations are not counted; ` +
            "measureFlops gives it.",
        );
      }
    }
    return flopsPerBatch ?? null;
  }

  #log(trainer: Trainer, step?: number): void {
    if (!trainer.shouldUpdateLogs) return;
    const { throughput } = this.#of(trainer);
    const prefix = trainer.state.stage! + throughput.separator;
    const metrics = Object.entries(throughput.compute()).map(
      ([name, value]) => [prefix + name, tensor(value, { dtype: "float64" })] as const,
    );
    trainer.logging.logMetrics(Object.fromEntries(metrics), step);
  }

  override onTrainStart(trainer: Trainer): void {
    if (trainer.isGlobalZero) this.#start(trainer);
  }

  override onTrainBatchEnd(
    trainer: Trainer,
    module: LightningModule,
    _outputs: StepOutput,
    batch: unknown,
  ): void {
    if (!trainer.isGlobalZero) return;
    this.#update(trainer, module, batch);
    // the time of an optimizer step belongs to all batches whose gradients it uses
    if (!trainer.fitLoop.isAccumulating) this.#log(trainer);
  }

  override onValidationStart(trainer: Trainer): void {
    if (trainer.isGlobalZero && !trainer.sanityChecking) this.#start(trainer);
  }

  override onValidationBatchEnd(
    trainer: Trainer,
    module: LightningModule,
    _outputs: unknown,
    batch: unknown,
  ): void {
    if (!trainer.isGlobalZero || trainer.sanityChecking) return;
    this.#update(trainer, module, batch);
    this.#log(trainer, trainer.evaluationLoop.progress.total.ready);
  }

  override onValidationEnd(trainer: Trainer): void {
    if (!trainer.isGlobalZero || trainer.sanityChecking || trainer.state.fn !== "fit") return;
    // the time of the validation is none of the training's
    const train = this.#counts.get("train")!;
    const validation = this.#counts.get("validate")!;
    const before = validation.start - (train.start + train.throughput.lastTime);
    train.start += before + validation.throughput.lastTime;
  }

  override onTestStart(trainer: Trainer): void {
    if (trainer.isGlobalZero) this.#start(trainer);
  }

  override onTestBatchEnd(
    trainer: Trainer,
    module: LightningModule,
    _outputs: unknown,
    batch: unknown,
  ): void {
    if (!trainer.isGlobalZero) return;
    this.#update(trainer, module, batch);
    this.#log(trainer, trainer.evaluationLoop.progress.total.ready);
  }

  override onPredictStart(trainer: Trainer): void {
    if (trainer.isGlobalZero) this.#start(trainer);
  }

  override onPredictBatchEnd(
    trainer: Trainer,
    module: LightningModule,
    _outputs: unknown,
    batch: unknown,
  ): void {
    if (!trainer.isGlobalZero) return;
    this.#update(trainer, module, batch);
    this.#log(trainer, trainer.predictLoop.progress.total.ready);
  }
}

function now(): number {
  return performance.now() / 1000;
}
