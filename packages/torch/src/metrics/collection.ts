import type { DType } from "../dtype.js";
import { ArgumentError } from "../errors.js";
import { deepCopy } from "../nn/deep-copy.js";
import { Module } from "../nn/module.js";
import { itemsOf } from "../nn/module-members.js";
import { block, indented } from "../nn/repr.js";
import type { Tensor } from "../tensor.js";
import { type AnyMetric, Metric } from "./metric.js";
import type { State } from "./sync.js";

/** What a collection is made of: metrics, which go by their class names, or metrics by name. */
export type Metrics =
  | AnyMetric
  | MetricCollection
  | readonly (AnyMetric | MetricCollection)[]
  | MetricsByName;

/** Metrics by name. */
export interface MetricsByName {
  readonly [name: string]: AnyMetric | MetricCollection;
}

/** Options of {@link MetricCollection}. */
export interface MetricCollectionOptions {
  /** Put before each name. */
  prefix?: string | null;
  /** Put after each name. */
  postfix?: string | null;
  /**
   * Whether metrics with equal states, such as precision and recall over the same classes, are updated once for all; or the
   * names of those that have. Default: true.
   */
  computeGroups?: boolean | readonly (readonly string[])[];
}

/**
 * Several metrics that take the same arguments, as one.
 *
 * ```ts
 * const scores = new metrics.MetricCollection(
 *   { accuracy: new metrics.Accuracy("binary"), f1: new metrics.F1Score("binary") },
 *   { prefix: "val_" },
 * );
 * scores.update(preds, target);
 * scores.compute(); // { val_accuracy: ..., val_f1: ... }
 * ```
 *
 * @see https://lightning.ai/docs/torchmetrics/stable/pages/overview.html#metriccollection
 */
export class MetricCollection extends Module {
  readonly prefix: string;
  readonly postfix: string;
  private readonly groupsWanted: boolean | readonly (readonly string[])[];
  private groups: string[][] = [];
  /** Whether all metrics of a group have the very same state, which is so until one of them is handed out. */
  private shared = true;

  /** @param metrics the metrics; names given by an object are taken in alphabetical order, as in torchmetrics */
  constructor(metrics: Metrics, options: MetricCollectionOptions = {}) {
    super();
    const { prefix, postfix, computeGroups = true } = options;
    this.prefix = prefix ?? "";
    this.postfix = postfix ?? "";
    this.groupsWanted = computeGroups;
    this.addMetrics(metrics);
  }

  /** How many metrics there are. */
  get length(): number {
    return itemsOf(this).size;
  }

  /** Names of metrics that are updated as one. */
  get computeGroups(): readonly (readonly string[])[] {
    return this.groups;
  }

  /** The states of all metrics. */
  get metricState(): Record<string, Record<string, State>> {
    return Object.fromEntries(this.own().map(([name, metric]) => [this.fullName(name), metric.metricState]));
  }

  /** Adds metrics; see the constructor. */
  addMetrics(metrics: Metrics): void {
    for (const [name, metric] of entriesOf(metrics)) {
      if (!(metric instanceof Metric)) {
        throw new ArgumentError(
          `MetricCollection: "${name}" must be a Metric or a MetricCollection, but is ${String(metric)}.`,
        );
      }
      if (itemsOf(this).has(name)) {
        throw new ArgumentError(
          `MetricCollection: there are two metrics named "${name}"; give names by an object: { name: metric }.`,
        );
      }
      itemsOf<AnyMetric>(this).set(name, metric);
    }
    this.groups = this.findGroups();
  }

  /** Takes a batch into all states. */
  update(...args: unknown[]): void {
    for (const group of this.groups) {
      const [leader, ...followers] = group.map((name) => this.metric(name));
      leader?.update(...(args as never[]));
      for (const follower of followers) follower.shareStateOf(leader as AnyMetric);
    }
    this.shared = true;
  }

  /**
   * The values of all metrics by name.
   *
   * @typeParam Value what these are, where one of the metrics gives something else than tensors: lists of them, for curves without thresholds
   */
  compute<Value = Tensor>(): Record<string, Value> {
    return this.flatten<Value>(this.own().map(([name, metric]) => [name, metric.compute()]));
  }

  /** Takes a batch into all states, and gives the values of that batch alone; see {@link compute}. */
  override forward<Value = Tensor>(...args: unknown[]): Record<string, Value> {
    return this.flatten<Value>(
      this.own().map(([name, metric]) => [name, metric.forward(...(args as never[]))]),
    );
  }

  /** Resets all metrics. */
  reset(): void {
    for (const [, metric] of this.own()) metric.reset();
  }

  /** A copy with states of its own, and with another prefix or postfix where given. */
  clone(options: { prefix?: string; postfix?: string } = {}): MetricCollection {
    return Object.assign(deepCopy(this) as MetricCollection, options);
  }

  /** Sets whether the state dict has the states. */
  persistent(mode = true): void {
    for (const [, metric] of this.own()) metric.persistent(mode);
  }

  /** Converts the states of all metrics. */
  setDtype(dtype: DType): this {
    for (const [, metric] of this.own()) metric.setDtype(dtype);
    return this;
  }

  /** The metric of a name, with or without prefix and postfix. */
  get(name: string): AnyMetric {
    this.unshare();
    const { prefix, postfix } = this;
    const base = name.slice(
      name.startsWith(prefix) ? prefix.length : 0,
      name.endsWith(postfix) ? name.length - postfix.length : undefined,
    );
    return this.metric(itemsOf(this).has(name) ? name : base);
  }

  /** The names with prefix and postfix, or without them. */
  keys(options: { keepBase?: boolean } = {}): string[] {
    return this.own().map(([name]) => (options.keepBase ? name : this.fullName(name)));
  }

  /** The metrics. */
  values(): AnyMetric[] {
    this.unshare();
    return this.own().map(([, metric]) => metric);
  }

  /**
   * The names and metrics.
   *
   * @param options `keepBase` (default false): names without prefix and postfix; `copyState` (default true): gives metrics
   * that are updated as one states of their own, so that each may be updated by itself
   */
  items(options: { keepBase?: boolean; copyState?: boolean } = {}): [string, AnyMetric][] {
    if (options.copyState ?? true) this.unshare();
    return this.own().map(([name, metric]) => [options.keepBase ? name : this.fullName(name), metric]);
  }

  override toString(): string {
    const lines = this.own().map(([name, metric]) => `(${name}): ${indented(metric.toString())}`);
    const names = [this.prefix && `prefix=${this.prefix}`, this.postfix && `postfix=${this.postfix}`].filter(
      Boolean,
    );
    if (lines.length > 0 && names.length > 0) lines[lines.length - 1] += ",";
    return block("MetricCollection", "", [...lines, ...(names.length === 0 ? [] : [names.join(",\n  ")])]);
  }

  private own(): [string, AnyMetric][] {
    return [...itemsOf<AnyMetric>(this)];
  }

  private metric(name: string): AnyMetric {
    const metric = itemsOf<AnyMetric>(this).get(name);
    if (metric) return metric;
    throw new ArgumentError(
      `MetricCollection has no metric "${name}"; it has ${this.keys().join(", ") || "none"}.`,
    );
  }

  private fullName(name: string): string {
    return this.prefix + name + this.postfix;
  }

  /** A metric that is handed out may be updated by itself. */
  private unshare(): void {
    if (!this.shared) return;
    this.shared = false;
    for (const [, ...followers] of this.groups) for (const name of followers) this.metric(name).copyState();
  }

  private findGroups(): string[][] {
    const wanted = this.groupsWanted;
    if (wanted === false) return this.own().map(([name]) => [name]);
    if (wanted !== true) {
      for (const name of wanted.flat()) this.metric(name);
      const others = this.own().filter(([name]) => !wanted.some((group) => group.includes(name)));
      return [...wanted.map((group) => [...group]), ...others.map(([name]) => [name])];
    }
    const groups = new Map<unknown, string[]>();
    for (const [name, metric] of this.own()) {
      const key = metric.computeGroup ?? metric;
      groups.set(key, [...(groups.get(key) ?? []), name]);
    }
    return [...groups.values()];
  }

  /** Results by full name; where metrics give several values, these go by their own names as long as there is no other of the name. */
  private flatten<Value>(results: [string, unknown][]): Record<string, Value> {
    const names = results.flatMap(([name, value]) => (isRecord(value) ? Object.keys(value) : [name]));
    const unique = new Set(names).size === names.length;
    const flat: Record<string, unknown> = {};
    for (const [name, value] of results) {
      if (!isRecord(value)) flat[this.fullName(name)] = value;
      else
        for (const key of Object.keys(value))
          flat[this.fullName(unique ? key : `${name}_${key}`)] = value[key];
    }
    return flat as Record<string, Value>;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/** Names and metrics of what a collection is made of. */
function entriesOf(metrics: Metrics): [string, AnyMetric][] {
  if (metrics instanceof MetricCollection) return metrics.items();
  if (metrics instanceof Metric) return [[metrics.className, metrics]];
  if (Array.isArray(metrics)) return metrics.flatMap((metric) => entriesOf(metric));
  if (!isRecord(metrics)) {
    throw new ArgumentError(
      `MetricCollection: metrics must be a Metric, a MetricCollection, or a list or an object of these.`,
    );
  }
  const names = Object.keys(metrics).sort();
  return names.flatMap((name) => {
    const metric = (metrics as MetricsByName)[name] as AnyMetric | MetricCollection;
    if (!(metric instanceof MetricCollection)) return [[name, metric] as [string, AnyMetric]];
    return metric.items().map(([key, inner]) => [`${name}_${key}`, inner] as [string, AnyMetric]);
  });
}
