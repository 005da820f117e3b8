import { Callback } from "../callback.js";
import { MisconfigurationError } from "../errors.js";
import type { Awaitable, StepOutput, TrainerFunction } from "../hooks.js";
import { warnOnce } from "../messages.js";
import type { LightningModule } from "../module.js";
import { type LiveLines, openTerminal } from "../terminal.js";
import type { Trainer } from "../trainer.js";
import { ProgressLine } from "./progress-line.js";

/** What a progress bar shows besides the progress. */
export type ProgressMetrics = Record<string, number | string>;

/**
 * The base of progress bars: knows how many batches there are. Override the hooks that draw, and call `super` in `setup`.
 *
 * ```ts
 * class Percent extends ProgressBar {
 *   enable() {}
 *   disable() {}
 *   override onTrainBatchEnd(trainer: Trainer, module: LightningModule, outputs: StepOutput, batch: unknown, batchIdx: number) {
 *     process.stdout.write(`${((batchIdx / this.totalTrainBatches) * 100).toFixed(1)} percent complete \r`);
 *   }
 * }
 * ```
 */
export abstract class ProgressBar extends Callback {
  #trainer: Trainer | null = null;
  #dataloaderIdx: number | null = null;

  /** Lets the bar be shown. */
  abstract enable(): void;
  /** Keeps the bar from being shown: in processes other than the first, for example. */
  abstract disable(): void;

  /** Whether the bar may be shown. */
  get isEnabled(): boolean {
    return true;
  }

  /** Whether the bar may not be shown. */
  get isDisabled(): boolean {
    return !this.isEnabled;
  }

  /** The trainer. Throws before `setup`. */
  get trainer(): Trainer {
    if (!this.#trainer) {
      throw new MisconfigurationError(
        `${this.constructor.name}.trainer is not set yet: the trainer sets it in setup.`,
      );
    }
    return this.#trainer;
  }

  get sanityCheckDescription(): string {
    return "Sanity Checking";
  }

  get trainDescription(): string {
    return "Training";
  }

  get validationDescription(): string {
    return "Validation";
  }

  get testDescription(): string {
    return "Testing";
  }

  get predictDescription(): string {
    return "Predicting";
  }

  /** The number of training batches of this epoch; Infinity where it isn't known. */
  get totalTrainBatches(): number {
    const { maxEpochs, maxSteps, globalStep, numTrainingBatches } = this.trainer;
    if (maxEpochs === -1 && maxSteps > 0) return Math.min(numTrainingBatches, maxSteps - globalStep);
    return numTrainingBatches;
  }

  /** The number of validation batches (of the sanity check, while that runs) of the loader that is being read. */
  get totalValBatchesCurrentDataloader(): number {
    const { trainer } = this;
    return this.#ofCurrentLoader(
      trainer.sanityChecking ? trainer.numSanityValBatches : trainer.numValBatches,
    );
  }

  /** The number of test batches of the loader that is being read. */
  get totalTestBatchesCurrentDataloader(): number {
    return this.#ofCurrentLoader(this.trainer.numTestBatches);
  }

  /** The number of batches to predict of the loader that is being read. */
  get totalPredictBatchesCurrentDataloader(): number {
    return this.#ofCurrentLoader(this.trainer.numPredictBatches);
  }

  /** The number of validation batches of this epoch, of all loaders; 0 where it has no validation. */
  get totalValBatches(): number {
    if (!this.trainer.fitLoop.validatesInEpoch) return 0;
    return this.trainer.numValBatches.reduce((sum, batches) => sum + batches, 0);
  }

  /** Whether another loader is being read than at the last call. */
  hasDataloaderChanged(dataloaderIdx: number): boolean {
    const before = this.#dataloaderIdx;
    this.#dataloaderIdx = dataloaderIdx;
    return before !== dataloaderIdx;
  }

  /** Forgets which loader is being read. */
  resetDataloaderIdxTracker(): void {
    this.#dataloaderIdx = null;
  }

  #ofCurrentLoader(batches: number[]): number {
    return batches[this.#dataloaderIdx ?? 0] ?? 0;
  }

  /** Prints without breaking the bar. */
  print(...items: unknown[]): void {
    console.log(...items);
  }

  override setup(trainer: Trainer, _module: LightningModule, _stage: TrainerFunction): Awaitable<void> {
    this.#trainer = trainer;
    if (!trainer.isGlobalZero) this.disable();
  }

  /** What is shown besides the progress: the logger's version as `v_num`, and what was logged with `progBar: true`. */
  getMetrics(trainer: Trainer, _module: LightningModule): ProgressMetrics {
    const standard = standardMetrics(trainer);
    const logged = trainer.progressBarMetrics;
    for (const name of Object.keys(standard)) {
      if (name in logged) {
        warnOnce(
          `The progress bar already shows a metric "${name}", and this.log("${name}", ..., { progBar: true }) takes its place. ` +
            "Use another name, or override getMetrics() of the progress bar.",
        );
      }
    }
    return { ...standard, ...logged };
  }
}

function standardMetrics(trainer: Trainer): ProgressMetrics {
  if (trainer.loggers.length === 0) return {};
  const versions = trainer.loggers.map((logger) => logger.version ?? "");
  const version = versions.length === 1 ? versions[0]! : [...new Set(versions)].join("_");
  if (version === "") return {};
  // long names are cut to their end
  return { v_num: typeof version === "string" ? version.slice(-4) : String(version) };
}

/** Options of {@link TQDMProgressBar}. */
export interface TQDMProgressBarOptions {
  /** After how many batches the bars may be drawn anew; 0: never. Default: 1. */
  refreshRate?: number;
  /** By how many bars the bars are moved down, to leave room for others: two lines each. Default: 0. */
  processPosition?: number;
  /** Whether the bar of each epoch stays in the terminal. Default: false. */
  leave?: boolean;
}

/** The bars of a run; the one of validation is also that of the sanity check. */
type BarName = "train" | "val" | "test" | "predict";

/** The least time between two drawings, in milliseconds. */
const minInterval = 100;

/**
 * The default progress bar: for the sanity check, training, validation, testing and prediction, with rate, remaining time
 * and the metrics that are logged with `progBar: true`. It is drawn at most ten times a second, only where standard output is a terminal, and what the program prints
 * appears above it.
 */
export class TQDMProgressBar extends ProgressBar {
  readonly refreshRate: number;
  readonly processPosition: number;
  readonly #leave: boolean;
  #enabled = true;
  #terminal: LiveLines | null = null;
  readonly #bars = new Map<BarName, ProgressLine>();
  #lastDrawing = Number.NEGATIVE_INFINITY;

  constructor(options: TQDMProgressBarOptions = {}) {
    super();
    this.refreshRate = options.refreshRate ?? 1;
    this.processPosition = options.processPosition ?? 0;
    this.#leave = options.leave ?? false;
    if (!Number.isInteger(this.refreshRate) || this.refreshRate < 0) {
      throw new MisconfigurationError(
        `TQDMProgressBar: refreshRate was given ${this.refreshRate}; it is a number of batches, or 0 for no bar.`,
      );
    }
  }

  override get isEnabled(): boolean {
    return this.#enabled && this.refreshRate > 0;
  }

  // The bars: override a method to make one in another way

  /** Makes the bar of the sanity check. */
  initSanityTqdm(): ProgressLine {
    return new ProgressLine(this.sanityCheckDescription);
  }

  /** Makes the bar of training. */
  initTrainTqdm(): ProgressLine {
    return new ProgressLine(this.trainDescription);
  }

  /** Makes the bar of validation. */
  initValidationTqdm(): ProgressLine {
    return new ProgressLine(this.validationDescription);
  }

  /** Makes the bar of testing. */
  initTestTqdm(): ProgressLine {
    return new ProgressLine(this.testDescription);
  }

  /** Makes the bar of prediction. */
  initPredictTqdm(): ProgressLine {
    return new ProgressLine(this.predictDescription);
  }

  /** The bar of training. Throws where there is none. */
  get trainProgressBar(): ProgressLine {
    return this.#bar("train");
  }

  set trainProgressBar(bar: ProgressLine) {
    this.#bars.set("train", bar);
  }

  /** The bar of validation or of the sanity check. Throws where there is none. */
  get valProgressBar(): ProgressLine {
    return this.#bar("val");
  }

  set valProgressBar(bar: ProgressLine) {
    this.#bars.set("val", bar);
  }

  /** The bar of testing. Throws where there is none. */
  get testProgressBar(): ProgressLine {
    return this.#bar("test");
  }

  set testProgressBar(bar: ProgressLine) {
    this.#bars.set("test", bar);
  }

  /** The bar of prediction. Throws where there is none. */
  get predictProgressBar(): ProgressLine {
    return this.#bar("predict");
  }

  set predictProgressBar(bar: ProgressLine) {
    this.#bars.set("predict", bar);
  }

  #bar(name: BarName): ProgressLine {
    const bar = this.#bars.get(name);
    if (bar) return bar;
    throw new MisconfigurationError(
      `${this.constructor.name}: there is no ${name} progress bar outside of its stage.`,
    );
  }

  override enable(): void {
    this.#enabled = true;
  }

  override disable(): void {
    this.#enabled = false;
  }

  override async setup(trainer: Trainer, module: LightningModule, stage: TrainerFunction): Promise<void> {
    await super.setup(trainer, module, stage);
    this.#terminal ??= this.isEnabled ? await openTerminal() : null;
  }

  override teardown(): void {
    this.#close();
  }

  override onException(): void {
    for (const bar of this.#bars.values()) this.#keep(bar);
    this.#close();
  }

  override onSanityCheckStart(): void {
    this.valProgressBar = this.initSanityTqdm();
  }

  override onSanityCheckEnd(): void {
    this.#bars.delete("val");
    this.resetDataloaderIdxTracker();
    this.#draw();
  }

  override onTrainStart(): void {
    this.trainProgressBar = this.initTrainTqdm();
  }

  override onTrainEpochStart(trainer: Trainer): void {
    if (!this.#bars.has("train")) this.trainProgressBar = this.initTrainTqdm();
    this.trainProgressBar.reset(`Epoch ${trainer.currentEpoch}`, this.totalTrainBatches);
  }

  override onTrainBatchEnd(
    trainer: Trainer,
    module: LightningModule,
    _outputs: StepOutput,
    _batch: unknown,
    batchIdx: number,
  ): void {
    if (!this.#advance("train", batchIdx + 1)) return;
    this.trainProgressBar.metrics = this.getMetrics(trainer, module);
    this.#draw();
  }

  override onTrainEpochEnd(trainer: Trainer, module: LightningModule): void {
    if (this.#leave) this.#endTrain(trainer, module);
  }

  override onTrainEnd(trainer: Trainer, module: LightningModule): void {
    this.#endTrain(trainer, module);
  }

  #endTrain(trainer: Trainer, module: LightningModule): void {
    const bar = this.#bars.get("train");
    if (!this.#terminal || !bar) return;
    bar.metrics = this.getMetrics(trainer, module);
    this.#end("train", true);
  }

  override onValidationStart(trainer: Trainer): void {
    if (!trainer.sanityChecking) this.valProgressBar = this.initValidationTqdm();
  }

  override onValidationBatchStart(
    trainer: Trainer,
    _module: LightningModule,
    _batch: unknown,
    _batchIdx: number,
    dataloaderIdx = 0,
  ): void {
    if (!this.hasDataloaderChanged(dataloaderIdx)) return;
    const description = trainer.sanityChecking ? this.sanityCheckDescription : this.validationDescription;
    this.valProgressBar.reset(
      `${description} DataLoader ${dataloaderIdx}`,
      this.totalValBatchesCurrentDataloader,
    );
  }

  override onValidationBatchEnd(
    _trainer: Trainer,
    _module: LightningModule,
    _outputs: unknown,
    _batch: unknown,
    batchIdx: number,
  ): void {
    if (this.#advance("val", batchIdx + 1)) this.#draw();
  }

  override onValidationEnd(trainer: Trainer, module: LightningModule): void {
    this.resetDataloaderIdxTracker();
    if (trainer.sanityChecking) return;
    this.#end("val", trainer.state.fn === "validate");
    const train = this.#bars.get("train");
    if (this.#terminal && train) {
      train.metrics = this.getMetrics(trainer, module);
      this.#draw();
    }
  }

  override onTestStart(): void {
    this.testProgressBar = this.initTestTqdm();
  }

  override onTestBatchStart(
    _trainer: Trainer,
    _module: LightningModule,
    _batch: unknown,
    _batchIdx: number,
    dataloaderIdx = 0,
  ): void {
    if (!this.hasDataloaderChanged(dataloaderIdx)) return;
    const description = `${this.testDescription} DataLoader ${dataloaderIdx}`;
    this.testProgressBar.reset(description, this.totalTestBatchesCurrentDataloader);
  }

  override onTestBatchEnd(
    _trainer: Trainer,
    _module: LightningModule,
    _outputs: unknown,
    _batch: unknown,
    batchIdx: number,
  ): void {
    if (this.#advance("test", batchIdx + 1)) this.#draw();
  }

  override onTestEnd(): void {
    this.resetDataloaderIdxTracker();
    this.#end("test", true);
  }

  override onPredictStart(): void {
    this.predictProgressBar = this.initPredictTqdm();
  }

  override onPredictBatchStart(
    _trainer: Trainer,
    _module: LightningModule,
    _batch: unknown,
    _batchIdx: number,
    dataloaderIdx = 0,
  ): void {
    if (!this.hasDataloaderChanged(dataloaderIdx)) return;
    const description = `${this.predictDescription} DataLoader ${dataloaderIdx}`;
    this.predictProgressBar.reset(description, this.totalPredictBatchesCurrentDataloader);
  }

  override onPredictBatchEnd(
    _trainer: Trainer,
    _module: LightningModule,
    _outputs: unknown,
    _batch: unknown,
    batchIdx: number,
  ): void {
    if (this.#advance("predict", batchIdx + 1)) this.#draw();
  }

  override onPredictEnd(): void {
    this.resetDataloaderIdxTracker();
    this.#end("predict", true);
  }

  /** Counts what is done; gives whether it is time to draw. This is all that most batches cost. */
  #advance(name: BarName, done: number): boolean {
    const line = this.#bars.get(name);
    if (!this.#terminal || !line || !this.isEnabled) return false;
    line.done = done;
    if (done % this.refreshRate !== 0 && done !== line.total) return false;
    return performance.now() - this.#lastDrawing >= minInterval;
  }

  #draw(): void {
    const terminal = this.#terminal;
    if (!terminal || !this.isEnabled) return;
    const above = Array.from({ length: 2 * this.processPosition }, () => "");
    const lines = [...this.#bars.values()].map((line) => line.format(terminal.width));
    terminal.show([...above, ...lines]);
    this.#lastDrawing = performance.now();
  }

  #end(name: BarName, leave: boolean): void {
    if (leave) this.#keep(this.#bars.get(name));
    this.#bars.delete(name);
  }

  /** Lets a bar stay in the terminal for good. */
  #keep(line: ProgressLine | undefined): void {
    if (line && this.#terminal && this.isEnabled) this.#terminal.keep(line.format(this.#terminal.width));
  }

  #close(): void {
    this.#bars.clear();
    this.#terminal?.close();
    this.#terminal = null;
  }
}
