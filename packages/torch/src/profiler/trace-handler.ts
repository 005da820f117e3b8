import { mkdirSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import type { Profile } from "./profile.js";

/** Options of {@link tensorboardTraceHandler}. */
export interface TraceHandlerOptions {
  /** The beginning of the files' names. Default: the names of the machine and the process. */
  workerName?: string;
  /** Compresses the files. Default: false. */
  useGzip?: boolean;
}

/**
 * A handler for `onTraceReady` that writes each trace into a folder where TensorBoard's profiler plugin finds it.
 *
 * @see https://docs.pytorch.org/docs/stable/profiler.html#torch.profiler.tensorboard_trace_handler
 */
export function tensorboardTraceHandler(
  dirName: string,
  options: TraceHandlerOptions = {},
): (profile: Profile) => void {
  const { workerName = `${hostname()}_${process.pid}`, useGzip = false } = options;
  return (profile) => {
    mkdirSync(dirName, { recursive: true });
    const microseconds = Math.round((performance.timeOrigin + performance.now()) * 1000);
    const file = `${workerName}.${BigInt(microseconds) * 1000n}.pt.trace.json${useGzip ? ".gz" : ""}`;
    profile.exportChromeTrace(join(dirName, file));
  };
}
