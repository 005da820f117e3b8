import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { gunzipSync } from "node:zlib";
import * as torch from "@levin/torch";
import { profiler } from "@levin/torch";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";

const { Profile, profile, recordFunction, schedule } = profiler;

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "levin-profiler-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

let warnings: ReturnType<typeof vi.spyOn>;
beforeEach(() => {
  warnings = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
});
afterEach(() => warnings.mockRestore());

const work = (): void => {
  torch
    .ones([4, 8])
    .matmul(torch.ones([8, 2]))
    .relu();
};
const counts = (prof: profiler.Profile): Record<string, number> =>
  Object.fromEntries([...prof.keyAverages()].map(({ key, count }) => [key, count]));

describe("a profile", () => {
  it("has the operators that a function runs, with those they call inside", () => {
    const prof = profile({}, work);
    expect(counts(prof)).toMatchObject({
      "aten::ones": 2,
      "aten::matmul": 1,
      "aten::mm": 1,
      "aten::relu": 1,
    });
    const matmul = [...prof.events()].find(({ name }) => name === "aten::matmul");
    expect(matmul?.cpuChildren.map(({ name }) => name)).toEqual(["aten::mm"]);
    expect(matmul?.cpuChildren[0]?.cpuParent).toBe(matmul);
    expect(matmul?.selfCpuTimeTotal).toBeCloseTo(
      (matmul?.cpuTimeTotal ?? 0) - (matmul?.cpuChildren[0]?.cpuTimeTotal ?? 0),
      6,
    );
  });

  it("has those of an asynchronous function", async () => {
    const prof = await profile({}, async () => {
      await Promise.resolve();
      work();
    });
    expect(counts(prof)["aten::mm"]).toBe(1);
  });

  it("has nothing of what runs before and after it", () => {
    const prof = new Profile();
    work();
    prof.start();
    torch.ones([1]);
    prof.stop();
    work();
    expect(counts(prof)["aten::mm"]).toBeUndefined();
  });

  it("has the shapes of inputs and groups by them where asked for", () => {
    const prof = profile({ recordShapes: true }, () => {
      work();
      torch.ones([3, 3]).mm(torch.ones([3, 3]));
    });
    const products = [...prof.keyAverages({ groupByInputShape: true })].filter(
      ({ key }) => key === "aten::mm",
    );
    expect(products.map(({ inputShapes }) => inputShapes)).toEqual([
      [
        [4, 8],
        [8, 2],
      ],
      [
        [3, 3],
        [3, 3],
      ],
    ]);
  });

  it("has the memory that operators allocate", () => {
    const prof = profile({ profileMemory: true }, () => torch.ones([256, 4]));
    const ones = [...prof.keyAverages()].find(({ key }) => key === "aten::ones");
    expect([ones?.cpuMemoryUsage, ones?.selfCpuMemoryUsage]).toEqual([4096, 0]);
  });

  it("estimates floating point operations", () => {
    const prof = profile({ withFlops: true }, work);
    expect([...prof.keyAverages()].find(({ key }) => key === "aten::mm")?.flops).toBe(2 * 4 * 8 * 2);
  });

  it("knows from where operators were called, and gives backward ones the place of the forward one", () => {
    const prof = profile({ withStack: true }, function forward() {
      const x = torch.ones([2, 2], { requiresGrad: true });
      recordFunction("range", () => x.matmul(x))
        .sum()
        .backward();
    });
    const stackOf = (name: string): string[] =>
      [...prof.events()].find((event) => event.name === name)?.stack ?? [];
    expect(stackOf("aten::ones")[0]).toMatch(/profiler\.test\.ts\(\d+\): forward$/);
    expect(stackOf("range")[0]).toMatch(/profiler\.test\.ts\(\d+\)/);
    expect(stackOf("aten::matmul")[0]).toMatch(/profiler\.test\.ts\(\d+\)/);
    expect(stackOf("MmBackward0")).toEqual(
      stackOf("aten::mm").length > 0 ? stackOf("aten::mm") : stackOf("aten::matmul"),
    );
    prof.exportStacks(join(folder, "stacks.txt"));
    expect(readFileSync(join(folder, "stacks.txt"), "utf8")).toMatch(
      /profiler\.test\.ts\(\d+\):_forward \d+\n/,
    );
  });

  it("adds up cycles where asked for", () => {
    const cycles = (accEvents: boolean): number | undefined => {
      const prof = new Profile({
        schedule: schedule({ wait: 0, warmup: 1, active: 1, repeat: 2 }),
        accEvents,
      });
      prof.start();
      for (let i = 0; i < 4; i++) {
        work();
        prof.step();
      }
      prof.stop();
      return counts(prof)["aten::mm"];
    };
    expect([cycles(false), cycles(true)]).toEqual([1, 2]);
  });
});

describe("recordFunction", () => {
  it("puts a range around what a function runs, and gives its result", () => {
    let result = 0;
    const prof = profile({}, () => {
      result = recordFunction("forward", () => {
        work();
        return 7;
      });
    });
    expect(result).toBe(7);
    const range = [...prof.events()].find(({ name }) => name === "forward");
    expect(range?.isUserAnnotation).toBe(true);
    expect(range?.cpuChildren.map(({ name }) => name)).toContain("aten::matmul");
  });

  it("ends with the promise of an asynchronous function, and with an error", async () => {
    const prof = await profile({}, async () => {
      await recordFunction("later", async () => {
        await Promise.resolve();
        work();
      });
      expect(() => recordFunction("failing", () => raise())).toThrow("no");
      await expect(recordFunction("rejecting", async () => raise())).rejects.toThrow("no");
    });
    expect(counts(prof)).toMatchObject({ later: 1, failing: 1, rejecting: 1 });
  });

  it("only calls the function where nothing is profiled", () => {
    expect(recordFunction("x", () => 3)).toBe(3);
  });

  it("may be open when the profile ends", async () => {
    let release = (): void => {};
    const prof = new Profile();
    prof.start();
    const open = recordFunction(
      "open",
      () =>
        new Promise<void>((resolve) => {
          release = resolve;
        }),
    );
    prof.stop();
    const next = profile({}, work);
    release();
    await open;
    expect([counts(prof).open, counts(next).open]).toEqual([1, undefined]);
  });
});

function raise(): never {
  throw new Error("no");
}

describe("schedule", () => {
  it("gives cycles of waiting, warming up and recording", () => {
    const plan = schedule({ skipFirst: 1, wait: 1, warmup: 1, active: 2, repeat: 1 });
    expect(Array.from({ length: 7 }, (_, i) => plan(i))).toEqual([
      "none",
      "none",
      "warmup",
      "record",
      "record_and_save",
      "none",
      "none",
    ]);
  });

  it("calls onTraceReady at the end of each cycle, and once more where one is stopped", () => {
    const ready: [number, Record<string, number>][] = [];
    const prof = new Profile({
      schedule: schedule({ wait: 1, warmup: 1, active: 2 }),
      onTraceReady: (done) => ready.push([done.stepNum, counts(done)]),
    });
    prof.start();
    for (let i = 0; i < 7; i++) {
      work();
      prof.step();
    }
    prof.stop();
    expect(ready.map(([step]) => step)).toEqual([4, 7]);
    expect(ready.map(([, { "aten::mm": products, "ProfilerStep*": steps }]) => [products, steps])).toEqual([
      [2, 2],
      [1, 2],
    ]);
  });

  it("may end while it waits or warms up", () => {
    for (const steps of [0, 1]) {
      const prof = new Profile({ schedule: schedule({ wait: 1, warmup: 1, active: 1 }) });
      prof.start();
      for (let i = 0; i < steps; i++) prof.step();
      prof.stop();
      expect(prof.events()).toHaveLength(0);
    }
  });

  it("warns of schedules of one's own that lose a recording", () => {
    const prof = new Profile({ schedule: (step) => (step % 2 === 0 ? "record" : "none") });
    prof.start();
    prof.step();
    expect(warnings).toHaveBeenCalledWith(expect.stringContaining("schedule is wrong"));
    prof.stop();
  });

  it.each([
    [{ wait: -1, warmup: 0, active: 1 }, /wait was given -1/],
    [{ wait: 0, warmup: 1, active: 0 }, /active was given 0/],
  ])("refuses %o", (options, message) => {
    expect(() => schedule(options)).toThrow(message);
  });
});

describe("the table", () => {
  it("has PyTorch's columns, sorted and cut as asked for", () => {
    const prof = profile({ recordShapes: true, profileMemory: true }, work);
    const lines = prof
      .keyAverages({ groupByInputShape: true })
      .table({ sortBy: "count", rowLimit: 1, header: "Work" })
      .split("\n");
    expect(lines[1]).toBe("Work");
    expect(lines[3]?.trim().split(/\s{2,}/)).toEqual([
      "Name",
      "Self CPU %",
      "Self CPU",
      "CPU total %",
      "CPU total",
      "CPU time avg",
      "CPU Mem",
      "Self CPU Mem",
      "# of Calls",
      "Input Shapes",
    ]);
    expect(lines[5]).toMatch(/aten::ones .* 2 /);
    expect(lines.at(-2)).toMatch(/^Self CPU time total: [\d.]+(us|ms|s)$/);
  });

  it("shows only events that lie in no other, and all times in one unit", () => {
    const text = profile({}, work).events().table({ topLevelEventsOnly: true, timeUnit: "s" });
    expect(text).not.toContain("aten::mm ");
    expect(text).toMatch(/Self CPU time total: 0\.\d{3}s/);
  });

  it("refuses an unknown order", () => {
    expect(() =>
      profile({}, work)
        .keyAverages()
        .table({ sortBy: "time" as "count" }),
    ).toThrow(/sortBy was given "time"/);
  });

  it("is empty where nothing was recorded", () => {
    expect(
      profile({ activities: ["cpu"] }, () => {})
        .keyAverages()
        .table(),
    ).toBe("");
  });
});

describe("the trace", () => {
  type Trace = { traceEvents: { name: string; ph: string; ts: number; dur?: number; cat?: string }[] };

  it("is JSON for a trace viewer, also compressed and a second time", () => {
    const prof = new Profile({ recordShapes: true });
    prof.start();
    prof.addMetadata("note", 'with "quotes" \\ \n');
    recordFunction("forward", work);
    prof.stop();
    const paths = ["a.json", "b.json.gz", "c.json"].map((name) => join(folder, name));
    for (const path of paths) prof.exportChromeTrace(path);
    const [first, second, third] = paths.map((path) => readFileSync(path)) as [Buffer, Buffer, Buffer];
    expect(gunzipSync(second).equals(first) && third.equals(first)).toBe(true);
    const trace = JSON.parse(first.toString()) as Trace & { note: string; record_shapes: number };
    expect([trace.note, trace.record_shapes]).toEqual(["with 'quotes' /  ", 1]);
    const complete = trace.traceEvents.filter(({ ph }) => ph === "X");
    expect(complete.find(({ name }) => name === "aten::mm")).toMatchObject({ cat: "cpu_op" });
    expect(complete.find(({ name }) => name === "forward")).toMatchObject({ cat: "user_annotation" });
  });

  it("is written for TensorBoard by the handler", () => {
    const runs = join(folder, "runs", "profile");
    profile(
      { onTraceReady: profiler.tensorboardTraceHandler(runs, { workerName: "w", useGzip: true }) },
      work,
    );
    const files = readdirSync(runs);
    expect(files).toEqual([expect.stringMatching(/^w\.\d{19}\.pt\.trace\.json\.gz$/)]);
    expect(
      (JSON.parse(gunzipSync(readFileSync(join(runs, files[0] as string))).toString()) as Trace).traceEvents
        .length,
    ).toBeGreaterThan(0);
  });

  it("that cannot be written is an error", () => {
    expect(() => profile({}, work).exportChromeTrace(join(folder, "none", "a.json"))).toThrow(/ENOENT/);
  });
});

describe("misuse", () => {
  it("is an error: start twice, stop and step without start, a trace of nothing", () => {
    const prof = new Profile();
    expect(() => prof.stop()).toThrow(/stop was called without start/);
    expect(() => prof.step()).toThrow(/step was called without start/);
    expect(() => prof.exportChromeTrace(join(folder, "x.json"))).toThrow(/nothing was recorded/);
    expect(() => prof.addMetadata("a", "b")).toThrow(/not being profiled/);
    prof.start();
    expect(() => prof.start()).toThrow(/start was called twice/);
    prof.stop();
    expect(() => prof.stop()).toThrow(/stop was called without start/);
    expect(() => prof.exportStacks(join(folder, "x.txt"))).toThrow(/withStack/);
  });

  it("is an error: two profiles at a time; the first one goes on", () => {
    const first = new Profile();
    first.start();
    expect(() => profile({}, work)).toThrow(/being profiled already/);
    work();
    first.stop();
    expect(counts(first)["aten::mm"]).toBe(1);
  });

  it("is an error: to stop or start in a backward pass; the profile goes on", () => {
    const prof = new Profile();
    prof.start();
    const x = torch.ones([2], { requiresGrad: true });
    const errors: unknown[] = [];
    x.registerHook(() => {
      for (const call of [() => prof.stop(), () => profile({}, work)]) {
        try {
          call();
        } catch (error) {
          errors.push((error as Error).message);
        }
      }
    });
    x.mul(2).sum().backward();
    prof.stop();
    expect(errors).toEqual([
      expect.stringContaining("hook of a backward pass"),
      expect.stringContaining("hook of a backward pass"),
    ]);
    expect(counts(prof)["aten::mul"]).toBe(2);
  });

  it("is an error: unknown activities, and none", () => {
    expect(() => new Profile({ activities: ["gpu" as "cuda"] })).toThrow(/activities was given "gpu"/);
    expect(() => new Profile({ activities: [] })).toThrow(/none that this machine can profile/);
  });

  it.skipIf(torch.cuda.isAvailable())("is a warning: an accelerator that is not there", () => {
    expect(counts(profile({ activities: ["cpu", "cuda"] }, work))["aten::mm"]).toBe(1);
    expect(warnings).toHaveBeenCalledWith(expect.stringContaining("CUDA is not available"));
  });

  it("stops the profile when the function throws", () => {
    expect(() => profile({}, () => raise())).toThrow("no");
    expect(counts(profile({}, work))["aten::mm"]).toBe(1);
  });
});

describe("a worker thread", () => {
  /** Runs code in a worker that has `torch` and `report`; gives what it reports, when it has ended. */
  const inWorker = (code: string): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const source = `import("@levin/torch").then((torch) => {
        const report = (value) => require("node:worker_threads").parentPort.postMessage(value);
        ${code}
      });`;
      let reported: unknown;
      const worker = new Worker(source, { eval: true });
      worker.on("message", (value) => {
        reported = value;
      });
      worker.on("error", reject);
      worker.on("exit", () => resolve(reported));
    });

  it("can be profiled by itself", async () => {
    const code =
      "report(torch.profiler.profile({ activities: ['cpu'] }, () => torch.ones([2])).keyAverages().events.map(({ key }) => key));";
    expect(await inWorker(code)).toEqual(["aten::ones", "aten::empty", "aten::fill_"]);
  });

  it("cannot be profiled while another thread is, which does not see its operators", async () => {
    const prof = new Profile();
    prof.start();
    const code =
      "torch.zeros([1]); try { torch.profiler.profile({}, () => {}); } catch (error) { report(error.message); }";
    expect(await inWorker(code)).toMatch(/another thread/);
    prof.stop();
    expect(counts(prof)["aten::zeros"]).toBeUndefined();
  });

  it.each([
    ["records", "new torch.profiler.Profile().start();"],
    ["warms up", "new torch.profiler.Profile({ schedule: () => 'warmup' }).start();"],
    [
      "is in a range",
      "new torch.profiler.Profile().start(); torch.profiler.recordFunction('x', () => new Promise(() => {}));",
    ],
  ])("that ends while it %s leaves the profiler to others", async (_, code) => {
    await inWorker(code);
    expect(counts(profile({}, work))["aten::mm"]).toBe(1);
  });
});
