import type { FunctionEvent } from "./events.js";
import { type TableOptions, table } from "./table.js";

/** The sums over events that have a key in common. Times are in microseconds. */
export class FunctionEventAverage {
  readonly key: string;
  count = 0;
  readonly inputShapes: number[][];
  readonly stack: string[];
  readonly deviceType: string;
  readonly isAsync: boolean;
  readonly isUserAnnotation: boolean;
  readonly cpuParent: FunctionEvent | null;
  cpuTimeTotal = 0;
  selfCpuTimeTotal = 0;
  deviceTimeTotal = 0;
  selfDeviceTimeTotal = 0;
  cpuMemoryUsage = 0;
  selfCpuMemoryUsage = 0;
  deviceMemoryUsage = 0;
  selfDeviceMemoryUsage = 0;
  flops = 0;

  /** Sums that are zero, of what `event` is. */
  constructor(event: FunctionEvent, options: KeyAveragesOptions) {
    this.key = event.key;
    this.inputShapes = options.groupByInputShape ? event.inputShapes : [];
    this.stack = event.stack.slice(0, options.groupByStackN ?? 0);
    this.deviceType = event.deviceType;
    this.isAsync = event.isAsync;
    this.isUserAnnotation = event.isUserAnnotation;
    this.cpuParent = event.cpuParent;
  }

  /** Adds an event. */
  add(event: FunctionEvent): void {
    this.count += event.count;
    this.cpuTimeTotal += event.cpuTimeTotal;
    this.selfCpuTimeTotal += event.selfCpuTimeTotal;
    this.deviceTimeTotal += event.deviceTimeTotal;
    this.selfDeviceTimeTotal += event.selfDeviceTimeTotal;
    this.cpuMemoryUsage += event.cpuMemoryUsage;
    this.selfCpuMemoryUsage += event.selfCpuMemoryUsage;
    this.deviceMemoryUsage += event.deviceMemoryUsage;
    this.selfDeviceMemoryUsage += event.selfDeviceMemoryUsage;
    this.flops += event.flops;
  }
}

/** Options of {@link EventList.keyAverages}. */
export interface KeyAveragesOptions {
  /** Tells operators apart by the shapes of their inputs, where these were recorded. Default: false. */
  groupByInputShape?: boolean;
  /** Tells operators apart by so many of the innermost frames that called them, where these were recorded. Default: 0. */
  groupByStackN?: number;
}

/** What was profiled, for the columns of a table. */
export interface ProfiledParts {
  /** The type of accelerator that was profiled; null for the CPU alone. */
  device: string | null;
  memory: boolean;
  flops: boolean;
}

/** Events, or averages of them, with a table of them all. */
export class EventList<E extends FunctionEvent | FunctionEventAverage = FunctionEvent>
  implements Iterable<E>
{
  constructor(
    readonly events: readonly E[],
    readonly profiled: ProfiledParts,
  ) {}

  get length(): number {
    return this.events.length;
  }

  /** The time of all events, each without those inside. In microseconds. */
  get selfCpuTimeTotal(): number {
    return this.events.reduce((total, event) => total + event.selfCpuTimeTotal, 0);
  }

  [Symbol.iterator](): Iterator<E> {
    return this.events[Symbol.iterator]();
  }

  /** A table as text, one line for each event. */
  table(options: TableOptions = {}): string {
    return table(this.events, this.profiled, options);
  }

  toString(): string {
    return this.table();
  }
}

/** The sums over events of the same name, device and, where wanted, shapes and frames. */
export function averagesOf(
  events: Iterable<FunctionEvent>,
  options: KeyAveragesOptions,
): FunctionEventAverage[] {
  const averages = new Map<string, FunctionEventAverage>();
  for (const event of events) {
    const shapes = options.groupByInputShape ? event.inputShapes : [];
    const frames = event.stack.slice(0, options.groupByStackN ?? 0);
    const key = JSON.stringify([event.key, event.deviceType, event.isUserAnnotation, shapes, frames]);
    let average = averages.get(key);
    if (average === undefined) {
      average = new FunctionEventAverage(event, options);
      averages.set(key, average);
    }
    average.add(event);
  }
  return [...averages.values()];
}
