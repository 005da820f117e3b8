import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import * as torch from "@levin/torch";
import { nn, optim, type Tensor } from "@levin/torch";
import {
  Callback,
  EarlyStopping,
  GradientAccumulationScheduler,
  HookTimeline,
  LightningDataModule,
  LightningModule,
  ModelCheckpoint,
  type ModelCheckpointOptions,
  setQuiet,
  Trainer,
  type TrainerOptions,
} from "levin";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { folder, useFolder } from "./folder.js";

beforeAll(() => setQuiet(true));
useFolder();

class Net extends LightningModule<Tensor> {
  readonly layer = new nn.Linear(1, 1);

  override trainingStep(batch: Tensor): Tensor {
    return this.layer.forward(batch).pow(2).mean();
  }

  override validationStep(): void {
    this.log("v", 1 / (1 + this.globalStep));
  }

  override configureOptimizers(): optim.Optimizer {
    return new optim.SGD(this.parameters(), { lr: 0.01 });
  }
}

/** Counts what happens. */
class Count extends Callback {
  optimizerSteps = 0;
  validations = 0;
  checkpoints = 0;

  override onBeforeOptimizerStep(): void {
    this.optimizerSteps++;
  }
  override onValidationStart(trainer: Trainer): void {
    if (!trainer.sanityChecking) this.validations++;
  }
  override onSaveCheckpoint(): void {
    this.checkpoints++;
  }
}

const batches = (count: number) => new Set(Array.from({ length: count }, () => torch.ones([2, 1])));

const make = (callbacks: Callback[], options: TrainerOptions = {}) =>
  new Trainer({
    accelerator: "cpu",
    logger: false,
    callbacks,
    enableProgressBar: false,
    enableModelSummary: false,
    enableCheckpointing: callbacks.some((callback) => callback instanceof ModelCheckpoint),
    ...options,
  });

describe("trainer.explain", () => {
  const loaders = { trainDataloaders: batches(10), valDataloaders: batches(3) };

  const configurations: [TrainerOptions, ModelCheckpointOptions, Callback[]][] = [
    [{ maxEpochs: 3 }, {}, []],
    [{ maxEpochs: 3, accumulateGradBatches: 4 }, { everyNTrainSteps: 2 }, []],
    [{ maxEpochs: 4, valCheckInterval: 3 }, { monitor: "v", saveTopK: -1 }, []],
    [{ maxEpochs: 4, valCheckInterval: 0.5, limitTrainBatches: 7 }, { monitor: "v", saveTopK: -1 }, []],
    [{ maxEpochs: 5, checkValEveryNEpoch: 2 }, { everyNEpochs: 2 }, []],
    [{ maxEpochs: 3, checkValEveryNEpoch: null, valCheckInterval: 7 }, { monitor: "v", saveTopK: -1 }, []],
    [{ maxSteps: 17, accumulateGradBatches: 3 }, { everyNTrainSteps: 5, monitor: "v", saveTopK: -1 }, []],
    [{ maxEpochs: 3, maxSteps: 25 }, { saveOnTrainEpochEnd: false }, []],
    [{ maxEpochs: 2, limitValBatches: 0 }, { everyNTrainSteps: 10 }, []],
    [{ maxEpochs: 4 }, {}, [new GradientAccumulationScheduler({ 1: 2, 3: 5 })]],
    [{ fastDevRun: 2 }, {}, []],
  ];

  it("tells the steps, validations and checkpoints that the fit then has", async () => {
    for (const [options, checkpoint, callbacks] of configurations) {
      const count = new Count();
      const dirpath = join(folder, "checkpoints");
      const saver = new ModelCheckpoint({ dirpath, filename: "{epoch}-{step}", saveTopK: -1, ...checkpoint });
      const trainer = make([count, saver, ...callbacks], options);
      const module = new Net();
      const plan = await trainer.explain(module, { ...loaders, verbose: false });
      expect([count.optimizerSteps, count.validations]).toEqual([0, 0]);
      await trainer.fit(module, loaders);
      const told = [plan.optimizerSteps, plan.validations, plan.checkpoints];
      expect([options, ...told]).toEqual([
        options,
        count.optimizerSteps,
        count.validations,
        count.checkpoints,
      ]);
      expect(plan.schedule.epochs.length).toBe(trainer.currentEpoch || 1);
      rmSync(dirpath, { recursive: true, force: true });
    }
  });

  it("prints them with who takes part in which hook, and does nothing else", async () => {
    class Watch extends Callback {
      override onTrainEpochEnd(): void {}
    }
    const print = vi.spyOn(console, "log").mockImplementation(() => {});
    const trainer = make(
      [new Watch(), new EarlyStopping("v"), new ModelCheckpoint({ dirpath: folder, monitor: "v" })],
      { maxEpochs: 3, accumulateGradBatches: 2, valCheckInterval: 5 },
    );
    const module = new Net();
    await trainer.explain(module, loaders);
    const text = String(print.mock.calls[0]?.[0]);
    print.mockRestore();
    expect(text).toBe(
      [
        "trainer.fit of Net: SingleDeviceStrategy on cpu, 32-true",
        "",
        "Data",
        "  training: 10 batches in an epoch",
        "  validation: 3 batches",
        "  sanity check before training: 2 batches of validation",
        "",
        "Schedule",
        "  epochs 0 to 2, each:",
        "    10 batches",
        "    5 optimizer steps, one for 2 batches",
        "    2 validations, after batches 5, 10",
        "    2 checkpoints after the validation at batches 5, 10, if v is the best",
        "",
        "In all",
        "  3 epochs, 30 batches, 15 optimizer steps, 6 validations, up to 6 checkpoints",
        "  ends by maxEpochs",
        "  may end earlier: EarlyStopping on v, patience 3",
        "",
        "Hooks",
        "  setup                     EarlyStopping, ModelCheckpoint",
        "  configureOptimizers       Net",
        "  onTrainStart              ModelCheckpoint",
        "  each epoch:",
        "    each batch:",
        "      trainingStep              Net",
        "      onTrainBatchEnd           ModelCheckpoint",
        "    each validation:",
        "      each batch:",
        "        validationStep            Net",
        "      onValidationEnd           EarlyStopping, ModelCheckpoint",
        "    onTrainEpochEnd           Watch, EarlyStopping, ModelCheckpoint",
        "  onTrainEnd                ModelCheckpoint",
      ].join("\n"),
    );
    expect([trainer.state.status, module.hasTrainer]).toEqual(["initializing", false]);
  });

  it("says what cannot be known beforehand", async () => {
    class Data extends LightningDataModule {
      rows: Set<Tensor> | null = null;
      override setup(): void {
        this.rows = batches(4);
      }
      override trainDataloader() {
        if (!this.rows) throw new Error("not set up");
        return this.rows;
      }
    }
    const endless = {
      *[Symbol.iterator]() {
        for (;;) yield torch.ones([2, 1]);
      },
    };
    const options = { verbose: false };
    const unmade = await make([]).explain(new Net(), { datamodule: new Data(), ...options });
    expect(String(unmade)).toContain("trainDataloader cannot be made before the fit: not set up");
    const unknown = await make([], { maxEpochs: 2 }).explain(new Net(), {
      trainDataloaders: endless,
      ...options,
    });
    expect(String(unknown)).toContain("training: an unknown number of batches in an epoch");
    expect(unknown.schedule.end).toBe(null);
    const stopped = await make([], { maxSteps: 6 }).explain(new Net(), {
      trainDataloaders: endless,
      ...options,
    });
    expect([stopped.optimizerSteps, stopped.schedule.end]).toEqual([6, "maxSteps"]);
  });
});

describe("HookTimeline", () => {
  it("records each hook within what it is part of", async () => {
    const timeline = new HookTimeline({ dirpath: folder });
    const trainer = make([timeline, new Count()], { maxEpochs: 2 });
    await trainer.fit(new Net(), { trainDataloaders: batches(3) });
    const events = timeline.events.filter((event) => event.name.endsWith("training_step"));
    expect(events.length).toBe(6);
    const epoch = timeline.events.find((event) => event.name === "run_training_epoch")!;
    const [step] = events as [(typeof events)[0]];
    expect(step.depth).toBeGreaterThan(epoch.depth);
    expect(step.start).toBeGreaterThan(epoch.start);
    expect(step.start + step.duration).toBeLessThan(epoch.start + epoch.duration);
    expect(timeline.events.some((event) => event.name === "[Callback]Count.on_before_optimizer_step")).toBe(
      true,
    );
  });

  it("writes a trace and a page, also where the run fails", async () => {
    class Failing extends Net {
      override trainingStep(): Tensor {
        throw new Error("</script>");
      }
    }
    const timeline = new HookTimeline({ dirpath: folder, filename: "run" });
    const run = make([timeline], { maxEpochs: 1 }).fit(new Failing(), { trainDataloaders: batches(1) });
    await expect(run).rejects.toThrow("</script>");
    const { traceEvents } = JSON.parse(readFileSync(join(folder, "run.trace.json"), "utf8"));
    const step = traceEvents.find((event: { name: string }) => event.name.endsWith(".training_step"));
    expect(step).toMatchObject({ ph: "X", cat: "Strategy", tid: 0 });
    const page = readFileSync(join(folder, "run.html"), "utf8");
    expect(page).toContain("SingleDeviceStrategy.training_step");
    const script = /<script>([\s\S]*?)<\/script>/.exec(page)![1]!;
    expect(() => new Function(script)).not.toThrow();
    expect(page).not.toMatch(/https?:|src=/);
  });

  it("keeps no more than it is told", async () => {
    const timeline = new HookTimeline({ dirpath: folder, maxEvents: 5 });
    await make([timeline], { maxEpochs: 1 }).fit(new Net(), { trainDataloaders: batches(2) });
    expect(timeline.events.length).toBe(5);
    expect(timeline.leftOut).toBeGreaterThan(10);
  });
});
