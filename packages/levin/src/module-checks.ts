import { isOverridden } from "./dispatch.js";
import { MisconfigurationError } from "./errors.js";
import { warn } from "./messages.js";
import { LightningModule } from "./module.js";
import type { Trainer } from "./trainer.js";

/** Checks that a module has what the trainer was called for, before anything is run. */
export function checkModule(trainer: Trainer, module: LightningModule): void {
  const has = (name: string) => isOverridden(module, name, LightningModule);
  const { fn } = trainer.state;
  if (fn === "fit") {
    for (const name of ["trainingStep", "configureOptimizers"]) {
      if (!has(name)) {
        throw new MisconfigurationError(
          `${module.constructor.name} defines no ${name}(): trainer.fit needs at least trainingStep, configureOptimizers and a training loader.`,
        );
      }
    }
    const hasLoader = trainer.fitLoop.validation.source.isDefined;
    if (hasLoader && !has("validationStep"))
      warn("There is a validation loader, but no validationStep: no validation.");
    if (!hasLoader && has("validationStep"))
      warn("There is a validationStep, but no validation loader: no validation.");
    if (module.automaticOptimization) return;
    if (trainer.gradientClipVal !== null && trainer.gradientClipVal > 0) {
      throw new MisconfigurationError(
        `Trainer({ gradientClipVal: ${trainer.gradientClipVal} }) is for automatic optimization. In manual optimization, call this.clipGradients.`,
      );
    }
    if (trainer.accumulateGradBatches !== 1) {
      throw new MisconfigurationError(
        `Trainer({ accumulateGradBatches: ${trainer.accumulateGradBatches} }) is for automatic optimization: leave it out.`,
      );
    }
  } else if (fn === "predict") {
    if (!has("predictStep") && !has("forward")) {
      throw new MisconfigurationError("trainer.predict needs predictStep() or forward() in the module.");
    }
  } else {
    const step = fn === "test" ? "testStep" : "validationStep";
    if (!has(step))
      throw new MisconfigurationError(`${module.constructor.name} defines no ${step}() for trainer.${fn}.`);
  }
}
