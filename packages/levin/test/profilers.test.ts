import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as torch from "@levin/torch";
import { nn, optim, type Tensor } from "@levin/torch";
import {
  AdvancedProfiler,
  LightningModule,
  PassThroughProfiler,
  type Profiler,
  PyTorchProfiler,
  SimpleProfiler,
  setQuiet,
  Trainer,
} from "levin";
import { beforeAll, describe, expect, it } from "vitest";
import { folder, useFolder } from "./folder.js";
import { quietTrainer } from "./quiet-trainer.js";

beforeAll(() => {
  setQuiet(true);
  torch.setNumThreads(1);
});
useFolder();

class Net extends LightningModule<Tensor> {
  readonly layer = new nn.Linear(64, 64);

  override trainingStep(batch: Tensor): Tensor {
    return heavyWork(this.layer.forward(batch));
  }

  override configureOptimizers(): optim.Optimizer {
    return new optim.SGD(this.parameters(), { lr: 0.01 });
  }
}

function heavyWork(input: Tensor): Tensor {
  let value = input;
  for (let i = 0; i < 50; i++) value = value.matmul(input).tanh();
  return value.mean();
}

const fit = async (profiler: Profiler | "simple" | "advanced" | "pytorch", batches = 8) => {
  const trainer = quietTrainer({ profiler });
  const data = Array.from({ length: batches }, () => torch.randn([64, 64]));
  await trainer.fit(new Net(), { trainDataloaders: new Set(data) });
  return trainer;
};

describe("Trainer({ profiler })", () => {
  it("takes names and profilers, and does without", async () => {
    expect((await fit("simple", 1)).profiler).toBeInstanceOf(SimpleProfiler);
    expect(new Trainer({ logger: false, profiler: "advanced" }).profiler).toBeInstanceOf(AdvancedProfiler);
    expect(new Trainer({ logger: false, profiler: "pytorch" }).profiler).toBeInstanceOf(PyTorchProfiler);
    expect(new Trainer({ logger: false }).profiler).toBeInstanceOf(PassThroughProfiler);
    expect(() => new Trainer({ profiler: "xla" as never })).toThrow("simple, advanced, pytorch");
    expect(() => new Trainer({ barebones: true, profiler: "simple" })).toThrow("barebones");
  });
});

describe("SimpleProfiler", () => {
  it("knows what goes on", () => {
    const profiler = new SimpleProfiler();
    profiler.start("a");
    expect(() => profiler.start("a")).toThrow("Attempted to start a which has already started.");
    profiler.stop("a");
    expect(() => profiler.stop("a")).toThrow("(a) which was never started");
  });

  it("measures functions, asynchronous ones and those that fail", async () => {
    const profiler = new SimpleProfiler();
    expect(profiler.profile("now", () => 1)).toBe(1);
    expect(await profiler.profile("later", async () => 2)).toBe(2);
    expect(() =>
      profiler.profile("never", () => {
        throw new Error("no");
      }),
    ).toThrow("no");
    await expect(profiler.profile("not later", () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    expect([...profiler.recordedDurations.keys()]).toEqual(["now", "later", "never", "not later"]);
  });

  it("reports in a table, with the columns that are wanted", () => {
    const profiler = new SimpleProfiler({ extended: false });
    profiler.recordedDurations.set("work", [1, 3]);
    profiler.recordedDurations.set("rest", [0.125]);
    const rule = "-".repeat(66);
    expect(profiler.summary()).toBe(
      [
        "Profiler Report",
        "",
        rule,
        "|  Action\t|  Mean duration (s)\t|  Total time (s) \t|",
        rule,
        "|  work\t|  2.0            \t|  4.0            \t|",
        "|  rest\t|  0.125          \t|  0.125          \t|",
        rule,
        "",
      ].join("\n"),
    );
  });
});

describe("AdvancedProfiler", () => {
  it("tells in which functions each action spends its time, and writes a profile for browsers", async () => {
    const profiler = new AdvancedProfiler({ dirpath: folder, filename: "run", dumpStats: true });
    await fit(profiler, 20);
    expect(readdirSync(folder).sort()).toEqual(["fit-run.cpuprofile", "fit-run.txt"]);
    const report = readFileSync(join(folder, "fit-run.txt"), "utf8");
    const of = (action: string) =>
      report.split("Profile stats for: ").find((part) => part.startsWith(action)) ?? "";
    expect(of("[Strategy]SingleDeviceStrategy.training_step")).toMatch(/20 calls[\s\S]*heavyWork/);
    expect(of("[LightningModule]Net.on_fit_start")).not.toContain("heavyWork");
    const profile = JSON.parse(readFileSync(join(folder, "fit-run.cpuprofile"), "utf8"));
    expect(Object.keys(profile)).toEqual(expect.arrayContaining(["nodes", "samples", "timeDeltas"]));
  });

  it("reports as many functions as it is told", async () => {
    const profiler = new AdvancedProfiler({ dirpath: folder, filename: "few", lineCountRestriction: 2 });
    await fit(profiler, 20);
    const report = readFileSync(join(folder, "fit-few.txt"), "utf8");
    const part = report.split("Profile stats for: ").find((each) => each.startsWith("run_training_epoch"))!;
    expect(part.trim().split("\n").length).toBe(2 + 1 + 2);
  });
});

describe("PyTorchProfiler", () => {
  it("reports the operators of a few steps, and writes a trace with modules and actions", async () => {
    await fit(new PyTorchProfiler({ dirpath: folder, filename: "engine", rowLimit: 50 }));
    const files = readdirSync(folder);
    const report = readFileSync(join(folder, "fit-engine.txt"), "utf8");
    expect(report).toMatch(/^FIT Profiler Report\nProfile stats for: records\n/);
    expect(report).toMatch(/aten::matmul .* 150 *\n/);
    const trace = files.find((file) => file.endsWith(".pt.trace.json"))!;
    const text = readFileSync(join(folder, trace), "utf8");
    expect(text).toContain("[pl][module]Linear: layer");
    expect(text).toContain("[pl][profile][Strategy]SingleDeviceStrategy.backward");
  });

  it("records all steps where there are too few for its schedule", async () => {
    await fit(new PyTorchProfiler({ dirpath: folder, filename: "short", exportToChrome: false }), 3);
    expect(readFileSync(join(folder, "fit-short.txt"), "utf8")).toContain("aten::matmul");
  });

  it("says what it cannot sort by", () => {
    expect(() => new PyTorchProfiler({ sortByKey: "time" as never })).toThrow('sortByKey was given "time"');
    expect(() => new PyTorchProfiler({ schedule: 3 as never })).toThrow("schedule must be a function");
  });
});
