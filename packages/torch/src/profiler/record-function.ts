import { native } from "../native.js";

/**
 * Runs a function as a range with a name among the profiled events. Where nothing is profiled, it is just called.
 *
 * Of an asynchronous function the range ends when its promise is settled.
 *
 * ```ts
 * const output = profiler.recordFunction("forward", () => model.forward(input));
 * ```
 *
 * @see https://docs.pytorch.org/docs/stable/generated/torch.autograd.profiler.record_function.html
 */
export function recordFunction<T>(name: string, fn: () => T): T {
  const end = beginRange(name);
  let result: T;
  try {
    result = fn();
  } catch (error) {
    end();
    throw error;
  }
  if (typeof (result as { then?: unknown } | null | undefined)?.then === "function") {
    return (result as unknown as Promise<unknown>).then(
      (value) => {
        end();
        return value;
      },
      (error) => {
        end();
        throw error;
      },
    ) as unknown as T;
  }
  end();
  return result;
}

/** Begins a range with a name among the profiled events; the function it returns ends it. */
export function beginRange(name: string): () => void {
  const range = native.beginRange(name);
  return range === 0 ? nothing : () => native.endRange(range);
}

function nothing(): void {}
