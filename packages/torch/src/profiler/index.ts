/**
 * The engine's own profiler: which operators ran, how often, for how long, with which shapes and memory.
 *
 * @see https://docs.pytorch.org/docs/stable/profiler.html
 */
export { EventList, FunctionEventAverage, type KeyAveragesOptions, type ProfiledParts } from "./averages.js";
export { FunctionEvent, type Kernel } from "./events.js";
export {
  Profile,
  type ProfileOptions,
  type ProfilerActivity,
  profile,
  supportedActivities,
} from "./profile.js";
export { beginRange, recordFunction } from "./record-function.js";
export { type ProfilerAction, type ScheduleOptions, schedule } from "./schedule.js";
export type { SortKey, TableOptions } from "./table.js";
export { type TraceHandlerOptions, tensorboardTraceHandler } from "./trace-handler.js";
