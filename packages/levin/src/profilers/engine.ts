import { join } from "node:path";
import { type nn, profiler, type RemovableHandle } from "@levin/torch";
import { MisconfigurationError } from "../errors.js";
import { warn, warnOnce } from "../messages.js";
import type { Trainer } from "../trainer.js";
import { Profiler, type ProfilerOptions } from "./profiler.js";

type Action = profiler.ProfilerAction;
type Schedule = (step: number) => Action;

/** Options of {@link PyTorchProfiler}: its own and those of `profiler.Profile`. */
export interface PyTorchProfilerOptions extends ProfilerOptions, profiler.ProfileOptions {
  /** Whether operators are told apart by the shapes of their inputs; needs `recordShapes`. Default: false. */
  groupByInputShapes?: boolean;
  /** Whether a trace is written into `dirpath`, which a browser's trace viewer and TensorBoard open. Default: true. */
  exportToChrome?: boolean;
  /** How many operators are reported at most; -1: all. Default: 20. */
  rowLimit?: number;
  /** What they are sorted by. Default: "cpuTimeTotal", on a GPU "deviceTimeTotal". */
  sortByKey?: profiler.SortKey | null;
  /** Whether the trace shows in which module operators run. Default: true. */
  recordModuleNames?: boolean;
  /** Further options of the table. */
  tableKwargs?: Omit<profiler.TableOptions, "sortBy" | "rowLimit">;
}

const sortKeys: readonly profiler.SortKey[] = [
  "cpuTime",
  "deviceTime",
  "cpuTimeTotal",
  "deviceTimeTotal",
  "cpuMemoryUsage",
  "deviceMemoryUsage",
  "selfCpuMemoryUsage",
  "selfDeviceMemoryUsage",
  "count",
];

const steps = ["training_step", "validation_step", "test_step", "predict_step"] as const;
type Step = (typeof steps)[number];

/** Enough not to be felt: three steps are recorded. */
const defaultSchedule = profiler.schedule({ wait: 1, warmup: 1, active: 3 });

/**
 * Profiles the operators of libtorch that run in a few steps, with the actions of the run and the modules around them.
 *
 * ```ts
 * new Trainer({ profiler: new PyTorchProfiler({ dirpath: "profiles", filename: "run", profileMemory: true }) });
 * ```
 *
 * @see https://docs.pytorch.org/docs/stable/profiler.html
 */
export class PyTorchProfiler extends Profiler {
  /** The engine's profiler, while one is running. */
  profiler: profiler.Profile | null = null;
  readonly #options: PyTorchProfilerOptions;
  readonly #sortByKey: profiler.SortKey;
  readonly #ranges = new Map<string, () => void>();
  #steps: StepSchedule | null = null;
  #moduleHooks: RemovableHandle[] = [];
  #averages: string | null = null;

  /** @throws MisconfigurationError where `sortByKey` or `schedule` is wrong */
  constructor(options: PyTorchProfilerOptions = {}) {
    super(options);
    this.#options = options;
    const activities = options.activities ?? profiler.supportedActivities();
    this.#sortByKey = options.sortByKey ?? (activities.includes("cuda") ? "deviceTimeTotal" : "cpuTimeTotal");
    if (!sortKeys.includes(this.#sortByKey)) {
      throw new MisconfigurationError(
        `PyTorchProfiler: sortByKey was given "${this.#sortByKey}"; it is one of ${sortKeys.join(", ")}.`,
      );
    }
    const { schedule } = options;
    if (schedule === undefined) return;
    const action: unknown = typeof schedule === "function" ? schedule(0) : undefined;
    if (!["none", "warmup", "record", "record_and_save"].includes(String(action))) {
      throw new MisconfigurationError(
        "PyTorchProfiler: schedule must be a function from the number of a step to what is done in it, as profiler.schedule makes it.",
      );
    }
  }

  override start(actionName: string): void {
    if (this.profiler === null) this.#begin(actionName);
    if (this.#options.recordModuleNames !== false && this.#moduleHooks.length === 0 && this.lightningModule) {
      this.#moduleHooks = recordModules(this.lightningModule);
    }
    if (!this.#ranges.has(actionName)) {
      this.#ranges.set(actionName, profiler.beginRange(`[pl][profile]${actionName}`));
    }
  }

  override stop(actionName: string): void {
    this.#ranges.get(actionName)?.();
    this.#ranges.delete(actionName);
    const step = steps.find((name) => actionName.endsWith(name));
    if (this.profiler === null || step === undefined) return;
    this.#steps?.goTo(step, actionName, this.lightningModule?.trainer ?? null);
    this.profiler.step();
    if (this.#steps?.isRecording) this.profiler.addMetadata("Framework", "pytorch-lightning");
  }

  #begin(actionName: string): void {
    const {
      schedule,
      onTraceReady,
      activities,
      recordShapes,
      profileMemory,
      withStack,
      withFlops,
      accEvents,
    } = this.#options;
    this.#steps = new StepSchedule(schedule ?? defaultSchedule, schedule === undefined, actionName);
    const given = { activities, recordShapes, profileMemory, withStack, withFlops, accEvents };
    this.profiler = new profiler.Profile({
      ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
      schedule: this.#steps.next,
      onTraceReady: onTraceReady ?? ((profile) => this.#export(profile)),
    });
    this.profiler.start();
  }

  #export(profile: profiler.Profile): void {
    if (this.#options.exportToChrome === false) return;
    if (this.dirpath === null) {
      warn("PyTorchProfiler: the trace is not written, as there is no dirpath.");
      return;
    }
    const actionName = this.#steps?.actionName;
    const workerName = this.prepareFilename({ ...(actionName && { actionName }), extension: "" });
    profiler.tensorboardTraceHandler(join(this.dirpath), { workerName })(profile);
  }

  override summary(): string {
    this.#end();
    if (this.#averages === null) return "";
    return this.statsToString(new Map([["records", this.#averages]]));
  }

  #end(): void {
    const { profiler: running } = this;
    for (const handle of this.#moduleHooks) handle.remove();
    this.#moduleHooks = [];
    if (running === null) return;
    for (const end of this.#ranges.values()) end();
    this.#ranges.clear();
    this.profiler = null;
    running[Symbol.dispose]();
    const { groupByInputShapes = false, recordShapes = false, rowLimit = 20, tableKwargs } = this.#options;
    const averages = running.keyAverages({ groupByInputShape: groupByInputShapes && recordShapes });
    this.#averages =
      averages.length === 0
        ? null
        : averages.table({
            ...tableKwargs,
            sortBy: this.#sortByKey,
            rowLimit: rowLimit === -1 ? Number.POSITIVE_INFINITY : rowLimit,
          });
  }

  override teardown(...args: Parameters<Profiler["teardown"]>): void {
    this.#end();
    this.#averages = null;
    super.teardown(...args);
  }
}

/**
 * Counts the steps of training, validation, testing and prediction by themselves, so that each is recorded as scheduled. After its cycle a
 * kind of step is recorded no more.
 */
class StepSchedule {
  /** The action whose step has just ended. */
  actionName: string | null = null;
  readonly #counts: Record<Step, number> = {
    training_step: 0,
    validation_step: 0,
    test_step: 0,
    predict_step: 0,
  };
  readonly #finished = new Set<Step>();
  readonly #inFit: boolean;
  #schedule: Schedule;
  #step: Step | null = null;
  #before: Action | null = null;
  #current: Action = "none";

  constructor(
    schedule: Schedule,
    readonly isDefault: boolean,
    firstAction: string,
  ) {
    this.#schedule = schedule;
    this.#inFit = firstAction.endsWith("on_fit_start") || firstAction.endsWith("configure_callbacks");
  }

  /** Whether the step that has begun is recorded. */
  get isRecording(): boolean {
    return this.#current === "record" || this.#current === "record_and_save";
  }

  goTo(step: Step, actionName: string, trainer: Trainer | null): void {
    this.#step = step;
    this.actionName = actionName;
    if (!this.isDefault || trainer === null || totalSteps(step, trainer) >= 5) return;
    warnOnce("PyTorchProfiler records all steps, as there are not enough for its default schedule.");
    this.#schedule = () => "record";
  }

  /** What is done next; the engine's own count of steps is of no use here. */
  readonly next = (): Action => {
    this.#current = this.#decide();
    return this.#current;
  };

  #decide(): Action {
    const step = this.#step;
    if (step === null || this.#finished.has(step)) return "none";
    // the sanity check is not counted
    const counts = step !== "validation_step" || !this.#inFit || this.#counts.training_step > 0;
    if (counts) this.#counts[step]++;
    let action = this.#schedule(this.#counts[step]);
    // where another kind of step has begun a recording, it goes on
    if (this.#before === "record" && action === "warmup") action = "record";
    if (action === "record_and_save") this.#finished.add(step);
    this.#before = action;
    return action;
  }
}

function totalSteps(step: Step, trainer: Trainer): number {
  const sum = (batches: number[]) => batches.reduce((total, each) => total + each, 0);
  if (step === "training_step") return trainer.numTrainingBatches;
  if (step === "test_step") return sum(trainer.numTestBatches);
  if (step === "predict_step") return sum(trainer.numPredictBatches);
  return sum(trainer.numValBatches) + sum(trainer.numSanityValBatches);
}

/** Puts a range around the forward pass of each module. */
function recordModules(root: nn.Module): RemovableHandle[] {
  return root.namedModules().flatMap(([name, module]) => {
    if (name === "") return [];
    const label = `[pl][module]${module.constructor.name}: ${name}`;
    const ends: (() => void)[] = [];
    return [
      module.registerForwardPreHook(() => void ends.push(profiler.beginRange(label))),
      module.registerForwardHook(() => ends.pop()?.(), { alwaysCall: true }),
    ];
  });
}
