/** What the graph keeps: PyTorch's `torch.autograd.graph`. */
import { requireFunction, requireText } from "../checks.js";
import { LevinError } from "../errors.js";
import { runSynchronously } from "../grad-mode.js";
import { type Handle, native } from "../native.js";
import { Tensor } from "../tensor.js";

/** What is kept in a tensor's place; an object, so that it can be referred to. */
interface Packed<T> {
  value: T;
}

/** Why there may be no hooks, innermost last; see {@link disableSavedTensorsHooks}. */
const refusals: string[] = [];

/** Like {@link savedTensorsHooks}, without a function: the function it returns ends the hooks, in reverse order of entering. */
export function enterSavedTensorsHooks<T>(
  pack: (tensor: Tensor) => T,
  unpack: (packed: T) => Tensor,
): () => void {
  const refusal = refusals.at(-1);
  if (refusal !== undefined) throw new LevinError(refusal);
  const depth = native.pushSavedHooks(
    (handle): Packed<T> => ({ value: pack(Tensor.wrap(handle)) }),
    (packed: Packed<T>): Handle =>
      Tensor.unwrap(unpack(packed.value), "savedTensorsHooks: the result of unpack"),
  );
  return () => native.popSavedHooks(depth);
}

/**
 * Runs a synchronous function whose operators keep, for the backward pass, not their tensors but what `pack` makes of them;
 * `unpack` makes tensors of that again. The innermost hooks count.
 *
 * ```ts
 * const loss = autograd.graph.savedTensorsHooks(
 *   (tensor) => tensor.half(),
 *   (packed) => packed.float(),
 *   () => net.forward(x).sum(),
 * );
 * ```
 *
 * @throws ArgumentError where the function returns a promise
 * @see https://pytorch.org/docs/stable/autograd.html#torch.autograd.graph.saved_tensors_hooks
 */
export function savedTensorsHooks<T, R>(
  pack: (tensor: Tensor) => T,
  unpack: (packed: T) => Tensor,
  body: () => R,
): R {
  return runSynchronously("savedTensorsHooks", body, enterSavedTensorsHooks(pack, unpack));
}

/**
 * Runs a synchronous function in which {@link savedTensorsHooks}, and what is built on it, throws an error with the message.
 *
 * @see https://pytorch.org/docs/stable/autograd.html#torch.autograd.graph.disable_saved_tensors_hooks
 */
export function disableSavedTensorsHooks<R>(errorMessage: string, body: () => R): R {
  requireText(errorMessage, "disableSavedTensorsHooks: errorMessage");
  requireFunction(body, "disableSavedTensorsHooks");
  refusals.push(errorMessage);
  return runSynchronously("disableSavedTensorsHooks", body, () => refusals.pop());
}

/**
 * Runs a synchronous function whose operators keep their tensors in the CPU's memory until the backward pass.
 *
 * @param options `pinMemory`: in pinned memory, from which an accelerator copies faster. Default: false
 * @see https://pytorch.org/docs/stable/autograd.html#torch.autograd.graph.save_on_cpu
 */
export function saveOnCpu<R>(body: () => R, options: { pinMemory?: boolean } = {}): R {
  const { pinMemory = false } = options;
  const pack = (tensor: Tensor) => {
    const { device } = tensor;
    if (!pinMemory) return { device, tensor: tensor.cpu() };
    const copy = tensor
      .newEmpty(tensor.shape, { device: "cpu", pinMemory: tensor.isCuda && !tensor.isSparse })
      .copy_(tensor);
    return { device, tensor: copy };
  };
  const unpack = ({ device, tensor }: ReturnType<typeof pack>): Tensor =>
    tensor.to(device, { nonBlocking: pinMemory });
  return savedTensorsHooks(pack, unpack, body);
}

/**
 * Counts a change of tensors that the graph did not see, so that a backward pass that needs their old values fails.
 *
 * @see https://pytorch.org/docs/stable/autograd.html#torch.autograd.graph.increment_version
 */
export function incrementVersion(tensors: Tensor | Iterable<Tensor>): void {
  for (const tensor of tensors instanceof Tensor ? [tensors] : tensors) {
    native.incrementVersion(Tensor.unwrap(tensor, "incrementVersion: tensors"));
  }
}
