import { ArgumentError } from "../errors.js";
import type { FunctionEventAverage, ProfiledParts } from "./averages.js";
import type { FunctionEvent } from "./events.js";

/** What a table can be sorted by. */
export type SortKey =
  | "cpuTime"
  | "deviceTime"
  | "cpuTimeTotal"
  | "deviceTimeTotal"
  | "selfCpuTimeTotal"
  | "selfDeviceTimeTotal"
  | "cpuMemoryUsage"
  | "deviceMemoryUsage"
  | "selfCpuMemoryUsage"
  | "selfDeviceMemoryUsage"
  | "count"
  | "flops";

/** Options of a table of events. */
export interface TableOptions {
  /** Sorts by a value, the highest first. Default: as the events came. */
  sortBy?: SortKey | null;
  /** The most rows. Default: 100. */
  rowLimit?: number;
  /** Default: 55. */
  maxNameColumnWidth?: number;
  /** Default: 75. */
  maxSrcColumnWidth?: number;
  /** Default: 80. */
  maxShapesColumnWidth?: number;
  /** A line above the table. Default: none. */
  header?: string | null;
  /** Shows only events that lie in no other one. Default: false. */
  topLevelEventsOnly?: boolean;
  /** Shows all times in one unit. Default: in the one that fits each. */
  timeUnit?: "s" | "ms" | "us" | null;
}

type Row = FunctionEvent | FunctionEventAverage;

interface Column {
  title: string;
  width: number;
  value(event: Row): string;
  alignLeft?: boolean;
}

const plainWidth = 12;
const sortKeys: readonly SortKey[] = [
  "cpuTime",
  "deviceTime",
  "cpuTimeTotal",
  "deviceTimeTotal",
  "selfCpuTimeTotal",
  "selfDeviceTimeTotal",
  "cpuMemoryUsage",
  "deviceMemoryUsage",
  "selfCpuMemoryUsage",
  "selfDeviceMemoryUsage",
  "count",
  "flops",
];

/** A table of events as PyTorch prints it. */
export function table(events: readonly Row[], profiled: ProfiledParts, options: TableOptions): string {
  if (events.length === 0) return "";
  const {
    sortBy = null,
    rowLimit = 100,
    header = null,
    topLevelEventsOnly = false,
    timeUnit = null,
  } = options;
  const cpuTotal = total(events, (event) => event.selfCpuTimeTotal);
  const deviceTotal = total(events, (event) =>
    event.deviceType !== "cpu" && !event.isUserAnnotation ? event.selfDeviceTimeTotal : 0,
  );
  const columns = columnsOf(events, profiled, options, cpuTotal, deviceTotal);
  const line = (cells: string[]): string =>
    columns
      .map(({ width, alignLeft }, i) => (alignLeft ? cells[i]?.padEnd(width) : cells[i]?.padStart(width)))
      .map((cell) => `${cell}  `)
      .join("");
  const rule = columns.map(({ width }) => `${"-".repeat(width)}  `).join("");
  const lines: string[] = [];
  const double = "=".repeat(rule.length - 2);
  if (header !== null) lines.push(double, header);
  if (topLevelEventsOnly) lines.push(double, "This report only display top-level ops statistics");
  lines.push(rule, line(columns.map(({ title }) => title)), rule);
  const shown = sorted(events, sortBy).filter((event) => !topLevelEventsOnly || event.cpuParent === null);
  for (const event of shown.slice(0, rowLimit < 0 ? undefined : rowLimit)) {
    lines.push(line(columns.map(({ value }) => value(event))));
    lines.push(...frameLines(event, columns, line));
  }
  lines.push(rule, `Self CPU time total: ${formatTime(cpuTotal, timeUnit)}`);
  if (hasDeviceTime(events)) {
    lines.push(`Self ${deviceName(profiled)} time total: ${formatTime(deviceTotal, timeUnit)}`);
  }
  return `${lines.join("\n")}\n`;
}

function columnsOf(
  events: readonly Row[],
  profiled: ProfiledParts,
  options: TableOptions,
  cpuTotal: number,
  deviceTotal: number,
): Column[] {
  const {
    maxNameColumnWidth = 55,
    maxSrcColumnWidth = 75,
    maxShapesColumnWidth = 80,
    timeUnit = null,
  } = options;
  const plain = (title: string, value: (event: Row) => string): Column => ({
    title,
    width: plainWidth,
    value,
  });
  const time = (title: string, value: (event: Row) => number): Column =>
    plain(title, (event) => formatTime(value(event), timeUnit));
  const memory = (title: string, value: (event: Row) => number): Column =>
    plain(title, (event) => formatMemory(value(event)));
  const columns: Column[] = [
    {
      title: "Name",
      width: Math.min(maxNameColumnWidth, longest(events.map(({ key }) => key)) + 4),
      value: ({ key }) =>
        key.length >= maxNameColumnWidth - 3 ? `${key.slice(0, maxNameColumnWidth - 3)}...` : key,
    },
    plain("Self CPU %", (event) => formatShare(event.selfCpuTimeTotal, cpuTotal)),
    time("Self CPU", (event) => event.selfCpuTimeTotal),
    plain("CPU total %", (event) => (event.isAsync ? "0" : formatShare(event.cpuTimeTotal, cpuTotal))),
    time("CPU total", (event) => event.cpuTimeTotal),
    time("CPU time avg", (event) => sortValue(event, "cpuTime")),
  ];
  const device = deviceName(profiled);
  if (hasDeviceTime(events)) {
    columns.push(
      time(`Self ${device}`, (event) => event.selfDeviceTimeTotal),
      plain(`Self ${device} %`, (event) => formatShare(event.selfDeviceTimeTotal, deviceTotal)),
      time(`${device} total`, (event) => event.deviceTimeTotal),
      time(`${device} time avg`, (event) => sortValue(event, "deviceTime")),
    );
  }
  if (profiled.memory) {
    columns.push(
      memory("CPU Mem", (event) => event.cpuMemoryUsage),
      memory("Self CPU Mem", (event) => event.selfCpuMemoryUsage),
    );
    if (profiled.device !== null && events.some((event) => event.selfDeviceMemoryUsage > 0)) {
      columns.push(
        memory(`${device} Mem`, (event) => event.deviceMemoryUsage),
        memory(`Self ${device} Mem`, (event) => event.selfDeviceMemoryUsage),
      );
    }
  }
  columns.push(plain("# of Calls", (event) => String(event.count)));
  if (events.some((event) => event.inputShapes.length > 0)) {
    const width = Math.min(maxShapesColumnWidth, longest(events.map(shapesText)) + 4);
    columns.push({ title: "Input Shapes", width, value: (event) => shapesText(event).slice(0, width) });
  }
  const frames = events.flatMap((event) => event.stack);
  if (frames.length > 0) {
    const width = Math.min(maxSrcColumnWidth, longest(frames) + 4);
    columns.push({
      title: sourceTitle,
      width,
      value: (event) => cut(event.stack[0] ?? "", width),
      alignLeft: true,
    });
  }
  if (profiled.flops) {
    const column = flopsColumn(events);
    if (column !== null) columns.push(column);
  }
  return columns;
}

const sourceTitle = "Source Location";

/** The further frames of an event, in lines of their own. */
function frameLines(event: Row, columns: readonly Column[], line: (cells: string[]) => string): string[] {
  const at = columns.findIndex(({ title }) => title === sourceTitle);
  if (at < 0) return [];
  const width = columns[at]?.width ?? 0;
  const only = (text: string): string => line(columns.map((_, i) => (i === at ? text : "")));
  return [...event.stack.slice(1).map((frame) => only(cut(frame, width))), only("")];
}

function flopsColumn(events: readonly Row[]): Column | null {
  const counted = events.map((event) => event.flops).filter((flops) => flops > 0);
  if (counted.length === 0) return null;
  const units = ["FLOPs", "KFLOPs", "MFLOPs", "GFLOPs", "TFLOPs", "PFLOPs"];
  const power = Math.floor(Math.min(Math.log10(Math.min(...counted)) / 3, units.length - 1));
  const value = ({ flops }: Row): string =>
    flops <= 0 ? "--" : (flops / 1000 ** power).toFixed(3).padStart(8);
  return { title: `Total ${units[power]}`, width: plainWidth, value };
}

function sorted(events: readonly Row[], sortBy: SortKey | null): readonly Row[] {
  if (sortBy === null) return events;
  if (!sortKeys.includes(sortBy)) {
    throw new ArgumentError(`table: sortBy was given "${sortBy}"; it is one of ${sortKeys.join(", ")}.`);
  }
  return [...events].sort((a, b) => sortValue(b, sortBy) - sortValue(a, sortBy));
}

function sortValue(event: Row, key: SortKey): number {
  if (key === "cpuTime") return event.count === 0 ? 0 : event.cpuTimeTotal / event.count;
  if (key === "deviceTime") return event.count === 0 ? 0 : event.deviceTimeTotal / event.count;
  return event[key];
}

function total(events: readonly Row[], value: (event: Row) => number): number {
  return events.reduce((sum, event) => sum + value(event), 0);
}

function hasDeviceTime(events: readonly Row[]): boolean {
  return events.some((event) => event.selfDeviceTimeTotal > 0);
}

function deviceName(profiled: ProfiledParts): string {
  return (profiled.device ?? "none").toUpperCase();
}

/** Shapes in Python's notation, as PyTorch shows them. */
function shapesText({ inputShapes }: Row): string {
  return inputShapes.length === 0
    ? ""
    : `[${inputShapes.map((shape) => `[${shape.join(", ")}]`).join(", ")}]`;
}

function longest(texts: readonly string[]): number {
  return texts.reduce((most, { length }) => Math.max(most, length), 0);
}

/** The end of a path, which says more than its beginning. */
function cut(path: string, width: number): string {
  return path.length > width ? `...${path.slice(path.length - width + 3)}` : path;
}

function formatTime(us: number, unit: "s" | "ms" | "us" | null): string {
  const fitting = unit ?? (us >= 1e6 ? "s" : us >= 1e3 ? "ms" : "us");
  return `${(us / { s: 1e6, ms: 1e3, us: 1 }[fitting]).toFixed(3)}${fitting}`;
}

function formatShare(us: number, all: number): string {
  return all === 0 ? "NaN" : `${((us * 100) / all).toFixed(2)}%`;
}

function formatMemory(bytes: number): string {
  const size = Math.abs(bytes);
  if (size >= 2 ** 30) return `${(bytes / 2 ** 30).toFixed(2)} GB`;
  if (size >= 2 ** 20) return `${(bytes / 2 ** 20).toFixed(2)} MB`;
  if (size >= 2 ** 10) return `${(bytes / 2 ** 10).toFixed(2)} KB`;
  return `${bytes} B`;
}
