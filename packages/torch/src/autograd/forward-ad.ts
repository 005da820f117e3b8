/** Derivatives computed along with the values, for one direction: PyTorch's `torch.autograd.forward_ad`. */
import { ArgumentError } from "../errors.js";
import { runSynchronously } from "../grad-mode.js";
import { native } from "../native.js";
import { call } from "../operator.js";
import { stack, zeros, zerosLike } from "../ops.generated.js";
import type { Tensor } from "../tensor.js";

/** The level that is entered, or -1. libtorch has one at most. */
let current = -1;

/** A tensor and the derivative that came with it. */
export interface UnpackedDualTensor {
  primal: Tensor;
  /** Null where it does not depend on a dual tensor. */
  tangent: Tensor | null;
}

/** Starts to compute derivatives along with values; {@link exitDualLevel} ends it. {@link dualLevel} does both. */
export function enterDualLevel(): number {
  current = native.enterDualLevel();
  return current;
}

/** Ends the level: tensors forget their derivatives. */
export function exitDualLevel(options: { level?: number } = {}): void {
  const level = options.level ?? current;
  if (level !== current || level < 0)
    throw new ArgumentError(`exitDualLevel: the level ${level} is not the one that was entered last`);
  native.exitDualLevel(level);
  current = level - 1;
}

/**
 * Runs a synchronous function in which derivatives are computed along with values.
 *
 * ```ts
 * forwardAd.dualLevel(() => {
 *   const dual = forwardAd.makeDual(x, direction);
 *   return forwardAd.unpackDual(f(dual)).tangent;
 * });
 * ```
 *
 * @throws ArgumentError where the function returns a promise
 * @see https://pytorch.org/docs/stable/generated/torch.autograd.forward_ad.dual_level.html
 */
export function dualLevel<T>(body: () => T): T {
  const level = enterDualLevel();
  return runSynchronously("dualLevel", body, () => exitDualLevel({ level }));
}

function levelFor(name: string, level = current): number {
  if (level < 0) throw new ArgumentError(`${name}: only inside dualLevel()`);
  return level;
}

/**
 * A tensor that carries a derivative, a view of the given one.
 *
 * @throws ArgumentError outside {@link dualLevel}
 * @see https://pytorch.org/docs/stable/generated/torch.autograd.forward_ad.make_dual.html
 */
export function makeDual(tensor: Tensor, tangent: Tensor, options: { level?: number } = {}): Tensor {
  return call("aten::_make_dual", tensor, tangent, levelFor("makeDual", options.level)) as Tensor;
}

/**
 * A tensor and the derivative that it carries.
 *
 * @see https://pytorch.org/docs/stable/generated/torch.autograd.forward_ad.unpack_dual.html
 */
export function unpackDual(tensor: Tensor, options: { level?: number } = {}): UnpackedDualTensor {
  const level = options.level ?? current;
  if (level < 0) return { primal: tensor, tangent: null };
  const [primal, tangent] = call("aten::_unpack_dual", tensor, level) as [Tensor, Tensor | null];
  return { primal, tangent };
}

/** @internal The derivatives of outputs for each element of an input: for output and input of shapes S and T one of shape S + T. */
export function jvpColumns(input: Tensor, func: (dual: Tensor) => readonly Tensor[]): Tensor[] {
  const columns: Tensor[][] = [];
  let shapes: number[][] = [];
  for (let i = 0; i < input.numel(); i++) {
    const direction = zeros([input.numel()], { dtype: input.dtype, device: input.device });
    direction.get(i).fill_(1);
    dualLevel(() => {
      const outputs = func(makeDual(input, direction.view(input.shape)));
      shapes = outputs.map((output) => output.shape);
      columns.push(outputs.map((output) => unpackDual(output).tangent ?? zerosLike(output)));
    });
  }
  return shapes.map((shape, o) =>
    stack(
      columns.map((column) => column[o] as Tensor),
      -1,
    ).reshape([...shape, ...input.shape]),
  );
}
