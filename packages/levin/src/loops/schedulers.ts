import type { Tensor } from "@levin/torch";
import { asynchronousHook, callModule } from "../dispatch.js";
import { MisconfigurationError } from "../errors.js";
import { warn } from "../messages.js";
import type { SchedulerConfig } from "../optimizers.js";
import { isThenable } from "../thenable.js";
import type { FitLoop } from "./fit.js";
import { advance } from "./progress.js";

/**
 * Steps the schedulers that are due.
 *
 * @param onPlateau whether those that look at a metric, or the others
 */
export function stepSchedulers(loop: FitLoop, interval: "step" | "epoch", onPlateau: boolean): void {
  const { trainer } = loop;
  if (trainer.lrSchedulerConfigs.length === 0 || !trainer.run.module.automaticOptimization) return;
  if (interval === "step" && loop.isAccumulating) return;
  const count = (interval === "step" ? loop.batchIdx : trainer.currentEpoch) + 1;
  for (const config of trainer.lrSchedulerConfigs) {
    if (config.reduceOnPlateau !== onPlateau || config.interval !== interval) continue;
    if (count % config.frequency === 0) stepScheduler(loop, config);
  }
}

function stepScheduler(loop: FitLoop, config: SchedulerConfig): void {
  const { module, logging } = loop.trainer.run;
  let metric: Tensor | null = null;
  if (config.reduceOnPlateau) {
    const metrics = logging.callbackMetrics;
    metric = metrics[config.monitor!] ?? null;
    if (metric === null) {
      const message =
        `ReduceLROnPlateau is conditioned on the metric "${config.monitor}", which is not available. ` +
        `Available are: ${Object.keys(metrics).join(", ") || "none"}. Set \`monitor\` in the lr scheduler options.`;
      if (config.strict) throw new MisconfigurationError(message);
      warn(`${message} The learning rate is not updated.`);
      return;
    }
  }
  advance(loop.progress.scheduler, "ready");
  const pending: unknown = callModule(module, "lrSchedulerStep", () =>
    module.lrSchedulerStep(config.scheduler, metric),
  );
  if (isThenable(pending)) throw asynchronousHook("lrSchedulerStep");
  advance(loop.progress.scheduler, "completed");
}
