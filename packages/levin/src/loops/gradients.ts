import type { BackwardOptions, optim, Tensor } from "@levin/torch";
import { asynchronousHook, callModule, dispatchSync, withHook } from "../dispatch.js";
import type { OptimizerRun } from "../optimizers.js";
import { record } from "../profilers/recorder.js";
import { isThenable } from "../thenable.js";
import type { Trainer } from "../trainer.js";
import { advance } from "./progress.js";

/** Computes the gradients of a loss, with the hooks around it. */
export function backward(trainer: Trainer, loss: Tensor, options?: BackwardOptions): void {
  const { recorder } = trainer.run;
  if (recorder === null) return runBackward(trainer, loss, options);
  const action = `[Strategy]${trainer.strategy.constructor.name}.backward`;
  record(recorder, action, () => runBackward(trainer, loss, options));
}

function runBackward(trainer: Trainer, loss: Tensor, options?: BackwardOptions): void {
  const { hooks, module } = trainer.run;
  const scaled = trainer.strategy.precision.scaleLoss(loss);
  dispatchSync(hooks.onBeforeBackward, scaled);
  const pending: unknown = withHook(module, "backward", () =>
    options ? module.backward(scaled, options) : module.backward(scaled),
  );
  if (isThenable(pending)) throw asynchronousHook("backward");
  dispatchSync(hooks.onAfterBackward);
}

/** What the module's optimizers have the trainer do. */
export function makeOptimizerRun(trainer: Trainer): OptimizerRun {
  const clip = (optimizer: optim.Optimizer) => afterClosure(trainer, optimizer);
  return {
    step: (optimizer, closure) =>
      trainer.strategy.precision.optimizerStep(optimizer, closure as (() => Tensor | null) | null, {
        afterClosure: clip,
        isAutomatic: trainer.run.module.automaticOptimization,
      }),
    toggle: (optimizer) => trainer.run.module.toggleOptimizer(optimizer),
    untoggle: (optimizer) => trainer.run.module.untoggleOptimizer(optimizer),
    beforeStep: () => {
      if (!trainer.run.module.automaticOptimization) advance(trainer.fitLoop.progress.manualStep, "ready");
    },
    afterStep: () => {
      if (!trainer.run.module.automaticOptimization)
        advance(trainer.fitLoop.progress.manualStep, "completed");
    },
  };
}

/** What happens between the gradients and the change of the parameters. */
function afterClosure(trainer: Trainer, optimizer: optim.Optimizer): void {
  const { hooks, module } = trainer.run;
  dispatchSync(hooks.onBeforeOptimizerStep, optimizer);
  if (!module.automaticOptimization) return;
  const pending: unknown = callModule(module, "configureGradientClipping", () =>
    module.configureGradientClipping(optimizer, {
      gradientClipVal: trainer.gradientClipVal,
      gradientClipAlgorithm: trainer.gradientClipAlgorithm,
    }),
  );
  if (isThenable(pending)) throw asynchronousHook("configureGradientClipping");
}
