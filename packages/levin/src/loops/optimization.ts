import type { Tensor } from "@levin/torch";
import * as torch from "@levin/torch";
import { asynchronousHook, callModule, callModuleSync, dispatchSync } from "../dispatch.js";
import { MisconfigurationError } from "../errors.js";
import type { StepOutput } from "../hooks.js";
import { warnOnce } from "../messages.js";
import { attachment } from "../module.js";
import { record } from "../profilers/recorder.js";
import { isThenable } from "../thenable.js";
import type { Trainer } from "../trainer.js";
import type { FitLoop } from "./fit.js";
import { advance } from "./progress.js";
import { noResult, readManualOutput, readStepOutput, type StepResult } from "./step-output.js";

/** Thrown through the optimizer, which is synchronous, when a training step turns out to be asynchronous. */
class AsynchronousStep {
  constructor(readonly output: PromiseLike<unknown>) {}
}

/** What happens with one training batch: the training step, its gradients, and the optimizer step. */
export class Optimization {
  /** Whether batches only pass forward: no gradients are computed. */
  skipBackward = false;
  readonly trainer: Trainer;
  #batch: unknown = null;
  #batchIdx = 0;
  #result: StepResult = noResult;
  /** Whether the optimizer, or the module's optimizerStep, has called the closure. */
  #closureHasRun = false;
  /** Whether the training step returns promises: then it is awaited before the optimizer step. */
  #stepIsAsynchronous = false;
  /** The output of a training step that was awaited. */
  #awaited: { output: StepOutput } | null = null;

  constructor(readonly loop: FitLoop) {
    this.trainer = loop.trainer;
  }

  /** Trains on a batch. Returns a promise only where the training step does. */
  run(batch: unknown, batchIdx: number): void | Promise<void> {
    this.#batch = batch;
    this.#batchIdx = batchIdx;
    return this.trainer.run.module.automaticOptimization ? this.#optimize() : this.#optimizeManually();
  }

  /** Forgets the batch, so that its memory is free. */
  release(): void {
    this.#result = noResult;
    this.#batch = null;
  }

  /** One batch in automatic optimization. Returns a promise only where the training step does. */
  #optimize(): void | Promise<void> {
    const { trainer } = this;
    if (this.#stepIsAsynchronous) return this.#optimizeAsynchronously();
    try {
      if (this.loop.isAccumulating && !trainer.strategy.handlesGradientAccumulation) {
        // no optimizer step: gradients only add up
        torch.setGradEnabled(true);
        trainer.strategy.withoutGradientSync(this.#closure);
      } else {
        this.#optimizerStep();
      }
    } catch (error) {
      if (!(error instanceof AsynchronousStep)) throw error;
      this.#stepIsAsynchronous = true;
      return this.#optimizeAsynchronously(error.output);
    }
  }

  async #optimizeAsynchronously(running?: PromiseLike<unknown>): Promise<void> {
    const output = (await (running ?? this.#trainingStep())) as StepOutput;
    this.#awaited = { output };
    this.#stepIsAsynchronous = false;
    try {
      await this.#optimize();
    } finally {
      this.#stepIsAsynchronous = true;
      this.#awaited = null;
    }
  }

  #optimizerStep(): void {
    const { trainer } = this;
    const { progress } = this.loop;
    const { module } = trainer.run;
    const steps = !this.loop.isAccumulating;
    if (steps) advance(progress.optimizerStep, "ready");
    const optimizer = trainer.lightningOptimizers[0]!;
    this.#closureHasRun = false;
    const pending: unknown = callModule(module, "optimizerStep", () =>
      module.optimizerStep(trainer.currentEpoch, this.#batchIdx, optimizer, this.#closure),
    );
    if (isThenable(pending)) throw asynchronousHook("optimizerStep");
    if (!this.#closureHasRun) {
      throw new MisconfigurationError(
        "The closure, which runs the training step, was not called. An optimizerStep of the module's own must call it, or give it to " +
          "`optimizer.step(closure)`; and an optimizer of one's own must call the closure that its step is given.",
      );
    }
    if (steps) advance(progress.optimizerStep, "completed");
  }

  /** What the optimizer calls: computes the loss, and then its gradients. */
  readonly #closure = (): Tensor | null => {
    const { trainer } = this;
    const { progress } = this.loop;
    const { hooks, module } = trainer.run;
    this.#closureHasRun = true;

    const output = this.#awaited ? this.#awaited.output : this.#trainingStep();
    if (isThenable(output)) throw new AsynchronousStep(output);
    const result = readStepOutput(output as StepOutput, trainer.accumulateGradBatches);
    this.#result = result;
    if (result.loss === null) warnOnce("`trainingStep` returned nothing: the batch is left out.");

    if (this.skipBackward) return result.loss;
    if (this.#batchIdx % trainer.accumulateGradBatches === 0) {
      const optimizer = trainer.optimizers[0]!;
      advance(progress.zeroGrad, "ready");
      dispatchSync(hooks.onBeforeZeroGrad, optimizer);
      advance(progress.zeroGrad, "started");
      callModuleSync(module, "optimizerZeroGrad", () =>
        module.optimizerZeroGrad(trainer.currentEpoch, this.#batchIdx, optimizer),
      );
      advance(progress.zeroGrad, "completed");
    }

    if (result.loss !== null) trainer.backward(result.loss);
    return result.loss;
  };

  /** The module's training step, in the precision's types. */
  #trainingStep(): unknown {
    const { run, strategy } = this.trainer;
    if (run.recorder === null) return this.#callTrainingStep();
    const action = `[Strategy]${strategy.constructor.name}.training_step`;
    return record(run.recorder, action, () => this.#callTrainingStep());
  }

  #callTrainingStep(): unknown {
    const { strategy, run } = this.trainer;
    const attached = run.module[attachment];
    const outer = attached.currentHook;
    attached.currentHook = "trainingStep";
    const enter = strategy.precision.enterForward;
    if (enter === null) {
      const output: unknown = run.module.trainingStep(this.#batch, this.#batchIdx);
      if (isThenable(output)) return restoreHook(output, attached, outer);
      attached.currentHook = outer;
      return output;
    }
    const leave = enter();
    let output: unknown;
    try {
      output = run.module.trainingStep(this.#batch, this.#batchIdx);
    } catch (error) {
      leave();
      throw error;
    }
    if (isThenable(output)) return restoreHook(output, attached, outer, leave);
    leave();
    attached.currentHook = outer;
    return output;
  }

  /** One batch in manual optimization: the training step does it all. */
  #optimizeManually(): void | Promise<void> {
    const output = this.#trainingStep();
    if (isThenable(output)) {
      return (async () => {
        this.#result = readManualOutput((await output) as StepOutput);
      })();
    }
    this.#result = readManualOutput(output as StepOutput);
  }

  /** What the hooks at the end of a batch are given. */
  outputs(): Record<string, unknown> {
    const { loss, extra } = this.#result;
    if (loss === null) return this.trainer.run.module.automaticOptimization ? {} : { ...extra };
    return extra === null ? { loss: loss.data } : { loss: loss.data, ...extra };
  }
}

async function restoreHook(
  output: PromiseLike<unknown>,
  attached: { currentHook: string | null },
  outer: string | null,
  leave?: () => void,
): Promise<unknown> {
  try {
    const settled = await output;
    attached.currentHook = outer;
    return settled;
  } finally {
    leave?.();
  }
}
