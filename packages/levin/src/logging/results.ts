import * as torch from "@levin/torch";
import { type metrics, Tensor } from "@levin/torch";
import { notAllowed } from "../argument-checks.js";
import { misnamed } from "../closest.js";
import { describe } from "../describe.js";
import { MisconfigurationError } from "../errors.js";
import type { LogOptions, ReduceFx } from "../hooks.js";
import { firstTensor } from "../tree.js";
import { loggingLevels } from "./permissions.js";

type Reduction = Exclude<ReduceFx, "avg">;

const reductions: readonly string[] = ["mean", "min", "max", "sum", "avg"];
const noOptions: LogOptions = {};

/** The metrics of one moment, by where they go. */
export interface MetricsByUse {
  callback: Record<string, Tensor>;
  log: Record<string, Tensor>;
  progressBar: Record<string, Tensor>;
}

/** One name that is logged in one hook: its last value, and what it adds up to in the epoch. */
class ResultMetric {
  /** The last value, where values are logged at steps. */
  last: Tensor | number | null = null;
  /** Whether nothing was logged since the last reset. */
  hasReset = false;
  /** The batch in which a value was logged last. */
  batch = -1;
  /** The last value that was logged before that batch. */
  before: Tensor | number | null = null;
  readonly forked: boolean;
  readonly shownName: string;
  readonly stepName: string;
  readonly epochName: string;
  /** The name and options of the last call, to find at once that the next one has the same. */
  options: LogOptions = noOptions;
  #sum: Tensor | number;
  #weight = 0;
  #computed: Tensor | null = null;
  readonly #initial: number;

  constructor(
    readonly hook: string,
    readonly name: string,
    readonly onStep: boolean,
    readonly onEpoch: boolean,
    readonly progBar: boolean,
    readonly logger: boolean,
    readonly reduceFx: Reduction,
    readonly enableGraph: boolean,
    readonly addDataloaderIdx: boolean,
    readonly dataloaderIdx: number | null,
    readonly syncDist: boolean,
    /** The name of the `Metric` object that is logged, in the module; null for plain values. */
    readonly metricAttribute: string | null,
  ) {
    this.forked = onStep && onEpoch;
    const suffix = addDataloaderIdx && dataloaderIdx !== null ? `/dataloader_idx_${dataloaderIdx}` : "";
    this.shownName = name + suffix;
    this.stepName = this.forked ? `${name}_step${suffix}` : this.shownName;
    this.epochName = this.forked ? `${name}_epoch${suffix}` : this.shownName;
    this.#initial = reduceFx === "max" ? -Infinity : reduceFx === "min" ? Infinity : 0;
    this.#sum = this.#initial;
  }

  /** Keeps apart what belongs to the batch in which a value is logged now, and what was before. */
  protected startUpdate(batch: number): void {
    if (this.batch !== batch) {
      this.before = this.hasReset ? null : this.last;
      this.batch = batch;
    }
    this.hasReset = false;
  }

  /** Takes a value in; gradients are off. */
  update(value: Tensor | number, batchSize: number, batch: number): void {
    this.startUpdate(batch);
    this.#computed = null;
    if (this.onStep) {
      this.last = typeof value === "number" ? value : value.clone();
      if (!this.onEpoch) return;
    }
    if (typeof value === "number" && typeof this.#sum === "number") {
      if (this.reduceFx === "mean") this.#sum += value * batchSize;
      else if (this.reduceFx === "sum") this.#sum += value;
      else if (this.reduceFx === "max") this.#sum = Math.max(this.#sum, value);
      else this.#sum = Math.min(this.#sum, value);
    } else {
      this.#accumulate(typeof value === "number" ? torch.tensor(value) : value, batchSize);
    }
    this.#weight += batchSize;
  }

  #accumulate(value: Tensor, batchSize: number): void {
    // float64 values keep their precision, all others are summed up in float32
    if (typeof this.#sum === "number") {
      this.#sum = torch.full([], this.#sum, {
        dtype: value.dtype === "float64" ? "float64" : "float32",
        device: value.device,
      });
    }
    // one operator per value, in place: the sum is our own tensor
    if (this.reduceFx === "mean") this.#sum.add_(value, { alpha: batchSize });
    else if (this.reduceFx === "sum") this.#sum.add_(value);
    else if (this.reduceFx === "max") this.#sum = torch.maximum(this.#sum, value);
    else this.#sum = torch.minimum(this.#sum, value);
  }

  /** A value of a step, as it is logged. */
  shown(value: Tensor | number): Tensor {
    if (typeof value === "number") return torch.tensor(value);
    return value.dtype === "float32" || value.dtype === "float64" ? value : value.to("float32");
  }

  /** The reduced value of the epoch so far. */
  compute(): Tensor {
    if (this.#computed) return this.#computed;
    const sum = typeof this.#sum === "number" ? torch.tensor(this.#sum) : this.#sum;
    // a sum of zero values has no mean; PyTorch's 0 / 0 gives nan, and so does this
    this.#computed = this.reduceFx === "mean" ? sum.div(this.#weight) : sum.clone();
    return this.#computed;
  }

  reset(): void {
    this.#sum = this.#initial;
    this.#weight = 0;
    this.#computed = null;
    this.hasReset = true;
  }
}

/** One name under which a `Metric` object is logged, which adds up its values by itself. */
class ResultMetricObject extends ResultMetric {
  #metric: LoggedMetric | null = null;
  #computed: Tensor | null = null;

  /** Takes in the value of the last `forward`. */
  updateBy(metric: LoggedMetric, batch: number): void {
    this.startUpdate(batch);
    this.#metric = metric;
    this.#computed = null;
    if (this.onStep) this.last = this.#checked(metric.forwardCache);
  }

  override shown(value: Tensor): Tensor {
    return value;
  }

  override compute(): Tensor {
    this.#computed ??= this.#checked(this.#metric!.compute())!;
    return this.#computed;
  }

  override reset(): void {
    this.#metric?.reset();
    this.#computed = null;
    this.hasReset = true;
  }

  #checked(value: unknown): Tensor | null {
    if (value === undefined) return null;
    if (!(value instanceof Tensor)) {
      throw new MisconfigurationError(
        `compute() of the metric that is logged as "${this.name}" must give a tensor, but gave ${describe(value)}. ` +
          "Log its parts by themselves, as tensors.",
      );
    }
    return this.enableGraph ? value : value.detach();
  }
}

/** A metric that can be logged. */
export type LoggedMetric = metrics.Metric<never[], unknown>;

/** What `log` collected in one loop. */
export class Results {
  /** The batch whose size weighs the values. */
  batch: unknown = null;
  /** The loader that is being read, where there are several. */
  dataloaderIdx: number | null = null;
  #batchSize: number | null = null;
  /** How many batches have ended. */
  #batches = 0;
  readonly #metrics: ResultMetric[] = [];
  readonly #byHook = new Map<string, Map<string, ResultMetric>>();

  constructor(readonly training: boolean) {}

  /** Whether nothing was ever logged. */
  get isEmpty(): boolean {
    return this.#metrics.length === 0;
  }

  /** Begins a batch. */
  startBatch(batch: unknown, dataloaderIdx: number | null): void {
    this.batch = batch;
    this.dataloaderIdx = dataloaderIdx;
    this.#batchSize = null;
  }

  /** Lets go of the batch. */
  endBatch(): void {
    this.#batches++;
    this.batch = null;
    this.#batchSize = null;
  }

  /** Takes in a `Metric` object that is logged in a hook; `attribute` is its name in the module. */
  logMetric(hook: string, name: string, value: LoggedMetric, attribute: string, options: LogOptions): void {
    (this.#find(hook, name, options, attribute) as ResultMetricObject).updateBy(value, this.#batches);
  }

  /** Takes in a value that is logged in a hook. */
  log(hook: string, name: string, value: Tensor | number, options: LogOptions): void {
    const metric = this.#find(hook, name, options, null);
    if (options.batchSize !== undefined && !(options.batchSize >= 0)) {
      throw notAllowed(`this.log("${name}"): batchSize`, options.batchSize, "a number of samples");
    }
    const size =
      options.batchSize ?? (metric.onEpoch && metric.reduceFx === "mean" ? this.#sizeOfBatch() : 1);
    if (typeof value === "number") {
      metric.update(value, size, this.#batches);
    } else if (torch.isGradEnabled() && !metric.enableGraph) {
      torch.setGradEnabled(false);
      try {
        metric.update(value, size, this.#batches);
      } finally {
        torch.setGradEnabled(true);
      }
    } else {
      metric.update(value, size, this.#batches);
    }
  }

  #find(hook: string, name: string, options: LogOptions, attribute: string | null): ResultMetric {
    const dataloaderIdx = this.dataloaderIdx;
    const place =
      dataloaderIdx === null || options.addDataloaderIdx === false ? hook : `${hook}.${dataloaderIdx}`;
    let metrics = this.#byHook.get(place);
    if (!metrics) {
      metrics = new Map();
      this.#byHook.set(place, metrics);
    }
    const known = metrics.get(name);
    if (
      known &&
      known.dataloaderIdx === dataloaderIdx &&
      known.metricAttribute === attribute &&
      sameOptions(known.options, options)
    ) {
      return known;
    }
    checkCall(name, options);
    const { onStep, onEpoch } = loggingLevels(hook, options.onStep, options.onEpoch);
    const metric = new (attribute === null ? ResultMetric : ResultMetricObject)(
      place,
      name,
      onStep,
      onEpoch,
      options.progBar ?? false,
      options.logger ?? true,
      reduction(name, options.reduceFx),
      options.enableGraph ?? false,
      options.addDataloaderIdx ?? true,
      dataloaderIdx,
      options.syncDist ?? false,
      attribute,
    );
    if (known) {
      if (!sameMeaning(known, metric)) {
        throw new MisconfigurationError(
          `You called \`this.log("${name}", ...)\` twice in \`${hook}\` with different options or metrics, or for several loaders ` +
            "with addDataloaderIdx: false. Use the same options, or another name.",
        );
      }
      known.options = { ...options };
      return known;
    }
    if (metric.addDataloaderIdx && name.includes("/dataloader_idx_")) {
      throw new MisconfigurationError(
        `You called \`this.log\` with the name "${name}", but it should not contain "/dataloader_idx_": that is added where there ` +
          "are several loaders. Leave it out, or set addDataloaderIdx: false.",
      );
    }
    metric.options = { ...options };
    metrics.set(name, metric);
    this.#metrics.push(metric);
    return metric;
  }

  #sizeOfBatch(): number {
    if (this.#batchSize !== null) return this.#batchSize;
    if (this.batch === null || this.batch === undefined) return 1;
    const tensor = firstTensor(this.batch);
    if (!tensor) {
      throw new MisconfigurationError(
        "The size of the batch could not be found: it holds no tensor. Give it to `this.log(..., { batchSize })`.",
      );
    }
    this.#batchSize = tensor.ndim === 0 ? 1 : tensor.size(0);
    return this.#batchSize;
  }

  /**
   * The values of this step, or those of the epoch so far; with `atBatchEnd`, without those that were logged since the
   * last batch ended.
   */
  metrics(ofStep: boolean, atBatchEnd = false): MetricsByUse {
    const metrics: MetricsByUse = { callback: {}, log: {}, progressBar: {} };
    for (const metric of this.#metrics) {
      if (metric.hasReset || metric.dataloaderIdx !== this.dataloaderIdx) continue;
      const last = atBatchEnd && metric.batch === this.#batches ? metric.before : metric.last;
      let value: Tensor;
      if (ofStep) {
        if (!metric.onStep || last === null) continue;
        value = metric.shown(last);
      } else {
        if (!metric.onEpoch) continue;
        value = metric.compute();
      }
      const name = ofStep ? metric.stepName : metric.epochName;
      if (metric.logger) metrics.log[name] = value;
      if (this.training || (metric.onEpoch && !ofStep)) {
        metrics.callback[metric.shownName] = value;
        metrics.callback[name] = value;
      }
      if (metric.progBar) metrics.progressBar[name] = value;
    }
    return metrics;
  }

  /** Begins anew for all hooks. */
  reset(): void {
    for (const metric of this.#metrics) metric.reset();
  }

  /** Begins anew for the plain values of one hook: metrics that are objects are reset at the end of an epoch only. */
  resetValues(hook: string): void {
    for (const metric of this.#metrics) {
      if (metric.hook === hook && metric.metricAttribute === null) metric.reset();
    }
  }
}

const optionNames = [
  "progBar",
  "logger",
  "onStep",
  "onEpoch",
  "reduceFx",
  "enableGraph",
  "syncDist",
  "syncDistGroup",
  "addDataloaderIdx",
  "batchSize",
  "metricAttribute",
  "rankZeroOnly",
];

/** Checks what `log` was called with, where a name is new or its options are others than before. */
function checkCall(name: unknown, options: LogOptions): void {
  if (typeof name !== "string") {
    throw notAllowed("this.log(name, value): name", name, "the name of a metric");
  }
  for (const option in options) {
    if (optionNames.includes(option)) continue;
    throw new MisconfigurationError(
      `this.log("${name}", value, { ${option} }) ${misnamed(option, optionNames)}.`,
    );
  }
}

function reduction(name: string, reduceFx: string | undefined): Reduction {
  const lower = typeof reduceFx === "string" ? reduceFx.toLowerCase() : (reduceFx ?? "mean");
  if (!reductions.includes(lower)) {
    throw new MisconfigurationError(
      `this.log("${name}"): reduceFx was given ${String(reduceFx)}; it is one of "mean", "min", "max", "sum".`,
    );
  }
  return (lower === "avg" ? "mean" : lower) as Reduction;
}

function sameOptions(known: LogOptions, given: LogOptions): boolean {
  return (
    known === given ||
    (known.onStep === given.onStep &&
      known.onEpoch === given.onEpoch &&
      known.progBar === given.progBar &&
      known.logger === given.logger &&
      known.reduceFx === given.reduceFx &&
      known.enableGraph === given.enableGraph &&
      known.addDataloaderIdx === given.addDataloaderIdx &&
      known.syncDist === given.syncDist)
  );
}

function sameMeaning(a: ResultMetric, b: ResultMetric): boolean {
  return (
    a.onStep === b.onStep &&
    a.onEpoch === b.onEpoch &&
    a.progBar === b.progBar &&
    a.logger === b.logger &&
    a.reduceFx === b.reduceFx &&
    a.enableGraph === b.enableGraph &&
    a.addDataloaderIdx === b.addDataloaderIdx &&
    a.dataloaderIdx === b.dataloaderIdx &&
    a.syncDist === b.syncDist &&
    a.metricAttribute === b.metricAttribute
  );
}
