import type { ProfilerResult } from "../native.js";
import { framesOf } from "../stack.js";

// The places of an event's numbers in the columns that the addon gives.
const columnCount = 15;
const startNs = 0;
const endNs = 1;
const startThread = 2;
const endThread = 3;
const forwardThread = 4;
const deviceIndex = 5;
const correlationId = 6;
const linkedCorrelationId = 7;
const sequenceNr = 8;
const scope = 9;
const flops = 10;
const bytes = 11;
const isAsync = 12;
const isHidden = 13;
const activityType = 14;

// kineto's types of activities
const operatorActivity = 0;
const rangeActivity = 1;
const deviceRangeActivity = 2;

// PyTorch's scopes of events
const backwardScope = 1;
const userScope = 7;

const memoryEvent = "[memory]";
const outOfMemoryEvent = "[OutOfMemory]";
/** What PyTorch leaves out: its own book-keeping. */
const leftOut = new Set([
  memoryEvent,
  outOfMemoryEvent,
  "profiler::_record_function_enter",
  "profiler::_record_function_enter_new",
  "profiler::_record_function_exit",
  "aten::is_leaf",
  "aten::output_nr",
  "aten::_version",
]);

/** Work on an accelerator that an operator has started. */
export interface Kernel {
  name: string;
  device: number;
  /** In microseconds. */
  duration: number;
}

/** One call of an operator, or a range with a name. Times are in microseconds. */
export class FunctionEvent {
  /** How many calls it stands for. */
  readonly count = 1;
  readonly kernels: Kernel[] = [];
  /** The events that happened inside. */
  cpuChildren: FunctionEvent[] = [];
  cpuParent: FunctionEvent | null = null;
  /** The JavaScript frames from which it was called, innermost first. */
  stack: string[] = [];

  constructor(
    readonly name: string,
    /** The number that links it to the work it has started. */
    readonly id: number,
    readonly thread: number,
    /** From the start of the profile on. */
    readonly start: number,
    readonly end: number,
    /** For a backward operator, the thread of the forward one. */
    readonly forwardThread: number,
    readonly inputShapes: number[][],
    readonly scope: number,
    readonly sequenceNr: number,
    /** "cpu", or the type of accelerator that did the work. */
    readonly deviceType: string,
    readonly deviceIndex: number,
    readonly isAsync: boolean,
    /** Whether it is a range made by `recordFunction`. */
    readonly isUserAnnotation: boolean,
    readonly flops: number,
    /** Bytes allocated, less those freed. */
    readonly cpuMemoryUsage: number,
    readonly deviceMemoryUsage: number,
  ) {}

  /** What averages are taken over. */
  get key(): string {
    return this.name;
  }

  get cpuTimeTotal(): number {
    return this.deviceType === "cpu" ? this.end - this.start : 0;
  }

  /** Without the time of the events inside. */
  get selfCpuTimeTotal(): number {
    return this.isAsync || this.deviceType !== "cpu"
      ? 0
      : this.cpuTimeTotal - sum(this.cpuChildren, (child) => child.cpuTimeTotal);
  }

  get deviceTimeTotal(): number {
    if (this.isAsync) return 0;
    if (this.deviceType !== "cpu") return this.end - this.start;
    return (
      sum(this.kernels, (kernel) => kernel.duration) + sum(this.cpuChildren, (child) => child.deviceTimeTotal)
    );
  }

  get selfDeviceTimeTotal(): number {
    if (this.isAsync || this.deviceType !== "cpu") return this.deviceTimeTotal;
    return this.deviceTimeTotal - sum(this.cpuChildren, (child) => child.deviceTimeTotal);
  }

  get selfCpuMemoryUsage(): number {
    if (this.isAsync || this.deviceType !== "cpu") return 0;
    return this.cpuMemoryUsage - sum(this.cpuChildren, (child) => child.cpuMemoryUsage);
  }

  get selfDeviceMemoryUsage(): number {
    if (this.isAsync || this.deviceType !== "cpu") return 0;
    return this.deviceMemoryUsage - sum(this.cpuChildren, (child) => child.deviceMemoryUsage);
  }
}

function sum<T>(items: readonly T[], value: (item: T) => number): number {
  let total = 0;
  for (const item of items) total += value(item);
  return total;
}

/** The events of a profile, by their start, with those that happened inside as children. */
export function eventsOf(result: ProfilerResult): FunctionEvent[] {
  const { columns, names, devices } = result;
  const at = (event: number, column: number): number => columns[event * columnCount + column] as number;
  const memory = new MemoryRecords(result, at);
  const stacks = stacksOf(result, at);
  const events: FunctionEvent[] = [];
  const operators = new Map<number, FunctionEvent>();
  const started: [FunctionEvent, number][] = [];
  for (const [i, name] of names.entries()) {
    if (leftOut.has(name) || at(i, isHidden) === 1) continue;
    const onCpu = devices[i] === "cpu";
    const usage = onCpu ? memory.during(at(i, startNs), at(i, endNs)) : { cpu: 0, device: 0 };
    const type = at(i, activityType);
    const event = new FunctionEvent(
      name.startsWith("ProfilerStep#") ? "ProfilerStep*" : name,
      at(i, correlationId),
      at(i, startThread),
      at(i, startNs) / 1000,
      at(i, endNs) / 1000,
      at(i, forwardThread),
      result.shapes?.[i] ?? [],
      at(i, scope),
      at(i, sequenceNr),
      devices[i] as string,
      at(i, deviceIndex),
      at(i, isAsync) === 1 || at(i, startThread) !== at(i, endThread),
      type === rangeActivity || type === deviceRangeActivity,
      at(i, flops),
      usage.cpu,
      usage.device,
    );
    event.stack = stacks.get(i) ?? [];
    events.push(event);
    const link = at(i, linkedCorrelationId);
    if (link > 0) started.push([event, link]);
    else if (onCpu && !event.isAsync) operators.set(event.id, event);
  }
  for (const [event, link] of started) {
    const operator = operators.get(link);
    if (operator === undefined || event.deviceType === "cpu") continue;
    operator.kernels.push({ name: event.name, device: event.deviceIndex, duration: event.end - event.start });
  }
  events.push(...memory.outsideOfEvents());
  events.sort((a, b) => a.start - b.start || b.end - a.end);
  buildTree(events);
  const kept = withoutRepetitions(events);
  setBackwardStacks(kept);
  return kept;
}

/** The allocations of a profile. */
class MemoryRecords {
  /** Indices of the events, by their times. */
  private readonly order: number[];
  private readonly times: number[];
  private readonly cpuSums = [0];
  private readonly deviceSums = [0];
  /** Where intervals begin (+1) and end (-1) among the records: a record with the sum 0 lies in none. */
  private readonly covered: number[];

  constructor(
    private readonly result: ProfilerResult,
    private readonly at: (event: number, column: number) => number,
  ) {
    const { names, devices } = result;
    this.order = [...names.keys()]
      .filter((i) => names[i] === memoryEvent)
      .sort((a, b) => at(a, startNs) - at(b, startNs));
    this.times = this.order.map((i) => at(i, startNs));
    this.covered = Array(this.order.length + 1).fill(0);
    for (const i of this.order) {
      const onCpu = devices[i] === "cpu";
      this.cpuSums.push((this.cpuSums.at(-1) as number) + (onCpu ? at(i, bytes) : 0));
      this.deviceSums.push((this.deviceSums.at(-1) as number) + (onCpu ? 0 : at(i, bytes)));
    }
  }

  /** The bytes allocated in an interval, both ends included. */
  during(start: number, end: number): { cpu: number; device: number } {
    const from = firstAtLeast(this.times, start);
    const to = firstAtLeast(this.times, end + 1);
    if (from < to) {
      (this.covered[from] as number)++;
      (this.covered[to] as number)--;
    }
    const total = (sums: number[]): number => (sums[to] as number) - (sums[from] as number);
    return { cpu: total(this.cpuSums), device: total(this.deviceSums) };
  }

  /** The allocations outside of all intervals, as events. */
  outsideOfEvents(): FunctionEvent[] {
    const { result, at } = this;
    const alone: FunctionEvent[] = [];
    let intervals = 0;
    for (const [k, i] of this.order.entries()) {
      intervals += this.covered[k] as number;
      if (intervals > 0) continue;
      const start = at(i, startNs) / 1000;
      const thread = at(i, startThread);
      const [cpu, device] = result.devices[i] === "cpu" ? [at(i, bytes), 0] : [0, at(i, bytes)];
      alone.push(
        new FunctionEvent(
          memoryEvent,
          0,
          thread,
          start,
          start,
          thread,
          [],
          0,
          -1,
          "cpu",
          0,
          false,
          false,
          0,
          cpu,
          device,
        ),
      );
    }
    return alone;
  }
}

function firstAtLeast(sorted: readonly number[], value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] as number) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The frames of each event that JavaScript has called: the addon gives their stacks in the order of the calls. */
function stacksOf(
  result: ProfilerResult,
  at: (event: number, column: number) => number,
): Map<number, string[]> {
  const found = new Map<number, string[]>();
  if (result.stacks.length === 0) return found;
  const calls = [...result.names.keys()]
    .filter(
      (i) =>
        at(i, startThread) === result.thread &&
        [operatorActivity, rangeActivity].includes(at(i, activityType)),
    )
    .sort((a, b) => at(a, startNs) - at(b, startNs) || at(b, endNs) - at(a, endNs));
  const open: number[] = [];
  let next = 0;
  for (const i of calls) {
    while (open.length > 0 && at(i, startNs) >= (open.at(-1) as number)) open.pop();
    if (open.length === 0) found.set(i, framesOf(result.stacks[next++] ?? ""));
    if (at(i, scope) !== userScope) open.push(at(i, endNs));
  }
  // Where not each stack has its event, no one can say which has which.
  return next === result.stacks.length ? found : new Map();
}

/** Makes events children of the innermost one of their thread that they lie in; they come by their start. */
function buildTree(events: readonly FunctionEvent[]): void {
  const openByThread = new Map<number, FunctionEvent[]>();
  for (const event of events) {
    if (event.isAsync || event.deviceType !== "cpu") continue;
    const open = openByThread.get(event.thread) ?? [];
    openByThread.set(event.thread, open);
    let parent = open.at(-1);
    while (parent !== undefined && (event.start >= parent.end || event.end > parent.end)) {
      open.pop();
      parent = open.at(-1);
    }
    if (parent !== undefined) {
      parent.cpuChildren.push(event);
      event.cpuParent = parent;
    }
    open.push(event);
  }
}

/** Without events that are the only child of one of the same name: an operator that has called itself in another form. */
function withoutRepetitions(events: FunctionEvent[]): FunctionEvent[] {
  let current = events;
  while (true) {
    const repeated = new Set<FunctionEvent>();
    for (const event of current) {
      const parent = event.cpuParent;
      if (parent === null || parent.name !== event.name || parent.cpuChildren.length !== 1) continue;
      parent.cpuChildren = event.cpuChildren;
      parent.kernels.splice(0, parent.kernels.length, ...event.kernels);
      for (const child of event.cpuChildren) child.cpuParent = parent;
      repeated.add(event);
    }
    if (repeated.size === 0) return current;
    current = current.filter((event) => !repeated.has(event));
  }
}

/** Gives events of the backward pass the stack of the forward operator they belong to. */
function setBackwardStacks(events: readonly FunctionEvent[]): void {
  const forward = new Map<string, string[]>();
  const inBackward = (event: FunctionEvent): FunctionEvent | null => {
    for (let at: FunctionEvent | null = event; at !== null; at = at.cpuParent)
      if (at.scope === backwardScope) return at;
    return null;
  };
  for (const event of events) {
    const key = `${event.sequenceNr} ${event.thread}`;
    if (event.stack.length > 0 && inBackward(event) === null && !forward.has(key))
      forward.set(key, event.stack);
  }
  for (const event of events) {
    const root = inBackward(event);
    if (root !== null) event.stack = forward.get(`${root.sequenceNr} ${root.forwardThread}`) ?? [];
  }
}
