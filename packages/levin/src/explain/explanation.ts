import { EarlyStopping } from "../callbacks/early-stopping.js";
import { ModelCheckpoint } from "../callbacks/model-checkpoint.js";
import { Timer } from "../callbacks/timer.js";
import { describeHooks, type Participants } from "./hooks.js";
import {
  type FitFacts,
  type FitSchedule,
  type PlannedCheckpoint,
  type PlannedEpoch,
  planFit,
} from "./schedule.js";

/** What is known of the loaders of a fit before it begins. */
export interface LoaderFacts {
  /** The number of training batches of an epoch; Infinity where it isn't known. */
  readonly trainBatches: number;
  /** The number of validation batches of each loader. */
  readonly valBatches: readonly number[];
  /** Why something isn't known. */
  readonly problems: readonly string[];
}

/** What a fit is going to do; `String(explanation)` is what `trainer.explain` prints. */
export class Explanation {
  readonly schedule: FitSchedule;

  constructor(
    readonly facts: FitFacts,
    readonly loaders: LoaderFacts,
    readonly participants: Participants,
  ) {
    this.schedule = planFit(facts);
  }

  /** The number of optimizer steps. */
  get optimizerSteps(): number {
    return this.#sum((epoch) => epoch.optimizerSteps);
  }

  /** The number of validations, without the sanity check. */
  get validations(): number {
    return this.#sum((epoch) => epoch.validations.length);
  }

  /** The number of checkpoints; where a metric is monitored, the most there can be. */
  get checkpoints(): number {
    return this.#sum((epoch) => epoch.checkpoints.length);
  }

  #sum(count: (epoch: PlannedEpoch) => number): number {
    return this.schedule.epochs.reduce((sum, epoch) => sum + count(epoch), 0);
  }

  toString(): string {
    const sections: [title: string, lines: string[]][] = [
      ["Data", this.#data()],
      ["Schedule", this.#epochs()],
      ["In all", this.#totals()],
      ["Hooks", describeHooks(this.participants)],
    ];
    const { trainer } = this.facts;
    const name = this.participants.module.constructor.name;
    const head = `trainer.fit of ${name}: ${trainer.strategy.constructor.name} on ${trainer.strategy.rootDevice}, ${trainer.precision}`;
    const body = sections.flatMap(([title, lines]) => ["", title, ...lines.map((line) => `  ${line}`)]);
    return [head, ...body].join("\n");
  }

  #data(): string[] {
    const { trainBatches, valBatches, problems } = this.loaders;
    const { trainer } = this.facts;
    const lines = [`training: ${known(trainBatches, "batch")} in an epoch`];
    if (this.facts.validates) {
      lines.push(`validation: ${valBatches.map((count) => known(count, "batch")).join(" + ")}`);
      const sanity = valBatches.reduce((sum, count) => sum + Math.min(count, trainer.numSanityValSteps), 0);
      if (sanity > 0) lines.push(`sanity check before training: ${known(sanity, "batch")} of validation`);
    } else lines.push("no validation");
    return [...lines, ...problems];
  }

  #epochs(): string[] {
    const { epochs } = this.schedule;
    if (epochs.length === 0) return ["nothing that is known beforehand"];
    const groups: PlannedEpoch[][] = [];
    for (const epoch of epochs) {
      const last = groups.at(-1);
      if (last && shapeOf(last[0]!) === shapeOf(epoch)) last.push(epoch);
      else groups.push([epoch]);
    }
    return groups
      .slice(0, mostGroups)
      .flatMap((group) => this.#group(group))
      .concat(groups.length > mostGroups ? [`... and so on, to epoch ${epochs.at(-1)!.epoch}`] : []);
  }

  #group(group: readonly PlannedEpoch[]): string[] {
    const [epoch] = group as [PlannedEpoch];
    const last = group.at(-1)!.epoch;
    const title = last === epoch.epoch ? `epoch ${last}:` : `epochs ${epoch.epoch} to ${last}, each:`;
    const lines = [known(epoch.batches, "batch")];
    if (!this.facts.automatic) lines.push("optimizer steps as the training step makes them");
    else if (epoch.accumulate === 1)
      lines.push(`${known(epoch.optimizerSteps, "optimizer step")}, one for each batch`);
    else lines.push(`${known(epoch.optimizerSteps, "optimizer step")}, one for ${epoch.accumulate} batches`);
    const { validations, checkpoints } = epoch;
    if (validations.length > 0) {
      lines.push(`${known(validations.length, "validation")}, after ${known.list("batch", validations)}`);
    }
    for (const callback of new Set(checkpoints.map((each) => each.callback))) {
      lines.push(describeCheckpoints(checkpoints.filter((each) => each.callback === callback)));
    }
    return [title, ...lines.map((line) => `  ${line}`)];
  }

  #totals(): string[] {
    const { epochs, end } = this.schedule;
    const { trainer, callbacks, automatic, validates } = this.facts;
    const counts = [
      known(epochs.length, "epoch"),
      known(
        this.#sum((epoch) => epoch.batches),
        "batch",
      ),
      ...(automatic ? [known(this.optimizerSteps, "optimizer step")] : []),
      known(this.validations, "validation"),
      `${this.#monitors ? "up to " : ""}${known(this.checkpoints, "checkpoint")}`,
    ];
    const lines = [counts.join(", ")];
    lines.push(end === null ? "and then further: no end is known beforehand" : `ends by ${end}`);
    if (validates && trainer.valCheckTimeInterval !== null) {
      lines.push(`validates every ${trainer.valCheckTimeInterval / 1000} s, too`);
    }
    for (const callback of callbacks) {
      if (callback instanceof EarlyStopping) {
        lines.push(`may end earlier: EarlyStopping on ${callback.monitor}, patience ${callback.patience}`);
      }
      const remaining = callback instanceof Timer ? callback.timeRemaining() : null;
      if (remaining !== null) lines.push(`ends after ${remaining} s at the latest (Timer)`);
      if (callback instanceof ModelCheckpoint) lines.push(...describeFurther(callback));
    }
    return lines;
  }

  get #monitors(): boolean {
    return this.facts.callbacks.some((each) => each instanceof ModelCheckpoint && each.monitor !== null);
  }
}

/** How many different kinds of epochs are shown. */
const mostGroups = 12;

const places = { batch: "after", validation: "after the validation at", epoch: "at the end, after" } as const;

function describeCheckpoints(checkpoints: readonly PlannedCheckpoint[]): string {
  const [{ callback, after }] = checkpoints as [PlannedCheckpoint];
  const batches = known.list(
    "batch",
    checkpoints.map((each) => each.batch),
  );
  const condition = callback.monitor === null ? "" : `, if ${callback.monitor} is ${describeTop(callback)}`;
  return `${known(checkpoints.length, "checkpoint")} ${places[after]} ${batches}${condition}`;
}

function describeTop({ saveTopK }: ModelCheckpoint): string {
  if (saveTopK === -1) return "there";
  return saveTopK === 1 ? "the best" : `among the best ${saveTopK}`;
}

/** What else a callback saves. */
function describeFurther(callback: ModelCheckpoint): string[] {
  const lines: string[] = [];
  if (callback.trainTimeInterval !== null) {
    lines.push(`a checkpoint every ${callback.trainTimeInterval} s of training`);
  }
  if (callback.saveLast)
    lines.push(
      `the last checkpoint is ${callback.saveLast === "link" ? "linked" : "saved"} as ${callback.checkpointNameLast}${callback.fileExtension}, too`,
    );
  return lines;
}

/** What tells epochs apart but for their number. */
function shapeOf({ epoch: _, checkpoints, ...others }: PlannedEpoch): string {
  return JSON.stringify([others, checkpoints.map(({ batch, after }) => [batch, after])]);
}

/** A number of things, in words. */
function known(count: number, thing: string): string {
  if (!Number.isFinite(count)) return `an unknown number of ${plural(thing)}`;
  return `${count.toLocaleString("en-US")} ${count === 1 ? thing : plural(thing)}`;
}

/** A few numbers with the name of what they are of: all, or the first ones and the last one. */
known.list = (thing: string, numbers: readonly number[]): string => {
  const shown = numbers.length > 6 ? [...numbers.slice(0, 3), "...", numbers.at(-1)!] : numbers;
  return `${numbers.length === 1 ? thing : plural(thing)} ${shown.join(", ")}`;
};

const plural = (thing: string) => (thing === "batch" ? "batches" : `${thing}s`);
