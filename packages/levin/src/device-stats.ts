import { existsSync, readFileSync } from "node:fs";
import { cpus, freemem, totalmem } from "node:os";
import { accelerator, type Device } from "@levin/torch";

/** Measures a device: its memory and, on a CPU, its load. */
export type DeviceStats = Record<string, number>;

/** The load and memory of the machine, in percent: `cpu_percent` since the last call, `cpu_vm_percent`, `cpu_swap_percent`. */
export function getCpuStats(): DeviceStats {
  const memory = readMemory();
  return {
    cpu_vm_percent: percent(memory.total - memory.available, memory.total),
    cpu_percent: load(),
    cpu_swap_percent: percent(memory.swapTotal - memory.swapFree, memory.swapTotal),
  };
}

/** The statistics of a device: of the CPU {@link getCpuStats}, of a GPU its memory's, by PyTorch's names. */
export function getDeviceStats(device: Device): DeviceStats {
  return device === "cpu" ? getCpuStats() : accelerator.memoryStats(device);
}

interface Times {
  busy: number;
  all: number;
}

let before: Times | null = null;

/** How busy the CPU was since the last call; 0 at the first. */
function load(): number {
  const now: Times = { busy: 0, all: 0 };
  for (const { times } of cpus()) {
    const all = times.user + times.nice + times.sys + times.idle + times.irq;
    now.all += all;
    now.busy += all - times.idle;
  }
  const last = before;
  before = now;
  return last === null ? 0 : percent(now.busy - last.busy, now.all - last.all);
}

function readMemory(): { total: number; available: number; swapTotal: number; swapFree: number } {
  const file = "/proc/meminfo";
  if (!existsSync(file)) return { total: totalmem(), available: freemem(), swapTotal: 0, swapFree: 0 };
  const text = readFileSync(file, "utf8");
  const value = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(text)?.[1] ?? 0);
  return {
    total: value("MemTotal"),
    available: value("MemAvailable"),
    swapTotal: value("SwapTotal"),
    swapFree: value("SwapFree"),
  };
}

/** A part in percent, with one decimal; 0 of nothing. */
function percent(part: number, whole: number): number {
  return whole > 0 ? Math.round((1000 * part) / whole) / 10 : 0;
}
