// The profiler against torch.profiler: the same operators, as often, with the same shapes and memory.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as torch from "@levin/torch";
import { nn, profiler } from "@levin/torch";
import { beforeAll, describe, expect, it } from "vitest";

type Average = [
  key: string,
  count: number,
  shapes: number[][],
  memory: number,
  selfMemory: number,
  flops: number,
];

interface Reference {
  averages: Average[];
  tree: [string, string | null][];
  header: string[];
  trace: string[];
  cycles: [number, [string, number][]][];
}

let reference: Reference;
let prof: profiler.Profile;

beforeAll(() => {
  const program = fileURLToPath(new URL("profiler.py", import.meta.url));
  const child = spawnSync(process.env.LEVIN_PYTHON as string, [program], { encoding: "utf8" });
  if (child.status !== 0) throw new Error(child.stderr);
  reference = JSON.parse(child.stdout) as Reference;
  torch.setNumThreads(1);
  step();
  prof = profiler.profile({ recordShapes: true, profileMemory: true, withFlops: true }, step);
});

function step(): void {
  const x = torch.ones([4, 3, 8, 8]);
  const weight = torch.ones([5, 3, 3, 3], { requiresGrad: true });
  const bias = torch.zeros([5], { requiresGrad: true });
  const target = torch.zeros([4], { dtype: "int64" });
  const y = profiler.recordFunction("forward", () => torch.conv2d(x, weight, bias).relu().mean([2, 3]));
  nn.functional.crossEntropy(y, target).backward(torch.ones([]));
  torch.noGrad(() => weight.sub_(weight.grad as torch.Tensor, { alpha: 0.1 }));
}

const averagesOf = (done: profiler.Profile, options: profiler.KeyAveragesOptions = {}): Average[] =>
  [...done.keyAverages(options)].map((row) => [
    row.key,
    row.count,
    row.inputShapes,
    row.cpuMemoryUsage,
    row.selfCpuMemoryUsage,
    row.flops,
  ]);

const byText = (rows: readonly unknown[]): string[] => rows.map((row) => JSON.stringify(row)).sort();

describe("the profiler", () => {
  it("gives the averages of torch.profiler, without the times", () => {
    expect(byText(averagesOf(prof, { groupByInputShape: true }))).toEqual(byText(reference.averages));
  });

  it("finds the same operators inside of others", () => {
    const tree = [...prof.events()].map((event) => [event.name, event.cpuParent?.name ?? null]);
    expect(tree).toEqual(reference.tree);
  });

  it("shows the same columns", () => {
    const header = prof.keyAverages({ groupByInputShape: true }).table().split("\n")[1]?.trim().split(/\s+/);
    expect(header).toEqual(reference.header);
  });

  it("writes the same operators into the trace", () => {
    const folder = mkdtempSync(join(tmpdir(), "levin-profiler-"));
    try {
      prof.exportChromeTrace(join(folder, "trace.json"));
      const { traceEvents } = JSON.parse(readFileSync(join(folder, "trace.json"), "utf8")) as {
        traceEvents: { name: string; ph: string; cat?: string }[];
      };
      const names = traceEvents.filter(
        ({ ph, cat = "" }) => ph === "X" && ["cpu_op", "user_annotation"].includes(cat),
      );
      expect(names.map(({ name }) => name).sort()).toEqual(reference.trace);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("follows a schedule", () => {
    const cycles: [number, [string, number][]][] = [];
    const scheduled = new profiler.Profile({
      activities: ["cpu"],
      schedule: profiler.schedule({ skipFirst: 1, wait: 1, warmup: 1, active: 2 }),
      onTraceReady: (done) =>
        cycles.push([done.stepNum, averagesOf(done).map(([key, count]) => [key, count])]),
    });
    scheduled.start();
    for (let i = 0; i < 11; i++) {
      torch.ones([2]).relu();
      scheduled.step();
    }
    scheduled.stop();
    expect(cycles.map(([number, rows]) => [number, byText(rows)])).toEqual(
      reference.cycles.map(([number, rows]) => [number, byText(rows)]),
    );
  });
});
