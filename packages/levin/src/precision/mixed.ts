import { amp, type Device, optim, type Tensor } from "@levin/torch";
import { MisconfigurationError } from "../errors.js";
import { type OptimizerStepContext, type Precision, plainOptimizerStep } from "./precision.js";

/** The arguments of {@link MixedPrecision} that have a default. */
export interface MixedPrecisionOptions {
  /** Scales the loss in "16-mixed". Default: a `GradScaler` for the device. */
  scaler?: amp.GradScaler | null;
}

/**
 * Operators that are safe in 16 bits compute in them (`autocast`), parameters stay float32. In float16, `"16-mixed"`, the loss is
 * scaled, so that small gradients do not vanish, and steps with infinite gradients are left out.
 *
 * ```ts
 * const scaler = new amp.GradScaler({ initScale: 1024 });
 * const trainer = new Trainer({ plugins: new MixedPrecision("16-mixed", "cuda", { scaler }) });
 * ```
 *
 * @throws MisconfigurationError where a scaler is given for "bf16-mixed"
 */
export class MixedPrecision implements Precision {
  readonly stateKey = "MixedPrecision";
  readonly scaler: amp.GradScaler | null;
  readonly enterForward: () => () => void;
  readonly enterInit = null;

  constructor(
    readonly name: "16-mixed" | "bf16-mixed",
    readonly device: Device,
    options: MixedPrecisionOptions = {},
  ) {
    if (name !== "16-mixed" && name !== "bf16-mixed") {
      throw new MisconfigurationError(
        `MixedPrecision was given the precision "${String(name)}"; it is "16-mixed" or "bf16-mixed".`,
      );
    }
    const scaler = options.scaler ?? null;
    if (scaler && name === "bf16-mixed") {
      throw new MisconfigurationError(
        'MixedPrecision("bf16-mixed") was given a scaler, but uses none: leave it out.',
      );
    }
    this.scaler = name === "16-mixed" ? (scaler ?? new amp.GradScaler({ device })) : null;
    const dtype = name === "16-mixed" ? "float16" : "bfloat16";
    this.enterForward = () => amp.setAutocast({ device, dtype, cacheEnabled: false });
  }

  convertModule(): void {}

  convertInput(batch: unknown): unknown {
    return batch;
  }

  scaleLoss(loss: Tensor): Tensor {
    return this.scaler ? this.scaler.scale(loss) : loss;
  }

  optimizerStep(
    optimizer: optim.Optimizer,
    closure: (() => Tensor | null) | null,
    context: OptimizerStepContext,
  ): unknown {
    const { scaler } = this;
    if (!scaler) return plainOptimizerStep(optimizer, closure, context);
    if (optimizer instanceof optim.LBFGS) {
      throw new MisconfigurationError(
        'Trainer({ precision: "16-mixed" }) and the optimizer LBFGS are not compatible: LBFGS computes the loss several times ' +
          'in a step, which cannot be scaled. Use "bf16-mixed" or another optimizer.',
      );
    }
    const loss = closure ? closure() : null;
    // where the training step gave no loss there are no gradients to unscale
    const skips = (loss ?? null) === null && context.isAutomatic;
    if (!skips && !optimizer.stepSupportsAmpScaling) scaler.unscale_(optimizer);
    context.afterClosure(optimizer);
    if (skips) return loss;
    const output = scaler.step(optimizer);
    scaler.update();
    return output;
  }

  checkClipping(optimizer: optim.Optimizer): void {
    if (!this.scaler || !optimizer.stepSupportsAmpScaling) return;
    throw new MisconfigurationError(
      `Gradients of the optimizer ${optimizer.constructor.name} cannot be clipped in "16-mixed": it unscales them inside its step. ` +
        "Leave out { fused: true }, or gradientClipVal.",
    );
  }

  stateDict(): Record<string, unknown> | null {
    return this.scaler ? { ...this.scaler.stateDict() } : null;
  }

  loadStateDict(state: Record<string, unknown>): void {
    this.scaler?.loadStateDict(state);
  }
}
