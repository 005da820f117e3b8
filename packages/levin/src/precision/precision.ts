import type { amp, nn, optim, Tensor } from "@levin/torch";

/** The precisions a trainer can be given. */
export type PrecisionName = "32-true" | "64-true" | "16-true" | "bf16-true" | "16-mixed" | "bf16-mixed";

/** What an optimizer step is part of. */
export interface OptimizerStepContext {
  /** What runs between the gradients and the change of the parameters: hooks and clipping. */
  afterClosure: (optimizer: optim.Optimizer) => void;
  /** Whether the trainer optimizes, else the training step does. */
  isAutomatic: boolean;
}

/** In which types a run computes, and how gradients are scaled. One file per implementation. */
export interface Precision {
  readonly name: PrecisionName;
  /** What scales the loss, where something does. */
  readonly scaler: amp.GradScaler | null;
  /** Converts the module's parameters, when it is set up. */
  convertModule(module: nn.Module): void;
  /** Converts a batch's floating point tensors. */
  convertInput(batch: unknown): unknown;
  /** Enters the region in which steps compute; the function it returns leaves it. Null where there is nothing to enter. */
  readonly enterForward: (() => () => void) | null;
  /** Enters the region in which `configureModel` makes its layers. Null where there is nothing to enter. */
  readonly enterInit: (() => () => void) | null;
  /** The loss that gradients are computed of. */
  scaleLoss(loss: Tensor): Tensor;
  /** One optimizer step: runs `closure` (training step and backward), then `afterClosure`, then the optimizer. */
  optimizerStep(
    optimizer: optim.Optimizer,
    closure: (() => Tensor | null) | null,
    context: OptimizerStepContext,
  ): unknown;
  /** Throws where an optimizer's gradients cannot be clipped. */
  checkClipping(optimizer: optim.Optimizer): void;
  /** What belongs into a checkpoint, or null. */
  stateDict(): Record<string, unknown> | null;
  loadStateDict(state: Record<string, unknown>): void;
  /** The key of the state in a checkpoint. */
  readonly stateKey: string;
}

/** The usual optimizer step: the optimizer calls the closure. */
export function plainOptimizerStep(
  optimizer: optim.Optimizer,
  closure: (() => Tensor | null) | null,
  { afterClosure }: OptimizerStepContext,
): unknown {
  const wrapped = () => {
    const loss = closure ? closure() : null;
    afterClosure(optimizer);
    return loss;
  };
  return optimizer.step(wrapped as unknown as Parameters<optim.Optimizer["step"]>[0]);
}
