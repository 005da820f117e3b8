import { Callback } from "../callback.js";
import { type DeviceStats, getCpuStats, getDeviceStats } from "../device-stats.js";
import { MisconfigurationError } from "../errors.js";
import type { TrainerFunction } from "../hooks.js";
import type { LightningModule } from "../module.js";
import type { Trainer } from "../trainer.js";

/**
 * Logs, before and after the batches of log steps, how much memory is used and, on a CPU, how busy it is: as
 * `DeviceStatsMonitor.on_train_batch_start/cpu_percent` and the like.
 */
export class DeviceStatsMonitor extends Callback {
  readonly #cpuStats: boolean | null;

  /**
   * @param options `cpuStats`: whether the CPU is measured. Default: where it is the device.
   */
  constructor(options: { cpuStats?: boolean | null } = {}) {
    super();
    this.#cpuStats = options.cpuStats ?? null;
  }

  override setup(trainer: Trainer, _module: LightningModule, stage: TrainerFunction): void {
    if (stage !== "fit" || trainer.loggers.length > 0) return;
    throw new MisconfigurationError(
      "DeviceStatsMonitor needs a logger, but the trainer has none: give it one, or leave it out.",
    );
  }

  override onTrainBatchStart(trainer: Trainer): void {
    this.#log(trainer, "on_train_batch_start");
  }

  override onTrainBatchEnd(trainer: Trainer): void {
    this.#log(trainer, "on_train_batch_end");
  }

  override onValidationBatchStart(trainer: Trainer): void {
    this.#log(trainer, "on_validation_batch_start");
  }

  override onValidationBatchEnd(trainer: Trainer): void {
    this.#log(trainer, "on_validation_batch_end");
  }

  override onTestBatchStart(trainer: Trainer): void {
    this.#log(trainer, "on_test_batch_start");
  }

  override onTestBatchEnd(trainer: Trainer): void {
    this.#log(trainer, "on_test_batch_end");
  }

  #log(trainer: Trainer, place: string): void {
    if (!trainer.shouldUpdateLogs) return;
    const stats = this.#measure(trainer);
    if (stats === null) return;
    for (const logger of trainer.loggers) {
      const prefix = `${this.constructor.name}.${place}${logger.groupSeparator}`;
      const named = Object.entries(stats).map(([name, value]) => [prefix + name, value] as const);
      logger.logMetrics(Object.fromEntries(named), trainer.loggedStep);
    }
  }

  #measure(trainer: Trainer): DeviceStats | null {
    const device = trainer.strategy.rootDevice;
    if (device === "cpu") return this.#cpuStats === false ? null : getCpuStats();
    const stats = getDeviceStats(device);
    return this.#cpuStats ? { ...stats, ...getCpuStats() } : stats;
  }
}
